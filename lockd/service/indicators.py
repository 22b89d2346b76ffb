"""Opens what tells whoever stands at the door how things are."""

from __future__ import annotations

from contextlib import ExitStack

from lockd.adapters.pins import Board
from lockd.adapters.signals import Signals
from lockd.adapters.voice import Voice
from lockd.config import LedSettings, Settings, VoiceSettings
from lockd.ports import Indicator, Output


def open_indicators(board: Board, settings: Settings, stack: ExitStack) -> list[Indicator]:
    """Open LED, buzzer and voice, as far as the settings name them; `stack` closes them."""
    indicators: list[Indicator] = []
    for one in (_open_signals(board, settings), _open_voice(settings.signals.voice)):
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
