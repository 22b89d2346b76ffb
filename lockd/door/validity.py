"""From when until when somebody is let in: whole days, or to the minute. Pure.

    2026-12-31         the whole day: the first that counts, or the last
    2026-12-31T14:30   from this minute on; until this minute begins

Both are what clock and calendar on the wall show. Where a clock shows a minute twice, for summer
time ends, somebody is let in from the later one, and until the earlier one. What cannot be read
lets nobody in.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta

_DAY_S = 86_400.0


def is_moment(text: str) -> bool:
    """Return whether a text is a day, or a minute of one, as it is kept."""
    return _read(text) is not None


def begins_before_it_ends(first: str, last: str) -> bool:
    """Return whether there is any time between two moments.

    Raises:
        ValueError: if one of them is none.
    """
    begins, ends = _read(first), _read(last)
    if begins is None or ends is None:
        raise ValueError(f"{first!r} or {last!r} is no moment")
    return _wall_s(begins) < _wall_s(ends) + (0.0 if isinstance(ends, datetime) else _DAY_S)


def has_begun(first: str, when: datetime) -> bool:
    """Return whether somebody may come in yet.

    Args:
        first: from when on.
        when: the local time, with its zone.
    """
    moment = _read(first)
    if isinstance(moment, datetime):
        return max(_seconds(moment, when)) <= _now_s(when)
    return moment is not None and moment <= when.date()


def is_over(last: str, when: datetime) -> bool:
    """Return whether somebody may come in no more.

    Args:
        last: until when.
        when: the local time, with its zone.
    """
    moment = _read(last)
    if isinstance(moment, datetime):
        return min(_seconds(moment, when)) <= _now_s(when)
    return moment is None or moment < when.date()


def _read(text: str) -> date | None:
    """Return a day or a minute, None of what is neither."""
    try:
        if len(text) == len("2026-12-31"):
            day = date.fromisoformat(text)
            return day if day.isoformat() == text else None
        minute = datetime.fromisoformat(text)
        return minute if minute.isoformat(timespec="minutes") == text else None
    except ValueError:
        return None


def _seconds(moment: datetime, when: datetime) -> list[float]:
    """When a clock in the same zone shows it, once or twice; seconds of some epoch."""
    local = moment.replace(tzinfo=when.tzinfo)
    return [_now_s(local.replace(fold=fold)) for fold in (0, 1)]


def _now_s(when: datetime) -> float:
    return _wall_s(when) - (when.utcoffset() or timedelta(0)).total_seconds()


def _wall_s(moment: date) -> float:
    """What the wall shows, as seconds; of years for which there is no time in UTC, too."""
    seconds = moment.toordinal() * _DAY_S
    if isinstance(moment, datetime):
        seconds += moment.hour * 3600 + moment.minute * 60 + moment.second
    return seconds
