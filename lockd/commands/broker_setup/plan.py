"""What a broker is set up for, as it was asked for so far."""

from __future__ import annotations

import ipaddress
import json
import re
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

from lockd.errors import InstallError

SCHEMA = 1
_NAME = re.compile(r"[a-zA-Z0-9_-][a-zA-Z0-9_.-]{0,63}")
_DOOR = re.compile(r"[a-zA-Z0-9_-]{1,58}")
_HOST = re.compile(r"(?=.{1,253}$)[a-zA-Z0-9_]([a-zA-Z0-9_-]*[a-zA-Z0-9_])?(\.[a-zA-Z0-9_-]+)*")
_TOPIC = re.compile(r"[^+#/\s\x00]+(/[^+#/\s\x00]+)*")


@dataclass(frozen=True, slots=True)
class BrokerPlan:
    """Whom and what the broker is for.

    Attributes:
        hosts: names and addresses of the broker; doors are told the first.
        port: of its encrypted listener.
        folder: where mosquitto finds its files.
        base_topic: of the doors.
        prefix: of Home Assistant's discovery.
        doors: their ids.
        readers: users who may read what doors say.
        home_assistants: readers who are a Home Assistant.
        commanders: readers who may send commands.
        client_certificates: whether everybody needs a certificate, too.
    """

    hosts: tuple[str, ...] = ()
    port: int = 8883
    folder: str = "/etc/mosquitto/lockd"
    base_topic: str = "lockd"
    prefix: str = "homeassistant"
    doors: tuple[str, ...] = ()
    readers: tuple[str, ...] = ()
    home_assistants: tuple[str, ...] = ()
    commanders: tuple[str, ...] = ()
    client_certificates: bool = False

    def __post_init__(self) -> None:
        """Refuse names that a file or an access list would take for something else.

        Raises:
            InstallError: naming the first.
        """
        for name in self.users():
            if not _NAME.fullmatch(name) or name in map(door_user, self.doors):
                raise InstallError(
                    f"user {name!r}: give it 1 to 64 of a-z, A-Z, 0-9, dot, - and _, "
                    "and not the name of a door's own user"
                )
        for pattern, kind, names in (
            (_DOOR, "door", self.doors),
            (_HOST, "host", tuple(host for host in self.hosts if not _is_address(host))),
            (_TOPIC, "topic", (self.base_topic, self.prefix)),
        ):
            for name in names:
                if not pattern.fullmatch(name):
                    raise InstallError(f"{kind} {name!r}: not a name that a {kind} can have")

    def users(self) -> list[str]:
        """Return all who are no doors, each once, in the order they were named."""
        return list(dict.fromkeys([*self.readers, *self.home_assistants, *self.commanders]))

    def with_more(self, **wanted: Any) -> BrokerPlan:
        """Return it with what is added; hosts, numbers and names replace the earlier ones.

        Args:
            wanted: by attribute; None keeps what there is.
        """
        changes: dict[str, Any] = {}
        for name, value in wanted.items():
            if value is not None:
                added = name in ("doors", "readers", "home_assistants", "commanders")
                before = getattr(self, name) if added else ()
                many = isinstance(value, tuple)
                changes[name] = tuple(dict.fromkeys([*before, *value])) if many else value
        return replace(self, **changes)

    def as_json(self) -> str:
        """Return it as it is kept."""
        return json.dumps({"schema": SCHEMA, **asdict(self)}, indent=2) + "\n"

    @classmethod
    def of_json(cls, text: str) -> BrokerPlan:
        """Read what `as_json` wrote.

        Raises:
            InstallError: if it is something else.
        """
        try:
            values: dict[str, Any] = json.loads(text)
            if values.pop("schema") != SCHEMA:
                raise ValueError("another schema")
            known = {one.name for one in fields(cls)}
            for key in known & values.keys():
                if isinstance(values[key], list):
                    values[key] = tuple(values[key])
            return cls(**{key: values[key] for key in known & values.keys()})
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise InstallError(f"setup.json: not what lockd wrote there: {error}") from error


def door_user(door: str) -> str:
    """Return the name by which a door logs in."""
    return f"lockd-{door}"


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
