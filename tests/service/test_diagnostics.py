"""How the service does."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from lockd.adapters.machine import memory_mb, temperature_c
from lockd.identity.observation import Effort, Observation, Sighting
from lockd.service.diagnostics import Diagnostics
from tests.fakes import face_at
from tests.schemas import validator

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def test_a_report_counts_from_the_one_before() -> None:
    vitals = Diagnostics(100.0, lambda: NOON)
    for _ in range(20):
        vitals.judged(0.05, Observation([], [], Effort.STILL, 0.0, 0.0123))
    first = vitals.report(110.0, people=3)
    assert (first["fps"], first["inference_ms"], first["uptime_s"]) == (2.0, 50.0, 10)
    assert first["people"] == 3
    assert first["looked"] == {"still": 20, "followed": 0, "partly": 0, "searched": 0}
    assert first["noise"] == 0.0123
    assert "last_seen" not in first
    face = Sighting(1, face_at(0, 0), None, None)
    vitals.judged(0.1, Observation([face], []))
    second = vitals.report(114.0, people=3)
    assert (second["fps"], second["inference_ms"]) == (0.25, 100.0)
    assert second["last_seen"] == "2026-03-01T12:00:00.000Z"
    assert second["looked"] == {"still": 0, "followed": 0, "partly": 0, "searched": 1}
    assert "noise" not in second
    third = vitals.report(115.0, people=3)
    assert third["fps"] == 0
    assert "inference_ms" not in third
    for report in (first, second, third):
        validator("diagnostics").validate(
            {**report, "waiting": 0, "lost": 0, "refused": 0, "protocol": "5"}
        )


def test_the_memory_is_that_of_this_process() -> None:
    resident = memory_mb()
    assert resident is not None
    # As /proc counts it elsewhere.
    status = Path("/proc/self/status").read_text("ascii")
    kilobytes = int(status.partition("VmRSS:")[2].split()[0])
    assert abs(resident - kilobytes * 1024 / 1e6) < 20


def test_what_nothing_measures_is_not_known(tmp_path: Path) -> None:
    file = tmp_path / "temp"
    assert temperature_c(file) is None
    file.write_text("48312\n")
    assert temperature_c(file) == 48.3
    file.write_text("rubbish")
    assert temperature_c(file) is None
    assert memory_mb(file) is None
