"""A change of people whose process is killed before its generation is known outside the store."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

PLACES = ("store.witness.alone_in", "store.witness.write_over", "store.vault.Vault.seal")
"""Where it is killed, each after the change is committed."""

_CODE = """
import os, sys
from pathlib import Path
from unittest import mock

from lockd.adapters.store import Store, Vault

path, where, action, name, *values = sys.argv[1:]
store = Store.open(Path(path), Vault.beside(Path(path)))
committed = store.database.roll.committed


def kill(*_, **__):
    os.kill(os.getpid(), 9)


def cut():
    with mock.patch(f"lockd.adapters.{where}", kill):
        committed()


store.database.roll.committed = cut
getattr(store.people, action)(name, *values, by="root")
"""


def killed_after(path: Path, where: str, *change: str) -> None:
    """Have a process change people, and kill it in one of `PLACES`.

    Args:
        path: to the store.
        change: the method of its people, a name, and what else it takes.
    """
    ended = subprocess.run([sys.executable, "-c", _CODE, path, where, *change], check=False)
    assert ended.returncode == -signal.SIGKILL
