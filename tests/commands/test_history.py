"""`lockd history`: who came, on the door's clock, for people, spreadsheets and programs."""

from __future__ import annotations

import csv
import io
import json
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from lockd.adapters.store import Store, Vault
from lockd.commands.main import main
from lockd.messages import utc_text
from tests.fakes import post, unit
from tests.invoking import invoke

COLUMNS = "utc,local,type,person"


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A door in Berlin with somebody whose name is a formula, and events of some days."""
    path = tmp_path / "lockd.db"
    with closing(Store.open(path, Vault.beside(path))) as store:
        ada = store.people.add("=Ada", "model", [unit(1)], by="root")
        who = {"person": "=Ada", "person_id": ada.id, "similarity": -0.5}
        keep(store, "2024-11-20T22:59:00.000Z", "access_granted", **who)
        keep(store, "2024-11-20T23:00:00.000Z", "stranger", reason='a "[bold]x", \u202e')
        keep(store, utc_text(datetime.now(UTC) - timedelta(minutes=1)), "exit_requested")
    config = tmp_path / "lockd.yaml"
    config.write_text(f"store: {{folder: {tmp_path}}}\naccess: {{timezone: Europe/Berlin}}\n")
    return config


def keep(store: Store, utc: str, kind: str, **more: Any) -> None:
    post(store, {"utc": utc, "type": kind, **more}, kept=True)


def asked(config: Path, *options: str) -> Result:
    return invoke(main, "history", "--config", config, *options)


def types(config: Path, *options: str) -> list[str]:
    result = asked(config, "--json", *options)
    assert result.exit_code == 0, result.output
    return [one["type"] for one in json.loads(result.stdout)]


def test_a_line_says_when_it_was_at_the_door_and_what(config: Path) -> None:
    lines = asked(config, "--until", "2027-01-01").stdout
    assert "2024-11-21 00:00:00" in lines
    assert 'a stranger: a "[bold]x", ' in lines
    assert lines.index("exit button" if "exit button" in lines else "stranger") < lines.index(
        "let in"
    )
    assert "let in: =Ada, -0.50" in lines


@pytest.mark.parametrize(
    ("options", "found"),
    [
        (["--day", "2024-11-20"], ["access_granted"]),
        (["--day", "2024-11-21"], ["stranger"]),
        (["--since", "2024-11-21", "--until", "2024-11-22"], ["stranger"]),
        (["--until", "2024-11-20 23:59"], []),
        (["--until", "2024-11-20T23:59:30"], ["access_granted"]),
        (["--until", "2024-11-20T23:00:00Z"], ["access_granted"]),
        (["--since", "5m"], ["exit_requested"]),
        (["--until", "5m", "--since", "9999w"], ["stranger", "access_granted"]),
        (["--person", "=ada"], ["access_granted"]),
        (["--kind", "visit", "--until", "1m"], ["stranger", "access_granted"]),
        (["--kind", "alert", "--kind", "exit_requested"], ["exit_requested", "stranger"]),
        (["--limit", "1", "--offset", "1"], ["stranger"]),
    ],
)
def test_what_is_looked_for_is_found(config: Path, options: list[str], found: list[str]) -> None:
    assert types(config, *options) == found


def test_today_is_the_doors_day(config: Path) -> None:
    assert len(types(config, "--today")) <= 1
    text = config.read_text().replace("Europe/Berlin", "UTC")
    config.write_text(text)
    assert types(config, "--since", "00:00") == types(config, "--today")


def test_a_spreadsheet_takes_nothing_for_a_formula(config: Path) -> None:
    result = asked(config, "--csv", "--since", "2024-11-20", "--until", "2024-11-22")
    assert result.stdout.startswith(COLUMNS)
    first, last = csv.DictReader(io.StringIO(result.stdout))
    assert (last["person"], last["similarity"]) == ("'=Ada", "-0.5")
    assert (first["local"], first["reason"]) == ("2024-11-21 00:00:00", 'a "[bold]x", \u202e')


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (["--person", "Adda"], 9, "nobody of that name is enrolled"),
        (["--kind", "visits"], 2, "Did you mean 'visit'?"),
        (["--since", "soon"], 2, "'soon' is no time; use 2026-11-28"),
        (["--since", "0001-01-01"], 2, "no door was there then"),
        (["--day", "9999-12-31"], 2, "no door was there then"),
        (["--today", "--since", "5m"], 2, "exclude each other"),
        (["--csv", "--json"], 2, "exclude each other"),
    ],
)
def test_what_makes_no_sense_is_told(
    config: Path, options: list[str], code: int, said: str
) -> None:
    result = asked(config, *options)
    assert result.exit_code == code
    assert said in result.stderr


def test_what_is_left_out_and_what_is_not_kept_is_told(config: Path) -> None:
    result = asked(config, "--limit", "1")
    assert "2 more events; see --limit" in result.stderr
    result = asked(config, "--kind", "tamper")
    assert (result.stdout, result.stderr) == ("Nothing of that kind is kept.\n", "")
    config.write_text(config.read_text().replace("store: {", "store: {keep_events_days: 0, "))
    assert "store.keep_events_days is 0" in asked(config, "--kind", "tamper").stderr
