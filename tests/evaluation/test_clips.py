"""Where clips lie, and who is on them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from lockd.config import CameraSettings
from lockd.errors import CameraError, ImageError
from lockd.evaluation.clips import LIVE, Clip, clips_in, frames_of, live_clips_in


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.zeros((16, 16, 3), np.uint8))


def clip(folder: Path, name: str) -> None:
    picture(folder / name / "1.png")


def people(folder: Path) -> dict[str, str | None]:
    return {one.name: one.person for one in clips_in(folder)}


def test_clips_are_found_by_kind_people_first(tmp_path: Path) -> None:
    for name in ("attack_print/b", "attack_phone/a", "live/z", "notes/x"):
        clip(tmp_path, name)
    found = [(one.kind, one.name) for one in clips_in(tmp_path)]
    assert found == [(LIVE, "live/z"), ("phone", "attack_phone/a"), ("print", "attack_print/b")]


def test_a_name_before_the_first_underline_is_the_persons(tmp_path: Path) -> None:
    clip(tmp_path, "live/client003_session01_webcam")
    clip(tmp_path, "live/Ada")
    (tmp_path / "live" / "Grace_2.mp4").touch()
    assert people(tmp_path) == {
        "live/client003_session01_webcam": "client003",
        "live/Ada": "Ada",
        "live/Grace_2.mp4": "Grace",
    }


def test_an_attack_is_of_the_person_whose_name_is_a_part_of_its_own(tmp_path: Path) -> None:
    for name in ("live/client003_1", "live/client03_1", "live/Ada_1"):
        clip(tmp_path, name)
    attacks = {
        "attack_print/fixed__attack_print_client003_session01": "client003",
        "attack_print/hand-ADA.high": "Ada",
        "attack_print/client0031": None,
        "attack_print/Ada_and_client03": None,
        "attack_print/nobody": None,
    }
    for name in attacks:
        clip(tmp_path, name)
    assert {name: who for name, who in people(tmp_path).items() if "attack" in name} == attacks


def test_a_folder_of_clips_is_one_persons(tmp_path: Path) -> None:
    clip(tmp_path, "live/Ada Lovelace/first_visit")
    (tmp_path / "live" / "Ada Lovelace" / "second.mp4").touch()
    clip(tmp_path, "attack_print/Ada Lovelace/x")
    assert set(people(tmp_path).values()) == {"Ada Lovelace"}
    assert len(people(tmp_path)) == 3


def test_a_list_says_who_is_on_a_clip_whatever_its_name(tmp_path: Path) -> None:
    for name in ("live/real_1", "live/real_2", "attack_print/7"):
        clip(tmp_path, name)
    (tmp_path / "people.csv").write_text(
        "clip,person\nlive/real_1,Ada\nlive/real_2,Grace\nattack_print/7,Grace\n"
    )
    assert list(people(tmp_path).values()) == ["Ada", "Grace", "Grace"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the first line must be: clip,person"),
        ("live/a,Ada\n", "the first line must be: clip,person"),
        ("clip,person\nlive/a\n", "line 2: needs a clip and a person"),
        ("clip,person\nlive/b,Ada\n", "live/b is no clip here"),
    ],
)
def test_a_wrong_list_is_refused(tmp_path: Path, content: str, said: str) -> None:
    clip(tmp_path, "live/a")
    (tmp_path / "people.csv").write_text(content)
    with pytest.raises(ImageError, match=said):
        clips_in(tmp_path)


def test_a_folder_without_clips_says_where_they_belong(tmp_path: Path) -> None:
    clip(tmp_path, "somebody/x")
    with pytest.raises(ImageError, match=r"no clips; put those of people into .*live and"):
        clips_in(tmp_path)


def test_a_door_learns_from_a_live_folder_or_from_the_folder_itself(tmp_path: Path) -> None:
    clip(tmp_path, "a/live/Ada_1")
    clip(tmp_path, "b/Ada_1")
    assert [one.name for one in live_clips_in(tmp_path / "a")] == ["live/Ada_1"]
    assert [one.name for one in live_clips_in(tmp_path / "b")] == ["Ada_1"]
    (tmp_path / "c").mkdir()
    with pytest.raises(ImageError, match="no clips"):
        live_clips_in(tmp_path / "c")


def test_pictures_of_a_folder_come_at_the_pace_asked(tmp_path: Path) -> None:
    for number in range(3):
        picture(tmp_path / f"{number}.png")
    times = [one.t for one in frames_of(Clip(LIVE, "x", tmp_path), CameraSettings(), 4.0)]
    assert times == [0.0, 0.25, 0.5]


def test_of_a_video_no_more_frames_a_second_are_read_than_asked(tmp_path: Path) -> None:
    path = tmp_path / "x.avi"
    film = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (32, 32))
    for _ in range(40):
        film.write(np.zeros((32, 32, 3), np.uint8))
    film.release()
    times = [one.t for one in frames_of(Clip(LIVE, "x", path), CameraSettings(), 5.0)]
    assert len(times) == 10
    assert np.diff(times) == pytest.approx(0.2, abs=0.051)


def test_what_is_no_clip_is_told(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("no video")
    with pytest.raises(CameraError, match=r"notes\.txt"):
        list(frames_of(Clip(LIVE, "x", path), CameraSettings(), 5.0))
