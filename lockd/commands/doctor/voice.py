"""Can whoever stands at the door be told by a loudspeaker what to do?"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

from lockd.adapters.voice import PLAYER, installed, missing
from lockd.commands.doctor.findings import (
    INSTALL,
    Finding,
    Machine,
    ok,
    problem,
    skipped,
)
from lockd.config import VoiceSettings
from lockd.paths import SOUND_DROP_IN

_LISTING_S = 10.0


def voice(machine: Machine) -> list[Finding]:
    """Look at the words, at what plays them, and at where they sound; nothing is said."""
    wanted = machine.settings.signals.voice
    if wanted is None:
        return [skipped("signals.voice: there is none")]
    wrong = list(_wrong(machine, wanted))
    return wrong or [ok(f"signals.voice: {wanted.spoken()}, at {wanted.device}")]


def _wrong(machine: Machine, wanted: VoiceSettings) -> Iterator[Finding]:
    for said in missing(wanted.spoken()):
        yield problem(f"signals.voice: {said}", "docs/liveness.md says what files there must be")
    if machine.installed and machine.text(SOUND_DROP_IN) is None:
        yield problem(f"{SOUND_DROP_IN} is missing: the service may play nothing", INSTALL)
    player = installed()
    if player is None:
        yield problem(f"{PLAYER} is not installed", "`sudo apt install alsa-utils`")
        return
    listed = subprocess.run(
        [player, "--list-pcms"], capture_output=True, text=True, timeout=_LISTING_S, check=False
    )
    names = [line for line in listed.stdout.splitlines() if line and not line[0].isspace()]
    if wanted.device.partition(":")[0] not in {name.partition(":")[0] for name in names}:
        there = ", ".join(names) or "none"
        yield problem(
            f"signals.voice.device: {wanted.device}: no such device",
            f"connect a loudspeaker, or name one of: {there}",
        )
