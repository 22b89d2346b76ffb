"""What many tests share: the real networks and real photographs; brokers are in `brokers`."""

from __future__ import annotations

import signal
import socket
from pathlib import Path

import pytest
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings

from lockd.config import Settings
from lockd.identity.gallery import Gallery
from lockd.recognition.photographs import gallery_of, people_in
from lockd.recognition.recogniser import Vision

pytest_plugins = ["tests.brokers"]

ROOT = Path(__file__).resolve().parent.parent
PHOTOS = ROOT / "tests" / "data" / "photos"
SCENES = ROOT / "tests" / "data" / "scenes"
PEOPLE = ROOT / "demo" / "people"
CLIP = ROOT / "demo" / "porch.mp4"

# No test fails for a machine that is busy just then.
hypothesis_settings.register_profile(
    "patient", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
hypothesis_settings.load_profile("patient")
# For `make mutants`, which runs the tests hundreds of times and must find the same each time.
hypothesis_settings.register_profile(
    "quick",
    hypothesis_settings.get_profile("patient"),
    max_examples=20,
    derandomize=True,
    database=None,
)

# Who is started in the background ignores SIGINT, and hands that down to every child, whereas a
# handler is not inherited: so the tests go on ignoring it, and their children hear it.
for _number in signal.valid_signals() - {signal.SIGPIPE, signal.SIGXFSZ}:  # Popen restores these
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files with slow tests come first, lest one of them begins when all others are done."""
    slow = {one.path for one in items if one.get_closest_marker("slow")}
    items.sort(key=lambda one: one.path not in slow)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--histories",
        type=int,
        default=12_000,
        help="how many random histories the door's machine is held to (%(default)s)",
    )
    parser.addoption(
        "--fuzzed",
        type=int,
        default=2_000,
        help="how many hostile commands the door must withstand (%(default)s)",
    )
    parser.addoption(
        "--fleet-histories",
        type=int,
        default=150,
        help="how many random histories of a fleet of doors are played (%(default)s)",
    )


@pytest.fixture(autouse=True)
def _own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or writes the state of whoever runs it."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr("lockd.config.files.SYSTEM_FILE", tmp_path / "no-lockd.yaml")
    for name in ("LOCKD_CONFIG", "STATE_DIRECTORY", "RUNTIME_DIRECTORY", "NOTIFY_SOCKET"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings()


@pytest.fixture(scope="session")
def vision(settings: Settings) -> Vision:
    return Vision(settings)


@pytest.fixture(scope="session")
def demo_gallery(vision: Vision, settings: Settings) -> Gallery:
    """Barack Obama and Joe Biden, from the photographs of the demo."""

    def refused(error: Exception) -> None:
        raise AssertionError(error)

    return gallery_of(people_in(PEOPLE), vision, settings.quality.limits(), refused)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
