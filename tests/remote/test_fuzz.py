"""A hundred thousand messages of somebody who means ill: no unlock, no crash, no growth.

`make fuzz` sends them all, `make test` a part.
"""

from __future__ import annotations

import gc
import itertools
import logging
import tracemalloc
from pathlib import Path

import pytest

from lockd.remote.nonces import MOST
from tests.conftest import ROOT
from tests.fakes import unit
from tests.remote.afar import COMMAND, Afar, Message
from tests.remote.fuzzing import Fuzzer
from tests.remote.orders import KEY

A_MOMENT_S = 0.2
"""Between two messages."""
A_GOOD_ONE = 50
"""So many bad ones to a good one."""


@pytest.fixture
def door(tmp_path: Path) -> Afar:
    door = Afar(tmp_path, plain="lock lock-down silence")
    assert door.store is not None
    door.store.people.add("Ada", "model", [unit(1)], by="root")
    # What is measured is not the disk.
    door.store.database.run("PRAGMA synchronous = OFF")
    return door


def send(door: Afar, fuzzer: Fuzzer, count: int) -> int:
    """Send so many, and a good one now and then; return how many results that gave."""
    told = 0
    for number, message in enumerate(itertools.islice(fuzzer.messages(lambda: door.utc), count)):
        if number % A_GOOD_ONE == 0:
            fuzzer.heard.append(door.signed("people"))
            assert door.hear(Message(COMMAND, fuzzer.heard[-1]))[0]["result"] == "ok"
            told += 1
        results = door.hear(message)
        told += len(results)
        assert len(results) <= 1
        assert not results or results[0]["result"] != "ok" or results[0]["by"] == "plain"
        door.results.clear()
        door.told.clear()
        door.pass_time(A_MOMENT_S)
    return told


def memory() -> int:
    """Bytes that Python has for what lockd asked for; others' threads may be about."""
    gc.collect()
    ours = tracemalloc.take_snapshot().filter_traces(
        [tracemalloc.Filter(True, f"{ROOT / 'lockd'}/*")]
    )
    return sum(trace.size for trace in ours.traces)


@pytest.mark.slow
def test_nothing_that_was_not_signed_just_now_does_anything(
    door: Afar, request: pytest.FixtureRequest, caplog: pytest.LogCaptureFixture
) -> None:
    count = request.config.getoption("--fuzzed")
    fuzzer = Fuzzer(1)
    tracemalloc.start()
    # One more would close the time up to its own to all of anna's.
    early = [Message(COMMAND, door.signed("unlock", time=int(door.utc) + 40)) for _ in range(20)]
    with caplog.at_level(logging.ERROR):  # a mistake of ours would be logged so
        told = len(door.hear(*early))
        told += send(door, fuzzer, count // 2)
        before = memory()
        told += send(door, fuzzer, count // 2)
        grown = memory() - before
    tracemalloc.stop()
    assert caplog.records == []
    assert set(door.output.log) <= {"off"}
    assert set(door.done) <= {"silence 600"}
    assert door.store is not None
    (ada,) = door.store.people.all()
    assert (ada.person.name, ada.enabled) == ("Ada", True)
    # The keepsakes of the refused are renewed meanwhile, by some that are larger.
    assert grown < 150_000, f"{grown} bytes more"
    passed_s = count * A_MOMENT_S
    # Of nobody known, of both who have keys, and of plain words: those refused and those obeyed.
    assert told <= 5 + passed_s / 60 + 3 * (10 + passed_s / 5) + 40 + 2 * passed_s
    assert len(door.store.audit.latest(1_000_000)) <= told + passed_s / 60 + 2
    (nonces,) = door.store.database.run("SELECT count(*) FROM nonces").fetchone()
    assert 1 <= nonces <= 2 * MOST  # of two keys, those refused among them
    door.pass_time(100.0)
    # And whoever may is heard as ever.
    door.word(b"LOCK")
    assert door.say("lift") == ("ok", None)
    assert door.say("unlock", KEY) == ("ok", None)
    assert door.output.log[-1] == "on"
    door.close()
