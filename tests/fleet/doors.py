"""Doors of a fleet in memory, and a broker between them that loses, repeats and turns back."""

from __future__ import annotations

import copy
import hashlib
import random
import uuid
from dataclasses import dataclass, field

import numpy as np

from lockd.fleet.administrator import Administrator, Said
from lockd.fleet.records import Content, Profile
from lockd.fleet.replica import Taken
from lockd.fleet.sealing import new_boxer, new_signer, public_boxer, public_signer
from lockd.fleet.state import State, admit, found

NOW = 1_790_000_000


def person(number: int, name: str = "", *, enabled: bool = True, size: int = 4) -> Content:
    """Somebody, the same for the same number."""
    id_ = str(uuid.UUID(bytes=hashlib.sha256(str(number).encode()).digest()[:16], version=4))
    vector = np.random.default_rng(number).normal(size=size).astype(np.float32)
    vector /= np.linalg.norm(vector)
    profile = Profile(name=name or f"Person {number}", enabled=enabled)
    return Content(id_, profile, [("model", "2026-01-01T00:00:00Z", vector)])


def member(founder: State, door: str, *, enrols: bool = True) -> State:
    """A door that joined."""
    signer, boxer = new_signer(), new_boxer()
    public = public_signer(signer), public_boxer(boxer)
    certificate = admit(founder, door, *public, enrols=enrols, time=NOW)
    return State(
        founder.fleet, door, founder.root, signer, boxer, founder.digest_key, certificate,
        founder.charter, dict(founder.keys),
    )  # fmt: skip


def fleet(doors: int, *, enrolling: int | None = None) -> list[Door]:
    """Some doors that know each other; the first founded the fleet."""
    founder = found("door-0", NOW)
    states = [
        member(founder, f"door-{one}", enrols=enrolling is None or one < enrolling)
        for one in range(1, doors)
    ]
    for one in states:
        one.charter = founder.charter
    return [Door(one) for one in (founder, *states)]


@dataclass
class Kept:
    """What a door has on its disk."""

    state: bytes
    rows: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    people: dict[str, Content] = field(default_factory=dict)


class Door:
    """A replica with a disk, which can be taken away, copied and put back."""

    def __init__(self, state: State) -> None:
        self.kept = Kept(state.to_bytes())
        self.heard_gone: set[str] = set()
        self.refused: list[str] = []
        self.restart()

    @property
    def people(self) -> dict[str, Content]:
        return self.kept.people

    def names(self) -> set[str]:
        return {one.profile.name for one in self.people.values() if one.profile.enabled}

    def restart(self) -> None:
        kept = self.kept
        self.replica = Administrator(
            State.from_bytes(kept.state),
            [(topic, version) for topic, (version, _) in kept.rows.items()],
            lambda topic: kept.rows[topic][1] if topic in kept.rows else None,
        )

    def hear(self, topic: str, message: bytes) -> Taken:
        """Take a message, and write down what it changes."""
        taken = self.replica.take(topic, message)
        if taken.refused is not None:
            self.refused.append(taken.refused)
        if taken.person is not None:
            self.kept.people[taken.person.id] = taken.person
        for one in taken.removed:
            self.heard_gone.add(one)
            self.kept.people.pop(one, None)
        self.save()
        return taken

    def save(self) -> None:
        for topic, message in self.replica.fresh.items():
            if message is None:
                self.kept.rows.pop(topic, None)
                continue
            id_ = topic.rpartition("/")[2]
            is_person = topic.startswith("people/")
            version = self.replica.packed_version(id_) if is_person else b""
            self.kept.rows[topic] = version, message
        self.replica.fresh.clear()
        self.kept.state = self.replica.remember()

    def enrol(self, content: Content) -> list[Said]:
        said = [self.replica.sign_person(content, NOW)]
        self.kept.people[content.id] = content
        return self._said(said)

    def remove(self, id_: str) -> list[Said]:
        said = self.replica.sign_gone(id_, NOW)
        self.heard_gone.add(id_)
        self.kept.people.pop(id_, None)
        return self._said(said)

    def list_again(self) -> list[Said]:
        return self._said(self.replica.list_again())

    def _said(self, said: list[Said]) -> list[Said]:
        said = [*said, self.replica.sign_head(NOW)]
        self.save()
        return said

    def copied(self) -> tuple[Kept, set[str]]:
        return copy.deepcopy(self.kept), set(self.heard_gone)

    def put_back(self, copied: tuple[Kept, set[str]]) -> None:
        self.kept, self.heard_gone = copy.deepcopy(copied[0]), set(copied[1])
        self.restart()


class Broker:
    """What it keeps; who is connected hears it at once, in any order, once or more often."""

    def __init__(self, doors: list[Door], chance: random.Random) -> None:
        self.doors, self.chance = doors, chance
        self.retained: dict[str, bytes] = {}
        self.ever: list[tuple[str, bytes]] = []
        self.waiting: dict[int, list[tuple[str, bytes]]] = {one: [] for one in range(len(doors))}
        self.away: set[int] = set()

    def publish(self, topic: str, message: bytes) -> None:
        self.ever.append((topic, message))
        if message:
            self.retained[topic] = message
        else:
            self.retained.pop(topic, None)
        for one, queue in self.waiting.items():
            if one not in self.away:
                queue.append((topic, message))

    def say(self, said: list[Said]) -> None:
        for one in said:
            self.publish(one.topic, one.message)

    def leave(self, door: int) -> None:
        self.away.add(door)
        self.waiting[door].clear()

    def come(self, door: int) -> None:
        self.away.discard(door)
        self.waiting[door] = list(self.retained.items())

    def deliver(self, door: int, *, share: float = 1.0, repeat: float = 0.0) -> int:
        """Deliver a share of what waits, shuffled; return how much it changed."""
        queue = self.waiting[door]
        self.chance.shuffle(queue)
        count = round(len(queue) * share)
        now, self.waiting[door] = queue[:count], queue[count:]
        now += [one for one in now if self.chance.random() < repeat]
        changed = 0
        one = self.doors[door]
        for topic, message in now:
            before = one.kept.state, one.replica.digest()
            taken = one.hear(topic, message)
            changed += before != (one.kept.state, one.replica.digest())
            if taken.answer is not None:
                self.publish(*taken.answer)
            if taken.again:
                self.come(door)
        return changed

    def settle(self) -> None:
        """Everybody connects and hears everything, until nobody has anything to say any more."""
        for _ in range(30):
            before = dict(self.retained)
            changed = 0
            for number, door in enumerate(self.doors):
                self.come(number)
                changed += self.deliver(number)
                if door.replica.administers and (said := door.replica.list_again()):
                    door.save()
                    self.say(said)
            while any(self.waiting.values()):
                for number in range(len(self.doors)):
                    changed += self.deliver(number)
            self.give_back()
            if not changed and before == self.retained:
                return
        raise AssertionError("they never come to an end")

    def give_back(self) -> None:
        """Each publishes what the broker does not have, once it has read all that it has."""
        for door in self.doors:
            for topic, (_, message) in door.kept.rows.items():
                if topic not in self.retained and "#" not in topic:
                    self.publish(topic, message)
