"""`lockd doctor` on the loudspeaker."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockd.commands.doctor.findings import Status
from lockd.commands.doctor.voice import voice
from lockd.paths import SOUND_DROP_IN, UNIT_FILE
from tests.commands.test_doctor import machine

VOICE = "signals: {voice: {device: %s}}\n"


@pytest.fixture
def player(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An `aplay` that knows of two devices."""
    folder = tmp_path / "bin"
    folder.mkdir()
    player = folder / "aplay"
    player.write_text("#!/bin/sh\nprintf 'default\\n    Sound\\nplughw:CARD=Headphones\\n'\n")
    player.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/bin:/usr/bin")
    return player


def test_where_nothing_is_said_nothing_is_looked_at(tmp_path: Path) -> None:
    (finding,) = voice(machine(tmp_path))
    assert finding.status is Status.SKIPPED


@pytest.mark.parametrize("device", ["default", "'plughw:CARD=Headphones,DEV=0'"])
def test_a_loudspeaker_that_is_there_is_well(tmp_path: Path, player: Path, device: str) -> None:
    (finding,) = voice(machine(tmp_path, VOICE % device))
    assert finding.status is Status.OK, finding


def test_one_that_is_not_there_is_a_problem_that_names_those_that_are(
    tmp_path: Path, player: Path
) -> None:
    (finding,) = voice(machine(tmp_path, VOICE % "hifiberry"))
    assert finding.status is Status.PROBLEM
    assert "hifiberry: no such device" in finding.text
    assert "default, plughw:CARD=Headphones" in finding.mend


def test_a_missing_player_and_missing_words_are_each_named(
    tmp_path: Path, player: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    found = voice(machine(tmp_path, f"signals: {{voice: {{folder: {tmp_path}}}}}\n"))
    assert [one.status for one in found] == [Status.PROBLEM] * 6
    assert "ask_front.wav: No such file" in found[0].text
    assert "alsa-utils" in found[-1].mend


def test_an_installed_service_must_be_let_to_the_card(tmp_path: Path, player: Path) -> None:
    place = machine(tmp_path, VOICE % "default")
    unit = place.path(UNIT_FILE)
    unit.parent.mkdir(parents=True)
    unit.touch()
    (finding,) = voice(place)
    assert SOUND_DROP_IN in finding.text
    place.path(SOUND_DROP_IN).parent.mkdir()
    place.path(SOUND_DROP_IN).touch()
    (finding,) = voice(machine(tmp_path, VOICE % "default"))
    assert finding.status is Status.OK
