"""Those who command a door from afar: one who may, and one who may not."""

from __future__ import annotations

import json
import math
import random
import secrets
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import paho.mqtt.client as mqtt
from paho.mqtt.enums import CallbackAPIVersion

from lockd.messages import Topics
from lockd.remote.judging import WINDOW_S
from lockd.remote.signing import Order
from tests.remote.fuzzing import Fuzzer
from tests.remote.orders import KEY, OTHER_KEY

TOPICS = Topics("lockd", "front")
IDENTITY, OTHER = "anna", "bert"
TOLD_AS_EVENTS = ("lock", "unlock", "lock-down", "lift")
LATE_S = 5.0
"""For how long a busy machine may take to obey."""


@dataclass
class Sent:
    """An order, and what was heard of it."""

    command: str
    t: float
    result: str | None = None
    reason: str | None = None
    heard: float | None = None

    @property
    def may_have_opened_until(self) -> float:
        """The latest that the door may have opened for it."""
        if self.command != "unlock" or self.result == "denied":
            return -math.inf
        if self.result == "ok" and self.heard is not None:
            return self.heard
        return self.t + WINDOW_S + LATE_S


class Callers:
    """Anna, who has a key, and somebody who hears all of it and means ill.

    They speak to the broker itself: what comes between it and the door is not theirs.

    Attributes:
        sent: anna's orders by their ids.
        attacks: how many messages the other has published.
        complaints: what should never have been heard.
    """

    def __init__(self, port: int, seed: int) -> None:
        self.sent: dict[str, Sent] = {}
        self.attacks = 0
        self.complaints: list[str] = []
        self._obeyed: Counter[str | None] = Counter()
        self._random = random.Random(seed)
        self._fuzzer = Fuzzer(seed)
        self._messages = self._fuzzer.messages(time.time)
        self._client = mqtt.Client(CallbackAPIVersion.VERSION2)
        self._client.reconnect_delay_set(1, 1)
        self._client.on_connect = lambda *_: self._client.subscribe(TOPICS.result)
        self._client.on_message = self._hear
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()

    @staticmethod
    def settings(folder: Path) -> dict[str, Any]:
        """Write the keys down; return what the door's section `mqtt` has of them."""
        keys = folder / "keys"
        keys.write_text(f"{IDENTITY} {KEY.hex()}\n{OTHER} {OTHER_KEY.hex()}\n")
        keys.chmod(0o600)
        allowed = (*TOLD_AS_EVENTS, "silence", "snapshot", "people")
        return {
            "commands": {"allow": {one: [IDENTITY] for one in allowed}, "keys_file": str(keys)},
            "snapshot": {"of": "frame"},
        }

    def order(self, command: str) -> Sent:
        """Let anna give a command."""
        payload = signed(command)
        sent = self.sent[json.loads(payload)["id"]] = Sent(command, time.monotonic())
        self._client.publish(TOPICS.command, payload)
        self._fuzzer.heard.append(payload)
        return sent

    def order_anything(self) -> None:
        """Let anna give some command that keeps nobody from coming or going."""
        self.order(self._random.choice(["unlock", "silence", "snapshot", "people"]))

    def attack(self) -> None:
        """Publish something that must not be obeyed: forged, altered, old, or heard before."""
        message = next(self._messages)
        # To those who are subscribed a broker passes on what it keeps like anything else.
        if message.topic in (TOPICS.command, TOPICS.plain_command) and not message.retained:
            self._client.publish(message.topic, message.payload)
            self.attacks += 1

    def may_have_opened(self, t: float) -> bool:
        """Whether an order of anna's may be why the door opened then."""
        return any(one.t <= t <= one.may_have_opened_until for one in self.sent.values())

    def last_opened(self, since: float, until: float) -> float:
        """Return the latest moment between two at which an order may have opened the door anew."""
        times = (
            min(until, one.may_have_opened_until)
            for one in self.sent.values()
            if one.t <= until and one.may_have_opened_until >= since
        )
        return max(times, default=since)

    def judge(self, events: Iterable[dict[str, Any]]) -> list[str]:
        """Return what is wrong, by what was heard and by the events that the service logged."""
        obeyed = Counter(
            (one["by"], one["command"])
            for one in events
            if one["type"] == "command" and one["result"] == "ok" and one["by"].startswith("mqtt:")
        )
        given = Counter((f"mqtt:{IDENTITY}", one.command) for one in self.sent.values())
        return self.complaints + [
            f"{by}: {command} obeyed {count} times, ordered {given[by, command]} times"
            for (by, command), count in obeyed.items()
            if count > given[by, command]
        ]

    def results(self) -> dict[str, int]:
        """How many of anna's orders had which result; `none` is those nobody heard of."""
        return dict(Counter(one.result or "none" for one in self.sent.values()))

    def close(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def _hear(self, _client: Any, _data: Any, message: mqtt.MQTTMessage) -> None:
        told = json.loads(message.payload)
        id_, result = told.get("id"), told["result"]
        if result == "ok":
            self._obeyed[id_] += 1
            if id_ not in self.sent or self._obeyed[id_] > 1:
                self.complaints.append(f"obeyed, though nobody ordered it, or not again: {told}")
        if id_ in self.sent and self.sent[id_].result != "ok":
            sent = self.sent[id_]
            sent.result, sent.reason, sent.heard = result, told.get("reason"), time.monotonic()


def signed(command: str, by: str = IDENTITY, key: bytes = KEY, **fields: Any) -> bytes:
    """A command of now."""
    fresh = {"id": secrets.token_urlsafe(12), "nonce": secrets.token_urlsafe(18)}
    where = {"base_topic": "lockd", "door": "front"}
    order = {**where, **fresh, "command": command, "by": by, "time": int(time.time()), **fields}
    return Order(**order).payload(key)


def junk(replayed: bytes) -> list[bytes]:
    """What anybody can publish who has no key: noise, forgeries, and what they have heard."""
    forged = [signed("unlock", key=b"no key of anybody"), signed("lock-down", key=OTHER_KEY)]
    old = [signed("lock-down", time=int(time.time()) - 1000 - ago) for ago in range(100)]
    return [b"{", b'{"v":2}' * 20, b"\xff" * 300, *forged, *[replayed] * 20, *old]
