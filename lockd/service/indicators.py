"""Opens what tells whoever stands at the door how things are."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING

from lockd.adapters.pins import Board
from lockd.adapters.signals import Signals
from lockd.adapters.voice import Voice
from lockd.config import DisplaySettings, LedSettings, Settings, VoiceSettings
from lockd.ports import Indicator, Output

if TYPE_CHECKING:
    from lockd.adapters.display import Display


def open_indicators(board: Board, settings: Settings, stack: ExitStack) -> list[Indicator]:
    """Open LED, buzzer, voice and display, as far as they are named; `stack` closes them."""
    indicators: list[Indicator] = []
    for one in (
        _open_signals(board, settings),
        _open_voice(settings.signals.voice),
        _open_display(board, settings.signals.display),
    ):
        if one is not None:
            stack.callback(one.close)
            one.start()
            indicators.append(one)
    return indicators


def _open_signals(board: Board, settings: Settings) -> Signals:
    led, buzzer = settings.signals.led, settings.signals.buzzer

    def output(name: str, part: LedSettings | None) -> Output | None:
        if part is None:
            return None
        setting = f"signals.{name}.pin"
        return board.output(part.pin, active_high=part.active_high, setting=setting)

    quiet = () if buzzer is None else buzzer.quiet
    return Signals(
        output("led", led),
        output("buzzer", buzzer),
        quiet,
        left=output("left_led", settings.signals.left_led),
        right=output("right_led", settings.signals.right_led),
    )


def _open_voice(wanted: VoiceSettings | None) -> Voice | None:
    return None if wanted is None else Voice(wanted.spoken(), wanted.device, wanted.quiet)


def _open_display(board: Board, wanted: DisplaySettings | None) -> Display | None:
    """Claim its pins; its own thread opens the rest."""
    if wanted is None:
        return None
    # What draws letters weighs something.
    from lockd.adapters.display import Display, open_device  # noqa: PLC0415
    from lockd.web.texts import catalogue  # noqa: PLC0415
    from lockd.web.words import door_words  # noqa: PLC0415

    lines = {
        pin: board.output(pin, active_high=True, setting=f"signals.display.{name}")
        for name, pin in wanted.pins()
    }
    return Display(
        lambda: open_device(wanted, lines),
        door_words(catalogue(wanted.language).gettext),
        str(wanted.font) if wanted.font else None,
        wanted.rests_s,
    )
