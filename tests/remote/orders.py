"""A key, an order and its signature that never change; docs/commands.md shows the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lockd.remote.signing import Order

KEY = bytes(range(32))
OTHER_KEY = bytes(range(1, 33))
NOW = 1_790_000_000
ORDER = Order(
    id="a1", door="front", command="unlock", by="anna", time=NOW, nonce="J8sQ0vTzR1mYc3Ub"
)
CANONICAL = (
    b'{"by":"anna","command":"unlock","door":"front","id":"a1","nonce":"J8sQ0vTzR1mYc3Ub",'
    b'"time":1790000000,"v":1}'
)
SIGNATURE = "f123bf689d7e105a433a04092f46e3160bdae1720b8eaf0c17589c0dcb46765e"
NAMED = Order(
    id="a2", door="front", command="rename", by="anna", time=NOW, nonce="k_2-nonce_of_20chars",
    name='Zo\u00eb "Z\u00eb" \\ 1', new_name="\u6797 \U0001f511",
)  # fmt: skip
NAMED_SIGNATURE = "a82cd7404e9b45d174dac4b628dc488ff2f0679a7f546baf71d16525d28eea8b"


def payload(key: bytes = KEY, **changes: Any) -> bytes:
    """A command, signed."""
    return replace(ORDER, **changes).payload(key)
