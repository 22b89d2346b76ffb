"""Messages that are taken off the wire past paho."""

from __future__ import annotations

import random

import pytest

from lockd.adapters.mqtt.bounded import Arrived, arrived

TOPIC = "lockd/front/command"


def packet(
    payload: bytes, *, flags: int = 0, mid: int | None = None, properties: bytes | None = None
) -> bytes:
    """A message on the wire."""
    body = len(TOPIC).to_bytes(2, "big") + TOPIC.encode()
    body += b"" if mid is None else mid.to_bytes(2, "big")
    body += b"" if properties is None else number(len(properties)) + properties
    body += payload
    return bytes([0x30 | flags]) + number(len(body)) + body


def number(value: int) -> bytes:
    """As MQTT has it: seven bits in each byte, the lowest first."""
    found = b""
    while True:
        value, digit = value >> 7, value & 127
        found += bytes([digit | (128 if value else 0)])
        if not value:
            return found


@pytest.mark.parametrize("size", [0, 1, 100, 127, 128, 5000])
@pytest.mark.parametrize("retained", [False, True])
@pytest.mark.parametrize("properties", [None, b"", b"\x02\x00\x00\x00\x05", b"\x26" + b"x" * 200])
@pytest.mark.parametrize("mid", [None, 7])
def test_a_whole_message_is_read_as_it_was_sent(
    size: int, retained: bool, properties: bytes | None, mid: int | None
) -> None:
    payload = random.Random(size).randbytes(size)
    flags = int(retained) | (0 if mid is None else 0b1010)
    data = packet(payload, flags=flags, mid=mid, properties=properties)
    read = arrived(b"xx" + data + b"more", 2, properties=properties is not None)
    assert read == Arrived(TOPIC, payload, retained, mid is not None, mid, 2 + len(data))
    for end in range(len(data)):
        assert arrived(data[:end], 0, properties=properties is not None) is None


@pytest.mark.parametrize(
    "data",
    [
        packet(b"twice", flags=0b0100, mid=1),
        b"\xd0\x00" * 5,
        b"\x30\x04\x00\x00xx",
        b"\x30\x05\x00\x03\xff\xfe\xfd",
        b"\x30\x05\x00\x09abc",
        b"\x30\xff\xff\xff\xff\x01" + bytes(99),
    ],
)
def test_whatever_else_comes_is_left_to_paho(data: bytes) -> None:
    assert arrived(data, 0, properties=False) is None


@pytest.mark.parametrize("properties", [False, True])
def test_no_noise_is_read_past_its_end(properties: bool) -> None:
    chance = random.Random(1)
    for _ in range(20_000):
        data = bytes([0x30 | chance.randrange(16)]) + chance.randbytes(chance.randrange(40))
        message = arrived(data, 0, properties=properties)
        assert message is None or (message.end <= len(data) and len(message.payload) < len(data))
