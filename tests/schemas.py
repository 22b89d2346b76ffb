"""Are messages what their JSON Schemas say?"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable

import jsonschema

from tests.conftest import ROOT

SCHEMAS = ROOT / "lockd" / "publishing" / "schemas"
JSON_TOPICS = {
    "events": "event", "state": "state", "diagnostics": "diagnostics", "command": "command",
    "result": "result",
}  # fmt: skip


@functools.cache
def validator(name: str) -> jsonschema.Draft202012Validator:
    """The schema of a payload, itself found to be one."""
    schema = json.loads((SCHEMAS / f"{name}.json").read_text("utf-8"))
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(
        schema, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )


def schema_of(topic: str) -> str | None:
    """The schema of what is published on a topic, None for what is no JSON."""
    _, _, rest = topic.removeprefix("lockd/").partition("/")
    return "alert" if rest.startswith("alerts/") else JSON_TOPICS.get(rest)


def check_all(heard: Iterable[tuple[str, bytes, bool]]) -> set[str]:
    """Check messages heard; return which schemas had one."""
    seen = set()
    for topic, payload, _ in heard:
        name = schema_of(topic)
        if name is not None:
            validator(name).validate(json.loads(payload))
            seen.add(name)
    return seen
