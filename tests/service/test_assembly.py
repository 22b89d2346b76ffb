"""Services that follow one another."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from lockd.adapters.cameras import LiveCamera
from lockd.adapters.pins import Board
from lockd.config import RelaySettings, Settings, parse
from lockd.errors import CameraError, ConfigError, ModelError, PinError
from lockd.ports import Output
from lockd.service.assembly import Runner
from lockd.service.service import Service


@pytest.fixture
def read(tmp_path: Path) -> Callable[[], Settings]:
    """Reads a configuration whose camera is not there."""
    sections: dict[str, Any] = {
        "camera": {"source": "/dev/video63"},
        "relay": {"factory": "mock"},
        "store": {"folder": str(tmp_path)},
        "recognition": {"profile": "light", "threads": 1},
    }
    return lambda: parse(yaml.safe_dump(sections))


def test_being_stopped_while_one_service_follows_another_is_not_forgotten(
    read: Callable[[], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[Service] = []
    runner = Runner(read)

    def run(service: Service) -> None:
        ran.append(service)
        service.successor = read()
        runner.stop()

    monkeypatch.setattr(Service, "run", run)
    runner.run()
    assert len(ran) == 1


def test_being_stopped_before_there_is_a_service_starts_none_for_long(
    read: Callable[[], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    runner = Runner(read)
    opened = LiveCamera.__init__

    def stop_meanwhile(*args: Any, **kwargs: Any) -> None:
        runner.stop()
        opened(*args, **kwargs)

    monkeypatch.setattr(LiveCamera, "__init__", stop_meanwhile)
    runner.run()  # ends


def test_being_told_to_reload_before_there_is_a_service_is_no_trouble(
    read: Callable[[], Settings],
) -> None:
    runner = Runner(read)
    runner.reload()
    runner.stop()
    runner.run()


def test_the_relay_is_locked_before_anything_else_can_fail(
    read: Callable[[], Settings], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(tmp_path))
    claimed: list[int] = []
    claim = Board.relay

    def relay(board: Board, settings: RelaySettings) -> Output:
        claimed.append(settings.pin)
        return claim(board, settings)

    monkeypatch.setattr(Board, "relay", relay)
    settings = read()
    broken = settings.recognition.model_copy(update={"models": tmp_path / "nowhere"})
    with pytest.raises(ModelError):
        Runner(lambda: settings.model_copy(update={"recognition": broken})).run()
    assert claimed == [17]
    assert json.loads((tmp_path / "relay.json").read_text())["pin"] == 17


def test_the_first_configuration_must_do(read: Callable[[], Settings]) -> None:
    def wrong() -> Settings:
        raise ConfigError("no")

    with pytest.raises(ConfigError):
        Runner(wrong).run()
    without_chip = read().model_copy(
        update={"relay": read().relay.model_copy(update={"factory": "rpigpio"})}
    )
    with pytest.raises(PinError, match="rpigpio"):
        Runner(lambda: without_chip).run()


def test_a_service_that_ends_with_an_error_is_not_taken_for_a_bad_configuration(
    read: Callable[[], Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs: list[Service] = []

    def run(service: Service) -> None:
        runs.append(service)
        if len(runs) == 2:
            raise CameraError("the tape is torn")
        service.successor = read()

    monkeypatch.setattr(Service, "run", run)
    with pytest.raises(CameraError, match="torn"):
        Runner(read).run()
    assert len(runs) == 2
