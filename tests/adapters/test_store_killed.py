"""Kill -9 at any moment leaves the old state or the new one, and nobody half enrolled.

A process changes a store without a pause and says what it is about to do and what it has
done; it is killed after a random while. Whatever it said was done is there, what it was
about to do is there whole or not at all, and everything opens.
"""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from lockd.adapters.store import Store, Vault, restore
from tests.fakes import unit
from tests.patience import PATIENCE_S, running

MODEL = "fingerprint"
TEMPLATES = 4

WRITER = """
import itertools, sys
from pathlib import Path
from lockd.adapters.store import Details, Store, Vault
from tests.fakes import unit

path, start = Path(sys.argv[1]), int(sys.argv[2])
store = Store.open(path, Vault.beside(path))

def say(*words):
    sys.stdout.write(" ".join(map(str, words)) + "\\n")
    sys.stdout.flush()

say("open")
for number in itertools.count(start):
    name = f"Person {number}"
    say("adding", number)
    store.people.add(
        name, "fingerprint", [unit(number + 1, place + 1) for place in range(4)], by="writer",
        photographs=[name.encode() * 500] * 4, details=Details(external_id=f"id {number}"),
    )
    say("added", number)
    if number % 3 == 0:
        say("removing", number)
        store.people.remove(name, by="writer")
        say("removed", number)
"""


def run_and_kill(path: Path, start: int, chance: random.Random) -> list[tuple[str, int]]:
    """What a writer said before it was killed."""
    command = (sys.executable, "-c", WRITER, path, start)
    with running(*command, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "open\n"
        lines = [writer.stdout.readline() for _ in range(chance.randrange(6))]
        time.sleep(chance.uniform(0, 0.03))
        writer.kill()
        lines += writer.stdout.readlines()
        assert writer.wait() == -signal.SIGKILL
    said = [line.split() for line in lines]
    return [(line[0], int(line[1])) for line in said if len(line) == 2]


def judge(path: Path, said: list[tuple[str, int]], before: set[int]) -> set[int]:
    """The numbers of those who are enrolled, once it is sure that they should be."""
    with closing(Store.open(path, Vault.beside(path))) as store:
        assert store.care.examine() == []
        assert [one.templates for one in store.people.all() if one.templates != TEMPLATES] == []
        found = set()
        for one in store.people.all():
            number = int(one.person.name.split()[1])
            found.add(number)
            assert one.details.external_id == f"id {number}"
            assert len(store.templates.photographs(one.person.name)) == TEMPLATES
        trail = {(one.action, one.person_id) for one in store.audit.latest(10**6)}
        assert {("add", one.person.id) for one in store.people.all()} <= trail
        assert len([action for action, _ in trail if action == "add"]) == len(found) + len(
            [action for action, _ in trail if action == "remove"]
        )
    expected, open_question = set(before), None
    for what, number in said:
        open_question = number if what.endswith("ing") else None
        if what == "added":
            expected.add(number)
        elif what == "removed":
            expected.discard(number)
    unsure = {open_question} - {None}
    assert found - unsure == expected - unsure
    return found


def kill_writers(folder: Path, times: int, seed: int) -> None:
    path, chance = folder / "lockd.db", random.Random(seed)
    enrolled: set[int] = set()
    start = changed = 0
    for _ in range(times):
        said = run_and_kill(path, start, chance)
        enrolled = judge(path, said, enrolled)
        changed += len(said)
        start = max([start - 1, *(number for _, number in said), *enrolled]) + 1
    assert changed, "killed before they did anything"


def test_writers_killed_at_random_moments_leave_nothing_half_done(tmp_path: Path) -> None:
    kill_writers(tmp_path, 10, seed=1)


@pytest.mark.kills
def test_three_hundred_writers_killed_at_random_moments(tmp_path: Path) -> None:
    kill_writers(tmp_path, 320, seed=int(time.time()))


# A change of another kind in each process: forked, and killed at the next line each time.
KILLED = """
import os, shutil, signal, sys
from pathlib import Path
from lockd.adapters.store import Store, Vault, restore
from tests.fakes import unit

old, what = Path(sys.argv[1]), sys.argv[2]
lines = 0

def change(path):
    vault = Vault.beside(path)
    if what == "restore":
        restore(path, old.parent.parent / "backup", vault, by="root")
        return
    store = Store.open(path, vault)
    if what == "merge":
        store.people.merge("Grace", "Ada", by="root")
    elif what == "vacuum":
        store.care.vacuum()
    else:
        store.people.remove("Grace", by="root")
    store.close()

def tracer(frame, event, _):
    global lines
    if "adapters/store/" not in frame.f_code.co_filename:
        return None
    if event == "line":
        lines += 1
        if lines == last:
            os.kill(os.getpid(), signal.SIGKILL)
    return tracer

last, ended, step = 0, False, int(sys.argv[3])
while not ended:
    last += step
    folder = old.parent.parent / f"killed-{last}"
    shutil.copytree(old.parent, folder)
    child = os.fork()
    if child == 0:
        sys.settrace(tracer)
        change(folder / old.name)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    ended = not os.WIFSIGNALED(status)
    assert ended or os.WTERMSIG(status) == signal.SIGKILL
print(last)
"""
ADA, GRACE, EVE = ("Ada", 2), ("Grace", 3), ("Eve", 1)


@pytest.mark.parametrize(
    ("what", "step", "after"),
    [
        pytest.param("merge", 13, [("Ada", 5)], marks=pytest.mark.thorough),
        ("remove", 13, [ADA]),
        pytest.param("restore", 61, [EVE], marks=pytest.mark.thorough),
        pytest.param("vacuum", 13, [ADA, GRACE], marks=pytest.mark.thorough),
    ],
)
def test_other_changes_killed_at_many_lines_of_them_are_done_or_not_begun(
    tmp_path: Path, what: str, step: int, after: list[tuple[str, int]]
) -> None:
    def enrol(path: Path, *people: tuple[str, int]) -> Store:
        store = Store.open(path, Vault.beside(path))
        for place, (name, count) in enumerate(people):
            store.people.add(name, MODEL, [unit(place + 1, one) for one in range(count)], by="root")
        return store

    path = tmp_path / "state" / "lockd.db"
    with closing(enrol(path, EVE)) as other:
        other.care.backup(tmp_path / "backup", by="root")
    for file in path.parent.glob("lockd.db*"):
        file.unlink()
    enrol(path, ADA, GRACE).close()
    command = [sys.executable, "-c", KILLED, str(path), what, str(step)]
    run = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=5 * PATIENCE_S
    )
    assert run.returncode == 0, run.stderr
    found = []
    for number in range(step, int(run.stdout) + 1, step):
        killed = tmp_path / f"killed-{number}" / path.name
        with closing(Store.open(killed, Vault.beside(killed))) as store:
            assert store.care.examine() == []
            people = [(one.person.name, one.templates) for one in store.people.all()]
        found.append(people == after)
        assert people in (after, [ADA, GRACE])
    assert found == sorted(found), "once it is done it stays done"
    assert found[-1]
    assert len(found) > 4
    again = tmp_path / f"killed-{step}" / path.name
    restore(again, tmp_path / "backup", Vault.beside(again), by="root")
