"""The card's first start: a few words of its owner become a door, or nothing does."""

from __future__ import annotations

import importlib.util
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockd.config import load
from lockd.paths import PACKAGE
from tests.conftest import ROOT
from tests.test_systemd import directives
from tests.test_typed import mistake

STAGE = ROOT / "image/stage-lockd/00-lockd"
FILES = STAGE / "files"
PASSWORD = "correct horse battery"
_spec = importlib.util.spec_from_file_location("first_boot", FILES / "first_boot.py")
assert _spec is not None
assert _spec.loader is not None
first_boot = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(first_boot)


class Card:
    """A boot partition, a system, and which programs were run on it."""

    def __init__(self, folder: Path, **changed: Any) -> None:
        self.boot, self.root = folder / "boot", folder / "root"
        self.boot.mkdir()
        for one in ("lockd", "lockd-console"):
            (self.root / "etc" / one).mkdir(parents=True)
        said = yaml.safe_load((FILES / "lockd-setup.yaml").read_text("utf-8"))
        said["relay"]["level"] = "low"
        said |= {"password": PASSWORD, **changed}
        self.file = self.boot / "lockd-setup.yaml"
        self.file.write_text(yaml.safe_dump(said))
        self.ran: list[str] = []
        self.fed: list[str | None] = []
        self.fails = ""

    def run(self, *command: str, input: str | None = None) -> None:  # noqa: A002
        words = " ".join(command)
        if self.fails and self.fails in words:
            raise subprocess.CalledProcessError(1, command)
        self.ran.append(words)
        self.fed.append(input)

    def set_up(self) -> str:
        return str(first_boot.set_up(self.boot, self.root, self.run))

    @property
    def settings(self) -> Path:
        return self.root / "etc/lockd/lockd.yaml"


def test_an_owners_words_become_a_door_and_the_password_is_gone(tmp_path: Path) -> None:
    card = Card(tmp_path, door="Side door", broker="192.0.2.4")
    said = card.set_up()

    settings = load(card.settings)
    assert (settings.door.id, settings.door.name) == ("side_door", "Side door")
    assert (settings.relay.pin, settings.relay.active_high) == (17, False)
    assert settings.signals.led is not None
    assert settings.mqtt.host == "192.0.2.4"
    assert card.ran[-1].startswith("systemctl enable --now lockd.service")
    assert PASSWORD in card.fed
    assert all(mistake(one) is None for one in card.ran if one.startswith("lockd"))
    assert ".local:8443" in said
    assert not card.file.exists()
    assert not any(PASSWORD in one.read_text() for one in tmp_path.rglob("*") if one.is_file())


def test_the_consoles_certificate_is_one_that_browsers_take(tmp_path: Path) -> None:
    card = Card(tmp_path)
    card.set_up()

    folder = card.root / "etc/lockd-console"
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(folder / "console.crt", folder / "console.key")
    assert (folder / "console.key").stat().st_mode & 0o007 == 0
    trust = ssl.create_default_context(cafile=str(card.boot / "lockd-authority.crt"))
    assert trust.get_ca_certs()
    settings = load(card.settings)
    assert settings.console.encrypted


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"relay": {"pin": 17, "level": None}}, "relay.level: is high or low"),
        ({"relay": None}, "relay.level"),
        ({"relay": {"pin": 99, "level": "high"}}, "relay.pin"),
        ({"password": "short"}, "password: has less than 10"),
        ({"password": None}, "password: is missing"),
        ({"door": "  "}, "door: is missing"),
        ({"camera": None}, "camera: is missing"),
        ({"camera": "ftp://x"}, "camera"),
        ({"lamb": 3}, "lamb: there is no such word"),
    ],
)
def test_a_mistake_is_named_and_nothing_was_changed(
    changed: dict[str, Any], told: str, tmp_path: Path
) -> None:
    card = Card(tmp_path, **changed)
    with pytest.raises(first_boot.MistakeError, match=told) as caught:
        card.set_up()
    assert PASSWORD not in str(caught.value)
    assert card.file.exists()
    assert not card.settings.exists()
    assert not card.ran


@pytest.mark.parametrize("text", ["", "- a\n", "door: [\n", "door: \x80"])
def test_a_file_that_says_nothing_sets_up_nothing(text: str, tmp_path: Path) -> None:
    card = Card(tmp_path)
    card.file.write_text(text, "latin-1")
    with pytest.raises(first_boot.MistakeError):
        card.set_up()
    assert not card.ran


@pytest.mark.parametrize("at", ["lockd install", "lockd console user add", "systemctl"])
def test_cut_short_anywhere_it_can_be_run_again(at: str, tmp_path: Path) -> None:
    card = Card(tmp_path)
    card.fails = at
    if at == "lockd console user add":  # who is there already gets the password
        card.set_up()
        assert any("user passwd" in one for one in card.ran)
        return
    with pytest.raises(subprocess.CalledProcessError):
        card.set_up()
    assert card.file.exists(), "it is needed once more"
    card.fails = ""
    card.set_up()
    assert not card.file.exists()


def test_the_files_that_the_stage_puts_in_place_are_there_and_fit() -> None:
    script = (STAGE / "01-run.sh").read_text("utf-8")
    for file in FILES.iterdir():
        assert f"files/{file.name}" in script
    unit = directives((FILES / "lockd-setup.service").read_text("utf-8"))
    (program,) = unit["Service.ExecStart"]
    assert program.startswith(f"{PACKAGE}/bin/python3 ")
    assert program.split()[-1].rpartition("/")[0] in script
    (there,) = unit["Unit.ConditionPathExists"]
    assert there == "/boot/firmware/lockd-setup.yaml"


@pytest.mark.skipif(shutil.which("shellcheck") is None, reason="no shellcheck here")
def test_the_shell_scripts_are_sound() -> None:
    scripts = [*ROOT.glob("image/**/*.sh"), ROOT / "image/config", *ROOT.glob("tools/*.sh")]
    scripts += [
        ROOT / "debian" / name for name in ("bracket", "preinst", "prerm", "postinst", "postrm")
    ]
    done = subprocess.run(
        ["shellcheck", "--severity=warning", *scripts], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
