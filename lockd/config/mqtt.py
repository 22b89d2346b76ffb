"""Where events are published, what is told, and who may command the door from afar."""

from __future__ import annotations

from ipaddress import ip_address
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from lockd.config.access import Days, Ranges, by_days
from lockd.config.base import File, Optional_s, Section, Slug
from lockd.door.schedules import Schedule
from lockd.errors import redacted
from lockd.remote.commands import COMMANDS, PLAIN
from lockd.remote.signing import LONGEST_TOPIC, is_printable


def _command(name: str) -> str:
    if name not in COMMANDS:
        raise ValueError(f"there is no such command; there are {', '.join(COMMANDS)}")
    return name


def _plain_command(name: str) -> str:
    if name not in PLAIN.values():
        raise ValueError(f"may not go without a signature; these may: {', '.join(PLAIN.values())}")
    return name


def _topic(text: str) -> str:
    reason = None
    if not text or text != text.strip() or len(text) > LONGEST_TOPIC:
        reason = f"must have 1 to {LONGEST_TOPIC} characters and no space at its ends"
    elif text.startswith("$share/"):
        reason = "shares a subscription; nothing can be published there. Leave $share/ out"
    elif text.startswith("$"):
        reason = "is the broker's own, as all that begins with $; leave the $ out"
    elif not all(text.split("/")):
        reason = "has a / with nothing before or behind it; leave that out"
    elif "+" in text or "#" in text:
        reason = "stands for many topics; + and # may not be in it"
    elif not is_printable(text):  # it is signed, and no two programs escape it alike
        reason = "has a character that cannot be seen; remove it"
    if reason is not None:
        raise ValueError(f"{redacted(text)!r} {reason}")
    return text


def _host(text: str) -> str:
    bare = text.strip("[]")
    reason = None
    if "://" in text:
        reason = "is a URL; write the host alone, the port as mqtt.port, and tls: for mqtts"
    elif ":" in text and not _is_address(text):
        reason = (
            f"is more than a host; write host: {bare}"
            if _is_address(bare)
            else "is more than a host; the port has a setting of its own, mqtt.port"
        )
    elif not text or any(char.isspace() or not char.isprintable() for char in text):
        reason = "has a space or nothing in it; write the broker's name or address"
    elif found := set("/@?#[]\\,;'\"").intersection(text):
        reason = f"has {' '.join(sorted(found))} in it; write the broker's name or address alone"
    if reason is not None:
        raise ValueError(f"{redacted(text)!r} {reason}")
    return text


def _is_address(text: str) -> bool:
    try:
        return bool(ip_address(text))
    except ValueError:
        return False


CommandName: TypeAlias = Annotated[str, AfterValidator(_command)]
"""What can be commanded over MQTT."""
PlainCommand: TypeAlias = Annotated[str, AfterValidator(_plain_command)]
"""What can be commanded without a signature."""
QuietKind: TypeAlias = Literal["stranger", "spoof", "camera", "system"]
"""Alerts that can wait until the morning; a forced door cannot."""
TopicName: TypeAlias = Annotated[str, AfterValidator(_topic)]
"""What topics begin with."""


class TlsSettings(Section):
    """How the broker proves itself, and the door to the broker."""

    ca_file: File | None = None
    """The authority to trust; the system's if it is not set."""
    cert_file: File | None = None
    """The door's own certificate, for a broker that asks for one."""
    key_file: File | None = None
    """Its key."""

    @model_validator(mode="after")
    def _both_or_none(self) -> TlsSettings:
        if (self.cert_file is None) != (self.key_file is None):
            raise ValueError("cert_file and key_file belong together; set both or neither")
        return self


class QuietSettings(Section):
    """When some alerts are not published."""

    hours: Annotated[dict[Days, Ranges], BeforeValidator(by_days)]
    kinds: Annotated[list[QuietKind], Field(min_length=1)] = Field(default=["stranger"])

    def schedule(self) -> Schedule:
        """Return the hours."""
        return Schedule.of(self.hours, ignore_holidays=True)


class AlertSettings(Section):
    """How often a phone may ring."""

    cooldown_s: Optional_s = 60.0
    """Between two alerts of one kind."""
    quiet: QuietSettings | None = None


class SnapshotSettings(Section):
    """A picture of the last stranger."""

    of: Literal["none", "face", "frame"] = "none"
    max_kb: Annotated[int, Field(ge=5, le=2000)] = 100
    keep_s: Annotated[float, Field(gt=0, le=30 * 86400, allow_inf_nan=False)] = 3600.0
    """How long the broker keeps it."""


class CommandSettings(Section):
    """What may be commanded over MQTT, and by whom; nothing by default."""

    allow: dict[CommandName, Annotated[list[Slug], Field(min_length=1)]] = Field(
        default_factory=dict
    )
    """The identities that may use a command."""
    keys_file: File | None = None
    """Their keys; see docs/commands.md."""
    confirm_enrolment: bool = True
    """Whether whom `enrol` took stays a stranger until `confirm`."""
    plain: list[PlainCommand] = Field(default_factory=list)
    """Taken unsigned from whoever the broker lets publish them."""


class HomeAssistantSettings(Section):
    """Whether the door shows up in Home Assistant by itself."""

    discovery: bool = False
    prefix: TopicName = "homeassistant"


class MqttSettings(Section):
    """Where events are published."""

    host: Annotated[str, AfterValidator(_host)] | None = None
    """Without a host nothing is published."""
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    protocol: Literal["auto", "5", "3.1.1"] = "auto"
    """auto: 5 where the broker speaks it."""
    client_id: Slug | None = None
    username: str | None = None
    password_file: File | None = None
    tls: TlsSettings | None = None
    base_topic: TopicName = "lockd"
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    reconnect_longest_s: Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)] = 30.0
    """Between two attempts to connect."""
    similarity: Literal["never", "granted", "always"] = "granted"
    """Whose similarities are published; those of refused faces help an attacker."""
    outbox_events: Annotated[int, Field(ge=10, le=1_000_000)] = 10_000
    """Messages kept while the broker is away."""
    diagnostics_s: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = 60.0
    """Between two messages of how the service does; 0 publishes none."""
    alerts: AlertSettings = AlertSettings()
    snapshot: SnapshotSettings = SnapshotSettings()
    commands: CommandSettings = CommandSettings()
    home_assistant: HomeAssistantSettings = HomeAssistantSettings()

    @model_validator(mode="after")
    def _consistent(self) -> MqttSettings:
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file without username; set username too")
        return self

    def client(self, door: str) -> str:
        """Return what a door calls itself to the broker."""
        return self.client_id or f"lockd-{door}"
