"""What is seen in the terminal, and in the file that was asked for."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import cv2
import numpy as np
import pytest
from rich.console import Console

from enroll.capture import Progress, Taken
from enroll.capture_pictures import PICTURE_PX, face_picture, half_blocks, save_sheet
from enroll.capture_screen import WORDS, Steady, screen, show_faces, summary
from enroll.poses import GOALS, Advice, Hint, Pose
from lockd.errors import ImageError
from lockd.types import Image
from lockd.vision.geometry import Octaves
from lockd.vision.quality import Quality
from tests.fakes import face_at, unit


def picture(level: int = 90) -> Image:
    return np.full((PICTURE_PX, PICTURE_PX, 3), level, np.uint8)


def taken(pose: Pose, level: int = 90) -> Taken:
    quality = Quality(180.0, 1.0, 120.0, 0.5, 0.0, 0.5, 0.99)
    return Taken(pose, unit(1), unit(1), quality, picture(level), picture(level))


def progress(
    hint: Hint | None, *done: Taken, left_s: float = 100.0, problem: str | None = None
) -> Progress:
    advice = None if hint is None else Advice(hint)
    return Progress(advice, list(done), list(GOALS), left_s, problem)


def console(encoding: str = "utf-8", **how: object) -> tuple[Console, io.BytesIO]:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding, write_through=True)
    return Console(file=file, width=100, **how), raw  # type: ignore[arg-type]


def shown(*steps: Progress, encoding: str = "utf-8", preview: bool = False, **how: object) -> str:
    """All that a screen writes."""
    out, raw = console(encoding, **how)
    with screen(out, "[b]Ada[/]", plain=False, preview=preview) as tell:
        for step in steps:
            tell(step)
    return raw.getvalue().decode(encoding)


FRONTAL = taken(Pose.FRONTAL)


def test_programs_are_told_every_change_once(capsys: pytest.CaptureFixture[str]) -> None:
    with screen(console()[0], "Ada", plain=False, preview=False, for_programs=True) as tell:
        for step in (
            progress(None),
            progress(None),
            progress(Hint.NOBODY, left_s=99.6),
            progress(Hint.NOBODY),
            progress(Hint.NOBODY, left_s=89.6),
            progress(Hint.TAKEN, FRONTAL),
            progress(None, FRONTAL),
            progress(None, problem="missing: unplugged"),
        ):
            tell(step)
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [one.get("hint") for one in told] == [None, "nobody", "nobody", "taken", None]
    assert told[1] == {
        "taken": 0, "of": 8, "hint": "nobody", "says": WORDS[Hint.NOBODY], "left_s": 100,
    }  # fmt: skip
    assert told[4]["problem"] == "missing: unplugged"


class TestPlain:
    def test_a_line_for_each_change_and_no_cursor_is_moved(self) -> None:
        text = shown(
            progress(None),
            progress(Hint.NOBODY),
            progress(Hint.NOBODY),
            progress(Hint.STAY),
            progress(Hint.STAY),
            progress(Hint.TAKEN, FRONTAL),
            progress(Hint.TURN_LEFT, FRONTAL),
            progress(Hint.TURN_LEFT, FRONTAL),
            progress(Hint.COMPLETE, FRONTAL, taken(Pose.LEFT)),
        )
        assert text.splitlines() == [
            WORDS[Hint.NOBODY],
            WORDS[Hint.STAY],
            "1 of 8: frontal ✓………  left …  right …  up …  down …",
            WORDS[Hint.TURN_LEFT],
            "2 of 8: frontal ✓………  left ✓  right …  up …  down …",
            WORDS[Hint.COMPLETE],
        ]
        assert "\x1b" not in text

    def test_what_stays_to_be_done_is_said_again_now_and_then(self) -> None:
        steps = [progress(Hint.CLOSER, left_s=100 - step) for step in range(26)]
        assert shown(*steps).splitlines() == [
            "Come closer",
            "Come closer (90 s left)",
            "Come closer (80 s left)",
        ]

    def test_a_camera_in_trouble_is_told(self) -> None:
        text = shown(progress(None, problem="missing: [unplugged]"))
        assert text == "The camera: missing: [unplugged]\n"

    def test_a_terminal_without_the_marks_gets_others(self) -> None:
        text = shown(progress(Hint.TAKEN, FRONTAL), encoding="latin-1")
        assert text == "1 of 8: frontal ok......  left ..  right ..  up ..  down ..\n"

    def test_nothing_is_drawn_where_there_are_no_colours(self) -> None:
        assert "▀" not in shown(progress(Hint.TAKEN, FRONTAL), preview=True)

    def test_plain_is_plain_in_a_terminal_too(self) -> None:
        out, raw = console(force_terminal=True)
        with screen(out, "Ada", plain=True, preview=False) as tell:
            tell(progress(Hint.CLOSER))
        assert raw.getvalue() == b"Come closer\n"


class TestLive:
    TERMINAL = {"force_terminal": True, "color_system": "truecolor"}  # noqa: RUF012

    def test_the_panel_names_the_person_and_says_what_to_do(self) -> None:
        text = shown(progress(Hint.TURN_LEFT, FRONTAL), **self.TERMINAL)
        for part in ("[b]Ada[/]", WORDS[Hint.TURN_LEFT], "1 of 8", "100 s left"):
            assert part in text

    @pytest.mark.parametrize("columns", [60, 80, 120, 200])
    def test_every_pose_that_is_wanted_is_seen(self, columns: int) -> None:
        raw = io.BytesIO()
        file = io.TextIOWrapper(raw, "utf-8", write_through=True)
        out = Console(file=file, width=columns, height=30, force_terminal=True, color_system=None)
        with screen(out, "Ada", plain=False, preview=False) as tell:
            tell(progress(Hint.TURN_LEFT, FRONTAL))
        assert "1 of 8: frontal ✓………  left …  right …  up …  down …" in raw.getvalue().decode()

    def test_the_frame_just_taken_is_shown_once(self) -> None:
        steps = (progress(Hint.TAKEN, FRONTAL), progress(Hint.TURN_LEFT, FRONTAL))
        assert "▀" not in shown(*steps, **self.TERMINAL)
        text = shown(*steps, preview=True, **self.TERMINAL)
        assert text.count("▀") == 40 * 20

    def test_words_last_while_there_is_no_frame_to_tell_from(self) -> None:
        text = shown(progress(Hint.CLOSER), progress(None), **self.TERMINAL)
        assert "Come closer" in text.split("100 s left")[-2]


@pytest.mark.parametrize(("count", "cells"), [(1, 80 * 40), (2, 80 * 20), (8, 80 * 20)])
def test_whoever_confirms_sees_the_pictures(count: int, cells: int) -> None:
    out, raw = console(force_terminal=True, color_system="truecolor")
    show_faces(out, [FRONTAL] * count)
    assert raw.getvalue().decode().count("▀") == cells


def test_a_terminal_without_colours_says_how_the_pictures_can_be_seen() -> None:
    out, raw = console()
    show_faces(out, [FRONTAL])
    assert "--save-preview" in raw.getvalue().decode()


def test_every_hint_has_words_of_its_own() -> None:
    assert set(WORDS) == set(Hint)
    assert len(set(WORDS.values())) == len(Hint)


def test_a_hint_that_comes_once_between_others_does_not_flicker() -> None:
    steady = Steady()
    hints = [Hint.STAY, Hint.CLOSER, Hint.STAY, Hint.NOBODY, Hint.NOBODY, Hint.TAKEN]
    assert [steady.of(hint) for hint in hints] == [
        Hint.STAY, Hint.STAY, Hint.STAY, Hint.STAY, Hint.NOBODY, Hint.TAKEN,
    ]  # fmt: skip


def test_the_summary_has_a_line_for_each_frame() -> None:
    out, raw = console()
    out.print(summary([FRONTAL, taken(Pose.LEFT)]))
    lines = raw.getvalue().decode().splitlines()
    assert [line.split()[0] for line in lines] == ["Pose", "frontal", "left"]
    assert "180 px" in lines[1]


class TestPictures:
    def test_a_character_shows_two_pixels(self) -> None:
        image = np.array(
            [[[0, 0, 255], [0, 255, 0]], [[255, 0, 0], [10, 20, 30]]], np.uint8
        )  # red, green over blue, (30, 20, 10); BGR
        text = half_blocks(image, 2)
        assert text.plain == "▀▀"
        styles = [str(span.style) for span in text.spans]
        assert styles == ["#ff0000 on #0000ff", "#00ff00 on #1e140a"]

    def test_a_picture_is_as_wide_as_asked_and_keeps_its_proportions(self) -> None:
        lines = half_blocks(np.zeros((120, 160, 3), np.uint8), 40).plain.splitlines()
        assert {len(line) for line in lines} == {40}
        assert len(lines) == 15

    def test_the_picture_of_a_face_has_it_in_the_middle(self) -> None:
        image = np.zeros((400, 600, 3), np.uint8)
        face = face_at(200, 100, 90)
        image[100:190, 200:290] = 255
        cut = face_picture(Octaves(image), face)
        assert cut.shape == (PICTURE_PX, PICTURE_PX, 3)
        middle = PICTURE_PX // 2
        assert cut[middle - 40 : middle + 40, middle - 40 : middle + 40].min() > 200
        assert cut[:15].max() < 50

    @pytest.mark.parametrize("name", ["sheet.png", "sheet.jpg", "sheet"])
    def test_the_sheet_shows_every_frame_to_its_owner_alone(
        self, tmp_path: Path, name: str
    ) -> None:
        file = tmp_path / name
        file.write_bytes(b"an older one, and public")
        file.chmod(0o644)
        save_sheet([picture(40 * step) for step in range(1, 6)], file)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        sheet = cv2.imread(str(file))
        assert sheet is not None
        assert sheet.shape == (2 * PICTURE_PX, 4 * PICTURE_PX, 3)
        centres = sheet[PICTURE_PX // 2 :: PICTURE_PX, PICTURE_PX // 2 :: PICTURE_PX, 0]
        assert np.abs(centres.astype(int) - [[40, 80, 120, 160], [200, 0, 0, 0]]).max() <= 2

    def test_a_kind_of_picture_that_there_is_not_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match=r"sheet\.doc: no kind of picture"):
            save_sheet([picture()], tmp_path / "sheet.doc")
        assert list(tmp_path.iterdir()) == []

    def test_a_place_that_cannot_be_written_is_told(self, tmp_path: Path) -> None:
        with pytest.raises(ImageError, match="cannot be written"):
            save_sheet([picture()], tmp_path / "gone" / "sheet.png")
