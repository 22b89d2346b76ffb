"""A thousand doors at one broker: bytes, and seconds until all know the same.

    python -m bench.fleet --doors 1000 --people 1000
    python -m bench.fleet --broker nats --doors 200
    python -m bench.fleet --only one --people 10000

Doors are `lockd.fleet.replica.Replica` as in the service, in memory and without a store, each with
a connection of its own (MQTT 3.1.1, by asyncio) over which it reads as the service does. On their
own boards they would verify in parallel; here one processor does it for all, so what one has
verified of a message the others of the process take from it. `one` is a door with its store.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import hashlib
import resource
import shutil
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np

from lockd.adapters.machine import memory_mb
from lockd.adapters.mqtt.bounded import arrived
from lockd.adapters.store import Store, Vault
from lockd.config import Settings
from lockd.config.fleet import FleetSettings
from lockd.config.mqtt import MqttSettings
from lockd.fleet import knowledge, replica
from lockd.fleet.administrator import Administrator, Said
from lockd.fleet.joining import Newcomer, admitted_by_file
from lockd.fleet.records import Content, Profile
from lockd.fleet.sealing import Seal, Signed, new_boxer, new_signer
from lockd.fleet.state import State, found
from lockd.service.fleet_book import FleetBook
from lockd.service.fleet_door import FleetDoor, open_bus
from lockd.service.fleet_reading import Reading
from tests.brokers import Mosquitto
from tests.conftest import free_port

BASE = "lockd-fleet"
TEMPLATES, SIZE = 5, 256
_PIECE = 1 << 16


def person(number: int) -> Content:
    """Somebody with as many templates as people have: 5 kilobytes."""
    chance = np.random.default_rng(number)
    rows = chance.normal(size=(TEMPLATES, SIZE)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    id_ = str(uuid.UUID(bytes=hashlib.sha256(str(number).encode()).digest()[:16], version=4))
    profile = Profile(name=f"Person {number}", enabled=True)
    return Content(id_, profile, [("sface", "2026-01-01T00:00:00Z", row) for row in rows])


def share_what_is_verified() -> None:
    """What was opened, verified and read once need not be for each of the doors here."""
    kept = functools.lru_cache(maxsize=4096)
    opened = Seal.open
    cached = kept(lambda message, fleet, topic, seal: opened(seal.it, message, fleet, topic))

    class Same:
        def __init__(self, it: Seal) -> None:
            self.it = it

        def __hash__(self) -> int:
            return 1

        def __eq__(self, _: object) -> bool:
            return True

    Seal.open = lambda self, message, fleet, topic: cached(  # type: ignore[method-assign]
        message, fleet, topic, Same(self)
    )
    Signed.verify = kept(Signed.verify)  # type: ignore[method-assign]
    setattr(Signed, "__hash__", _hash)  # noqa: B010
    setattr(Signed, "__eq__", _same)  # noqa: B010
    knowledge.parse = kept(knowledge.parse)  # type: ignore[attr-defined]
    replica.version_of = kept(replica.version_of)  # type: ignore[attr-defined]
    replica.content_of = kept(replica.content_of)  # type: ignore[attr-defined]


def _hash(one: Signed) -> int:
    return hash(one.plain[:65])


def _same(one: Signed, other: object) -> bool:
    return isinstance(other, Signed) and one.plain == other.plain


class Wire(asyncio.Protocol):
    """As much of MQTT 3.1.1 as a door needs."""

    def __init__(self, name: str, heard: Callable[[str, bytes], None]) -> None:
        self._name, self._heard = name, heard
        self._data = b""
        self._mid = 0
        self.read = self.written = 0
        self.ready = asyncio.Event()
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        body = b"\0\4MQTT\4\2\0\0" + _text(self._name)
        self._write(bytes([0x10]) + _length(len(body)) + body)

    def data_received(self, data: bytes) -> None:
        self.read += len(data)
        self._data += data
        place, answers = 0, []
        while True:
            message = arrived(self._data, place, properties=False)
            if message is not None:
                place = message.end
                if message.mid is not None:
                    answers.append(b"\x40\2" + message.mid.to_bytes(2))
                self._heard(message.topic[len(BASE) + 1 :], message.payload)
                continue
            other = self._other(place)
            if other is None:
                break
            place = other
        self._data = self._data[place:]
        if answers:
            self._write(b"".join(answers))

    def _other(self, place: int) -> int | None:
        """The end of a packet that is no message."""
        rest = self._data[place : place + 2]
        if len(rest) < 2 or rest[0] & 0xF0 == 0x30 or len(self._data) < place + 2 + rest[1]:
            return None
        if rest[0] == 0x20:
            self.ready.set()
        return place + 2 + rest[1]

    def subscribe(self, topics: Sequence[str]) -> None:
        body = self._next() + b"".join(_text(f"{BASE}/{one}") + b"\1" for one in topics)
        self._write(bytes([0x82]) + _length(len(body)) + body)

    def publish(self, topic: str, message: bytes, *, retain: bool) -> None:
        body = _text(f"{BASE}/{topic}") + self._next() + message
        self._write(bytes([0x32 | retain]) + _length(len(body)) + body)

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def _next(self) -> bytes:
        self._mid = self._mid % 65535 + 1
        return self._mid.to_bytes(2)

    def _write(self, data: bytes) -> None:
        self.written += len(data)
        if self.transport is not None:
            self.transport.write(data)


def _text(text: str) -> bytes:
    return len(text.encode()).to_bytes(2) + text.encode()


def _length(count: int) -> bytes:
    found = bytearray()
    while True:
        count, low = divmod(count, 128)
        found.append(low | (128 if count else 0))
        if not count:
            return bytes(found)


class Door:
    """A door in memory; what it keeps is shared with the others of this process."""

    def __init__(self, state: State, rows: dict[str, bytes]) -> None:
        self.replica = Administrator(state, (), rows.get)
        self._rows = rows
        self._wire: Wire | None = None
        self._reading: Reading | None = None
        self.bytes = 0

    @property
    def read(self) -> bool:
        return self._reading is not None and self._reading.done

    async def come(self, port: int) -> None:
        loop = asyncio.get_running_loop()
        name = f"bench-{self.replica.state.me}"
        wire = Wire(name, self._hear)
        await loop.create_connection(lambda: wire, "127.0.0.1", port)
        await wire.ready.wait()
        self._wire = wire
        me = self.replica.state.me
        self._reading = Reading(
            [f"keys/{me}", f"doors/{me}/mark"],
            wire.subscribe,
            lambda mark: wire.publish(f"doors/{me}/mark", mark, retain=False),
            time.monotonic(),
            1_000_000,
        )

    def leave(self) -> None:
        if self._wire is not None:
            self.bytes += self._wire.read + self._wire.written
            self._wire.close()
            self._wire = self._reading = None

    def traffic(self) -> int:
        return self.bytes + (self._wire.read + self._wire.written if self._wire else 0)

    def look(self) -> None:
        if self._reading is not None:
            self._reading.look(time.monotonic())

    def say(self, said: Sequence[Said]) -> None:
        latest = {one.topic: one.message for one in said}  # as the service: the last of each
        self._rows |= latest
        if self._wire is not None:
            for topic, message in latest.items():
                self._wire.publish(topic, message, retain=True)
        self.replica.fresh.clear()

    def removed(self, id_: str) -> list[Said]:
        said = [*self.replica.sign_gone(id_, 1), self.replica.sign_head(1)]
        self._rows |= {one.topic: one.message for one in said}
        return said

    def _hear(self, topic: str, message: bytes) -> None:
        reading = self._reading
        if topic.startswith("doors/"):
            if reading is not None:
                reading.marked(message, time.monotonic())
            return
        self.replica.take(topic, message)
        for one, kept in self.replica.fresh.items():
            if kept is not None:
                self._rows.setdefault(one, kept)
        self.replica.fresh.clear()
        if reading is not None:
            reading.heard(topic, b"", time.monotonic())


@contextmanager
def broker(make: str) -> Iterator[int]:
    """A real broker, of one make or the other; yields its port."""
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        if make == "mosquitto":
            one = Mosquitto(folder, port)
            one.start()
            yield port
            one.stop()
            return
        config = folder / "nats.conf"
        config.write_text(
            f"server_name: bench\nport: {free_port()}\njetstream {{ store_dir: {folder} }}\n"
            f"mqtt {{ port: {port} }}\n"
        )
        program = shutil.which("nats-server") or "/usr/sbin/nats-server"
        with subprocess.Popen([program, "-c", str(config)], stderr=subprocess.DEVNULL) as process:
            time.sleep(3.0)
            yield port
            process.kill()


def states(count: int) -> list[State]:
    founder = found("door-0", 1)
    made = [founder]
    for one in range(1, count):
        newcomer = Newcomer(f"door-{one}", new_signer(), new_boxer())
        answer = admitted_by_file(founder, newcomer.request, enrols=False, time=1)
        made.append(newcomer.received_file(answer))
    return made


async def until(doors: Sequence[Door], wanted: Callable[[], str], what: str) -> float:
    """Wait until all doors have the same people; return the seconds."""
    began = told = time.monotonic()
    while True:
        digest = wanted()
        left = sum(one.replica.digest() != digest or not one.read for one in doors)
        if not left:
            return time.monotonic() - began
        for one in doors:
            one.look()
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print(f"  {what}: {left} doors are behind", flush=True)
        await asyncio.sleep(0.05)


async def many(wanted: argparse.Namespace, port: int) -> None:
    share_what_is_verified()
    rows: dict[str, bytes] = {}
    first, *others = (Door(one, rows) for one in states(wanted.doors))
    await publish(first, port, wanted.people)
    before = memory_mb() or 0.0
    began = time.monotonic()
    for one in others:
        await one.come(port)
    took = await until(others, first.replica.digest, "cold start")
    total = time.monotonic() - began
    used = ((memory_mb() or 0.0) - before) * 1e3 / max(len(others), 1)
    print(
        f"cold start: {len(others)} doors, {wanted.people} people: {total:.1f} s "
        f"({took:.1f} s after the last connected), {mean(others):.0f} kB each, "
        f"{used:.0f} kB of memory each"
    )
    for count in (1, 100):
        marks = [one.traffic() for one in others]
        gone = list(first.replica.people())[:count]
        began = time.monotonic()
        first.say([said for id_ in gone for said in first.removed(id_)])
        took = await until(others, first.replica.digest, "revocation")
        each = np.mean([one.traffic() - mark for one, mark in zip(others, marks, strict=True)])
        print(f"{count} revoked: everywhere after {took:.2f} s, {each / 1e3:.1f} kB each")
    half = others[::2]
    for one in half:
        one.leave()
    for number in range(wanted.people, wanted.people + 50):
        first.say([first.replica.sign_person(person(number), 1)])
    gone = list(first.replica.people())[:50]
    first.say([said for id_ in gone for said in first.removed(id_)])
    marks = [one.traffic() for one in half]
    began = time.monotonic()
    for one in half:
        await one.come(port)
    await until(others, first.replica.digest, "partition")
    each = np.mean([one.traffic() - mark for one, mark in zip(half, marks, strict=True)])
    print(
        f"after a partition: {len(half)} doors, 100 changes: {time.monotonic() - began:.1f} s, "
        f"{each / 1e3:.0f} kB each"
    )
    for door in (first, *others):
        door.leave()


async def publish(door: Door, port: int, people: int) -> None:
    """Have everybody published by a door that has read that there is nothing yet."""
    await door.come(port)
    await until([door], door.replica.digest, "reading")
    for number in range(people):
        door.say([door.replica.sign_person(person(number), 1)])
        if number % 20 == 0:
            await asyncio.sleep(0.02)
    door.say([door.replica.sign_head(1)])
    await asyncio.sleep(3.0)


def mean(doors: Sequence[Door]) -> float:
    return float(np.mean([one.traffic() for one in doors])) / 1e3


def one_door(wanted: argparse.Namespace, port: int) -> None:
    """A new door, with its store, that has to get everybody."""
    founder, state = states(2)
    rows: dict[str, bytes] = {}
    first = Door(founder, rows)

    async def fill() -> None:
        await publish(first, port, wanted.people)
        first.leave()

    asyncio.run(fill())
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lockd.db"
        vault = Vault.beside(path)
        store = Store.open(path, vault)
        FleetBook.begin(store, state)
        settings = Settings(
            mqtt=MqttSettings(host="127.0.0.1", port=port), fleet=FleetSettings(enabled=True)
        )
        bus = open_bus(settings)
        door = FleetDoor(settings, partial(Store.open, path, vault, timeout_s=2.0), bus)
        began = time.monotonic()
        door.start()
        bus.start()
        query = "SELECT count(*) FROM people"
        while (there := store.database.value(query)) < wanted.people:
            time.sleep(0.1)
            if time.monotonic() - began > wanted.longest_s:
                break
        print(
            f"a new door: {there} of {wanted.people} people, each with {TEMPLATES} templates of "
            f"{SIZE} numbers, after {time.monotonic() - began:.1f} s; "
            f"store {path.stat().st_size / 1e6:.0f} MB; {door.problem or 'no problem'}"
        )
        door.close()
        store.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", choices=("mosquitto", "nats"), default="mosquitto")
    parser.add_argument("--doors", type=int, default=1000)
    parser.add_argument("--people", type=int, default=1000)
    parser.add_argument("--only", choices=("many", "one"), default="many")
    parser.add_argument("--longest-s", type=float, default=300.0)
    wanted = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, hard), hard))
    with broker(wanted.broker) as port:
        if wanted.only == "one":
            one_door(wanted, port)
        else:
            asyncio.run(many(wanted, port))


if __name__ == "__main__":
    main()
