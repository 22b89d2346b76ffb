"""Who may come in when."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from lockd.config.base import Section, Slug
from lockd.config.liveness import Measures
from lockd.door.rules import AccessRules, Group
from lockd.door.schedules import Schedule, read_days, read_holiday, read_range


def _readable(read: Callable[[str], object]) -> AfterValidator:
    """A check that a text can be read; what it means is asked for later."""

    def check(text: str) -> str:
        read(text)
        return text

    return AfterValidator(check)


def by_days(value: object, otherwise: str = "") -> object:
    """Refuse hours that are not given by days."""
    if not isinstance(value, dict):
        found = f"{value!r} are no hours" if isinstance(value, str) else "no hours by days"
        raise ValueError(
            f'{found}; use {otherwise}days with hours, such as {{mon-fri: ["09:00-17:00"]}}'
        )
    return value


def _by_days_or_always(value: object) -> object:
    """Take `always` for None; nothing at all, which YAML has for None, must not mean it."""
    return None if value == "always" else by_days(value, "always, or ")


def _listed(value: object) -> object:
    if value is None:
        raise ValueError("no range of hours; use 00:00 to 24:00, such as 09:00-17:00")
    return value if isinstance(value, list) else [value]


def _zone_named(name: str) -> ZoneInfo:
    """Return a time zone by its name.

    Raises:
        ValueError: if this machine does not know it.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError) as error:  # it is a path below a folder of zones
        close = difflib.get_close_matches(name, available_timezones(), n=1)
        hint = f"did you mean {close[0]}?" if close else "is its package tzdata installed?"
        raise ValueError(f"{name!r} is no time zone that this machine knows; {hint}") from error


Days = Annotated[str, _readable(read_days)]
Ranges = Annotated[list[Annotated[str, _readable(read_range)]], BeforeValidator(_listed)]


class GroupSettings(Section):
    """People with the same rights."""

    hours: Annotated[dict[Days, Ranges] | None, BeforeValidator(_by_days_or_always)]
    """When they may come in; None for always. There is no default."""
    ignore_holidays: bool = False
    extended: bool = False
    """Whether the door stays open longer for them."""
    liveness: Measures | None = None
    """What they must show besides their face, if not what `liveness.policy` says."""

    def group(self) -> Group:
        """Return what the rules need."""
        if self.hours is None:
            return Group(None, self.extended)
        schedule = Schedule.of(self.hours, ignore_holidays=self.ignore_holidays)
        return Group(schedule, self.extended)


class HoldOpenSettings(Section):
    """When the door is held open for everybody."""

    hours: Annotated[dict[Days, Ranges], BeforeValidator(by_days)]
    ignore_holidays: bool = False
    after_first_grant: bool = True
    """Only once somebody was let in within the hours."""

    def schedule(self) -> Schedule:
        """Return what the rules need."""
        return Schedule.of(self.hours, ignore_holidays=self.ignore_holidays)


class AccessSettings(Section):
    """Who may come in when."""

    timezone: Annotated[str, _readable(_zone_named)] | None = None
    clock: Literal["synchronized", "trusted"] = "synchronized"
    """Known to be right once a time server set it, or from the start."""
    holidays: list[Annotated[str, _readable(read_holiday)]] = Field(default_factory=list)
    groups: dict[Slug, GroupSettings] = Field(default_factory=dict)
    default_group: Slug | None = None
    hold_open: HoldOpenSettings | None = None

    @model_validator(mode="after")
    def _consistent(self) -> AccessSettings:
        if self.default_group is not None and self.default_group not in self.groups:
            raise ValueError(
                f"default_group is {self.default_group!r}, but groups has "
                + (", ".join(self.groups) or "none")
            )
        return self

    def zone(self) -> ZoneInfo | None:
        """Return the time zone, or None for the machine's."""
        return None if self.timezone is None else _zone_named(self.timezone)

    def rules(self) -> AccessRules:
        """Return who may come in when."""
        return AccessRules(
            groups={name: one.group() for name, one in self.groups.items()},
            default_group=self.default_group,
            holidays=tuple(map(read_holiday, self.holidays)),
            hold_open=self.hold_open.schedule() if self.hold_open else None,
        )
