"""Where the pictures come from."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from pydantic import AfterValidator, Field, ValidationError, model_validator

from lockd.config.base import File, Optional_s, Seconds, Section
from lockd.config.sources import CSI_KINDS, ENCRYPTED, read_source
from lockd.errors import CameraError
from lockd.paths import system_authorities

if TYPE_CHECKING:
    from lockd.vision.pictures import View


class RegionSettings(Section):
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


class CameraSettings(Section):
    """Where the pictures come from, and when something is wrong with them."""

    source: Annotated[str, AfterValidator(read_source)] | Annotated[int, Field(ge=0, le=63)] = (
        Field(default=0, repr=False)
    )
    """A V4L2 device (number or path), `csi`, an rtsp or http URL, a video file or a folder.

    Its password is in it: print it only through `lockd.errors.redacted`.
    """
    tls: Literal["verified", "unverified"] = "verified"
    """Whether an rtsps or https camera must prove who it is."""
    ca_file: File | None = None
    """The authority that says so; the system's if it is not set."""
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
    delayed_after_s: Optional_s = 3.0
    """How late a stream's pictures may come; 0 does not look for it."""
    timestamps: Literal["trusted", "ignored"] = "trusted"
    """Whether a stream's own time is a clock; else only its pace is gone by."""
    clock: Literal["unknown", "synchronized"] = "unknown"
    """Whether the clock of an RTSP camera is right, as this machine's is."""
    max_age_s: Annotated[float, Field(ge=0.1, le=60, allow_inf_nan=False)] = 3.0
    """A frame older than this, once judged, decides nothing."""

    @model_validator(mode="after")
    def _known(self) -> CameraSettings:
        kind, colon, number = str(self.source).partition(":")
        if colon and kind in CSI_KINDS and number not in {str(n) for n in range(10)}:
            raise ValueError(f"source {self.source!r}; use {kind}, or {kind}:1 for the second one")
        return self

    def from_source(self, source: str) -> Self:
        """Return these settings with another source, as a command line names it.

        Raises:
            CameraError: if it is of no kind.
        """
        try:
            return type(self).model_validate({**dict(self), "source": source})
        except ValidationError as error:
            raise CameraError(error.errors()[0]["msg"].removeprefix("Value error, ")) from None

    @property
    def unverified(self) -> bool:
        """Whether anybody on the wire may pass for the camera though it speaks TLS."""
        return self.tls == "unverified" and str(self.source).startswith(ENCRYPTED)

    def authorities(self) -> Path | None:
        """Return whom a certificate must be signed by; None if anybody may, or there is no TLS."""
        if self.tls == "unverified" or not str(self.source).startswith(ENCRYPTED):
            return None
        return self.ca_file or system_authorities()

    def view(self) -> View:
        """Return how a picture is put upright and cut."""
        from lockd.vision.pictures import View  # noqa: PLC0415  # OpenCV takes its time

        region = None
        if self.region is not None:
            region = (self.region.x, self.region.y, self.region.width, self.region.height)
        return View(self.rotate, self.mirror, region)


class InfraredSettings(CameraSettings):
    """A camera for near infrared beside the first, and where it sees what that one sees."""

    shift_x: Annotated[float, Field(ge=-0.5, le=0.5)] = 0.0
    """How far to the right it sees somebody, as a share of its picture's width."""
    shift_y: Annotated[float, Field(ge=-0.5, le=0.5)] = 0.0
    """How far down, as a share of its picture's height."""
    zoom: Annotated[float, Field(ge=0.25, le=4)] = 1.0
    """How many times as large it sees them, as a share of its picture's width."""
    tolerance: Annotated[float, Field(ge=0.2, le=2)] = 0.6
    """How far from there a face may be, in its own widths."""


class MainCameraSettings(CameraSettings):
    """The camera whose pictures are judged."""

    infrared: InfraredSettings | None = None
