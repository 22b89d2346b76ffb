"""A door that is commanded from afar: everything but the broker, the keys' file and the camera."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

import yaml

from lockd.adapters.store import Store, Vault
from lockd.adapters.strike import Strike
from lockd.clock import RecordedClock
from lockd.config import parse
from lockd.errors import StoreError
from lockd.messages import EventType
from lockd.remote.commands import COMMANDS
from lockd.service.door_controller import DoorController
from lockd.service.ledger import Ledger
from lockd.service.remote_commands import RemoteCommands
from lockd.service.remote_enrolment import RemoteEnrolments
from lockd.service.remote_handlers import Presence, RemoteHandlers
from lockd.service.remote_results import RemoteResults
from lockd.service.store_writer import StoreWriter
from tests.fakes import RecordingOutput
from tests.remote.orders import KEY, NOW, OTHER_KEY, payload
from tests.schemas import validator

COMMAND, PLAIN_TOPIC, RESULT = (
    "lockd/front/command",
    "lockd/front/command/plain",
    "lockd/front/result",
)
BEGAN_S = 1000.0
_NUMBERS = count()  # never the same again, after a restart neither
EVERYTHING = {command: ["anna"] for command in COMMANDS}


@dataclass(frozen=True)
class Message:
    topic: str
    payload: bytes
    retained: bool = False
    duplicate: bool = False


class Afar:
    """The door `front`, at `NOW`, with the identities anna and bert."""

    def __init__(
        self,
        folder: Path,
        *,
        allow: Mapping[str, list[str]] = EVERYTHING,
        plain: str = "",
        enrolments: RemoteEnrolments | None = None,
        presence: Presence | None = None,
        ago_s: float = 1000.0,
        ledger: Ledger | None = None,
        there: bool = True,
        **sections: Any,
    ) -> None:
        commands = {"allow": dict(allow), "plain": plain.split()}
        settings = parse(
            yaml.safe_dump({"door": {"id": "front"}, "mqtt": {"commands": commands}, **sections})
        )
        self.clock = RecordedClock()
        self.clock.advance(BEGAN_S)
        self.ahead_s = ago_s  # so long after its start it is NOW
        self.keys = {"anna": KEY, "bert": OTHER_KEY}
        self.people: dict[str, str] = {}
        self.problem: str | None = None
        self.output = RecordingOutput()
        self.strike = Strike(self.output, self.clock.now, machine=lambda: 0.0)
        self.path = folder / "lockd.db"
        vault = Vault.beside(self.path)
        self.store: Store | None = Store.open(self.path, vault) if there else None
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.results: list[dict[str, Any]] = []
        self.done: list[str] = []
        self.no_snapshot: str | None = None
        self.door = DoorController(
            settings,
            clock=self.clock,
            strike=self.strike,
            emit=self._emit,
            wall=self,
            keep=lambda memory: None,
        )

        self.writer = StoreWriter(self._opened, pause_s=0.0)
        self.ledger = ledger or Ledger()
        self.ledger.attend(lambda: self.store, self.writer)
        self.commander = RemoteCommands(
            settings,
            clock=self.clock,
            wall=self,
            keys=self,
            ledger=self.ledger,
            handlers=RemoteHandlers(
                self.door,
                lambda: self.store,
                self._emit,
                self,
                enrolments or RemoteEnrolments(["false"]),
                self.writer,
                presence,
                self.bound,
            ),
            results=RemoteResults(
                settings, self.clock, self.ledger.write_down, self._publish, self._emit
            ),
        )
        self.pass_time(ago_s)

    def close(self) -> None:
        self.commander.close()
        self.writer.close()
        self.strike.close()
        if self.store is not None:
            self.store.close()

    def silence(self, seconds: float) -> None:
        self.done.append(f"silence {seconds:g}")

    def reload(self) -> None:
        self.done.append("reload")

    def pass_time(self, seconds: float) -> None:
        self.door.pass_time(self.clock.now() + seconds)
        self.step()

    def step(self) -> None:
        """What the service does at each of its steps, and the writer's thread meanwhile."""
        self.commander.pass_time()
        self.write()
        self.commander.pass_time()

    def write(self) -> None:
        """Let the writer do what waits."""
        while self.writer.work():
            self.writer.settle()

    def save(self) -> None:
        """Have written what nobody waits for."""
        self.write()
        self.ledger.flush()
        self.write()

    def local(self) -> datetime | None:
        if self.problem is not None:
            return None
        return datetime.fromtimestamp(self.utc, UTC)

    @property
    def utc(self) -> float:
        return NOW + self.clock.now() - BEGAN_S - self.ahead_s

    def current(self) -> Mapping[str, bytes]:
        return self.keys

    def bound(self) -> Mapping[str, str]:
        return self.people

    def hear(self, *messages: Message) -> list[dict[str, Any]]:
        """The results of messages."""
        before = len(self.results)
        self.commander.hear(messages)
        self.step()
        self.step()
        return self.results[before:]

    def say(self, command: str, key: bytes = KEY, **fields: Any) -> tuple[str, str | None]:
        """Give a new command now; return its result and why, or nothing if none was told."""
        message = Message(COMMAND, self.signed(command, key, **fields))
        results = self.hear(message)
        return (results[0]["result"], results[0].get("reason")) if results else ("untold", None)

    def signed(self, command: str, key: bytes = KEY, **fields: Any) -> bytes:
        """A new command of now."""
        fresh = {"time": int(self.utc), "nonce": f"nonce-{next(_NUMBERS):012}"}
        return payload(key, command=command, **{**fresh, **fields})

    def word(self, word: bytes, **flags: bool) -> list[dict[str, Any]]:
        """The results of a plain command."""
        return self.hear(Message(PLAIN_TOPIC, word, **flags))

    @property
    def audit(self) -> list[tuple[str, str | None]]:
        """Who commanded what, oldest first."""
        assert self.store is not None
        self.save()
        entries = self.store.audit.latest(10_000)[::-1]
        return [(one.by, one.note) for one in entries if one.action == "command"]

    def _opened(self) -> Store:
        if self.store is None:
            raise StoreError("there is no store")
        return Store.open(self.path, Vault.beside(self.path), timeout_s=0.01)

    def _emit(self, kind: EventType, **details: Any) -> None:
        self.told.append((kind.value, {name: one for name, one in details.items() if one}))

    def _publish(self, topic: str, payload: bytes, *, expiry_s: float | None) -> None:
        assert (topic, expiry_s) == (RESULT, 300.0)
        result = json.loads(payload)
        validator("result").validate(result)
        self.results.append(result)

    def snapshot(self) -> str | None:
        self.done.append("snapshot")
        return self.no_snapshot
