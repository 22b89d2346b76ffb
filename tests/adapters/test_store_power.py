"""Whoever was forgotten, verified, is in no file after a power cut that takes the unsynced."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from lockd.adapters.store import Store, Vault
from lockd.adapters.store.rows import changed
from tests.conftest import ROOT
from tests.fakes import unit
from tests.patience import PATIENCE_S

NAME = "Unforgettable Umberto"
COMPILER = shutil.which("cc")

pytestmark = pytest.mark.skipif(COMPILER is None, reason="the power cuts need a C compiler")


@pytest.fixture(scope="session")
def power(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The library that notes what a power cut could leave."""
    library = tmp_path_factory.mktemp("power") / "power.so"
    source = ROOT / "tests" / "adapters" / "power.c"
    command = [str(COMPILER), "-shared", "-fPIC", "-O1", "-o", str(library), str(source), "-ldl"]
    subprocess.run(command, check=True, capture_output=True)
    return library


def left(folder: Path) -> set[str]:
    """The files of a folder in which the name is, by inode."""
    return {
        str(file.stat().st_ino)
        for file in folder.iterdir()
        if file.is_file() and NAME.encode() in file.read_bytes()
    }


@pytest.mark.parametrize("others", [0, pytest.param(300, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("photographs", [0, pytest.param(3, marks=pytest.mark.thorough)])
@pytest.mark.parametrize("reader", ["alone", "open", "writes"])
def test_a_power_cut_once_it_is_said_brings_nobody_back(
    tmp_path: Path, power: Path, reader: str, photographs: int, others: int
) -> None:
    state, marks, report = tmp_path / "state", tmp_path / "marks", tmp_path / "report.json"
    marks.mkdir()
    (tmp_path / "lockd.yaml").write_text("store: {folder: state}\n")
    path = state / "lockd.db"
    with ExitStack() as stack:
        service = stack.enter_context(closing(Store.open(path, Vault.beside(path))))
        with service.database.transaction():
            for number in range(others):
                person = service.people.make(f"Grace {number}")
                service.templates.put(person.id, "model", [(unit(3, 4), None, None)])
                changed(service.database, person.id)
        pictures = [b"x" * 50_000] * photographs
        faces = [unit(1, 2)] * max(1, photographs)
        service.people.add(NAME, "model", faces, by="root", photographs=pictures)
        service.people.rename(NAME, "Somebody else", by="root")
        service.people.rename("Somebody else", NAME, by="root")
        if reader == "alone":
            service.close()
        elif reader == "writes":
            service.memory.remember({"locked_down": True})
        for inode in left(state):
            (marks / inode).touch()
        assert left(state)
        program = "from enroll.cli import main; main()"
        arguments = ["forget", NAME, "--yes", "--report", report, "--config"]
        done = subprocess.run(
            [sys.executable, "-c", program, *map(str, arguments), str(tmp_path / "lockd.yaml")],
            env={
                **os.environ,
                "LD_PRELOAD": str(power),
                "POWER_FOLDER": str(marks),
                "POWER_TEXT": NAME,
            },
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, done.stderr
    assert json.loads(report.read_text())["verified"] is True
    names = {str(file.stat().st_ino): file.name for file in state.iterdir()}
    assert {names.get(one.name, "a file that is gone") for one in marks.iterdir()} == set()
