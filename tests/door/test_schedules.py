"""Hours as the clock on the wall shows them, summer time, midnight and holidays included."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from lockd.door.schedules import (
    DAYS,
    HOLIDAY,
    Schedule,
    read_days,
    read_holiday,
    read_range,
)

BERLIN = ZoneInfo("Europe/Berlin")
AUCKLAND = ZoneInfo("Pacific/Auckland")
# Here the clocks were set back at midnight, so that yesterday came again.
SAO_PAULO = ZoneInfo("America/Sao_Paulo")


def at(text: str) -> datetime:
    """A local time whose zone does not matter."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def minutes(zone: ZoneInfo, start: datetime, hours: int) -> list[datetime]:
    """Every minute that passes from a moment on, as a clock in that zone shows it."""
    return [(start + timedelta(minutes=m)).astimezone(zone) for m in range(hours * 60)]


def shown(schedule: Schedule, times: Sequence[datetime]) -> list[str]:
    """The minutes of them that the hours cover, as a clock shows them."""
    return [time.strftime("%H:%M") for time in times if schedule.covers(time)]


class TestReading:
    @pytest.mark.parametrize(
        ("text", "days"),
        [
            ("mon", [0]),
            ("mon-fri", [0, 1, 2, 3, 4]),
            ("fri-mon", [4, 5, 6, 0]),
            ("sun-sun", [6]),
            ("sat, wed", [5, 2]),
            ("Mon-Tue,SUN", [0, 1, 6]),
            ("holiday", [7]),
            ("sun, holiday", [6, 7]),
            ("holiday, sun", [7, 6]),
            ("holiday, mon-tue, holiday", [7, 0, 1, 7]),
        ],
    )
    def test_days(self, text: str, days: list[int]) -> None:
        assert read_days(text) == days

    @pytest.mark.parametrize(
        "text", ["", "mo", "monday", "mon-", "-fri", "mon-fri-sun", "mon-holiday", "holiday-", "1"]
    )
    def test_what_is_no_day_is_said(self, text: str) -> None:
        with pytest.raises(ValueError, match="names no days; use mon, tue"):
            read_days(text)

    @pytest.mark.parametrize(
        ("text", "found"),
        [
            ("09:00-17:30", (540, 1050)),
            ("00:00-24:00", (0, 1440)),
            ("22:00-02:00", (1320, 1560)),
            ("22:00-24:00", (1320, 1440)),
            ("22:00-00:00", (1320, 1440)),
            ("23:59 - 23:58", (1439, 2878)),
        ],
    )
    def test_ranges(self, text: str, found: tuple[int, int]) -> None:
        assert read_range(text) == found

    @pytest.mark.parametrize(
        "text",
        [
            *("", "9:00-17:00", "09:00", "09:00-", "-09:00-10:00", "09:00-10:00-11:00"),
            *("24:01-01:00", "09:60-10:00", "25:00-26:00", "noon-13:00", "٠٩:00-10:00"),
        ],
    )
    def test_what_is_no_range_is_said(self, text: str) -> None:
        with pytest.raises(ValueError, match="is no range of hours"):
            read_range(text)

    @pytest.mark.parametrize("text", ["09:00-09:00", "00:00-00:00", "24:00-24:00", "24:00-01:00"])
    def test_a_range_without_length_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="has no length"):
            read_range(text)

    @pytest.mark.parametrize(
        ("text", "inside", "outside"),
        [
            ("2026-12-25", ["2026-12-25"], ["2026-12-24", "2026-12-26", "2027-12-25"]),
            ("12-25", ["2026-12-25", "2031-12-25"], ["2026-12-24", "2026-01-25"]),
            (
                "2026-12-30..2027-01-02",
                ["2026-12-30", "2026-12-31", "2027-01-02"],
                ["2026-12-29", "2027-01-03", "2027-12-31"],
            ),
            (
                "12-30..01-02",
                ["2026-12-30", "2027-01-01", "2029-01-02"],
                ["2026-12-29", "2026-01-03", "2026-07-01"],
            ),
            ("08-01 .. 08-03", ["2026-08-01", "2027-08-03"], ["2026-07-31", "2026-08-04"]),
            ("02-29", ["2028-02-29"], ["2026-02-28", "2026-03-01"]),
        ],
    )
    def test_holidays(self, text: str, inside: list[str], outside: list[str]) -> None:
        holiday = read_holiday(text)
        assert all(date.fromisoformat(day) in holiday for day in inside)
        assert not any(date.fromisoformat(day) in holiday for day in outside)

    @pytest.mark.parametrize(
        ("text", "said"),
        [
            ("easter", "is no holiday"),
            ("", "is no holiday"),
            ("25.12.", "is no holiday"),
            ("2026-1-1", "is no holiday"),
            ("2026-02-29", "there is no such day"),
            ("02-30", "there is no such day"),
            ("13-01", "there is no such day"),
            ("2026-12-26..2026-12-24", "ends before it begins"),
            ("2026-12-26..12-28", "of both days, or of neither"),
            ("2026-12-26..", "is no holiday"),
            ("2026-12-24..2026-12-25..2026-12-26", "is no holiday"),
        ],
    )
    def test_what_is_no_holiday_is_said(self, text: str, said: str) -> None:
        with pytest.raises(ValueError, match=said) as raised:
            read_holiday(text)
        assert repr(text) in str(raised.value)


class TestHours:
    def test_the_beginning_is_within_and_the_end_is_not(self) -> None:
        schedule = Schedule.of({"mon": ["09:00-17:00"]})
        day = "2026-11-23"  # a Monday
        assert not schedule.covers(at(f"{day} 08:59:59.999999"))
        assert schedule.covers(at(f"{day} 09:00"))
        assert schedule.covers(at(f"{day} 16:59:59.999999"))
        assert not schedule.covers(at(f"{day} 17:00"))
        assert not schedule.covers(at("2026-11-24 12:00"))

    def test_hours_over_midnight_belong_to_the_day_they_begin(self) -> None:
        schedule = Schedule.of({"fri": ["22:00-02:00"]})
        assert schedule.covers(at("2026-11-27 23:59"))
        assert schedule.covers(at("2026-11-28 01:59"))
        assert not schedule.covers(at("2026-11-28 02:00"))
        assert not schedule.covers(at("2026-11-27 01:00"))  # Thursday's night
        assert not schedule.covers(at("2026-11-28 22:00"))

    def test_sundays_night_reaches_into_monday(self) -> None:
        assert Schedule.of({"sun": ["22:00-06:00"]}).covers(at("2026-11-23 05:59"))

    def test_a_whole_day_ends_at_midnight(self) -> None:
        schedule = Schedule.of({"mon": ["00:00-24:00"]})
        assert schedule.covers(at("2026-11-23 00:00"))
        assert schedule.covers(at("2026-11-23 23:59:59"))
        assert not schedule.covers(at("2026-11-24 00:00"))

    def test_ranges_of_a_day_may_overlap_and_days_may_come_twice(self) -> None:
        schedule = Schedule.of({"mon-fri": ["08:00-12:00", "11:00-14:00"], "mon": ["20:00-21:00"]})
        assert schedule.covers(at("2026-11-23 11:30"))
        assert schedule.covers(at("2026-11-23 20:30"))
        assert not schedule.covers(at("2026-11-24 20:30"))

    def test_no_hours_cover_nothing(self) -> None:
        assert not Schedule.of({}).covers(at("2026-11-23 12:00"))


class TestHolidays:
    HOLIDAYS = (read_holiday("2026-12-25"),)  # a Friday

    def covers(self, hours: dict[str, list[str]], when: str, *, ignore: bool = False) -> bool:
        return Schedule.of(hours, ignore_holidays=ignore).covers(at(when), self.HOLIDAYS)

    def test_the_hours_of_the_weekday_do_not_begin(self) -> None:
        assert not self.covers({"fri": ["09:00-17:00"]}, "2026-12-25 12:00")
        assert self.covers({"fri": ["09:00-17:00"]}, "2026-12-18 12:00")

    def test_they_count_unless_they_are_to_be_ignored(self) -> None:
        schedule = Schedule.of({"fri": ["09:00-17:00"]})
        assert not schedule.ignore_holidays
        assert not schedule.covers(at("2026-12-25 12:00"), self.HOLIDAYS)

    def test_those_called_holiday_do_and_only_then(self) -> None:
        hours = {"fri": ["09:00-17:00"], "holiday": ["10:00-11:00"]}
        assert self.covers(hours, "2026-12-25 10:30")
        assert not self.covers(hours, "2026-12-25 12:00")
        assert not self.covers({"holiday": ["10:00-11:00"]}, "2026-12-24 10:30")

    def test_a_night_that_began_before_it_ends_as_ever(self) -> None:
        nights = {"mon-sun": ["22:00-06:00"]}
        assert self.covers(nights, "2026-12-25 05:59")
        assert not self.covers(nights, "2026-12-25 22:00")
        assert not self.covers(nights, "2026-12-26 05:59")
        assert self.covers(nights, "2026-12-26 22:00")

    def test_a_holidays_night_reaches_into_the_day_after(self) -> None:
        assert self.covers({"holiday": ["22:00-06:00"]}, "2026-12-26 05:59")

    def test_who_ignores_holidays_has_a_day_like_any_other(self) -> None:
        assert self.covers({"fri": ["09:00-17:00"]}, "2026-12-25 12:00", ignore=True)


class TestSummerTime:
    def test_in_berlin_the_hour_that_no_clock_shows_passes_for_nobody(self) -> None:
        times = minutes(BERLIN, datetime(2026, 3, 28, 23, tzinfo=UTC), 5)
        schedule = Schedule.of({"sun": ["01:58-03:02"]})
        assert shown(schedule, times) == ["01:58", "01:59", "03:00", "03:01"]
        assert shown(Schedule.of({"sun": ["02:00-03:00"]}), times) == []

    def test_in_berlin_the_hour_that_comes_twice_counts_both_times(self) -> None:
        times = minutes(BERLIN, datetime(2026, 10, 24, 22, tzinfo=UTC), 6)
        schedule = Schedule.of({"sun": ["02:58-03:01"]})
        assert shown(schedule, times) == ["02:58", "02:59", "02:58", "02:59", "03:00"]
        assert len(shown(Schedule.of({"sun": ["01:00-04:00"]}), times)) == 4 * 60

    def test_in_auckland_summer_begins_in_september_and_ends_in_april(self) -> None:
        begins = minutes(AUCKLAND, datetime(2026, 9, 26, 12, tzinfo=UTC), 6)
        ends = minutes(AUCKLAND, datetime(2026, 4, 4, 11, tzinfo=UTC), 6)
        night = Schedule.of({"sat": ["22:00-02:30"]})
        assert shown(night, begins)[-1] == "01:59"
        assert shown(night, begins).count("01:59") == 1
        assert shown(night, ends)[-1] == "02:29"
        assert shown(night, ends).count("02:29") == 2
        assert len(shown(Schedule.of({"sun": ["01:00-05:00"]}), begins)) == 3 * 60

    def test_a_night_over_midnight_is_an_hour_shorter_or_longer(self) -> None:
        night = Schedule.of({"sat": ["22:00-06:00"]})
        spring = minutes(BERLIN, datetime(2026, 3, 28, 18, tzinfo=UTC), 12)
        autumn = minutes(BERLIN, datetime(2026, 10, 24, 18, tzinfo=UTC), 12)
        assert len(shown(night, spring)) == 7 * 60
        assert len(shown(night, autumn)) == 9 * 60

    def test_a_day_that_comes_again_for_an_hour_has_its_hours_again(self) -> None:
        # On 17 February 2018, at midnight, it became 23:00 once more.
        times = minutes(SAO_PAULO, datetime(2018, 2, 18, 0, 30, tzinfo=UTC), 4)
        assert len(shown(Schedule.of({"sat": ["23:00-24:00"]}), times)) == 2 * 60
        night = Schedule.of({"sat": ["23:58-00:02"]})
        assert shown(night, times) == ["23:58", "23:59", "23:58", "23:59", "00:00", "00:01"]


def by_hand(
    hours: dict[str, list[str]], holidays: set[date], *, ignore: bool
) -> dict[tuple[date, int], bool]:
    """(day, minute of it) of a month around a summer-time change: laid out minute by minute."""
    first = date(2026, 3, 1)
    admitted: dict[tuple[date, int], bool] = {}
    for number in range(40):
        day = first + timedelta(days=number)
        name = HOLIDAY if day in holidays and not ignore else DAYS[day.weekday()]
        for text in hours.get(name, []):
            start, end = (60 * int(part[:2]) + int(part[3:]) for part in text.split("-"))
            minute, on = start, day
            while True:
                if minute == 24 * 60:
                    minute, on = 0, on + timedelta(days=1)
                if minute == end % (24 * 60):
                    break
                admitted[on, minute] = True
                minute += 1
    return admitted


TIMES = st.builds("{:02}:{:02}".format, st.integers(0, 23), st.integers(0, 59))
RANGES = st.tuples(TIMES, TIMES).filter(lambda pair: pair[0] != pair[1]).map("-".join)
HOURS = st.dictionaries(st.sampled_from([*DAYS, HOLIDAY]), st.lists(RANGES, max_size=3), max_size=8)


@pytest.mark.slow
@settings(max_examples=60)
@given(
    hours=HOURS,
    holidays=st.sets(st.dates(date(2026, 3, 2), date(2026, 4, 8)), max_size=4),
    ignore=st.booleans(),
    zone=st.sampled_from([BERLIN, AUCKLAND, SAO_PAULO]),
    start=st.integers(0, 30 * 24 * 60),
)
@example({"sat": ["22:00-02:30"], "sun": ["01:59-03:01"]}, set(), False, BERLIN, 27 * 24 * 60)
@example({"sun": ["02:00-03:00"]}, {date(2026, 4, 5)}, True, AUCKLAND, 34 * 24 * 60)
def test_every_minute_is_as_laid_out_by_hand(
    hours: dict[str, list[str]], holidays: set[date], ignore: bool, zone: ZoneInfo, start: int
) -> None:
    schedule = Schedule.of(hours, ignore_holidays=ignore)
    known = [read_holiday(day.isoformat()) for day in holidays]
    expected = by_hand(hours, holidays, ignore=ignore)
    begin = datetime(2026, 3, 3, tzinfo=UTC) + timedelta(minutes=start)
    for when in minutes(zone, begin, 48)[:: 1 if start % 7 == 0 else 13]:
        key = (when.date(), when.hour * 60 + when.minute)
        assert schedule.covers(when, known) == expected.get(key, False), when
