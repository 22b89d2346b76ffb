"""A network camera is who it says it is; what is wrong with it is said, and its password is not."""

from __future__ import annotations

import logging
import os
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lockd.adapters.cameras import LiveCamera, open_source
from lockd.clock import RealClock
from lockd.errors import CameraError
from tests.adapters.ipcamera import Answer, Authority, camera, film, locked, status
from tests.adapters.studio import level, of
from tests.conftest import free_port
from tests.patience import PATIENCE_S


def opened(url: str, **values: Any) -> int:
    """The grey level of a stream's first picture."""
    source = open_source(of(url, **{"open_timeout_s": PATIENCE_S, **values}))
    try:
        picture = source.read()
        assert picture is not None
        return level(picture[0])
    finally:
        source.close()


def refused(url: str, **values: Any) -> CameraError:
    with pytest.raises(CameraError) as caught:
        open_source(of(url, **{"open_timeout_s": PATIENCE_S, **values}))
    return caught.value


class TestTls:
    @pytest.fixture
    def authority(self, tmp_path: Path) -> Authority:
        return Authority(tmp_path)

    @pytest.fixture
    def certificate(self, authority: Authority) -> Path:
        return authority.certify("porch", ["127.0.0.1", "localhost"])

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_a_camera_that_its_authority_vouches_for_is_opened(
        self, authority: Authority, certificate: Path, host: str
    ) -> None:
        with camera(film, certificate) as port:
            assert opened(f"https://{host}:{port}/", ca_file=authority.file) == 100

    @pytest.mark.parametrize("scheme", ["https", "rtsps"])
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_a_strangers_video_is_not_opened(
        self, certificate: Path, scheme: str, host: str
    ) -> None:
        asked: list[str] = []

        def listening(head: str) -> bytes:
            asked.append(head)
            return film(head)

        with camera(listening, certificate) as port:
            error = refused(f"{scheme}://a:sesame@{host}:{port}/")
        assert error.trouble == "denied"
        assert "camera.ca_file" in str(error)
        assert not asked  # not even the password was sent

    @pytest.mark.parametrize("scheme", ["https", "rtsps"])
    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_a_certificate_for_another_name_is_not_taken(
        self, authority: Authority, scheme: str, host: str
    ) -> None:
        with camera(film, authority.certify("other", ["elsewhere.example", "10.0.0.9"])) as port:
            error = refused(f"{scheme}://{host}:{port}/", ca_file=authority.file)
        assert error.trouble == "denied"
        assert "not trusted" in str(error)
        assert host in str(error)

    def test_ffmpeg_verifies_for_itself_what_lockd_has_looked_at(
        self, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lockd.adapters.cameras.capture.check_certificate", lambda *_: None)
        with camera(film, certificate) as port:
            assert "not trusted" in str(refused(f"https://localhost:{port}/"))

    def test_who_lets_no_look_at_the_certificate_shows_nothing(
        self, authority: Authority, certificate: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def broken(*_: Any) -> None:
            raise ConnectionResetError(104, "Connection reset by peer")

        monkeypatch.setattr("lockd.adapters.cameras.trust.connect", broken)
        with camera(film, certificate) as port:
            refused(f"https://127.0.0.1:{port}/", ca_file=authority.file)

    def test_an_unverified_camera_is_opened_and_the_log_says_so_at_every_start(
        self, certificate: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        with camera(film, certificate) as port:
            url = f"https://a:sesame@127.0.0.1:{port}/"
            assert opened(url, tls="unverified") == 100
            with caplog.at_level(logging.WARNING):
                LiveCamera(of(url, tls="unverified"), RealClock()).close()
        assert "camera.tls is unverified" in caplog.text
        assert "sesame" not in caplog.text

    def test_after_an_unverified_camera_another_is_verified_again(self, certificate: Path) -> None:
        with camera(film, certificate) as port:
            assert opened(f"https://localhost:{port}/", tls="unverified") == 100
            refused(f"https://localhost:{port}/")
        assert "tls_verify;1" in os.environ["OPENCV_FFMPEG_CAPTURE_OPTIONS"]

    @pytest.mark.parametrize("content", [None, b"no certificate"])
    def test_a_file_of_authorities_that_cannot_be_read_is_named(
        self, tmp_path: Path, certificate: Path, content: bytes | None
    ) -> None:
        file = tmp_path / "ca;of|the 'porch'.pem"
        if content is not None:
            file.write_bytes(content)
        with camera(film, certificate) as port:
            error = refused(f"https://localhost:{port}/", ca_file=file)
        assert str(error).startswith(f"camera.ca_file: {file}: ")

    def test_its_name_may_have_any_character(
        self, tmp_path: Path, authority: Authority, certificate: Path
    ) -> None:
        file = authority.file.rename(tmp_path / "ca;of|the 'porch'\\.pem")
        with camera(film, certificate) as port:
            assert opened(f"https://localhost:{port}/", ca_file=file) == 100


class TestCauses:
    @pytest.mark.parametrize("scheme", ["http", "rtsp"])
    @pytest.mark.parametrize(
        ("answer", "login", "said", "trouble"),
        [
            (locked("a", "b", film), "", "asks for a user name and a password", "denied"),
            (locked("a", "b", film), "a:sesame@", "refuses the user name or the", "denied"),
            (locked("a", "b", film, "digest"), "a:sesame@", "refuses the user name", "denied"),
            (status(403), "a:sesame@", "forbids this (403)", "denied"),
            (status(404), "", "nothing at this path (404)", "missing"),
            (locked("a", "b", status(404)), "a:b@", "nothing at this path (404)", "missing"),
            (locked("a", "b", status(404), "digest"), "a:b@", "nothing at this path", "missing"),
            (status(500), "", "answers 500", "failing"),
            (status(200), "", "answers, but sends no video", "garbled"),
            (lambda _: b"SSH-2.0\r\n\r\n", "", "but not in ", "garbled"),
        ],
    )
    def test_what_a_server_answers_is_told_apart(
        self, scheme: str, answer: Answer, login: str, said: str, trouble: str
    ) -> None:
        with camera(answer) as port:
            error = refused(f"{scheme}://{login}127.0.0.1:{port}/x")
        assert said in str(error)
        assert error.trouble == trouble
        assert "sesame" not in str(error)

    @pytest.mark.parametrize("scheme", ["http", "rtsp"])
    def test_a_server_that_says_nothing_is_given_up_in_time(self, scheme: str) -> None:
        start = time.monotonic()
        with camera(None) as port:
            error = refused(f"{scheme}://127.0.0.1:{port}/", open_timeout_s=0.3)
        assert "no answer within 0.3 s" in str(error)
        assert time.monotonic() - start < PATIENCE_S / 2

    def test_a_port_at_which_nobody_listens_is_named(self) -> None:
        port = free_port()
        assert f"nobody listens at port {port}" in str(refused(f"rtsp://127.0.0.1:{port}/"))

    def test_a_name_that_no_host_has_is_named(self) -> None:
        error = refused("http://a:sesame@no-such-camera.invalid/")
        assert "no host of the name no-such-camera.invalid" in str(error)

    def test_a_server_without_tls_is_told_from_one_that_is_not_trusted(self) -> None:
        with camera(status(200)) as port:
            assert "speaks no TLS" in str(refused(f"https://localhost:{port}/"))

    @pytest.mark.parametrize("kind", ["basic", "digest"])
    @pytest.mark.parametrize(
        "password", ["p@ss#w/rd?1", "p%40ss%23w%2Frd%3F1", "100%", "a b", "a:b", "sésame", "&=+$;"]
    )
    def test_a_password_with_any_character_is_encoded_where_that_is_certain(
        self, kind: str, password: str
    ) -> None:
        meant = password.replace("p%40ss%23w%2Frd%3F1", "p@ss#w/rd?1")
        if kind == "digest" and ":" in meant:
            return  # FFmpeg's own limit is a user name with a colon, not a password
        with camera(locked("admin", meant, film, kind)) as port:
            assert opened(f"http://admin:{password}@127.0.0.1:{port}/v") == 100


SPECIAL = st.text("@:/?#%&=;, ab1", max_size=3)
SECRET = "Sesame42"
WORDS = st.tuples(SPECIAL, SPECIAL).map(lambda pair: f"{pair[0]}{SECRET}{pair[1]}")


@st.composite
def addresses(draw: st.DrawFn, host: str = "127.0.0.1:1") -> str:
    """URLs with a secret wherever owners and cameras put one."""
    scheme = draw(st.sampled_from(["rtsp", "RTSP", "https", "http", "rtsps", "rtmp", "srt", "Udp"]))
    slashes = draw(st.sampled_from(["://", "://", "://", ":/", ":///"]))
    login = draw(st.one_of(st.just(""), st.just("admin:")))
    where = draw(st.sampled_from(["login", "query", "fragment"]))
    secret = draw(WORDS)
    url = {
        "login": f"{login or 'admin:'}{secret}@{host}/live",
        "query": f"{login and login + 'x@'}{host}/live?password={secret}",
        "fragment": f"{login and login + 'x@'}{host}/live#{secret}",
    }[where]
    return draw(st.sampled_from(["", " "])) + scheme + slashes + url


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(addresses())
def test_no_secret_of_a_url_is_in_a_cameras_error_its_problem_or_the_log(url: str) -> None:
    heard: list[str] = []

    class Ear(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(self.format(record))

    ear = Ear()
    logging.getLogger().addHandler(ear)
    try:
        camera_settings = of(0).from_source(url).model_copy(update={"tls": "unverified"})
        heard.append(repr(camera_settings))
        live = LiveCamera(camera_settings, RealClock())
        deadline = time.monotonic() + PATIENCE_S
        while live.problem is None and time.monotonic() < deadline:
            live.next(0.01)
        heard.append(str(live.problem))
        live.close()
    except CameraError as error:
        heard.append(str(error))
    finally:
        logging.getLogger().removeHandler(ear)
    assert heard
    assert SECRET not in "".join(heard)
