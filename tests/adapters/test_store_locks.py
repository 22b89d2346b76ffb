"""Several connections of one process to the store, while another process comes and goes."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lockd.adapters.store import Store
from lockd.adapters.store.vault import Vault

# Whoever is the last to close a database folds its journal in and deletes it.
VISITOR = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM people").fetchone()
connection.close()
"""


def opened(folder: Path) -> Store:
    return Store.open(folder / "lockd.db", Vault(folder / "key", may_make=True))


def visit(folder: Path) -> None:
    subprocess.run([sys.executable, "-c", VISITOR, str(folder / "lockd.db")], check=True)


def enrol(store: Store, name: str) -> None:
    store.people.add(name, "m", [np.eye(1, 512, dtype=np.float32)[0]], by="root")


@pytest.mark.parametrize("removals", [1, 3])
def test_somebody_forgotten_by_one_thread_costs_the_others_none_of_their_locks(
    tmp_path: Path, removals: int
) -> None:
    service = opened(tmp_path)
    enrol(service, "Zoe")
    for number in range(removals):
        other = opened(tmp_path)
        enrol(other, f"Person {number}")
        assert other.people.remove(f"Person {number}", by="root").verified
        other.close()
    enrol(service, "Ada")
    visit(tmp_path)
    assert (tmp_path / "lockd.db-wal").exists()  # for the service still uses it
    enrol(service, "Grace")
    service.close()
    visit(tmp_path)
    with sqlite3.connect(tmp_path / "lockd.db") as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM people").fetchone() == (3,)
    connection.close()


def test_no_descriptor_is_left_when_the_last_one_is_closed(tmp_path: Path) -> None:
    def held() -> list[str]:
        links = (one for one in Path("/proc/self/fd").iterdir() if one.is_symlink())
        found = []
        for link in links:
            try:
                found.append(str(link.readlink()))
            except FileNotFoundError:
                continue
        return [one for one in found if "lockd.db" in one]

    stores = [opened(tmp_path), opened(tmp_path)]
    enrol(stores[0], "Ada")
    stores[0].people.remove("Ada", by="root")
    for store in stores:
        store.close()
        store.close()
    assert held() == []
