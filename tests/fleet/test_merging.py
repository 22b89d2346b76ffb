"""Whatever happens to doors and broker: all come to the same people, and nobody removed returns."""

from __future__ import annotations

import copy
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockd.fleet.sealing import new_signer
from tests.fleet.doors import NOW, Broker, fleet, person

KINDS = (
    "enrol", "edit", "disable", "remove", "hear", "away", "back", "restart", "copy", "put_back",
    "copy_broker", "turn_back_broker", "forget_broker", "clock", "forge", "replay", "drop",
)  # fmt: skip
PEOPLE = 6
OPERATIONS = st.lists(
    st.tuples(
        st.sampled_from(KINDS), st.integers(0, 3), st.integers(0, PEOPLE - 1), st.integers(0, 99)
    ),
    min_size=1,
    max_size=40,
)


class History:
    """Four doors, of which three may enrol, and all that happens to them."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.doors = fleet(4, enrolling=3)
        self.broker = Broker(self.doors, self.chance)
        self.copies: dict[int, Any] = {}
        self.copied_broker: dict[str, bytes] = {}
        self.ahead = [0] * 4
        self.round = 0
        for one in range(4):
            self.broker.come(one)

    def step(self, kind: str, door: int, who: int, what: int) -> None:  # noqa: PLR0912
        one = self.doors[door]
        signs = one.replica.administers and door not in self.broker.away
        match kind:
            case "enrol" | "edit" | "disable" if signs:
                self.round += 1
                content = person(who, f"name {self.round}", enabled=kind != "disable")
                if not one.replica.is_gone(content.id):
                    self.broker.say(one.enrol(content))
            case "remove" if signs and person(who).id in one.people:
                self.broker.say(one.remove(person(who).id))
            case "hear" if door not in self.broker.away:
                self.broker.deliver(door, share=what / 99, repeat=0.3)
            case "away":
                self.broker.leave(door)
            case "back":
                self.broker.come(door)
            case "restart":
                one.restart()
            case "copy":
                self.copies[door] = one.copied()
            case "put_back" if door in self.copies:
                one.put_back(self.copies[door])
                # Whoever restores an administrator lets it hear before it signs, as the door does.
                self.broker.come(door)
                self.broker.deliver(door)
            case "copy_broker":
                self.copied_broker = dict(self.broker.retained)
            case "turn_back_broker":
                self.broker.retained = dict(self.copied_broker)
                for number in range(4):
                    self.broker.come(number)
            case "forget_broker":
                self.broker.retained.clear()
            case "forge":
                self.forge(what)
            case "replay" if self.broker.ever:
                self.broker.publish(*self.chance.choice(self.broker.ever))
            case "drop" if signs:
                topic = one.replica.drop_tombstone(person(who).id)
                one.save()
                if topic is not None:
                    self.broker.publish(topic, b"")
            case _:
                pass

    def forge(self, what: int) -> None:
        """What somebody can do who has the broker, and not a key of the fleet's."""
        if not self.broker.ever:
            return
        topic, message = self.chance.choice(self.broker.ever)
        other, _ = self.chance.choice(self.broker.ever)
        if what % 3 == 0:
            self.broker.publish(other, message)  # on another one's topic
        elif what % 3 == 1 and message:
            place = self.chance.randrange(len(message))
            changed = bytes([message[place] ^ 1 << self.chance.randrange(8)])
            self.broker.publish(topic, message[:place] + changed + message[place + 1 :])
        else:  # a door of the fleet that may not sign, or not any more
            thief = copy.copy(self.doors[3])
            thief.put_back(self.doors[3].copied())
            if what % 2:
                thief.replica.state.sign = new_signer()
            forged = thief.replica.sign_person(person(what % PEOPLE, "the thief"), NOW)
            self.broker.publish(forged.topic, forged.message)

    def nobody_came_back(self) -> None:
        for door in self.doors:
            assert not door.heard_gone & door.people.keys()
            assert "the thief" not in door.names()


def histories(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--fleet-histories"))


def test_all_doors_come_to_the_same_people_and_nobody_removed_comes_back(
    request: pytest.FixtureRequest,
) -> None:
    @settings(max_examples=histories(request))
    @given(OPERATIONS, st.integers(0, 2**32))
    def hold(operations: list[tuple[str, int, int, int]], seed: int) -> None:
        history = History(seed)
        for operation in operations:
            history.step(*operation)
            history.nobody_came_back()
        history.broker.settle()
        history.nobody_came_back()
        first, *others = history.doors
        gone = set().union(*(door.heard_gone for door in history.doors))
        for door in history.doors:
            assert door.replica.digest() == first.replica.digest()
            assert door.people.keys() == set(door.replica.people())
            assert not gone & door.people.keys()
        for door in others:
            assert {one: it.profile for one, it in door.people.items()} == {
                one: it.profile for one, it in first.people.items()
            }

    hold()
