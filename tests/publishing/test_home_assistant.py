"""What we tell Home Assistant, held to a table of what it knows."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from lockd import __version__
from lockd.config import Settings
from lockd.messages import EventType, Topics
from lockd.publishing import home_assistant
from lockd.remote import commands
from tests.conftest import ROOT

HOME_ASSISTANT: dict[str, Any] = json.loads(
    (ROOT / "tests/data/home_assistant.json").read_text("utf-8")
)
PLAIN = list(commands.PLAIN.values())
GOLDEN = ROOT / "tests/data/home_assistant_default.json"


def settings_of(
    *,
    plain: list[str] | None = None,
    picture: str = "none",
    contact: bool = False,
    tamper: bool = False,
    name: str = "Front door",
    **mqtt: Any,
) -> Settings:
    inputs = {
        "contact": {"pin": 24} if contact else None,
        "tamper": {"pin": 25} if tamper else None,
    }
    mqtt = {
        "snapshot": {"of": picture},
        "commands": {"plain": plain or []},
        "home_assistant": {"discovery": True},
        **mqtt,
    }
    door = {"id": "front_door", "name": name}
    return Settings.model_validate({"door": door, "inputs": inputs, "mqtt": mqtt})


def message_of(settings: Settings) -> dict[str, Any]:
    topics = Topics(settings.mqtt.base_topic, settings.door.id)
    return home_assistant.discovery(settings, topics, "0.1.0")


def components(settings: Settings) -> dict[str, dict[str, Any]]:
    """Those that are there, by their keys; not those that are to be removed."""
    found: dict[str, dict[str, Any]] = message_of(settings)["cmps"]
    return {key: one for key, one in found.items() if set(one) != {"p"}}


def spelt_out(values: dict[str, Any], abbreviations: str = "abbreviations") -> dict[str, Any]:
    return {HOME_ASSISTANT[abbreviations].get(key, key): value for key, value in values.items()}


anything = st.builds(
    settings_of,
    plain=st.lists(st.sampled_from(PLAIN), unique=True),
    picture=st.sampled_from(["none", "face", "frame"]),
    contact=st.booleans(),
    tamper=st.booleans(),
    name=st.text(min_size=1, max_size=64),
    diagnostics_s=st.sampled_from([0.0, 60.0]),
    protocol=st.sampled_from(["auto", "5", "3.1.1"]),
    base_topic=st.sampled_from(["lockd", "house/lockd", "häuser/1"]),
)


@hypothesis_settings(max_examples=40)
@given(anything)
def test_home_assistant_knows_every_field_of_whatever_can_be_configured(settings: Settings) -> None:
    message = spelt_out(message_of(settings))
    assert set(message) <= set(HOME_ASSISTANT["root"])
    device = spelt_out(message["device"], "device_abbreviations")
    assert set(device) <= set(HOME_ASSISTANT["device"])
    assert device["identifiers"]
    origin = spelt_out(message["origin"], "origin_abbreviations")
    assert set(origin) <= set(HOME_ASSISTANT["origin"])
    assert origin["name"] == "lockd"
    for short in message["components"].values():
        component = spelt_out(short)
        platform = HOME_ASSISTANT["platforms"][component.pop("platform")]
        if component:
            check(component, platform)


def check(component: dict[str, Any], platform: dict[str, Any]) -> None:
    known = {*platform["keys"], *HOME_ASSISTANT["every_platform"]}
    assert set(component) <= known
    assert {*platform["required"], "unique_id"} <= set(component)
    assert component.get("device_class") in [None, *platform.get("device_classes", [])]
    assert component.get("entity_category") in [None, *platform["entity_categories"]]
    assert component.get("state_class") in [None, *platform.get("state_classes", [])]
    if "unit_of_measurement" in component and "device_class" in component:
        assert component["unit_of_measurement"] in platform["units"][component["device_class"]]
    if "options" in component:
        assert component["device_class"] == "enum"
        assert "state_class" not in component
    topics = [value for key, value in component.items() if key.endswith("_topic")]
    assert all("+" not in topic and "#" not in topic for topic in topics)
    assert component["unique_id"].startswith("lockd_")


@hypothesis_settings(max_examples=40)
@given(anything, st.text(min_size=1, max_size=64))
def test_ids_do_not_change_with_what_is_configured_nor_with_the_doors_name(
    settings: Settings, name: str
) -> None:
    def ids(some: Settings) -> dict[str, str]:
        return {key: one["uniq_id"] for key, one in components(some).items()}

    door = settings.door.model_copy(update={"name": name})
    renamed = settings.model_copy(update={"door": door})
    assert ids(renamed) == ids(settings)
    base = {"base_topic": settings.mqtt.base_topic}
    other = settings_of(plain=["silence"], picture="frame", contact=True, tamper=True, **base)
    shared = ids(settings).keys() & ids(other).keys()
    assert {key: ids(settings)[key] for key in shared} == {key: ids(other)[key] for key in shared}
    assert home_assistant.config_topic(renamed) == home_assistant.config_topic(settings)


@hypothesis_settings(max_examples=40)
@given(anything)
def test_what_is_not_configured_is_named_so_that_it_goes_away(settings: Settings) -> None:
    found = message_of(settings)["cmps"]
    assert {key: one["p"] for key, one in found.items()} == home_assistant.PLATFORMS
    absent = home_assistant.PLATFORMS.keys() - components(settings).keys()
    assert [found[key] for key in absent] == [{"p": found[key]["p"]} for key in absent]


def test_the_whole_message_of_the_default_is_the_one_that_we_read() -> None:
    settings = Settings.model_validate({"mqtt": {"home_assistant": {"discovery": True}}})
    assert message_of(settings) == json.loads(GOLDEN.read_text("utf-8"))


def test_every_id_is_of_letters_digits_and_dashes_and_no_two_doors_share_one() -> None:
    doors = [
        ("lockd", "a"),
        ("lockd", "b"),
        ("x/lockd", "a"),
        ("x_lockd", "a"),
        ("ü", "a"),
        ("ö", "a"),
    ]
    names = [
        home_assistant.identity(
            Settings.model_validate({"door": {"id": door}, "mqtt": {"base_topic": base}})
        )
        for base, door in doors
    ]
    assert len(set(names)) == len(doors)
    assert names[0] == "lockd_a"
    assert all(re.fullmatch(HOME_ASSISTANT["topic"], name) for name in names)


@pytest.mark.parametrize("plain", [[], ["lock"], ["unlock"], ["lift", "lock-down"]])
def test_without_both_commands_there_is_a_sensor_of_the_lock_instead_of_a_lock(
    plain: list[str],
) -> None:
    found = components(settings_of(plain=plain))
    assert "lock" not in found
    assert found["locked"]["dev_cla"] == "lock"
    pressed = {f"press_{command.replace('-', '_')}" for command in plain}
    assert {key for key in found if key.startswith("press_")} == pressed


def test_a_lock_that_may_be_commanded_is_a_lock_and_has_no_buttons_of_its_own() -> None:
    found = components(settings_of(plain=["lock", "unlock"]))
    assert "locked" not in found
    assert not [key for key in found if key.startswith("press_")]
    lock = found["lock"]
    assert lock["name"] is None
    assert (lock["pl_lock"], lock["pl_unlk"]) == ("LOCK", "UNLOCK")
    assert "pl_open" not in lock


@hypothesis_settings(max_examples=40)
@given(anything)
def test_commands_go_to_the_plain_topic_and_never_wait_in_the_broker(settings: Settings) -> None:
    topics = Topics(settings.mqtt.base_topic, settings.door.id)
    for one in components(settings).values():
        if "cmd_t" in one:
            assert one["cmd_t"] == topics.plain_command
            assert one.get("qos", 0) == 0
            assert "retain" not in one
            expires = settings.mqtt.protocol != "3.1.1"
            assert one.get("msg_exp_int") == (5 if expires else None)


@hypothesis_settings(max_examples=40)
@given(anything)
def test_only_what_may_be_commanded_has_a_command(settings: Settings) -> None:
    words = {
        one[key]
        for one in components(settings).values()
        for key in ("pl_prs", "pl_lock", "pl_unlk")
        if key in one
    }
    may = {command.upper().replace("-", "_") for command in settings.mqtt.commands.plain}
    assert words == may - ({"SNAPSHOT"} if settings.mqtt.snapshot.of == "none" else set())


def test_what_is_not_wired_is_not_shown() -> None:
    assert not components(settings_of()).keys() & {"contact", "forced", "held", "tamper"}
    wired = components(settings_of(contact=True, tamper=True))
    assert wired.keys() >= {"contact", "forced", "held", "tamper"}


def test_a_picture_is_shown_only_where_one_is_taken() -> None:
    assert "snapshot" not in components(settings_of())
    assert components(settings_of(picture="face"))["snapshot"]["img_t"].endswith("/snapshot")


def test_without_diagnostics_there_is_nothing_that_never_gets_a_value() -> None:
    found = components(settings_of(diagnostics_s=0.0))
    assert [one for one in found.values() if one.get("stat_t", "").endswith("/diagnostics")] == []
    assert {"people", "version"} <= found.keys()


def test_no_text_that_somebody_may_choose_gets_into_a_template() -> None:
    settings = settings_of(
        name="{{ 6 * 7 }}", base_topic="{{ base }}", contact=True, picture="face"
    )
    for one in components(settings).values():
        assert "6 * 7" not in str(one)
        assert "base" not in one.get("val_tpl", "")


def test_events_tell_neither_similarities_nor_what_overwrites_home_assistants_own() -> None:
    for key in ("access", "stranger"):
        template = components(settings_of())[key]["val_tpl"]
        for word in ("similarity", *HOME_ASSISTANT["overwritten_by_events"]):
            assert f'"{word}"' not in template


def test_the_visitors_book_names_events_of_ours() -> None:
    assert set(home_assistant.ACCESS) <= set(EventType)
    access = components(settings_of())["access"]
    assert access["evt_typ"] == list(home_assistant.ACCESS.values())


def test_the_service_announces_nothing_unless_it_is_told_to() -> None:
    assert home_assistant.Announcement.of(Settings()) is None


def test_an_announcement_is_due_at_each_birth_and_at_nothing_else() -> None:
    settings = settings_of(home_assistant={"discovery": True, "prefix": "ha"})
    announcement = home_assistant.Announcement.of(settings)
    assert announcement is not None
    assert announcement.topic == "ha/device/lockd_front_door/config"
    assert json.loads(announcement.payload)["dev"]["sw"] == __version__
    assert announcement.is_due("ha/status", b"online")
    assert not announcement.is_due("ha/status", b"offline")
    assert not announcement.is_due("homeassistant/status", b"online")
