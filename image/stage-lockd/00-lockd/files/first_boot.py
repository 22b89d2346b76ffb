"""Makes a door's configuration of the few words that its owner wrote on the card.

    /usr/lib/lockd/bin/python3 first_boot.py [--boot /boot/firmware]

Reads lockd-setup.yaml there, writes /etc/lockd/lockd.yaml, makes a certificate for the console and
its first administrator, and starts both. lockd-setup.txt says what became of it. Nothing is
started, and the file stays, if there is a mistake in it; else it is overwritten and deleted, for it
has a password in it. Cut short at any moment, it can be run again.
"""

from __future__ import annotations

import argparse
import grp
import os
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from lockd.commands.broker_setup.certificates import issue_broker, make_authority
from lockd.config import load
from lockd.errors import LockdError
from lockd.files import write_over
from lockd.web.accounts import LEAST_PASSWORD

KEYS = ("door", "camera", "relay", "lamp", "broker", "administrator", "password")
LEVELS = {"high": True, "low": False}

Run = Callable[..., None]


class MistakeError(Exception):
    """Something in the file that its owner must mend."""


def configuration(said: Any) -> dict[str, Any]:
    """Return the settings that a file's words stand for.

    Raises:
        MistakeError: naming every mistake.
    """
    if not isinstance(said, dict):
        raise MistakeError("lockd-setup.yaml is empty, or has no `door:`; see docs/image.md")
    relay = said.get("relay") if isinstance(said.get("relay"), dict) else {}
    wrong = [f"{name}: there is no such word here" for name in said if name not in KEYS]
    wrong += [
        f"{name}: is missing"
        for name in ("door", "administrator", "password")
        if not isinstance(said.get(name), str) or not said[name].strip()
    ]
    if said.get("camera") is None:
        wrong.append("camera: is missing; 0, csi or an rtsp:// address")
    if relay.get("level") not in LEVELS:
        wrong.append("relay.level: is high or low, the level that releases the door: measure it")
    if isinstance(said.get("password"), str) and len(said["password"]) < LEAST_PASSWORD:
        wrong.append(f"password: has less than {LEAST_PASSWORD} characters")
    if wrong:
        raise MistakeError("\n".join(wrong))
    folder = "/etc/lockd-console"
    settings: dict[str, Any] = {
        "door": {"id": identifier(said["door"]), "name": said["door"].strip()},
        "camera": {"source": said["camera"]},
        "relay": {"pin": relay.get("pin", 17), "active_high": LEVELS[relay["level"]]},
        "console": {
            "host": "0.0.0.0",  # noqa: S104  # with a certificate
            "certificate": f"{folder}/console.crt",
            "key": f"{folder}/console.key",
        },
    }
    if said.get("lamp") is not None:
        settings["signals"] = {"led": {"pin": said["lamp"]}}
    if said.get("broker") is not None:
        settings["mqtt"] = {"host": said["broker"]}
    return settings


def identifier(name: str) -> str:
    """Return what a door of this name is called in topics."""
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_") or "door"


def set_up(boot: Path, root: Path, run: Run) -> str:
    """Do all of it, and return what its owner is to know.

    Args:
        boot: where the file is.
        root: `/`, or a folder that stands for it.
        run: a program with its arguments, and `input=` for it.

    Raises:
        MistakeError: if the file has mistakes; then nothing was changed.
    """
    file = boot / "lockd-setup.yaml"
    try:
        said = yaml.safe_load(file.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise MistakeError(f"lockd-setup.yaml: {error}") from error
    settings = configuration(said)
    text = (
        "# Made of the card's lockd-setup.yaml. Every other setting, and what it means:\n"
        "# /usr/lib/lockd/share/lockd/config/lockd.yaml\n"
        f"{yaml.safe_dump(settings, sort_keys=False, allow_unicode=True)}"
    )
    _judge(text)
    place = root / "etc/lockd/lockd.yaml"
    write_over(place, text.encode(), mode=0o640, gid=_group("lockd"), as_owner=False)
    run("lockd", "install", "--console")
    _certify(boot, root / "etc/lockd-console")
    user = said["administrator"].strip()
    new = ("console", "user", "add", user, "--role", "administrator")
    try:
        run("lockd", *new, input=said["password"])
    except subprocess.CalledProcessError:  # cut short, and run again
        run("lockd", "console", "user", "passwd", user, input=said["password"])
    run("systemctl", "enable", "--now", "lockd.service", "lockd-console.service")
    file.write_bytes(b"#" * file.stat().st_size)
    os.sync()
    file.unlink()
    return (
        f"The door is set up. Its console: https://{_host()}.local:8443/, for {user}.\n"
        "lockd-authority.crt is what your telephone and browsers must trust for it. On the door\n"
        "itself `sudo lockd doctor` looks at camera, relay and all the rest.\n"
    )


def _judge(text: str) -> None:
    with tempfile.NamedTemporaryFile("w", suffix=".yaml", encoding="utf-8") as draft:
        draft.write(text)
        draft.flush()
        try:
            load(Path(draft.name))
        except LockdError as error:
            raise MistakeError(str(error).replace(draft.name, "lockd-setup.yaml")) from error


def _certify(boot: Path, folder: Path) -> None:
    """Make an authority and a certificate, unless they are there."""
    if (folder / "console.key").exists():
        return
    now = datetime.now(UTC)
    host = _host()
    authority = make_authority(f"lockd console of {host}", now)
    issued = issue_broker(authority, [f"{host}.local", host], now)
    (boot / "lockd-authority.crt").write_bytes(authority.certificate)
    group = _group("lockd-console")
    for name, content in (("console.crt", issued.certificate), ("console.key", issued.key)):
        write_over(folder / name, content, mode=0o640, gid=group, as_owner=False)


def _host() -> str:
    return socket.gethostname().partition(".")[0]


def _group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        return -1


def _run(*command: str, input: str | None = None) -> None:  # noqa: A002  # as subprocess has it
    subprocess.run(command, input=input, text=True, check=True)


def main() -> int:
    """Set up, and leave word beside the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--boot", type=Path, default=Path("/boot/firmware"))
    boot = parser.parse_args().boot
    try:
        told, code = set_up(boot, Path("/"), _run), 0
    except MistakeError as error:
        told, code = f"Not set up. Mend lockd-setup.yaml and start again:\n{error}\n", 1
    except (OSError, LockdError, subprocess.CalledProcessError) as error:
        told, code = f"Not set up; starting again tries once more: {error}\n", 1
    (boot / "lockd-setup.txt").write_text(told, "utf-8")
    print(told, end="")
    return code


if __name__ == "__main__":
    sys.exit(main())
