"""What makes a phone ring."""

from __future__ import annotations

from datetime import datetime

from lockd.door.schedules import Schedule, read_holiday
from lockd.publishing.alerts import Alerts

NIGHT = Schedule.of({"mon-sun": ["22:00-06:00"]}, ignore_holidays=True)
EVENING, MIDNIGHT = datetime(2026, 11, 20, 21, 59), datetime(2026, 11, 21, 0, 30)


def test_a_second_alert_of_a_kind_waits_for_the_cool_down_and_is_counted() -> None:
    alerts = Alerts(60.0)
    assert alerts.admit("stranger", 0.0, EVENING) == 0
    assert [alerts.admit("stranger", t, EVENING) for t in (1.0, 59.9)] == [None, None]
    assert alerts.admit("stranger", 60.0, EVENING) == 2
    assert alerts.admit("stranger", 120.0, EVENING) == 0


def test_kinds_do_not_wait_for_each_other() -> None:
    alerts = Alerts(60.0)
    assert alerts.admit("stranger", 0.0, EVENING) == 0
    assert alerts.admit("door_forced", 0.0, EVENING) == 0


def test_without_a_cool_down_every_alert_is_told() -> None:
    alerts = Alerts(0.0)
    assert [alerts.admit("stranger", 1.0, None) for _ in range(3)] == [0, 0, 0]


def test_at_night_some_kinds_are_quiet_and_none_that_is_not_listed() -> None:
    alerts = Alerts(0.0, NIGHT, ["stranger"])
    assert alerts.admit("stranger", 0.0, EVENING) == 0
    assert alerts.admit("stranger", 1.0, MIDNIGHT) is None
    assert alerts.admit("door_forced", 1.0, MIDNIGHT) == 0
    assert alerts.admit("stranger", 2.0, EVENING) == 1


def test_on_a_holiday_the_quiet_hours_are_those_of_holidays() -> None:
    quiet = Schedule.of({"mon-sun": ["22:00-06:00"], "holiday": ["20:00-06:00"]})
    on_holiday, before = datetime(2026, 12, 25, 20, 0), datetime(2026, 12, 24, 20, 0)
    alerts = Alerts(0.0, quiet, ["stranger"], (read_holiday("2026-12-25"),))
    assert alerts.admit("stranger", 0.0, before) == 0
    assert alerts.admit("stranger", 1.0, on_holiday) is None


def test_while_the_time_is_not_known_nothing_is_quiet() -> None:
    assert Alerts(0.0, NIGHT, ["stranger"]).admit("stranger", 0.0, None) == 0


def test_silence_holds_every_kind_back_until_it_is_over() -> None:
    alerts = Alerts(0.0)
    alerts.silence(10.0)
    assert alerts.admit("door_forced", 9.9, EVENING) is None
    assert alerts.admit("door_forced", 10.0, EVENING) == 1
