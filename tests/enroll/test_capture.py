"""Frames of one person become templates: real networks, a person who holds every pose."""

from __future__ import annotations

import functools
import json
import stat
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from enroll.capture import LEAST_GAP_S, Capture, Progress, Taken
from enroll.cli import main
from enroll.poses import GOALS, Hint, Pose
from lockd.adapters.store import Store, Vault
from lockd.config import Settings
from lockd.errors import CameraError, ImageError
from lockd.recognition.recogniser import Vision
from lockd.types import Face, Frame, Image
from lockd.vision.geometry import Octaves
from tests.conftest import SCENES
from tests.fakes import ScriptedVision, unit
from tests.invoking import Run, invoke
from tests.pictures import BIDEN_ENROLLED, OBAMA, OBAMA_ENROLLED
from tests.porch import porch
from tests.poses import turned


class FilmClock:
    """Time passes when somebody waits."""

    def __init__(self) -> None:
        self.t = 50.0

    def now(self) -> float:
        return self.t

    def advance(self, t: float) -> None:
        raise AssertionError("nobody sets the time of a camera")

    def wait_until(self, t: float, stop: threading.Event) -> None:
        self.t = max(self.t, t)


class FilmFrames:
    """A camera in front of which a film is played, and then nothing."""

    def __init__(self, film: Iterable[Image | None], clock: FilmClock, *, ends: bool = False):
        self._film = list(film)
        self._clock = clock
        self.ends = ends
        self.problem: str | None = None
        self.given = 0
        self.closed = False

    @property
    def ended(self) -> bool:
        return self.ends and not self._film

    def next(self, timeout_s: float) -> Frame | None:
        image = self._film.pop(0) if self._film else None
        if image is None:
            self._clock.t += timeout_s
            return None
        self._clock.t += 0.01
        self.given += 1
        return Frame(image, self._clock.t, self.given)

    def close(self) -> None:
        self.closed = True


def run(
    frames: FilmFrames,
    clock: FilmClock,
    vision: Any,
    timeout_s: float = 60.0,
    check: Callable[[Taken], None] = lambda one: None,
) -> tuple[Capture, list[Pose], list[Progress]]:
    told: list[Progress] = []
    capture = Capture(Settings(), vision, frames, clock, check)
    return capture, capture.run(timeout_s, told.append), told


class TestCapture:
    """With networks that see what a scene says, always from the front."""

    def test_what_is_taken_is_the_face_and_its_embedding(self) -> None:
        vision, clock = ScriptedVision(), FilmClock()
        film = [vision.scene(unit(1, 0.3 * step)) for step in range(5) for _ in range(6)]
        capture, missing, told = run(FilmFrames(film, clock), clock, vision)
        assert missing == list(GOALS[2:])
        assert [one.pose for one in capture.taken] == [Pose.FRONTAL] * 2
        assert [float(one.embedding[0]) < 1 for one in capture.taken] == [False, True]
        assert capture.taken[0].image is film[4]
        assert [len(one.taken) for one in told if one.advice and one.advice.take] == [2, 2]

    def test_it_ends_in_time_though_nobody_comes(self) -> None:
        clock = FilmClock()
        capture, missing, told = run(FilmFrames([], clock), clock, ScriptedVision(), 20)
        assert (capture.taken, missing) == ([], list(GOALS))
        assert clock.t == pytest.approx(70)
        assert [one.advice for one in told] == [None] * 80
        assert [told[0].left_s, told[-1].left_s] == pytest.approx([19.75, 0])

    def test_a_recording_that_is_over_ends_it(self) -> None:
        vision, clock = ScriptedVision(), FilmClock()
        frames = FilmFrames([vision.scene()] * 3, clock, ends=True)
        _, missing, told = run(frames, clock, vision)
        assert missing == list(GOALS)
        assert [one.advice and one.advice.hint for one in told] == [Hint.NOBODY] * 3

    def test_however_fast_the_camera_is_the_service_gets_the_processor_too(self) -> None:
        vision, clock = ScriptedVision(), FilmClock()
        frames = FilmFrames([vision.scene()] * 1000, clock)
        run(frames, clock, vision, 10)
        assert frames.given == pytest.approx(10 / (LEAST_GAP_S + 0.01), abs=3)

    def test_the_first_frame_of_somebody_is_checked_and_may_end_it(self) -> None:
        vision, clock = ScriptedVision(), FilmClock()
        checked: list[Taken] = []

        def check(one: Taken) -> None:
            checked.append(one)
            if one.embedding[1]:
                raise ImageError("too like Grace")

        film = [vision.scene(unit(1))] * 8 + [vision.scene(unit(0, 1))] * 60
        with pytest.raises(ImageError, match="too like Grace"):
            run(FilmFrames(film, clock), clock, vision, check=check)
        # The second one is somebody else, with whom it began anew.
        assert [int(one.embedding.argmax()) for one in checked] == [0, 1]

    def test_what_was_taken_of_the_one_who_left_is_not_kept(self) -> None:
        vision, clock = ScriptedVision(), FilmClock()
        film = [vision.scene(unit(1))] * 8 + [vision.scene(unit(0, 1))] * 60
        capture, _, _ = run(FilmFrames(film, clock), clock, vision)
        assert [int(one.embedding.argmax()) for one in capture.taken] == [1]

    def test_a_camera_in_trouble_is_told(self) -> None:
        clock = FilmClock()
        frames = FilmFrames([], clock)
        frames.problem = "missing: unplugged"
        _, _, told = run(frames, clock, ScriptedVision(), 1)
        assert {one.problem for one in told} == {"missing: unplugged"}

    def test_a_camera_that_fails_for_good_ends_it(self) -> None:
        class Broken(FilmFrames):
            def next(self, timeout_s: float) -> Frame | None:
                raise CameraError("gone")

        clock = FilmClock()
        with pytest.raises(CameraError):
            run(Broken([], clock), clock, ScriptedVision())


HELD: dict[Pose, dict[str, float]] = {
    Pose.FRONTAL: {},
    Pose.LEFT: {"left": 36},
    Pose.RIGHT: {"left": -30},
    Pose.UP: {"down": -14},
    Pose.DOWN: {"down": 12},
}


def noisy(image: Image, seed: int) -> Image:
    noise = np.random.default_rng(seed).integers(-3, 4, image.shape)
    return np.clip(image + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="module")
def obedient(vision: Vision) -> list[Image]:
    """A film of Barack Obama, who holds one pose after the other."""
    return film_of(OBAMA, vision, [*GOALS, *GOALS])


def film_of(photo: Path, vision: Vision, poses: list[Pose]) -> list[Image]:
    image = porch(photo)
    face: Face = vision.detector.detect_in(Octaves(image))[0]
    film: list[Image] = []
    for number, pose in enumerate(poses):
        held = turned(image, face, **{"left": 8.0 * (number % 3 - 1), **HELD[pose]})
        held = (held * (1 - 0.15 * (number % 4))).astype(np.uint8)  # clouds
        film += [noisy(held, len(film) + step) for step in range(7)]
    return film


class Door:
    """The command, with a film in front of the camera."""

    def __init__(self, vision: Vision, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = FilmClock()
        self.frames = FilmFrames([], self.clock)
        self.sources: list[str | None] = []
        monkeypatch.setattr("enroll.people.Vision", lambda settings: vision)
        monkeypatch.setattr("enroll.capture_command.RealClock", lambda: self.clock)
        monkeypatch.setattr("enroll.capture_command.open_frames", self._open)

    def play(self, film: list[Image]) -> None:
        self.frames = FilmFrames(film, self.clock)

    def _open(self, settings: Settings, source: str | None, clock: Any) -> FilmFrames:
        self.sources.append(source)
        return self.frames


@pytest.fixture
def door(vision: Vision, monkeypatch: pytest.MonkeyPatch) -> Door:
    return Door(vision, monkeypatch)


@pytest.fixture
def command(door: Door) -> Run:
    return functools.partial(invoke, main)


def enrolled(command: Run) -> dict[str, int]:
    return {one["name"]: one["templates"] for one in json.loads(command("list", "--json").stdout)}


class TestCommand:
    def test_who_holds_every_pose_is_enrolled_in_one_go(
        self, command: Run, door: Door, obedient: list[Image], tmp_path: Path
    ) -> None:
        door.play(obedient)
        sheet = tmp_path / "sheet.jpg"
        result = command(
            "add", "Barack Obama", "--camera", "--yes", "--group", "staff",
            "--save-preview", sheet, "--preview",
        )  # fmt: skip
        assert result.exit_code == 9  # no such group, and nobody stood there in vain
        assert door.frames.given == 0
        result = command(
            "add", "Barack Obama", "--camera", "--yes", "--valid-until", "2030-12-31",
            "--save-preview", sheet, "--preview",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        assert result.stdout == "Barack Obama: 8 enrolled, 0 refused\n"
        lines = result.stderr.splitlines()
        assert "8 of 8: frontal ✓✓✓✓  left ✓  right ✓  up ✓  down ✓" in lines
        assert f"The frames taken are in {sheet}." in lines
        assert "\x1b" not in result.stderr
        assert stat.S_IMODE(sheet.stat().st_mode) == 0o600
        assert door.frames.closed
        assert enrolled(command) == {"Barack Obama": 8}
        # The same person's photograph fits in, somebody else's does not.
        assert command("add", "Barack Obama", OBAMA_ENROLLED).exit_code == 0
        assert command("add", "Barack Obama", BIDEN_ENROLLED).exit_code == 8

    def test_what_is_missing_is_named_and_nobody_enrolled(
        self, command: Run, door: Door, vision: Vision
    ) -> None:
        film = film_of(OBAMA, vision, [Pose.FRONTAL, Pose.FRONTAL, Pose.LEFT])
        door.play(film)
        result = command("add", "Ada", "--camera", "--yes", "--timeout", "30")
        assert result.exit_code == ImageError.exit_code == 8
        assert result.stdout == ""
        error = result.stderr.splitlines()[-1]
        assert "3 of 8 frames were taken in 30 s" in error
        assert "missing: right, up, down, frontal" in error
        assert "--accept-partial" in error
        assert enrolled(command) == {}
        door.play(film)
        result = command("add", "Ada", "--camera", "--yes", "--timeout", "30", "--accept-partial")
        assert result.exit_code == 0
        assert enrolled(command) == {"Ada": 3}

    def test_a_part_without_the_front_is_not_enough(
        self, command: Run, door: Door, vision: Vision
    ) -> None:
        door.play(film_of(OBAMA, vision, [Pose.FRONTAL]))
        result = command("add", "Ada", "--camera", "--yes", "--accept-partial")
        assert result.exit_code == 8
        assert "do as the hints say" in result.stderr
        assert enrolled(command) == {}

    def test_nobody_at_all_is_told_too(self, command: Run, door: Door) -> None:
        door.play([porch(SCENES / "coffee.jpg")] * 3)
        result = command("add", "Ada", "--camera", "--yes", "--accept-partial", "--timeout", "5")
        assert result.exit_code == 8
        assert "0 of 8 frames were taken in 5 s" in result.stderr

    def test_a_recording_that_ends_is_told_with_the_time_that_it_took(
        self, command: Run, door: Door, vision: Vision
    ) -> None:
        door.play(film_of(OBAMA, vision, [Pose.FRONTAL, Pose.FRONTAL, Pose.LEFT]))
        door.frames.ends = True
        began = door.clock.t
        result = command("add", "Ada", "--camera", "porch.mp4", "--yes")
        error = result.stderr.splitlines()[-1]
        assert f"taken in {door.clock.t - began:.0f} s, when the recording was over" in error
        assert "120 s" not in error
        assert "with a longer recording" in error

    def test_who_is_enrolled_under_another_name_is_told_so_at_the_first_frame(
        self, command: Run, door: Door, obedient: list[Image]
    ) -> None:
        assert command("add", "Barack Obama", OBAMA_ENROLLED).exit_code == 0
        door.play(obedient)
        result = command("add", "Ada", "--camera", "--yes")
        assert result.exit_code == 8
        assert "frame 1 (frontal): too like Barack Obama" in result.stderr
        assert "--anyway" in result.stderr
        assert door.frames.given < 15
        assert enrolled(command) == {"Barack Obama": 1}

    def test_a_reason_overrules_that_and_is_kept(
        self, command: Run, door: Door, vision: Vision
    ) -> None:
        command("add", "Barack Obama", OBAMA_ENROLLED)
        door.play(film_of(OBAMA, vision, [Pose.FRONTAL] * 2))
        result = command(
            "add", "Ada", "--camera", "--yes", "--accept-partial", "--anyway", "a twin",
            "--timeout", "20",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        settings = Settings()
        store = Store.open(settings.store.path(), Vault.open(settings.store))
        notes = [entry.note for entry in store.audit.latest(10)]
        store.close()
        assert any(note and "anyway: a twin (too like" in note for note in notes)

    def test_a_program_hears_json_alone_and_says_for_whom_it_asks(
        self, command: Run, door: Door, vision: Vision, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("LOCKD_ON_BEHALF_OF", "mqtt:anna")
        door.play(film_of(OBAMA, vision, [Pose.FRONTAL] * 2))
        result = command(
            "add", "--camera", "configured", "--yes", "--json", "--json-progress",
            "--accept-partial", "--timeout", "20", "--", "Ada",
        )  # fmt: skip
        assert result.exit_code == 0, result.stderr
        *progress, outcome = [json.loads(line) for line in result.stdout.splitlines()]
        assert outcome[0]["accepted"] == 2
        assert {one.get("hint") for one in progress} >= {"taken", "turn_left"}
        assert [one for one in progress if "picture" in one] == progress[-1:]
        settings = Settings()
        store = Store.open(settings.store.path(), Vault.open(settings.store))
        assert {entry.by for entry in store.audit.latest(10)} == {"mqtt:anna"}
        store.close()

    def test_the_camera_is_the_configured_one_or_the_one_given(
        self, command: Run, door: Door
    ) -> None:
        command("add", "Ada", "--yes", "--timeout", "1", "--camera")
        command("add", "Ada", "--yes", "--timeout", "1", "--camera", "rtsp://porch/1")
        assert door.sources == [None, "rtsp://porch/1"]

    @pytest.mark.parametrize(
        ("arguments", "says"),
        [
            (["Ada"], "give photographs or --camera"),
            (["Ada", str(OBAMA), "--camera"], "give photographs or --camera"),
            (["Ada", str(OBAMA), "--timeout", "5"], "--timeout needs --camera"),
            (["Ada", str(OBAMA), "--save-preview", "x.jpg"], "--save-preview needs --camera"),
            (["Ada", "--timeout", "0", "--camera"], "--timeout"),
            (["Ada", "--camera"], "add --yes"),
        ],
    )
    def test_what_cannot_be_meant_is_wrong_usage(
        self, command: Run, door: Door, arguments: list[str], says: str
    ) -> None:
        result = command("add", *arguments)
        assert result.exit_code == 2
        assert says in result.stderr
        assert door.sources == []

    @pytest.mark.parametrize(("answer", "templates"), [("y", {"Ada": 2}), ("n", {}), ("", {})])
    def test_a_terminal_is_asked_and_only_yes_enrols(
        self,
        command: Run,
        door: Door,
        vision: Vision,
        monkeypatch: pytest.MonkeyPatch,
        answer: str,
        templates: dict[str, int],
    ) -> None:
        door.play(film_of(OBAMA, vision, [Pose.FRONTAL] * 2))
        monkeypatch.setattr("enroll.capture_command.at_terminal", lambda: True)
        arguments = ["add", "Ada", "--camera", "--accept-partial", "--timeout", "20"]
        result = CliRunner().invoke(main, arguments, input=f"{answer}\n")
        assert "Enrol Ada with these 2 frames?" in result.stderr
        assert "shows no pictures" in result.stderr  # for it has no colours
        assert result.exit_code == (0 if templates else 1)
        assert enrolled(command) == templates
