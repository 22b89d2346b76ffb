"""A camera on the ribbon cable: a stand-in for rpicam-vid that does as it is told."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lockd.adapters.cameras import LiveCamera, csi, open_source
from lockd.adapters.cameras.csi import CsiSource
from lockd.clock import RealClock
from lockd.errors import CameraError, CameraTrouble
from lockd.types import Image
from tests.adapters.studio import of
from tests.conftest import ROOT
from tests.patience import PATIENCE_S, eventually

STAND_IN = r"""#!{python} -S
import os, signal, sys, time
with open({log!r}, "a") as log:
    print(os.getpid(), *sys.argv[1:], file=log)
given = dict(zip(sys.argv[1:], sys.argv[2:]))
width, height = int(given["--width"]), int(given["--height"])
def say(text):
    print(text, file=sys.stderr, flush=True)
def write(content):
    while content:
        content = content[os.write(1, content):]
def frame(level, blue=128, red=128):
    chroma = width * height // 4
    return bytes([level]) * (4 * chroma) + bytes([blue]) * chroma + bytes([red]) * chroma
def rest():
    while True:
        time.sleep(60)
{orders}
"""


class Board:
    """A Raspberry Pi as far as its camera program goes."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder
        self._log = folder / "started"
        monkeypatch.setenv("PATH", str(folder))

    def install(self, orders: str, name: str = "rpicam-vid") -> None:
        program = self._folder / name
        staged = self._folder / f"{name}.new"
        staged.write_text(STAND_IN.format(python=sys.executable, log=str(self._log), orders=orders))
        staged.chmod(0o755)
        staged.rename(program)

    def starts(self) -> list[list[str]]:
        """The process number and the arguments of every start."""
        text = self._log.read_text() if self._log.exists() else ""
        return [line.split() for line in text.splitlines()]

    def is_running(self) -> bool:
        """Whether the child started last is there, unless as a zombie of another's."""
        try:
            stat = Path(f"/proc/{self.starts()[-1][0]}/stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return False
        state, parent, *_ = stat.rpartition(")")[2].split()
        return state != "Z" or int(parent) == os.getpid()


@pytest.fixture
def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Board:
    monkeypatch.setattr(csi, "REAP_S", PATIENCE_S)
    return Board(tmp_path, monkeypatch)


def source(**settings: Any) -> CsiSource:
    opened = open_source(
        of(settings.pop("source", "csi"), **{"width": 192, "height": 120, **settings})
    )
    assert isinstance(opened, CsiSource)
    return opened


def picture(one: CsiSource) -> Image:
    taken = one.read()
    assert taken is not None
    return taken[0]


def failure(one: CsiSource) -> CameraError:
    """What ends a source; it leaves no process behind."""
    for _ in range(10):
        try:
            one.read()
        except CameraError as error:
            one.close()
            return error
    pytest.fail("it goes on giving pictures")


class TestPictures:
    def test_frames_come_one_by_one_however_they_are_cut(self, board: Board) -> None:
        board.install(
            "content = frame(50) + frame(100) + frame(150)\n"
            "while content:\n    write(content[:7001]); content = content[7001:]\n"
            "rest()"
        )
        one = source()
        images = [picture(one) for _ in range(3)]
        assert [image.shape for image in images] == [(120, 192, 3)] * 3
        assert [np.unique(image).tolist() for image in images] == [[50], [100], [150]]
        one.close()

    def test_where_nothing_moves_every_other_frame_is_left_out(self, board: Board) -> None:
        board.install("for level in range(0, 120, 20):\n    write(frame(level))\nrest()")
        one = source()
        levels = []
        for resting in (False, True, True, False):
            one.resting = resting
            levels.append(int(picture(one).mean()))
        one.close()
        assert levels == [0, 40, 80, 100]

    def test_black_and_white_are_0_and_255(self, board: Board) -> None:
        board.install("write(frame(0) + frame(255)); rest()")
        one = source()
        assert [np.unique(picture(one)).tolist() for _ in range(2)] == [[0], [255]]
        one.close()

    @pytest.mark.parametrize("bgr", [(200, 60, 90), (40, 180, 70), (50, 40, 210)])
    def test_colours_are_those_of_a_jpeg(self, board: Board, bgr: tuple[int, int, int]) -> None:
        luma, red, blue = cv2.cvtColor(np.uint8([[bgr]]), cv2.COLOR_BGR2YCrCb)[0, 0].tolist()  # type: ignore[arg-type]
        board.install(f"write(frame({luma}, {blue}, {red})); rest()")
        one = source()
        assert np.abs(picture(one).astype(int) - bgr).max() <= 2
        one.close()

    def test_the_program_is_asked_for_frames_without_padding_of_the_camera_set(
        self, board: Board
    ) -> None:
        board.install("write(frame(9)); rest()")
        one = source(source="csi:1", width=700, height=451, fps=12.5)
        assert picture(one).shape == (452, 704, 3)
        one.close()
        ((_, *arguments),) = board.starts()
        assert " ".join(arguments) == (
            "--codec yuv420 --timeout 0 --nopreview --flush --width 704 --height 452 "
            "--framerate 12.5 --camera 1 --output -"
        )

    def test_an_older_image_has_the_program_under_its_older_name(self, board: Board) -> None:
        board.install("write(frame(9)); rest()", "libcamera-vid")
        one = source()
        assert picture(one).max() == 9
        one.close()

    def test_a_child_that_talks_much_goes_on_sending(self, board: Board) -> None:
        board.install("for _ in range(300):\n    say('x' * 1000)\nwrite(frame(9))\nrest()")
        one = source()
        assert picture(one).max() == 9
        one.close()

    def test_a_child_that_says_nothing_more_goes_on_sending(self, board: Board) -> None:
        board.install("os.close(2)\nwrite(frame(9)); write(frame(10))\nrest()")
        one = source()
        assert [picture(one).max() for _ in range(2)] == [9, 10]
        one.close()


class TestTrouble:
    def test_without_the_program_it_says_what_to_install(self, board: Board) -> None:
        with pytest.raises(CameraError, match="apt install rpicam-apps-lite") as caught:
            source()
        assert caught.value.trouble == CameraTrouble.MISSING

    def test_a_program_that_cannot_be_run_is_named(self, board: Board) -> None:
        board.install("")
        program = Path(os.environ["PATH"]) / "rpicam-vid"
        program.write_text("#!/no/such/interpreter\n")
        with pytest.raises(CameraError, match="rpicam-vid does not start"):
            source()

    @pytest.mark.parametrize(
        ("words", "trouble"),
        [
            ("ERROR: *** no cameras available ***", "missing"),
            ("ERROR: *** failed to acquire camera /base/soc/i2c0mux ***", "busy"),
            ("Pipeline handler in use by another process", "busy"),
            ("Could not open /dev/dma_heap/linux,cma: Permission denied", "denied"),
            ("ERROR: *** the moon is full ***", "failing"),
        ],
    )
    def test_a_child_that_gives_up_is_quoted(self, board: Board, words: str, trouble: str) -> None:
        board.install(f"say('chatter')\nsay({words!r})\nsys.exit(255)")
        error = failure(source())
        assert str(error) == f"camera csi:0: rpicam-vid ended with exit code 255; it said: {words}"
        assert error.trouble == trouble
        assert not board.is_running()

    def test_a_child_that_is_killed_is_told_of(self, board: Board) -> None:
        board.install("write(frame(9))\nos.kill(os.getpid(), signal.SIGKILL)")
        assert str(failure(source())) == "camera csi:0: rpicam-vid was ended by signal 9"

    @pytest.mark.parametrize("sent", ["", "write(frame(9))", "write(frame(9) + frame(9)[:-1])"])
    @pytest.mark.parametrize("then", ["rest()", "os.kill(os.getpid(), signal.SIGSTOP)"])
    def test_a_child_that_hangs_or_sends_too_little_is_noticed_and_killed(
        self, board: Board, sent: str, then: str
    ) -> None:
        board.install(f"{sent}\n{then}")
        # Only a child that sends something is waited for, until it has started.
        error = failure(
            source(
                open_timeout_s=PATIENCE_S if sent else 0.5,
                read_timeout_s=5.0 if "[:-1]" in sent else 0.5,
            )
        )
        assert error.trouble == CameraTrouble.SILENT
        whole = 192 * 120 * 3 // 2
        left = whole - 1 if "[:-1]" in sent else 0
        assert f"sent {left} of a frame's {whole} bytes" in str(error)
        assert not board.is_running()

    def test_a_child_that_only_talks_is_noticed(self, board: Board) -> None:
        board.install("while True:\n    say('busy, busy')")
        error = failure(source(open_timeout_s=0.5, read_timeout_s=0.5))
        assert error.trouble == CameraTrouble.SILENT
        assert not board.is_running()

    def test_a_child_that_ignores_every_signal_is_killed(self, board: Board) -> None:
        board.install(
            "for one in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGPIPE):\n"
            "    signal.signal(one, signal.SIG_IGN)\n"
            "write(frame(9))\nrest()"
        )
        one = source()
        picture(one)
        one.close()
        assert not board.is_running()

    def test_a_camera_that_chooses_another_size_is_refused(self, board: Board) -> None:
        board.install(
            "say('[0:00] [1]  INFO Camera camera.cpp:1 configuring streams: "
            "(0) 1920x1080-YUV420/sYCC')\ntime.sleep(0.2)\nwrite(bytes(9999999))\nrest()"
        )
        error = failure(source())
        assert "gives pictures of 1920 x 1080, not of 192 x 120; set camera.width" in str(error)

    def test_closing_ends_a_read_in_progress(self, board: Board) -> None:
        board.install("rest()")
        one = source(read_timeout_s=3600)
        errors: list[str] = []

        def read() -> None:
            try:
                one.read()
            except CameraError as error:
                errors.append(str(error))

        reading = threading.Thread(target=read)
        reading.start()
        eventually(board.starts)
        one.close()
        one.close()
        reading.join(PATIENCE_S)
        assert errors == ["camera csi:0: rpicam-vid was ended by signal 9"]
        assert not board.is_running()
        with pytest.raises(CameraError, match="camera csi:0: closed"):
            one.read()

    def test_a_child_does_not_outlive_a_service_that_is_killed(self, board: Board) -> None:
        board.install("while True:\n    write(frame(9))\n    time.sleep(0.02)")
        script = (
            "import os, signal\n"
            "from lockd.adapters.cameras import open_source\n"
            "from lockd.config import CameraSettings\n"
            "open_source(CameraSettings(source='csi')).read()\n"
            "os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        ended = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=False)
        assert ended.returncode == -9
        eventually(lambda: not board.is_running())

    def test_no_handle_is_left_open(self, board: Board) -> None:
        board.install("say('no cameras available')\nsys.exit(1)")
        failure(source())
        before = sorted(os.listdir("/proc/self/fd"))
        for _ in range(3):
            failure(source())
        assert sorted(os.listdir("/proc/self/fd")) == before


class TestAsALiveCamera:
    FILM = "random = __import__('random')\nwhile True:\n    {each}\n    time.sleep(0.02)"
    NOISE = (
        "luma = bytes(random.choices(range(90, 100), k=width * height))\n"
        "    write(luma + bytes([128]) * (len(luma) // 2))"
    )

    @pytest.fixture
    def camera(self, board: Board) -> Any:
        made: list[LiveCamera] = []

        def make(**settings: Any) -> LiveCamera:
            wanted = {
                "width": 192,
                "height": 120,
                "retry_first_s": 0.01,
                "open_timeout_s": PATIENCE_S,
                "covered_after_s": 0,
                **settings,
            }
            made.append(LiveCamera(of("csi", **wanted), RealClock()))
            return made[-1]

        yield make
        for one in made:
            one.close()
        assert not board.is_running()

    def test_a_child_that_dies_is_started_again(
        self, board: Board, camera: Callable[..., LiveCamera]
    ) -> None:
        board.install(self.FILM.format(each=self.NOISE))
        watched = camera(read_timeout_s=PATIENCE_S)
        frame = eventually(lambda: watched.next(0.1))
        for count in (2, 3):
            os.kill(int(board.starts()[-1][0]), 9)
            eventually(lambda count=count: len(board.starts()) == count)
            last = frame.seq
            frame = eventually(lambda: watched.next(0.1))
            assert frame.seq > last

    def test_a_child_that_is_stopped_is_replaced(
        self, board: Board, camera: Callable[..., LiveCamera]
    ) -> None:
        board.install(self.FILM.format(each=self.NOISE))
        watched = camera(read_timeout_s=2.0)
        assert eventually(lambda: watched.next(0.1))
        board.install("rest()")
        os.kill(int(board.starts()[-1][0]), 19)
        eventually(lambda: watched.trouble == CameraTrouble.SILENT)
        eventually(lambda: len(board.starts()) > 1)
        assert watched.alive

    def test_a_child_that_sends_garbage_is_told_of_and_nothing_of_it_handed_over(
        self, board: Board, camera: Callable[..., LiveCamera]
    ) -> None:
        board.install(self.FILM.format(each="write(os.urandom(width * height * 3 // 2))"))
        watched = camera(read_timeout_s=0.5)
        eventually(lambda: watched.trouble == CameraTrouble.GARBLED)
        assert not watched.started
        assert watched.next(0.0) is None

    def test_closing_it_does_not_wait_for_a_child_that_hangs(
        self, board: Board, camera: Callable[..., LiveCamera]
    ) -> None:
        board.install("rest()")
        watched = camera(read_timeout_s=3600)
        eventually(board.starts)
        watched.close()
        assert not board.is_running()
