"""Who may come in when."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockd.door.rules import AccessRefusal, AccessRules, Admission, Admitted, Group, Refused
from lockd.door.schedules import Schedule, read_holiday
from lockd.door.validity import has_begun, is_moment, is_over
from lockd.types import Person
from tests.fakes import ADA, GRACE

STAFF = Group(Schedule.of({"mon-fri": ["07:00-19:00"]}))
CLEANERS = Group(Schedule.of({"mon-sun": ["22:00-02:00"]}, ignore_holidays=True))
RULES = AccessRules(
    groups={
        "staff": STAFF,
        "cleaners": CLEANERS,
        "admins": Group(None, extended=True),
        "slow": Group(Schedule.of({}), extended=True),
    },
    holidays=(read_holiday("12-25"),),
)
MONDAY_NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
MONDAY_NIGHT = datetime(2026, 11, 23, 23, tzinfo=UTC)
CHRISTMAS_NOON = datetime(2026, 12, 25, 12, tzinfo=UTC)  # a Friday
TIMES = [None, MONDAY_NOON, MONDAY_NIGHT, CHRISTMAS_NOON]


def of(*groups: str, **dates: str) -> Person:
    return replace(ADA, groups=frozenset(groups), **dates)  # type: ignore[arg-type]


def refused(reason: AccessRefusal) -> Admission:
    return Refused(reason)


class TestGroups:
    @pytest.mark.parametrize("when", TIMES)
    def test_without_groups_everybody_may_always_come_in(self, when: datetime | None) -> None:
        assert AccessRules().admits(ADA, when) == Admitted()
        assert RULES.admits(ADA, when) == Admitted()

    @pytest.mark.parametrize("when", TIMES)
    def test_a_group_that_is_always_admitted_needs_no_clock(self, when: datetime | None) -> None:
        assert RULES.admits(of("admins"), when) == Admitted(extended=True)

    def test_hours_let_in_and_keep_out(self) -> None:
        assert RULES.admits(of("staff"), MONDAY_NOON) == Admitted()
        assert RULES.admits(of("staff"), MONDAY_NIGHT) == refused(AccessRefusal.OUTSIDE_HOURS)

    def test_of_several_groups_one_is_enough(self) -> None:
        both = of("staff", "cleaners")
        assert RULES.admits(both, MONDAY_NOON) == Admitted()
        assert RULES.admits(both, MONDAY_NIGHT) == Admitted()
        assert RULES.admits(both, MONDAY_NIGHT.replace(hour=20)) == refused(
            AccessRefusal.OUTSIDE_HOURS
        )

    def test_the_extended_time_goes_with_the_person_whichever_group_lets_them_in(self) -> None:
        assert RULES.admits(of("staff", "slow"), MONDAY_NOON) == Admitted(extended=True)
        assert RULES.admits(of("slow"), MONDAY_NOON) == refused(AccessRefusal.OUTSIDE_HOURS)

    def test_people_without_a_group_are_in_the_default_group(self) -> None:
        rules = replace(RULES, default_group="staff")
        assert rules.admits(ADA, MONDAY_NOON) == Admitted()
        assert rules.admits(ADA, MONDAY_NIGHT) == refused(AccessRefusal.OUTSIDE_HOURS)
        assert rules.admits(of("cleaners"), MONDAY_NOON) == refused(AccessRefusal.OUTSIDE_HOURS)

    @pytest.mark.parametrize("when", TIMES)
    def test_a_group_that_does_not_exist_admits_nobody(self, when: datetime | None) -> None:
        assert RULES.admits(of("nights"), when) == refused(AccessRefusal.UNKNOWN_GROUP)
        assert AccessRules().admits(of("nights"), when) == refused(AccessRefusal.UNKNOWN_GROUP)
        # Nor is somebody whose group is gone one without a group.
        rules = replace(RULES, default_group="admins")
        assert rules.admits(of("nights"), when) == refused(AccessRefusal.UNKNOWN_GROUP)

    def test_another_group_still_counts_beside_one_that_does_not_exist(self) -> None:
        assert RULES.admits(of("nights", "staff"), MONDAY_NOON) == Admitted()
        assert RULES.admits(of("nights", "staff"), MONDAY_NIGHT) == refused(
            AccessRefusal.OUTSIDE_HOURS
        )

    def test_who_is_in_groups_that_do_not_exist_can_be_listed(self) -> None:
        others = frozenset({"a", "b", "c", "d", "nights"})
        people = [of("nights", "staff"), replace(GRACE, groups=others)]
        assert list(RULES.unknown_groups(people).items()) == [
            ("nights", ["Ada Lovelace", "Grace Hopper"]),
            *((name, ["Grace Hopper"]) for name in "abcd"),
        ]
        assert RULES.unknown_groups([of("staff"), GRACE]) == {}


class TestHolidays:
    def test_who_would_be_let_in_but_for_the_holiday_is_told_so(self) -> None:
        assert RULES.admits(of("staff"), CHRISTMAS_NOON) == refused(AccessRefusal.HOLIDAY)
        evening = CHRISTMAS_NOON.replace(hour=20)
        assert RULES.admits(of("staff"), evening) == refused(AccessRefusal.OUTSIDE_HOURS)

    def test_one_of_several_groups_is_enough_to_blame_the_holiday(self) -> None:
        assert RULES.admits(of("staff", "slow"), CHRISTMAS_NOON) == refused(AccessRefusal.HOLIDAY)

    def test_a_group_may_ignore_them(self) -> None:
        assert RULES.admits(of("cleaners"), CHRISTMAS_NOON.replace(hour=23)) == Admitted()


class TestValidity:
    @pytest.mark.parametrize("groups", [(), ("admins",), ("staff",)])
    def test_it_is_from_the_first_day_to_the_last_inclusive(self, groups: tuple[str, ...]) -> None:
        visitor = of(*groups, valid_from="2026-11-23", valid_until="2026-11-24")
        admitted = Admitted(extended=groups == ("admins",))
        noon = {day: MONDAY_NOON.replace(day=day) for day in (20, 23, 24, 25)}
        assert RULES.admits(visitor, noon[20]) == refused(AccessRefusal.NOT_YET_VALID)
        assert RULES.admits(visitor, noon[23]) == admitted
        assert RULES.admits(visitor, noon[24]) == admitted
        assert RULES.admits(visitor, noon[25]) == refused(AccessRefusal.EXPIRED)

    def test_there_may_be_a_first_day_or_a_last_day_alone(self) -> None:
        assert RULES.admits(of(valid_from="2026-11-23"), MONDAY_NOON) == Admitted()
        assert RULES.admits(of(valid_until="2026-11-23"), MONDAY_NOON) == Admitted()
        assert RULES.admits(of(valid_from="2026-11-24"), MONDAY_NOON) == refused(
            AccessRefusal.NOT_YET_VALID
        )
        assert RULES.admits(of(valid_until="2026-11-22"), MONDAY_NOON) == refused(
            AccessRefusal.EXPIRED
        )

    def test_it_ends_at_midnight_even_in_hours_that_go_over_it(self) -> None:
        cleaner = of("cleaners", valid_until="2026-11-23")
        assert RULES.admits(cleaner, MONDAY_NIGHT) == Admitted()
        after = datetime(2026, 11, 24, 0, 0, tzinfo=UTC)
        assert RULES.admits(cleaner, after) == refused(AccessRefusal.EXPIRED)

    @pytest.mark.parametrize(
        ("dates", "reason"),
        [
            ({"valid_from": "soon"}, AccessRefusal.NOT_YET_VALID),
            ({"valid_from": ""}, AccessRefusal.NOT_YET_VALID),
            ({"valid_until": "9999-99-99"}, AccessRefusal.EXPIRED),
            ({"valid_until": ""}, AccessRefusal.EXPIRED),
        ],
    )
    def test_a_date_that_cannot_be_read_admits_nobody(
        self, dates: dict[str, str], reason: AccessRefusal
    ) -> None:
        assert RULES.admits(of("admins", **dates), MONDAY_NOON) == refused(reason)


BERLIN = ZoneInfo("Europe/Berlin")


class TestValidityToTheMinute:
    """A visitor's pass: from its first minute on, until its last begins."""

    PASS = of(valid_from="2026-11-23T09:30", valid_until="2026-11-23T17:00")

    @pytest.mark.parametrize(
        ("hour", "minute", "second", "reason"),
        [
            (9, 29, 59, AccessRefusal.NOT_YET_VALID),
            (9, 30, 0, None),
            (16, 59, 59, None),
            (17, 0, 0, AccessRefusal.EXPIRED),
        ],
    )
    def test_it_begins_and_ends_with_the_minute(
        self, hour: int, minute: int, second: int, reason: AccessRefusal | None
    ) -> None:
        when = datetime(2026, 11, 23, hour, minute, second, tzinfo=BERLIN)
        assert RULES.admits(self.PASS, when) == (refused(reason) if reason else Admitted())

    def test_of_a_day_and_a_minute_each_counts_as_what_it_is(self) -> None:
        person = of(valid_from="2026-11-23T12:00", valid_until="2026-11-23")
        assert RULES.admits(person, MONDAY_NOON) == Admitted()
        assert RULES.admits(person, MONDAY_NIGHT) == Admitted()
        assert isinstance(RULES.admits(person, MONDAY_NOON.replace(hour=11)), Refused)

    @pytest.mark.parametrize("fold", [0, 1])
    def test_of_a_minute_that_comes_twice_it_begins_with_the_later_and_ends_with_the_earlier(
        self, fold: int
    ) -> None:
        when = datetime(2026, 10, 25, 2, 30, tzinfo=BERLIN, fold=fold)
        begins, ends = of(valid_from="2026-10-25T02:20"), of(valid_until="2026-10-25T02:40")
        assert isinstance(RULES.admits(begins, when), Admitted) == (fold == 1)
        assert isinstance(RULES.admits(ends, when), Admitted) == (fold == 0)

    @pytest.mark.parametrize("side", ["valid_from", "valid_until"])
    def test_of_a_minute_that_never_comes_the_hour_after_is_right(self, side: str) -> None:
        person = of(**{side: "2026-03-29T02:30"})
        before = datetime(2026, 3, 29, 1, 20, tzinfo=BERLIN)
        after = datetime(2026, 3, 29, 3, 40, tzinfo=BERLIN)
        admitted = [isinstance(RULES.admits(person, when), Admitted) for when in (before, after)]
        assert admitted == ([False, True] if side == "valid_from" else [True, False])

    @given(st.text(max_size=20) | st.datetimes().map(str) | st.datetimes().map(datetime.isoformat))
    def test_what_is_written_otherwise_is_no_moment(self, text: str) -> None:
        canonical = re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d:\d\d)?", text, re.ASCII)
        assert canonical or not is_moment(text)

    @given(st.datetimes(), st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)), st.booleans())
    def test_whoever_is_over_never_comes_back_and_whoever_has_begun_stays(
        self, moment: datetime, when: datetime, later: bool
    ) -> None:
        text = moment.isoformat(timespec="minutes")
        now = when.replace(tzinfo=UTC)
        after = now + timedelta(minutes=40 if later else 20)
        earlier, late = now.astimezone(BERLIN), after.astimezone(BERLIN)
        assert not is_over(text, earlier) or is_over(text, late)
        assert not has_begun(text, earlier) or has_begun(text, late)


class TestUnknownTime:
    @pytest.mark.parametrize(
        "person",
        [
            of("staff"),
            of("staff", "cleaners"),
            of("admins", valid_until="9999-12-31"),
            of(valid_from="2000-01-01"),
        ],
        ids=["hours", "hours of two groups", "last day", "first day"],
    )
    def test_what_depends_on_the_time_is_refused(self, person: Person) -> None:
        assert RULES.admits(person, None) == refused(AccessRefusal.CLOCK_UNKNOWN)

    def test_the_door_is_not_held_open(self) -> None:
        rules = AccessRules(hold_open=Schedule.of({"mon-sun": ["00:00-24:00"]}))
        assert rules.holds_open(MONDAY_NOON)
        assert not rules.holds_open(None)


class TestHoldingOpen:
    def test_it_is_off_unless_it_is_set(self) -> None:
        assert RULES.holds_open(MONDAY_NOON) is False

    def test_it_follows_its_hours_and_the_holidays(self) -> None:
        rules = replace(RULES, hold_open=STAFF.schedule)
        assert rules.holds_open(MONDAY_NOON)
        assert not rules.holds_open(MONDAY_NIGHT)
        assert not rules.holds_open(CHRISTMAS_NOON)


@pytest.mark.parametrize(
    ("rules", "timed"),
    [
        (AccessRules(), False),
        (AccessRules({"admins": Group(None)}), False),
        (RULES, True),
        (AccessRules(hold_open=Schedule.of({})), True),
    ],
)
def test_rules_know_whether_they_need_the_time(rules: AccessRules, timed: bool) -> None:
    assert rules.timed is timed


@settings(deadline=None)
@given(
    groups=st.sets(st.sampled_from([*RULES.groups, "nights"])),
    valid_from=st.none() | st.dates().map(str) | st.text(max_size=10),
    valid_until=st.none() | st.dates().map(str) | st.text(max_size=10),
    when=st.none() | st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)),
    default=st.none() | st.sampled_from(list(RULES.groups)),
)
def test_more_rights_never_keep_somebody_out_and_no_time_never_lets_them_in(
    groups: set[str],
    valid_from: str | None,
    valid_until: str | None,
    when: datetime | None,
    default: str | None,
) -> None:
    rules = replace(RULES, default_group=default)
    when = when and when.replace(tzinfo=UTC)
    person = replace(ADA, groups=frozenset(groups), valid_from=valid_from, valid_until=valid_until)
    outcome = rules.admits(person, when)
    if isinstance(outcome, Admitted):
        assert isinstance(rules.admits(replace(person, valid_from=None), when), Admitted)
        more = replace(person, groups=person.groups | {"cleaners"})
        assert not groups or isinstance(rules.admits(more, when), Admitted)
        if when is None:
            assert valid_from is None
            assert valid_until is None
            assert not groups or "admins" in groups
    elif groups:
        assert isinstance(
            rules.admits(replace(person, groups=frozenset({"nights"})), when), Refused
        )
