"""Who may command what from afar: nothing that was not signed just now is obeyed."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lockd.config.mqtt import CommandSettings
from lockd.remote.commands import COMMANDS, PLAIN
from lockd.remote.judging import ANYBODY, Judge, Judgement, Rejection, Result
from lockd.remote.signing import Order, read
from tests.remote.orders import KEY, NOW, ORDER, OTHER_KEY, payload

ALLOW = {command: ["anna"] for command in COMMANDS}
KEYS = {"anna": KEY, "bert": OTHER_KEY}


def take_all(order: Order, key: bytes) -> Rejection | None:
    return None


class Door:
    """A judge, and what it took."""

    def __init__(self, allow: dict[str, list[str]] | None = None, plain: str = "") -> None:
        self.judge = Judge(
            "front", ALLOW if allow is None else allow, plain.split(), base_topic="lockd"
        )
        self.taken: list[Order] = []

    def says(
        self,
        payload: bytes,
        *,
        retained: bool = False,
        now: float | None = NOW,
        keys: dict[str, bytes] = KEYS,
    ) -> Judgement:
        return self.judge.signed(payload, retained=retained, keys=keys, now=now, look=self._look)

    def _look(self, order: Order, key: bytes) -> Rejection | None:
        assert key == KEYS[order.by]
        if order in self.taken:
            return Result.REPLAYED, "known"
        self.taken.append(order)
        return None


def told(judgement: Judgement) -> tuple[str, str | None]:
    return judgement.result.value, judgement.reason


@pytest.fixture
def door() -> Door:
    return Door()


def test_a_signed_command_of_now_is_obeyed_once(door: Door) -> None:
    first = door.says(payload())
    assert first == Judgement(Result.OK, None, "a1", "anna", "unlock", ORDER)
    assert told(door.says(payload())) == ("replayed", "known")


@pytest.mark.parametrize(
    ("late_s", "expected"),
    [
        (-30.5, ("expired", "in_the_future")),
        (-30.0, ("ok", None)),
        (0.0, ("ok", None)),
        (30.0, ("ok", None)),
        (30.5, ("expired", "too_old")),
        (1e9, ("expired", "too_old")),
        (float("nan"), ("expired", "in_the_future")),
    ],
)
def test_the_window_is_thirty_seconds_either_way(
    door: Door, late_s: float, expected: tuple[str, str | None]
) -> None:
    assert told(door.says(payload(), now=NOW + late_s)) == expected


def test_while_the_time_is_not_known_nothing_is_obeyed(door: Door) -> None:
    assert told(door.says(payload(), now=None)) == ("denied", "clock_unknown")


def test_what_the_broker_kept_is_refused(door: Door) -> None:
    assert told(door.says(payload(), retained=True)) == ("replayed", "retained")
    assert door.taken == []


@pytest.mark.parametrize("changes", [{"door": "back"}, {"base_topic": "lockd/annex"}])
def test_another_doors_command_is_refused(door: Door, changes: dict[str, str]) -> None:
    assert told(door.says(payload(**changes))) == ("denied", "other_door")


def test_a_command_must_be_enabled_and_its_giver_allowed() -> None:
    door = Door({"unlock": ["bert"], "lock": []})
    assert told(door.says(payload())) == ("denied", "not_allowed")
    assert told(door.says(payload(OTHER_KEY, by="bert"))) == ("ok", None)
    assert told(door.says(payload(command="lock"))) == ("not_enabled", "off")
    assert told(door.says(payload(command="lift"))) == ("not_enabled", "off")


def test_nobody_can_command_with_a_key_that_is_gone(door: Door) -> None:
    assert told(door.says(payload(), keys={"bert": OTHER_KEY})) == ("denied", "not_authentic")
    assert told(door.says(payload(bytes(32)), keys={})) == ("denied", "not_authentic")
    assert told(door.says(payload(bytes(32), by="nobody"))) == ("denied", "not_authentic")


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"by": "nobody"},
        {"by": "bert"},
        {"door": "back"},
        {"time": NOW - 1000},
        {"command": "lift"},
        {"command": "dance"},
        {"command": "hold-open"},
        {"id": "other"},
    ],
)
@pytest.mark.parametrize("retained", [False, True])
def test_those_who_cannot_sign_are_told_the_same_whatever_they_try(
    changes: dict[str, object], retained: bool
) -> None:
    door = Door({"unlock": ["anna"]})
    said = door.says(payload(b"no key of anybody", **changes), retained=retained, now=None)
    assert said == Judgement(Result.DENIED, "not_authentic", changes.get("id", "a1"))  # type: ignore[arg-type]
    assert door.taken == []


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"command": "dance"}, "unknown_command"),
        ({"command": "frame"}, "unknown_command"),
        ({"seconds": 5}, "arguments"),
        ({"name": "Ada"}, "arguments"),
        ({"command": "hold-open"}, "arguments"),
        ({"command": "hold-open", "seconds": 5, "name": "Ada"}, "arguments"),
        ({"command": "hold-open", "seconds": 5}, None),
        ({"command": "silence"}, None),
        ({"command": "silence", "seconds": 5}, None),
        ({"command": "rename", "name": "Ada"}, "arguments"),
        ({"command": "rename", "name": "Ada", "new_name": "Eda"}, None),
        ({"command": "remove"}, "arguments"),
        ({"command": "remove", "name": "Ada"}, None),
        ({"command": "enrol", "name": "Ada", "new_name": "Eda"}, "arguments"),
    ],
)
def test_a_command_has_its_arguments_and_no_others(
    door: Door, changes: dict[str, object], expected: str | None
) -> None:
    said = door.says(payload(**changes))
    assert told(said) == (("ok", None) if expected is None else ("malformed", expected))


SECONDS, NAME, NEW_NAME = {"seconds": 5}, {"name": "Ada"}, {"new_name": "Eda"}
GOOD: dict[str, list[dict[str, object]]] = {
    "hold-open": [SECONDS],
    "silence": [{}, SECONDS],
    "rename": [NAME | NEW_NAME],
    "enrol": [NAME, SECONDS | NAME],
    "confirm": [{}, NAME],
    **{command: [NAME] for command in ("enable", "disable", "remove")},
}
"""The arguments that commands may have; others have none."""


@pytest.mark.parametrize("command", COMMANDS)
def test_of_all_arguments_a_command_takes_its_own(command: str) -> None:
    for seconds, name, new_name in product(({}, SECONDS), ({}, NAME), ({}, NEW_NAME)):
        given: dict[str, object] = seconds | name | new_name
        said = told(Door().says(payload(command=command, **given)))
        good = given in GOOD.get(command, [{}])
        assert said == (("ok", None) if good else ("malformed", "arguments")), given


@given(st.data())
def test_whatever_byte_of_a_command_is_altered_it_is_not_obeyed(data: st.DataObject) -> None:
    order = replace(
        ORDER,
        command=data.draw(st.sampled_from(["unlock", "silence", "rename"])),
        seconds=data.draw(st.none() | st.integers(1, 600)),
        name=data.draw(st.none() | st.sampled_from(["Ada", 'Zo\u00eb "\\" 1'])),
    )
    good = bytearray(order.payload(KEY))
    place = data.draw(st.integers(0, len(good) - 1))
    good[place] ^= data.draw(st.integers(1, 255))
    assert Door().says(bytes(good)).result is not Result.OK


@given(
    st.dictionaries(
        st.sampled_from(["id", "door", "command", "by", "time", "nonce", "seconds", "name"]),
        st.integers(1, 2 * NOW) | st.text(max_size=20) | st.sampled_from(["bert", "lock", "front"]),
        min_size=1,
    )
)
def test_no_field_can_be_altered_under_its_signature(changes: dict[str, object]) -> None:
    before = json.loads(payload())
    altered = {**before, **changes}
    said = Door().says(json.dumps(altered).encode())
    assert (said.result is Result.OK) == (altered == before)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_rubbish_is_judged_and_never_obeyed(rubbish: bytes) -> None:
    door = Door(plain="lock unlock")
    assert door.says(rubbish).result is Result.MALFORMED
    if rubbish not in PLAIN:
        said = door.judge.plain(rubbish, retained=False, duplicate=False)
        assert said.result is Result.MALFORMED


@given(st.sampled_from(sorted(COMMANDS)), st.sets(st.sampled_from(sorted(COMMANDS))))
def test_only_what_is_enabled_is_ever_obeyed(command: str, enabled: set[str]) -> None:
    arguments = {"seconds": 5, "name": "Ada", "new_name": "Eda"}
    given = {name: arguments[name] for name in COMMANDS[command].needs}
    said = Door({one: ["anna"] for one in enabled}).says(payload(command=command, **given))
    assert (said.result is Result.OK) == (command in enabled)


@pytest.mark.parametrize(
    ("word", "retained", "duplicate", "expected"),
    [
        (b"LOCK", False, False, ("ok", None)),
        (b"UNLOCK", False, False, ("not_enabled", "off")),
        (b"LOCK", True, False, ("replayed", "retained")),
        (b"LOCK", False, True, ("replayed", "duplicate")),
        (b"UNLOCK", True, True, ("not_enabled", "off")),
        (b"lock", False, False, ("malformed", "unknown_command")),
        (b"LOCK ", False, False, ("malformed", "unknown_command")),
        (b"LOCK\n", False, False, ("malformed", "unknown_command")),
        (b"", False, False, ("malformed", "unknown_command")),
        (b"OPEN", False, False, ("malformed", "unknown_command")),
    ],
)
def test_a_plain_command_is_obeyed_if_it_is_listed_and_new(
    word: bytes, retained: bool, duplicate: bool, expected: tuple[str, str | None]
) -> None:
    door = Door(plain="lock lock-down")
    said = door.judge.plain(word, retained=retained, duplicate=duplicate)
    assert told(said) == expected
    known = expected[0] in ("ok", "replayed")
    assert (said.by, said.command) == ((ANYBODY, "lock") if known else (None, None))


def test_the_id_of_what_is_malformed_is_told_where_it_can_be_read(door: Door) -> None:
    fields = {**json.loads(payload()), "v": 1}
    assert door.says(json.dumps(fields).encode()) == Judgement(Result.MALFORMED, "version", "a1")
    assert door.says(b"rubbish") == Judgement(Result.MALFORMED, "not_json")


def test_a_signed_command_is_never_plain_and_the_other_way_round() -> None:
    door = Door(plain="unlock")
    assert told(door.says(b"UNLOCK")) == ("malformed", "not_json")
    said = door.judge.plain(payload(), retained=False, duplicate=False)
    assert told(said) == ("malformed", "unknown_command")


def test_the_judge_knows_the_commands_of_the_configuration() -> None:
    every = {"allow": {name: ["anna"] for name in COMMANDS}, "plain": list(PLAIN.values())}
    assert CommandSettings.model_validate(every)
    for wrong in ({"allow": {"dance": ["anna"]}}, {"plain": ["dance"]}, {"plain": ["remove"]}):
        with pytest.raises(ValueError, match=r"no such command|without a signature"):
            CommandSettings.model_validate(wrong)


def test_an_order_that_was_read_is_the_one_that_was_judged(door: Door) -> None:
    said = door.says(payload(command="silence", seconds=60))
    assert said.order == read(payload(command="silence", seconds=60))[0]
