"""`lockd doctor` on a small display."""

from __future__ import annotations

from pathlib import Path

import pytest

from lockd.commands.doctor.display import display
from lockd.commands.doctor.findings import Machine, Status
from lockd.paths import DISPLAY_DROP_IN, UNIT_FILE
from tests.commands.test_doctor import machine

FONT = Path(__file__)  # a file that is there; whether it is a font is Pillow's affair
OLED = f"signals: {{display: {{driver: ssd1306, font: {FONT}}}}}\n"


def with_bus(place: Machine, device: str = "/dev/i2c-1") -> Machine:
    path = place.path(device)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return place


def test_where_nothing_is_shown_nothing_is_looked_at(tmp_path: Path) -> None:
    (finding,) = display(machine(tmp_path))
    assert finding.status is Status.SKIPPED


def test_one_whose_bus_is_there_is_well(tmp_path: Path) -> None:
    (finding,) = display(with_bus(machine(tmp_path, OLED)))
    assert finding.status is Status.OK, finding
    assert "ssd1306 at /dev/i2c-1" in finding.text


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("driver: ssd1306", "dtparam=i2c_arm=on"),
        ("driver: st7789, bus: spi, dc_pin: 24", "dtparam=spi=on"),
    ],
)
def test_a_bus_that_is_not_there_is_a_problem_with_its_remedy(
    tmp_path: Path, settings: str, said: str
) -> None:
    text = f"signals: {{display: {{{settings}, font: {FONT}}}}}\n"
    (finding,) = display(machine(tmp_path, text))
    assert finding.status is Status.PROBLEM
    assert said in finding.mend


def test_a_font_that_is_not_there_is_a_warning(tmp_path: Path) -> None:
    text = "signals: {display: {driver: ssd1306, font: /nowhere.ttf}}\n"
    (finding,) = display(with_bus(machine(tmp_path, text)))
    assert finding.status is Status.WARNING
    assert "/nowhere.ttf" in finding.text


def test_what_drives_it_must_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    (finding,) = display(with_bus(machine(tmp_path, OLED)))
    assert finding.status is Status.PROBLEM
    assert "luma.oled is not installed" in finding.text


def test_an_installed_service_must_be_let_to_the_bus(tmp_path: Path) -> None:
    place = with_bus(machine(tmp_path, OLED))
    place.path(UNIT_FILE).parent.mkdir(parents=True)
    place.path(UNIT_FILE).touch()
    (finding,) = display(place)
    assert finding.status is Status.PROBLEM
    assert DISPLAY_DROP_IN in finding.text
    place.path(DISPLAY_DROP_IN).parent.mkdir(parents=True)
    place.path(DISPLAY_DROP_IN).touch()
    (finding,) = display(place)
    assert finding.status is Status.OK
