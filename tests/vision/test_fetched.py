"""Networks that the owner added: checked like the others, and never in their place."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from lockd.errors import ModelError
from lockd.vision.liveness import Liveness
from lockd.vision.models import FETCHED, MANIFEST, Models
from tests.conftest import ROOT

MODELS = ROOT / "models"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The networks, and one that was added: the shipped one by another name."""
    for file in (*MODELS.glob("*.tflite"), MODELS / MANIFEST):
        shutil.copy(file, tmp_path)
    shutil.copy(MODELS / "liveness.tflite", tmp_path / "added.tflite")
    manifest = json.loads((MODELS / MANIFEST).read_text())
    entry = {**manifest["networks"]["liveness"], "file": "added.tflite"}
    part = {**manifest["liveness"]["shipped"]["networks"][0], "network": "added"}
    content = {
        "schema": 1,
        "networks": {"added": entry},
        "liveness": {"owners": {"networks": [part]}},
    }
    (tmp_path / FETCHED).write_text(json.dumps(content))
    return tmp_path


def edited(folder: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    content = json.loads((folder / FETCHED).read_text())
    change(content)
    (folder / FETCHED).write_text(json.dumps(content))
    return folder


def test_what_was_added_is_summed_with_what_came_along(folder: Path) -> None:
    liveness = Liveness(Models.load(folder))
    assert liveness.names == ("liveness", "added")
    assert liveness.fingerprint != Liveness(Models.load(MODELS)).fingerprint


def test_a_network_that_no_list_names_is_not_used(folder: Path) -> None:
    (folder / FETCHED).unlink()
    assert Liveness(Models.load(folder)).names == ("liveness",)


def test_an_added_network_that_was_altered_is_refused(folder: Path) -> None:
    file = folder / "added.tflite"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(ModelError, match=r"added\.tflite.*altered or cut short"):
        Models.load(folder)


def test_an_added_network_that_is_gone_is_refused(folder: Path) -> None:
    (folder / "added.tflite").unlink()
    with pytest.raises(ModelError, match=r"added\.tflite.*the network added is missing"):
        Models.load(folder)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda c: c["networks"].update(sface=c["networks"]["added"]), "networks sface came with"),
        (
            lambda c: c["liveness"].update(shipped=c["liveness"]["owners"]),
            "liveness shipped came with",
        ),
        (lambda c: c["networks"]["added"].update(file="../added.tflite"), "does not lie beside"),
        (lambda c: c["networks"]["added"].update(file="/added.tflite"), "does not lie beside"),
        (lambda c: c.pop("liveness"), "lacks liveness"),
        (lambda c: c.update(schema=2), "schema 2"),
    ],
    ids=["network", "composition", "above", "elsewhere", "lacks", "schema"],
)
def test_a_list_that_reaches_beyond_what_it_may_add_is_refused(
    folder: Path, change: Callable[[dict[str, Any]], object], said: str
) -> None:
    with pytest.raises(ModelError, match=said) as caught:
        Models.load(edited(folder, change))
    assert FETCHED in str(caught.value)
    assert "run.sh --liveness" in str(caught.value)


@pytest.mark.parametrize("part", ["detector", "embedders"])
def test_a_list_changes_nothing_but_liveness(folder: Path, part: str) -> None:
    shipped = copy.deepcopy(Models.load(MODELS).manifest[part])
    edited(folder, lambda content: content.update({part: {}}))
    assert Models.load(folder).manifest[part] == shipped


def test_a_list_that_cannot_be_read_is_not_taken_for_none(folder: Path) -> None:
    (folder / FETCHED).unlink()
    (folder / FETCHED).symlink_to(folder / "nowhere.json")
    with pytest.raises(ModelError, match=r"fetched\.json: No such file"):
        Models.load(folder)
