"""Messages that nobody allowed may send: each is a command, altered or misused somehow."""

from __future__ import annotations

import json
import random
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

from lockd.remote.commands import COMMANDS, PLAIN
from lockd.remote.signing import Malformed, read
from tests.remote.afar import COMMAND, PLAIN_TOPIC, Message
from tests.remote.orders import KEY, OTHER_KEY, payload

ARGUMENTS = {"seconds": 5, "name": "Ada", "new_name": "Eda"}
TOPICS = [
    f"{COMMAND}/", f"{COMMAND}/x", f"{PLAIN_TOPIC}/", "lockd/front/commands", "/" + COMMAND,
    "lockd/back/command", "lockd/back/command/plain", COMMAND.upper(), "lockd/front/result",
    "", "#", "+", "lockd/front/command\x00", "lockd/front/command\ud800", "a/" * 1000,
]  # fmt: skip
LONG_AGO_S = 40
"""For longer than a command is good."""
PIECES = [
    b"null", b"true", b"[]", b"{}", b'""', b"1e400", b"-0", b"0x1", b"NaN", b"9" * 400, b"1.0",
    b'"\\ud800"', b'"\\u0000"', b"\xff\xfe", b"\xc0\x80", b"\xed\xa0\x80", b"\x00", b"[" * 999,
    b'{"a":' * 300, b'"unlock"', b",", b":", b"\\", b"\n" * 100, b'"v":2,', b'"by":"anna",',
]  # fmt: skip


class Fuzzer:
    """Makes messages; the same seed gives the same.

    What it makes of a command may by chance mean the same as before, and be good. Such a
    one is sent as if the broker had kept it.

    Attributes:
        heard: good commands that the door has obeyed; some are sent once more.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._number = 0
        self._old: list[bytes] = []
        self.heard: deque[bytes] = deque([b"{}"], maxlen=20)
        self._good: dict[str, tuple[int, bytes]] = {}
        self._now = 0
        self._ways: list[Callable[[bytes], bytes]] = [
            self._flip, self._flip, self._cut, self._insert, self._splice, self._exchange,
            self._twice, self._field, self._noise,
        ]  # fmt: skip

    def messages(self, utc: Callable[[], float]) -> Iterator[Message]:
        """Make them without end.

        Args:
            utc: the door's time.
        """
        while True:
            yield self._message(int(utc()))

    def _message(self, now: int) -> Message:
        self._now = now
        topic = COMMAND if self._random.random() < 0.9 else self._random.choice(TOPICS)
        flags = {"duplicate": self._random.random() < 0.1}
        kind = self._random.random()
        if kind < 0.1:
            return Message(PLAIN_TOPIC, self._word(), **flags)
        if kind < 0.3:
            return Message(topic, self._misused(now), self._random.random() < 0.1, **flags)
        good = self._signed(now)
        for _ in range(self._random.choice([1, 1, 1, 2, 5])):
            good = self._random.choice(self._ways)(good)
        return Message(topic, good, self._is_good(good) or self._random.random() < 0.1, **flags)

    def _signed(self, now: int, key: bytes = KEY, **fields: Any) -> bytes:
        """A good command, if it were sent so."""
        self._number += 1
        command = self._random.choice(["unlock", "unlock", "hold-open", "lift", *COMMANDS])
        given = {name: ARGUMENTS[name] for name in COMMANDS[command].needs}
        fresh = {"command": command, "time": now, "nonce": f"fuzz-{self._number:016}", **given}
        made = payload(key, **{**fresh, **fields})
        if key == KEY and not fields:
            self._good[json.loads(made)["signature"]] = self._now, made
            while next(iter(self._good.values()))[0] < self._now - LONG_AGO_S:
                self._old.append(self._good.pop(next(iter(self._good)))[1])
                del self._old[:-100]
        return made

    def _misused(self, now: int) -> bytes:
        """A command that is whole, but not for this door, not now, or not from them."""
        # A broker may take its time: what is 31 seconds ahead now may be good when it arrives.
        away = self._random.choice([-1, 1]) * self._random.choice([50, 60, 3600, 10**6, 10**9])
        return self._random.choice(
            [
                lambda: self._random.choice(self.heard),
                lambda: self._signed(now, door="back"),
                lambda: self._signed(now, base_topic="lockd/annex"),
                lambda: self._signed(now, OTHER_KEY),
                lambda: self._signed(now, bytes(32)),
                lambda: self._signed(now, by="bert"),
                lambda: self._signed(now, by="nobody"),
                lambda: self._signed(now, OTHER_KEY, by="bert", command="unlock"),
                lambda: self._signed(max(1, now + away)),
                lambda: self._signed(now, command="dance"),
                lambda: self._signed(now, seconds=86_400, name="x", new_name="\U0001f511" * 64),
            ]
        )()

    def _word(self) -> bytes:
        word = self._random.choice([b"UNLOCK", b"LIFT", b"SNAPSHOT", b"OPEN", *PLAIN])
        return word if self._random.random() < 0.5 else self._random.choice(self._ways)(word)

    def _is_good(self, made: bytes) -> bool:
        try:
            order, signature = read(made)
        except Malformed:
            return False
        good = self._good.get(signature)
        return good is not None and read(good[1])[0] == order

    def _flip(self, made: bytes) -> bytes:
        if not made:
            return b"\x00"
        place, bit = self._random.randrange(len(made)), 1 << self._random.randrange(8)
        return made[:place] + bytes([made[place] ^ bit]) + made[place + 1 :]

    def _cut(self, made: bytes) -> bytes:
        start, end = sorted(self._random.randint(0, len(made)) for _ in range(2))
        return self._random.choice([made[:start], made[start:], made[:start] + made[end:]])

    def _insert(self, made: bytes) -> bytes:
        place = self._random.randint(0, len(made))
        return made[:place] + self._random.choice(PIECES) + made[place:]

    def _splice(self, made: bytes) -> bytes:
        other = self._random.choice(self._old) if self._old else b"{}"
        place = self._random.randint(0, min(len(made), len(other)))
        return made[:place] + other[place:]

    def _exchange(self, made: bytes) -> bytes:
        """Another command's signature."""
        signature = self._random.choice([*self._good])
        return self._with(made, "signature", signature)

    def _twice(self, made: bytes) -> bytes:
        """A key that is there twice."""
        key = self._random.choice(["command", "by", "time", "nonce", "signature", "door"])
        value = json.dumps(self._random.choice(["unlock", "anna", 1, "lock"]))
        pair = f'"{key}":{value}'.encode()
        inner = made.removeprefix(b"{").removesuffix(b"}")
        return b"{" + self._random.choice([pair + b"," + inner, inner + b"," + pair]) + b"}"

    def _field(self, made: bytes) -> bytes:
        key = self._random.choice(
            ["command", "by", "time", "nonce", "seconds", "door", "v", "id", "base_topic"]
        )
        values = ["unlock", "anna", "", None, True, 0, -1, 1.5, 10**30, [], {}, "x" * 3000, "a\nb"]
        return self._with(made, key, self._random.choice(values))

    def _noise(self, made: bytes) -> bytes:
        return self._random.randbytes(self._random.choice([0, 1, 20, 300, 2047, 2048, 2049, 9000]))

    def _with(self, made: bytes, key: str, value: object) -> bytes:
        try:
            fields = json.loads(made)
        except (ValueError, RecursionError):
            return made
        if not isinstance(fields, dict):
            return made
        return json.dumps({**fields, key: value}).encode()
