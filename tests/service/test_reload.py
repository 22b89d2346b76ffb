"""What a reload and a crash must not undo, by the real service."""

from __future__ import annotations

import signal
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from lockd.config import Settings
from lockd.service.assembly import Runner
from tests.patience import eventually
from tests.porch import StreamCamera
from tests.service.test_service import Door, camera, command, doors

__all__ = ["camera", "doors"]


@contextmanager
def unwritable(store: Path) -> Iterator[None]:
    """Somebody else has the store, and does not let go."""
    with closing(sqlite3.connect(store, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGKILL])
def test_a_lock_down_outlives_a_service_though_the_store_cannot_be_written(
    doors: Callable[..., Door], camera: StreamCamera, tmp_path: Path, number: int
) -> None:
    door = doors(camera={"source": camera.url})
    door.start()
    eventually(lambda: door.reports("READY=1"))
    with unwritable(tmp_path / "state" / "lockd.db"):
        code, answer = command(door, "lock-down")
        assert (code, answer["result"], answer.get("lasting")) == (0, "ok", False)
        if number == signal.SIGKILL:
            door.end(number)
            door.start()
        else:
            assert door.process is not None
            door.process.send_signal(number)
            eventually(lambda: "the configuration was read again" in door.log.read_text())
        eventually((door.runtime / "control").exists)
        assert eventually(lambda: command(door)[1].get("state")) == "locked_down"
        assert command(door, "unlock")[1]["result"] == "locked_down"
    eventually(lambda: command(door)[1].get("store") == "ok")
    assert command(door, "lift")[1].get("lasting") is None
    assert door.end() == 0


def test_a_wish_to_reload_during_a_reload_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second SIGHUP comes after the first was read and before the successor is there."""
    read: list[str] = []
    opened: list[FakeService] = []

    class FakeService:
        def __init__(self, reread: Callable[[], Settings]) -> None:
            self.reread = reread
            self.successor: Settings | None = None
            self.handover = None
            self.wished = False

        def reload(self) -> None:
            self.wished = True

        def stop(self) -> None: ...

        def run(self) -> None:
            if len(opened) == 1:
                self.successor = self.reread()
                runner.reload()  # nobody is there any more who could read it again
            elif self.wished:
                self.successor = self.reread() if len(opened) < 3 else None

    def open_service(settings: Settings, stack: object, **rest: object) -> FakeService:
        reread: Callable[[], Settings] = rest["reread"]  # type: ignore[assignment]
        opened.append(FakeService(reread))
        return opened[-1]

    def read_configuration() -> Settings:
        read.append("read")
        return Settings()

    monkeypatch.setattr("lockd.service.assembly.open_service", open_service)
    runner = Runner(read_configuration)
    runner.run()
    assert [one.wished for one in opened[:2]] == [True, True]
    assert read == ["read"] * 3
