"""What every command shares."""

from __future__ import annotations

import os
import signal
import threading

import pytest
from rich.markup import escape
from rich.table import Table

from lockd.console import print_table, signals_heard
from tests.patience import PATIENCE_S

TIME, NAME = "2026-03-01T08:15:02Z", "Zoë Maria Fernández de la Montaña"
NOTE = "anyway: twins [both] who look alike and were enrolled on one day, 6d1e2c60b0f54c5f"


def test_a_signal_is_heard_by_a_thread_of_its_own_and_others_stay_as_they_were() -> None:
    heard: list[str] = []
    both = threading.Event()

    def note() -> None:
        heard.append(threading.current_thread().name)
        if len(heard) == 2:
            both.set()

    before = signal.getsignal(signal.SIGUSR2)
    with signals_heard({signal.SIGUSR1: note, signal.SIGHUP: note}):
        os.kill(os.getpid(), signal.SIGUSR1)
        os.kill(os.getpid(), signal.SIGHUP)
        assert both.wait(PATIENCE_S)
    assert heard == ["signal-listener"] * 2
    assert signal.getsignal(signal.SIGUSR2) == before
    assert signal.set_wakeup_fd(-1) == -1


def printed(capsys: pytest.CaptureFixture[str], rows: int = 1) -> list[str]:
    table = Table("Time (UTC)", "By", "Action", "Person", "Note", "Nothing")
    for _ in range(rows):
        table.add_row(TIME, "mqtt:anna", "change_access", NAME, escape(NOTE), "")
    print_table(table, "Time (UTC)", "Person")
    return capsys.readouterr().out.splitlines()


def test_a_table_that_goes_elsewhere_is_never_cut(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    (row,) = [line for line in printed(capsys) if "anna" in line]
    for part in (TIME, "mqtt:anna", "change_access", NAME, NOTE):
        assert part in row


@pytest.mark.parametrize("columns", [20, 40, 60, 80, 100, 120, 200])
def test_on_a_terminal_times_and_names_are_whole_and_every_word_is_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    lines = printed(capsys, rows=2)
    assert sum(TIME in line for line in lines) == 2
    assert sum(NAME in line for line in lines) == 2
    words = " ".join(lines).split()
    assert all(words.count(word) >= 2 for word in NOTE.split())
    drawn = [line for line in lines if "│" in line]
    assert all(len(line) <= columns for line in drawn)
    assert bool(drawn) is (columns >= 120)
