"""`lockd doctor` on keypads, readers and telephones."""

from __future__ import annotations

import os
from contextlib import closing
from pathlib import Path

import pytest

from lockd.adapters.keys import keys_in
from lockd.adapters.store import Store, Vault
from lockd.commands.doctor import commands
from lockd.commands.doctor.findings import Finding, Machine, Status
from lockd.commands.doctor.second_factor import second_factor
from lockd.errors import BusError
from lockd.identity.factors import hash_card, hash_pin
from lockd.paths import INPUT_DROP_IN, UNIT_FILE
from tests.commands.test_doctor import machine
from tests.fakes import unit

KEYPAD = "second_factor: {keypad: {device: /dev/input/by-id/usb-pad-event-kbd}}\n"


def told(findings: list[Finding], status: Status) -> str:
    return "\n".join(f"{one.text}: {one.mend}" for one in findings if one.status is status)


def with_people(folder: Path, config: str) -> Machine:
    """A door at which Ada has a PIN, Grace a card, and Alan nothing."""
    place = machine(folder, f"store: {{folder: {folder}/state}}\n{config}")
    path = place.settings.store.path()
    with closing(Store.open(path, Vault.open(place.settings.store))) as store:
        for name in ("Ada", "Grace", "Alan"):
            store.people.add(name, "model", [unit(1)], by="root")
        store.factors.set_pin("Ada", hash_pin("2580"), by="root")
        store.factors.add_card("Grace", hash_card("0000000001"), by="root")
    return place


def device(place: Machine, name: str) -> Path:
    """A device that is none but looks like one."""
    path = place.path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    os.symlink("/dev/null", path)
    return path


def test_where_nothing_is_asked_for_nothing_is_looked_at(tmp_path: Path) -> None:
    (finding,) = second_factor(machine(tmp_path))
    assert finding.status is Status.SKIPPED


def test_a_device_that_is_not_there_is_a_problem_that_names_those_that_are(
    tmp_path: Path,
) -> None:
    place = machine(tmp_path, KEYPAD)
    device(place, "/dev/input/by-id/usb-other-event-kbd")
    found = told(second_factor(place), Status.PROBLEM)
    assert "second_factor.keypad.device" in found
    assert "/dev/input/by-id/usb-other-event-kbd" in found


def test_a_device_that_is_there_is_good_by_its_lasting_name_alone(tmp_path: Path) -> None:
    place = machine(tmp_path, KEYPAD)
    device(place, "/dev/input/by-id/usb-pad-event-kbd")
    assert "usb-pad" in told(second_factor(place), Status.OK)
    place = machine(tmp_path / "other", KEYPAD.replace("by-id/usb-pad-event-kbd", "event0"))
    device(place, "/dev/input/event0")
    assert "by chance" in told(second_factor(place), Status.WARNING)


def test_a_file_is_no_device(tmp_path: Path) -> None:
    place = machine(tmp_path, KEYPAD, **{"dev/input/by-id/usb-pad-event-kbd": ""})
    assert "no device" in told(second_factor(place), Status.PROBLEM)


def test_an_installed_service_must_be_let_at_it(tmp_path: Path) -> None:
    place = machine(tmp_path, KEYPAD, **{UNIT_FILE[1:]: ""})
    device(place, "/dev/input/by-id/usb-pad-event-kbd")
    found = told(second_factor(place), Status.PROBLEM)
    assert INPUT_DROP_IN in found
    assert "lockd install" in found
    assert "may not read it" in found
    reader = machine(
        tmp_path / "wiegand",
        "second_factor: {wiegand: {d0_pin: 5, d1_pin: 6}}",
        **{UNIT_FILE[1:]: ""},
    )
    assert told(second_factor(reader), Status.PROBLEM) == ""


def test_it_says_how_many_can_show_something(tmp_path: Path) -> None:
    place = with_people(tmp_path, "second_factor: {wiegand: {d0_pin: 5, d1_pin: 6}}")
    said = told(second_factor(place), Status.OK)
    assert "1 of 3 people have a PIN, 1 of 3 people have a card" in said


def test_nobody_who_can_is_a_warning(tmp_path: Path) -> None:
    place = with_people(tmp_path, KEYPAD)
    with closing(Store.open(place.settings.store.path(), Vault.open(place.settings.store))) as one:
        one.people.set_enabled("Ada", False, by="root")
    assert "lockd-enroll pin" in told(second_factor(place), Status.WARNING)


def test_what_opens_without_a_face_is_said(tmp_path: Path) -> None:
    text = "second_factor: {wiegand: {d0_pin: 5, d1_pin: 6}, alone: [card, pin], least_digits: 6}"
    said = told(second_factor(machine(tmp_path, text)), Status.WARNING)
    assert "whoever finds a card comes in" in said
    assert "whoever learns or guesses a PIN comes in" in said


def test_a_telephone_that_nobody_owns_is_a_warning(tmp_path: Path) -> None:
    keys = tmp_path / "keys"
    keys.write_text(f"phone {'0' * 64}\n")
    keys.chmod(0o600)
    text = (
        "second_factor: {confirm: true}\n"
        f"mqtt: {{host: h, commands: {{keys_file: {keys}, allow: {{confirm: [phone]}}}}}}\n"
    )
    assert "nobody's telephone" in told(commands.commands(machine(tmp_path, text)), Status.WARNING)
    keys.write_text(f"phone {'0' * 64} 0a1b-2c\n")
    assert told(commands.commands(machine(tmp_path, text)), Status.WARNING) == ""


@pytest.mark.parametrize(
    "line", [f"phone {'0' * 64} a b", f"phone {'0' * 64} ada!", f"phone {'0' * 64} {'a' * 65}"]
)
def test_a_person_in_a_key_file_that_can_be_none_is_a_mistake(tmp_path: Path, line: str) -> None:
    with pytest.raises(BusError, match="line 1"):
        keys_in(line.encode(), "keys")
