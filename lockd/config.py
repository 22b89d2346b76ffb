"""YAML to frozen, validated settings.

Every mistake is reported at once, each with its path, what was found and what would
be right. A key that lockd does not know is a mistake: a setting is never ignored in
silence. ``config/lockd.yaml`` shows every key.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar
from zoneinfo import ZoneInfo, available_timezones

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from lockd.door.events import LONGEST_S, DoorRules, LockOut, Relock
from lockd.door.rules import AccessRules, Group
from lockd.door.schedules import Schedule, read_days, read_holiday, read_range
from lockd.errors import ConfigError
from lockd.identity.evidence import Agreement
from lockd.paths import shipped, user_state_dir
from lockd.types import Signal
from lockd.vision.pictures import View
from lockd.vision.quality import Limits

ENVIRONMENT = "LOCKD_CONFIG"
CSI_KINDS = ("csi", "picamera2")
"""Sources of a camera on the ribbon cable; ":1" behind them means the second."""
STREAM_SCHEMES = ("rtsp://", "rtsps://", "http://", "https://")
SYSTEM_FILE = Path("/etc/lockd/lockd.yaml")

Seconds = Annotated[float, Field(gt=0, le=3600, allow_inf_nan=False)]
Pin = Annotated[int, Field(ge=0, le=53)]
Pull = Literal["up", "down", "none"]
Level = Literal["low", "high"]
Optional_s = Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)]
Slug = Annotated[str, Field(pattern=r"^[a-zA-Z0-9_-]{1,64}$")]
File = Annotated[Path, Field(strict=False)]
_T = TypeVar("_T")


class _Settings(BaseModel):
    # Strict, for YAML has types of its own: `open_s: yes` is no second.
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, validate_default=True)


class LockOutSettings(_Settings):
    """When strangers close the door to faces for a while."""

    denials: Annotated[int, Field(ge=0, le=1000)] = 5
    within_s: Seconds = 120.0
    lasts_s: Seconds = 30.0
    rest_s: Seconds = 60.0


class DoorSettings(_Settings):
    """The door itself."""

    id: Slug = "door"
    """In MQTT topics and events."""
    name: Annotated[str, Field(min_length=1, max_length=64)] = "Door"
    open_s: Annotated[float, Field(ge=0.5, le=LONGEST_S, allow_inf_nan=False)] = 5.0
    extended_open_s: Annotated[float, Field(ge=0.5, le=LONGEST_S, allow_inf_nan=False)] = 15.0
    pulse_gap_s: Annotated[float, Field(ge=0.1, le=10, allow_inf_nan=False)] = 0.5
    relock: Annotated[Relock, Field(strict=False)] = Relock.ON_CLOSE
    held_s: Annotated[float, Field(ge=0, le=3600, allow_inf_nan=False)] = 30.0
    forced_alarm: bool = True
    forced_grace_s: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 1.0
    anti_tailgate: bool = False
    exit_releases: bool = True
    tamper_locks_down: bool = False
    hold_open_longest_s: Annotated[float, Field(ge=0, le=86_400, allow_inf_nan=False)] = 0.0
    lock_out: LockOutSettings = LockOutSettings()

    def rules(self) -> DoorRules:
        """Return what the state machine needs."""
        names = DoorRules.__dataclass_fields__.keys() - {"longest_s", "lock_out"}
        values = {name: getattr(self, name) for name in names}
        return DoorRules(**values, lock_out=LockOut(**self.lock_out.model_dump()))


class RegionSettings(_Settings):
    """The part of the upright picture to look at, in fractions of its sides."""

    x: Annotated[float, Field(ge=0, le=0.95)] = 0.0
    y: Annotated[float, Field(ge=0, le=0.95)] = 0.0
    width: Annotated[float, Field(ge=0.05, le=1)] = 1.0
    height: Annotated[float, Field(ge=0.05, le=1)] = 1.0

    @model_validator(mode="after")
    def _inside(self) -> RegionSettings:
        for start, size in (("x", "width"), ("y", "height")):
            # Decimal fractions such as 0.7 + 0.3 may come out a hair above 1.
            if not getattr(self, start) + getattr(self, size) <= 1 + 1e-9:
                raise ValueError(
                    f"{start} ({getattr(self, start)}) and {size} ({getattr(self, size)}) reach "
                    f"beyond the picture; they may add up to 1"
                )
        return self


class CameraSettings(_Settings):
    """Where the pictures come from, and when something is wrong with them."""

    source: Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=0, le=63)] = 0
    """A V4L2 device (number or path), `csi`, an rtsp or http URL, a video file or a folder."""
    width: Annotated[int, Field(ge=160, le=4096)] = 640
    height: Annotated[int, Field(ge=120, le=4096)] = 480
    fps: Annotated[float, Field(ge=1, le=120)] = 15.0
    open_timeout_s: Seconds = 5.0
    read_timeout_s: Seconds = 5.0
    retry_first_s: Seconds = 1.0
    retry_longest_s: Seconds = 30.0
    rotate: Literal[0, 90, 180, 270] = 0
    """Degrees clockwise that put the picture upright."""
    mirror: bool = False
    """Whether to swap left and right, once it is upright."""
    region: RegionSettings | None = None
    frozen_after_s: Optional_s = 30.0
    """0 does not look for it, and hands over pictures that repeat others."""
    covered_after_s: Optional_s = 10.0
    """For dark as well; 0 does not look for either."""
    max_age_s: Annotated[float, Field(ge=0.1, le=60, allow_inf_nan=False)] = 3.0
    """A frame older than this, once judged, decides nothing."""

    @model_validator(mode="after")
    def _known(self) -> CameraSettings:
        kind, colon, number = str(self.source).partition(":")
        if colon and kind in CSI_KINDS and number not in {str(n) for n in range(10)}:
            raise ValueError(f"source {self.source!r}; use {kind}, or {kind}:1 for the second one")
        return self

    def view(self) -> View:
        """Return how a picture is put upright and cut."""
        region = None
        if self.region is not None:
            region = (self.region.x, self.region.y, self.region.width, self.region.height)
        return View(self.rotate, self.mirror, region)


class RecognitionSettings(_Settings):
    """How sure lockd must be."""

    runtime: Literal["auto", "ai-edge-litert", "tflite-runtime"] = "auto"
    threads: Annotated[int, Field(ge=1, le=16)] = Field(
        default_factory=lambda: min(4, os.cpu_count() or 1)
    )
    models: File | None = None
    """Folder of the networks; those that come with lockd if it is not set."""
    search_face_px: Annotated[int, Field(ge=20, le=1000)] = 60
    profile: Literal["accurate", "light"] = "accurate"
    """Which networks: SFace and FaceNet, or FaceNet alone."""
    accept: Annotated[float, Field(ge=0.2, le=1, allow_inf_nan=False)] | None = None
    """Least similarity of a match; what the model card recommends if it is not set."""
    margin: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.05
    faces_per_frame: Annotated[int, Field(ge=1, le=32)] = 4
    visit_gap_s: Seconds = 2.0
    agree_frames: Annotated[int, Field(ge=1, le=50)] = 3
    window_frames: Annotated[int, Field(ge=1, le=50)] = 5
    window_s: Seconds = 3.0
    stranger_frames: Annotated[int, Field(ge=1, le=200)] = 8
    stranger_after_s: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 1.5
    least_visit_s: Annotated[float, Field(ge=0, le=60, allow_inf_nan=False)] = 1.0
    rejudge_s: Seconds = 0.5

    @model_validator(mode="after")
    def _consistent(self) -> RecognitionSettings:
        if self.agree_frames > self.window_frames:
            raise ValueError(
                f"agree_frames ({self.agree_frames}) can never be reached among "
                f"window_frames ({self.window_frames}); raise window_frames"
            )
        return self

    def folder(self) -> Path:
        """Return the folder of the networks."""
        return self.models or shipped("models")

    def threshold(self, recommended: float) -> float:
        """Return the least similarity of a match.

        Args:
            recommended: for the networks in use, where nothing is set.
        """
        return recommended if self.accept is None else self.accept

    def agreement(self) -> Agreement:
        """Return how much evidence a verdict takes."""
        names = Agreement.__dataclass_fields__
        return Agreement(**{name: getattr(self, name) for name in names})


class QualitySettings(_Settings):
    """Which faces are good enough to be judged."""

    min_face_px: Annotated[int, Field(ge=20, le=2000)] = 80
    min_luma: Annotated[float, Field(ge=0, le=255)] = 40.0
    max_luma: Annotated[float, Field(ge=0, le=255)] = 225.0
    min_sharpness: Annotated[float, Field(ge=0, le=10)] = 0.15
    max_yaw: Annotated[float, Field(ge=0, le=5)] = 0.45
    min_pitch: Annotated[float, Field(ge=-1, le=1)] = 0.25
    max_pitch: Annotated[float, Field(ge=0, le=2)] = 0.8
    min_inside: Annotated[float, Field(ge=0, le=1)] = 0.85
    min_confidence: Annotated[float, Field(ge=0, le=1)] = 0.9

    @model_validator(mode="after")
    def _consistent(self) -> QualitySettings:
        for low, high in (("min_luma", "max_luma"), ("min_pitch", "max_pitch")):
            if getattr(self, low) >= getattr(self, high):
                raise ValueError(
                    f"no face lies between {low} ({getattr(self, low)}) and "
                    f"{high} ({getattr(self, high)}); {low} must be the smaller"
                )
        return self

    def limits(self) -> Limits:
        """Return what a face must reach."""
        return Limits(**self.model_dump())


class RelaySettings(_Settings):
    """The relay that releases the strike."""

    factory: Literal["lgpio", "rpigpio", "mock"] = "lgpio"
    """Of the inputs and signals too."""
    pin: Pin = 17
    active_high: bool = True
    """Whether a high level switches the relay on."""
    wiring: Literal["fail_secure", "fail_safe"] = "fail_secure"
    """Whether the relay is switched on to unlock, or is on for as long as it is locked."""

    @property
    def unlocks_high(self) -> bool:
        """Whether a high level of the pin unlocks the door."""
        return self.active_high == (self.wiring == "fail_secure")


class InputSettings(_Settings):
    """What every input has."""

    pin: Pin
    pull: Pull = "up"
    """The Pi's own resistor; none if there is another one."""
    debounce_s: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.05


class ExitSettings(InputSettings):
    """The exit button; as it is by default, it connects the pin to ground."""

    pressed_when: Level = "low"

    @property
    def active_high(self) -> bool:
        """Whether the pin is high while the button is pressed."""
        return self.pressed_when == "high"


class ContactSettings(InputSettings):
    """The door contact; by default it connects the pin to ground while the door is closed."""

    open_when: Level = "high"

    @property
    def active_high(self) -> bool:
        """Whether the pin is high while the door is open."""
        return self.open_when == "high"


class TamperSettings(InputSettings):
    """The tamper switch; by default it connects the pin to ground while all is well."""

    tampered_when: Level = "high"

    @property
    def active_high(self) -> bool:
        """Whether the pin is high while somebody tampers."""
        return self.tampered_when == "high"


class InputsSettings(_Settings):
    """What is wired to the door besides the relay; each may be missing."""

    exit: ExitSettings | None = None
    contact: ContactSettings | None = None
    tamper: TamperSettings | None = None


class LedSettings(_Settings):
    """A status LED."""

    pin: Pin
    active_high: bool = True


class BuzzerSettings(LedSettings):
    """A buzzer with a tone of its own."""

    quiet: Annotated[tuple[Annotated[Signal, Field(strict=False)], ...], Field(strict=False)] = ()
    """Patterns at which it stays silent."""


class SignalsSettings(_Settings):
    """What tells whoever stands at the door; each may be missing."""

    led: LedSettings | None = None
    buzzer: BuzzerSettings | None = None


class StoreSettings(_Settings):
    """Where people and events are kept."""

    folder: File | None = None

    def path(self) -> Path:
        """Return the database file.

        The folder set, or the service's state directory if systemd made one, or
        where the user's data belongs.
        """
        by_systemd = os.environ.get("STATE_DIRECTORY", "").split(":")[0]
        folder = self.folder or (Path(by_systemd) if by_systemd else user_state_dir())
        return folder / "lockd.db"


def _readable(read: Callable[[str], object]) -> AfterValidator:
    """A check that a text can be read; what it means is asked for later."""

    def check(text: str) -> str:
        read(text)
        return text

    return AfterValidator(check)


def _by_days(value: object, otherwise: str = "") -> object:
    if not isinstance(value, dict):
        raise ValueError(
            f"{value!r} are no hours; use {otherwise}days with hours, "
            'such as {mon-fri: ["09:00-17:00"]}'
        )
    return value


def _by_days_or_always(value: object) -> object:
    """Take `always` for None; nothing at all, which YAML has for None, must not mean it."""
    return None if value == "always" else _by_days(value, "always, or ")


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


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


class GroupSettings(_Settings):
    """People with the same rights."""

    hours: Annotated[dict[Days, Ranges] | None, BeforeValidator(_by_days_or_always)]
    """When they may come in; None for always. There is no default."""
    ignore_holidays: bool = False
    extended: bool = False
    """Whether the door stays open longer for them."""

    def group(self) -> Group:
        """Return what the rules need."""
        if self.hours is None:
            return Group(None, self.extended)
        schedule = Schedule.of(self.hours, ignore_holidays=self.ignore_holidays)
        return Group(schedule, self.extended)


class HoldOpenSettings(_Settings):
    """When the door is held open for everybody."""

    hours: Annotated[dict[Days, Ranges], BeforeValidator(_by_days)]
    ignore_holidays: bool = False
    after_first_grant: bool = True
    """Only once somebody was let in within the hours."""

    def schedule(self) -> Schedule:
        """Return what the rules need."""
        return Schedule.of(self.hours, ignore_holidays=self.ignore_holidays)


class AccessSettings(_Settings):
    """Who may come in when."""

    timezone: Annotated[str, _readable(_zone_named)] | None = None
    clock: Literal["synchronized", "trusted"] = "synchronized"
    """Known to be right once a time server set it, or from the start."""
    holidays: list[Annotated[str, _readable(read_holiday)]] = []
    groups: dict[Slug, GroupSettings] = {}
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


class ControlSettings(_Settings):
    """Where `lockd door` reaches the service."""

    socket: File | None = None

    def path(self) -> Path | None:
        """Return the socket: the one set, or where systemd made room for it, or none."""
        by_systemd = os.environ.get("RUNTIME_DIRECTORY", "").split(":")[0]
        return self.socket or (Path(by_systemd) / "control" if by_systemd else None)


class TlsSettings(_Settings):
    """How the broker proves itself."""

    ca_file: File | None = None
    """The authority to trust; the system's if it is not set."""


class MqttSettings(_Settings):
    """Where events are published."""

    host: Annotated[str, Field(min_length=1)] | None = None
    """Without a host nothing is published."""
    port: Annotated[int, Field(ge=1, le=65535)] = 1883
    client_id: Slug | None = None
    username: str | None = None
    password_file: File | None = None
    tls: TlsSettings | None = None
    base_topic: Annotated[str, Field(pattern=r"^[^+#/\x00]+(/[^+#/\x00]+)*$", max_length=128)] = (
        "lockd"
    )
    keepalive_s: Annotated[int, Field(ge=5, le=3600)] = 30
    similarity: Literal["never", "granted", "always"] = "granted"
    """Whose similarities are published; those of refused faces help an attacker."""
    outbox_events: Annotated[int, Field(ge=10, le=1_000_000)] = 10_000
    """Events kept while the broker is away; beyond this the oldest are dropped."""

    @model_validator(mode="after")
    def _consistent(self) -> MqttSettings:
        if self.password_file is not None and self.username is None:
            raise ValueError("password_file without username; set username too")
        return self


class Settings(_Settings):
    """Everything that can be set."""

    door: DoorSettings = DoorSettings()
    camera: CameraSettings = CameraSettings()
    recognition: RecognitionSettings = RecognitionSettings()
    quality: QualitySettings = QualitySettings()
    relay: RelaySettings = RelaySettings()
    inputs: InputsSettings = InputsSettings()
    signals: SignalsSettings = SignalsSettings()
    access: AccessSettings = AccessSettings()
    store: StoreSettings = StoreSettings()
    control: ControlSettings = ControlSettings()
    mqtt: MqttSettings = MqttSettings()
    log: Literal["debug", "info", "warning", "error"] = "info"

    @model_validator(mode="after")
    def _one_use_of_a_pin(self) -> Settings:
        used: dict[int, str] = {}
        for name, pin in self._pins():
            if pin in used:
                raise ValueError(f"{used[pin]} and {name} are both {pin}; give each its own pin")
            used[pin] = name
        return self

    def _pins(self) -> Iterator[tuple[str, int]]:
        """Every pin, by the path of its setting."""
        yield "relay.pin", self.relay.pin
        for section in ("inputs", "signals"):
            for name, part in getattr(self, section):
                if part is not None:
                    yield f"{section}.{name}.pin", part.pin


def find(given: Path | None) -> Path | None:
    """Return the configuration file to read, or None for the defaults.

    The one given, else the one that ``$LOCKD_CONFIG`` names, else
    ``/etc/lockd/lockd.yaml`` if this machine has it.
    """
    if given is not None:
        return given
    if os.environ.get(ENVIRONMENT):
        return Path(os.environ[ENVIRONMENT])
    try:
        return SYSTEM_FILE if SYSTEM_FILE.exists() else None
    except PermissionError as error:
        raise ConfigError(
            f"{SYSTEM_FILE}: {error.strerror}; run the command as root or as the user lockd, "
            "or name another file with --config"
        ) from error


def load(path: Path | None) -> Settings:
    """Read a configuration file.

    Relative paths in it are taken from the file's own folder.

    Args:
        path: the YAML file, or None for the defaults.

    Raises:
        ConfigError: listing every mistake.
    """
    if path is None:
        return Settings()
    try:
        text = path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{path}: cannot be read: {reason}") from error
    settings = parse(text, str(path))
    folder = path.resolve().parent
    settings = _from_folder(settings, folder)
    source = settings.camera.source
    if is_path(source):
        camera = settings.camera.model_copy(
            update={"source": str(folder / Path(str(source)).expanduser())}
        )
        settings = settings.model_copy(update={"camera": camera})
    return settings


def is_path(source: str | int) -> bool:
    """Return whether a camera source names a file or folder, not a device or stream."""
    return (
        isinstance(source, str)
        and not source.isdecimal()
        and not source.startswith((*STREAM_SCHEMES, "/dev/"))
        and source.partition(":")[0] not in CSI_KINDS
    )


def parse(text: str, name: str = "configuration") -> Settings:
    """Validate a configuration's text.

    Args:
        text: YAML.
        name: of the file, for the error message.

    Raises:
        ConfigError: listing every mistake.
    """
    try:
        content = yaml.load(text, Loader=_StrictLoader)  # noqa: S506  # a SafeLoader
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not YAML: {error}") from error
    if content is None:
        content = {}
    if not isinstance(content, dict):
        raise ConfigError(f"{name}: expected sections such as `door:`, found {content!r}")
    # A section with nothing in it is an empty section: `tls:` alone must encrypt.
    content = {key: {} if value is None else value for key, value in content.items()}
    mqtt = content.get("mqtt")
    if isinstance(mqtt, dict) and mqtt.get("tls", ...) is None:
        content["mqtt"] = {**mqtt, "tls": {}}
    try:
        return Settings.model_validate(content)
    except ValidationError as error:
        lines = _explain_all([dict(one) for one in error.errors()])
        listed = "\n".join(f"  {line}" for line in lines)
        mistakes = "1 mistake" if len(lines) == 1 else f"{len(lines)} mistakes"
        raise ConfigError(f"{name}: {mistakes}\n{listed}") from None


class _StrictLoader(yaml.SafeLoader):
    """A SafeLoader that refuses a key written twice instead of taking the last.

    A date is a text: what is wrong with 2026-02-30 can then be said with its path.
    """

    yaml_implicit_resolvers = {  # noqa: RUF012  # as PyYAML declares it
        first: [one for one in resolvers if one[0] != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {key!r} is there twice", key_node.start_mark
                )
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


def _explain_all(errors: list[dict[str, Any]]) -> list[str]:
    """One line for each mistake: the path, what is wrong, and the way out."""
    lines: list[str] = []
    wrong: dict[str, tuple[Any, list[str]]] = {}
    for error in errors:
        path = [str(part) for part in error["loc"]]
        message = error["msg"].removeprefix("Value error, ")
        if error["type"] == "extra_forbidden":
            close = difflib.get_close_matches(path[-1], _section(path[:-1])[1], n=1)
            hint = f"did you mean {close[0]}?" if close else "lockd knows no such setting"
            lines.append(f"{'.'.join(path)}: unknown key; {hint}")
        elif error["type"] == "missing":
            lines.append(f"{'.'.join(path)}: missing; it has no default")
        elif error["type"] == "value_error":
            names = ".".join(name for name in path if name != "[key]")
            lines.append(": ".join(filter(None, [names, message])))
        else:
            # A value that may be of several types is one mistake with several ways out.
            where = ".".join(_section(path)[0])
            wrong.setdefault(where, (error["input"], []))[1].append(message)
    for where, (found, messages) in wrong.items():
        lines.append(f"{where}: {found!r} is wrong: {', or '.join(messages)}")
    return lines


def _section(path: list[str]) -> tuple[list[str], list[str]]:
    """The part of a path that a file would show, and the keys of the section there."""
    section: type[BaseModel] | None = Settings
    shown: list[str] = []
    named = False  # whether next comes a name that the file gives, as of a group
    for name in path:
        if named:
            named = False
        elif section is None or name not in section.model_fields:
            break
        else:
            annotation = section.model_fields[name].annotation
            kinds = [annotation, *getattr(annotation, "__args__", ())]
            sections = [k for k in kinds if isinstance(k, type) and issubclass(k, BaseModel)]
            section = sections[0] if sections else None
            named = any(getattr(kind, "__origin__", None) is dict for kind in kinds)
        shown.append(name)
    return shown, list(section.model_fields) if section else []


def _from_folder(value: _T, folder: Path) -> _T:
    """Settings whose relative paths are taken from a folder."""
    if not isinstance(value, BaseModel):
        return value
    changed: dict[str, Any] = {}
    for name in type(value).model_fields:
        inner = getattr(value, name)
        if isinstance(inner, Path):
            changed[name] = folder / inner.expanduser()
        elif isinstance(inner, BaseModel):
            changed[name] = _from_folder(inner, folder)
    return value.model_copy(update=changed)
