"""The rules of merging: what a message changes at a door, and what a door signs itself.

    a record      of a person is taken if it is later than the one that is kept (`records.Version`)
    a tombstone   is final: nobody with this id comes in again, whatever is signed later; whoever
                  is enrolled anew has another id
    a page        of a list of the removed removes whoever stands on it
    revoked       is an administrator: nothing of theirs is taken any more, and what somebody else
                  signs of the same person is later than what they signed
    the broker    is believed nothing: what it forgot or turned back is answered with what is kept

All doors that heard the same have the same people, in whatever order and however often it came.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from lockd.fleet.charter import CHARTER, HEADS, KEYS, Head, read_charter, read_key
from lockd.fleet.gone import Page, ids, page_topic, start
from lockd.fleet.holdings import SHARD_BYTES, SHARDS
from lockd.fleet.knowledge import Knowledge
from lockd.fleet.records import (
    Content,
    Version,
    content_of,
    is_id,
    packed,
    read,
    topic_of,
    version_of,
)
from lockd.fleet.sealing import Kind, Refused, Signed, number_of, unbox
from lockd.fleet.state import State


@dataclass(frozen=True, slots=True)
class Taken:
    """What a message changes.

    Attributes:
        person: to be written.
        removed: ids of those who are to be removed.
        answer: what the broker should have there instead: topic and message.
        again: whether all has to be read again, for more of it can be read or believed now.
        refused: why the message was not taken, in a word, if it is not of this fleet or nobody may
            say so.
    """

    person: Content | None = None
    removed: tuple[str, ...] = ()
    answer: tuple[str, bytes] | None = None
    again: bool = False
    refused: str | None = None


class Replica(Knowledge):
    """What a door knows of its fleet, and how what comes changes it."""

    def __init__(
        self,
        state: State,
        rows: Iterable[tuple[str, bytes]] = (),
        message: Callable[[str], bytes | None] = lambda _: None,
    ) -> None:
        """Take up what is kept.

        Args:
            rows: topic and packed version of people's records; topic and nothing of all else.
            message: returns what is kept of a topic.

        Raises:
            Refused: `held` if that is not what was kept last.
        """
        super().__init__(state, message)
        for topic, version in rows:
            if version:
                self._holds.set(packed(topic.rpartition("/")[2]), version)
            elif topic.startswith("gone/"):
                self._take_up_page(topic, message(topic) or b"")
        if self._holds.held() != state.held:
            raise Refused("held")

    # What comes

    def take(self, topic: str, message: bytes) -> Taken:
        """Return what a message changes; the replica is as if it were kept from then on."""
        try:
            return self._taken(topic, message)
        except Refused as refused:
            # What stands in the place of something good is answered as what is old is; what is
            # sealed with a key that this door does not have yet may be good.
            known = refused.reason != "unknown_key"
            answer = self._answer(topic).answer if known else None
            return Taken(answer=answer, refused=refused.reason)

    def _taken(self, topic: str, message: bytes) -> Taken:
        kind, _, rest = topic.partition("/")
        if kind == "people":
            return self._person(topic, message) if message else self._wiped(topic)
        if kind == "gone":
            return self._page(topic, message) if message else self._answer(topic)
        if topic == CHARTER:
            return self._charter(message) if message else self._charter_answer()
        if kind == HEADS and message:
            return self._head(topic, message)
        if kind == KEYS and rest == self.state.me and message:
            return self._key(message)
        raise Refused("topic")

    def _person(self, topic: str, message: bytes) -> Taken:
        said = self._opened(topic, message, Kind.PERSON, Kind.TOMBSTONE)
        version = version_of(said)
        id_ = said.head["id"]
        if not is_id(id_) or topic_of(id_) != topic:
            raise Refused("topic")
        key, new = packed(id_), version.packed()
        mine = self._holds.version(key)
        if mine == new:
            return self._same(topic, message)
        self._verify(said, version.by, topic)
        self._saw(version)
        if not version.gone and key in self._holds.gone:
            return self._answer(topic)
        if mine is not None and not self._later(new, mine):
            return self._answer(topic)
        person = None if version.gone else content_of(said)
        removed = (id_,) if version.gone and key not in self._holds.gone else ()
        self._holds.set(key, new)
        self.fresh[topic] = message
        return Taken(person, removed)

    def _page(self, topic: str, message: bytes) -> Taken:
        said = self._opened(topic, message, Kind.GONE)
        page = Page.of(said)
        if page.topic != topic:
            raise Refused("topic")
        if self._holds.ends.get(topic) == page.hashes[-1]:
            return self._same(topic, message)
        self._verify(said, page.by, topic)
        removed = tuple(ids([one for one in page.people if one not in self._holds.gone]))
        self._follow(page)
        answer = self._put_page(page, message)
        for one in removed:
            if self._holds.version(packed(one)) is not None:
                self._holds.set(packed(one), None)
                self.fresh[topic_of(one)] = None
        return Taken(removed=removed, answer=answer)

    def _put_page(self, page: Page, message: bytes) -> tuple[str, bytes] | None:
        """Keep a page, and the one before it if that is no beginning of it; return the answer."""
        topic = page.topic
        old = self._message(topic) if topic in self._holds.ends else None
        mine = self._opened_page(topic, old) if old else None
        if mine is None or old is None or mine.starts(page):
            self._keep_page(topic, page, message)
            return None
        if page.starts(mine):
            return topic, old
        if len(page.people) <= len(mine.people):
            self._keep_page(page.aside, page, message)
            return topic, old
        self._keep_page(mine.aside, mine, old)
        self._keep_page(topic, page, message)
        return None

    def _keep_page(self, topic: str, page: Page, message: bytes) -> None:
        self.fresh[topic] = message
        self._holds.put_page(topic, page)
        if topic != page.topic:
            self._list_again(page)

    def _take_up_page(self, topic: str, message: bytes) -> None:
        page = self._opened_page(topic.partition("#")[0], message)
        self._holds.put_page(topic, page)
        if topic != page.topic:
            self._list_again(page)

    def _list_again(self, page: Page) -> None:
        """Whoever stands on a page of ours that gave way to another belongs on the list."""
        if page.by == self.state.me:
            self._unlisted.update(page.people)

    def _follow(self, page: Page) -> None:
        """Go along a list as far as its pages are known, and see whether it is one list."""
        by = page.by
        while True:
            count, head = self.state.gone.get(by, (0, start(by)))
            there = page.at(count)
            if there not in (None, head) and by not in self.state.forked:
                self.state.forked.append(by)
            if there is None or page.end <= count:
                return
            self.state.gone[by] = page.end, page.hashes[-1]
            following = page_topic(by, page.number + 1)
            kept = self._message(following) if following in self._holds.ends else None
            if kept is None:
                return
            page = self._opened_page(following, kept)

    def _charter(self, message: bytes) -> Taken:
        plain = self._seal.open(message, self.state.fleet, CHARTER)
        new, name = read_charter(plain, self.state.root, self.state.fleet)
        _, mine = read_charter(self.state.charter, self.state.root, self.state.fleet)
        if name == mine:
            return Taken()
        if (new.counter, name) < (self.charter.counter, mine):
            return self._charter_answer()
        self.adopt(plain)
        return Taken(again=True)

    def _key(self, message: bytes) -> Taken:
        plain = unbox(self.state.box, message, "key")
        found = read_key(plain, self.state.root, self.state.fleet, self.state.me)
        if found.epoch in self.state.keys:
            return Taken()
        self.add_key(found.epoch, bytes.fromhex(found.key))
        return Taken(again=True)

    def _head(self, topic: str, message: bytes) -> Taken:
        said = self._opened(topic, message, Kind.HEAD)
        head = read(Head, said.head)
        if topic != f"{HEADS}/{head.by}" or len(said.data) != SHARDS * SHARD_BYTES:
            raise Refused("topic" if topic != f"{HEADS}/{head.by}" else "malformed")
        self._verify(said, head.by, topic)
        expected = self.state.expected
        expected[head.by] = max(head.gone, expected.get(head.by, 0))
        known = self.heads.get(head.by)
        if known is None or (head.counter, head.gone) >= (known[0].counter, known[0].gone):
            self.heads[head.by] = head, said.data
        return Taken()

    def _verify(self, said: Signed, by: str, topic: str) -> None:
        public = self.charter.administrators.get(by)
        if by in self.charter.revoked:
            raise Refused("revoked")
        if public is None:
            raise Refused("unknown_administrator")
        said.verify(bytes.fromhex(public), self.state.fleet, topic)

    def _same(self, topic: str, message: bytes) -> Taken:
        """The same once more: it is kept if it is sealed with a later key."""
        mine = self._message(topic)
        if mine is None or number_of(message) > number_of(mine):
            self.fresh[topic] = message
            return Taken()
        return Taken() if number_of(message) == number_of(mine) else Taken(answer=(topic, mine))

    def _wiped(self, topic: str) -> Taken:
        """A tombstone may go when its list has it; all else is answered."""
        id_ = topic.rpartition("/")[2]
        return Taken() if is_id(id_) and self.drop_tombstone(id_) else self._answer(topic)

    def _answer(self, topic: str) -> Taken:
        """Answer what is older than what is kept; somebody gone is wiped away where that is due."""
        mine = self._message(topic)
        if mine is not None:
            return Taken(answer=(topic, mine))
        kind, _, id_ = topic.rpartition("/")
        gone = kind.startswith("people/") and is_id(id_) and self.is_gone(id_)
        return Taken(answer=(topic, b"")) if gone else Taken()

    def _charter_answer(self) -> Taken:
        return Taken(answer=(CHARTER, self.seal(CHARTER, self.state.charter)))

    def _later(self, new: bytes, old: bytes) -> bool:
        was = Version.unpacked(old)
        return new > old or (not was.gone and was.by in self.charter.revoked)

    def _saw(self, version: Version) -> None:
        seen = self.state.seen
        seen[version.by] = max(seen.get(version.by, 0), version.counter)
