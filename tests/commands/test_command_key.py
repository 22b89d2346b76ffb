"""`lockd command-key`: keys made, listed without being shown, and taken away."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
import yaml

from lockd.adapters.keys import CommandKeys, read_keys
from lockd.adapters.store import opened
from lockd.commands.main import main
from lockd.config import load
from tests.fakes import unit
from tests.invoking import invoke


@pytest.fixture
def config(tmp_path: Path) -> Path:
    commands = {"allow": {"lock": ["anna", "bert"], "unlock": ["anna"]}}
    file = tmp_path / "lockd.yaml"
    file.write_text(yaml.safe_dump({"mqtt": {"commands": {**commands, "keys_file": "keys"}}}))
    return file


def key(command: str, config: Path, *arguments: str, code: int = 0) -> tuple[str, str]:
    result = invoke(main, "command-key", command, *arguments, "--config", config)
    assert result.exit_code == code, result.output
    return result.stdout, result.stderr


def test_a_key_is_made_shown_once_and_obeyed(config: Path) -> None:
    shown, said = key("add", config, "anna")
    name, digits = shown.split()
    file = config.with_name("keys")
    assert name == "anna"
    assert digits not in said
    assert "anna may: lock, unlock" in said
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert CommandKeys(file).current() == {"anna": bytes.fromhex(digits)}
    assert list(config.parent.glob("keys*")) == [file]


def test_no_two_keys_are_alike_and_none_is_overwritten(config: Path) -> None:
    keys = {key("add", config, name)[0].split()[1] for name in ("anna", "bert", "cleo")}
    assert len(keys) == 3
    before = config.with_name("keys").read_text()
    _, said = key("add", config, "anna", code=10)
    assert "has a key already" in said
    assert config.with_name("keys").read_text() == before


def test_the_list_shows_who_may_do_what_and_no_key(config: Path) -> None:
    assert key("list", config) == (
        "",
        "mqtt.commands.allow names anna, who has no key\n"
        "mqtt.commands.allow names bert, who has no key\n",
    )
    digits = key("add", config, "anna")[0].split()[1]
    key("add", config, "cleo")
    shown, said = key("list", config)
    assert shown == "anna: lock, unlock\ncleo: nothing\n"
    assert said == "mqtt.commands.allow names bert, who has no key\n"
    shown, _ = key("list", config, "--json")
    assert json.loads(shown) == {"anna": ["lock", "unlock"], "cleo": []}
    assert digits not in shown


def test_a_key_is_taken_away_and_what_else_is_written_there_stays(config: Path) -> None:
    key("add", config, "anna")
    file = config.with_name("keys")
    file.write_text("# the porter's phone\n" + file.read_text())
    key("add", config, "ann")
    keys = CommandKeys(file)
    assert set(keys.current()) == {"anna", "ann"}
    key("remove", config, "ann")
    assert set(keys.current()) == {"anna"}
    assert file.read_text().startswith("# the porter's phone\nanna ")
    _, said = key("remove", config, "ann", code=10)
    assert "ann has no key" in said


def test_a_file_of_another_place_may_be_named_and_a_link_stays_one(
    config: Path, tmp_path: Path
) -> None:
    (tmp_path / "elsewhere").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere" / "keys")
    key("add", config, "anna", "--file", str(link))
    assert link.is_symlink()
    assert set(read_keys(tmp_path / "elsewhere" / "keys")) == {"anna"}


@pytest.mark.parametrize("name", ["", "a b", "plain", "a" * 65, "a\n", "-"])
def test_a_name_that_no_command_could_bear_is_wrong_usage(config: Path, name: str) -> None:
    result = invoke(main, "command-key", "add", "--config", config, "--", name)
    assert result.exit_code == (0 if name == "-" else 2)


def test_a_file_that_others_may_read_is_not_added_to(config: Path) -> None:
    key("add", config, "anna")
    config.with_name("keys").chmod(0o644)
    _, said = key("add", config, "bert", code=10)
    assert "chmod 600" in said


def test_a_key_may_be_somebodys_own(config: Path, tmp_path: Path) -> None:
    settings = load(config)
    with opened(settings.store, make=True) as store:
        ada = store.people.add("Ada", "networks", [unit(1)], by="root")
    line, _ = key("add", config, "phone", "--person", "ada")
    key("add", config, "anna")
    name, digits, person = line.split()
    assert (name, person) == ("phone", ada.id)
    keys = CommandKeys(config.with_name("keys"))
    assert keys.current()["phone"] == bytes.fromhex(digits)
    assert keys.bound() == {"phone": ada.id}
    shown, _ = key("list", config)
    assert f"phone (person {ada.id}): nothing" in shown.splitlines()
    _, said = key("add", config, "other", "--person", "Grace", code=9)
    assert "nobody of that name" in said
    key("remove", config, "phone")
    assert keys.bound() == {}
