"""`lockd store strangers`: looking at pictures, saving and deleting them."""

from __future__ import annotations

import json
import stat
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import Result

from lockd.adapters.store import Store, Vault
from lockd.commands.main import main
from tests.invoking import invoke


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "lockd.db"
    with closing(Store.open(path, Vault.beside(path))) as store:
        for day in (1, 2):
            picture, utc = b"jpeg %d" % day, f"2026-11-0{day}T08:15:00.000Z"
            store.strangers.keep(picture, event_id=f"e{day}", utc=utc, most=9)
        with store.database.transaction():
            store.database.run("UPDATE strangers SET event_id = 'moved' WHERE event_id = 'e2'")
    config = tmp_path / "lockd.yaml"
    config.write_text(f"store: {{folder: {tmp_path}}}\n")
    return config


def strangers(config: Path, *options: str | Path) -> Result:
    return invoke(main, "store", "strangers", "--config", config, *options)


def test_they_are_listed_the_last_first(config: Path) -> None:
    assert strangers(config).stdout.splitlines() == [
        "2: 2026-11-02T08:15:00.000Z, event moved",
        "1: 2026-11-01T08:15:00.000Z, event e1",
    ]
    assert [one["id"] for one in json.loads(strangers(config, "--json").stdout)] == [2, 1]


def test_they_are_saved_for_their_owner_alone_but_for_damaged_ones(
    config: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    folder.mkdir()
    assert "picture 2 is damaged" in strangers(config, "--save", folder).stderr
    (file,) = folder.iterdir()
    assert (file.name, file.read_bytes()) == ("stranger-1-2026-11-01T081500.jpg", b"jpeg 1")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_one_or_all_are_deleted(config: Path) -> None:
    assert strangers(config, "--forget", "1", "--forget", "7").stdout == "1 picture deleted\n"
    assert strangers(config, "--forget-all").stdout == "1 picture deleted\n"
    assert strangers(config).stdout == "No picture of a stranger is kept.\n"
    result = strangers(config, "--forget-all", "--save", config.parent)
    assert (result.exit_code, "exclude each other" in result.stderr) == (2, True)
