"""What is written for the service, in another thread."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.store import Store, Vault
from lockd.errors import StoreError
from lockd.service.store_writer import StoreWriter
from tests.patience import PATIENCE_S, eventually


class Bench:
    """A writer, and what it told."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lockd.db"
        Store.open(self.path, Vault.beside(self.path)).close()
        self.writer = StoreWriter(self.open, pause_s=0.0)
        self.told: list[tuple[Any, str | None]] = []
        self.problem: str | None = None

    def open(self) -> Store:
        if self.problem is not None:
            raise StoreError(self.problem)
        return Store.open(self.path, Vault.beside(self.path))

    def done(self, result: Any, error: StoreError | None) -> None:
        self.told.append((result, None if error is None else str(error)))


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path)
    yield bench
    bench.writer.close()


def test_nobody_waits_for_what_is_written(bench: Bench) -> None:
    go_on = threading.Event()
    bench.writer.start()
    bench.writer.submit(lambda store: go_on.wait(PATIENCE_S), bench.done)
    bench.writer.submit(lambda store: store.memory.remember({"denials": 3}), bench.done)
    bench.writer.settle()
    assert bench.told == []
    go_on.set()
    eventually(lambda: bench.writer.settle() or len(bench.told) == 2)
    assert bench.told == [(True, None), (None, None)]
    assert bench.open().memory.recall() == {"denials": 3}


def test_what_came_of_it_is_told_in_the_thread_that_asked(bench: Bench) -> None:
    threads: list[threading.Thread] = []
    woken = threading.Event()
    bench.writer.wake = woken.set
    bench.writer.start()
    bench.writer.submit(
        lambda store: threads.append(threading.current_thread()),
        lambda *_: threads.append(threading.current_thread()),
    )
    assert woken.wait(PATIENCE_S)
    bench.writer.settle()
    assert threads[0].name == "store-writer"
    assert threads[1] is threading.current_thread()


def test_a_store_that_fails_and_comes_back(bench: Bench) -> None:
    bench.problem = "the disk is gone"
    bench.writer.submit(lambda store: 1, bench.done)
    bench.writer.work()
    bench.writer.settle()
    assert (bench.told, bench.writer.problem) == ([(None, bench.problem)], bench.problem)
    bench.problem = None
    bench.writer.submit(lambda store: 2, bench.done)
    bench.writer.work()
    bench.writer.settle()
    assert (bench.told[1:], bench.writer.problem) == ([(2, None)], None)


def test_a_mistake_of_ours_ends_nothing(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    def fail(store: Store) -> None:
        raise ValueError("a mistake")

    bench.writer.submit(fail, bench.done)
    bench.writer.submit(lambda store: 2, bench.done)
    bench.writer.work()
    bench.writer.settle()
    assert bench.told == [(None, "it was not written: a mistake"), (2, None)]
    assert "ValueError" in caplog.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_died_is_replaced_and_its_work_is_told_as_failed(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    def die(store: Store) -> None:
        raise SystemExit

    bench.writer.start()
    bench.writer.submit(die, bench.done)
    bench.writer.submit(lambda store: 2, bench.done)
    with caplog.at_level(logging.CRITICAL):
        eventually(lambda: bench.writer.settle() or len(bench.told) == 2)
    assert bench.told == [(None, "the thread that writes to the store has died"), (2, None)]
    assert "has died" in caplog.text


def test_the_end_waits_for_what_is_to_be_written(bench: Bench) -> None:
    bench.writer.start()
    bench.writer.submit(lambda store: store.memory.remember({"denials": 3}), bench.done)
    bench.writer.close()
    assert bench.told == [(None, None)]
    assert bench.open().memory.recall() == {"denials": 3}
