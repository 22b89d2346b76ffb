"""What systemd is told."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from lockd.adapters.systemd import Notifier


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(tmp_path / "notify"))
        manager.setblocking(False)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield manager


def test_readiness_status_and_the_end_are_reported(manager: socket.socket) -> None:
    notifier = Notifier()
    notifier.ready()
    notifier.status("two\nlines")
    notifier.stopping()
    notifier.close()
    heard = [manager.recv(100) for _ in range(3)]
    assert heard == [b"READY=1", b"STATUS=two lines", b"STOPPING=1"]


def test_the_watchdog_is_fed_four_times_within_its_patience(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "10000000")
    times = iter([0.0, 1.0, 2.4, 2.5, 2.6, 5.1])
    monkeypatch.setattr("lockd.adapters.systemd.time.monotonic", lambda: next(times))
    notifier = Notifier()
    fed = []
    for _ in range(6):
        notifier.alive()
        try:
            fed.append(manager.recv(100))
        except BlockingIOError:
            fed.append(b"")
    notifier.close()
    assert fed == [b"WATCHDOG=1", b"", b"", b"WATCHDOG=1", b"", b"WATCHDOG=1"]


def test_a_watchdog_that_is_off_is_not_fed(
    manager: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    notifier = Notifier()
    notifier.alive()
    notifier.close()
    with pytest.raises(BlockingIOError):
        manager.recv(100)


def test_the_abstract_namespace_is_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind("\0lockd-test-notify")
        monkeypatch.setenv("NOTIFY_SOCKET", "@lockd-test-notify")
        notifier = Notifier()
        notifier.ready()
        notifier.close()
        assert manager.recv(100) == b"READY=1"


def test_without_systemd_nothing_happens() -> None:
    notifier = Notifier()
    notifier.ready()
    notifier.alive()
    notifier.close()


def test_a_manager_that_has_gone_is_no_error(
    manager: socket.socket, caplog: pytest.LogCaptureFixture
) -> None:
    notifier = Notifier()
    manager.close()
    notifier.ready()
    notifier.close()
    assert "systemd cannot be told" in caplog.text
