"""Commands from this machine, over a Unix socket: `lockd door`.

Whoever may write to the socket's file may command the door; the kernel says who it was.
One line of JSON in, one out, and the connection ends. A thread of its own takes the
requests in and hands out the answers; the service's thread finds them with `requests`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pwd
import queue
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lockd.errors import ControlError

log = logging.getLogger(__name__)

MAX_REQUEST = 4096
_PATIENCE_S = 2.0
_ANSWER_S = 5.0
_CREDENTIALS = struct.Struct("3i")


@dataclass(frozen=True, slots=True)
class Request:
    """What somebody asks.

    Attributes:
        values: the JSON object that was sent.
        by: who, by user name.
        answers: takes one answer.
    """

    values: dict[str, Any]
    by: str
    answers: queue.SimpleQueue[dict[str, Any]] = field(default_factory=queue.SimpleQueue)

    def answer(self, values: dict[str, Any]) -> None:
        """Answer; once is enough."""
        self.answers.put(values)


class ControlSocket:
    """The service's end."""

    def __init__(self, path: Path, wake: Callable[[], None]) -> None:
        """Listen.

        Args:
            path: of the socket's file; what is left of a service that died is replaced.
            wake: called from the socket's thread when there is a request.

        Raises:
            ControlError: if another service listens there, or the file cannot be made.
        """
        self._path = path
        self._wake = wake
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._closing = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            _make_room(path)
            self._socket.bind(str(path))
            path.chmod(0o660)
            self._socket.listen(4)
        except OSError as error:
            self._socket.close()
            raise ControlError(
                f"control.socket: {path}: {error.strerror or error}; does its folder exist, and "
                "may this user write there?"
            ) from error
        self._thread = threading.Thread(target=self._serve, name="control", daemon=True)
        self._thread.start()

    def requests(self) -> list[Request]:
        """Return what was asked since the last call; each must be answered."""
        found: list[Request] = []
        while not self._requests.empty():
            found.append(self._requests.get())
        return found

    def close(self) -> None:
        """Stop listening and take the file away."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._path.unlink(missing_ok=True)
        self._thread.join(timeout=1.0)

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._socket.accept()
            except OSError as error:
                if not self._closing.wait(_PATIENCE_S):
                    log.warning("control: %s; trying again", error)  # no file descriptor left?
                continue
            with connection:
                try:
                    self._converse(connection)
                except (OSError, ValueError, KeyError) as error:
                    log.warning("control: a request was dropped: %s", error)

    def _converse(self, connection: socket.socket) -> None:
        connection.settimeout(_PATIENCE_S)
        values = json.loads(_read_line(connection))
        if not isinstance(values, dict):
            raise ValueError("not a JSON object")
        request = Request(values, _peer(connection))
        self._requests.put(request)
        self._wake()
        try:
            answer = request.answers.get(timeout=_ANSWER_S)
        except queue.Empty:
            answer = {"result": "no_answer"}
        connection.sendall(json.dumps(answer).encode() + b"\n")


def ask(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Ask a service that runs.

    Args:
        path: of its socket.
        values: see `Request`.

    Raises:
        ControlError: if none runs there, this user may not ask it, or it does not answer.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(_ANSWER_S + _PATIENCE_S)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(values).encode() + b"\n")
            answer = json.loads(_read_line(connection))
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise ControlError(
                f"{path}: {reason}; does lockd run, and may this user command it? "
                "(root, or the group lockd)"
            ) from error
    return dict(answer)


def _read_line(connection: socket.socket) -> bytes:
    """Read up to a newline."""
    line = b""
    while not line.endswith(b"\n"):
        piece = connection.recv(MAX_REQUEST)
        line += piece
        if not piece or len(line) > MAX_REQUEST:
            raise ValueError("cut off, or too long")
    return line


def _peer(connection: socket.socket) -> str:
    """The name of the user at the other end."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    uid = _CREDENTIALS.unpack(raw)[1]
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"uid {uid}"


def _make_room(path: Path) -> None:
    """Take away a socket that nobody listens to any more."""
    if not path.is_socket():
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        if probe.connect_ex(str(path)) == 0:
            raise ControlError(f"control.socket: {path}: another lockd listens there")
    os.unlink(path)
