"""The voice: what is said when, what cuts it off, and a loudspeaker that fails."""

from __future__ import annotations

import logging
import shutil
import stat
import wave
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockd.adapters.voice import LONGEST_S, SAID, Voice, missing
from lockd.paths import shipped
from lockd.types import Signal
from tests.patience import eventually

LANGUAGES = ("en", "de")


class Stage:
    """A voice whose player writes down what it is given, and plays until it is let go on."""

    def __init__(self, folder: Path, quiet: tuple[Signal, ...] = (), exits: int = 0) -> None:
        self.log = folder / "said"
        self.holds = folder / "holds"
        self.now = 0.0
        player = folder / "player"
        player.write_text(
            f"""#!/bin/sh
echo "$@" >> {self.log}
[ {exits} = 0 ] || echo "audio open error: No such device" >&2
while [ -e {self.holds} ]; do sleep 0.01; done
echo "end" >> {self.log}
exit {exits}
"""
        )
        player.chmod(player.stat().st_mode | stat.S_IXUSR)
        self.voice = Voice(Path("words"), "card", quiet, player=[str(player)], now=lambda: self.now)
        self.voice.start()

    @property
    def said(self) -> list[str]:
        lines = self.log.read_text().splitlines() if self.log.exists() else []
        return [Path(line.rpartition(" ")[2]).stem for line in lines]

    def hears(self, *words: str) -> None:
        eventually(lambda: self.said == [*words])


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.voice.close()


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_words_that_a_sound_card_plays(language: str) -> None:
    folder = shipped(f"config/voice/{language}")
    assert missing(folder) == []
    assert sorted(file.stem for file in folder.iterdir()) == sorted(SAID)
    for signal in SAID:
        with wave.open(str(folder / f"{signal}.wav"), "rb") as said:
            assert (said.getnchannels(), said.getsampwidth()) == (1, 2)
            # Whoever is asked has three seconds, of which the words take.
            assert said.getnframes() / said.getframerate() < 1.2


def test_what_is_missing_or_no_sound_is_named(tmp_path: Path) -> None:
    for signal in SAID[1:]:
        shutil.copy(shipped(f"config/voice/en/{signal}.wav"), tmp_path)
    (tmp_path / "granted.wav").write_bytes(b"ID3 is another kind of file")
    with wave.open(str(tmp_path / "denied.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(100)
        file.writeframes(bytes(int(100 * LONGEST_S) + 1))
    said = missing(tmp_path)
    assert [line.partition(": ")[0] for line in said] == [
        str(tmp_path / f"{name}.wav") for name in ("ask_front", "granted", "denied")
    ]
    assert "No such file" in said[0]


def test_it_says_what_is_to_be_done_once(stage: Stage) -> None:
    for signal in (Signal.ASK_LEFT, Signal.ASK_LEFT, Signal.IDLE, Signal.LOOKING):
        stage.voice.show(signal)
    stage.hears("ask_left", "end")
    assert stage.log.read_text().startswith("--device card -- words/ask_left.wav")


def test_who_comes_twice_is_greeted_twice_and_never_by_name(stage: Stage) -> None:
    stage.voice.show(Signal.GRANTED, "Ada")
    stage.hears("granted", "end")
    stage.voice.show(Signal.GRANTED, "Ada")
    stage.hears("granted", "end", "granted", "end")
    assert "Ada" not in stage.log.read_text()


def test_the_next_turn_is_not_asked_for_too_late(stage: Stage) -> None:
    stage.holds.touch()
    stage.voice.show(Signal.ASK_LEFT)
    stage.hears("ask_left")
    stage.voice.show(Signal.ASK_RIGHT)
    stage.hears("ask_left", "ask_right")  # the first one never came to its end
    stage.voice.show(Signal.DENIED)
    stage.hears("ask_left", "ask_right", "denied")
    stage.holds.unlink()
    stage.hears("ask_left", "ask_right", "denied", "end")


def test_quiet_and_silence_keep_all_but_what_is_asked(tmp_path: Path) -> None:
    stage = Stage(tmp_path, quiet=(Signal.GRANTED,))
    stage.voice.show(Signal.GRANTED)
    stage.voice.silence(60)
    stage.voice.show(Signal.DENIED)
    stage.now = 59
    stage.voice.show(Signal.ASK_FRONT)
    stage.hears("ask_front", "end")
    stage.now = 61
    stage.voice.show(Signal.DENIED)
    stage.hears("ask_front", "end", "denied", "end")
    stage.voice.close()


def test_a_loudspeaker_that_fails_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stage = Stage(tmp_path, exits=1)
    with caplog.at_level(logging.ERROR):
        for n, signal in enumerate((Signal.ASK_LEFT, Signal.ASK_RIGHT), start=1):
            stage.voice.show(signal)
            eventually(lambda n=n: stage.said.count("end") == n)  # type: ignore[misc]
        stage.voice.close()
    assert [record.message for record in caplog.records] == [
        "the voice cannot be heard: audio open error: No such device; `lockd doctor` looks at it"
    ]


def test_without_a_player_nothing_is_said_and_the_door_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    voice = Voice(Path("words"), player=["/nowhere/aplay"])
    voice.start()
    voice.show(Signal.ASK_LEFT)
    eventually(lambda: "install alsa-utils" in caplog.text)
    voice.show(Signal.ASK_RIGHT)
    voice.close()


def test_it_can_be_closed_while_it_speaks(stage: Stage) -> None:
    stage.holds.touch()
    stage.voice.show(Signal.ASK_LEFT)
    stage.hears("ask_left")
    stage.voice.close()
    assert stage.said == ["ask_left"]
    stage.holds.unlink()


@pytest.mark.skipif(shutil.which("aplay") is None, reason="alsa-utils is not installed")
@pytest.mark.parametrize("language", LANGUAGES)
def test_the_real_player_takes_the_words(tmp_path: Path, language: str) -> None:
    player = tmp_path / "player"
    player.write_text(f'#!/bin/sh\naplay --quiet "$@"\necho $? >> {tmp_path}/status\n')
    player.chmod(0o755)
    voice = Voice(shipped(f"config/voice/{language}"), "null", player=[str(player)])
    voice.start()
    for n, signal in enumerate((Signal.GRANTED, Signal.DENIED), start=1):
        voice.show(signal)
        eventually(lambda n=n: statuses(tmp_path / "status") == ["0"] * n)  # type: ignore[misc]
    voice.close()


def statuses(file: Path) -> list[str]:
    return file.read_text().split() if file.exists() else []
