"""The console's requests: who may what is the service's to say, whatever the console says."""

from __future__ import annotations

import getpass
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lockd.adapters.control import Request, ask, ask_for_picture
from lockd.adapters.store import opened
from lockd.messages import EventType
from lockd.remote.roles import NEEDS, Role, least
from lockd.service.console_desk import caller_of
from tests.web.house import House

ADA = {"name": "ada", "role": "administrator", "address": "192.0.2.4"}
ROLES = list(Role)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


def said(house: House, command: str, role: str = "administrator", **values: Any) -> dict[str, Any]:
    """What the service answers, with what it sends along."""
    answer, body = ask_for_picture(
        house.socket, {"command": command, "as": {**ADA, "role": role}, **values}
    )
    return {**answer, **(json.loads(body) if answer.get("json") else {})}


@pytest.mark.parametrize("command", sorted(NEEDS))
@pytest.mark.parametrize("role", ROLES)
def test_each_request_is_refused_below_its_role_and_only_there(
    house: House, command: str, role: Role
) -> None:
    answer = said(house, command, role.value, seconds=1, visit=1)
    refused = answer["result"] == "not_allowed"
    assert refused is not role.may_act_as(NEEDS[command])


@pytest.mark.parametrize("most", ROLES)
@pytest.mark.parametrize("stated", ROLES)
def test_a_console_may_no_more_than_the_owner_says_whoever_it_claims_to_speak_for(
    stated: Role, most: Role
) -> None:
    caller = caller_of({**ADA, "role": stated.value}, most)
    assert caller is not None
    assert caller.role is least(stated, most)
    assert most.may_act_as(caller.role)


def test_a_broken_console_that_may_only_look_opens_nothing(tmp_path: Path) -> None:
    house = House(tmp_path, may="viewer")
    try:
        assert said(house, "unlock")["result"] == "not_allowed"
        assert house.keeping.output.log == []
    finally:
        house.close()


@pytest.mark.parametrize("command", ["unlock", "settings", "live", "remove"])
def test_nobody_but_the_consoles_user_is_heard_there(tmp_path: Path, command: str) -> None:
    house = House(tmp_path, user="somebody-else")
    try:
        answer = ask(house.socket, {"command": command, "as": ADA})
        assert answer == {"result": "not_allowed", "reason": "not the console's user"}
        assert house.keeping.output.log == []
    finally:
        house.close()


@pytest.mark.parametrize(
    "who",
    [
        None, "ada", [], {}, {"name": "ada"}, {**ADA, "role": "root"}, {**ADA, "role": None},
        {**ADA, "name": ""}, {**ADA, "name": "a\nb"}, {**ADA, "name": "x" * 33}, {**ADA, "name": 1},
        {**ADA, "address": "a b"}, {**ADA, "address": "\x1b[2J"}, {**ADA, "address": "1" * 60},
    ],
)  # fmt: skip
def test_who_does_not_say_properly_for_whom_is_not_obeyed(house: House, who: Any) -> None:
    assert ask(house.socket, {"command": "unlock", "as": who})["result"] == "malformed"
    assert house.keeping.output.log == []


def test_without_saying_for_whom_nothing_is_done(house: House) -> None:
    assert ask(house.socket, {"command": "unlock"})["result"] == "malformed"
    assert house.keeping.output.log == []


def test_an_act_is_in_the_audit_trail_with_who_and_from_where(house: House) -> None:
    assert said(house, "unlock", "porter")["result"] == "ok"
    assert house.keeping.output.log[-1] == "on"
    assert ("ada@192.0.2.4 (console)", "command", "unlock: ok") in house.audit()
    assert said(house, "change", id=house.ada.id, enabled=False)["enabled"] is False
    assert ("ada@192.0.2.4 (console)", "disable", None) in house.audit()


def test_what_was_refused_is_in_the_audit_trail_too(house: House) -> None:
    said(house, "unlock", "viewer")
    assert ("ada@192.0.2.4 (console)", "command", "unlock: not allowed") in house.audit()


def test_silence_is_an_event_as_other_commands_are(house: House) -> None:
    said(house, "silence", "porter", seconds=30)
    assert house.silenced == [30.0]
    events = said(house, "visits")["events"]
    assert [(one["command"], one["by"]) for one in events] == [
        ("silence", "ada@192.0.2.4 (console)")
    ]


@pytest.mark.parametrize("seconds", ["a", None, -1, 1e9, True, float("nan"), [1]])
def test_no_time_that_is_none_reaches_the_door(house: House, seconds: Any) -> None:
    assert said(house, "hold-open", seconds=seconds)["result"] == "malformed"
    assert house.keeping.output.log == []


def test_what_the_console_learns_of_the_configuration_has_no_secrets(tmp_path: Path) -> None:
    house = House(tmp_path)
    try:
        told = json.dumps(ask(house.socket, {"command": "settings"}))
        assert getpass.getuser() in told
        for secret in ("key_file", "mqtt", "camera", "rtsp", "store\\/"):
            assert secret not in told
    finally:
        house.close()


class TestPeople:
    def test_they_are_listed_without_what_is_only_for_administrators(self, house: House) -> None:
        listed = said(house, "people", "porter")["people"]
        assert [one["name"] for one in listed] == ["Ada Lovelace", "Grace Hopper"]
        assert all("notes" not in one and "embedding" not in json.dumps(one) for one in listed)

    def test_all_that_is_kept_of_one_has_no_vectors(self, house: House) -> None:
        one = said(house, "person", id=house.ada.id)
        assert [set(kept) for kept in one["templates_kept"]] == [{"id", "created_utc", "model"}] * 2

    def test_changes_are_made_and_others_stay(self, house: House) -> None:
        said(house, "change", id=house.ada.id, notes="knows the way")
        said(house, "change", id=house.ada.id, groups=["staff"], valid_until="2027-01-31T17:00")
        one = said(house, "person", id=house.ada.id)
        assert (one["notes"], one["groups"], one["valid_until"]) == (
            *("knows the way", ["staff"], "2027-01-31T17:00"),
        )

    @pytest.mark.parametrize(
        "change",
        [{"groups": ["kings"]}, {"valid_until": "tomorrow"}, {"name": "Grace Hopper"},
         {"name": "\x1b[31m"}, {"notes": "x" * 2001}],
    )  # fmt: skip
    def test_a_change_that_cannot_be_is_refused_with_why(
        self, house: House, change: dict[str, Any]
    ) -> None:
        answer = said(house, "change", id=house.ada.id, **change)
        assert answer["result"] == "refused"
        assert answer["reason"]
        assert said(house, "person", id=house.ada.id)["name"] == "Ada Lovelace"

    def test_nobody_is_somebody_elses_id(self, house: House) -> None:
        for command in ("person", "change", "remove", "drop", "merge"):
            answer = said(house, command, id="nobody", templates=[1], into=house.ada.id)
            assert answer["result"] == "refused", command

    def test_two_become_one(self, house: House) -> None:
        one = said(house, "merge", id=house.grace.id, into=house.ada.id)
        assert (one["name"], one["templates"]) == ("Ada Lovelace", 4)

    def test_a_template_is_deleted_but_nobody_elses_and_not_the_last(self, house: House) -> None:
        own = [one["id"] for one in said(house, "person", id=house.ada.id)["templates_kept"]]
        others = [one["id"] for one in said(house, "person", id=house.grace.id)["templates_kept"]]
        said(house, "drop", id=house.ada.id, templates=[own[0], *others])
        assert said(house, "person", id=house.ada.id)["templates"] == 1
        assert said(house, "person", id=house.grace.id)["templates"] == 2
        assert said(house, "drop", id=house.ada.id, templates=[own[1]])["result"] == "refused"

    def test_somebody_is_forgotten_and_it_is_verified(self, house: House) -> None:
        answer = said(house, "remove", id=house.ada.id)
        assert (answer["templates"], answer["verified"]) == (2, True)
        with opened(house.settings.store) as store:
            assert [one.person.name for one in store.people.all()] == ["Grace Hopper"]


class TestVisits:
    @pytest.fixture(autouse=True)
    def some(self, house: House) -> None:
        house.happens(EventType.ACCESS_GRANTED, person="Ada Lovelace", person_id=house.ada.id)
        house.happens(EventType.STRANGER, visit=2)
        house.happens(EventType.ACCESS_GRANTED, person="Grace Hopper", person_id=house.grace.id)

    def test_they_are_found_by_person_and_kind(self, house: House) -> None:
        assert said(house, "visits")["total"] == 3
        assert [one["type"] for one in said(house, "visits", kinds=["stranger"])["events"]] == [
            "stranger"
        ]
        found = said(house, "visits", person="ada lovelace")["events"]
        assert [one["person"] for one in found] == ["Ada Lovelace"]

    def test_they_are_found_by_time(self, house: House) -> None:
        assert said(house, "visits", until="2020-01-01")["total"] == 0
        assert said(house, "visits", since="2020-01-01T00:00:00+01:00")["total"] == 3
        assert said(house, "visits", since="yesterday")["result"] == "malformed"

    def test_they_come_in_pages(self, house: House) -> None:
        ids = [one["id"] for one in said(house, "visits")["events"]]
        pages = [said(house, "visits", limit=1, skip=place)["events"] for place in range(3)]
        assert [one["id"] for (one,) in pages] == ids

    def test_news_come_once_and_say_where_they_end(self, house: House) -> None:
        first = said(house, "news", after=-1)
        assert len(first["events"]) == 3
        house.happens(EventType.DOOR_OPENED)
        more = said(house, "news", after=first["last"])
        assert [one["type"] for one in more["events"]] == ["door_opened"]
        assert said(house, "news", after=more["last"], wait_s=0)["events"] == []


class TestLive:
    def test_the_picture_comes_with_who_is_in_it(self, house: House) -> None:
        house.sees("Ada Lovelace", 0.8)
        answer, picture = ask_for_picture(house.socket, {"command": "live", "as": ADA})
        assert picture.startswith(b"\xff\xd8")
        (face,) = answer["faces"]
        assert (face["name"], face["similarity"], face["px"]) == ("Ada Lovelace", 0.8, 100)
        assert face["box"] == [0.3125, 0.2083, 0.4688, 0.4167]

    def test_nobody_gets_the_same_picture_twice(self, house: House) -> None:
        house.sees(None, seq=7)
        assert said(house, "live", after=7)["result"] == "no_news"

    @pytest.mark.parametrize("role", [Role.VIEWER, Role.PORTER])
    def test_how_near_a_stranger_came_is_not_for_everybody(self, house: House, role: Role) -> None:
        house.sees(None, 0.69)
        assert "similarity" not in said(house, "live", role.value, picture=False)["faces"][0]
        assert said(house, "live", picture=False)["faces"][0]["similarity"] == 0.69

    def test_without_a_camera_it_says_why(self, house: House) -> None:
        house.camera_problem = "missing: /dev/video0"
        answer = said(house, "live")
        assert (answer["result"], answer["reason"]) == ("no_picture", "missing: /dev/video0")

    def test_a_face_of_somebody_who_left_is_not_there(self, house: House) -> None:
        house.sees("Ada Lovelace", visit=3)
        assert said(house, "capture", visit=3)["result"] == "ok"
        assert said(house, "capture", visit=4)["result"] == "not_found"


def test_a_request_from_the_other_socket_has_no_say_here(house: House) -> None:
    request = Request({"command": "status"}, "root")
    assert not request.console
    assert request.body == b""


class TestWiring:
    def test_the_relay_switches_once_and_by_itself_off_again(self, house: House) -> None:
        answer = said(house, "wiring", strike_disconnected=True)
        assert (answer["result"], answer["lock"]) == ("ok", "UNLOCKED")
        house.keeping.keeper.pass_time(house.settings.door.open_s)
        assert said(house, "status")["lock"] == "LOCKED"
        assert house.keeping.output.log[:2] == ["on", "off"]
        note = "wiring test, with the strike disconnected: ok"
        assert house.audit()[-1][2] == note

    @pytest.mark.parametrize(
        "word", [{}, {"strike_disconnected": "true"}, {"strike_disconnected": 1}]
    )
    def test_without_the_word_that_nothing_opens_it_stays_as_it_is(
        self, house: House, word: dict[str, Any]
    ) -> None:
        assert said(house, "wiring", **word)["result"] == "refused"
        assert house.keeping.output.log == []

    def test_what_keeps_everybody_out_keeps_it_still(self, house: House) -> None:
        said(house, "lock-down")
        assert said(house, "wiring", strike_disconnected=True)["result"] == "locked_down"
        assert house.keeping.output.log == []


class TestChecks:
    def test_what_was_found_is_told_again_and_is_in_the_audit_trail(self, house: House) -> None:
        assert said(house, "checks")["checks"] == {}
        assert said(house, "check", name="doctor")["findings"] == []
        assert said(house, "checks")["checks"]["doctor"]["findings"] == []
        assert house.audit()[-1][2] == "check: doctor"

    def test_what_fails_says_so(self, house: House) -> None:
        assert said(house, "check", name="thresholds")["result"] == "refused"
        assert said(house, "check", name="rm")["result"] == "malformed"
