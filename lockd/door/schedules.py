"""Hours of the week and holidays, and whether a time lies within them. Pure.

Hours are those that the clock on the wall shows, on the day that the calendar shows:

- ``09:00-17:00`` is from nine o'clock up to, but not including, five o'clock.
- ``22:00-02:00`` goes over midnight and belongs to the day on which it begins: of
  ``fri: 22:00-02:00`` the last two hours are on a Saturday.
- When summer time begins, the hour that no clock shows passes for nobody; when it ends,
  the hour that every clock shows twice counts both times.

On a holiday the hours of its weekday do not begin; those called ``holiday`` do.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TypeAlias

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
HOLIDAY = "holiday"
_HOLIDAY = len(DAYS)  # its place behind those of the week
_DAY_MINUTES = 24 * 60
_TIME = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00)")
_DATE = re.compile(r"(?:([0-9]{4})-)?([0-9]{2})-([0-9]{2})")
_LEAP_YEAR = 2000  # every day that some year has

Range: TypeAlias = tuple[int, int]
"""Minutes since midnight, the second excluded; above 1440 they are of the next day."""


@dataclass(frozen=True, slots=True)
class Holiday:
    """Days in a row: (year, month, day), or (month, day) for those of every year."""

    first: tuple[int, ...]
    last: tuple[int, ...]

    def __contains__(self, day: date) -> bool:
        """Return whether a day is one of them."""
        key = (day.year, day.month, day.day)[-len(self.first) :]
        if self.first <= self.last:
            return self.first <= key <= self.last
        return key >= self.first or key <= self.last  # over New Year


@dataclass(frozen=True, slots=True)
class Schedule:
    """Hours of the week.

    Attributes:
        hours: the ranges of each day, from Monday on, and last those of holidays.
        ignore_holidays: whether a holiday is a day like any other.
    """

    hours: tuple[tuple[Range, ...], ...]
    ignore_holidays: bool

    @classmethod
    def of(cls, hours: Mapping[str, Sequence[str]], *, ignore_holidays: bool = False) -> Schedule:
        """Read a schedule.

        Args:
            hours: ranges such as ``09:00-17:00`` by days such as ``mon-fri``.

        Raises:
            ValueError: if `read_days` or `read_range` raises it.
        """
        days: list[list[Range]] = [[] for _ in (*DAYS, HOLIDAY)]
        for names, ranges in hours.items():
            for day in read_days(names):
                days[day] += [read_range(one) for one in ranges]
        return cls(tuple(map(tuple, days)), ignore_holidays)

    def covers(self, when: datetime, holidays: Iterable[Holiday] = ()) -> bool:
        """Return whether a local time lies within the hours.

        Args:
            when: what clock and calendar show; nothing else of it counts.
            holidays: the days on which the hours of the weekday do not begin.
        """
        today, minute = when.date(), when.hour * 60 + when.minute
        yesterday = today - timedelta(days=1)
        known = () if self.ignore_holidays else tuple(holidays)
        return self._begun(today, known, minute) or self._begun(
            yesterday, known, minute + _DAY_MINUTES
        )

    def _begun(self, day: date, holidays: tuple[Holiday, ...], minute: int) -> bool:
        """Return whether a range that begins on this day has this minute."""
        is_holiday = any(day in one for one in holidays)
        ranges = self.hours[_HOLIDAY if is_holiday else day.weekday()]
        return any(start <= minute < end for start, end in ranges)


def read_days(text: str) -> list[int]:
    """Return the places in a `Schedule` that a text such as ``mon-fri, sun`` names.

    Raises:
        ValueError: if it names no days.
    """
    found: list[int] = []
    for part in text.lower().split(","):
        first, dash, last = (name.strip() for name in part.partition("-"))
        if first == HOLIDAY and not dash:
            found.append(_HOLIDAY)
            continue
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(
                f"{text!r} names no days; use {', '.join(DAYS)}, some of them (mon, wed), "
                f"a range (mon-fri) or {HOLIDAY}"
            )
        start = DAYS.index(first)
        length = (DAYS.index(last or first) - start) % len(DAYS) + 1
        found += [(start + step) % len(DAYS) for step in range(length)]
    return found


def read_range(text: str) -> Range:
    """Return the minutes of a range such as ``09:00-17:00``.

    Raises:
        ValueError: if it is none, or has no length.
    """
    times = [_TIME.fullmatch(part.strip()) for part in text.split("-")]
    found = [[int(digits) for digits in time.groups() if digits] for time in times if time]
    if len(times) != 2 or len(found) != 2:
        raise ValueError(f"{text!r} is no range of hours; use 00:00 to 24:00, such as 09:00-17:00")
    (start, end) = (hour * 60 + minute for hour, minute in found)
    if start in (end, _DAY_MINUTES):
        raise ValueError(f"{text!r} has no length; the whole day is 00:00-24:00")
    return start, end if end > start else end + _DAY_MINUTES


def read_holiday(text: str) -> Holiday:
    """Return the days of a text: ``2026-12-25``, ``12-25`` of every year, or ``first..last``.

    Raises:
        ValueError: if it is none of these, names a day that does not exist, or ends
            before it begins.
    """
    first, dots, last = text.partition("..")
    days = [_read_day(part, text) for part in ((first, last) if dots else (first, first))]
    holiday = Holiday(*days)
    if len(holiday.first) != len(holiday.last):
        raise ValueError(f"{text!r}: give the year of both days, or of neither")
    if len(holiday.first) == 3 and holiday.first > holiday.last:
        raise ValueError(f"{text!r} ends before it begins")
    return holiday


def _read_day(text: str, whole: str) -> tuple[int, ...]:
    match = _DATE.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{whole!r} is no holiday; use a date (2026-12-25), one of every year (12-25), "
            "or a range (2026-12-24..2026-12-26)"
        )
    day = tuple(int(digits) for digits in match.groups() if digits)
    try:
        date(*day) if len(day) == 3 else date(_LEAP_YEAR, *day)
    except ValueError as error:
        raise ValueError(f"{whole!r}: there is no such day") from error
    return day
