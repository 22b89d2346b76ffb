"""A door's part in a fleet, in a thread of its own: nothing of it holds up the judging of faces.

It has a connection to the broker of its own, so that nothing that others publish there takes room
from commands. While there is no broker the people stay as they are; what is changed here meanwhile
is found in the store and signed as soon as all was read that the others have signed. Of somebody
whom they changed, too, that is that they were removed or disabled here; all else is as they say.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Collection
from contextlib import suppress

from lockd.adapters.mqtt.bus import Bus
from lockd.adapters.store import OwnStore, Store, SupersededError
from lockd.config import Settings
from lockd.errors import StoreError
from lockd.fleet.charter import CHARTER, DOORS, HEADS, KEYS, Report
from lockd.fleet.records import is_id
from lockd.fleet.sealing import LONGEST_MESSAGE, Refused
from lockd.messages import Topics
from lockd.service.fleet_book import FleetBook
from lockd.service.fleet_post import Post
from lockd.service.fleet_reading import Reading

log = logging.getLogger(__name__)

MAX_PACKET = LONGEST_MESSAGE + 1024
_SMALL, SMALL_ROOM, _LARGE_ROOM = 1 << 14, 1024, 64
_BATCH = 128
_LOOK_S, _IDLE_S = 10.0, 0.5
_FAREWELL_S = 3.0
_REPORT_S, _REPORT_AGAIN_S = (0.5, 2.0), 3600.0
_DROP_S, _DAY_S = 3600.0, 86400.0
_SUSPECT_S = 20.0
READ_AGAIN_S = 30.0
_MORE_SEEN = 10_000


def lanes(topic: str, message: bytes) -> tuple[str, int]:
    """Return where a message waits and how many may: with 32 megabytes at most, whatever comes."""
    return ("small", SMALL_ROOM) if len(message) <= _SMALL else ("large", _LARGE_ROOM)


def open_bus(settings: Settings) -> Bus:
    """Return a connection for the fleet alone, not begun yet.

    Raises:
        BusError: if the password or a certificate cannot be read.
    """
    own = f"{settings.mqtt.client(settings.door.id)[:58]}-fleet"
    mqtt = settings.mqtt.model_copy(update={"client_id": own})
    topics = Topics(f"{settings.fleet.base_topic}/online", settings.door.id)
    return Bus(mqtt, topics, settings.door.id, lanes=lanes, max_packet=MAX_PACKET)


class FleetDoor:
    """Hears what other doors sign, writes it into the store, and publishes what is signed here.

    Attributes:
        wake: called, from its thread, when people were changed.
    """

    def __init__(
        self,
        settings: Settings,
        opener: Callable[[], Store],
        bus: Bus,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare it.

        Args:
            opener: opens the store, and never makes one.
            bus: from `open_bus`.
        """
        self._base = settings.fleet.base_topic
        self._keep_s = settings.fleet.keep_gone_days * _DAY_S
        self._own = OwnStore(opener)
        self._bus = bus
        self.wake = wake
        self._stir = threading.Event()
        self._closing = False
        self._thread: threading.Thread | None = None
        self._chance = random.SystemRandom()
        self._problem: str | None = None
        self._begin()

    def _begin(self) -> None:
        self._book: FleetBook | None = None
        self._store: Store | None = None
        self._session: object = None
        self._reading: Reading | None = None
        self._given_back = False
        self._inbox: deque[tuple[str, bytes]] = deque()
        self._post = Post(self._base, self._bus)
        self._reports: dict[str, Report] = {}
        self._reported: Report | None = None
        self._reported_anew = False
        self._report_at = self._look_at = self._sign_at = 0.0
        self._drop_at = time.monotonic() + _DROP_S
        self._read_again_at: float | None = None
        self._lost = self._bus.lost
        self._suspect_since: float | None = None
        self._refused: Counter[str] = Counter()
        self._shut_out = False
        self._alone = 0

    # For the service's thread

    @property
    def problem(self) -> str | None:
        """What is wrong, or None; starts a thread that died anew."""
        if self._thread is not None and not self._thread.is_alive() and not self._closing:
            log.critical("the thread of the fleet has died; starting another")
            self._own.forget()
            self.start()
        self._bus.notices()
        return self._problem

    def start(self) -> None:
        """Begin."""
        self._begin()
        self._bus.wake = self._bus.moved = self._stir.set
        self._thread = threading.Thread(target=self._run, name="fleet", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End, within some seconds."""
        self._closing = True
        self._stir.set()
        if self._thread is not None:
            self._thread.join(_FAREWELL_S)
        self._bus.close()

    # In its thread

    def _run(self) -> None:
        while not self._closing:
            self._stir.wait(0.0 if self._inbox else _IDLE_S)
            self._stir.clear()
            began = time.monotonic()
            try:
                worked = self._work(began)
            except SupersededError:
                self._read_again_at = began
            except StoreError as error:
                self._problem = str(error)
                self._own.give_up(str(error))
                self._book = None
            except Exception:  # a mistake of ours must not end the thread
                log.exception("the fleet")
                self._begin()
            else:
                if worked and not self._closing:  # leave half of the time to others
                    time.sleep(min(0.2, (time.monotonic() - began) / 2))
        self._own.close()

    def _work(self, now: float) -> bool:
        """Do some of what there is; return whether there was much."""
        self._inbox.extend((one.topic, one.payload) for one in self._bus.inbox())
        book = self._opened()
        if book is None:
            self._inbox.clear()
            return False
        if book.refresh():  # by a command: what it signed may not be at the broker
            for topic in [CHARTER, *book.all_held()]:
                self._post.put(topic)
        if book.mend():
            self.wake()
        if self._bus.lost != self._lost:  # among them may be that somebody was removed
            self._lost = self._bus.lost
            self._read_again_at = self._read_again_at or now + READ_AGAIN_S
        self._follow_session(book, now)
        worked = self._hear(book, now)
        self._read_on(book, now)
        if self._reading is not None and self._reading.done and not self._inbox:
            self._sign(book, now)
            self._tidy(book, now)
            self._report(book, now)
        self._post.send(now, lambda topic: _held(book, topic))
        self._judge(book, now)
        return worked

    def _opened(self) -> FleetBook | None:
        store = self._own.usable()
        if store is None:
            self._problem = self._own.problem or self._problem
            self._book = None
            return None
        if self._book is None or store is not self._store:
            self._book, self._store = FleetBook(store), store
            self._session = None  # read everything: what came meanwhile was not taken
        return self._book

    def _follow_session(self, book: FleetBook, now: float) -> None:
        session = self._bus.session
        if session is self._session:
            return
        self._session = session
        self._post.begin()
        self._reading = self._reported = None
        if session is not None:
            self._read_all(book, now)

    # Hearing

    def _read_all(self, book: FleetBook, now: float) -> None:
        self._read_again_at = None
        self._given_back = False
        me = book.state.me
        own = [f"{KEYS}/{me}", f"{DOORS}/{me}/mark"]
        if book.state.root_key:
            own.append(f"{DOORS}/+/report")
        self._reading = Reading(
            own,
            lambda topics: self._bus.listen(*(f"{self._base}/{one}" for one in topics)),
            lambda mark: self._bus.publish(f"{self._base}/{DOORS}/{me}/mark", mark),
            now,
            _MORE_SEEN + 2 * sum(1 for _ in book.all_held()),
        )

    def _hear(self, book: FleetBook, now: float) -> bool:
        """Take some of what came."""
        batch: list[tuple[str, bytes]] = []
        marks: list[bytes] = []
        while self._inbox and len(batch) < _BATCH:
            topic, message = self._inbox.popleft()
            topic = topic[len(self._base) + 1 :]
            if topic == f"{DOORS}/{book.state.me}/mark":
                marks.append(message)
            elif topic.startswith(f"{DOORS}/"):
                self._hear_report(book, topic, message)
            else:
                batch.append((topic, message))
        if batch:
            self._take(book, batch, now)
        for one in marks:
            if self._reading is not None:
                self._reading.marked(one, now)
        return bool(batch)

    def _take(self, book: FleetBook, batch: list[tuple[str, bytes]], now: float) -> None:
        try:
            outcome = book.take(batch)
        except StoreError:
            self._read_again_at = now  # they are not taken, and come again
            raise
        for topic, message in batch:
            if self._reading is not None:
                self._reading.heard(topic, message, now)
            if topic not in outcome.answers:
                self._post.heard(topic)
        for topic in outcome.answers:
            self._post.owe(topic, now, first=book.replica.administers)
        if outcome.again:
            self._read_again_at = now
            self._shut_out = False
        elif "unknown_key" in outcome.refused:
            self._shut_out = True
        if outcome.changed:
            self.wake()
        if outcome.refused.keys() - self._refused.keys():
            log.warning("fleet: messages were not taken: %s", ", ".join(sorted(outcome.refused)))
        self._refused.update(outcome.refused)

    def _hear_report(self, book: FleetBook, topic: str, message: bytes) -> None:
        with suppress(Refused):
            if message:
                self._reports[topic.split("/")[1]] = book.open_report(topic, message)[1]

    def _read_on(self, book: FleetBook, now: float) -> None:
        reading = self._reading
        if reading is None:
            return
        reading.look(now)
        if not reading.done or self._inbox:
            return
        if not self._given_back:
            self._give_back(book, now, reading.seen)
            reading.seen.clear()
            self._given_back = True
        if self._read_again_at is not None and now >= self._read_again_at:
            self._read_all(book, now)
        elif now >= self._look_at and (behind := book.replica.behind()):
            self._look_at = now + READ_AGAIN_S
            log.info("fleet: %d shards are behind, and read again", len(behind))
            self._bus.listen(*(f"{self._base}/people/{one:02x}/#" for one in behind))

    def _give_back(self, book: FleetBook, now: float, seen: Collection[str]) -> None:
        """Have the broker told what is held and it does not have."""
        first = book.replica.administers
        for topic in [CHARTER, *book.all_held()]:
            if topic not in seen:
                self._post.owe(topic, now, first=first)

    # Saying

    def _sign(self, book: FleetBook, now: float) -> None:
        store = self._store
        if store is None or not (store.gallery.changed() or now >= self._sign_at):
            return
        self._sign_at = now + _LOOK_S
        self._tell_of_own(len(book.local_only()))
        said = book.sign_changes(int(time.time()))
        for one in said:
            self._post.put(one.topic, one.message if one.topic.startswith(HEADS) else None)
        if said:
            self._sign_at = now  # there may be more

    def _tell_of_own(self, count: int) -> None:
        """Say how many are known, or known so, at this door alone."""
        if count != self._alone:
            self._alone = count
            log.warning("fleet: this door may not enrol for others; %d people are its own", count)

    def _report(self, book: FleetBook, now: float) -> None:
        """Say what this door holds, some time after it changed, and now and then."""
        said, report = book.report(int(time.time()), book.replica.problem())
        known = self._reported
        if known is None or report.model_copy(update={"time": known.time}) != known:
            if self._reported_anew is False:
                self._report_at = now + self._chance.uniform(*_REPORT_S)
            self._reported_anew = True
        if now >= self._report_at:
            self._post.put(said.topic, said.message)
            self._reported, self._reported_anew = report, False
            self._report_at = now + _REPORT_AGAIN_S

    def _tidy(self, book: FleetBook, now: float) -> None:
        """Where the fleet was founded: wipe tombstones that every door knows of and are old."""
        if not book.state.root_key or now < self._drop_at:
            return
        self._drop_at = now + _DROP_S
        for topic in book.drop_tombstones(self._reports, int(time.time() - self._keep_s)):
            self._post.put(topic, b"")

    def _judge(self, book: FleetBook, now: float) -> None:
        word = book.replica.problem() or ("thrown_out" if self._shut_out else None)
        if word == "incomplete" and (self._reading is None or not self._reading.done):
            word = None
        if word is None:
            self._suspect_since = None
        elif self._suspect_since is None:
            self._suspect_since = now
        suspect = self._suspect_since is not None and now - self._suspect_since >= _SUSPECT_S
        deaf = self._reading is not None and self._reading.deaf
        self._problem = _SAID.get(word or "") if suspect else _DEAF if deaf else None


_SAID = {
    "incomplete": "fleet: it is known that somebody was removed, but the broker does not say who; "
    "was an old copy of it put back? see `lockd fleet status`",
    "thrown_out": "fleet: what others say is sealed with a key that this door was not given; it "
    "was thrown out, and goes on with the people it had: `lockd fleet leave`, and join anew",
    "forked": "fleet: there are two lists of who was removed, and both count; an administrator's "
    "door was put back from a backup, or its key was stolen; see docs/fleet.md",
}
_DEAF = (
    "fleet: what this door publishes does not come back; correct the broker's access list: "
    "docs/fleet.md"
)


def _held(book: FleetBook, topic: str) -> bytes | None:
    """What belongs on a topic; nothing, which wipes it, if it is of somebody gone."""
    if topic == CHARTER:
        return book.charter().message
    message, id_ = book.message(topic), topic.rpartition("/")[2]
    if message is None and topic.startswith("people/") and is_id(id_) and book.replica.is_gone(id_):
        return b""
    return message
