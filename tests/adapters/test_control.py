"""The control socket: who asks, what is asked, and what becomes of it."""

from __future__ import annotations

import getpass
import json
import os
import socket
import stat
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters import control
from lockd.adapters.control import (
    MAX_REQUEST,
    MOST_CALLERS,
    ControlSocket,
    Picture,
    Request,
    ask,
    ask_for_picture,
    listens,
)
from lockd.errors import ControlError, ImageError
from tests.patience import PATIENCE_S, eventually


class Answering:
    """A service that answers every request with what was asked, and `picture` if it has one."""

    def __init__(self, path: Path) -> None:
        self.picture: Picture | None = None
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
                request.answer({"result": "ok", "asked": request.values}, self.picture)

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


def answers(path: Path) -> bool:
    try:
        return bool(ask(path, {"command": "lock"})["result"] == "ok")
    except ControlError:
        return False


def say(path: Path, raw: bytes) -> bytes:
    """Send bytes and return what comes back."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(PATIENCE_S)
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
    monkeypatch.setattr("lockd.adapters.control.ANSWER_S", 0.05)
    control = ControlSocket(path, lambda: None)
    assert ask(path, {"command": "status"}) == {"result": "no_answer"}
    control.close()


def test_running_out_of_file_descriptors_does_not_end_the_listening(
    service: Answering, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("lockd.adapters.control.PATIENCE_S", 0.05)
    accept = socket.socket.accept
    failures: list[Any] = [OSError(24, "Too many open files")]

    def accept_or_fail(listening: socket.socket) -> Any:
        if failures:
            raise failures.pop()
        return accept(listening)

    monkeypatch.setattr(socket.socket, "accept", accept_or_fail)
    for _ in range(3):  # the first is taken by the accept that was waiting already
        eventually(lambda: answers(path))
    assert not failures
    assert os.path.exists(path)


def test_a_picture_follows_its_answer_and_is_made_in_the_sockets_own_thread(
    service: Answering, path: Path
) -> None:
    content = bytes(range(256)) * 4000
    makers: list[str] = []

    def picture() -> bytes:
        makers.append(threading.current_thread().name)
        return content

    service.picture = picture
    answer, got = ask_for_picture(path, {"command": "frame"})
    assert (answer["result"], answer["bytes"]) == ("ok", len(content))
    assert got == content
    assert makers == ["control-caller"]


def test_an_answer_without_a_picture_has_none(service: Answering, path: Path) -> None:
    answer, got = ask_for_picture(path, {"command": "status"})
    assert (answer["result"], got) == ("ok", b"")


def test_a_picture_that_cannot_be_made_costs_the_service_nothing(
    service: Answering, path: Path
) -> None:
    def broken() -> bytes:
        raise ImageError("cannot be encoded")

    service.picture = broken
    with pytest.raises(ControlError):
        ask_for_picture(path, {"command": "frame"})
    service.picture = None
    assert ask(path, {"command": "status"})["result"] == "ok"


@pytest.mark.parametrize(
    "raw",
    [
        b'{"result": "ok", "bytes": 10}\n12345',
        b'{"result": "ok", "bytes": -1}\n',
        b'{"result": "ok", "bytes": 99999999999}\n',
        b'{"result": "ok", "bytes": "10"}\n1234567890',
        b"[1, 2]\n",
        b"7\n",
        b"",
    ],
)
def test_an_answer_that_is_none_is_an_error(path: Path, raw: bytes) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(path))
        listener.listen(1)

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(MAX_REQUEST)
                connection.sendall(raw)

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(ControlError):
            ask_for_picture(path, {"command": "frame"})
        thread.join()


def test_who_listens_can_be_asked_without_asking_anything(
    service: Answering, path: Path, tmp_path: Path
) -> None:
    assert listens(path)
    assert not listens(tmp_path / "nothing there")
    (tmp_path / "file").touch()
    assert not listens(tmp_path / "file")
    assert service.seen == []


def test_a_socket_that_this_user_may_not_use_is_an_error_not_an_absent_service(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    class Refusing(socket.socket):
        connect = refuse

    monkeypatch.setattr("lockd.adapters.control.socket.socket", Refusing)
    with pytest.raises(ControlError, match=r"Permission denied.*group lockd"):
        listens(path)


class TestWhoIsSlowOrGone:
    """One caller must not keep the others waiting, nor be obeyed when they have gone."""

    def test_one_who_dribbles_bytes_keeps_nobody_else_waiting(
        self, service: Answering, path: Path
    ) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as dribbling:
            dribbling.connect(str(path))
            dribbling.sendall(b'{"command": ')
            assert ask(path, {"command": "lock"})["result"] == "ok"
            assert [one.values for one in service.seen] == [{"command": "lock"}]

    def test_as_many_as_there_are_places_may_dribble_and_are_thrown_out(
        self, service: Answering, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(control, "PATIENCE_S", 0.05)
        with ExitStack() as stack:
            for _ in range(MOST_CALLERS):
                one = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
                one.connect(str(path))
                one.sendall(b"{")
            eventually(lambda: answers(path))  # who is slow to ask is thrown out, too

    def test_who_hung_up_is_not_obeyed(self, path: Path) -> None:
        heard = threading.Event()
        listening = ControlSocket(path, heard.set)
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as caller:
                caller.connect(str(path))
                caller.sendall(b'{"command": "unlock"}\n')
                assert heard.wait(PATIENCE_S)
            (request,) = listening.requests()
            eventually(lambda: "control-caller" not in {t.name for t in threading.enumerate()})
            assert not request.take()
        finally:
            listening.close()

    def test_who_is_being_obeyed_is_not_given_up(self) -> None:
        request = control.Request({"command": "unlock"}, "ada")
        assert request.take()
        assert not request.abandon()
        late = control.Request({"command": "unlock"}, "ada")
        assert late.abandon()
        assert not late.take()

    def test_what_locks_is_heard_first(self, path: Path) -> None:
        wakes: list[None] = []
        listening = ControlSocket(path, lambda: wakes.append(None))
        try:
            callers = [socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) for _ in range(3)]
            for caller, command in zip(callers, ("unlock", "lift", "lock-down"), strict=True):
                caller.connect(str(path))
                caller.sendall(json.dumps({"command": command}).encode() + b"\n")
            eventually(lambda: len(wakes) == 3)
            found = listening.requests()
            assert found[0].values["command"] == "lock-down"
            for one in found:
                one.answer({"result": "ok"})
            for caller in callers:
                caller.close()
        finally:
            listening.close()
