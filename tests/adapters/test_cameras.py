"""Every kind of source, and the thread that keeps only its newest picture."""

from __future__ import annotations

import base64
import http.server
import logging
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from lockd.adapters.cameras import (
    LiveCamera,
    RecordedCamera,
    Source,
    list_pictures,
    open_source,
)
from lockd.adapters.cameras.capture import CaptureSource
from lockd.adapters.cameras.sources import FolderSource, GuardedSource, VideoSource
from lockd.clock import RealClock
from lockd.errors import CameraError, ImageError, LockdError
from lockd.types import Image
from lockd.vision.pictures import encode_jpeg
from tests.adapters.studio import ScriptedSource, Studio, level, of, plain
from tests.conftest import CLIP, free_port
from tests.patience import PATIENCE_S, eventually

PATIENT = {"open_timeout_s": PATIENCE_S, "read_timeout_s": PATIENCE_S}


def write_png(path: Path, grey: int) -> None:
    done, buffer = cv2.imencode(".png", plain(grey))
    assert done
    path.write_bytes(buffer.tobytes())


def read_all(source: Source) -> tuple[list[tuple[int, float]], Exception | None]:
    """(grey level, time) of every picture, and what ended them."""
    pictures = []
    try:
        while (picture := source.read()) is not None:
            pictures.append((level(picture[0]), picture[1]))
    except LockdError as error:
        return pictures, error
    return pictures, None


class TestFolder:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        folder = tmp_path / "pictures"
        folder.mkdir()
        for name, grey in (("b.png", 20), ("a.PNG", 10), ("c2.png", 40), ("c10.png", 30)):
            write_png(folder / name, grey)
        return folder

    def test_its_pictures_come_by_name_at_the_rate_set(self, folder: Path) -> None:
        pictures, error = read_all(open_source(of(str(folder), fps=4)))
        assert pictures == [(10, 0.0), (20, 0.25), (30, 0.5), (40, 0.75)]
        assert error is None

    def test_what_is_no_picture_or_hidden_is_passed_over(self, folder: Path) -> None:
        (folder / "notes.txt").write_text("not a picture")
        (folder / "b.json").write_text("{}")
        write_png(folder / ".hidden.png", 99)
        (folder / "text.jpg").write_text("not a picture")
        (folder / "folder.jpg").mkdir()
        assert len(list_pictures(folder)) == 4

    def test_what_a_picture_is_called_does_not_matter(self, folder: Path) -> None:
        (folder / "a.PNG").rename(folder / "a")
        (folder / "b.png").rename(folder / "b.txt")
        assert [one.name for one in list_pictures(folder)] == ["a", "b.txt", "c10.png", "c2.png"]

    def test_after_the_last_picture_it_stays_at_its_end(self, folder: Path) -> None:
        source = FolderSource(folder, 10)
        read_all(source)
        assert source.read() is None
        source.close()
        source.close()

    def test_a_picture_that_cannot_be_decoded_is_named(self, folder: Path) -> None:
        (folder / "b.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
        pictures, error = read_all(FolderSource(folder, 10))
        assert [grey for grey, _ in pictures] == [10]
        assert isinstance(error, ImageError)
        assert str(folder / "b.png") in str(error)

    def test_a_picture_that_cannot_be_read_is_named(self, folder: Path) -> None:
        (folder / "b.png").unlink()
        (folder / "b.png").symlink_to(folder / "gone")
        _, error = read_all(FolderSource(folder, 10))
        assert isinstance(error, CameraError)
        assert str(folder / "b.png") in str(error)
        assert "No such file" in str(error)

    def test_an_empty_folder_says_what_it_was_searched_for(self, tmp_path: Path) -> None:
        (tmp_path / "notes.txt").write_text("not a picture")
        with pytest.raises(CameraError) as caught:
            open_source(of(str(tmp_path)))
        assert str(tmp_path) in str(caught.value)
        assert "holds no picture" in str(caught.value)
        assert "JPEG" in str(caught.value)

    def test_a_folder_that_is_not_there_is_a_camera_error(self, tmp_path: Path) -> None:
        with pytest.raises(CameraError, match="No such file"):
            list_pictures(tmp_path / "gone")


class TestPaths:
    def test_a_path_that_is_not_there_is_named_with_what_could_be_used(
        self, tmp_path: Path
    ) -> None:
        missing = str(tmp_path / "porch.mp4")
        with pytest.raises(CameraError) as caught:
            open_source(of(missing))
        message = str(caught.value)
        assert message.startswith(f"camera.source: {missing}: no such file or folder")
        assert "rtsp://" in message

    def test_a_home_folder_is_understood(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("HOME", str(tmp_path))
        write_png(tmp_path / "a.png", 50)
        assert read_all(open_source(of("~")))[0] == [(50, 0.0)]


class TestVideo:
    @pytest.fixture
    def video(self, tmp_path: Path) -> Path:
        path = tmp_path / "levels.avi"
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 8, (64, 48))
        for step in range(20):
            writer.write(plain(step * 10))
        writer.release()
        return path

    def test_every_frame_comes_in_order_with_its_time(self, video: Path) -> None:
        pictures, error = read_all(open_source(of(str(video))))
        assert error is None
        assert [t for _, t in pictures] == pytest.approx([step / 8 for step in range(20)])
        assert np.abs(np.array([grey for grey, _ in pictures]) - np.arange(20) * 10).max() <= 2

    def test_after_its_end_it_stays_at_its_end(self, video: Path) -> None:
        source = VideoSource(video)
        read_all(source)
        assert source.read() is None
        source.close()
        source.close()

    @pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
    def test_a_video_cut_short_gives_its_frames_and_then_an_error(
        self, tmp_path: Path, kept: float
    ) -> None:
        content = CLIP.read_bytes()
        cut = tmp_path / "cut.mp4"
        cut.write_bytes(content[: int(len(content) * kept)])
        pictures, error = read_all(open_source(of(str(cut))))
        assert 10 < len(pictures) < 354
        assert isinstance(error, CameraError)
        assert str(error) == f"{cut}: breaks off after {len(pictures)} of 354 frames"

    @pytest.mark.parametrize("content", [b"", b"not a video" * 99, bytes(5000)])
    def test_a_file_that_is_no_video_is_refused_by_name(
        self, tmp_path: Path, content: bytes
    ) -> None:
        path = tmp_path / "film.mp4"
        path.write_bytes(content)
        with pytest.raises(CameraError) as caught:
            open_source(of(str(path)))
        assert str(caught.value).startswith(f"{path}: not a video")


class TestDevices:
    @pytest.mark.parametrize("source", [63, "63", "/dev/video63"])
    def test_a_device_that_is_not_there_is_named_with_what_to_check(
        self, source: str | int
    ) -> None:
        assert not os.path.exists("/dev/video63")
        with pytest.raises(CameraError) as caught:
            open_source(of(source))
        message = str(caught.value)
        assert message.startswith("camera /dev/video63: not there")
        assert "plugged in" in message
        assert "/dev/v4l/by-id" in message
        assert caught.value.trouble == "missing"

    def test_a_device_that_is_no_camera_is_refused(self) -> None:
        with pytest.raises(CameraError, match="camera /dev/null: no camera"):
            open_source(of("/dev/null"))


class _Mjpeg(http.server.BaseHTTPRequestHandler):
    """What an IP camera does: one JPEG after the other, in parts."""

    server: _CameraServer

    def do_GET(self) -> None:
        self.server.paths.append(self.path)
        if self.path.startswith("/locked"):
            given = self.headers.get("Authorization", "")
            if given != "Basic " + base64.b64encode(b"door:sesame").decode():
                self.send_response(401)
                self.send_header("WWW-Authenticate", 'Basic realm="camera"')
                self.end_headers()
                return
        if self.path.startswith("/silent"):
            self.server.stall()
            return
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
        self.end_headers()
        for step in range(self.server.frames):
            jpeg = encode_jpeg(plain(step * 10))
            head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            self.wfile.write(head.encode() + jpeg + b"\r\n")
        if self.path.startswith("/stalling"):
            self.server.stall()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class _CameraServer(http.server.ThreadingHTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Mjpeg)
        self.frames = 20
        self.paths: list[str] = []
        self.over = threading.Event()
        self.gave_up = False

    def stall(self) -> None:
        """Say nothing until the test is over; or, if nobody hangs up, for so long."""
        self.gave_up |= not self.over.wait(PATIENCE_S)

    def handle_error(self, *_: Any) -> None:
        """Say nothing: a client may leave in the middle of a picture."""

    def url(self, path: str, login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self.server_port}{path}"


@pytest.fixture
def ip_camera() -> Iterator[_CameraServer]:
    with _CameraServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


class TestStreams:
    def test_the_pictures_of_an_ip_camera_arrive_until_it_stops_sending(
        self, ip_camera: _CameraServer
    ) -> None:
        source = open_source(of(ip_camera.url("/video.mjpg"), **PATIENT))
        assert not source.recorded
        pictures, error = read_all(source)
        source.close()
        assert [grey for grey, _ in pictures] == [step * 10 for step in range(20)]
        assert isinstance(error, CameraError)
        assert str(error).endswith(f"{ip_camera.server_port}/video.mjpg: stopped sending pictures")

    def test_a_user_name_and_password_in_the_url_are_used(self, ip_camera: _CameraServer) -> None:
        source = open_source(of(ip_camera.url("/locked", "door:sesame@"), **PATIENT))
        assert source.read() is not None
        source.close()

    def test_a_stream_that_says_nothing_is_given_up_in_the_time_set(
        self, ip_camera: _CameraServer
    ) -> None:
        with pytest.raises(CameraError, match="cannot be opened"):
            open_source(of(ip_camera.url("/silent"), open_timeout_s=0.2))
        assert not ip_camera.gave_up

    def test_a_stream_that_stalls_is_given_up_in_the_time_set(
        self, ip_camera: _CameraServer
    ) -> None:
        source = open_source(of(ip_camera.url("/stalling"), **PATIENT | {"read_timeout_s": 2.0}))
        pictures, error = read_all(source)
        assert not ip_camera.gave_up
        source.close()
        assert pictures
        assert isinstance(error, CameraError)
        assert ip_camera.paths == ["/stalling"]

    @pytest.mark.parametrize("scheme", ["http", "rtsp"])
    def test_a_stream_that_cannot_be_reached_says_what_to_check(self, scheme: str) -> None:
        with pytest.raises(CameraError, match="nobody listens at port"):
            open_source(of(f"{scheme}://127.0.0.1:{free_port()}/x", open_timeout_s=2))

    @pytest.mark.parametrize(
        "address",
        [
            "http://door:hunter2@{host}/locked",
            "http://door:hun@hunter2@{host}/locked",
            "http://door:a/hunter2@{host}/locked",
            "http://door:a?hunter2@{host}/locked",
            "http://{host}/locked?user=door&password=hunter2",
            "http://{host}/locked?password=hunter2@home",
            "http://{host}/locked?password=home@hunter2",
            "rtsp://door:hunter2@{host}/stream",
        ],
    )
    def test_a_password_in_a_url_is_in_no_message(
        self, address: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        source = address.format(host=f"127.0.0.1:{free_port()}")
        with pytest.raises(CameraError) as caught:
            open_source(of(source, open_timeout_s=2))
        assert "hunter2" not in str(caught.value)
        assert "hunter2" not in "".join(capfd.readouterr())

    def test_a_refused_login_tells_the_address_and_keeps_the_password(
        self, ip_camera: _CameraServer, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(CameraError) as caught:
            open_source(of(ip_camera.url("/locked", "door:hunter2@"), **PATIENT))
        assert f"127.0.0.1:{ip_camera.server_port}/locked" in str(caught.value)
        assert "hunter2" not in str(caught.value) + "".join(capfd.readouterr())

    def test_a_stream_that_ends_reports_without_its_password(
        self, ip_camera: _CameraServer
    ) -> None:
        _, error = read_all(open_source(of(ip_camera.url("/locked", "door:sesame@"), **PATIENT)))
        assert "127.0.0.1" in str(error)
        assert "sesame" not in str(error)


class TestRecordedCamera:
    def test_it_gives_every_frame_numbered_and_with_the_time_of_the_recording(self) -> None:
        camera = RecordedCamera(ScriptedSource(5, 6, 7, recorded=True, times=[0.0, 0.5, 2.0]))
        frames = [camera.next(0.0) for _ in range(3)]
        assert [(level(f.image), f.t, f.seq) for f in frames if f] == [
            (5, 0.0, 1),
            (6, 0.5, 2),
            (7, 2.0, 3),
        ]
        assert not camera.ended
        assert camera.next(0.0) is None
        assert camera.ended
        assert camera.next(0.0) is None

    def test_a_whole_clip_comes_through(self) -> None:
        camera = RecordedCamera(open_source(of(str(CLIP))))
        count = 0
        while camera.next(0.0) is not None:
            count += 1
        camera.close()
        assert count == 354

    @pytest.mark.parametrize("error", [CameraError("torn"), ImageError("torn"), ValueError("torn")])
    def test_a_broken_recording_gives_its_frames_then_the_error_and_is_over(
        self, error: Exception
    ) -> None:
        camera = RecordedCamera(ScriptedSource(5, error, 6, recorded=True))
        assert camera.next(0.0) is not None
        with pytest.raises(type(error), match="torn"):
            camera.next(0.0)
        assert camera.ended
        assert camera.next(0.0) is None

    def test_a_device_cannot_be_replayed_and_is_given_back(self) -> None:
        source = ScriptedSource(5)
        with pytest.raises(CameraError, match="lockd run"):
            RecordedCamera(source)
        assert source.closed.is_set()

    def test_a_stream_cannot_be_replayed(self, ip_camera: _CameraServer) -> None:
        source = open_source(of(ip_camera.url("/video"), **PATIENT))
        assert isinstance(source, CaptureSource)
        with pytest.raises(CameraError, match="replay a video file"):
            RecordedCamera(source)

    def test_closing_it_closes_the_source(self) -> None:
        source = ScriptedSource(5, recorded=True)
        RecordedCamera(source).close()
        assert source.closed.is_set()


class TestNewestFrame:
    def test_only_the_newest_frame_is_kept(self, studio: Studio) -> None:
        source = ScriptedSource(1, 2, 3)
        camera = studio.camera(source)
        assert source.used_up.wait(PATIENCE_S)
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert (level(frame.image), frame.seq) == (3, 3)

    def test_no_frame_is_given_twice(self, studio: Studio) -> None:
        source = ScriptedSource(1)
        camera = studio.camera(source)
        assert camera.next(PATIENCE_S) is not None
        assert camera.next(0.0) is None
        assert not camera.ended

    def test_one_who_waits_is_woken_by_the_next_frame(self, studio: Studio) -> None:
        gate = threading.Event()

        class Gated(ScriptedSource):
            def read(self) -> tuple[Image, float] | None:
                gate.wait(PATIENCE_S)
                return super().read()

        camera = studio.camera(Gated(7))
        assert camera.next(0.0) is None
        waker = threading.Thread(target=gate.set)
        waker.start()
        frame = camera.next(PATIENCE_S)
        waker.join()
        assert frame is not None
        assert level(frame.image) == 7

    def test_a_frame_carries_the_time_at_which_it_came(self, studio: Studio) -> None:
        studio.clock.t = 1234.5
        frame = studio.camera(ScriptedSource(1)).next(PATIENCE_S)
        assert frame is not None
        assert frame.t == 1234.5


class TestFailures:
    def test_a_camera_that_fails_is_opened_again_after_growing_waits(self, studio: Studio) -> None:
        failures = [CameraError("unplugged")] * 6
        camera = studio.camera(*failures, ScriptedSource(9), retry_first_s=1, retry_longest_s=10)
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert level(frame.image) == 9
        assert [studio.stop.next_wait() for _ in failures] == [1, 2, 4, 8, 10, 10]
        assert studio.opened == 7

    def test_after_frames_the_waits_begin_anew(self, studio: Studio) -> None:
        lost = CameraError("unplugged")
        studio.camera(lost, lost, ScriptedSource(9, lost), lost, lost, retry_first_s=1)
        assert [studio.stop.next_wait() for _ in range(5)] == [1, 2, 1, 2, 4]

    def test_opening_alone_is_no_success(self, studio: Studio) -> None:
        lost = CameraError("no pictures")
        studio.camera(*[ScriptedSource(lost) for _ in range(3)], retry_first_s=1)
        assert [studio.stop.next_wait() for _ in range(3)] == [1, 2, 4]

    def test_frames_of_a_camera_that_came_back_are_numbered_on(self, studio: Studio) -> None:
        first, second = ScriptedSource(1, 2, CameraError("unplugged")), ScriptedSource(3)
        camera = studio.camera(first, second)
        assert second.used_up.wait(PATIENCE_S)
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert frame.seq == 3
        assert first.closed.is_set()

    def test_the_problem_is_told_while_it_lasts(self, studio: Studio) -> None:
        studio.stop.held = True
        camera = studio.camera(CameraError("camera /dev/video0: unplugged"), ScriptedSource(9))
        studio.stop.next_wait()
        assert camera.problem == "failing: camera /dev/video0: unplugged"
        assert camera.next(0.0) is None
        assert not camera.ended
        studio.stop.let_go.release()
        assert camera.next(PATIENCE_S) is not None
        assert camera.problem is None

    def test_the_last_frame_before_a_failure_is_still_given(self, studio: Studio) -> None:
        studio.stop.held = True
        camera = studio.camera(ScriptedSource(9, CameraError("unplugged")))
        studio.stop.next_wait()
        assert camera.next(0.0) is not None
        assert camera.problem == "failing: unplugged"

    @pytest.mark.parametrize(
        "error",
        [
            ValueError("bad"),
            cv2.error("bad"),
            OSError(19, "bad"),
            MemoryError("bad"),
            RuntimeError("bad"),
            KeyError("bad"),
        ],
        ids=lambda error: type(error).__name__,
    )
    @pytest.mark.parametrize("where", ["open", "read"])
    def test_the_thread_survives_whatever_a_driver_raises(
        self, studio: Studio, error: Exception, where: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        studio.stop.held = True
        camera = studio.camera(
            error if where == "open" else ScriptedSource(error), ScriptedSource(9)
        )
        with caplog.at_level(logging.ERROR):
            studio.stop.next_wait()
        assert camera.problem is not None
        assert "bad" in camera.problem
        studio.stop.let_go.release()
        assert camera.next(PATIENCE_S) is not None
        assert any(record.exc_info for record in caplog.records)

    def test_the_thread_survives_a_device_that_fails_to_close(self, studio: Studio) -> None:
        class Stuck(ScriptedSource):
            def close(self) -> None:
                if not self.closed.is_set():
                    super().close()
                    raise RuntimeError("stuck")

        camera = studio.camera(Stuck(CameraError("unplugged")), ScriptedSource(9))
        assert camera.next(PATIENCE_S) is not None

    def test_a_camera_that_hangs_is_a_problem_after_the_time_set(self, studio: Studio) -> None:
        camera = studio.camera(ScriptedSource(1), read_timeout_s=4)
        assert camera.next(PATIENCE_S) is not None
        studio.clock.t += 4
        assert camera.problem is None
        studio.clock.t += 0.1
        assert camera.problem == "silent: no picture for 4 s"

    def test_before_the_first_picture_a_camera_may_take_the_time_to_open_too(
        self, studio: Studio
    ) -> None:
        source = ScriptedSource()
        camera = studio.camera(source, read_timeout_s=4, open_timeout_s=3)
        assert source.used_up.wait(PATIENCE_S)
        studio.clock.t += 7
        assert camera.problem is None
        studio.clock.t += 0.1
        assert camera.problem == "silent: no picture for 7 s"


class TestRecordingsAsCameras:
    def test_a_recording_is_paced_by_its_own_times(self, studio: Studio) -> None:
        source = ScriptedSource(1, 2, 3, recorded=True, times=[0.0, 0.5, 2.0])
        camera = studio.camera(source)
        assert [studio.stop.next_wait() for _ in range(3)] == [0.0, 0.5, 1.5]
        assert source.closed.wait(PATIENCE_S)
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert frame.t == 102.0

    def test_it_has_ended_only_when_its_last_frame_was_taken(self, studio: Studio) -> None:
        source = ScriptedSource(1, 2, recorded=True)
        camera = studio.camera(source)
        assert source.closed.wait(PATIENCE_S)
        assert not camera.ended
        frame = camera.next(PATIENCE_S)
        assert frame is not None
        assert frame.seq == 2
        assert camera.ended
        assert camera.next(PATIENCE_S) is None
        assert studio.opened == 1

    def test_a_recording_that_was_over_long_ago_is_no_problem(self, studio: Studio) -> None:
        source = ScriptedSource(1, recorded=True)
        camera = studio.camera(source)
        assert source.closed.wait(PATIENCE_S)
        studio.clock.t += 1000
        assert camera.problem is None

    def test_a_recording_in_which_nothing_moved_for_minutes_is_not_silent(
        self, studio: Studio
    ) -> None:
        studio.stop.held = True
        camera = studio.camera(ScriptedSource(1, 2, recorded=True, times=[0.0, 300.0]))
        assert studio.stop.next_wait() == 0.0
        studio.stop.let_go.release()
        assert studio.stop.next_wait() == 300.0
        studio.clock.t += 200
        assert camera.problem is None

    def test_a_broken_recording_raises_after_its_last_frame_and_is_not_opened_again(
        self, studio: Studio
    ) -> None:
        source = ScriptedSource(1, CameraError("breaks off"), recorded=True)
        camera = studio.camera(source)
        assert source.closed.wait(PATIENCE_S)
        assert camera.next(PATIENCE_S) is not None
        with pytest.raises(CameraError, match="breaks off"):
            camera.next(PATIENCE_S)
        assert camera.ended
        assert studio.opened == 1

    def test_one_who_waits_for_a_frame_is_told_of_the_end(self, studio: Studio) -> None:
        source = ScriptedSource(recorded=True)
        assert studio.camera(source).next(PATIENCE_S) is None


class TestClosing:
    def test_closing_ends_the_thread_and_gives_the_device_back(self, studio: Studio) -> None:
        class Endless(ScriptedSource):
            def read(self) -> tuple[Image, float] | None:
                return plain(1), 0.0

        source = Endless()
        camera = studio.camera(source)
        assert camera.next(PATIENCE_S) is not None
        camera.close()
        eventually(lambda: not camera.alive)
        assert source.closed.wait(PATIENCE_S)

    def test_closing_between_two_attempts_opens_nothing_more(self, studio: Studio) -> None:
        studio.stop.held = True
        camera = studio.camera(CameraError("unplugged"), ScriptedSource(1))
        studio.stop.next_wait()
        camera.close()
        eventually(lambda: not camera.alive)
        assert studio.opened == 1

    def test_a_real_recording_runs_through_a_real_thread_to_its_end(self, tmp_path: Path) -> None:
        for number in range(3):
            write_png(tmp_path / f"{number}.png", number * 10)
        camera = LiveCamera(of(str(tmp_path), fps=120), RealClock())
        levels = []
        while not camera.ended:
            frame = camera.next(PATIENCE_S)
            if frame is not None:
                levels.append(level(frame.image))
        camera.close()
        assert levels[-1] == 20
        assert levels == sorted(set(levels))


class Resting(GuardedSource):
    """A camera that shows whether it rests."""

    def __init__(self) -> None:
        super().__init__("camera of a test")

    def _read(self) -> tuple[Image, float]:
        return plain(200 if self.resting else 100), 0.0

    def _release(self) -> None:
        pass


def test_a_live_camera_passes_on_that_it_may_rest_and_that_it_may_not() -> None:
    camera = LiveCamera(of(0, frozen_after_s=0), RealClock(), opener=Resting)

    def shows(grey: int) -> bool:
        frame = camera.next(PATIENCE_S)
        return frame is not None and level(frame.image) == grey

    try:
        for resting, grey in ((False, 100), (True, 200), (False, 100)):
            camera.rest(resting)
            eventually(lambda grey=grey: shows(grey))
    finally:
        camera.close()
