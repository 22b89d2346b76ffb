"""What a configuration says of the relay, at a glance: `relay-safe` cannot wait for YAML.

Only the plainest way of writing is understood, a section `relay:` with a word for each key, as
the file that comes with lockd has it. Of any other it says that it does not know.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_KEY = re.compile(r"([a-z_]+):(?:\s.*)?")
_ENTRY = re.compile(r" +([a-z_]+): +([a-z0-9_]+)\s*(?:\s#.*)?")
_TRUTH = {"true": True, "false": False}


class Glance(NamedTuple):
    """What counts of a relay; see `lockd.config.RelaySettings`."""

    factory: str
    pin: int
    locked_high: bool


def glance(text: str) -> Glance | None:
    """Return what a configuration says of the relay, None if it is not written plainly."""
    found: dict[str, str] = {"factory": "lgpio", "pin": "17"}
    found |= {"active_high": "true", "wiring": "fail_secure"}
    sections: list[str] = []
    entries: set[str] = set()
    for line in text.splitlines():
        if not line.strip() or line.lstrip(" ").startswith("#"):
            continue
        if not line.startswith(" "):
            key = _KEY.fullmatch(line)
            if key is None or key[1] in sections:
                return None
            sections.append(key[1])
            if key[1] == "relay" and line.partition("#")[0].strip() != "relay:":
                return None
        elif sections[-1:] == ["relay"]:
            entry = _ENTRY.fullmatch(line)
            if entry is None or entry[1] not in found or entry[1] in entries:
                return None
            entries.add(entry[1])
            found[entry[1]] = entry[2]
    return _understood(**found)


def _understood(factory: str, pin: str, active_high: str, wiring: str) -> Glance | None:
    number = re.fullmatch(r"0|[1-9][0-9]?", pin)
    high = _TRUTH.get(active_high)
    if number is None or high is None or wiring not in ("fail_secure", "fail_safe"):
        return None
    return Glance(factory, int(pin), high != (wiring == "fail_secure"))
