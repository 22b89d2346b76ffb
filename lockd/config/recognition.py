"""How sure lockd must be, and of which faces."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from lockd.config.base import File, Seconds, Section
from lockd.identity.evidence import Agreement
from lockd.paths import shipped

if TYPE_CHECKING:
    from lockd.vision.quality import Limits


class RecognitionSettings(Section):
    """How sure lockd must be."""

    runtime: Literal["auto", "ai-edge-litert", "tflite-runtime"] = "auto"
    threads: Annotated[int, Field(ge=1, le=16)] = Field(
        default_factory=lambda: max(1, min(4, (os.cpu_count() or 1) - 1))
    )
    models: File | None = None
    """Folder of the networks; those that come with lockd if it is not set."""
    search_face_px: Annotated[int, Field(ge=20, le=1000)] = 60
    profile: Literal["accurate", "light", "facenet"] = "accurate"
    """Which networks: SFace and, where it can matter, FaceNet; or one of them alone."""
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
    still_search_s: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 2.0
    """How often a picture in which nothing moves is searched; 0 searches every one."""
    follow_search_s: Annotated[float, Field(ge=0, le=2, allow_inf_nan=False)] = 0.3
    """How often it is searched while faces are followed; 0 searches every one."""

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


class QualitySettings(Section):
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
        from lockd.vision.quality import Limits  # noqa: PLC0415  # OpenCV takes its time

        return Limits(**self.model_dump())
