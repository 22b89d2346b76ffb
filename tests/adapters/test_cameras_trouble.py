"""What goes wrong with a camera while it is watched, and how it comes back."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pytest

from lockd.adapters.cameras import LiveCamera, Source
from lockd.adapters.cameras.monitor import DRAINS_S
from lockd.clock import RealClock
from lockd.errors import CameraError, CameraTrouble
from lockd.types import Image
from tests.adapters.studio import ScriptedSource, SetClock, Studio, level, of, plain
from tests.patience import PATIENCE_S, eventually

PERIOD_S = 0.25


def scene(seed: int = 1) -> Image:
    """Something with edges and colours."""
    blocks = np.random.default_rng(seed).integers(40, 200, (12, 16, 3), np.uint8)
    return np.kron(blocks, np.ones((4, 4, 1), np.uint8))


def live(image: Image, seed: int = 1) -> Iterator[Image]:
    random = np.random.default_rng(seed)
    while True:
        yield image + random.integers(0, 4, image.shape, np.uint8)


def garbage() -> Iterator[Image]:
    random = np.random.default_rng(1)
    while True:
        yield random.integers(0, 256, (48, 64, 3), np.uint8)


def fails() -> Iterator[Image]:
    """In the middle of a film."""
    raise CameraError("unplugged")
    yield


def some(images: Iterable[Image], seconds: float) -> list[Image]:
    return list(itertools.islice(images, round(seconds / PERIOD_S)))


class Filmed(ScriptedSource):
    """Gives pictures one period after the other; the clock goes with them. Then hangs."""

    def __init__(
        self, clock: SetClock, *parts: Iterable[Image], late_s: Iterable[float] = ()
    ) -> None:
        super().__init__()
        self._clock = clock
        self._pictures = itertools.chain(*parts)
        self._late_s = itertools.chain(late_s, itertools.repeat(0.0))

    def read(self) -> tuple[Image, float] | None:
        picture = next(self._pictures, None)
        if picture is None:
            return super().read()
        self._clock.t += PERIOD_S
        return picture, next(self._late_s)


class TestPictures:
    """The source's pictures are all there, and something is wrong with them."""

    def test_a_frozen_camera_is_told_of_and_opened_again(self, studio: Studio) -> None:
        studio.stop.held = True
        film = live(scene())
        still = next(film)
        first = Filmed(studio.clock, some(film, 3), [still] * 200)
        second = Filmed(studio.clock, some(film, 1))
        camera = studio.camera(first, second, frozen_after_s=5, retry_first_s=1)
        assert studio.stop.next_wait() == 1
        assert studio.clock.t == 100 + 3 + PERIOD_S + 5
        assert camera.trouble == CameraTrouble.FROZEN
        assert str(camera.problem).startswith("frozen: ")
        assert first.closed.is_set()
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        studio.stop.let_go.release()
        assert second.used_up.wait(PATIENCE_S)
        assert (camera.trouble, camera.problem) == (None, None)
        assert camera.next(PATIENCE_S) is not None

    def test_pictures_that_come_late_decide_nothing_until_the_stream_caught_up(
        self, studio: Studio
    ) -> None:
        made, caught_up = threading.Event(), threading.Event()
        seen: list[object] = []

        def film() -> Iterator[Image]:
            pictures = live(scene())
            yield from some(pictures, 3)
            yield from some(pictures, 1.5)
            assert made.wait(PATIENCE_S)
            seen.append(camera.trouble)
            caught_up.set()
            yield from some(pictures, 1)

        on_time, late = round(3 / PERIOD_S), round(1.5 / PERIOD_S)
        source = Filmed(studio.clock, film(), late_s=[0.0] * on_time + [3.5] * late)
        camera = studio.camera(source, delayed_after_s=3)
        made.set()
        assert source.used_up.wait(PATIENCE_S)
        assert caught_up.is_set()
        assert seen == [CameraTrouble.DELAYED]
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert frame.seq == on_time + round(1 / PERIOD_S)  # none of the late ones among them
        assert (camera.trouble, camera.problem) == (None, None)

    def test_a_stream_that_stays_late_is_told_of_and_opened_again(self, studio: Studio) -> None:
        studio.stop.held = True
        film = live(scene())
        first = Filmed(studio.clock, some(film, 30), late_s=[0.0] * 4 + [20.0] * 200)
        second = Filmed(studio.clock, some(film, 1))
        camera = studio.camera(first, second, delayed_after_s=3, retry_first_s=1)
        assert studio.stop.next_wait() == 1
        assert studio.clock.t == 100 + 5 * PERIOD_S + DRAINS_S
        assert camera.trouble == CameraTrouble.DELAYED
        assert "20.0 s late" in str(camera.problem)
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert frame.seq == 4
        studio.stop.let_go.release()
        assert second.used_up.wait(PATIENCE_S)
        assert camera.trouble is None
        assert camera.next(PATIENCE_S) is not None

    def test_a_frame_is_as_old_as_its_picture(self, studio: Studio) -> None:
        source = Filmed(studio.clock, some(live(scene()), 1), late_s=[0.0, 1.0, 2.0, 2.5])
        camera = studio.camera(source, delayed_after_s=3)
        assert source.used_up.wait(PATIENCE_S)
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        # Of the four the first was the newest, and time never goes back.
        assert frame.t == 100 + PERIOD_S

    def test_no_picture_is_handed_over_twice_not_even_after_it_was_opened_again(
        self, studio: Studio
    ) -> None:
        film = live(scene())
        alice = next(film)
        frozen = [Filmed(studio.clock, [alice] * 40) for _ in range(4)]
        camera = studio.camera(*frozen, frozen_after_s=5, retry_first_s=1)
        assert [studio.stop.next_wait() for _ in frozen] == [1, 2, 4, 8]
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert frame.seq == 1
        assert camera.next(0.0) is None

    def test_a_failure_is_not_over_until_there_is_something_new(self, studio: Studio) -> None:
        alice = scene()
        first = ScriptedSource(CameraError("unplugged"))
        again = Filmed(studio.clock, [alice] * 3)
        camera = studio.camera(Filmed(studio.clock, [alice], fails()), first, again)
        assert again.used_up.wait(PATIENCE_S)
        assert camera.problem == "failing: unplugged"

    def test_with_0_nothing_is_frozen_and_every_picture_handed_over(self, studio: Studio) -> None:
        source = Filmed(studio.clock, [scene()] * 400)
        camera = studio.camera(source, frozen_after_s=0)
        assert source.used_up.wait(PATIENCE_S)
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert (frame.seq, camera.trouble) == (400, None)

    @pytest.mark.parametrize(
        ("picture", "trouble"), [(plain(2), "dark"), (plain(120), "covered")], ids=str
    )
    def test_dark_and_covered_are_told_of_while_frames_go_on_coming(
        self, studio: Studio, picture: Image, trouble: str
    ) -> None:
        lit = threading.Event()

        def film() -> Iterator[Image]:
            yield from some(live(picture), 8)
            assert lit.wait(PATIENCE_S)
            yield from some(live(scene(), seed=2), 3)

        source = Filmed(studio.clock, film())
        camera = studio.camera(source, covered_after_s=5)
        eventually(lambda: camera.trouble == trouble)
        assert str(camera.problem).startswith(f"{trouble}: almost no ")
        before = camera.next(PATIENCE_S)
        lit.set()
        assert source.used_up.wait(PATIENCE_S)
        after = camera.next(PATIENCE_S)
        assert before is not None
        assert after is not None
        assert after.seq > before.seq
        assert camera.problem is None
        assert studio.opened == 1

    def test_garbage_is_no_picture_and_never_handed_over(self, studio: Studio) -> None:
        first = Filmed(studio.clock, some(garbage(), 60))
        second = Filmed(studio.clock, some(live(scene()), 1))
        studio.stop.held = True
        camera = studio.camera(first, second, read_timeout_s=2, retry_first_s=1)
        studio.stop.next_wait()
        assert studio.clock.t == 102.25
        assert camera.trouble == CameraTrouble.GARBLED
        assert not camera.started
        assert camera.next(0.0) is None
        studio.stop.let_go.release()
        assert camera.next(PATIENCE_S) is not None
        assert camera.problem is None

    def test_a_size_that_changes_opens_the_camera_once_and_is_then_accepted(
        self, studio: Studio
    ) -> None:
        small = live(scene()[:24, :32])
        first = Filmed(studio.clock, some(live(scene()), 1), some(small, 1))
        second = Filmed(studio.clock, some(small, 2))
        studio.stop.held = True
        camera = studio.camera(first, second, retry_first_s=1)
        assert studio.stop.next_wait() == 1
        assert camera.problem == "size_changed: its pictures changed from 64 x 48 to 32 x 24"
        studio.stop.let_go.release()
        assert second.used_up.wait(PATIENCE_S)
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert frame.image.shape == (24, 32, 3)
        assert (camera.problem, studio.opened) == (None, 2)

    def test_a_recording_is_not_suspected(self, studio: Studio) -> None:
        times = [number * 1.0 for number in range(100)]
        source = ScriptedSource(*[0] * 100, recorded=True, times=times)
        camera = studio.camera(source)
        assert source.used_up.wait(PATIENCE_S)
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert (frame.seq, camera.problem) == (100, None)

    def test_frames_are_turned_mirrored_and_cut_as_set(self, studio: Studio) -> None:
        image = next(live(scene()))
        region = {"x": 0.5, "y": 0.0, "width": 0.5, "height": 0.25}
        camera = studio.camera(Filmed(studio.clock, [image]), rotate=90, mirror=True, region=region)
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        upright = np.rot90(image, -1)[:, ::-1]
        assert np.array_equal(frame.image, upright[:16, 24:])

    def test_a_frame_carries_the_time_at_which_its_read_returned(self, studio: Studio) -> None:
        source = Filmed(studio.clock, some(live(scene()), 1))
        camera = studio.camera(source)
        assert source.used_up.wait(PATIENCE_S)
        studio.clock.t += 30
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert frame.t == 101.0


class Hanging:
    """A driver's call that never returns, until somebody lets it."""

    recorded = False

    def __init__(self, image: Image | None = None) -> None:
        self.entered = threading.Event()
        self.let_go = threading.Event()
        self.closed = threading.Event()
        self.asked_to_close = 0
        self._image = image

    def read(self) -> tuple[Image, float]:
        self.entered.set()
        assert self.let_go.wait(PATIENCE_S)
        if self._image is None:
            raise CameraError("gone")
        return self._image, 0.0

    def close(self) -> None:
        self.asked_to_close += 1
        if self.let_go.is_set():
            self.closed.set()


class Garage:
    """A live camera over sources that hang, with a clock that only a test moves."""

    def __init__(self) -> None:
        self.clock = SetClock()
        self.cameras: list[LiveCamera] = []
        self.sources: list[Hanging] = []

    def camera(self, *openings: Source | Callable[[], Source], **settings: Any) -> LiveCamera:
        queue = list(openings)
        self.sources += [one for one in openings if isinstance(one, Hanging)]

        def opener() -> Source:
            if not queue:
                raise CameraError("none is left")
            opening = queue.pop(0)
            return opening() if callable(opening) else opening

        wanted = {
            "open_timeout_s": 1,
            "read_timeout_s": 2,
            "retry_first_s": 0.01,
            "retry_longest_s": 0.01,
            **settings,
        }
        self.cameras.append(LiveCamera(of(0, **wanted), self.clock, opener=opener))
        return self.cameras[-1]

    def let_time_pass(self, source: Hanging) -> None:
        """Until the read of this source has taken too long."""
        assert source.entered.wait(PATIENCE_S)
        self.clock.t += 10


@pytest.fixture
def garage() -> Iterator[Garage]:
    made = Garage()
    yield made
    for source in made.sources:
        source.let_go.set()
    for camera in made.cameras:
        camera.close()


class TestHangs:
    def test_a_reader_that_hangs_is_replaced_and_told_of(self, garage: Garage) -> None:
        stuck, good = Hanging(), ScriptedSource(7)
        camera = garage.camera(stuck, good)
        assert camera.next(0.0) is None
        garage.let_time_pass(stuck)
        assert camera.next(0.0) is None
        assert stuck.asked_to_close == 1  # some calls end when their child is killed
        assert camera.alive
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert level(frame.image) == 7
        assert camera.problem is None
        good.close()

    def test_a_hang_is_told_of_until_there_are_frames_again(self, garage: Garage) -> None:
        first, second = Hanging(), Hanging(plain(7))
        camera = garage.camera(first, second)
        garage.let_time_pass(first)
        camera.next(0.0)
        assert str(camera.problem).startswith("silent: its driver hangs; opening it again in ")
        second.let_go.set()
        assert camera.next(PATIENCE_S) is not None
        assert camera.problem is None

    def test_it_is_not_replaced_before_the_driver_had_its_time(self, garage: Garage) -> None:
        stuck = Hanging(plain(5))
        camera = garage.camera(stuck, ScriptedSource(7))
        assert stuck.entered.wait(PATIENCE_S)
        garage.clock.t += 1 + 2  # what opening and reading may take
        assert camera.next(0.0) is None
        stuck.let_go.set()
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert level(frame.image) == 5

    def test_what_an_abandoned_read_brings_at_last_is_never_handed_over(
        self, garage: Garage
    ) -> None:
        stuck, good = Hanging(plain(200)), Hanging(plain(7))
        camera = garage.camera(stuck, good)
        garage.let_time_pass(stuck)
        assert camera.next(0.0) is None
        assert good.entered.wait(PATIENCE_S)
        stuck.let_go.set()
        assert stuck.closed.wait(PATIENCE_S)  # the device was given back
        assert camera.next(0.0) is None
        assert not camera.started
        good.let_go.set()
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert (level(frame.image), frame.seq) == (7, 1)

    def test_a_source_that_opens_too_late_is_closed_unread(self, garage: Garage) -> None:
        late, opening, good = Hanging(), threading.Event(), ScriptedSource(7)
        entered = threading.Event()

        def open_late() -> Source:
            entered.set()
            assert opening.wait(PATIENCE_S)
            late.let_go.set()
            return late

        camera = garage.camera(open_late, good)
        assert entered.wait(PATIENCE_S)
        garage.clock.t += 12
        assert camera.next(0.0) is None
        assert camera.next(PATIENCE_S) is not None
        opening.set()
        assert late.closed.wait(PATIENCE_S)
        assert not late.entered.is_set()
        good.close()

    def test_when_too_many_hang_it_is_dead_until_one_returns(self, garage: Garage) -> None:
        stuck = [Hanging() for _ in range(5)]
        camera = garage.camera(*stuck)
        for number in range(4):
            garage.let_time_pass(stuck[number])
            assert camera.alive == (number < 3)
            assert camera.next(0.0) is None
            assert camera.trouble == CameraTrouble.SILENT
        assert not stuck[4].entered.is_set()
        assert not camera.alive
        stuck[1].let_go.set()
        eventually(lambda: camera.alive)
        assert camera.next(0.0) is None
        assert stuck[4].entered.wait(PATIENCE_S)

    def test_one_that_waits_to_open_again_is_alive(self, garage: Garage) -> None:
        camera = garage.camera(retry_first_s=3600, retry_longest_s=3600)
        eventually(lambda: camera.problem)
        garage.clock.t += 3000
        assert camera.alive
        assert camera.next(0.0) is None
        assert camera.problem == "failing: none is left"

    def test_closing_does_not_wait_for_a_driver(self, garage: Garage) -> None:
        stuck = Hanging()
        camera = garage.camera(stuck)
        assert stuck.entered.wait(PATIENCE_S)
        reader = [one for one in threading.enumerate() if one.name == "camera"][-1]
        camera.close()
        assert reader.is_alive()


class TestWaking:
    def test_one_who_waits_for_a_frame_can_be_woken(self, garage: Garage) -> None:
        stuck = Hanging()
        camera = garage.camera(stuck)
        assert stuck.entered.wait(PATIENCE_S)
        woken: list[object] = []
        waiting = threading.Thread(target=lambda: woken.append(camera.next(1000.0)))
        waiting.start()
        camera.wake()
        waiting.join(PATIENCE_S)
        assert woken == [None]

    def test_a_wake_up_counts_once_and_takes_no_frame_away(self, garage: Garage) -> None:
        source = ScriptedSource(7)
        camera = garage.camera(source)
        assert source.used_up.wait(PATIENCE_S)
        camera.wake()
        assert camera.next(1000.0) is not None
        began = time.monotonic()
        assert camera.next(0.05) is None
        assert time.monotonic() - began >= 0.05
        source.close()


def test_it_has_started_once_there_was_a_frame(garage: Garage) -> None:
    stuck = Hanging(plain(7))
    camera = garage.camera(stuck)
    assert not camera.started
    stuck.let_go.set()
    assert camera.next(PATIENCE_S) is not None
    assert camera.started


def test_a_live_stream_that_ends_is_no_end_of_the_camera(garage: Garage) -> None:
    class Ending(ScriptedSource):
        def read(self) -> tuple[Image, float] | None:
            return None

    camera = garage.camera(Ending(), ScriptedSource(7))
    frame = camera.next(PATIENCE_S)
    assert frame is not None
    assert not camera.ended
    garage.cameras[0].close()


def test_a_real_clock_and_a_real_hang_are_noticed_without_any_help() -> None:
    stuck, good = Hanging(), Hanging(plain(7))
    good.let_go.set()
    openings = iter([stuck])
    settings = of(0, open_timeout_s=0.01, read_timeout_s=0.01, retry_first_s=0.01)
    camera = LiveCamera(settings, RealClock(), opener=lambda: next(openings, good))
    frame = eventually(lambda: camera.next(0.05))
    assert level(frame.image) == 7
    stuck.let_go.set()
    camera.close()
