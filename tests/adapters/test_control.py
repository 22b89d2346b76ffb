"""The control socket: who asks, what is asked, and what becomes of it."""

from __future__ import annotations

import getpass
import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.control import MAX_REQUEST, ControlSocket, Request, ask
from lockd.errors import ControlError
from tests.conftest import eventually


class Answering:
    """A service that answers every request with what was asked and by whom."""

    def __init__(self, path: Path) -> None:
        self.asked = threading.Event()
        self.seen: list[Request] = []
        self.control = ControlSocket(path, self.asked.set)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._answer)
        self._thread.start()

    def _answer(self) -> None:
        while not self._ends.is_set():
            self.asked.wait(0.05)
            self.asked.clear()
            for request in self.control.requests():
                self.seen.append(request)
                request.answer({"result": "ok", "asked": request.values})

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        self.control.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "control"


@pytest.fixture
def service(path: Path) -> Iterator[Answering]:
    service = Answering(path)
    yield service
    service.close()


def say(path: Path, raw: bytes) -> bytes:
    """Send bytes and return what comes back."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        connection.connect(str(path))
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        return connection.recv(MAX_REQUEST)


def test_a_request_is_answered_and_the_kernel_says_who_asked(
    service: Answering, path: Path
) -> None:
    answer = ask(path, {"command": "status"})
    assert answer == {"result": "ok", "asked": {"command": "status"}}
    assert service.seen[0].by == getpass.getuser()


def test_only_owner_and_group_may_ask(service: Answering, path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


@pytest.mark.parametrize(
    "raw", [b"", b"\n", b"{", b"[1]\n", b"\xff\xfe\n", b"{" * 5000 + b"\n", b'"unlock"\n']
)
def test_junk_is_dropped_and_the_next_request_is_heard(
    service: Answering, path: Path, raw: bytes
) -> None:
    assert say(path, raw) == b""
    assert service.seen == []
    assert ask(path, {"command": "status"})["result"] == "ok"


def test_a_caller_who_goes_away_is_no_trouble(service: Answering, path: Path) -> None:
    for _ in range(20):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(str(path))
            connection.sendall(json.dumps({"command": "status"}).encode() + b"\n")
    eventually(lambda: len(service.seen) == 20)
    assert ask(path, {"command": "status"})["result"] == "ok"


def test_what_a_dead_service_left_is_replaced(path: Path) -> None:
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    dead.bind(str(path))
    dead.close()
    service = Answering(path)
    assert ask(path, {"command": "status"})["result"] == "ok"
    service.close()
    assert not path.exists()


def test_two_services_do_not_share_a_socket(service: Answering, path: Path) -> None:
    with pytest.raises(ControlError, match="another lockd listens there"):
        ControlSocket(path, lambda: None)
    assert ask(path, {"command": "status"})["result"] == "ok"


def test_a_file_that_is_no_socket_is_left_alone(path: Path) -> None:
    path.write_text("precious")
    with pytest.raises(ControlError, match=r"control\.socket: .*control"):
        ControlSocket(path, lambda: None)
    assert path.read_text() == "precious"


def test_without_a_service_the_error_says_what_to_look_at(path: Path) -> None:
    with pytest.raises(ControlError, match="does lockd run"):
        ask(path, {"command": "status"})


def test_a_service_that_does_not_answer_does_not_keep_the_caller(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockd.adapters.control._ANSWER_S", 0.05)
    control = ControlSocket(path, lambda: None)
    assert ask(path, {"command": "status"}) == {"result": "no_answer"}
    control.close()


def test_running_out_of_file_descriptors_does_not_end_the_listening(
    service: Answering, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockd.adapters.control._PATIENCE_S", 0.05)
    accept = service.control._socket.accept
    failures: list[Any] = [OSError(24, "Too many open files")]

    class Listening:
        def accept(self) -> Any:
            if failures:
                raise failures.pop()
            return accept()

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    real = service.control._socket
    monkeypatch.setattr(service.control, "_socket", Listening())
    for _ in range(3):  # the first is taken by the accept that was waiting already
        assert ask(path, {"command": "status"})["result"] == "ok"
    assert not failures
    assert os.path.exists(path)
