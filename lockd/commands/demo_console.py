"""The demo's console: a process of its own, with a login that is good for this showing only."""

from __future__ import annotations

import getpass
import importlib.util
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from lockd.config import Settings
from lockd.errors import LockdError
from lockd.paths import CONFIG_VARIABLE
from lockd.remote.roles import Role

USER = "demo"


def with_console(settings: Settings, folder: Path) -> Settings:
    """Return settings with a console on a free port, for whoever runs this.

    Raises:
        LockdError: if what it needs is not installed.
    """
    if importlib.util.find_spec("fastapi") is None:
        raise LockdError("--console needs more: pip install 'lockd[console]'")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    changes = {
        "socket": folder / "console", "user": getpass.getuser(), "port": port, "kiosk": True,
    }  # fmt: skip
    return settings.model_copy(update={"console": settings.console.model_copy(update=changes)})


@contextmanager
def served(settings: Settings, folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Serve the console while within, and say where it is and how to log in."""
    from lockd.web.accounts import Accounts  # noqa: PLC0415

    password = secrets.token_urlsafe(9)
    Accounts(folder / "accounts").add_user(USER, password, Role.ADMINISTRATOR)
    command = [
        sys.executable, "-P", "-m", "lockd", "console", "run",
        "--socket", str(folder / "console"), "--state", str(folder / "accounts"),
    ]  # fmt: skip
    say(
        f"\nIn a browser: [bold]http://127.0.0.1:{settings.console.port}/[/]  "
        f"name {USER}, password {password}\n"
        "The visit is shown again and again; Ctrl-C ends it."
    )
    # For what the console has looked at: each such command reads its configuration by itself.
    file = folder / "lockd.yaml"
    file.write_text(settings.model_dump_json(exclude_defaults=True), "utf-8")
    before = os.environ.get(CONFIG_VARIABLE)
    os.environ[CONFIG_VARIABLE] = str(file)
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
        del os.environ[CONFIG_VARIABLE]
        if before is not None:
            os.environ[CONFIG_VARIABLE] = before
