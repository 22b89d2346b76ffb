"""The voice of the door: says to whoever stands there what they are to do.

An LED or a buzzer cannot say "left". What is said lies beside the configuration as WAV files, one
for each signal and language, and ALSA's `aplay` plays it in a process of its own. A thread waits
for that process and touches nothing else: a loudspeaker that fails is logged once and never
disturbs the door, which then lets nobody in who was to be told something by it.
"""

from __future__ import annotations

import logging
import shutil
import subprocess
import threading
import time
import wave
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from pathlib import Path

from lockd.types import Signal

log = logging.getLogger(__name__)

PLAYER = "aplay"
SAID = (Signal.ASK_FRONT, Signal.ASK_LEFT, Signal.ASK_RIGHT, Signal.GRANTED, Signal.DENIED)
"""Signals with words of their own; at the others nothing is said."""
ASKS = frozenset({Signal.ASK_FRONT, Signal.ASK_LEFT, Signal.ASK_RIGHT})
LONGEST_S = 10.0
"""A player that takes longer hangs."""


def missing(folder: Path) -> list[str]:
    """Return what keeps a folder of WAV files from being said, in words; empty if nothing does."""
    found = []
    for signal in SAID:
        file = folder / f"{signal}.wav"
        try:
            with wave.open(str(file), "rb") as said:
                seconds = said.getnframes() / said.getframerate()
        except (OSError, EOFError, wave.Error) as error:
            found.append(f"{file}: {getattr(error, 'strerror', None) or error}")
            continue
        if not 0 < seconds <= LONGEST_S:
            found.append(f"{file}: {seconds:.1f} s long; 0 to {LONGEST_S:.0f} s can be said")
    return found


class Voice:
    """Says a signal's words once, whenever another signal is to be shown.

    What asks for a turn cuts off whatever is being said, for it is late afterwards; so does
    whatever comes after what asks.

    Args:
        folder: of the WAV files, each named like its signal.
        device: ALSA's name of where it sounds, as `aplay -L` lists them.
        quiet: signals at which nothing is said.
        player: the command; the device and the file come after it.
        now: monotonic seconds.
    """

    def __init__(
        self,
        folder: Path,
        device: str = "default",
        quiet: Collection[Signal] = (),
        player: Sequence[str] = (PLAYER, "--quiet"),
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._folder = folder
        self._command = [*player, "--device", device, "--"]
        self._words = frozenset(SAID) - frozenset(quiet)
        self._now = now
        self._lock = threading.Condition()
        self._shown: Signal | None = None
        self._next: Signal | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._failed = False
        self._silent_until = 0.0
        self._closing = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Be ready to say something."""
        self._thread = threading.Thread(target=self._speak, name="voice", daemon=True)
        self._thread.start()

    def show(self, signal: Signal, name: str | None = None) -> None:
        """Say a signal's words, unless they were the last; from any thread, without waiting.

        Args:
            name: never said; a voice carries further than a screen.
        """
        if self._thread is not None and not self._thread.is_alive() and not self._closing:
            log.error("the thread that speaks has died; starting another")
            self.start()
        with self._lock:
            again = signal is self._shown and signal in ASKS
            before, self._shown = self._shown, signal
            if again or signal not in self._words or self._silent(signal):
                return
            self._next = signal
            if signal in ASKS or before in ASKS:
                self._stop()
            self._lock.notify()

    def silence(self, seconds: float) -> None:
        """Say nothing from now on for so long but what somebody is asked to do."""
        with self._lock:
            self._silent_until = self._now() + seconds

    def close(self) -> None:
        """Stop speaking."""
        with self._lock:
            self._closing = True
            self._stop()
            self._lock.notify()
        if self._thread is not None:
            self._thread.join(timeout=1.0)

    def _silent(self, signal: Signal) -> bool:
        return signal not in ASKS and self._now() < self._silent_until

    def _stop(self) -> None:
        if self._process is not None:
            with suppress(OSError):
                self._process.kill()

    def _speak(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._closing or self._next is not None)
                if self._closing:
                    return
                signal, self._next = self._next, None
                file = self._folder / f"{signal}.wav"
                try:
                    process = self._process = subprocess.Popen(
                        [*self._command, str(file)],
                        stdin=subprocess.DEVNULL,
                        stdout=subprocess.DEVNULL,
                        stderr=subprocess.PIPE,
                    )
                except OSError as error:
                    self._complain(f"{self._command[0]}: {error.strerror}; install alsa-utils")
                    continue
            self._wait_for(process)

    def _wait_for(self, process: subprocess.Popen[bytes]) -> None:
        try:
            _, said = process.communicate(timeout=LONGEST_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            self._complain(f"{self._command[0]} took more than {LONGEST_S:.0f} s")
        else:
            words = said.decode(errors="replace").strip().splitlines()
            if process.returncode > 0:  # below: it was stopped, by us
                self._complain(words[-1] if words else f"exit status {process.returncode}")
        finally:
            with self._lock:
                self._process = None

    def _complain(self, what: str) -> None:
        if not self._failed:
            log.error("the voice cannot be heard: %s; `lockd doctor` looks at it", what)
        self._failed = True


def installed() -> str | None:
    """Return where the player is, or None."""
    return shutil.which(PLAYER)
