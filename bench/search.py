"""How long it takes to look through very many templates, and in how much memory.

    python -m bench.search --people 5000 --templates 20

The same store, read in one process as it always was and in another as levels
(`lockd.identity.large`); each looks for the same faces: of people, somewhat changed, and of
strangers. Ratios are what counts: both run on the same machine, one after the other.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from lockd.adapters.machine import memory_mb
from lockd.adapters.store import Details, Store, Vault
from lockd.identity.gallery import Gallery
from lockd.types import Floats
from lockd.vision.space import Space

MODEL = "bench"
ACCEPT, MARGIN = 0.41, 0.04


def units(rows: Floats) -> Floats:
    made: Floats = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return made


def templates_of(person: int, count: int, size: int) -> Floats:
    """Templates as like each other as those of one person are: about 0.7."""
    chance = np.random.default_rng(person)
    centre = chance.normal(size=(1, size))
    return units((centre + 0.65 * chance.normal(size=(count, size))).astype(np.float32))


def make(path: Path, people: int, templates: int, size: int) -> None:
    store = Store.open(path, Vault.beside(path), copy=True)  # no generation to be written down
    store.database.run("PRAGMA synchronous = OFF")
    for one in range(people):
        vectors = list(templates_of(one, templates, size))
        store.people.put(
            f"Person {one}", [MODEL] * templates, vectors, by="bench", photographs=(),
            details=Details(), enabled=True,
        )  # fmt: skip
    store.close()


def look(path: Path, size: int, people: int, *, compact: bool) -> None:
    """Read the store, look for everybody's faces, and print what that took."""
    store = Store.open_read_only(path, Vault.beside(path))
    before = memory_mb() or 0.0
    began = time.perf_counter()
    reading = store.gallery.read(Space.plain(MODEL, size), compact=compact)
    gallery = Gallery((), size).updated(reading.faces, ())
    read_s = time.perf_counter() - began
    del reading
    chance = np.random.default_rng(1)
    probes = [templates_of(one, 1, size)[0] for one in chance.integers(0, people, 100)]
    probes += list(units(chance.normal(size=(100, size)).astype(np.float32)))
    gallery.identify(probes[0], accept=ACCEPT, margin=MARGIN)
    gallery.screen(probes[0][: size // 2], accept=ACCEPT)
    after = memory_mb() or 0.0
    times, busy, said = [], [], []
    for probe in probes:
        began, worked = time.perf_counter(), time.process_time()
        match = gallery.identify(probe, accept=ACCEPT, margin=MARGIN)
        times.append(time.perf_counter() - began)
        busy.append(time.process_time() - worked)
        said.append([match.person and match.person.id, match.similarity, match.runner_up])
    faces = gallery.parts[0].faces
    kept = faces.kept.levels if hasattr(faces, "kept") else faces.matrix
    print(
        json.dumps(
            {
                "read_s": read_s,
                "arrays_mb": kept.nbytes / 1e6,
                "process_mb": after - before,
                "median_ms": sorted(times)[len(times) // 2] * 1e3,
                "fastest_ms": min(times) * 1e3,
                "processor_ms": sorted(busy)[len(busy) // 2] * 1e3,
                "said": said,
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=5000)
    parser.add_argument("--templates", type=int, default=20)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--look", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--compact", action="store_true", help=argparse.SUPPRESS)
    wanted = parser.parse_args()
    if wanted.look is not None:
        look(wanted.look, wanted.size, wanted.people, compact=wanted.compact)
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lockd.db"
        make(path, wanted.people, wanted.templates, wanted.size)
        print(f"{wanted.people * wanted.templates} templates of {wanted.size} numbers")
        for _ in range(wanted.rounds):
            found = {}
            for mode in ("floats", "levels"):
                command = [sys.executable, "-m", "bench.search", "--look", str(path)]
                command += ["--people", str(wanted.people), "--size", str(wanted.size)]
                command += ["--compact"] if mode == "levels" else []
                found[mode] = json.loads(subprocess.check_output(command))
            report(found["floats"], found["levels"])


def report(floats: dict[str, object], levels: dict[str, object]) -> None:
    said = list(zip(floats.pop("said"), levels.pop("said"), strict=True))  # type: ignore[call-overload]
    same = sum(a[0] == b[0] for a, b in said)
    off = max(max(abs(a[1] - b[1]), abs(a[2] - b[2])) for a, b in said)
    print(f"same answers: {same} of {len(said)}; similarities within {off:.1e}")
    for name, value in floats.items():
        ratio = float(levels[name]) / float(value)  # type: ignore[arg-type]
        print(f"  {name:12} floats {value:9.2f}   levels {levels[name]:9.2f}   {ratio:.2f}")


if __name__ == "__main__":
    main()
