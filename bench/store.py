"""What many people cost: how large the store is, how long a service needs to read them.

    python -m bench.store [--people 10000] [--templates 5] [--size 256]

Everything is what the service does, without the networks: opening the store and reading
everybody (start); then an administrator's process changes one person (written), and it is
measured from the end of that until the gallery has it (read). The disk's cache is dropped
before the start where that is allowed (root).
"""

from __future__ import annotations

import argparse
import contextlib
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from lockd.adapters.store import Store, Vault
from lockd.adapters.store.rows import changed
from lockd.door.rules import AccessRules
from lockd.identity.gallery import Gallery
from lockd.service.people import People
from lockd.vision.space import Space

MODEL = "0" * 64


def clock() -> Any:
    """Seconds by the clock on the wall, and of this process's work: others may be busy."""
    return np.array([time.perf_counter(), time.process_time()])


def told(seconds: Any) -> str:
    wall, cpu = (one * 1e3 for one in seconds)
    return f"{wall:.1f} ms, {cpu:.1f} ms of work"


def unit_rows(count: int, size: int, seed: int) -> Any:
    rows = np.random.default_rng(seed).standard_normal((count, size), np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def enrol(path: Path, people: int, templates: int, size: int) -> None:
    """Everybody in one transaction: the disk's pace is not what is measured."""
    store = Store.open(path, Vault.beside(path))
    with store.database.transaction():
        for number in range(people):
            person = store.people.make(f"Person {number}")
            rows = unit_rows(templates, size, number)
            store.templates.put(person.id, MODEL, [(row, None, None) for row in rows])
            changed(store.database, person.id)
    store.close()


def roster_of(path: Path, size: int) -> People:
    embedder: Any = SimpleNamespace(space=Space.plain(MODEL, size), size=size)
    return People(lambda create: Store.open(path, Vault.beside(path)), embedder, AccessRules())


def start(path: Path, size: int) -> tuple[Any, People]:
    with contextlib.suppress(OSError):
        Path("/proc/sys/vm/drop_caches").write_text("1")
    began = clock()
    people = roster_of(path, size)
    people.refresh(0.0)
    return clock() - began, people


def change(people: People, store: Store, act: Any) -> Any:
    """A change; and from its end until a people that is asked without a pause has it."""
    began = clock()
    act(store.people)
    done = clock()
    if not people.refresh(time.monotonic()):
        raise AssertionError("the change was not seen")
    return [done - began, clock() - done]


def changes(path: Path, people: People, size: int, count: int) -> dict[str, list[Any]]:
    store = Store.open(path, Vault.beside(path))
    found: dict[str, list[Any]] = {"enrolled": [], "access": [], "disabled": [], "removed": []}
    for number in range(count):
        rows = list(unit_rows(5, size, 10**6 + number))
        name = f"Newcomer {number}"
        for what, act in (
            ("enrolled", lambda p, n=name, r=rows: p.add(n, MODEL, r, by="bench")),
            ("access", lambda p, n=name: p.change_access(n, by="bench", valid_until="2099-12-31")),
            ("disabled", lambda p, k=number: p.set_enabled(f"Person {k}", False, by="bench")),
        ):
            found[what].append(change(people, store, act))
    began = clock()
    removal = store.people.remove("Newcomer 0", by="bench")
    removed = clock() - began
    print(f"remove, verified: {removal.verified}: {told(removed)}")
    began = clock()
    people.refresh(time.monotonic())
    found["removed"].append([removed, clock() - began])
    store.close()
    return found


def search(gallery: Gallery, size: int) -> Any:
    probe = unit_rows(1, size, 7)[0]
    began = clock()
    for _ in range(20):
        gallery.identify(probe, accept=0.5, margin=0.05)
    return (clock() - began) / 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--templates", type=int, default=5)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--changes", type=int, default=40)
    parser.add_argument("--path", type=Path, help="Of a store made before, or to be made.")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.path or Path(folder) / "lockd.db"
        if not path.exists():
            # In a process of its own, so that the memory told is the service's.
            code = (
                "import sys; from pathlib import Path; from bench.store import enrol;"
                f"enrol(Path(sys.argv[1]), {options.people}, {options.templates}, {options.size})"
            )
            subprocess.run([sys.executable, "-c", code, str(path)], check=True)
        print(f"store: {path.stat().st_size / 1e6:.0f} MB")
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        took, people = start(path, options.size)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(f"start: {told(took)}; memory at most {(peak - before) / 1024:.0f} MB more")
        print(f"search: {told(search(people.gallery, options.size))} a face")
        for what, times in changes(path, people, options.size, options.changes).items():
            for kind, values in zip(("written", "read"), np.moveaxis(times, 1, 0), strict=True):
                print(f"change, {what}, {kind}: median {told(np.median(values, axis=0))}")
                print(f"change, {what}, {kind}: longest {told(np.max(values, axis=0))}")
        print(f"search after that: {told(search(people.gallery, options.size))} a face")


if __name__ == "__main__":
    main()
