"""What waits for the service: each key has room of its own, and nobody else can fill it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from lockd.service.sieve import JUNK, OTHER, Sieve
from tests.remote.afar import COMMAND, PLAIN_TOPIC
from tests.remote.orders import KEY, NOW, OTHER_KEY, payload


class Door:
    """Who has keys, and a sieve that asks for them."""

    def __init__(self, plain: str = "") -> None:
        self.keys = {"anna": KEY, "bert": OTHER_KEY}
        self.utc = float(NOW)
        topics = COMMAND, PLAIN_TOPIC
        self.sieve = Sieve(("lockd", "front"), topics, plain.split(), self, lambda: self.utc)

    def current(self) -> Mapping[str, bytes]:
        return self.keys


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.mark.parametrize(
    "junk",
    [
        b"",
        b"{",
        b"UNLOCK",
        b"[" * 2000,
        payload(b"no key of anybody"),
        payload(by="bert"),
        payload(bytes(32), by="nobody"),
        payload(door="back"),
        payload(base_topic="annex"),
        payload(command="dance"),
        payload(time=NOW - 61),
        payload(time=NOW + 61),
    ],
)
def test_what_nobody_signed_just_now_shares_a_little_room(door: Door, junk: bytes) -> None:
    assert door.sieve.lane(COMMAND, junk) == JUNK


def test_each_key_has_a_room_and_in_it_orders_to_lock_have(door: Door) -> None:
    lanes = {
        door.sieve.lane(COMMAND, payload(key, by=by, command=command, nonce=f"{command:_<16}"))
        for by, key in door.keys.items()
        for command in ("unlock", "lock")
    }
    assert len({lane.name for lane in lanes}) == 4
    assert JUNK not in lanes
    same = payload(command="lock-down", nonce="n" * 16)
    assert door.sieve.lane(COMMAND, same).name in {lane.name for lane in lanes}


def test_who_repeats_what_somebody_signed_fills_no_room_of_theirs(door: Door) -> None:
    once = payload(command="lock-down")
    assert door.sieve.lane(COMMAND, once) != JUNK
    assert [door.sieve.lane(COMMAND, once) for _ in range(3)] == [JUNK] * 3


def test_what_is_a_little_late_is_for_the_judge(door: Door) -> None:
    assert door.sieve.lane(COMMAND, payload(time=NOW - 45)) != JUNK


def test_a_key_that_is_gone_has_no_room(door: Door) -> None:
    del door.keys["anna"]
    assert door.sieve.lane(COMMAND, payload()) == JUNK


def test_plain_words_that_are_enabled_have_a_room_and_orders_to_lock_another() -> None:
    sieve = Door("lock unlock").sieve
    lock, unlock = sieve.lane(PLAIN_TOPIC, b"LOCK"), sieve.lane(PLAIN_TOPIC, b"UNLOCK")
    assert JUNK not in (lock, unlock)
    assert lock.name != unlock.name
    assert [sieve.lane(PLAIN_TOPIC, one) for one in (b"LIFT", b"lock", b"")] == [JUNK] * 3


def test_other_topics_have_theirs(door: Door) -> None:
    assert door.sieve.lane("homeassistant/status", b"online") == OTHER
