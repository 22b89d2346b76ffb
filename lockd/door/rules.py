"""Who may come in when: groups, hours, holidays and validity dates. Pure: the time is given.

    a person                                 may come in
    ---------------------------------------  -----------------------------------------
    of no group, with no default group       always
    of a group whose hours are `always`      always
    of a group with hours                    within them
    of several groups                        when one of them lets them in
    of groups that do not exist              never
    with validity dates                      only from the first to the last, as above:
                                             door.validity

What depends on the time is refused while the time is not known. What does not, is not:
a clock that is wrong keeps out nobody who may always come in.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias

from lockd.door.schedules import Holiday, Schedule
from lockd.door.validity import has_begun, is_over
from lockd.types import Person


class AccessRefusal(StrEnum):
    """Why somebody recognised is not let in, in the words that are published."""

    NOT_YET_VALID = "not_yet_valid"
    EXPIRED = "expired"
    OUTSIDE_HOURS = "outside_hours"
    HOLIDAY = "holiday"
    """Outside hours, but within them were it not a holiday."""
    UNKNOWN_GROUP = "unknown_group"
    """The configuration has none of their groups."""
    CLOCK_UNKNOWN = "clock_unknown"
    """It depends on the time, which is not known to be right."""


@dataclass(frozen=True, slots=True)
class Admitted:
    """They may come in; `extended` if one of their groups gets the extended access time."""

    extended: bool = False


@dataclass(frozen=True, slots=True)
class Refused:
    """They may not."""

    reason: AccessRefusal


Admission: TypeAlias = Admitted | Refused


@dataclass(frozen=True, slots=True)
class Group:
    """People with the same rights.

    Attributes:
        schedule: when they may come in; None for always.
        extended: whether the door stays open longer for them.
    """

    schedule: Schedule | None
    extended: bool = False


@dataclass(frozen=True, slots=True)
class AccessRules:
    """The rules of one door.

    Attributes:
        groups: by name.
        default_group: the group of people who have none; None lets them in always.
        holidays: on which a group's hours do not begin, unless it ignores them.
        hold_open: when the door is held open for everybody, if ever.
    """

    groups: Mapping[str, Group] = field(default_factory=dict)
    default_group: str | None = None
    holidays: tuple[Holiday, ...] = ()
    hold_open: Schedule | None = None

    @property
    def timed(self) -> bool:
        """Whether any of the rules needs the time; people's validity dates do besides."""
        return self.hold_open is not None or any(one.schedule for one in self.groups.values())

    def admits(self, person: Person, when: datetime | None) -> Admission:
        """Say whether somebody may come in now.

        Args:
            person: with their groups and validity dates.
            when: the local time; None while it is not known to be right.
        """
        groups = self._groups_of(person)
        if not groups:
            return Refused(AccessRefusal.UNKNOWN_GROUP)
        invalid = _invalid(person, when)
        if invalid is not None:
            return Refused(invalid)
        schedules = [group.schedule for group in groups if group.schedule is not None]
        if len(schedules) == len(groups):  # none of them is admitted always
            reason = self._outside(schedules, when)
            if reason is not None:
                return Refused(reason)
        return Admitted(any(group.extended for group in groups))

    def holds_open(self, when: datetime | None) -> bool:
        """Return whether the schedule holds the door open now; never while the time is unknown."""
        if self.hold_open is None or when is None:
            return False
        return self.hold_open.covers(when, self.holidays)

    def unknown_groups(self, people: Iterable[Person]) -> dict[str, list[str]]:
        """Return the groups that people are in but the configuration has not, with their names."""
        found: dict[str, list[str]] = {}
        for person in people:
            for name in sorted(person.groups - self.groups.keys()):
                found.setdefault(name, []).append(person.name)
        return found

    def _groups_of(self, person: Person) -> list[Group]:
        """The groups that count for somebody: those that exist."""
        names = person.groups or ({self.default_group} if self.default_group else frozenset())
        if not names:
            return [Group(schedule=None)]
        return [self.groups[name] for name in names if name in self.groups]

    def _outside(self, schedules: list[Schedule], when: datetime | None) -> AccessRefusal | None:
        """Return what keeps them out, or None within one of the schedules."""
        if when is None:
            return AccessRefusal.CLOCK_UNKNOWN
        if any(schedule.covers(when, self.holidays) for schedule in schedules):
            return None
        if any(schedule.covers(when) for schedule in schedules):
            return AccessRefusal.HOLIDAY
        return AccessRefusal.OUTSIDE_HOURS


def _invalid(person: Person, when: datetime | None) -> AccessRefusal | None:
    """Return why somebody's validity dates keep them out, if they do."""
    if person.valid_from is None and person.valid_until is None:
        return None
    if when is None:
        return AccessRefusal.CLOCK_UNKNOWN
    if person.valid_from is not None and not has_begun(person.valid_from, when):
        return AccessRefusal.NOT_YET_VALID
    if person.valid_until is not None and is_over(person.valid_until, when):
        return AccessRefusal.EXPIRED
    return None
