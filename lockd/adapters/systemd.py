"""Readiness, watchdog and status for the service manager, by sd_notify(3)."""

from __future__ import annotations

import logging
import math
import os
import socket
import time

log = logging.getLogger(__name__)

_PACE_S = 5.0


class Notifier:
    """Tells systemd how the service is; without systemd it does nothing."""

    def __init__(self) -> None:
        self._address = os.environ.get("NOTIFY_SOCKET", "")
        self._socket: socket.socket | None = None
        # Four times within the watchdog's patience, and never if it is off.
        patience_us = os.environ.get("WATCHDOG_USEC", "")
        self._every_s = int(patience_us) / 4e6 if patience_us.isdecimal() else None
        self._fed = self._asked = -math.inf
        self._status = ""
        if self._address:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
            self._socket.setblocking(False)

    def ready(self) -> None:
        """The service is up."""
        self._send("READY=1")

    def alive(self) -> None:
        """Feed the watchdog, if it is hungry; call this as often as there is progress."""
        now = time.monotonic()
        if self._every_s is not None and now - self._fed >= self._every_s:
            self._fed = now
            self._send("WATCHDOG=1")

    def patience(self, seconds: float) -> None:
        """Ask for more time to get ready, at the pace of the watchdog's food."""
        now = time.monotonic()
        if now - self._asked >= (self._every_s or _PACE_S):
            self._asked = now
            self._send(f"EXTEND_TIMEOUT_USEC={round(seconds * 1e6)}")

    def stopping(self) -> None:
        """The service is on its way down."""
        self._send("STOPPING=1")

    def status(self, text: str) -> None:
        """Set the line that ``systemctl status`` shows."""
        if text != self._status:
            self._status = text
            self._send("STATUS=" + text.replace("\n", " "))

    def close(self) -> None:
        """Close the socket."""
        if self._socket is not None:
            self._socket.close()

    def _send(self, message: str) -> None:
        if self._socket is None:
            return
        address = self._address
        if address.startswith("@"):  # the abstract namespace
            address = "\0" + address[1:]
        try:
            self._socket.sendto(message.encode(), address)
        except OSError as error:
            log.warning("systemd cannot be told %s: %s", message, error)
