"""Commands from afar: heard, judged, obeyed, told of, and written down."""

from __future__ import annotations

import hashlib
import logging
import re
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.store import SeenCommand, Store, Vault
from lockd.config import Settings
from lockd.config.mqtt import CommandSettings, MqttSettings
from lockd.remote.commands import COMMANDS, PLAIN
from lockd.remote.signing import read
from lockd.service.remote_commands import WAIT_S, subscriptions
from lockd.service.remote_enrolment import RemoteEnrolments
from lockd.types import Input, InputChange
from tests.fakes import unit
from tests.patience import eventually
from tests.remote.afar import COMMAND, EVERYTHING, PLAIN_TOPIC, Afar, Message
from tests.remote.orders import KEY, NOW, OTHER_KEY

Make = Callable[..., Afar]
ARGUMENTS = {"seconds": 60, "name": "Ada", "new_name": "Eda"}


@pytest.fixture
def afar(tmp_path: Path) -> Iterator[Make]:
    made: list[Afar] = []

    def make(**settings: Any) -> Afar:
        made.append(Afar(tmp_path, **settings))
        return made[-1]

    yield make
    for one in made:
        one.close()


def test_a_signed_unlock_opens_once_and_says_so_everywhere(
    afar: Make, caplog: pytest.LogCaptureFixture
) -> None:
    door = afar()
    command = Message(COMMAND, door.signed("unlock", id="x7"))
    (result,) = door.hear(command)
    assert result.pop("utc").endswith("Z")
    assert result == {
        "schema": 1, "id": "x7", "door": "front", "command": "unlock", "by": "anna", "result": "ok",
    }  # fmt: skip
    assert door.output.log == ["on"]
    assert door.told == [("command", {"command": "unlock", "by": "mqtt:anna", "result": "ok"})]
    assert door.audit == [("mqtt:anna", "unlock: ok")]

    for again in (*door.hear(command), *door.hear(command)):
        assert (again["result"], again["reason"], again["id"]) == ("replayed", "known", "x7")
    assert door.output.log == ["on"]
    assert door.audit[1:] == [("mqtt:anna", "unlock: replayed (known)")] * 2
    assert caplog.messages == ["remote: unlock: replayed (known), by anna"] * 2


def test_a_command_is_known_again_after_a_restart(afar: Make) -> None:
    first = afar()
    command = Message(COMMAND, first.signed("unlock"))
    assert first.hear(command)[0]["result"] == "ok"
    second = afar()
    assert second.hear(command)[0]["reason"] == "known"
    assert second.output.log == []


def test_it_is_written_down_before_it_is_obeyed(
    afar: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = afar()
    command = door.signed("unlock")
    order, _ = read(command)
    known: list[SeenCommand] = []

    def look(*_: object, **__: object) -> str:
        with closing(Store.open(door.path, Vault.beside(door.path))) as other:
            known.extend(other.nonces.all()[0])
        return "ok"

    monkeypatch.setattr(door.door, "command", look)
    door.hear(Message(COMMAND, command))
    series = f"anna:{hashlib.sha256(KEY).hexdigest()[:16]}"
    assert known == [SeenCommand(series, order.nonce, order.time)]


def test_an_old_command_is_not_obeyed_though_the_clock_was_set_back(afar: Make) -> None:
    first = afar()
    old = Message(COMMAND, first.signed("unlock"))
    assert first.hear(old)[0]["result"] == "ok"
    first.pass_time(3600)
    assert first.say("lock")[0] == "ok"
    first.save()
    second = afar()  # and it is NOW once more
    for _ in range(2):
        (result,) = second.hear(old)
        assert (result["result"], result["reason"]) == ("expired", "older_than_others")
    assert second.output.log == []


@pytest.mark.parametrize(
    ("command", "fields"),
    [(command, {name: ARGUMENTS[name] for name in one.needs}) for command, one in COMMANDS.items()],
)
def test_what_is_off_is_not_done(afar: Make, command: str, fields: dict[str, Any]) -> None:
    off = {other: ["anna"] for other in COMMANDS if other != command}
    door = afar(allow=off)
    assert door.say(command, **fields) == ("not_enabled", "off")
    assert door.output.log == []
    assert door.done == []


def test_who_may_not_command_is_told_so_and_it_is_an_event(afar: Make) -> None:
    door = afar(allow={"lock": ["bert"]})
    (result,) = door.hear(Message(COMMAND, door.signed("lock", id="x7")))
    assert result.pop("utc").endswith("Z")
    said = {"command": "lock", "result": "denied", "reason": "not_allowed"}
    assert result == {"schema": 1, "id": "x7", "door": "front", "by": "anna", **said}
    assert door.told == [("command", {"by": "mqtt:anna", **said})]
    assert door.audit == [("mqtt:anna", "lock: denied (not_allowed)")]


def test_what_the_door_refuses_is_denied_with_its_reason(afar: Make) -> None:
    door = afar()
    assert door.say("lock-down") == ("ok", None)
    assert door.say("unlock") == ("denied", "locked_down")
    assert door.say("lift") == ("ok", None)
    assert door.say("hold-open", seconds=60) == ("denied", "not_allowed")
    assert door.say("unlock") == ("ok", None)
    assert door.output.log[-1] == "on"


def test_holding_open_takes_its_seconds(afar: Make) -> None:
    door = afar(door={"id": "front", "hold_open_longest_s": 100})
    assert door.say("hold-open", seconds=50) == ("ok", None)
    assert door.door.state == "hold_open"
    door.pass_time(49)
    assert door.door.state == "hold_open"
    door.pass_time(2)
    assert door.door.state == "locked"


def test_silence_lasts_as_long_as_was_said_or_ten_minutes(afar: Make) -> None:
    door = afar()
    assert door.say("silence", seconds=60) == ("ok", None)
    assert door.say("silence") == ("ok", None)
    assert [one["seconds"] for one in door.results] == [60, 600]
    assert door.done == ["silence 60", "silence 600"]


def test_what_came_of_an_enrolment_is_told_and_written_down(afar: Make) -> None:
    program = 'print("""[{"accepted": 3, "refused": []}]""")'
    door = afar(enrolments=RemoteEnrolments([sys.executable, "-c", program]))
    assert door.say("enrol", name="Ada", id="x7") == ("ok", None)

    def over() -> bool:
        door.pass_time(0.1)
        return len(door.results) == 2

    eventually(over)
    started, finished = door.results
    assert (started["id"], started["stage"]) == ("x7", "started")
    assert {one: finished[one] for one in ("id", "by", "result", "stage", "accepted")} == {
        "id": "x7", "by": "anna", "result": "ok", "stage": "finished", "accepted": 3,
    }  # fmt: skip
    assert door.audit == [("mqtt:anna", "enrol: ok"), ("mqtt:anna", "enrol finished: ok")]


def test_whoever_was_enrolled_from_afar_is_a_stranger_until_somebody_confirms(afar: Make) -> None:
    program = 'print("""[{"accepted": 3, "refused": []}]""")'
    door = afar(enrolments=RemoteEnrolments([sys.executable, "-c", program]))
    assert door.say("confirm", name="Ada") == ("denied", "nothing")
    assert door.say("enrol", name="Ada", seconds=60) == ("ok", None)
    assert door.store is not None
    # What the program would have done.
    door.store.people.add("Ada", "networks", [unit(1)], by="mqtt:anna", unconfirmed=True)

    def over() -> bool:
        door.pass_time(0.1)
        return door.results[-1].get("stage") == "finished"

    eventually(over)
    assert not door.store.people.named("Ada").enabled
    assert door.say("confirm", name="Ada") == ("ok", None)
    assert door.store.people.named("Ada").enabled
    assert door.say("confirm", name="Ada") == ("denied", "nothing")


class Waiting:
    """A door that waits for whose telephone anna is, or says why it does not."""

    def __init__(self, reason: str | None = None) -> None:
        self.reason = reason
        self.confirmed: list[tuple[str, float]] = []

    def confirm(self, identity: str, signed_utc: float) -> str | None:
        self.confirmed.append((identity, signed_utc))
        return self.reason


def test_a_telephone_says_that_its_owner_stands_at_the_door(afar: Make) -> None:
    waiting = Waiting()
    door = afar(presence=waiting)
    door.people = {"anna": "1"}
    assert door.say("confirm") == ("ok", None)
    ((identity, signed),) = waiting.confirmed
    assert identity == "anna"
    assert abs(signed - door.utc) < 2
    assert door.audit[-1] == ("mqtt:anna", "confirm: ok")
    waiting.reason = "nothing"
    assert door.say("confirm") == ("denied", "nothing")
    assert not any("on" in one for one in door.output.log), "that alone opens nothing"


def test_an_identity_of_somebodys_own_never_lets_in_whom_enrol_took(afar: Make) -> None:
    program = 'print("""[{"accepted": 3, "refused": []}]""")'
    door = afar(enrolments=RemoteEnrolments([sys.executable, "-c", program]))
    assert door.say("enrol", name="Ada", seconds=60) == ("ok", None)
    assert door.store is not None
    door.store.people.add("Ada", "networks", [unit(1)], by="mqtt:anna", unconfirmed=True)

    def over() -> bool:
        door.pass_time(0.1)
        return door.results[-1].get("stage") == "finished"

    eventually(over)
    door.people = {"anna": "1"}
    assert door.say("confirm", name="Ada") == ("denied", "not_allowed")
    assert not door.store.people.named("Ada").enabled
    door.people = {}
    assert door.say("confirm", name="Ada") == ("ok", None)


def test_where_no_telephone_is_taken_confirm_without_a_name_is_off(afar: Make) -> None:
    door = afar()
    door.people = {"anna": "1"}
    assert door.say("confirm") == ("denied", "off")


def test_whoever_may_not_confirm_does_not(afar: Make) -> None:
    waiting = Waiting()
    door = afar(presence=waiting, allow={"confirm": ["bert"]})
    door.people = {"anna": "1"}
    assert door.say("confirm") == ("denied", "not_allowed")
    assert waiting.confirmed == []


def test_nobody_who_is_enrolled_gets_a_face_from_afar(afar: Make) -> None:
    door = afar(enrolments=RemoteEnrolments(["false"]))
    assert door.store is not None
    door.store.people.add("Ada", "networks", [unit(1)], by="root")
    assert door.say("enrol", name="ADA") == ("denied", "name_refused")
    assert door.say("cancel") == ("denied", "nothing")


def test_a_snapshot_and_a_reload_are_asked_for(afar: Make) -> None:
    door = afar()
    assert door.say("snapshot") == ("ok", None)
    door.no_snapshot = "no_picture"
    assert door.say("snapshot") == ("denied", "no_picture")
    assert door.say("reload") == ("ok", None)
    assert door.done == ["snapshot", "snapshot", "reload"]
    assert [one["result"] for _, one in door.told] == ["ok", "no_picture", "ok"]


def test_people_are_listed_and_changed_in_somebodys_name(afar: Make) -> None:
    door = afar()
    assert door.store is not None
    ada = door.store.people.add("Ada", "model", [unit(1)], by="root")
    door.store.people.add("Grace", "model", [unit(0, 1)], by="root")
    assert door.say("disable", name="ada") == ("ok", None)
    assert door.results[-1]["person_id"] == ada.id
    assert door.say("people") == ("ok", None)
    assert door.results[-1]["total"] == 2
    assert door.results[-1]["people"][0] == {"name": "Ada", "id": ada.id, "enabled": False}
    assert door.say("enable", name="Ada") == ("ok", None)
    assert door.say("rename", name="Ada", new_name="Augusta") == ("ok", None)
    assert door.say("rename", name="Ada", new_name="Eda") == ("denied", "not_enrolled")
    assert door.say("rename", name="Augusta", new_name="Grace") == ("denied", "name_refused")
    assert door.say("remove", name="Augusta") == ("ok", None)
    assert door.results[-1]["verified"] is True
    assert door.say("remove", name="Augusta") == ("denied", "not_enrolled")
    assert [one.person.name for one in door.store.people.all()] == ["Grace"]
    changes = [one for one in door.store.audit.latest() if one.by == "mqtt:anna" and one.person_id]
    assert [one.action for one in changes] == ["remove", "rename", "enable", "disable"]
    notes = "".join(note or "" for _, note in door.audit)
    assert "Ada" not in notes
    assert "Grace" not in notes


def test_without_a_store_the_door_can_only_be_locked(
    afar: Make, caplog: pytest.LogCaptureFixture
) -> None:
    door = afar()
    assert door.store is not None
    door.store.close()
    door.store = None
    assert door.say("unlock") == ("denied", "store")
    assert door.say("lift") == ("denied", "store")
    assert [one for one in caplog.messages if not one.startswith("remote: ")] == [
        "there is no store; the audit trail has to wait"
    ]
    lock = Message(COMMAND, door.signed("lock"))
    assert door.hear(lock)[0]["result"] == "ok"
    assert door.hear(lock)[0]["reason"] == "known"
    assert door.say("lock-down") == ("ok", None)
    assert "on" not in door.output.log


def test_without_a_store_every_command_that_does_not_lock_is_refused(afar: Make) -> None:
    door = afar()
    store, door.store = door.store, None
    obeyed = set()
    for command, takes in COMMANDS.items():
        door.pass_time(5)
        said = door.say(command, **{name: ARGUMENTS[name] for name in takes.needs})
        assert said in [("ok", None), ("denied", "store")]
        obeyed |= {command} if said[0] == "ok" else set()
    assert obeyed == {"lock", "lock-down"}
    door.store = store


def test_without_a_store_nothing_is_obeyed_that_an_earlier_run_may_have(afar: Make) -> None:
    door = afar(ago_s=10.0, there=False)
    assert door.say("lock") == ("expired", "before_start")
    door.pass_time(20)
    assert door.say("lock") == ("expired", "before_start")
    door.pass_time(1)
    assert door.say("lock") == ("ok", None)


def test_what_the_store_cannot_take_now_is_in_the_audit_trail_later(
    afar: Make, caplog: pytest.LogCaptureFixture
) -> None:
    door = afar()
    other = sqlite3.connect(door.path, isolation_level=None)
    assert door.store is not None
    door.store.database.run("PRAGMA busy_timeout = 1")
    other.execute("BEGIN IMMEDIATE")
    assert door.say("unlock") == ("denied", "store")
    assert door.say("lock") == ("ok", None)
    for _ in range(110):
        door.say("lock")
    door.pass_time(1.5)
    other.execute("ROLLBACK")
    other.close()
    assert door.store.audit.latest() == []
    door.pass_time(2)
    assert 0 < len(door.audit) <= 100
    assert ("mqtt:anna", "lock: ok") in door.audit
    assert re.search(r"lockd\.db: .*locked.*; the audit trail has to wait$", caplog.text, re.M)


def test_no_more_than_a_hundred_entries_wait_for_the_store_and_the_log_has_the_others(
    afar: Make, caplog: pytest.LogCaptureFixture
) -> None:
    door = afar()
    store, door.store = door.store, None
    for _ in range(120):
        assert door.say("lock") == ("ok", None)
        door.pass_time(1)
    assert caplog.messages.count("not in the audit trail: lock: ok, by mqtt:anna") == 20
    door.store = store
    door.pass_time(1)
    assert door.audit == [("mqtt:anna", "lock: ok")] * 100


def more_than_may_be(door: Afar) -> list[Message]:
    return [Message(COMMAND, door.signed("silence")) for _ in range(20)]


def refused_for_now(door: Afar, why: str, command: Message) -> list[dict[str, Any]]:
    """What a door says to a command while something is wrong that passes."""
    store = door.store
    assert store is not None
    match why:
        case "store":
            door.store = None
            results = door.hear(command)
            door.store = store
        case "clock_unknown":
            door.problem = "no time server"
            results = door.hear(command)
            door.problem = None
        case "too_often":
            results = [door.hear(one)[0] for one in [*more_than_may_be(door), command]][-1:]
        case _:
            results = door.hear(replace(command, retained=why == "retained"))
    return results


@pytest.mark.parametrize(
    ("expected", "why", "fields"),
    [
        ("denied", "store", {}),
        ("denied", "clock_unknown", {}),
        ("denied", "too_often", {}),
        ("replayed", "retained", {}),
        ("expired", "in_the_future", {"time": NOW + 40}),
    ],
)
def test_what_was_refused_is_refused_when_it_comes_again(
    afar: Make, expected: str, why: str, fields: dict[str, Any]
) -> None:
    door = afar(ago_s=10.0)
    command = Message(COMMAND, door.signed(**{"command": "unlock", **fields}))
    (result,) = refused_for_now(door, why, command)
    assert (result["result"], result["reason"]) == (expected, why)
    door.pass_time(20)
    for _ in range(2):
        assert door.hear(command)[0]["reason"] in ("refused_before", "known", "too_often")
    assert "on" not in door.output.log


def test_while_the_clock_may_be_wrong_nothing_is_obeyed(afar: Make) -> None:
    door = afar()
    door.problem = "no time server"
    assert door.say("unlock", time=NOW) == ("denied", "clock_unknown")
    door.problem = None
    assert door.say("unlock") == ("ok", None)


def test_a_key_that_was_taken_away_is_of_no_use_at_once(afar: Make) -> None:
    door = afar(allow={"unlock": ["anna", "bert"]})
    assert door.say("unlock", OTHER_KEY, by="bert") == ("ok", None)
    del door.keys["bert"]
    assert door.say("unlock", OTHER_KEY, by="bert") == ("denied", "not_authentic")
    assert door.told[-1][1]["result"] == "ok"  # nothing of whoever it was
    assert door.audit[-1] == ("unknown", "command: denied (not_authentic)")


def test_a_renewed_key_begins_anew(afar: Make) -> None:
    door = afar()
    assert door.say("lock", time=NOW + 20) == ("ok", None)
    door.keys["anna"] = OTHER_KEY
    assert door.say("lock", OTHER_KEY) == ("ok", None)


def test_plain_words_do_what_is_listed_and_nothing_else(afar: Make) -> None:
    door = afar(allow={}, plain="lock unlock lock-down lift silence snapshot")
    for word in PLAIN:
        (result,) = door.word(word)
        assert (result["result"], result["by"]) == ("ok", "plain"), word
        assert "id" not in result
        door.door.command("lift", 0, "test")
    assert "on" in door.output.log
    assert door.done == ["silence 600", "snapshot"]
    assert ("mqtt:plain", "unlock: ok") in door.audit
    assert door.word(b"UNLOCK", retained=True)[0]["result"] == "replayed"
    assert door.word(b"UNLOCK", duplicate=True)[0]["result"] == "replayed"


def test_a_word_on_the_other_topic_opens_nothing(afar: Make) -> None:
    door = afar(plain="unlock")
    door.hear(
        Message("lockd/back/command/plain", b"UNLOCK"),
        Message("lockd/front/command/", b"UNLOCK"),
        Message(COMMAND, b"UNLOCK"),
        Message(PLAIN_TOPIC, door.signed("unlock")),
    )
    assert door.output.log == []
    assert len(door.results) == 2  # what came to another topic is nobody's command


def test_rubbish_is_told_a_few_times_and_then_once_a_minute(
    afar: Make, caplog: pytest.LogCaptureFixture
) -> None:
    door = afar()
    with caplog.at_level(logging.WARNING):
        for number in range(10_000):
            door.hear(Message(COMMAND, b"rubbish %d" % number))
        assert len(door.results) == len(door.audit) == 5
        assert caplog.messages == ["remote: command: malformed (not_json), by nobody known"] * 5
        door.pass_time(59)
        assert len(caplog.records) == 5
        door.pass_time(1)
    assert len(door.results) == 5
    assert caplog.messages[5:] == [
        "remote: more commands within a minute, not told one by one: 9995 malformed (not_json)"
    ]
    assert door.audit[-1] == ("unknown", "more within a minute: 9995 malformed (not_json)")
    door.pass_time(600)
    assert len(door.audit) == 6
    assert door.told == []


def test_rubbish_that_never_ends_puts_no_summary_off(afar: Make) -> None:
    door = afar()
    for _ in range(190):
        door.hear(Message(COMMAND, b"rubbish"))
        door.pass_time(1)
    summaries = [note for by, note in door.audit if note and note.startswith("more within")]
    assert len(summaries) == 3


def test_rubbish_takes_nothing_from_those_who_can_sign(afar: Make) -> None:
    door = afar()
    old = Message(COMMAND, door.signed("unlock", time=NOW - 100))
    for _ in range(1000):
        door.hear(Message(COMMAND, b"rubbish"), old)
    assert door.say("unlock") == ("ok", None)
    assert len(door.results) == 5 + 10 + 1


def test_nobody_commands_without_end_except_to_lock(afar: Make) -> None:
    door = afar(allow={**EVERYTHING, "snapshot": ["bert"]})
    said = [door.say("unlock") for _ in range(40)]
    assert said[:20] == [("ok", None)] * 20
    assert said[20:30] == [("denied", "too_often")] * 10
    assert said[30:] == [("untold", None)] * 10
    assert door.door.state == "unlocking"
    assert door.say("lock") == ("untold", None)
    assert door.door.state == "locked"
    assert door.say("snapshot", OTHER_KEY, by="bert") == ("ok", None)
    door.pass_time(1)
    assert [door.say("people") for _ in range(2)] == [("ok", None), ("untold", None)]
    door.pass_time(60)
    assert door.audit[-1] == ("unknown", "more within a minute: 11 denied (too_often), 1 ok")
    assert door.say("unlock") == ("ok", None)


def test_refusals_are_told_of_again_after_a_while(afar: Make) -> None:
    door = afar(allow={"lock": ["anna"]})

    def told(seconds: float, message: Callable[[], Message]) -> list[int]:
        counts = [len(door.hear(*(message() for _ in range(20))))]
        for wait in (seconds * 0.9, seconds * 0.2):
            door.pass_time(wait)
            counts.append(len(door.hear(message(), message())))
        return counts

    assert told(5, lambda: Message(COMMAND, door.signed("unlock"))) == [10, 0, 1]
    assert told(60, lambda: Message(COMMAND, b"rubbish")) == [5, 0, 1]


def test_a_mistake_of_ours_ends_nothing(
    afar: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    door = afar()

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a mistake")

    monkeypatch.setattr(door.door, "command", fail)
    for _ in range(15):
        assert door.say("unlock") == ("untold", None)
    assert caplog.text.count("RuntimeError: a mistake") == 5
    assert caplog.messages == ["remote: a command"] * 5


def test_the_end_of_the_service_ends_an_enrolment(afar: Make) -> None:
    door = afar(enrolments=RemoteEnrolments([sys.executable, "-c", "import time; time.sleep(600)"]))
    assert door.say("enrol", name="600") == ("ok", None)
    assert door.results[-1]["stage"] == "started"
    assert door.say("enrol", name="600") == ("denied", "busy")
    door.commander.close()
    assert door.say("enrol", name="600") == ("ok", None)


def test_who_may_command_and_has_no_key_is_told_at_the_start(
    afar: Make, caplog: pytest.LogCaptureFixture
) -> None:
    afar(allow={"lock": ["anna", "cleo"], "unlock": ["dora"]})
    assert caplog.messages == ["mqtt.commands.allow names cleo, dora: without a key"]


def test_where_nothing_is_signed_no_key_is_asked_for(
    afar: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Afar, "current", lambda self: pytest.fail("asked"))
    assert afar(allow={}, plain="lock").word(b"LOCK")[0]["result"] == "ok"


def test_only_topics_of_what_is_enabled_are_subscribed_to() -> None:
    def of(**commands: Any) -> list[str]:
        mqtt = MqttSettings(commands=CommandSettings(**commands))
        return subscriptions(Settings(mqtt=mqtt))

    door = Settings().door.id
    assert of() == []
    assert of(allow={"lock": ["anna"]}) == [f"lockd/{door}/command"]
    assert of(plain=["lock"]) == [f"lockd/{door}/command/plain"]


def waits(door: Afar, command: str = "unlock", **fields: Any) -> None:
    """Somebody gives a command; the disk has not had the time to write it down."""
    door.commander.hear([Message(COMMAND, door.signed(command, **fields))])
    door.commander.pass_time()
    assert door.results == []


def test_an_order_waits_for_the_disk_but_nothing_waits_for_the_order(afar: Make) -> None:
    door = afar()
    waits(door)
    assert door.output.log == []
    door.write()
    door.commander.pass_time()
    assert door.output.log == ["on"]
    assert [one["result"] for one in door.results] == ["ok"]


@pytest.mark.parametrize("command", ["lock", "lock-down"])
def test_an_order_to_lock_waits_for_nothing(afar: Make, command: str) -> None:
    door = afar()
    assert door.door.command("unlock", 0, "test") == "ok"
    door.commander.hear([Message(COMMAND, door.signed(command))])
    assert door.output.log[:2] == ["on", "off"]
    assert [one["result"] for one in door.results] == ["ok"]


@pytest.mark.parametrize("way", ["signed", "plain", "local", "tamper"])
@pytest.mark.parametrize("command", ["unlock", "hold-open", "lift"])
def test_an_order_to_lock_goes_before_one_to_open_that_waits(
    afar: Make, command: str, way: str
) -> None:
    door = afar(
        plain="lock-down",
        door={"id": "front", "hold_open_longest_s": 100, "tamper_locks_down": True},
        inputs={"tamper": {"pin": 5}},
    )
    waits(door, command, **({"seconds": 60} if command == "hold-open" else {}))
    match way:
        case "signed":
            door.commander.hear([Message(COMMAND, door.signed("lock"))])
        case "plain":
            door.commander.hear([Message(PLAIN_TOPIC, b"LOCK_DOWN")])
        case "local":
            door.door.command("lock-down", 0, "somebody")
        case _:
            door.door.changed(InputChange(Input.TAMPER, True))
    door.step()
    assert (door.results[-1]["result"], door.results[-1]["reason"]) == ("denied", "overtaken")
    assert "on" not in door.output.log
    assert door.door.state in ("locked", "locked_down")
    assert (door.door.state == "locked_down") == (way != "signed")


def test_an_order_that_the_disk_takes_too_long_for_is_refused_for_good(afar: Make) -> None:
    door = afar()
    command = Message(COMMAND, door.signed("unlock"))
    door.commander.hear([command])
    door.commander.pass_time()
    door.clock.advance(door.clock.now() + WAIT_S)
    door.commander.pass_time()
    assert [one["reason"] for one in door.results] == ["store"]
    door.step()
    assert door.hear(command)[0]["reason"] == "known"
    assert "on" not in door.output.log


def test_a_key_that_was_taken_away_meanwhile_opens_nothing(afar: Make) -> None:
    door = afar()
    waits(door)
    door.keys["anna"] = OTHER_KEY
    door.step()
    assert [one["reason"] for one in door.results] == ["not_authentic"]
    assert "on" not in door.output.log


def test_many_commands_are_one_transaction(afar: Make) -> None:
    door = afar()
    assert door.store is not None
    frames = door.path.with_name("lockd.db-wal")
    door.step()
    before = frames.stat().st_size
    door.commander.hear([Message(COMMAND, door.signed("lock")) for _ in range(600)])
    for _ in range(10):
        door.pass_time(0.25)
    door.save()
    assert frames.stat().st_size - before <= 600 * 1000


def test_what_presses_is_written_down_nowhere_but_is_known(afar: Make) -> None:
    door = afar()
    commands = [Message(COMMAND, door.signed("lock")) for _ in range(100)]
    door.hear(*commands)
    door.save()
    assert len(door.store.nonces.all()[0]) == 20  # type: ignore[union-attr]
    door.results.clear()
    door.pass_time(60)
    assert {one["reason"] for one in door.hear(*commands[-5:])} == {"too_old"}


def test_who_may_do_the_least_holds_nobody_up(afar: Make) -> None:
    door = afar(allow={"unlock": ["anna"], "lock": ["bert"]})
    flood = [Message(COMMAND, door.signed("lock", OTHER_KEY, by="bert")) for _ in range(500)]
    other = [Message(COMMAND, door.signed("unlock", OTHER_KEY, by="bert")) for _ in range(500)]
    door.commander.hear(flood + other)
    door.results.clear()
    assert door.say("unlock") == ("ok", None)


def after(door: Afar, afar: Make, how: str) -> Afar:
    """The door after a reload, or a restart."""
    if how == "reload":
        door.commander.close()
        return afar(ledger=door.ledger)
    door.save()
    return afar()


@pytest.mark.parametrize("how", ["reload", "restart"])
@pytest.mark.parametrize(
    ("allow", "fields", "reason"),
    [
        (EVERYTHING, {"time": NOW + 40}, "in_the_future"),
        ({"unlock": ["bert"]}, {}, "not_allowed"),
        ({"lock": ["anna"]}, {}, "off"),
    ],
)
def test_what_was_refused_stays_refused_after(
    afar: Make, how: str, allow: dict[str, list[str]], fields: dict[str, Any], reason: str
) -> None:
    door = afar(allow=allow)
    command = Message(COMMAND, door.signed("unlock", **fields))
    assert door.hear(command)[0]["reason"] == reason
    later = after(door, afar, how)
    later.pass_time(20)
    assert later.hear(command)[0]["reason"] == "refused_before"
    assert "on" not in later.output.log


def test_whoever_repeats_what_was_refused_closes_nobodys_key(afar: Make) -> None:
    door = afar()
    early = Message(COMMAND, door.signed("unlock", time=NOW + 40))
    for _ in range(100):
        door.hear(early)
    assert door.say("unlock") == ("ok", None)


@pytest.mark.parametrize("how", ["reload", "restart"])
def test_whoever_has_very_many_refused_has_none_obeyed_later(afar: Make, how: str) -> None:
    door = afar()
    early = [Message(COMMAND, door.signed("unlock", time=NOW + 40)) for _ in range(3000)]
    door.hear(*early)
    later = after(door, afar, how)
    assert len(later.store.nonces.all()[0]) <= 21  # type: ignore[union-attr]
    later.pass_time(20)
    later.hear(*early)
    assert "on" not in later.output.log
    assert later.say("lock")[0] in ("ok", "untold")
    assert later.door.state == "locked"
    later.pass_time(60)
    assert later.say("unlock") == ("ok", None)


@pytest.mark.parametrize("how", ["here", "reload", "restart"])
@pytest.mark.parametrize("command", ["unlock", "lock"])
def test_a_command_that_was_held_back_is_not_obeyed_when_the_clock_is_set_back(
    afar: Make, how: str, command: str
) -> None:
    door = afar()
    held_back = Message(COMMAND, door.signed(command))
    door.pass_time(3 * 86400)
    if how == "here":
        door.ahead_s += 3 * 86400
    else:
        door = after(door, afar, how)  # where it is NOW once more
    (result,) = door.hear(held_back)
    assert (result["result"], result["reason"]) == ("expired", "time_passed")
    assert door.output.log == []


def test_a_time_is_kept_though_nobody_commands_anything(afar: Make) -> None:
    door = afar()
    held_back = Message(COMMAND, door.signed("unlock"))
    for _ in range(5):  # and then the power is lost
        door.pass_time(60)
        door.pass_time(1)
    assert afar().hear(held_back)[0]["reason"] == "time_passed"


def test_a_new_key_has_no_past_that_a_wrong_clock_gave_it(afar: Make) -> None:
    door = afar()
    door.pass_time(3 * 86400)
    door.ahead_s += 3 * 86400
    assert door.say("unlock") == ("expired", "time_passed")
    door.keys["anna"] = OTHER_KEY
    assert door.say("unlock", OTHER_KEY) == ("ok", None)


def test_before_a_reload_orders_are_finished_and_new_ones_left_for_the_next(afar: Make) -> None:
    door = afar()
    waits(door)
    assert not door.commander.may_leave(door.clock.now())
    late, lock = (Message(COMMAND, door.signed(one)) for one in ("people", "lock"))
    door.write()
    door.commander.hear([late])
    door.commander.pass_time()
    assert door.output.log == ["on"]
    door.commander.hear([lock])
    assert door.output.log[:2] == ["on", "off"]
    assert door.commander.may_leave(door.clock.now())
    assert door.commander.leave() == [late]
    assert [one["command"] for one in door.results] == ["unlock", "lock"]


def test_a_disk_that_hangs_keeps_no_configuration_from_being_read(afar: Make) -> None:
    door = afar()
    assert not door.say("people") or door.commander.may_leave(door.clock.now())
    door.commander.leave()
    door.commander.hear([Message(COMMAND, door.signed("unlock"))])
    now = door.clock.now()
    assert not door.commander.may_leave(now)
    assert door.commander.may_leave(now + 2 * WAIT_S)
