"""Reading what a broker keeps of a fleet, and whatever else it has there."""

from __future__ import annotations

from lockd.service.fleet_reading import Reading


def test_what_a_broker_has_takes_no_more_room_than_is_given() -> None:
    reading = Reading([], lambda _: None, lambda _: None, 0.0, 100)
    for one in range(1000):
        reading.heard(f"people/{'x' * 100}/{one}", b"rubbish", 0.0)
    assert not reading.seen
    for one in range(1000):
        reading.heard(f"people/{one}", b"rubbish", 0.0)
    assert len(reading.seen) == 100
    reading.heard("people/1", b"", 0.0)
    assert len(reading.seen) == 99
