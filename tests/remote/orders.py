"""A key, an order and its signature that never change; docs/commands.md shows the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lockd.remote.signing import Order

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
NOW = 1_790_000_000
ORDER = Order(
    id="a1",
    base_topic="lockd",
    door="front",
    command="unlock",
    by="anna",
    time=NOW,
    nonce="J8sQ0vTzR1mYc3Ub",
)
CANONICAL = (
    b'{"base_topic":"lockd","by":"anna","command":"unlock","door":"front","id":"a1","nonce":"J8sQ0vTzR1mYc3Ub",'
    b'"time":1790000000,"v":2}'
)
SIGNATURE = "e16f9b96ab0ea78fc9376606ed764af66939f1386a3eaecc9635cfd9c4f14696"
NAMED = Order(
    id="a2", base_topic="lockd", door="front", command="rename", by="anna", time=NOW,
    nonce="k_2-nonce_of_20chars", name='Zo\u00eb "Z\u00eb" \\ 1', new_name="\u6797 \U0001f511",
)  # fmt: skip
NAMED_SIGNATURE = "d96ff251173e126346b7a1f3ea014ee170697dc57a6949415ad591ed8b69c3de"


def payload(key: bytes = KEY, **changes: Any) -> bytes:
    """A command, signed."""
    return replace(ORDER, **changes).payload(key)
