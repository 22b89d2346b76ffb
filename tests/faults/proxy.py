"""A wire between the service and its broker, which can be cut, slowed or clogged."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class Proxy:
    """Passes TCP connections on to a port of this machine.

    Attributes:
        port: where it listens, also after it was cut and joined again.
        delay_s: how long every piece of data takes, in both directions.
        silent: while set, connections are accepted and nothing is passed on.
    """

    def __init__(self, target: int) -> None:
        self.port = 0
        self.delay_s = 0.0
        self.silent = False
        self._target = target
        self._server: socket.socket | None = None
        self._open: list[socket.socket] = []
        self.join()

    @property
    def connections(self) -> int:
        """How many are open, counting both ends."""
        return len(self._open)

    def join(self) -> None:
        """Accept connections."""
        self._server = socket.create_server(("127.0.0.1", self.port))
        self.port = self._server.getsockname()[1]
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def cut(self) -> None:
        """Break every connection, and refuse new ones."""
        if self._server is not None:
            # A thread that waits in accept would keep the socket alive.
            with contextlib.suppress(OSError):
                self._server.shutdown(socket.SHUT_RDWR)
            self._server.close()
            self._server = None
        while self._open:
            _hang_up(self._open.pop())

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:
                return
            self._open.append(near)
            if self.silent:
                continue
            try:
                far = socket.create_connection(("127.0.0.1", self._target))
            except OSError:
                _hang_up(near)
                continue
            self._open.append(far)
            for pair in ((near, far), (far, near)):
                threading.Thread(target=self._pass_on, args=pair, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65536):
                if self.delay_s:
                    time.sleep(self.delay_s)
                sink.sendall(data)
        except OSError:
            pass
        _hang_up(source)
        _hang_up(sink)


def _hang_up(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
