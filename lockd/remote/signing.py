"""Commands that cannot be forged: their form, their signature, and a reader that is strict.

On the wire a command is one flat JSON object of strings and integers:

    {"base_topic":"lockd","by":"anna","command":"unlock","door":"front","id":"a1",
     "nonce":"J8sQ0vTzR1mYc3Ub","signature":"...","time":1790000000,"v":2}

What is signed is the same object without ``signature`` in its canonical form: keys
sorted, nothing between the parts, text as it is instead of escaped, UTF-8. That is
RFC 8785 (JSON Canonicalization Scheme) of objects with neither fractions nor nesting, so
that every language and a shell make the same bytes of it. The signature is the
HMAC-SHA256 (RFC 2104) of a label and these bytes, in lower-case hexadecimal digits; the
label keeps a key that signs commands from having signed anything else. Door and base topic
are signed, too: two doors of one name are still two. Version 1 was without the base topic,
and is refused.

The reader takes any JSON that means the same, and refuses all that could mean two things
to two readers: keys that are there twice, fractions, numbers that a double cannot hold.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import Any

from lockd.door.validity import begins_before_it_ends, is_moment
from lockd.types import JOINERS

VERSION = 2
KEY_BYTES = 32
LONGEST_PAYLOAD = 2048
"""Bytes; a command with the longest of everything is shorter."""
LONGEST_NAME = 64
LONGEST_TOPIC = 128
"""Characters of a base topic."""
LONGEST_S = 86_400
LABEL = b"lockd-command-v2\n"

_LATEST = 253_402_300_799  # the last second of the year 9999
_FORMS = {
    "id": re.compile(r"[A-Za-z0-9_-]{1,64}"),
    "door": re.compile(r"[A-Za-z0-9_-]{1,64}"),
    "command": re.compile(r"[a-z-]{1,32}"),
    "by": re.compile(r"[A-Za-z0-9_-]{1,64}"),
    "nonce": re.compile(r"[A-Za-z0-9_-]{16,64}"),
    "signature": re.compile(r"[0-9a-f]{64}"),
}
_NAMES = ("name", "new_name")
_MOMENTS = ("valid_from", "valid_until")
_NEEDED = frozenset({*_FORMS, "v", "time", "base_topic"})
_ALLOWED = _NEEDED | {"seconds", *_NAMES, *_MOMENTS}


class Malformed(ValueError):  # noqa: N818  # it is what it says
    """A payload that is no command.

    Attributes:
        reason: in one word.
        id: the command's, where that much could be read; None else.
    """

    def __init__(self, reason: str, id_: str | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.id = id_


@dataclass(frozen=True, slots=True)
class Order:
    """A command, whoever gave it.

    Attributes:
        id: chosen by whoever gives it; the result bears it too.
        base_topic: of the topics of the door that it is for.
        door: its id.
        command: what is to be done.
        by: the identity that claims to give it.
        time: when, seconds since 1970, UTC.
        nonce: never used before with the same key.
        seconds: for how long, with commands that take it.
        name: of whom, with commands about people.
        new_name: what they are to be called.
        valid_from: from when on they may come in, see `lockd.door.validity`.
        valid_until: until when.
    """

    id: str
    base_topic: str
    door: str
    command: str
    by: str
    time: int
    nonce: str
    seconds: int | None = None
    name: str | None = None
    new_name: str | None = None
    valid_from: str | None = None
    valid_until: str | None = None

    def canonical(self) -> bytes:
        """Return the bytes that are signed, without their label."""
        return _canonical(self._fields())

    def signature(self, key: bytes) -> str:
        """Return the signature of a key, 64 hexadecimal digits."""
        return hmac.new(key, LABEL + self.canonical(), hashlib.sha256).hexdigest()

    def signed_by(self, key: bytes, signature: str) -> bool:
        """Return whether this key made the signature, in a time that tells nothing else."""
        return hmac.compare_digest(self.signature(key), signature)

    def payload(self, key: bytes) -> bytes:
        """Return what is published."""
        return _canonical({**self._fields(), "signature": self.signature(key)})

    def _fields(self) -> dict[str, str | int]:
        fields = {name: getattr(self, name) for name in self.__slots__}
        return {"v": VERSION, **{name: one for name, one in fields.items() if one is not None}}


def read(payload: bytes) -> tuple[Order, str]:
    """Return the command in a payload and the signature that it bears, neither verified.

    Raises:
        Malformed: if it is anything but exactly a command; reasons are `too_large`,
            `not_json`, `unknown_key`, `missing_key`, `version` and `value`.
    """
    if len(payload) > LONGEST_PAYLOAD:
        raise Malformed("too_large")
    fields = _object(payload)
    id_ = fields.get("id")
    known = id_ if isinstance(id_, str) and _FORMS["id"].fullmatch(id_) else None
    reason = _wrong(fields)
    if reason is not None:
        raise Malformed(reason, known)
    signature = fields.pop("signature")
    del fields["v"]
    return Order(**fields), signature


def _object(payload: bytes) -> dict[str, Any]:
    try:
        found = json.loads(
            payload.decode(),
            object_pairs_hook=_once_each,
            parse_float=_refuse,
            parse_constant=_refuse,
        )
    except (ValueError, RecursionError):
        raise Malformed("not_json") from None
    if not isinstance(found, dict):
        raise Malformed("not_json")
    return found


def _once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError  # a key is there twice
    return found


def _refuse(text: str) -> Any:
    raise ValueError  # not an integer


def _wrong(fields: dict[str, Any]) -> str | None:
    """Return what keeps an object from being a command, or None."""
    if fields.keys() - _ALLOWED:
        return "unknown_key"
    if _NEEDED - fields.keys():
        return "missing_key"
    if not _is_integer(fields["v"], VERSION, VERSION):
        return "version"
    good = [
        *(_has_form(fields[key], form) for key, form in _FORMS.items()),
        *(_is_text(fields[key], LONGEST_NAME) for key in _NAMES if key in fields),
        _is_time([fields[key] for key in _MOMENTS if key in fields]),
        _is_text(fields["base_topic"], LONGEST_TOPIC),
        _is_integer(fields["time"], 1, _LATEST),
        "seconds" not in fields or _is_integer(fields["seconds"], 1, LONGEST_S),
    ]
    return None if all(good) else "value"


def _has_form(value: object, form: re.Pattern[str]) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _is_time(moments: list[Any]) -> bool:
    """Whether these are moments, and there is time between them if there are two."""
    good = all(isinstance(one, str) and is_moment(one) for one in moments)
    return good and (len(moments) < 2 or begins_before_it_ends(*moments))


def _is_integer(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_printable(text: str) -> bool:
    """Return whether a text has only characters that are seen, and joiners."""
    return all(char.isprintable() or char in JOINERS for char in text)


def _is_text(value: object, longest: int) -> bool:
    # What is not printable is escaped by some and not by others, and names nobody.
    return isinstance(value, str) and 1 <= len(value) <= longest and is_printable(value)


def _canonical(fields: dict[str, str | int]) -> bytes:
    text = json.dumps(fields, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return text.encode()
