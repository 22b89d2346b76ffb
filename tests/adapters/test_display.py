"""A small display: what it says, to whom, on which hardware, and one that fails."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from lockd.adapters.display import BLIND, Display, open_device, typeface
from lockd.adapters.display.picture import FONTS, Sign, Typeface, fitted, picture
from lockd.config import DisplaySettings
from lockd.identity.observation import Observation, Sighting
from lockd.messages import Event, EventType
from lockd.types import Frame, Signal, Unfit
from lockd.web.texts import LANGUAGES, catalogue
from lockd.web.words import door_words
from tests.fakes import RecordingOutput, face_at
from tests.patience import eventually

WORDS = door_words(str)
OWN = Typeface(None)


class Panel:
    """A display that keeps what it was given; it fails for as long as it is told to."""

    size, mode = (128, 64), "1"

    def __init__(self) -> None:
        self.pictures: list[Image.Image] = []
        self.lit = False
        self.broken = False
        self.opened = self.ended = 0

    def __call__(self) -> Panel:
        self.opened += 1
        if self.broken:
            raise OSError("no answer from 0x3c")
        return self

    def display(self, image: Image.Image) -> None:
        if self.broken:
            raise OSError("gone")
        assert (image.size, image.mode) == (self.size, self.mode)
        self.pictures.append(image)

    def show(self) -> None:
        self.lit = True

    def hide(self) -> None:
        self.lit = False

    def cleanup(self) -> None:
        self.ended += 1
        self.lit = False


class Hand:
    """A display whose clock stands in a test's hand."""

    def __init__(self, device: Callable[[], Any] | None = None) -> None:
        self.now = 0.0
        self.panel = Panel()
        self.display = Display(device or self.panel, WORDS, rests_s=60.0, now=lambda: self.now)

    @property
    def says(self) -> str | None:
        shown, _ = self.display.due()
        return None if shown is None else shown[1]

    @property
    def sign(self) -> Sign | None:
        shown, _ = self.display.due()
        return None if shown is None else shown[0]

    def sees(self, unfit: Unfit | None, *others: Sighting) -> None:
        frame = Frame(np.zeros((480, 640, 3), np.uint8), 0.0, 1)
        sighting = Sighting(1, face_at(200, 100, 100), unfit, None)
        self.display.observed(frame, Observation([sighting, *others], []))


@contextmanager
def started(hand: Hand) -> Iterator[Hand]:
    hand.display.start()
    try:
        yield hand
    finally:
        hand.display.close()


class TestWhatItSays:
    @pytest.mark.parametrize("signal", list(Signal))
    def test_every_signal_has_a_sign_and_words_in_each_language(self, signal: Signal) -> None:
        hand = Hand()
        hand.display.show(signal)
        assert hand.says == WORDS[signal]
        for language in LANGUAGES:
            assert door_words(catalogue(language).gettext)[signal]

    def test_only_whoever_was_let_in_is_called_by_name_and_not_for_long(self) -> None:
        hand = Hand()
        hand.display.show(Signal.LOOKING)
        hand.display.show(Signal.GRANTED, "Ada")
        assert (hand.says, hand.sign) == ("Welcome, Ada", Sign.YES)
        hand.now = 3.0
        assert hand.says == "One moment"
        hand.display.show(Signal.DENIED, "Ada")
        assert (hand.says, hand.sign) == ("You cannot be let in just now", Sign.NO)

    def test_where_to_turn_is_an_arrow(self) -> None:
        hand = Hand()
        hand.display.show(Signal.ASK_LEFT, "Ada")
        assert (hand.says, hand.sign) == ("Turn your head to the left", Sign.LEFT)

    def test_what_is_wrong_with_the_largest_face_is_said_while_somebody_is_there(self) -> None:
        hand = Hand()
        hand.sees(Unfit.TOO_SMALL)
        assert hand.says == "Please look at the camera"
        hand.display.show(Signal.LOOKING)
        assert hand.says == "Come closer"
        hand.sees(Unfit.TOO_SMALL, Sighting(2, face_at(0, 0, 300), None, None))
        assert hand.says == "One moment"
        hand.sees(Unfit.TOO_DARK)
        hand.display.show(Signal.LOCKED_DOWN)
        assert hand.says == "Closed"

    def test_a_camera_that_sees_nothing_is_told(self) -> None:
        hand = Hand()
        hand.display.event(Event(EventType.CAMERA_PROBLEM, 0.0, "door"))
        assert hand.says == WORDS[BLIND]
        hand.display.event(Event(EventType.CAMERA_RECOVERED, 0.0, "door"))
        assert hand.says == "Please look at the camera"

    def test_it_rests_when_nobody_was_there_for_long(self) -> None:
        hand = Hand()
        hand.now = 59.9
        assert hand.says is not None
        hand.now = 60.0
        assert hand.says is None
        hand.display.show(Signal.LOOKING)
        assert hand.says == "One moment"
        hand.now = 600.0
        assert hand.says == "One moment"

    def test_a_name_that_the_font_has_no_letters_for_is_left_out(self) -> None:
        hand = Hand()
        hand.display.show(Signal.GRANTED, "Ḁ\U00012000")
        assert hand.says == "Welcome"


class TestDrawing:
    @pytest.mark.parametrize(
        "size", [(128, 64), (128, 32), (96, 64), (84, 48), (64, 128), (240, 240)]
    )
    @pytest.mark.parametrize("mode", ["1", "RGB"])
    def test_all_that_it_says_has_room_on_every_display(
        self, size: tuple[int, int], mode: str
    ) -> None:
        for language in LANGUAGES:
            for words in door_words(catalogue(language).gettext).values():
                image = picture(size, mode, (Sign.LEFT, words), OWN)
                assert (image.size, image.mode) == (size, mode)
                assert image.getbbox() is not None

    def test_words_are_as_large_as_there_is_room_for(self) -> None:
        lines, large = fitted("Come closer", (240, 120), OWN)
        assert " ".join(lines) == "Come closer"
        _, small = fitted("Come closer", (80, 60), OWN)
        assert large.size > 2 * small.size

    def test_whatever_somebody_is_called_it_draws(self) -> None:
        for name in ("x" * 64, "Ḁ́" * 32, "", " ", "\U0001f600"):
            picture((128, 64), "1", (Sign.YES, name), OWN)

    def test_without_a_font_letters_become_plain_ones(self) -> None:
        assert OWN.of("Außer Betrieb, Zoë Łuk") == "Ausser Betrieb, Zoe Łuk"
        assert OWN.has("Zoë Müller")
        assert not OWN.has("Łuk")

    def test_a_font_that_is_not_there_gives_way_to_one_that_always_is(self) -> None:
        assert typeface("/nowhere.ttf").file is None
        assert typeface(None).file in (None, *FONTS)


class TestItsThread:
    def test_it_draws_when_something_else_is_to_be_shown_and_only_then(self) -> None:
        with started(Hand()) as hand:
            eventually(lambda: hand.panel.lit)
            for signal in (Signal.LOOKING, Signal.LOOKING, Signal.ASK_LEFT):
                hand.display.show(signal)
            eventually(lambda: len(hand.panel.pictures) >= 2)
            hand.display.show(Signal.LOCKED_DOWN)
            wanted = picture(Panel.size, "1", (Sign.NO, "Closed"), typeface(None))
            eventually(lambda: hand.panel.pictures[-1].tobytes() == wanted.tobytes())
            assert len(hand.panel.pictures) <= 4
        assert (hand.panel.lit, hand.panel.ended) == (False, 1)

    def test_it_becomes_dark_and_light_again(self) -> None:
        with started(Hand()) as hand:
            eventually(lambda: hand.panel.lit)
            hand.now = 61.0
            hand.display.event(Event(EventType.CAMERA_RECOVERED, 0.0, "door"))
            eventually(lambda: not hand.panel.lit)
            hand.display.show(Signal.LOOKING)
            eventually(lambda: hand.panel.lit)

    def test_one_that_fails_is_told_once_and_opened_again(
        self, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("lockd.adapters.display.device.RETRY_FIRST_S", 0.01)
        caplog.set_level(logging.INFO)
        hand = Hand()
        hand.panel.broken = True
        with started(hand):
            eventually(lambda: hand.panel.opened > 3)
            hand.panel.broken = False
            eventually(lambda: "shows again" in caplog.text)
        assert caplog.text.count("shows nothing") == 1
        assert "no answer from 0x3c" in caplog.text

    def test_one_that_dies_is_replaced(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(threading, "excepthook", lambda _: None)

        def dies() -> Any:
            raise SystemExit

        hand = Hand(dies)
        with started(hand):
            threads = [one for one in threading.enumerate() if one.name == "display"]
            eventually(lambda: not any(one.is_alive() for one in threads))
            hand.display.show(Signal.LOOKING)


class Bus:
    """An I2C bus that writes down what it is given; an address with nothing there fails."""

    def __init__(self, there: bool = True) -> None:
        self.there = there
        self.sent = 0

    def write_i2c_block_data(self, address: int, register: int, content: list[int]) -> None:
        if not self.there:
            raise OSError(121, "Remote I/O error")
        self.sent += len(content)

    def i2c_rdwr(self, *messages: Any) -> None:
        self.sent += sum(len(list(one)) for one in messages)

    def close(self) -> None:
        pass


class Spi:
    max_speed_hz = 0

    def __init__(self) -> None:
        self.sent = 0

    def open(self, port: int, device: int) -> None:
        self.at = port, device

    def writebytes(self, content: Any) -> None:
        assert len(content) <= 4096
        self.sent += len(bytes(content))

    def close(self) -> None:
        self.at = (-1, -1)


@pytest.mark.filterwarnings("ignore:Image.Image.getdata")  # luma's; see pyproject.toml
class TestHardware:
    @pytest.mark.parametrize("driver", ["ssd1306", "sh1106", "ssd1309"])
    def test_an_oled_on_i2c_gets_its_pixels(self, driver: str) -> None:
        bus = Bus()
        device = open_device(DisplaySettings(driver=driver), {}, bus)  # type: ignore[arg-type]
        before = bus.sent
        device.display(picture(device.size, device.mode, (Sign.YES, "Welcome"), OWN))
        assert bus.sent - before >= device.width * device.height // 8
        device.cleanup()

    @pytest.mark.parametrize("driver", ["ssd1351", "st7735", "st7789", "ili9341", "pcd8544"])
    def test_one_on_spi_gets_them_with_its_pins(self, driver: str) -> None:
        settings = DisplaySettings(
            driver=driver, bus="spi", dc_pin=24, reset_pin=25,  # type: ignore[arg-type]
            light_pin=18 if not driver.startswith("ssd") else None, chip_select=1,
        )  # fmt: skip
        lines = {pin: RecordingOutput() for _, pin in settings.pins()}
        spi = Spi()
        device = open_device(settings, lines, spi=spi)
        assert spi.at == (0, 1)
        device.display(picture(device.size, device.mode, (Sign.NO, "Closed"), OWN))
        assert spi.sent > device.width * device.height // 8
        assert lines[25].log[:2] == ["off", "on"]
        assert {"on", "off"} <= set(lines[24].log)
        if settings.light_pin:
            assert lines[18].log[-1] == "on"

    def test_what_is_not_there_is_an_error_for_the_thread_to_tell(self) -> None:
        with pytest.raises(Exception, match=r"0x3C|not found|I/O"):
            open_device(DisplaySettings(driver="ssd1306"), {}, Bus(there=False))
        with pytest.raises(Exception, match="not found: /dev/i2c-32"):
            open_device(DisplaySettings(driver="ssd1306", port=32), {})

    def test_it_is_the_same_on_the_emulator(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("SDL_VIDEODRIVER", "dummy")
        monkeypatch.setenv("PYGAME_HIDE_SUPPORT_PROMPT", "1")
        emulator = pytest.importorskip("luma.emulator.device")
        device = emulator.capture(
            width=128, height=64, rotate=0, mode="RGB", transform="none", scale=1,
            file_template=str(tmp_path / "{0:03}.png"),
        )  # fmt: skip
        hand = Hand(lambda: device)
        with started(hand):
            hand.display.show(Signal.GRANTED, "Ada")
            eventually(lambda: len(list(tmp_path.glob("*.png"))) > 0)
            eventually(lambda: _is(tmp_path, "Welcome, Ada"))


def _is(folder: Path, words: str) -> bool:
    last = max(folder.glob("*.png"))
    wanted = picture((128, 64), "RGB", (Sign.YES, words), typeface(None))
    try:
        with Image.open(last) as found:
            return found.convert("RGB").tobytes() == wanted.tobytes()
    except OSError:  # half written
        return False


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"driver": "ssd1306", "bus": "spi"}, "needs dc_pin"),
        ({"driver": "ssd1306", "dc_pin": 24}, "no effect with bus: i2c"),
        ({"driver": "ssd1306", "light_pin": 18}, "no effect with ssd1306"),
        ({"driver": "ssd1306", "width": 128}, "belong together"),
        ({"driver": "hd44780"}, "driver"),
        ({"driver": "ssd1306", "address": 0}, "address"),
    ],
)
def test_what_makes_no_sense_is_a_mistake(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        DisplaySettings.model_validate(settings)


def test_the_kernels_devices_are_named() -> None:
    assert str(DisplaySettings(driver="ssd1306").device) == "/dev/i2c-1"
    spi = DisplaySettings(driver="st7789", bus="spi", dc_pin=24, chip_select=1)
    assert str(spi.device) == "/dev/spidev0.1"
