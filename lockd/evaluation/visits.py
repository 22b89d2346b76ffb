"""A clip as a visit to a door: who is recognised, when, and how live they looked until then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from lockd.config import Settings
from lockd.errors import CameraError, ImageError
from lockd.evaluation.clips import LIVE, Clip, frames_of
from lockd.evaluation.metrics import Doubles
from lockd.identity.evidence import Recognised
from lockd.identity.gallery import Gallery, Template
from lockd.recognition.recogniser import Recogniser, Vision
from lockd.types import Embedding, Face, Frame, Person, Unfit
from lockd.vision import quality
from lockd.vision.geometry import Octaves
from lockd.vision.liveness import Liveness


@dataclass(frozen=True, slots=True)
class Camera:
    """What judges clips: a door's own settings and networks.

    Attributes:
        fps: frames a second that it judges.
        least_frames: judged frames that a decision takes.
    """

    settings: Settings
    vision: Vision
    liveness: Liveness
    fps: float
    least_frames: int

    def frames(self, clip: Clip) -> Iterator[Frame]:
        """Read a clip."""
        return frames_of(clip, self.settings.camera, self.fps)


@dataclass(frozen=True, eq=False)
class Visit:
    """What came of a clip.

    Attributes:
        clip: the clip.
        scores: float64 (frames,), log-odds of every frame whose largest fit face was scored.
        recognised: whose name the door gave first, or None.
        decided: the mean over the frames until the door decided; NaN if it never did.
    """

    clip: Clip
    scores: Doubles
    recognised: Person | None = None
    decided: float = float("nan")

    @property
    def score(self) -> float:
        """The mean over all frames, NaN if there is none."""
        return float(self.scores.mean()) if len(self.scores) else float("nan")

    def early(self, frames: int) -> float:
        """Return the mean over the first so many frames, NaN if there are fewer."""
        return float(self.scores[:frames].mean()) if len(self.scores) >= frames else float("nan")


@dataclass(frozen=True, eq=False)
class Visits:
    """What came of many.

    Attributes:
        unreadable: names of clips that could not be read, with the reason.
    """

    visits: list[Visit] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Enrolled:
    """Who a door knows.

    Attributes:
        clips: names of those that the templates are from.
        without: names of people who could not be enrolled.
    """

    templates: list[Template] = field(default_factory=list)
    clips: set[str] = field(default_factory=set)
    without: list[str] = field(default_factory=list)


def watch(
    clips: Iterable[Clip],
    camera: Camera,
    templates: Sequence[Template] = (),
    step: Callable[[], None] = lambda: None,
) -> Visits:
    """Let a door see clips, each a visit by itself.

    Args:
        templates: of the people enrolled.
        step: called after each clip.
    """
    gallery = Gallery(list(templates), camera.vision.embedder.size)
    found = Visits()
    for clip in clips:
        try:
            found.visits.append(_visit(clip, camera, gallery))
        except (CameraError, ImageError) as error:
            found.unreadable[clip.name] = str(error)
        step()
    return found


def _visit(clip: Clip, camera: Camera, gallery: Gallery) -> Visit:
    recogniser = Recogniser(camera.settings, camera.vision, gallery)
    scores: list[float] = []
    named: dict[tuple[int, str], list[float]] = {}
    waiting: list[Recognised] = []
    decided: tuple[Person, float] | None = None
    for frame in camera.frames(clip):
        look = recogniser.look(frame)
        fit = [one for one in look.sightings if one.unfit is None]
        if not fit:
            continue
        mirrored = len(scores) % 2 == 1  # by turns, as at a door
        live = {
            one.visit: camera.liveness.score(frame.image, one.face, mirrored=mirrored)
            for one in fit
        }
        scores.append(live[max(fit, key=lambda one: _area(one.face)).visit])
        for one in fit:
            if one.match is not None and one.match.person is not None:
                named.setdefault((one.visit, one.match.person.id), []).append(live[one.visit])
        waiting += [one for one in look.verdicts if isinstance(one, Recognised)]
        for verdict in waiting:
            until = named.get((verdict.visit, verdict.person.id), [])
            if decided is None and len(until) >= camera.least_frames:
                decided = verdict.person, float(np.mean(until))
    finite = np.array([one for one in scores if np.isfinite(one)], np.float64)
    if decided is not None:
        return Visit(clip, finite, *decided)
    return Visit(clip, finite, waiting[0].person if waiting else None)


def enrol(
    clips: Sequence[Clip], camera: Camera, frames: int, step: Callable[[], None] = lambda: None
) -> Enrolled:
    """Enrol the people of live clips, each with so many frames.

    They are spread evenly over the first clip of each, and over the next ones if it has too
    few that are fit to be judged.

    Args:
        frames: of each; with 0 nobody is enrolled.
        step: called after each person.
    """
    enrolled = Enrolled()
    by_person: dict[str, list[Clip]] = {}
    for clip in clips if frames else ():
        if clip.kind == LIVE and clip.person:
            by_person.setdefault(clip.person, []).append(clip)
    for name, own in by_person.items():
        found: list[Embedding] = []
        for clip in own:
            if len(found) < frames:
                found += _spread(_embeddings(clip, camera), frames - len(found))
                enrolled.clips.add(clip.name)
        if not found:
            enrolled.without.append(name)
        enrolled.templates.extend(Template(Person(name, name), one) for one in found)
        step()
    return enrolled


def _embeddings(clip: Clip, camera: Camera) -> list[Embedding]:
    limits = camera.settings.quality.limits()
    found = []
    try:
        for frame in camera.frames(clip):
            octaves = Octaves(frame.image)
            fit = [
                face
                for face in camera.vision.detector.detect_in(octaves)
                if _unfit(octaves, face, limits) is None
            ]
            if fit:
                embedding = camera.vision.embedder.enrolled(octaves, max(fit, key=_area))
                found += [embedding] if np.isfinite(embedding).all() else []
    except (CameraError, ImageError):
        return found  # told of when it comes as a visit
    return found


def _spread(found: list[Embedding], wanted: int) -> list[Embedding]:
    places = np.linspace(0, len(found) - 1, min(wanted, len(found))).round().astype(int)
    return [found[place] for place in places]


def _unfit(octaves: Octaves, face: Face, limits: quality.Limits) -> Unfit | None:
    return quality.unfit(quality.measure(octaves, face), limits)


def _area(face: Face) -> float:
    return face.box.width * face.box.height
