"""`lockd fleet`, with a real broker: founding, letting in, looking, throwing out, leaving."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from enroll import opened
from lockd.adapters.store import Store, Vault
from lockd.commands.fleet.command import fleet
from lockd.config import load
from lockd.fleet.sealing import number_of
from lockd.fleet.state import found
from lockd.service.fleet_book import FleetBook
from lockd.service.fleet_door import FleetDoor, open_bus
from tests.brokers import Mosquitto
from tests.conftest import ROOT
from tests.patience import PATIENCE_S, eventually
from tests.service.test_fleet_book import MODEL, NOW, vectors


class Door:
    """A door's configuration and store, and the command as its owner calls it."""

    def __init__(self, folder: Path, name: str, port: int) -> None:
        self.folder, self.name = folder / name, name
        self.folder.mkdir()
        self.config = self.folder / "lockd.yaml"
        settings = {
            "door": {"id": name},
            "store": {"folder": str(self.folder / "people")},
            "mqtt": {"host": "127.0.0.1", "port": port},
            "fleet": {"enabled": True},
        }
        self.config.write_text(yaml.safe_dump(settings))
        self.path = self.folder / "people" / "lockd.db"

    def start(self, *args: Any) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-m", "lockd", "fleet", *map(str, args), "--config", self.config],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *args: Any, code: int = 0, said: str = "") -> str:
        process = self.start(*args)
        out, wrong = process.communicate(said, timeout=PATIENCE_S)
        assert process.returncode == code, f"{out}\n{wrong}"
        return out + wrong

    def json(self, *args: Any) -> Any:
        return json.loads(self.run(*args, "--json").splitlines()[0])

    def open(self) -> Store:
        return Store.open(self.path, Vault.beside(self.path))

    def enrol(self, name: str, seed: int = 0) -> str:
        store = self.open()
        try:
            return store.people.add(name, MODEL, vectors(seed=seed), by="test").id
        finally:
            store.close()

    def names(self) -> list[str]:
        store = self.open()
        try:
            return [one.person.name for one in store.people.all()]
        finally:
            store.close()

    def come(self) -> FleetDoor:
        settings = load(self.config)
        bus = open_bus(settings)
        door = FleetDoor(settings, self.open, bus)
        door.start()
        bus.start()
        return door


@pytest.fixture
def front(tmp_path: Path, mosquitto: Mosquitto) -> Door:
    return Door(tmp_path, "front", mosquitto.port)


@pytest.fixture
def back(tmp_path: Path, mosquitto: Mosquitto) -> Door:
    return Door(tmp_path, "back", mosquitto.port)


def keys_of(door: Door) -> set[int]:
    """Numbers of the keys that people's records are sealed with."""
    store = door.open()
    try:
        book = FleetBook(store)
        topics = [one for one in book.all_held() if one.startswith("people")]
        return {number_of(book.message(one) or b"") for one in topics}
    finally:
        store.close()


def join_by_file(front: Door, back: Door, *options: str) -> None:
    request, answer = back.folder / "request", back.folder / "answer"
    back.run("join", "--request", request)
    front.run("invite", *options, "--request", request, "--answer", answer)
    back.run("join", "--answer", answer)


def test_a_door_joins_by_a_code_and_digits_that_people_compare(front: Door, back: Door) -> None:
    front.run("init")
    inviting = front.start("invite", "--enrols")
    assert inviting.stdout is not None
    code = inviting.stdout.readline().split()[-1]
    joining = back.start("join", code)
    assert joining.stdout is not None
    theirs, ours = inviting.stdout.readline(), joining.stdout.readline()
    assert theirs == ours
    assert ours.startswith("back: ")
    assert joining.stdin is not None
    joining.stdin.write("y\n")
    joining.stdin.flush()
    out, wrong = inviting.communicate("y\n", timeout=PATIENCE_S)
    assert inviting.returncode == 0, wrong
    assert "back is in the fleet" in out
    out, wrong = joining.communicate(timeout=PATIENCE_S)
    assert joining.returncode == 0, wrong
    assert "this door may enrol for all" in out


@pytest.mark.thorough
def test_whoever_sees_other_digits_says_no_and_nothing_is_changed(front: Door, back: Door) -> None:
    front.run("init")
    inviting = front.start("invite")
    assert inviting.stdout is not None
    joining = back.start("join", inviting.stdout.readline().split()[-1], "--minutes", "0.1")
    inviting.stdout.readline()
    inviting.communicate("n\n", timeout=PATIENCE_S)
    assert inviting.returncode == 1
    joining.communicate("y\n", timeout=PATIENCE_S)
    assert joining.returncode == 10
    assert [one["door"] for one in front.json("status", "--wait", "0.1")["doors"]] == ["front"]


@pytest.mark.thorough
def test_status_names_who_lags_and_revoke_throws_out_for_good(front: Door, back: Door) -> None:
    front.enrol("Ada")
    front.run("init")
    join_by_file(front, back, "--enrols")
    (row,) = [one for one in front.json("status")["doors"] if one["door"] == "back"]
    assert row["lags"]
    assert "never reported" in row["says"]
    doors = [front.come(), back.come()]
    try:
        eventually(lambda: back.names() == ["Ada"])
        back.enrol("Grace", 1)
        eventually(lambda: front.names() == ["Ada", "Grace"])
        eventually(lambda: not any(one["lags"] for one in front.json("status")["doors"]))
        assert [one["by"] for one in front.json("people")] == ["front", "back"]
        assert [one["name"] for one in front.json("people", "--by", "back")] == ["Grace"]
        assert "had signed: Grace" in front.run("revoke", "back", "--yes")
        assert [one["by"] for one in front.json("people")] == ["front", "front"]
        assert [one["door"] for one in front.json("status", "--wait", "0.5")["doors"]] == ["front"]
        front.enrol("Linus", 2)
        eventually(lambda: "Linus" in [one["name"] for one in front.json("people")])
        eventually(lambda: "thrown out" in (doors[1].problem or ""))
        assert back.names() == ["Ada", "Grace"]
    finally:
        for one in doors:
            one.close()
    assert "no such door" in front.run("revoke", "back", "--yes", code=9)
    assert "cannot be thrown out" in front.run("revoke", "front", "--yes", code=5)
    assert "not the fleet's root key" in back.run("rotate-key", code=5)


@pytest.mark.thorough
def test_another_key_reaches_every_door_and_seals_what_was_there(front: Door, back: Door) -> None:
    front.enrol("Ada")
    front.run("init")
    join_by_file(front, back)
    doors = [front.come(), back.come()]
    try:
        eventually(lambda: back.names() == ["Ada"])
        assert "key 2" in front.run("rotate-key")
        front.enrol("Grace", 1)
        eventually(lambda: back.names() == ["Ada", "Grace"])
        eventually(lambda: keys_of(back) == {2})
    finally:
        for one in doors:
            one.close()


@pytest.mark.slow
def test_a_door_that_leaves_says_what_becomes_of_people(front: Door, back: Door) -> None:
    front.enrol("Ada")
    front.run("init")
    join_by_file(front, back)
    door = back.come()
    keeper = front.come()
    eventually(lambda: back.names() == ["Ada"])
    door.close()
    keeper.close()
    back.run("leave", code=2)
    assert "1 person removed" in back.run("leave", "--remove-people")
    assert back.names() == []
    assert "in no fleet" in back.run("status", code=5)
    (row,) = [one for one in front.json("status")["doors"] if one["door"] == "back"]
    assert "has left" in row["says"]
    back.enrol("Guest")
    request, answer = back.folder / "again", back.folder / "answer-again"
    back.run("join", "--request", request)
    front.run("invite", "--request", request, "--answer", answer)
    assert "say --share-people" in back.run("join", "--answer", answer, code=2)
    back.run("join", "--answer", answer, "--share-people")
    assert back.names() == ["Guest"]


def test_a_door_whose_part_was_altered_is_asked_as_well_before_it_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = Door(tmp_path, "front", 1)
    door.enrol("Ada")
    with closing(door.open()) as store:
        book = FleetBook.begin(store, found("front", NOW))
        book.sign_changes(NOW)
    with closing(sqlite3.connect(door.path)) as file, file:
        file.execute("UPDATE fleet_messages SET version = zeroblob(58)")
    monkeypatch.setattr(opened, "on_a_terminal", lambda: True)
    words = ["leave", "--remove-people", "--config", str(door.config)]
    assert CliRunner().invoke(fleet, words, input="n\n").exit_code == 1
    assert door.names() == ["Ada"]
    assert CliRunner().invoke(fleet, words, input="y\n").exit_code == 0
    assert door.names() == []


@pytest.mark.thorough
def test_mistakes_are_told_with_the_way_out(front: Door, back: Door) -> None:
    front.run("init")
    assert "in a fleet already" in front.run("init", code=5)
    assert "there is no store yet" in back.run("people", code=5)
    back.run("join", code=2)
    assert "cannot be used (code)" in back.run("join", "abcd", code=13)
    (back.folder / "nonsense").write_bytes(b"nonsense")
    assert "no request was made here" in back.run(
        "join", "--answer", back.folder / "nonsense", code=13
    )
    back.run("join", "--request", back.folder / "request")
    assert "cannot be used (box)" in back.run("join", "--answer", back.folder / "nonsense", code=13)
    assert "cannot be used" in front.run(
        "invite", "--request", back.folder / "nonsense", "--answer", back.folder / "x", code=13
    )
    assert "cannot be written" in front.run(
        *("invite", "--request", back.folder / "request", "--answer", back.folder / "request"),
        code=13,
    )
    assert [one["door"] for one in front.json("status", "--wait", "0.1")["doors"]] == ["front"]
    assert "did not answer in time" in front.run("invite", "--minutes", "0.05", code=10)
