"""PINs and cards: which may be, and that what is kept of one is good for that one alone."""

from __future__ import annotations

import dataclasses

import pytest
from argon2 import PasswordHasher
from hypothesis import given, settings
from hypothesis import strategies as st

from lockd.errors import FactorError
from lockd.identity.factors import (
    CARD_BYTES,
    FactorKind,
    clean_card,
    clean_pin,
    hash_card,
    hash_pin,
    is_card,
    is_kept,
    is_pin,
    is_pin_hash,
    is_shown,
)
from lockd.types import FactorEntry

DIGITS = st.text("0123456789", min_size=1, max_size=12)


@pytest.mark.parametrize("pin", ["2580", " 2580\n", "13579", "90210", "112233", "12345679"])
def test_a_pin_of_digits_is_taken(pin: str) -> None:
    assert clean_pin(pin) == pin.strip()


@pytest.mark.parametrize(
    ("pin", "why"),
    [
        ("", "digits only"),
        ("12a4", "digits only"),
        ("25 80", "digits only"),
        ("-2580", "digits only"),
        ("٢٥٨٠", "digits only"),
        ("258", "3 digits; choose 4 to 8"),
        ("258036914", "9 digits; choose 4 to 8"),
        ("1111", "tried first"),
        ("1234", "tried first"),
        ("7890", "tried first"),
        ("4321", "tried first"),
        ("00000000", "tried first"),
    ],
)
def test_a_pin_that_may_not_be_is_refused_without_being_told(pin: str, why: str) -> None:
    with pytest.raises(FactorError, match=why) as caught:
        clean_pin(pin, 4, 8)
    assert len(pin) < 4 or pin not in str(caught.value).replace("1111 or 1234", "")


@pytest.mark.parametrize(
    ("written", "number"),
    [
        ("0001234567", "0001234567"),
        ("1234567", "0001234567"),
        (" 1234567\n", "0001234567"),
        ("123,45678", str((123 << 16) + 45678).rjust(10, "0")),
        ("123/45678", str((123 << 16) + 45678).rjust(10, "0")),
        ("04:a2:3c:1f", "04A23C1F"),
        ("04-A2-3C-1F", "04A23C1F"),
        ("12345678901234567890", "12345678901234567890"),
    ],
)
def test_a_card_is_the_same_however_its_number_is_written(written: str, number: str) -> None:
    assert clean_card(written) == number
    assert clean_card(number) == number


@pytest.mark.parametrize(
    "text", ["", "0000000000", "256,1", "1,65536", "A1", "4" * 65, "12;34", "é123"]
)
def test_what_is_no_card_is_refused_without_being_told(text: str) -> None:
    with pytest.raises(FactorError) as caught:
        clean_card(text)
    assert len(text) < 4 or text not in str(caught.value)


@settings(max_examples=15)
@given(DIGITS, DIGITS)
def test_a_pin_s_hash_is_good_for_that_pin_alone(pin: str, other: str) -> None:
    kept = hash_pin(pin)
    assert is_kept(FactorKind.PIN, kept)
    assert pin.encode() not in kept.split(b"$")
    assert is_shown(FactorKind.PIN, kept, pin)
    assert is_pin(kept, other) is (pin == other)
    assert kept != hash_pin(pin), "salted"


@given(DIGITS, DIGITS)
def test_a_card_s_keyed_hash_is_good_for_that_card_alone(number: str, other: str) -> None:
    kept = hash_card(number)
    assert len(kept) == CARD_BYTES
    assert is_shown(FactorKind.CARD, kept, number)
    assert is_card(kept, other) is (number == other)
    assert kept != hash_card(number), "with a key of its own"


@given(st.binary(max_size=200))
def test_what_is_no_hash_fits_nothing(kept: bytes) -> None:
    assert not is_pin(kept, "2580")
    assert not is_card(kept, "0001234567")


@pytest.mark.parametrize(
    "dear",
    [
        "$argon2id$v=19$m=4194304,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaA",
        "$argon2id$v=19$m=19456,t=900,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaA",
        "$argon2id$v=19$m=19456,t=2,p=64$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaA",
        "$argon2i$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$aGFzaGhhc2hoYXNoaGFzaA",
    ],
)
def test_a_hash_from_elsewhere_that_would_cost_the_board_its_memory_or_time_is_none(
    dear: str,
) -> None:
    assert not is_pin_hash(dear.encode())
    assert not is_pin(dear.encode(), "2580")


def test_a_hash_of_another_tool_s_is_good_if_it_costs_no_more() -> None:
    kept = PasswordHasher(time_cost=1, memory_cost=8192, parallelism=2).hash("2580").encode()
    assert is_pin(kept, "2580")
    assert not is_pin(kept, "2581")


def test_an_entry_never_shows_what_was_entered() -> None:
    entry = FactorEntry("pin", "2580")
    assert "2580" not in repr(entry) + str(entry) + f"{entry}"
    assert dataclasses.replace(entry, kind="card").secret == "2580"
