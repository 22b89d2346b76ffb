"""How much slower enrolling is than looking: a folder of people, both ways, in turns.

    python -m bench.enrolment FOLDER

For each person, their photographs are first only decoded, searched and embedded, and then
enrolled into a store. The turns make the ratio hold on a machine that does other things too.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from pathlib import Path

from enroll.people import Enroller
from lockd.adapters.store import Store, Vault
from lockd.config import Settings
from lockd.recognition.photographs import people_in, read
from lockd.recognition.recogniser import Vision


def look(photos: list[Path], vision: Vision) -> None:
    for photo in photos:
        found = read(photo, vision)
        for face in found.faces[:1]:
            vision.embedder.embed(found.octaves, face)


def main() -> None:
    people = people_in(Path(sys.argv[1])).photographs
    settings = Settings()
    looked = enrolled = 0.0
    accepted = refused = 0
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lockd.db"
        store = Store.open(path, Vault.beside(path))
        enroller = Enroller(settings, store)
        for name, photos in people.items():
            start = time.perf_counter()
            look(photos, enroller.vision)
            middle = time.perf_counter()
            outcome = enroller.add(name, photos, lambda: None)
            enrolled += time.perf_counter() - middle
            looked += middle - start
            accepted += outcome.accepted
            refused += len(outcome.refused)
        size = sum(one.stat().st_size for one in Path(folder).iterdir())
        store.close()
    photos = sum(map(len, people.values()))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{photos} photographs of {len(people)} people: {accepted} accepted, {refused} refused")
    print(f"looking {looked:.1f} s, enrolling {enrolled:.1f} s, a ratio of {looked / enrolled:.2f}")
    print(f"peak memory {peak:.0f} MiB, store {size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
