"""Make what a broker, its doors and its users need; a second time, only what is missing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from lockd.commands.broker_setup import certificates, texts
from lockd.commands.broker_setup.certificates import Issued
from lockd.commands.broker_setup.folder import PUBLIC, SECRET, SHARED, Folder
from lockd.commands.broker_setup.passwords import make_password, users_in, with_users
from lockd.commands.broker_setup.plan import BrokerPlan, door_user
from lockd.errors import InstallError
from lockd.paths import shipped

PLAN = "setup.json"
_SOON = timedelta(days=30)


def plan_in(out: Path) -> BrokerPlan:
    """Return what a folder was set up for so far; nothing yet for a new one.

    Raises:
        InstallError: if it cannot be read.
    """
    try:
        return BrokerPlan.of_json((out / PLAN).read_text("utf-8"))
    except FileNotFoundError:
        return BrokerPlan()
    except OSError as error:
        raise InstallError(f"{out / PLAN}: {error.strerror}") from error


def set_up(
    out: Path, plan: BrokerPlan, *, renew: bool = False, say: Callable[[str], None] = print
) -> None:
    """Make or complete a folder with everything that a broker is set up with.

    Args:
        plan: whom and what for; with at least one host.
        renew: make new certificates for the broker and its clients, by the same authority.
        say: told of every change.

    Raises:
        InstallError: naming what cannot be read, written or signed.
    """
    folder = Folder(out, say)
    now = datetime.now(UTC)
    folder.put(PLAN, plan.as_json(), PUBLIC)
    authority = _Authority(folder, now)
    _certify_broker(folder, authority, plan, renew, say)
    for name, where in _clients(plan):
        folder.put(f"{where}/ca.crt", authority.certificate, PUBLIC)
        if plan.client_certificates and (renew or not folder.has(f"{where}/client.crt")):
            issued = certificates.issue_client(authority.issuer(), name, now)
            _put_issued(folder, issued, f"{where}/client", SECRET)
    _give_passwords(folder, plan)
    _write_texts(folder, plan)


class _Authority:
    """The authority of a folder, made at the first time; its key may be elsewhere since."""

    def __init__(self, folder: Folder, now: datetime) -> None:
        self._folder = folder
        if not folder.has("authority/ca.crt"):
            made = certificates.make_authority(f"lockd authority {now:%Y-%m-%d}", now)
            folder.put("authority/ca.key", made.key, SECRET)
            folder.put("authority/ca.crt", made.certificate, PUBLIC)
        self.certificate = folder.read("authority/ca.crt") or b""

    def issuer(self) -> Issued:
        key = self._folder.read("authority/ca.key")
        if key is None:
            raise InstallError(
                "authority/ca.key is not there; put it back for as long as certificates are made"
            )
        return Issued(self.certificate, key)


def _certify_broker(
    folder: Folder, authority: _Authority, plan: BrokerPlan, renew: bool, say: Callable[[str], None]
) -> None:
    now = datetime.now(UTC)
    folder.put("broker/ca.crt", authority.certificate, PUBLIC)
    there = folder.read("broker/broker.crt")
    if there is None or renew:
        issued = certificates.issue_broker(authority.issuer(), plan.hosts, now)
        _put_issued(folder, issued, "broker/broker", SHARED)
        say(f"the broker's certificate is for {', '.join(plan.hosts)}")
        return
    missing = set(plan.hosts) - set(certificates.hosts_of(there))
    if missing:
        say(
            f"the broker's certificate is not for {', '.join(sorted(missing))}; "
            "--renew-certificate makes one that is"
        )
    until = certificates.expiry(there)
    if until - now < _SOON:
        say(f"the broker's certificate ends on {until:%Y-%m-%d}; renew it: --renew-certificate")


def _put_issued(folder: Folder, issued: Issued, stem: str, mode: int) -> None:
    folder.put(f"{stem}.key", issued.key, mode)
    folder.put(f"{stem}.crt", issued.certificate, PUBLIC)


def _clients(plan: BrokerPlan) -> Iterator[tuple[str, str]]:
    """Everybody who logs in: the name, and the folder of what is theirs."""
    yield from ((door_user(door), f"door-{door}") for door in plan.doors)
    yield from ((user, f"user-{user}") for user in plan.users())


def _give_passwords(folder: Folder, plan: BrokerPlan) -> None:
    """Give a password to everybody who has none; one handed out already may be gone from here."""
    hashes = folder.text("broker/passwords") or ""
    words = {}
    for name, where in _clients(plan):
        file = f"{where}/{'mqtt-password' if where.startswith('door-') else 'password'}"
        if name in users_in(hashes):
            continue
        kept = folder.text(file)
        words[name] = make_password() if kept is None else kept.strip()
        folder.put(file, words[name] + "\n", SECRET)
    folder.put("broker/passwords", with_users(hashes, words), SHARED)


def _write_texts(folder: Folder, plan: BrokerPlan) -> None:
    conf, acl, readme = (
        shipped(f"config/mosquitto/{name}").read_text("utf-8")
        for name in ("lockd.conf", "lockd.acl", "README")
    )
    folder.put_generated("broker/lockd.conf", texts.broker_configuration(conf, plan), PUBLIC)
    folder.put_generated("broker/lockd.acl", texts.access_list(acl, plan), SHARED)
    for door in plan.doors:
        file = f"door-{door}/lockd-mqtt.yaml"
        folder.put_generated(file, texts.door_settings(plan, door), PUBLIC)
    folder.put("README", texts.instructions(readme, plan), PUBLIC)
