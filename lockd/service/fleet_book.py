"""What a door knows of its fleet, over the store that it is kept in."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from lockd import __version__
from lockd.adapters.store import Change, Store
from lockd.errors import StoreError
from lockd.fleet.administrator import Administrator, Said
from lockd.fleet.charter import CHARTER, DOORS, Certificate, Report, dumped, read_report
from lockd.fleet.records import Content, topic_of
from lockd.fleet.sealing import Kind, Refused, id_of
from lockd.fleet.state import State

log = logging.getLogger(__name__)

_MOST_DROPPED = 256


@dataclass(slots=True)
class Outcome:
    """What came of some messages.

    Attributes:
        answers: what the broker should have in the place of what it brought.
        changed: how many people were written or removed.
        again: whether all has to be read again.
        refused: how many messages were not taken, by the reason.
    """

    answers: dict[str, bytes] = field(default_factory=dict)
    changed: int = 0
    again: bool = False
    refused: Counter[str] = field(default_factory=Counter)


class FleetBook:
    """A replica, and the rows that it is made of. For one thread.

    Attributes:
        replica: what is known.
    """

    def __init__(self, store: Store) -> None:
        """Take up what is kept.

        Raises:
            StoreError: if there is nothing, or it was altered.
        """
        self._store = store
        self._unsaid: set[str] = set()
        self._read()

    def _read(self) -> None:
        held = self._store.fleet.held()
        if held is None:
            raise StoreError(
                f"store {self._store.path}: this door is in no fleet; `lockd fleet init` founds "
                "one, `lockd fleet join` joins one"
            )
        try:
            state = State.from_bytes(held.state)
            self.replica = Administrator(state, held.rows, self._store.fleet.message)
        except (Refused, KeyError, TypeError, ValueError) as error:
            raise StoreError(
                f"store {self._store.path}: what is kept of the fleet was altered or turned back "
                f"({error}); leave it and join anew: `lockd fleet leave`"
            ) from None
        self._stamp, self._turned = held.stamp, held.turned
        self._written = held.state

    @classmethod
    def begin(cls, store: Store, state: State) -> FleetBook:
        """Begin with a state, at a door that is in no fleet yet.

        Raises:
            StoreError: if it is in one, or it cannot be written.
        """
        if store.fleet.stamp():
            raise StoreError(
                f"store {store.path}: this door is in a fleet already; `lockd fleet leave` first"
            )
        store.fleet.write(Change("", state.to_bytes(), {}, {}))
        return cls(store)

    @property
    def state(self) -> State:
        """What the door must remember."""
        return self.replica.state

    def refresh(self) -> bool:
        """Read it anew if another program changed it; return whether.

        Raises:
            StoreError: if it cannot be read.
        """
        if self._store.fleet.stamp() == self._stamp:
            return False
        self._read()
        return True

    # What comes

    def take(self, messages: Iterable[tuple[str, bytes]]) -> Outcome:
        """Take messages, by their topics below the fleet's, and write what they change.

        Raises:
            StoreError: if it cannot be written; then nothing was, and they may come again.
        """
        outcome = Outcome()
        people: dict[str, Content] = {}
        removed: list[str] = []
        for topic, message in messages:
            taken = self.replica.take(topic, message)
            if taken.refused is not None:
                outcome.refused[taken.refused] += 1
            if taken.person is not None:
                people[taken.person.id] = taken.person
            for one in taken.removed:
                people.pop(one, None)
                removed.append(one)
            if taken.answer is not None:
                outcome.answers[taken.answer[0]] = taken.answer[1]
            outcome.again |= taken.again
        self._write(list(people.values()), removed=removed)
        outcome.changed = len(people) + len(removed)
        return outcome

    def _write(
        self,
        people: Sequence[Content] = (),
        *,
        own: Sequence[str] = (),
        removed: Sequence[str] = (),
    ) -> None:
        """Write what is fresh; whatever fails, what is known is what is written."""
        replica = self.replica
        state = replica.remember()
        if not (replica.fresh or people or removed or self._turned or state != self._written):
            return
        versions = {
            topic: replica.packed_version(topic.rpartition("/")[2])
            for topic in replica.fresh
            if topic.startswith("people/")
        }
        change = Change(self._stamp, state, dict(replica.fresh), versions, people, own, removed)
        try:
            gone = self._store.fleet.write(change)
        except BaseException:
            self._read()
            raise
        replica.fresh.clear()
        self._stamp, self._written = self._store.fleet.stamp(), state
        self._turned = False
        for one in gone:
            for place in one.left:
                log.error("%s was removed, and is still found: %s", one.person.id, place)

    def save(self, own: Sequence[str] = ()) -> None:
        """Write what was changed of the state, and what is fresh.

        Args:
            own: ids of those whom this door signed as they are here.

        Raises:
            StoreError: if it cannot be written; then nothing was.
        """
        self._write(own=own)

    # What was changed here

    def mend(self) -> int:
        """Make people what the fleet says, where a backup was put back; return how many.

        Whoever was removed from the fleet and is here all the same goes, in any case.

        Raises:
            StoreError: if it cannot be read or written.
        """
        fleet, replica = self._store.fleet, self.replica
        gone = [one for one in fleet.changed_here() if replica.is_gone(one)]
        people = []
        if self._turned:
            for id_ in replica.people():
                message = fleet.message(topic_of(id_))
                content = replica.opened(topic_of(id_), message) if message else None
                people += [content] if content else []
        self._write(people, removed=gone)
        return len(people) + len(gone)

    def sign_changes(self, time: int, most: int = 64) -> list[Said]:
        """Sign what was changed at this door, if it may; return what is to be published.

        Raises:
            StoreError: if it cannot be read or written; then nothing was signed.
        """
        replica, fleet = self.replica, self._store.fleet
        if not replica.administers:
            return []
        said: list[Said] = []
        own: list[str] = []
        try:
            said += replica.list_again()
            for id_ in fleet.removed_here()[:most]:
                said += replica.sign_gone(id_, time)
            for id_ in fleet.changed_here():
                if len(own) < most and (one := self._sign(id_, time)) is not None:
                    said.append(one)
                    own.append(id_)
        except Refused as refused:
            self._read()
            raise StoreError(f"fleet: nothing could be signed: {refused.reason}") from None
        if not said:
            return []
        self._write(own=own)
        return [*said, replica.sign_head(time)]

    def _sign(self, person_id: str, time: int) -> Said | None:
        """Sign somebody as they are here; whoever cannot be keeps nobody else back."""
        if self.replica.is_gone(person_id):
            return None
        try:
            content = self._store.fleet.content(person_id)
            return None if content is None else self.replica.sign_person(content, time)
        except ValueError as error:
            if person_id not in self._unsaid:
                self._unsaid.add(person_id)
                reason = getattr(error, "reason", type(error).__name__)
                log.error("person %s cannot be shared with the fleet: %s", person_id, reason)
            return None

    def vouch(self, ids: Iterable[str], time: int) -> list[str]:
        """Sign people anew, as they are here, in the place of whoever did before; `save` it.

        Returns:
            The ids of those who could be signed.

        Raises:
            StoreError: if somebody cannot be read.
        """
        return [one for one in ids if self._sign(one, time) is not None]

    def local_only(self) -> list[str]:
        """Return the ids of those who were changed at a door that may not sign it for all."""
        return [] if self.replica.administers else self._store.fleet.changed_here()

    def drop_tombstones(self, reports: Mapping[str, Report], before: int) -> list[str]:
        """Forget tombstones older than a time, once every member knows of all removals.

        Args:
            reports: of each member the last, by the names of their keys.
            before: seconds since 1970.

        Returns:
            The topics to be wiped.

        Raises:
            StoreError: if it cannot be written; then nothing was forgotten.
        """
        state, charter = self.state, self.replica.charter
        for door in state.members.keys() - {state.me} - set(charter.revoked):
            if door in reports and reports[door].left:
                continue
            theirs = reports[door].gone if door in reports else {}
            for by, (count, _) in state.gone.items():
                if by not in charter.revoked and theirs.get(by, 0) < count:
                    return []
        old = self.replica.tombstones(before)[:_MOST_DROPPED]
        topics = [topic for one in old if (topic := self.replica.drop_tombstone(one))]
        self._write()
        return topics

    # What is told

    def all_held(self) -> Iterator[str]:
        """Yield the topics that the broker should have."""
        held = self._store.fleet.held()
        topics = {topic for topic, _ in held.rows} if held else set()
        for topic in sorted(topics.union(self.replica.fresh)):
            if "#" not in topic:
                yield topic

    def message(self, topic: str) -> bytes | None:
        """Return what is held of a topic."""
        return self._store.fleet.message(topic)

    def charter(self) -> Said:
        """Return the charter, to be published."""
        return Said(CHARTER, self.replica.seal(CHARTER, self.state.charter))

    def open_report(self, topic: str, message: bytes) -> tuple[Certificate, Report]:
        """Return what another door holds.

        Raises:
            Refused: if it is of no door of the fleet, or of one that was thrown out.
        """
        state = self.state
        plain = self.replica.unsealed(topic, message)
        found = read_report(plain, state.root, state.fleet, topic)
        key = id_of(bytes.fromhex(found[0].sign))
        if topic != f"{DOORS}/{key}/report":
            raise Refused("topic")
        if key in self.replica.charter.revoked:
            raise Refused("revoked")
        return found

    def report(self, time: int, problem: str | None, *, left: bool = False) -> tuple[Said, Report]:
        """Return what this door holds, signed, to be published."""
        replica, state = self.replica, self.state
        topic = f"{DOORS}/{state.me}/report"
        report = Report(
            certificate=state.certificate.hex(),
            time=time,
            version=__version__[:64],
            people=replica.count(),
            digest=replica.digest(),
            gone={by: count for by, (count, _) in state.gone.items()},
            charter=replica.charter.counter,
            epoch=max(state.keys),
            problem=problem,
            left=left,
        )
        return Said(topic, replica.signed(Kind.REPORT, topic, dumped(report))), report
