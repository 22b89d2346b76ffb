"""`lockd replay --annotate`: a film of what lockd made of a recording, at the recording's pace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from lockd.adapters.cameras.sources import VideoSource
from lockd.commands.annotated import AnnotatedVideo
from lockd.commands.main import main
from lockd.errors import CameraError
from lockd.identity.observation import Observation, Sighting
from lockd.messages import Event, EventType
from lockd.types import Frame, Image, Unfit
from tests.conftest import PEOPLE
from tests.fakes import ADA, face_at, match
from tests.recordings import clip, record

GREEN, RED = 1, 2


def replay(*arguments: object) -> Result:
    return CliRunner().invoke(main, ["replay", *map(str, arguments)])


def film(path: Path) -> list[tuple[Image, float]]:
    source = VideoSource(path)
    pictures = []
    while (picture := source.read()) is not None:
        pictures.append(picture)
    source.close()
    return pictures


def colour_in(corner: Image) -> int:
    """Which of green and red there is more of."""
    green, red = (corner[..., channel].astype(int) for channel in (1, 2))
    return GREEN if np.sum(green - red > 60) > np.sum(red - green > 60) else RED


def relay_in(image: Image) -> int:
    return colour_in(image[-20:, :60])


def picture(size: tuple[int, int] = (240, 320), grey: int = 100) -> Image:
    return np.full((*size, 3), grey, np.uint8)


def test_it_has_boxes_verdicts_and_the_relay_each_at_its_time(tmp_path: Path) -> None:
    recording = record(tmp_path / "film.mkv", clip(3, 7))
    written = tmp_path / "seen.mp4"
    result = replay(recording, "--gallery", PEOPLE, "--annotate", written)
    assert result.exit_code == 0, result.output
    (on, _), (off, _) = json.loads(result.stdout.splitlines()[-1])["relay"]
    shown = film(written)
    assert shown[-1][1] == pytest.approx(off, abs=0.2)
    for image, t in shown:
        if abs(t - on) > 0.2 and abs(t - off) > 0.2:
            assert relay_in(image) == (GREEN if on < t < off else RED), t
    (before, _), (after, _) = clip(5.9, 6)[0], min(shown, key=lambda one: abs(one[1] - 2.9))
    changed = np.abs(before.astype(int) - after).max(axis=2) > 60
    assert 500 < changed[:-40].sum() < changed.size / 5


def test_pictures_stay_for_as_long_as_they_did(tmp_path: Path) -> None:
    written = AnnotatedVideo(tmp_path / "seen.mp4", 10)
    for grey, t in ((0, 0.0), (60, 0.5), (120, 3.0), (180, 3.1), (240, 3.15)):
        written.observed(Frame(picture(grey=grey), t, 1), Observation([], []))
    written.close()
    greys = [round(float(image[:100].mean()) / 60) for image, _ in film(tmp_path / "seen.mp4")]
    assert greys == [0] * 5 + [1] * 25 + [2] + [3] + [4]


def test_what_is_said_of_a_face_is_what_is_known_of_it() -> None:
    def label(written: AnnotatedVideo, **of: object) -> tuple[str, bool]:
        values = {"unfit": None, "match": None, **of}
        return written.label(Sighting(visit=7, face=face_at(0, 0), **values))  # type: ignore[arg-type]

    written = AnnotatedVideo(Path(os.devnull), 10)
    assert label(written, unfit=Unfit.TOO_DARK) == ("too dark", False)
    assert label(written, match=match(ADA, 0.71)) == ("Ada Lovelace 0.71", True)
    assert label(written, match=match(None, 0.2)) == ("unknown 0.20", False)
    assert label(written, match=match(None, float("nan"))) == ("unknown", False)
    assert label(written) == ("", False)
    for kind, of, said, known in (
        (EventType.UNIDENTIFIED, {"reason": "turned_away"}, "unidentified: turned away", False),
        (EventType.STRANGER, {"similarity": 0.2}, "stranger", False),
        (EventType.ACCESS_DENIED, {"person": "Ada", "reason": "hours"}, "Ada: hours", False),
        (EventType.ACCESS_GRANTED, {"person": "Ada", "similarity": 0.7}, "let in: Ada 0.70", True),
    ):
        written.event(Event(kind, 1.0, "door", visit=7, **of))  # type: ignore[arg-type]
        assert label(written) == (said, known)


def test_pictures_of_another_size_are_fitted(tmp_path: Path) -> None:
    written = AnnotatedVideo(tmp_path / "seen.mp4", 10)
    for number, size in enumerate([(240, 320), (480, 640), (241, 321)]):
        written.observed(Frame(picture(size), number / 10, number), Observation([], []))
    written.close()
    assert [image.shape for image, _ in film(tmp_path / "seen.mp4")] == [(240, 320, 3)] * 3


@pytest.mark.parametrize(
    ("file", "code", "said"),
    [
        ("nowhere/seen.mp4", 6, "No such file"),
        ("seen.avi", 2, "should end in .mp4"),
        (".", 2, "is a directory"),
        ("film.mp4", 2, "is the recording"),
    ],
)
def test_a_film_that_cannot_be_written_is_told_before_the_run(
    tmp_path: Path, file: str, code: int, said: str
) -> None:
    recording = record(tmp_path / "film.mp4", [(picture(), 0.0), (picture(), 0.1)])
    content = recording.read_bytes()
    result = replay(recording, "--gallery", PEOPLE, "--annotate", tmp_path / file)
    assert result.exit_code == code
    assert said in result.stderr
    assert result.stdout == ""
    assert recording.read_bytes() == content


def test_nothing_is_left_where_nothing_was_shown(tmp_path: Path) -> None:
    result = replay("nowhere.mp4", "--gallery", PEOPLE, "--annotate", tmp_path / "seen.mp4")
    assert result.exit_code == 6
    assert list(tmp_path.glob("*.mp4")) == []


def test_a_film_that_ran_out_of_room_says_so(tmp_path: Path) -> None:
    program = f"""
from pathlib import Path
import numpy as np
from lockd.commands.annotated import AnnotatedVideo
from lockd.identity.observation import Observation
from lockd.types import Frame
film = AnnotatedVideo(Path({str(tmp_path / "seen.mp4")!r}), 10)
for number in range(50):
    image = np.random.default_rng(number).integers(0, 255, (240, 320, 3), np.uint8)
    film.observed(Frame(image, number / 10, number), Observation([], []))
film.close()
"""
    limited = ["bash", "-c", 'ulimit -f 100; exec "$0" -c "$1"', sys.executable, program]
    done = subprocess.run(limited, capture_output=True, text=True, check=False)
    assert CameraError.__name__ in done.stderr
    assert "is the disk full?" in done.stderr
