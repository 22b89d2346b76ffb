"""What a door signs for all, if it may."""

from __future__ import annotations

from dataclasses import dataclass

from lockd.fleet.charter import HEADS, Charter, Head, dumped
from lockd.fleet.gone import PAGE, Page, page_topic, start
from lockd.fleet.records import GREATEST, Content, packed, topic_of, version_of
from lockd.fleet.replica import Replica
from lockd.fleet.sealing import Kind, Refused, parse, sign


@dataclass(frozen=True, slots=True)
class Said:
    """What is to be published and, but for heads, kept."""

    topic: str
    message: bytes


class Administrator(Replica):
    """A replica that signs. What it signs counts here at once, and has to be kept and published."""

    def sign_person(self, content: Content, time: int) -> Said:
        """Sign a record of somebody that is later than all there are.

        Raises:
            Refused: `gone` if they were removed.
        """
        if self.is_gone(content.id):
            raise Refused("gone")
        head = {**content.head(), **self._stamp(time)}
        topic = topic_of(content.id)
        return self._say(topic, Kind.PERSON, head, content.data())

    def sign_gone(self, person_id: str, time: int) -> list[Said]:
        """Remove somebody, for all and for good: the page of the list first, then the tombstone.

        Raises:
            Refused: `incomplete` while this door's own list is not there.
        """
        page = self._list(packed(person_id))
        topic = topic_of(person_id)
        head = {"id": person_id, **self._stamp(time)}
        return [page, self._say(topic, Kind.TOMBSTONE, head)]

    def list_again(self) -> list[Said]:
        """Put those on the list again who are not, for an older one of ours had taken its place.

        Raises:
            Refused: as `sign_gone`.
        """
        said = [self._list(one) for one in sorted(self._unlisted - self.listed_by(self.state.me))]
        self._unlisted.clear()
        return said

    def listed_by(self, by: str) -> set[bytes]:
        """Return whom an administrator has on their list, 16 bytes each."""
        own = [one for one in self._holds.ends if one.startswith(f"gone/{by}/")]
        pages = [self._opened_page(one, self._message(one) or b"") for one in own if "#" not in one]
        return {one for page in pages for one in page.people}

    def take_over(self, people: set[bytes]) -> None:
        """Put those on this door's own list whom one has listed of whom nothing is taken any more.

        Raises:
            Refused: as `sign_gone`.
        """
        self._unlisted |= people
        self.list_again()

    def _list(self, person: bytes) -> Said:
        me = self.state.me
        count, _ = self.state.gone.get(me, (0, ""))
        topic = page_topic(me, max(0, count - 1) // PAGE)
        kept = self._message(topic)
        if kept is None and count:
            raise Refused("incomplete")
        page = self._opened_page(topic, kept) if kept else Page(me, 0, start(me), [])
        new = page.with_one(person)
        self._follow(new)
        self._holds.put_page(new.topic, new)
        message = self.signed(Kind.GONE, new.topic, dict(new.head()), new.data())
        self.fresh[new.topic] = message
        return Said(new.topic, message)

    def sign_head(self, time: int) -> Said:
        """Sign how far this administrator is; to be published after all else."""
        me = self.state.me
        count, last = self.state.gone.get(me, (0, start(me)))
        counter = self.state.seen.get(me, 0)
        head = Head(by=me, counter=counter, time=time, gone=count, gone_hash=last)
        topic, shards = f"{HEADS}/{me}", self.shards()
        self.heads[me] = head, shards
        return Said(topic, self.signed(Kind.HEAD, topic, dumped(head), shards))

    def _say(self, topic: str, kind: Kind, head: dict[str, object], data: bytes = b"") -> Said:
        plain = sign(self.state.sign, kind, self.state.fleet, topic, head, data)
        version = version_of(parse(plain, kind))
        self._saw(version)
        self._holds.set(packed(str(head["id"])), version.packed())
        self.fresh[topic] = message = self.seal(topic, plain)
        return Said(topic, message)

    def _stamp(self, time: int) -> dict[str, object]:
        counter = min(GREATEST, self._latest() + 1)
        return {"by": self.state.me, "counter": counter, "time": max(0, time)}


def without(charter: Charter, key: str) -> Charter:
    """Return a charter without an administrator, or a door, of whom nothing is taken any more."""
    left = {name: public for name, public in charter.administrators.items() if name != key}
    gone = sorted({*charter.revoked, key})
    return charter.model_copy(update={"administrators": left, "revoked": gone})
