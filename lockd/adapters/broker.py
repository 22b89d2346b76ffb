"""A small MQTT broker in this process, for the demo: amqtt in a thread of its own."""

from __future__ import annotations

import asyncio
import importlib.util
import logging
import socket
import threading

from lockd.errors import LockdError

HOST = "127.0.0.1"
_START_S = 10.0


class LocalBroker:
    """A broker on the loopback interface, open to everybody on this machine."""

    def __init__(self, port: int = 0) -> None:
        """Start it and wait until it listens.

        Args:
            port: TCP port, or 0 for a free one.

        Raises:
            LockdError: if amqtt is not installed or the port is taken.
        """
        if importlib.util.find_spec("amqtt") is None:
            raise LockdError("the demo's broker is not installed; run `pip install 'lockd[demo]'`")
        self.port = port or _free_port()
        self._failure: BaseException | None = None
        self._ready = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="broker", daemon=True)
        self._thread.start()
        if not self._ready.wait(_START_S) or self._failure is not None:
            raise LockdError(f"the demo's broker cannot listen on port {port}: {self._failure}")

    def close(self) -> None:
        """Stop it."""
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join(timeout=5.0)

    def _run(self) -> None:
        try:
            self._loop.run_until_complete(self._serve())
        except Exception as error:  # reported by whoever waits for us
            self._failure = error
        finally:
            self._ready.set()
            self._loop.close()

    async def _serve(self) -> None:
        from amqtt.broker import Broker  # noqa: PLC0415

        logging.getLogger("amqtt").setLevel(logging.CRITICAL)
        logging.getLogger("transitions").setLevel(logging.CRITICAL)
        broker = Broker(
            {
                "listeners": {"default": {"type": "tcp", "bind": f"{HOST}:{self.port}"}},
                "plugins": {
                    "amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}
                },
            }
        )
        await broker.start()
        self._ready.set()
        await self._stop.wait()
        await broker.shutdown()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])
