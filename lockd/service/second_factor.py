"""A PIN, a card or a telephone's command: is it that of whom the door waits for?

Entries come from the keypads' threads and are judged one after the other. What is compared runs in
a thread of its own (`FactorChecker`), for a PIN's hash takes its time; everything else runs in the
service's. Whatever goes wrong on the way is no factor.
"""

from __future__ import annotations

import logging
import math
import queue
from base64 import b64encode
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lockd.adapters.store import KeptFactor, Store
from lockd.config import SecondFactorSettings
from lockd.door.tries import Tries
from lockd.errors import StoreError
from lockd.identity.factors import FactorKind, hash_card, is_shown
from lockd.ports import Keypad, Keys, LocalTime
from lockd.service.factor_checker import Check, FactorChecker
from lockd.service.store_writer import Work
from lockd.types import FactorEntry, Person

log = logging.getLogger(__name__)

MOST_WAITING = 8
"""Entries; who types faster than they are judged is not heard."""
EARLY_S = 10.0
"""So long before it is asked for, a PIN or a card may be shown."""
SKEW_S = 5.0
"""How far the clock of a telephone may be behind: what it signed before it was asked is too old."""
_ENROLLING_S = 3.0  # since a card was last asked for
_CARD_KEPT_S = 10.0


@dataclass(frozen=True, slots=True)
class FactorOutcome:
    """What came of a factor.

    Attributes:
        visit: that waited for it; None for somebody who came by it alone.
        person: whom it belongs to, or who was waited for; None if nobody knows.
        kind: ``pin``, ``card`` or ``confirm``.
        ok: whether it was right.
        reason: why not: ``wrong``; ``slowed``, if it was not even looked at, for there were too
            many wrong ones; ``store``, if it cannot be known.
    """

    visit: int | None
    person: Person | None
    kind: str
    ok: bool
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Wait:
    """Somebody whose factor is waited for."""

    person: Person
    until: float
    asked_utc: float


class SecondFactor:
    """What is shown at the door beside a face.

    Attributes:
        problem: why it does not work as it should, or None.
    """

    def __init__(
        self,
        settings: SecondFactorSettings,
        *,
        entries: queue.Queue[FactorEntry],
        store: Callable[[], Store | None],
        wall: LocalTime,
        wake: Callable[[], None],
        have_done: Callable[[Work], None],
        keypads: Sequence[Keypad] = (),
        keys: Keys | None = None,
    ) -> None:
        """Wait for nobody yet.

        Args:
            settings: what may be shown, and how wrong tries are slowed.
            entries: filled by the keypads' threads.
            store: returns the store in use, or None while there is none.
            wall: the local time, while it is known to be right.
            wake: called from a thread when there is something for `serve`.
            have_done: has something written, and waits for nothing.
            keypads: what fills the queue, to know how they do.
            keys: knows whose telephone an identity is.
        """
        self._settings = settings
        self._entries = entries
        self._store = store
        self._wall = wall
        self._have_done = have_done
        self._keypads = keypads
        self._keys = keys
        self._waits: dict[int, _Wait] = {}
        self._early: tuple[FactorEntry, float] | None = None
        self._confirmed: list[FactorOutcome] = []
        self._kept: list[KeptFactor] = []
        self._known, self._stale = False, True
        self._damaged = 0
        self._trouble: str | None = None
        self._tries = Tries(settings.wrong_tries.rules())
        self._tries_known = False
        self._checker = FactorChecker(wake)
        self._enrolling_until = -math.inf
        self._card: tuple[str, float] | None = None

    # What the policy asks

    def ask(self, visit: int, person: Person, until: float) -> None:
        """From now on wait for a factor of somebody.

        What they showed just before counts, too.

        Args:
            visit: theirs; an outcome bears it. Asked once more it goes on until the new time.
            person: who it has to be.
            until: the service's time at which nobody waits any more; the outcome is none then.
        """
        before = self._waits.get(visit)
        local = self._wall.local()
        asked = math.inf if local is None else local.timestamp()
        if before is not None and before.person.id == person.id:
            asked = before.asked_utc
        self._waits[visit] = _Wait(person, until, asked)

    def cancel(self, visit: int) -> None:
        """Wait no longer; what is being judged for this visit has no outcome."""
        self._waits.pop(visit, None)

    def kinds_of(self, person: Person) -> frozenset[str]:
        """Return what somebody can show here: those kinds that this door takes and they have."""
        has = {one.kind.value for one in self._kept if one.person.id == person.id}
        if self._keys is not None and person.id in self._keys.bound().values():
            has.add(FactorKind.CONFIRM.value)
        return frozenset(has) & self._settings.kinds

    def serve(self, now: float) -> list[FactorOutcome]:
        """Take what came, and return what came of it; never waits.

        Args:
            now: the service's time.
        """
        self._waits = {visit: one for visit, one in self._waits.items() if now < one.until}
        self._refresh(now)
        found, self._confirmed = self._confirmed, []
        # What was entered is judged one by one: each wrong one slows the next.
        while (done := self._checker.done()) is not None:
            found += self._judged(*done, now)
        while not self._checker.busy and (entry := self._next(now)) is not None:
            found += self._take(entry, now)
        return found

    @property
    def problem(self) -> str | None:
        """Why it does not work as it should, or None; what still works goes on."""
        said = [one.problem for one in self._keypads if one.problem is not None]
        if not all(one.alive for one in self._keypads):
            said.append("a keypad's thread has died or hangs")
        if not self._checker.alive:
            said.append("the thread that checks PINs and cards has died or hangs")
        if self._trouble is not None:
            said.append(self._trouble)
        if self._damaged:
            said.append(f"{self._damaged} PINs or cards are damaged and not used")
        return "; ".join(said) or None

    @property
    def checking(self) -> bool:
        """Whether something was entered of which nothing has come yet."""
        return self._checker.busy

    @property
    def alive(self) -> bool:
        """Whether its threads go on; if not, only a new process will help."""
        return self._checker.alive and all(one.alive for one in self._keypads)

    def close(self) -> None:
        """End its threads."""
        for keypad in self._keypads:
            keypad.close()
        self._checker.close()

    # Telephones

    def confirm(self, identity: str, signed_utc: float) -> str | None:
        """Take somebody's signed command that it is they who stand at the door.

        Args:
            identity: that signed it.
            signed_utc: when, seconds since 1970.

        Returns:
            Why it is of no use, in a word, or None.
        """
        if not self._settings.confirm:
            return "off"
        bound = self._keys.bound() if self._keys is not None else {}
        if (person_id := bound.get(identity)) is None:
            return "not_bound"
        for visit, wait in self._waits.items():
            if wait.person.id == person_id:
                if not signed_utc >= wait.asked_utc - SKEW_S:
                    return "before_asked"
                self._confirmed.append(FactorOutcome(visit, wait.person, "confirm", ok=True))
                del self._waits[visit]
                log.info("second factor: visit %d: confirmed by %s", visit, identity)
                return None
        return "nothing"

    # Enrolling a card

    def read_card(self, now: float, by: str) -> dict[str, Any]:
        """Answer whoever wants to enrol the next card that is shown; ask again until it is.

        Meanwhile no card is judged. The number itself is told to nobody: ``result`` is ``card``
        with what is to be kept of it (base64); ``taken`` if it is somebody's; ``no_card`` if
        there is none yet; ``off`` if nothing here reads cards.

        Args:
            now: the service's time.
            by: who asks.
        """
        if "card" not in self._settings.kinds:
            return {"result": "off", "reason": "second_factor has no reader that gives cards"}
        if now >= self._enrolling_until:
            log.info("%s has the next card at the door read", by)
            self._card = None
        self._enrolling_until = now + _ENROLLING_S
        card, self._card = self._card, None
        if card is None or now - card[1] > _CARD_KEPT_S:
            return {"result": "no_card", "reason": self.problem}
        if not self._known:
            return {"result": "store", "reason": self._trouble}
        number = card[0]
        if any(is_shown(one.kind, one.kept, number) for one in self._kept_of(FactorKind.CARD)):
            return {"result": "taken"}
        return {"result": "card", "kept": b64encode(hash_card(number)).decode()}

    # What comes

    def _next(self, now: float) -> FactorEntry | None:
        """The next entry to be judged, if anybody is there whose it may be."""
        while True:
            try:
                entry = self._entries.get_nowait()
            except queue.Empty:
                break
            if entry.kind == FactorKind.CARD and now < self._enrolling_until:
                self._card = (entry.secret, now)
                continue
            if self._waits or entry.kind in self._settings.alone:
                return entry
            self._early = (entry, now)
        if self._early is not None and now - self._early[1] > EARLY_S:
            self._early = None
        if self._waits and self._early is not None:
            return self._early[0]
        return None

    def _take(self, entry: FactorEntry, now: float) -> list[FactorOutcome]:
        """Have an entry checked, unless it may not be looked at."""
        self._early = None
        if not self._known:
            return self._refused(entry.kind, self._waits, "store")
        alone = entry.kind in self._settings.alone
        tried = {
            visit: wait.person.id
            for visit, wait in self._waits.items()
            if not self._tries.pause_s(now, wait.person.id)
        }
        if self._tries.pause_s(now) or not (tried or alone):
            log.warning("second factor: a %s was not looked at, after too many wrong", entry.kind)
            return self._refused(entry.kind, self._waits, "slowed")
        people = frozenset(tried.values())
        candidates = [
            one
            for one in self._kept_of(FactorKind(entry.kind))
            if one.person.id in people or (alone and not self._tries.pause_s(now, one.person.id))
        ]
        self._checker.check(Check(entry, candidates, people, tuple(tried)))
        return []

    def _judged(
        self, check: Check, matching: Sequence[KeptFactor] | None, now: float
    ) -> list[FactorOutcome]:
        """Return what came of an entry that was checked; None matches if that went wrong."""
        kind = check.entry.kind
        waits = {visit: self._waits[visit] for visit in check.visits if visit in self._waits}
        if matching is None:
            return self._refused(kind, waits, "store")
        # Whoever was removed or disabled meanwhile has nothing any more.
        still = {one.id: one.person for one in self._kept}
        owners = {still[one.id].id: still[one.id] for one in matching if one.id in still}
        for visit, wait in waits.items():
            if wait.person.id in owners:
                self._right(wait.person)
                del self._waits[visit]
                log.info("second factor: visit %d: the %s is right", visit, kind)
                return [FactorOutcome(visit, wait.person, kind, ok=True)]
        # A PIN that two people have tells nobody who came.
        others = [one for id_, one in owners.items() if id_ not in check.tried]
        if kind in self._settings.alone and len(others) == len(owners) == 1:
            self._right(others[0])
            log.info("second factor: a %s alone is right", kind)
            return [FactorOutcome(None, others[0], kind, ok=True)]
        if owners.keys() & check.tried:  # right, but nobody waits for it any more
            return []
        self._wrong(kind, check.tried, now)
        return self._refused(kind, waits, "wrong")

    def _refused(self, kind: str, waits: Iterable[int], reason: str) -> list[FactorOutcome]:
        """The outcomes of a factor that was not right, for everybody who waits."""
        visits = list(waits)
        if not visits:
            return [FactorOutcome(None, None, kind, ok=False, reason=reason)]
        return [
            FactorOutcome(visit, self._waits[visit].person, kind, ok=False, reason=reason)
            for visit in visits
        ]

    def _kept_of(self, kind: FactorKind) -> list[KeptFactor]:
        return [one for one in self._kept if one.kind is kind]

    # Counting

    def _right(self, person: Person) -> None:
        if self._tries.count(person.id):
            self._tries.right(person.id)
            self._write_tries(person.id)

    def _wrong(self, kind: str, people: Iterable[str], now: float) -> None:
        tried = sorted(people)
        self._tries.wrong(tried, now)
        for person in tried:
            log.warning(
                "second factor: wrong %s, %d in a row for person %s",
                *(kind, self._tries.count(person), person),
            )
            self._write_tries(person)
        if not tried:
            log.warning("second factor: wrong %s", kind)

    def _write_tries(self, person: str) -> None:
        """Keep the count over a restart, if that can be done."""
        tries = self._tries.count(person)
        self._have_done(lambda store: store.factors.note_wrong_tries(person, tries))

    # The store

    def _refresh(self, now: float) -> None:
        """Read again what was changed; a store that fails leaves it as it was."""
        store = self._store()
        try:
            if store is None:
                raise StoreError("there is no store, so no PIN and no card is known")
            if store.factors.changed() or self._stale:
                self._stale = True
                self._kept, self._damaged = store.factors.usable()
                self._known, self._stale, self._trouble = True, False, None
            if not self._tries_known:
                self._tries.restore(store.factors.wrong_tries(), now)
                self._tries_known = True
        except StoreError as error:
            self._trouble = None if self._known else str(error)
