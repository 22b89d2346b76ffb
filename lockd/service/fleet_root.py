"""What only the door with the fleet's root key does: keys for all, and throwing a door out."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from lockd.adapters.store import SupersededError
from lockd.errors import StoreError
from lockd.fleet.administrator import without
from lockd.fleet.charter import KEYS, Certificate, FleetKey, dumped, read_certificate
from lockd.fleet.sealing import KEY_BYTES, Kind, box, sign
from lockd.fleet.state import State, write_charter
from lockd.service.fleet_book import FleetBook

_T = TypeVar("_T")
_TRIES = 10


def members(state: State) -> dict[str, Certificate]:
    """Return the certificates of all doors that were ever let in, by the names of their keys."""
    return {
        key: read_certificate(bytes.fromhex(plain), state.root, state.fleet)
        for key, plain in state.members.items()
    }


def must_have_root(state: State) -> None:
    """Make sure that the root key is here.

    Raises:
        StoreError: if it is not.
    """
    if not state.root_key:
        raise StoreError(
            "this door has not the fleet's root key; do it at the door that founded the fleet"
        )


def at_once(book: FleetBook, change: Callable[[], _T]) -> _T:
    """Change what is held, and again if the service has changed it meanwhile.

    Raises:
        StoreError: if it cannot be written; then nothing was changed.
    """
    for _ in range(_TRIES):
        book.refresh()
        with suppress(SupersededError):  # it was read anew
            return change()
    return change()


def rotate(book: FleetBook) -> int:
    """Give the fleet another key: every member gets it, and all that is held is sealed anew.

    Returns:
        The number of the key.

    Raises:
        StoreError: if the root key is not here, or it cannot be written; then nothing was changed.
    """
    must_have_root(book.state)
    epoch = _rotate(book)
    book.save()
    return epoch


def _rotate(book: FleetBook) -> int:
    state, charter = book.state, book.state.read_charter()
    epoch, key = max(state.keys) + 1, secrets.token_hex(KEY_BYTES)
    write_charter(state, charter.model_copy(update={"epoch": epoch}))
    book.replica.adopt(state.charter)
    book.replica.add_key(epoch, bytes.fromhex(key))
    for topic in [*book.all_held()]:
        message = book.replica.kept(topic)
        if message and not topic.startswith(f"{KEYS}/"):
            book.replica.fresh[topic] = book.replica.resealed(topic, message)
    for name, member in members(state).items():
        if name != state.me:
            given = None if name in charter.revoked else _boxed(state, name, member, epoch, key)
            book.replica.fresh[f"{KEYS}/{name}"] = given
    return epoch


def _boxed(state: State, name: str, member: Certificate, epoch: int, key: str) -> bytes:
    what = dumped(FleetKey(door=name, epoch=epoch, key=key))
    signed = sign(state.root_key, Kind.KEY, state.fleet, f"{KEYS}/{name}", what)
    return box(bytes.fromhex(member.box), signed, "key")


def throw_out(book: FleetBook, key: str, time: int) -> list[str]:
    """Take nothing of a door any more, and give the others another key.

    What it had signed this door vouches for, as it is held here; look through it.

    Args:
        key: what names the door's key.

    Returns:
        The ids of those whom the door had signed.

    Raises:
        StoreError: as `rotate`; also of this very door.
    """
    state = book.state
    must_have_root(state)
    if key == state.me:
        raise StoreError("this door has the root key and cannot be thrown out; found a new fleet")
    listed = book.replica.listed_by(key)
    theirs = [
        id_
        for id_ in book.replica.people()
        if (version := book.replica.version(id_)) is not None and version.by == key
    ]
    write_charter(state, without(state.read_charter(), key))
    book.replica.adopt(state.charter)
    book.replica.take_over(listed)
    vouched = book.vouch(theirs, time)
    _rotate(book)
    book.save(own=vouched)
    return theirs
