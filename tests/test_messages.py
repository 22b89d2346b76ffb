"""What is published is what the schemas and the documentation say."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import jsonschema
import pytest

from lockd.messages import (
    ALERT,
    ALERTS,
    NEWS,
    STATUS,
    Event,
    EventType,
    Topics,
    encode,
    outgoing,
    public,
    utc_text,
    weight,
)
from tests.conftest import ROOT
from tests.schemas import SCHEMAS, schema_of, validator

DETAILS: dict[str, Any] = {
    "person": "Zoë",
    "person_id": "6d1e",
    "visit": 3,
    "reason": "a reason",
    "trouble": "dark",
    "command": "unlock",
    "by": "root",
    "result": "ok",
    "count": 2,
    "proof": "challenge+pin",
}


def payload(kind: EventType, **more: Any) -> dict[str, Any]:
    event = Event(kind, 1.5, "door", **DETAILS)
    numbered = encode({**public(event, "granted"), "series": "a", "seq": 1, **more})
    return dict(json.loads(outgoing(numbered, delayed=True)))


@pytest.mark.parametrize("kind", EventType)
def test_every_event_is_in_the_schema_and_in_the_documentation(kind: EventType) -> None:
    validator("event").validate(payload(kind))
    assert f"`{kind.value}`" in (ROOT / "docs" / "mqtt.md").read_text("utf-8")


@pytest.mark.parametrize(("kind", "alert"), ALERTS.items())
def test_every_alert_is_in_the_schema(kind: EventType, alert: str) -> None:
    validator("alert").validate(payload(kind, alert=alert, suppressed=0))
    with pytest.raises(jsonschema.ValidationError):
        validator("alert").validate(payload(kind, alert="lunch", suppressed=0))


@pytest.mark.parametrize(
    ("kind", "missing"),
    [
        (EventType.ACCESS_GRANTED, "person_id"),
        (EventType.STRANGER, "visit"),
        (EventType.COMMAND, "by"),
        (EventType.EVENTS_LOST, "count"),
        (EventType.DOOR_OPENED, "seq"),
    ],
)
def test_the_schema_misses_what_is_not_there(kind: EventType, missing: str) -> None:
    values = payload(kind)
    del values[missing]
    with pytest.raises(jsonschema.ValidationError, match=missing):
        validator("event").validate(values)


def test_every_example_in_the_documentation_is_what_its_schema_says() -> None:
    text = (ROOT / "docs" / "mqtt.md").read_text("utf-8")
    found = re.findall(r"^### `([^`]+)`$.*?^```json\n(.*?)^```$", text, re.M | re.S)
    shown = {
        schema_of("lockd/" + topic.replace("<base>/<door>", "front")): body for topic, body in found
    }
    assert {"event", "alert", "state", "diagnostics"} <= set(shown)
    for name, body in shown.items():
        assert name is not None
        validator(name).validate(json.loads(body))


def test_the_schemas_are_those_of_the_documentation() -> None:
    text = (ROOT / "docs" / "mqtt.md").read_text("utf-8")
    for file in SCHEMAS.glob("*.json"):
        assert f"lockd/publishing/schemas/{file.name}" in text


def test_alerts_weigh_most_and_status_least() -> None:
    assert weight(EventType.DOOR_FORCED) == ALERT
    assert weight(EventType.ACCESS_GRANTED) == NEWS
    assert weight(EventType.SERVICE_STARTED) == STATUS
    assert ALERT > NEWS > STATUS


def test_a_refused_face_does_not_say_how_near_it_came() -> None:
    for kind, told in [(EventType.STRANGER, False), (EventType.ACCESS_GRANTED, True)]:
        values = public(Event(kind, 0.0, "door", similarity=0.4), "granted")
        assert ("similarity" in values) is told
    assert "similarity" in public(Event(EventType.STRANGER, 0.0, "door", similarity=0.4), "always")
    granted = Event(EventType.ACCESS_GRANTED, 0.0, "door", similarity=0.9)
    assert "similarity" not in public(granted, "never")


def test_times_are_told_in_utc() -> None:
    berlin = timezone(timedelta(hours=1))
    assert utc_text(datetime(2026, 3, 1, 9, 15, 2, 114_900, berlin)) == "2026-03-01T08:15:02.114Z"
    assert utc_text(datetime(2026, 3, 1, tzinfo=UTC)) == "2026-03-01T00:00:00.000Z"


def test_no_topic_of_a_door_is_another_s() -> None:
    one, other = Topics("lockd", "front"), Topics("lockd", "back")
    assert not set(vars(one).values()) & set(vars(other).values())
    assert one.alert("tamper") == "lockd/front/alerts/tamper"
