"""Clips of people and of presentation attacks: where they lie, and who is on them.

    DIR/live/CLIP            people
    DIR/attack_TYPE/CLIP     a picture of somebody, shown to the camera; each type has a folder

A clip is a folder of pictures or a video file. A folder of clips in `live` or in a type's
folder is one person's, and is named after them. Otherwise the name of a clip tells who is on
it: the part before the first `_` for people; for an attack, any part that is such a name.
Where names do not tell, `DIR/people.csv` does: clip,person.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from lockd.adapters.cameras import RecordedCamera, list_pictures, open_source
from lockd.config import CameraSettings
from lockd.errors import CameraError, ImageError
from lockd.recognition.photographs import entries_of
from lockd.types import Frame

LIVE = "live"
ATTACK = "attack_"
PEOPLE = "people.csv"
_PARTS = re.compile(r"[^A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Clip:
    """One visit to a camera.

    Attributes:
        kind: `LIVE`, or the type of an attack.
        name: its path below the folder of the evaluation.
        path: a folder of pictures, or a video file.
        person: who is on it, None if that is not known.
    """

    kind: str
    name: str
    path: Path
    person: str | None = None


def clips_in(folder: Path) -> list[Clip]:
    """Find the clips of a folder, by kind and name; people first.

    Raises:
        ImageError: if it cannot be read or holds no clip, or if `people.csv` is wrong.
    """
    kinds = {
        one.name.removeprefix(ATTACK): one
        for one in entries_of(folder)
        if one.is_dir() and (one.name == LIVE or one.name.startswith(ATTACK))
    }
    ordered = sorted(kinds, key=lambda kind: (kind != LIVE, kind))
    found = [clip for kind in ordered for clip in _of_kind(kind, kinds[kind], folder)]
    if not found:
        raise ImageError(
            f"{folder}: no clips; put those of people into {folder / LIVE} and those of each type "
            f"of attack into a folder such as {folder / (ATTACK + 'print')}"
        )
    return _with_people(found, _listed_people(folder / PEOPLE))


def live_clips_in(folder: Path) -> list[Clip]:
    """Find people's clips: those in `live`, or in the folder itself if it has none.

    Raises:
        ImageError: if there are none.
    """
    within = folder / LIVE if (folder / LIVE).is_dir() else folder
    found = list(_of_kind(LIVE, within, folder))
    if not found:
        raise ImageError(f"{within}: no clips; put folders of pictures or video files there")
    return _with_people(found, _listed_people(folder / PEOPLE))


def frames_of(clip: Clip, camera: CameraSettings, fps: float) -> Iterator[Frame]:
    """Read a clip as a door's camera would have seen it.

    Args:
        camera: how pictures are put upright and cut.
        fps: of a folder's pictures, so many a second; of a video, at most so many are read.

    Raises:
        CameraError: if it cannot be read.
    """
    source = open_source(camera.model_copy(update={"source": str(clip.path), "fps": fps}))
    recorded = RecordedCamera(source, camera.view())
    due = 0.0
    try:
        while (frame := recorded.next(0.0)) is not None:
            if frame.t >= due - 1e-6:
                due = max(due + 1.0 / fps, frame.t)
                yield frame
    finally:
        recorded.close()


def _of_kind(kind: str, within: Path, folder: Path) -> Iterator[Clip]:
    for entry in entries_of(within):
        if entry.name == PEOPLE:
            continue
        if not entry.is_dir() or _pictures(entry):
            yield Clip(kind, entry.relative_to(folder).as_posix(), entry)
            continue
        for inner in entries_of(entry):
            if not inner.is_dir() or _pictures(inner):
                yield Clip(kind, inner.relative_to(folder).as_posix(), inner, entry.name)


def _pictures(folder: Path) -> bool:
    try:
        return bool(list_pictures(folder))
    except CameraError as error:
        raise ImageError(str(error)) from error


def _with_people(clips: list[Clip], listed: Mapping[str, str]) -> list[Clip]:
    """The clips with those who are on them."""
    unknown = sorted(listed.keys() - {clip.name for clip in clips})
    if unknown:
        raise ImageError(f"{PEOPLE}: {unknown[0]} is no clip here; name them as live/CLIP")
    known = [replace(one, person=listed.get(one.name, one.person)) for one in clips]
    live = [
        replace(one, person=_stem(one.path).partition("_")[0])
        if one.kind == LIVE and one.person is None
        else one
        for one in known
    ]
    names = {_plain(one.person): one.person for one in live if one.kind == LIVE and one.person}
    return [
        one if one.person is not None else replace(one, person=_named(_stem(one.path), names))
        for one in live
    ]


def _named(clip: str, names: Mapping[str, str]) -> str | None:
    """The one person whose name is a part of a clip's."""
    parts = {_plain(part) for part in _PARTS.split(clip)}
    found = {name for plain, name in names.items() if plain in parts}
    return found.pop() if len(found) == 1 else None


def _stem(path: Path) -> str:
    return path.name if path.is_dir() else path.stem


def _plain(name: str) -> str:
    return name.casefold()


def _listed_people(path: Path) -> dict[str, str]:
    """Who is on each clip, as `people.csv` says; nobody without it.

    Raises:
        ImageError: if it cannot be read, or a line has not two columns.
    """
    if not path.exists():
        return {}
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = [row for row in csv.reader(file) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ImageError(f"{path}: cannot be read: {error}") from error
    if not rows or [one.strip().lower() for one in rows[0]] != ["clip", "person"]:
        raise ImageError(f"{path}: the first line must be: clip,person")
    for number, row in enumerate(rows[1:], 2):
        if len(row) != 2 or not all(row):
            raise ImageError(f"{path}: line {number}: needs a clip and a person")
    return {clip.strip(): person.strip() for clip, person in rows[1:]}
