"""The form of commands: what is signed, and what the reader takes."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lockd.adapters.store import MAX_NAME
from lockd.remote.signing import (
    LONGEST_NAME,
    LONGEST_PAYLOAD,
    LONGEST_S,
    Malformed,
    Order,
    read,
)
from tests.remote.orders import CANONICAL, KEY, NAMED, NAMED_SIGNATURE, NOW, ORDER, SIGNATURE

WORDS = st.text("abcABC019_-", min_size=1, max_size=64)
TOPICS = st.text('abz/ \u00eb\U0001f511"\\', min_size=1, max_size=128)
NAMES = st.none() | st.text(min_size=1, max_size=LONGEST_NAME).filter(str.isprintable)
ORDERS = st.builds(
    Order,
    id=WORDS,
    base_topic=TOPICS,
    door=WORDS,
    command=st.text("abc-", min_size=1, max_size=32),
    by=WORDS,
    time=st.integers(1, 253_402_300_799),
    nonce=st.text("abcABC019_-", min_size=16, max_size=64),
    seconds=st.none() | st.integers(1, LONGEST_S),
    name=NAMES,
    new_name=NAMES,
)


def fields(**changes: object) -> dict[str, object]:
    return {**json.loads(ORDER.payload(KEY)), **changes}


def reason(payload: bytes) -> str:
    with pytest.raises(Malformed) as error:
        read(payload)
    return error.value.reason


def test_the_canonical_form_and_the_signature_are_what_they_always_were() -> None:
    assert ORDER.canonical() == CANONICAL
    assert ORDER.signature(KEY) == SIGNATURE
    assert NAMED.signature(KEY) == NAMED_SIGNATURE


@given(ORDERS)
def test_what_is_written_is_read_as_it_was_and_its_signature_is_good(order: Order) -> None:
    payload = order.payload(KEY)
    assert len(payload) <= LONGEST_PAYLOAD
    found, signature = read(payload)
    assert found == order
    assert found.canonical() == order.canonical()
    assert found.signed_by(KEY, signature)


@given(ORDERS, st.randoms(use_true_random=False), st.booleans(), st.sampled_from([None, 2]))
def test_other_json_of_the_same_meaning_is_the_same_command(
    order: Order, random: st.DataObject, escaped: bool, indent: int | None
) -> None:
    pairs = list(json.loads(order.payload(KEY)).items())
    random.shuffle(pairs)  # type: ignore[attr-defined]
    payload = json.dumps(dict(pairs), ensure_ascii=escaped, indent=indent).encode()
    if len(payload) <= LONGEST_PAYLOAD:
        found, signature = read(payload)
        assert found == order
        assert found.signed_by(KEY, signature)


@settings(max_examples=50)
@given(ORDERS, ORDERS)
def test_two_commands_never_have_one_canonical_form(one: Order, other: Order) -> None:
    assert (one == other) == (one.canonical() == other.canonical())


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"null",
        b"[]",
        b"3",
        b'"unlock"',
        b"UNLOCK",
        b"{",
        b"[" * 2048,
        b'{"a":' * 400,
        b'{"v":NaN}',
        b'{"v":Infinity}',
        b'{"v":1.0}',
        b'{"v":1e0}',
        b'{"v":1}x',
        b'{"v":1,"v":1}',
        b'{"v":1,"\\u0076":1}',
        b'{"id":"\xff"}',
        b"\xef\xbb\xbf{}",
        '{"v":1}'.encode("utf-16"),
        b'{"id":"a\x00b"}',
        b"{'v':1}",
        b"{" + b'"v":' + b"9" * 5000 + b"}",
    ],
)
def test_what_is_no_flat_json_object_is_not_read(payload: bytes) -> None:
    expected = "too_large" if len(payload) > LONGEST_PAYLOAD else "not_json"
    assert reason(payload) == expected


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"extra": 1}, "unknown_key"),
        ({"v": 1}, "version"),
        ({"v": 3}, "version"),
        ({"v": True}, "version"),
        ({"v": "2"}, "version"),
        ({"id": ""}, "value"),
        ({"id": "a" * 65}, "value"),
        ({"id": "a b"}, "value"),
        ({"id": "a\n"}, "value"),
        ({"id": 7}, "value"),
        ({"id": None}, "value"),
        ({"base_topic": ""}, "value"),
        ({"base_topic": "a" * 129}, "value"),
        ({"base_topic": "lockd\u200b"}, "value"),
        ({"base_topic": 7}, "value"),
        ({"door": "../front"}, "value"),
        ({"door": ""}, "value"),
        ({"door": "a" * 65}, "value"),
        ({"door": "a b"}, "value"),
        ({"door": "front\n"}, "value"),
        ({"command": "UNLOCK"}, "value"),
        ({"command": ""}, "value"),
        ({"command": "a" * 33}, "value"),
        ({"command": "a_b"}, "value"),
        ({"by": ""}, "value"),
        ({"by": "a" * 65}, "value"),
        ({"by": "a b"}, "value"),
        ({"by": ["anna"]}, "value"),
        ({"by": {"name": "anna"}}, "value"),
        ({"nonce": "tooshort"}, "value"),
        ({"nonce": "n" * 15}, "value"),
        ({"nonce": "n" * 65}, "value"),
        ({"nonce": "n" * 15 + " n"}, "value"),
        ({"time": 0}, "value"),
        ({"time": -1}, "value"),
        ({"time": True}, "value"),
        ({"time": str(NOW)}, "value"),
        ({"time": 253_402_300_800}, "value"),
        ({"time": 10**18}, "value"),
        ({"seconds": 0}, "value"),
        ({"seconds": 86_401}, "value"),
        ({"seconds": None}, "value"),
        ({"seconds": False}, "value"),
        ({"valid_from": "2026-12-31T24:00"}, "value"),
        ({"valid_until": "tomorrow"}, "value"),
        ({"valid_until": 20261231}, "value"),
        ({"valid_from": "2027-01-01", "valid_until": "2026-12-31T23:59"}, "value"),
        ({"name": ""}, "value"),
        ({"name": "a" * 65}, "value"),
        ({"name": "a\u202eb"}, "value"),
        ({"name": "\ud800"}, "value"),
        ({"new_name": "a\tb"}, "value"),
        ({"signature": SIGNATURE.upper()}, "value"),
        ({"signature": SIGNATURE[:-1]}, "value"),
        ({"signature": SIGNATURE + "0"}, "value"),
        ({"signature": ""}, "value"),
    ],
)
def test_every_field_is_bounded(changes: dict[str, object], expected: str) -> None:
    assert reason(json.dumps(fields(**changes)).encode()) == expected


@pytest.mark.parametrize(
    "key", ["v", "id", "base_topic", "door", "command", "by", "time", "nonce", "signature"]
)
def test_no_needed_field_may_be_missing(key: str) -> None:
    values = fields()
    del values[key]
    assert reason(json.dumps(values).encode()) == "missing_key"


def test_the_id_of_a_malformed_command_is_told_where_it_is_one() -> None:
    for value, expected in (("a1", "a1"), ("a b", None), (3, None)):
        with pytest.raises(Malformed) as error:
            read(json.dumps(fields(id=value, v=1)).encode())
        assert error.value.id == expected


@pytest.mark.parametrize(
    "changes",
    [
        {"id": "aZ09_-" * 10 + "aaaa"},
        {"base_topic": "a"},
        {"base_topic": "Z\u00eb/" * 42 + "zz"},
        {"door": "aZ09_-" * 10 + "aaaa"},
        {"by": "aZ09_-" * 10 + "aaaa"},
        {"command": "a-" * 16},
        {"nonce": "aZ09_-" * 2 + "aaaa"},
        {"nonce": "aZ09_-" * 10 + "aaaa"},
        {"time": 1},
        {"time": 253_402_300_799},
        {"seconds": 1},
        {"seconds": 86_400},
        {"valid_from": "2026-12-31T23:59"},
        {"valid_until": "2026-12-31"},
        {"name": "a"},
        {"new_name": "a"},
    ],
)
def test_at_its_bounds_a_field_is_good(changes: dict[str, object]) -> None:
    order, _ = read(json.dumps(fields(**changes)).encode())
    ((key, value),) = changes.items()
    assert getattr(order, key) == value


def test_a_payload_has_2048_bytes_at_most() -> None:
    payload = ORDER.payload(KEY)
    longest = payload + b" " * (2048 - len(payload))
    assert read(longest)[0] == ORDER
    assert reason(longest + b" ") == "too_large"


def test_an_error_says_its_reason() -> None:
    with pytest.raises(Malformed, match=r"^not_json$"):
        read(b"")


def test_names_may_be_as_long_as_the_store_keeps_them() -> None:
    assert LONGEST_NAME == MAX_NAME
    longest = replace(ORDER, name="\U0001f511" * MAX_NAME, new_name="\U0001f511" * MAX_NAME)
    assert read(longest.payload(KEY))[0] == longest
