"""Commands from this machine, over a Unix socket: `lockd door`, `lockd-enroll add --camera`.

Whoever may write to the socket's file may command the door and see what its camera sees;
the kernel says who it was. One line of JSON in, one out, and the connection ends. An
answer with ``bytes`` in it is followed by so many: a picture. A thread of its own takes the
requests in and hands out the answers; the service's thread finds them with `requests`.

The console has a socket of its own, of the same kind. After the line of a request that has
``bytes`` in it there follow so many: photographs.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import pwd
import queue
import select
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

from lockd.errors import ControlError, LockdError
from lockd.files import acting_for
from lockd.remote.commands import LOCKING

log = logging.getLogger(__name__)

MAX_REQUEST = 4096
MAX_ANSWER = 2**16
"""Of the line of an answer."""
MAX_CONSOLE_REQUEST = 2**16
MAX_BODY = 40 * 2**20
"""Bytes that may follow a request of the console's."""
BODY_S = 15.0
"""How long those may take."""
MAX_PICTURE = 32 * 2**20
"""Bytes; a JPEG of the largest frame a camera may be set to is far smaller."""
SYSTEM_SOCKET = Path("/run/lockd/control")
"""Where an installed service listens."""
MOST_CALLERS = 16
"""At once; the next ones wait."""
PATIENCE_S = 2.0
ANSWER_S = 5.0
_GLANCE_S = 0.05
_CREDENTIALS = struct.Struct("3i")


Picture: TypeAlias = Callable[[], bytes]
Answer: TypeAlias = tuple[dict[str, Any], Picture | None]
Work: TypeAlias = Callable[[], tuple[dict[str, Any], bytes]]


@dataclass(slots=True)
class Request:
    """What somebody asks.

    Attributes:
        values: the JSON object that was sent.
        by: who, by user name.
        body: the bytes that came along, on the console's socket.
        console: whether it came by that.
        answers: takes one answer.
    """

    values: dict[str, Any]
    by: str
    body: bytes = b""
    console: bool = False
    answers: queue.SimpleQueue[Answer | Work] = field(default_factory=queue.SimpleQueue)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _fate: str = "waits"

    def take(self) -> bool:
        """Begin to obey; return False if whoever asked is told by now that it was not done."""
        return self._settle("taken")

    def abandon(self) -> bool:
        """Give it up; return False if it is being obeyed already."""
        return self._settle("abandoned")

    def answer(self, values: dict[str, Any], picture: Picture | None = None) -> None:
        """Answer; once is enough.

        Args:
            values: to be sent as JSON.
            picture: makes the bytes that follow, in the socket's thread, so that whoever
                answers does not wait for it.
        """
        self.answers.put((values, picture))

    def answer_later(self, work: Work) -> None:
        """Have the answer, and the bytes that follow it, made in the socket's thread.

        Args:
            work: makes them; it may take its time, and reads nothing that changes meanwhile.
        """
        self.answers.put(work)

    def _settle(self, fate: str) -> bool:
        with self._lock:
            if self._fate == "waits":
                self._fate = fate
            return self._fate == fate


class ControlSocket:
    """The service's end: several callers at once, each with a deadline."""

    def __init__(self, path: Path, wake: Callable[[], None], *, console: bool = False) -> None:
        """Listen.

        Args:
            path: of the socket's file; what is left of a service that died is replaced.
            wake: called from a caller's thread when there is a request.
            console: whether it is the console's, which sends photographs.

        Raises:
            ControlError: if another service listens there, or the file cannot be made.
        """
        self._path = path
        self._wake = wake
        self._console = console
        self._requests: queue.SimpleQueue[Request] = queue.SimpleQueue()
        self._places = threading.BoundedSemaphore(MOST_CALLERS)
        self._closing = threading.Event()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        try:
            with acting_for(path.parent):
                _make_room(path)
                self._socket.bind(str(path))
                path.chmod(0o660)
            self._socket.listen(MOST_CALLERS)
        except OSError as error:
            self._socket.close()
            raise ControlError(
                f"control.socket: {path}: {error.strerror or error}; does its folder exist, and "
                "may this user write there?"
            ) from error
        self._thread = self._start()

    def requests(self) -> list[Request]:
        """Return what was asked since the last call, what locks first; answer each."""
        if not self._thread.is_alive() and not self._closing.is_set():
            log.error("control: the thread that takes commands has died; starting another")
            self._thread = self._start()
        found: list[Request] = []
        while not self._requests.empty():
            found.append(self._requests.get())
        return sorted(found, key=lambda one: one.values.get("command") not in LOCKING)

    def close(self) -> None:
        """Stop listening and take the file away."""
        self._closing.set()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with acting_for(self._path.parent):
            self._path.unlink(missing_ok=True)
        self._thread.join(timeout=1.0)

    def _start(self) -> threading.Thread:
        thread = threading.Thread(target=self._serve, name="control", daemon=True)
        thread.start()
        return thread

    def _serve(self) -> None:
        while not self._closing.is_set():
            self._places.acquire()
            try:
                self._accept()
            except BaseException as error:  # whatever ends this thread takes no place along
                self._places.release()
                if not isinstance(error, OSError | RuntimeError):
                    raise
                if not self._closing.wait(PATIENCE_S):
                    # No file descriptor left, or no room for another thread?
                    log.warning("control: %s; trying again", error)

    def _accept(self) -> None:
        """Wait for a caller, and hand it to a thread of its own."""
        waiting = select.poll()  # whatever ends this thread while it waits takes no caller along
        waiting.register(self._socket, select.POLLIN)
        waiting.poll()
        connection, _ = self._socket.accept()
        with contextlib.ExitStack() as stack:
            stack.enter_context(connection)
            threading.Thread(
                target=self._hear, args=(connection,), name="control-caller", daemon=True
            ).start()
            stack.pop_all()  # it is that thread's now

    def _hear(self, connection: socket.socket) -> None:
        """The thread of one caller, who has so long and no longer."""
        try:
            with connection:
                self._converse(connection)
        except (BrokenPipeError, ConnectionResetError):
            log.debug("control: whoever asked hung up before the answer")
        except (OSError, ValueError, KeyError, LockdError) as error:
            log.warning("control: a request was dropped: %s", error)
        finally:
            self._places.release()

    def _converse(self, connection: socket.socket) -> None:
        longest = MAX_CONSOLE_REQUEST if self._console else MAX_REQUEST
        line, rest = _read_line(connection, time.monotonic() + PATIENCE_S, longest)
        values = json.loads(line)
        if not isinstance(values, dict) or (rest and not self._console):
            raise ValueError("not a JSON object in one line")
        body = _read_body(connection, values.get("bytes", 0), rest) if self._console else b""
        request = Request(values, _peer(connection), body, self._console)
        self._requests.put(request)
        self._wake()
        given = _answer_to(request, connection)
        if callable(given):
            answer, content = given()
            answer = {**answer, "bytes": len(content)}
        else:
            answer, picture = given
            content = picture() if picture is not None else b""
            if picture is not None:
                answer = {**answer, "bytes": len(content)}
        connection.settimeout(ANSWER_S)
        connection.sendall(json.dumps(answer).encode() + b"\n" + content)


def _answer_to(request: Request, connection: socket.socket) -> Answer | Work:
    """Wait for an answer for as long as whoever asked does; then it must not be obeyed."""
    given_up_at = time.monotonic() + ANSWER_S
    while time.monotonic() < given_up_at and not _hung_up(connection):
        with contextlib.suppress(queue.Empty):
            return request.answers.get(timeout=_GLANCE_S)
    if request.abandon():
        return {"result": "no_answer"}, None
    with contextlib.suppress(queue.Empty):  # it is being obeyed this very moment
        return request.answers.get(timeout=ANSWER_S)
    return {"result": "no_answer"}, None


def _hung_up(connection: socket.socket) -> bool:
    """Return whether nobody is at the other end any more; who only stopped asking is."""
    asked = select.poll()
    asked.register(connection, 0)  # hang-ups and errors are told of in any case
    return bool(asked.poll(0))


def listens(path: Path) -> bool:
    """Return whether a service listens at a socket.

    Raises:
        ControlError: if one may, but this user may not ask it.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(PATIENCE_S)
        try:
            connection.connect(str(path))
        except PermissionError as error:
            raise _cannot_ask(path, error) from error
        except OSError:
            return False
    return True


def ask(path: Path, values: dict[str, Any]) -> dict[str, Any]:
    """Ask a service that runs.

    Raises:
        ControlError: if none runs there, this user may not ask it, or it does not answer.
    """
    return ask_for_picture(path, values)[0]


def ask_for_picture(path: Path, values: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Ask a service that runs for something that is answered with a picture.

    Returns:
        The answer, and the picture's bytes, empty if the answer is without one.

    Raises:
        ControlError: as from `ask`.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC) as connection:
        connection.settimeout(ANSWER_S + PATIENCE_S)
        try:
            connection.connect(str(path))
            connection.sendall(json.dumps(values).encode() + b"\n")
            with connection.makefile("rb") as answers:
                answer = dict(json.loads(answers.readline(MAX_ANSWER)))
                return answer, _read_picture(answers, answer.get("bytes", 0))
        except (OSError, ValueError, TypeError) as error:
            raise _cannot_ask(path, error) from error


def _cannot_ask(path: Path, error: Exception) -> ControlError:
    reason = getattr(error, "strerror", None) or str(error)
    return ControlError(
        f"{path}: {reason}; does lockd run, and may this user command it? "
        "(root, or the group lockd)"
    )


def _read_picture(answers: BinaryIO, size: object) -> bytes:
    """Read what follows an answer."""
    if not isinstance(size, int) or not 0 <= size <= MAX_PICTURE:
        raise ValueError(f"a picture of {size} bytes")
    content = answers.read(size)
    if len(content) < size:
        raise ValueError("the picture is cut off")
    return content


def _read_line(connection: socket.socket, end: float, longest: int) -> tuple[bytes, bytes]:
    """Read up to a newline, until a monotonic time; who dribbles gains nothing by it.

    Returns:
        The line, and what came along after it.
    """
    line = b""
    while b"\n" not in line:
        connection.settimeout(max(0.001, end - time.monotonic()))
        piece = connection.recv(longest)
        line += piece
        if not piece or len(line) > longest:
            raise ValueError("cut off, or too long")
    first, _, rest = line.partition(b"\n")
    return first, rest


def _read_body(connection: socket.socket, size: object, begun: bytes) -> bytes:
    """Read so many bytes, the first of which are there already."""
    if isinstance(size, bool) or not isinstance(size, int) or not 0 <= size <= MAX_BODY:
        raise ValueError(f"a request with {size} bytes")
    if len(begun) > size:
        raise ValueError("more bytes than were announced")
    body, end = bytearray(begun), time.monotonic() + BODY_S
    while len(body) < size:
        connection.settimeout(max(0.001, end - time.monotonic()))
        piece = connection.recv(min(2**16, size - len(body)))
        if not piece:
            raise ValueError("a request that is cut off")
        body += piece
    return bytes(body)


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
