"""Who may command what: payloads in, judgements out.

What is checked, in this order, and what whoever sent it is told:

    is it one of our commands at all?                     malformed
    is it signed with the key of who it says it is by?    denied: not_authentic
    is it for this door, of this base topic?              denied: other_door
    did the broker keep it?                               replayed: retained
    is the time known, and is the command of now?         denied: clock_unknown, expired
    is there such a command, with these arguments?        malformed
    may anybody give it from afar; may they?              not_enabled: off, denied: not_allowed
    is it new?                                            replayed, and others of `Rejection`

So those who cannot sign learn nothing: neither who has a key, nor what is enabled.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from lockd.remote.commands import COMMANDS, PLAIN
from lockd.remote.signing import KEY_BYTES, Malformed, Order, read

WINDOW_S = 30
"""How far a command's time may be from this machine's, either way."""

ANYBODY = "plain"
"""Whoever the broker lets in; no identity may be called so."""


class Result(StrEnum):
    """What became of a command."""

    OK = "ok"
    DENIED = "denied"
    EXPIRED = "expired"
    REPLAYED = "replayed"
    MALFORMED = "malformed"
    NOT_ENABLED = "not_enabled"


_ARGUMENTS = ("seconds", "name", "new_name", "valid_from", "valid_until")
_NOBODYS_KEY = bytes(KEY_BYTES)

Rejection: TypeAlias = tuple[Result, str]
"""A result and why."""

Look: TypeAlias = Callable[[Order, bytes], Rejection | None]
"""Says why a command with this key may not be obeyed, by what is known of others, if it may not."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What is to become of a message.

    Attributes:
        result: `Result.OK` if it is to be carried out.
        reason: why not, in a word.
        id: the command's, where it has one; not to be trusted unless `by` is known.
        by: who gave it: an identity, `ANYBODY`, or None if nobody knows.
        command: which, only where `by` is known.
        order: all of it, where it was signed.
    """

    result: Result
    reason: str | None = None
    id: str | None = None
    by: str | None = None
    command: str | None = None
    order: Order | None = None


def authentic(payload: bytes, keys: Mapping[str, bytes]) -> tuple[Order, bytes | None]:
    """Return the command in a payload and the key that signed it, None if nobody's did.

    Raises:
        Malformed: if it is no command.
    """
    order, signature = read(payload)
    key = keys.get(order.by)
    # A key in any case, so that the time it takes does not tell whether there is one.
    good = order.signed_by(_NOBODYS_KEY if key is None else key, signature)
    return order, key if good else None


class Judge:
    """The rules of one door."""

    def __init__(
        self,
        door: str,
        allow: Mapping[str, Collection[str]],
        plain: Collection[str],
        *,
        base_topic: str,
    ) -> None:
        """Take the rules.

        Args:
            door: its id; with the base topic it is told from all others.
            allow: the identities that may give each command; one without any is off.
            plain: the commands that need no signature.
        """
        self._door = base_topic, door
        self._allow = {command: frozenset(who) for command, who in allow.items()}
        self._plain = frozenset(plain)

    def signed(
        self,
        payload: bytes,
        *,
        retained: bool,
        keys: Mapping[str, bytes],
        now: float | None,
        look: Look,
    ) -> Judgement:
        """Judge what came to the topic of signed commands.

        Args:
            retained: whether the broker had kept it.
            keys: of every identity there is.
            now: seconds since 1970, or None while that is not known.
            look: called last, for a command that is otherwise good.
        """
        try:
            order, key = authentic(payload, keys)
        except Malformed as error:
            return Judgement(Result.MALFORMED, error.reason, error.id)
        if key is None:
            return Judgement(Result.DENIED, "not_authentic", order.id)
        result, reason = (
            self._refused(order, retained=retained, now=now)
            or look(order, key)
            or (Result.OK, None)
        )
        return Judgement(result, reason, order.id, order.by, order.command, order)

    def plain(self, payload: bytes, *, retained: bool, duplicate: bool) -> Judgement:
        """Judge what came to the topic of plain commands.

        Args:
            retained: whether the broker had kept it.
            duplicate: whether it may have come before.
        """
        command = PLAIN.get(payload)
        if command is None:
            return Judgement(Result.MALFORMED, "unknown_command")
        if command not in self._plain:
            return Judgement(Result.NOT_ENABLED, "off")
        if retained or duplicate:
            reason = "retained" if retained else "duplicate"
            return Judgement(Result.REPLAYED, reason, by=ANYBODY, command=command)
        return Judgement(Result.OK, by=ANYBODY, command=command)

    def _refused(self, order: Order, *, retained: bool, now: float | None) -> Rejection | None:
        """Return what is wrong with a command that is signed, if anything."""
        if (order.base_topic, order.door) != self._door:
            return Result.DENIED, "other_door"
        if retained:
            return Result.REPLAYED, "retained"
        if now is None:
            return Result.DENIED, "clock_unknown"
        if not abs(now - order.time) <= WINDOW_S:
            return Result.EXPIRED, "too_old" if order.time < now else "in_the_future"
        command = COMMANDS.get(order.command)
        if command is None:
            return Result.MALFORMED, "unknown_command"
        given = {name for name in _ARGUMENTS if getattr(order, name) is not None}
        if not command.needs <= given <= command.needs | command.may:
            return Result.MALFORMED, "arguments"
        allowed = self._allow.get(order.command)
        if not allowed:
            return Result.NOT_ENABLED, "off"
        return None if order.by in allowed else (Result.DENIED, "not_allowed")
