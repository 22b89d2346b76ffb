"""What goes in and out of the interface for programs."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from lockd.remote.commands import DOOR

Moment = Annotated[str, Field(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9]{2}:[0-9]{2})?)?$")]
Text = Annotated[str, Field(max_length=64)]
Command = Literal["lock", "unlock", "lock-down", "lift", "hold-open", "silence"]
assert set(Command.__args__) == {*DOOR, "silence"}  # type: ignore[attr-defined]  # noqa: S101


class Out(BaseModel):
    """An answer."""


class Door(Out):
    """The door, as it is.

    Attributes:
        lock: LOCKED, UNLOCKED or JAMMED.
        state: in a word; see door.md.
    """

    model_config = ConfigDict(extra="allow")
    lock: str
    state: str


class DoorCommand(BaseModel):
    """How long, for what lasts."""

    model_config = ConfigDict(extra="forbid")
    seconds: Annotated[float, Field(ge=0, le=86400)] = 0


class Person(Out):
    """Somebody enrolled.

    Attributes:
        enabled: whether the door knows them.
        templates: how many.
        consent: whether it is known that they agreed.
    """

    id: str
    name: str
    enabled: bool
    groups: list[str]
    valid_from: str | None
    valid_until: str | None
    templates: int
    created_utc: str
    consent: bool


class Template(Out):
    """A template, without its vector."""

    id: int
    created_utc: str
    model: str


class PersonDetails(Person):
    """Somebody with all that is kept of them besides their face."""

    external_id: str | None
    notes: str | None
    consent_by: str | None
    consent_utc: str | None
    templates_kept: list[Template]
    audit: list[dict[str, Any]]


class People(Out):
    """Everybody enrolled."""

    people: list[Person]


class PersonChange(BaseModel):
    """What is to be different; what is left out stays."""

    model_config = ConfigDict(extra="forbid")
    name: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    enabled: bool | None = None
    groups: list[Text] | None = None
    valid_from: Moment | None = None
    valid_until: Moment | None = None
    external_id: Text | None = None
    notes: Annotated[str, Field(max_length=2000)] | None = None
    consent_by: Text | None = None
    consent_utc: Text | None = None


class Merge(BaseModel):
    """Into whom."""

    model_config = ConfigDict(extra="forbid")
    into: Text


class Removed(Out):
    """What was deleted of somebody, and whether anything is left."""

    templates: int
    photographs: int
    events: int
    verified: bool
    left: list[str]
    backups: list[str]


class JudgedPicture(Out):
    """What became of one photograph.

    Attributes:
        reason: in a word why it was refused, or None.
        message: the same for people.
        face: what was found in it, a JPEG in base64, or None.
    """

    accepted: bool
    reason: str | None
    message: str
    face: str | None


class Enrolment(Out):
    """What became of somebody's photographs.

    Attributes:
        known: whether somebody of that name is enrolled.
        accepted: how many photographs are good.
    """

    name: str
    known: bool
    id: str | None
    accepted: int
    templates: int
    pictures: list[JudgedPicture]


class FaceFound(Out):
    """One face in a photograph; coordinates in its pixels, upright."""

    person: str
    known: bool
    similarity: float | None = None
    box: list[float]
    landmarks: list[list[float]]
    confidence: float
    unfit: str | None


class Recognition(Out):
    """Who is in a photograph."""

    width: int
    height: int
    faces: list[FaceFound]


class Visits(Out):
    """Events that are kept, the last first."""

    events: list[dict[str, Any]]
    total: int


class AuditTrail(Out):
    """Who changed what, the last first."""

    entries: list[dict[str, Any]]


class Pair(Out):
    """Somebody and who looks most like them."""

    person: str
    other: str
    similarity: float


class Alike(Out):
    """Who looks like whom.

    Attributes:
        accept: from which similarity on the door takes a face for somebody.
    """

    pairs: list[Pair]
    accept: float


class Stranger(Out):
    """A stranger of just now, whose face is still in memory."""

    id: int
    utc_s: float


class Strangers(Out):
    """The last strangers."""

    strangers: list[Stranger]


class KeptStranger(Out):
    """A stranger's picture that is kept, and the event that told of them."""

    id: int
    utc: str
    event_id: str


class KeptStrangers(Out):
    """Those that are kept."""

    pictures: list[KeptStranger]


class Health(Out):
    """How the service does."""

    model_config = ConfigDict(extra="allow")
    state: dict[str, Any]
    camera_problem: str | None
    memory_mb: float | None
    temperature_c: float | None
    profile: str
    margin: float
    agree_frames: int
    window_frames: int
    min_face_px: float
