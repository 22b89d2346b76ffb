"""`lockd broker-setup`, and what a real mosquitto makes of it."""

from __future__ import annotations

import base64
import contextlib
import gc
import stat
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from cryptography import x509

from lockd.adapters.mqtt.visitor import Heard, Visitor
from lockd.commands.broker_setup import certificates
from lockd.commands.broker_setup.command import broker_setup
from lockd.commands.broker_setup.passwords import hashed, make_password, with_users
from lockd.commands.broker_setup.plan import BrokerPlan
from lockd.commands.broker_setup.texts import access_list, broker_configuration
from lockd.config import DoorSettings, MqttSettings, Settings, TlsSettings, load
from lockd.errors import BusError, InstallError
from lockd.messages import Topics
from lockd.publishing.home_assistant import config_topic
from tests.brokers import Mosquitto
from tests.conftest import ROOT, free_port
from tests.invoking import invoke
from tests.patience import PATIENCE_S

NOW = datetime(2026, 11, 22, tzinfo=UTC)
FRONT = Topics("lockd", "front")
RECIPE = ROOT / "config" / "mosquitto"


def set_up(out: Path, *options: object) -> Result:
    result = invoke(broker_setup, "--out", out, *options)
    assert result.exit_code == 0, result.output
    return result


def content(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


# What is made


def test_every_secret_is_for_its_owner_alone_and_never_said(tmp_path: Path) -> None:
    out = tmp_path / "broker"
    said = set_up(out, "--door", "front", "--user", "book", "--client-certificates").output
    modes = {
        str(file.relative_to(out)): stat.S_IMODE(file.stat().st_mode)
        for file in out.rglob("*")
        if file.is_file()
    }
    assert stat.S_IMODE(out.stat().st_mode) == 0o700
    assert {name: mode for name, mode in modes.items() if mode != 0o644} == {
        "authority/ca.key": 0o600,
        "broker/broker.key": 0o640,
        "broker/passwords": 0o640,
        "broker/lockd.acl": 0o640,
        "door-front/mqtt-password": 0o600,
        "door-front/client.key": 0o600,
        "user-book/password": 0o600,
        "user-book/client.key": 0o600,
    }
    words = [
        (out / one).read_text().strip()
        for one in ("door-front/mqtt-password", "user-book/password")
    ]
    public = said.encode() + b"".join(
        data for name, data in content(out).items() if not name.endswith("password")
    )
    assert len(set(words)) == 2
    assert not [word for word in words if word.encode() in public]


def test_a_second_run_changes_nothing_and_says_so(tmp_path: Path) -> None:
    set_up(tmp_path, "--door", "front", "--command-user", "porter", "--port", 9883)
    before = content(tmp_path)
    assert "nothing was changed" in set_up(tmp_path).output
    assert content(tmp_path) == before


def test_a_later_run_adds_what_is_new_and_keeps_the_rest(tmp_path: Path) -> None:
    set_up(tmp_path, "--door", "front", "--user", "book", "--host", "localhost")
    before = content(tmp_path)
    (tmp_path / "user-book" / "password").unlink()  # handed out
    set_up(tmp_path, "--door", "back", "--home-assistant", "ha")
    after = content(tmp_path)
    changed = {name for name in before if after.get(name) != before[name]}
    assert changed == {
        "README",
        "setup.json",
        "written.json",
        "broker/lockd.acl",
        "broker/passwords",
        "user-book/password",
    }
    assert "user-book/password" not in after
    assert after["broker/passwords"].startswith(before["broker/passwords"])
    assert {"door-back/lockd-mqtt.yaml", "user-ha/password"} <= set(after)


def test_what_its_owner_edited_stays_and_the_new_one_comes_beside(tmp_path: Path) -> None:
    set_up(tmp_path, "--door", "front", "--host", "localhost")
    acl = tmp_path / "broker" / "lockd.acl"
    edited = acl.read_text() + "user guest\ntopic read lockd/+/availability\n"
    acl.write_text(edited)
    said = set_up(tmp_path, "--door", "back").output
    assert "broker/lockd.acl was edited, so it stays" in said
    assert acl.read_text() == edited
    assert "user lockd-back\n" in (tmp_path / "broker" / "lockd.acl.new").read_text()
    assert "nothing was changed" in set_up(tmp_path).output  # once is enough


def test_a_certificate_is_renewed_only_on_request_by_the_same_authority(tmp_path: Path) -> None:
    set_up(tmp_path, "--door", "front", "--host", "old.lan", "--client-certificates")
    before = content(tmp_path)
    said = set_up(tmp_path, "--host", "new.lan").output
    assert "not for new.lan; --renew-certificate" in said
    assert content(tmp_path)["broker/broker.crt"] == before["broker/broker.crt"]
    set_up(tmp_path, "--renew-certificate")
    after = content(tmp_path)
    renewed = {
        name for name in after if name.endswith((".crt", ".key")) and after[name] != before[name]
    }
    assert renewed == {
        "broker/broker.crt",
        "broker/broker.key",
        "door-front/client.crt",
        "door-front/client.key",
    }
    assert certificates.hosts_of(after["broker/broker.crt"]) == ["new.lan"]


def test_an_authority_whose_key_is_elsewhere_is_missed_only_for_certificates(
    tmp_path: Path,
) -> None:
    set_up(tmp_path, "--door", "front", "--host", "localhost")
    (tmp_path / "authority" / "ca.key").unlink()
    set_up(tmp_path, "--user", "book")
    result = invoke(broker_setup, "--out", tmp_path, "--renew-certificate")
    assert (result.exit_code, "put it back" in result.stderr) == (11, True)


def test_a_certificate_near_its_end_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(certificates, "CERTIFICATE_DAYS", 29)
    set_up(tmp_path, "--host", "localhost")
    assert "ends on" in set_up(tmp_path).output


@pytest.mark.parametrize(
    "options",
    [
        ("--door", "a/b"),
        ("--door", "#"),
        ("--user", "a b"),
        ("--user", "a:b"),
        ("--user", ""),
        ("--user", "lockd-front", "--door", "front"),
        ("--command-user", "../x"),
        ("--host", "a b"),
        ("--host", "-x"),
        ("--base-topic", "a/+"),
        ("--base-topic", "a\nuser x"),
    ],
)
def test_a_name_that_would_mean_something_else_is_refused(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    result = invoke(broker_setup, "--out", tmp_path / "out", *options)
    assert result.exit_code == 11
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_something_else_is_refused(tmp_path: Path) -> None:
    (tmp_path / "setup.json").write_text("{}")
    assert invoke(broker_setup, "--out", tmp_path).exit_code == 11
    with pytest.raises(InstallError, match="not what lockd wrote"):
        BrokerPlan.of_json('{"schema": 1, "hosts": 7}')


# The certificates


def test_the_chain_passes_the_strictest_checks_of_openssl(tmp_path: Path) -> None:
    authority = certificates.make_authority("ours", NOW)
    files = {
        "ca": authority,
        "broker": certificates.issue_broker(authority, ["b.lan", "::1"], NOW),
        "client": certificates.issue_client(authority, "ada", NOW),
    }
    for name, issued in files.items():
        (tmp_path / name).write_bytes(issued.certificate)
    for name, purpose in (("broker", "sslserver"), ("client", "sslclient")):
        command = ["openssl", "verify", "-x509_strict", "-purpose", purpose]
        command += ["-attime", str(int(NOW.timestamp())), "-CAfile", "ca", name]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)


def test_no_certificate_outlives_its_authority() -> None:
    authority = certificates.make_authority("ours", NOW)
    late = NOW + timedelta(days=certificates.AUTHORITY_DAYS - 10)
    issued = certificates.issue_broker(authority, ["localhost"], late)
    ends = certificates.expiry(issued.certificate)
    assert ends == certificates.expiry(authority.certificate)
    parsed = x509.load_pem_x509_certificate(issued.certificate)
    usage = parsed.extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.key_cert_sign) == (True, False)


# The passwords


def test_a_hash_is_the_one_that_mosquitto_passwd_makes(tmp_path: Path) -> None:
    file = tmp_path / "passwords"
    file.write_text("ada:swordfish\n")
    file.chmod(0o600)
    subprocess.run(["mosquitto_passwd", "-U", str(file)], check=True)
    line = file.read_text().strip()
    _, _, iterations, salt, _ = line.removeprefix("ada:").split("$")
    assert f"ada:{hashed('swordfish', base64.b64decode(salt), int(iterations))}" == line


def test_passwords_are_long_and_all_different() -> None:
    words = {make_password() for _ in range(100)}
    assert len(words) == 100
    assert all(len(word) == 32 for word in words)


def test_nobodys_line_in_a_password_file_is_touched() -> None:
    before = "# ours\nada:$7$101$a$b\n"
    after = with_users(before, {"ada": "new", "bob": "word"})
    assert after.startswith(before)
    assert [line.partition(":")[0] for line in after.splitlines()] == ["# ours", "ada", "bob"]


# The recipe


def test_the_recipe_has_a_place_for_every_setting_and_no_other() -> None:
    plan = BrokerPlan(hosts=("b.lan",), doors=("front",), readers=("book",))
    conf = broker_configuration((RECIPE / "lockd.conf").read_text(), plan)
    acl = access_list((RECIPE / "lockd.acl").read_text(), plan)
    assert "$" not in conf + acl
    rules = [line for line in acl.splitlines() if line and not line.startswith("#")]
    assert rules[0] == "user lockd-front"
    assert f"topic write {described('front')}" in rules


# A real broker


class Site:
    """A broker that runs on what was made, and its users."""

    def __init__(self, out: Path, broker: Mosquitto) -> None:
        self.out = out
        self.broker = broker
        self.door = load(out / "door-front" / "lockd-mqtt.yaml").mqtt

    def user(self, name: str, **more: Any) -> MqttSettings:
        """Settings of a user."""
        folder = self.out / f"user-{name}"
        own = (folder / "client.crt").exists()
        tls = TlsSettings(
            ca_file=folder / "ca.crt",
            cert_file=folder / "client.crt" if own else None,
            key_file=folder / "client.key" if own else None,
        )
        return MqttSettings(
            host="localhost",
            port=self.broker.port,
            username=name,
            password_file=folder / "password",
            tls=tls,
        ).model_copy(update=more)


def open_site(folder: Path, *options: str) -> Site:
    out, port = folder / "out", free_port()
    users = ("--user", "book", "--home-assistant", "ha", "--command-user", "porter")
    paths = ("--broker-folder", out / "broker", "--host", "localhost", "--port", port)
    set_up(out, "--door", "front", "--door", "back", *users, *paths, *options)
    broker = Mosquitto(folder, port, include=out / "broker" / "lockd.conf")
    broker.start()
    return Site(out, broker)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = open_site(tmp_path_factory.mktemp("site"))
    yield site
    site.broker.stop()


BACK = Topics("lockd", "back")
STATUS = "homeassistant/status"


def described(door: str) -> str:
    """Where a door describes itself to Home Assistant."""
    return config_topic(Settings(door=DoorSettings(id=door)))


SAID = {
    value for name, value in vars(FRONT).items() if name not in ("root", "command", "plain_command")
}
SAID.add(FRONT.alert("door_forced"))
COMMANDS = {FRONT.command, FRONT.plain_command}
EVERYTHING = sorted(SAID | COMMANDS | {BACK.state, STATUS, described("front"), described("back")})


def may_publish(settings: MqttSettings) -> set[str]:
    """The topics that a user may publish on."""
    allowed = set()
    with Visitor(settings, "test") as visitor:
        for topic in EVERYTHING:
            with contextlib.suppress(BusError):
                visitor.publish(topic, b"x")
                allowed.add(topic)
    return allowed


def test_everybody_may_publish_what_is_theirs_and_nothing_else(site: Site) -> None:
    back = load(site.out / "door-back" / "lockd-mqtt.yaml").mqtt
    assert may_publish(site.door) == SAID | {described("front")}
    assert may_publish(back) == {BACK.state, described("back")}
    assert may_publish(site.user("book")) == set()
    assert may_publish(site.user("porter")) == COMMANDS
    # A Home Assistant empties the entry of a device that its user deletes.
    assert may_publish(site.user("ha")) == {STATUS, described("front"), described("back")}


def test_everybody_hears_doors_but_only_the_door_hears_its_commands(site: Site) -> None:
    back = load(site.out / "door-back" / "lockd-mqtt.yaml").mqtt
    users = {name: site.user(name) for name in ("book", "ha", "porter")}
    with ExitStack() as stack:
        ears = {
            name: stack.enter_context(Visitor(settings, "ear"))
            for name, settings in {"front": site.door, "back": back, **users}.items()
        }
        for ear in ears.values():
            ear.subscribe("#")  # granted, and then filtered
        for speaker in (site.door, back, users["porter"], users["ha"]):
            may_publish(speaker)
        for ear in ears.values():
            ear.subscribe("end")  # what was on its way comes before the answer
        heard = {name: {one.topic for one in ear.messages(0.0)} for name, ear in ears.items()}

    told = SAID | {BACK.state}
    assert heard == {
        "front": COMMANDS | {STATUS},
        "back": {STATUS},
        "book": told,
        "porter": told,
        "ha": told | {STATUS, described("front"), described("back")},
    }


# paho leaves the socket of a handshake that failed to the collector of rubbish.
unclosed = pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")


def stranger(settings: MqttSettings, timeout_s: float = PATIENCE_S) -> str:
    """What somebody is told who is not let in."""
    try:
        with Visitor(settings, "stranger", timeout_s=timeout_s):
            return "let in"
    except BusError as error:
        return str(error)
    finally:
        gc.collect()


@unclosed
@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"username": None, "password_file": None}, "Not authorized"),
        ({"username": "nobody"}, "Not authorized"),
        ({"username": "porter"}, "Not authorized"),  # with book's password
        ({"tls": None}, "no answer"),
        ({"tls": TlsSettings()}, "CERTIFICATE_VERIFY_FAILED"),
        ({"host": "127.0.0.1"}, "mqtt.host to a name"),
    ],
)
def test_strangers_stay_outside_and_impostors_are_noticed(
    site: Site, change: dict[str, Any], said: str
) -> None:
    patience_s = 2.0 if said == "no answer" else PATIENCE_S
    assert said in stranger(site.user("book", **change), patience_s)


@unclosed
def test_with_client_certificates_a_password_alone_is_not_enough(tmp_path: Path) -> None:
    site = open_site(tmp_path, "--client-certificates")
    try:
        book, bare = site.user("book"), TlsSettings(ca_file=site.out / "user-book" / "ca.crt")
        no_password = {"username": None, "password_file": None}
        assert FRONT.state in may_publish(site.door)
        assert stranger(book) == "let in"
        assert stranger(site.user("book", tls=bare)) != "let in"
        assert "Not authorized" in stranger(site.user("book", **no_password))
    finally:
        site.broker.stop()


def test_retained_messages_outlive_a_restart_of_the_broker(site: Site) -> None:
    with Visitor(site.door, "door") as door:
        door.publish(FRONT.state, b"{}", retain=True)
    site.broker.end()
    site.broker.start()
    with Visitor(site.user("book"), "book") as book:
        book.subscribe(FRONT.state)
        assert next(book.messages(PATIENCE_S)) == Heard(FRONT.state, b"{}", True)


def test_mosquitto_takes_the_configuration_without_a_complaint(site: Site) -> None:
    complaints = [
        line
        for line in site.broker.log().splitlines()
        if ("Warning" in line or "Error" in line or "Note" in line) and "run as root" not in line
    ]
    assert [
        line for line in complaints if "disconnected" not in line and "SSL" not in line.upper()
    ] == []
