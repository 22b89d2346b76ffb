"""Enrolling for somebody who is elsewhere: a child process that may say and do anything."""

from __future__ import annotations

import ctypes
import os
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from lockd.remote.outcome import CommandProgress
from lockd.service.remote_enrolment import CONFIRM_S, RemoteEnrolments
from tests.patience import eventually

Make = Callable[..., RemoteEnrolments]


@pytest.fixture
def enrolments() -> Iterator[Make]:
    """Makes them of a program; it is given the name, on its standard input."""
    made: list[RemoteEnrolments] = []

    def make(program: str, **how: Any) -> RemoteEnrolments:
        command = [sys.executable, "-c", textwrap.dedent(program)]
        made.append(RemoteEnrolments(command, **how))
        return made[-1]

    yield make
    for one in made:
        one.close()


def all_of(enrolments: RemoteEnrolments, now: float = 0.0) -> list[CommandProgress]:
    """Everything until it is over."""
    found: list[CommandProgress] = []

    def over() -> bool:
        found.extend(enrolments.news(now))
        return bool(found and found[-1].over)

    eventually(over)
    return found


def readers() -> list[threading.Thread]:
    """The threads that take in what a child says."""
    return [one for one in threading.enumerate() if one.name == "enrolling"]


def details(news: list[CommandProgress]) -> list[dict[str, Any]]:
    return [dict(one.outcome.details) for one in news]


def test_progress_and_then_what_came_of_it(enrolments: Make) -> None:
    one = enrolments(
        """
        import json, os, sys
        print(json.dumps({"hint": "nobody", "taken": 0, "of": 8}), flush=True)
        assert os.environ["LOCKD_ON_BEHALF_OF"] == "mqtt:anna"
        print("no JSON at all")
        terms = ["--unconfirmed", "--valid-until", "2026-12-31T17:00"]
        assert sys.argv[1:] == [*terms, "--timeout", "120", "-"]
        name = sys.stdin.readline().strip()
        print(json.dumps([{"name": name, "accepted": 8, "refused": []}]))
        assert (name, sys.stdin.read()) == ("Ada", "")
        """
    )
    valid = (None, "2026-12-31T17:00")
    assert one.start("x7", "Ada", "mqtt:anna", 0.0, valid=valid) is None
    news = all_of(one)
    assert {(each.id, each.command, each.by) for each in news} == {("x7", "enrol", "mqtt:anna")}
    assert details(news) == [
        {"stage": "progress", "hint": "nobody", "taken": 0, "of": 8},
        {"stage": "finished", "accepted": 8, "refused": 0},
    ]
    assert news[-1].outcome.reason is None
    assert one.news(0.0) == []


@pytest.mark.parametrize(
    ("code", "reason"),
    [(8, "pictures"), (12, "camera"), (5, "store"), (1, "failed"), (0, "failed")],
)
def test_why_nobody_was_enrolled(enrolments: Make, code: int, reason: str) -> None:
    one = enrolments(f"raise SystemExit({code})")
    one.start("x7", "Ada", "mqtt:anna", 0.0)
    (news,) = all_of(one)
    assert news.outcome.reason == reason
    assert news.outcome.details == {"stage": "finished", "accepted": 0, "refused": 0}


def test_one_at_a_time_and_afterwards_another(enrolments: Make) -> None:
    one = enrolments("pass")
    assert one.start("x7", "Ada", "mqtt:anna", 0.0) is None
    assert one.start("x8", "Grace", "mqtt:anna", 0.0) == "busy"
    all_of(one)
    assert one.start("x9", "Grace", "mqtt:anna", 0.0) is None


def test_one_that_takes_too_long_is_ended(enrolments: Make) -> None:
    one = enrolments("import time; time.sleep(600)", loading_s=20.0)
    one.start("x7", "Ada", "mqtt:anna", 10.0)
    assert one.news(149.9) == []
    (news,) = all_of(one, 150.0)
    assert news.outcome.reason == "timed_out"


def test_one_that_says_too_much_costs_nothing(enrolments: Make) -> None:
    one = enrolments(
        """
        for number in range(20_000):
            print('{"taken": %d}' % number)
        print("x" * 1_000_000)
        print('[{"accepted": 1, "refused": []}]')
        """
    )
    one.start("x7", "Ada", "mqtt:anna", 0.0)
    eventually(lambda: not readers())
    news = one.news(0.0)
    while not news[-1].over:
        news += one.news(0.0)
    assert len(news) <= 65
    assert news[-1].outcome.reason is None


def test_the_end_of_the_service_ends_it(enrolments: Make, tmp_path: Path) -> None:
    one = enrolments(
        f"""
        import os, pathlib, signal, time
        signal.signal(15, lambda *_: None)
        pathlib.Path({str(tmp_path / "unfinished")!r}).write_text(str(os.getpid()))
        pathlib.Path({str(tmp_path / "unfinished")!r}).rename({str(tmp_path / "process")!r})
        time.sleep(600)
        """
    )
    one.start("x7", "Ada", "mqtt:anna", 0.0)
    eventually((tmp_path / "process").exists)
    one.close()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "process").read_text()), 0)
    assert not readers()
    one.close()


def test_a_program_that_is_not_there_is_told_of() -> None:
    one = RemoteEnrolments(["/no/such/program"])
    assert one.start("x7", "Ada", "mqtt:anna", 0.0) == "failed"
    assert one.news(0.0) == []


ENROLS = """
    import json, sys
    name = sys.stdin.readline().strip()
    print(json.dumps({"picture": "/9j/"}), flush=True)
    print(json.dumps([{"name": name, "accepted": 8, "refused": []}]))
"""


def test_whoever_asked_and_has_gone_enrols_nobody_later(enrolments: Make) -> None:
    one = enrolments("import sys, time; assert sys.argv[3] == '40'; time.sleep(600)")
    one.start("x7", "Ada", "mqtt:anna", 100.0, 40.0)
    assert one.news(139.9) == []
    (news,) = all_of(one, 140.0)
    assert news.outcome.reason == "timed_out"
    assert not one.take_unconfirmed("Ada", 141.0)


def test_one_that_is_cancelled_is_over_with_nobody_enrolled(enrolments: Make) -> None:
    one = enrolments("import time; time.sleep(600)")
    assert one.cancel() == "nothing"
    one.start("x7", "Ada", "mqtt:anna", 0.0)
    assert one.cancel() is None
    (news,) = all_of(one)
    assert (news.outcome.reason, news.over) == ("cancelled", True)
    assert not one.take_unconfirmed("Ada", 1.0)


def test_the_face_that_was_taken_comes_with_the_result_and_waits_to_be_confirmed(
    enrolments: Make,
) -> None:
    one = enrolments(ENROLS)
    one.start("x7", "Ada Lovelace", "mqtt:anna", 0.0)
    (news,) = all_of(one)
    assert news.outcome.details["picture"] == "/9j/"
    assert not one.take_unconfirmed("Grace", 1.0)
    assert one.take_unconfirmed("ADA LOVELACE", 1.0)
    assert not one.take_unconfirmed("Ada Lovelace", 2.0), "once"


def test_nobody_waits_to_be_confirmed_for_ever(enrolments: Make) -> None:
    one = enrolments(ENROLS)
    one.start("x7", "Ada", "mqtt:anna", 0.0)
    all_of(one)
    assert not one.take_unconfirmed("Ada", CONFIRM_S + 1)


def test_where_no_confirmation_is_wanted_nobody_waits_for_one(enrolments: Make) -> None:
    one = enrolments(
        "import sys; assert sys.argv[1] == '--timeout'" + textwrap.dedent(ENROLS), confirm=False
    )
    one.start("x7", "Ada", "mqtt:anna", 0.0)
    (news,) = all_of(one)
    assert news.outcome.reason is None
    assert not one.take_unconfirmed("Ada", 1.0)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_child_whose_words_nobody_hears_any_more_ends_with_nobody_enrolled(
    enrolments: Make,
) -> None:
    one = enrolments(
        """
        import json, time
        while True:
            print(json.dumps({"hint": "nobody"}), flush=True)
            time.sleep(0.05)
        """
    )
    before = readers()
    assert one.start("x7", "Ada", "mqtt:anna", 0.0) is None
    (reader,) = set(readers()) - set(before)
    dies = ctypes.pythonapi.PyThreadState_SetAsyncExc
    assert dies(ctypes.c_ulong(reader.ident or 0), ctypes.py_object(SystemExit)) == 1
    assert all_of(one)[-1].outcome.reason == "failed"
    assert one.start("x8", "Ada", "mqtt:anna", 0.0) is None  # and the next may come
