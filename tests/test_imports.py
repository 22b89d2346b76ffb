"""Imports point one way: cli -> daemon -> adapters, pure -> types, errors."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PURE = (
    *("lockd/vision/", "lockd/identity/", "lockd/door/", "lockd/types.py", "lockd/errors.py"),
    *("lockd/remote/", "enroll/guide.py"),
)
# What would give pure code a device, a socket, a disk or a clock.
WORLDLY = {
    "asyncio", "datetime", "gpiozero", "paho", "random", "requests", "select", "shutil",
    "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time",
}  # fmt: skip
# Access rules reckon with days and hours that they are given.
CALENDAR = {"lockd/door/rules.py", "lockd/door/schedules.py"}
CLOCKS = {"fromtimestamp", "now", "today", "utcfromtimestamp", "utcnow"}
ONE_PLACE = {
    "gpiozero": "lockd/adapters/pins.py",
    "lgpio": "lockd/adapters/pins.py",
    "ai_edge_litert": "lockd/vision/models.py",
    "tflite_runtime": "lockd/vision/models.py",
    "sqlite3": "lockd/adapters/store/",
    "amqtt": "lockd/adapters/broker.py",
    "paho": "lockd/adapters/mqtt/",
    "picamera2": "lockd/adapters/cameras/picamera.py",
    "matplotlib": "lockd/evaluation/plots.py",
}


def sources() -> list[Path]:
    return sorted([*ROOT.glob("lockd/**/*.py"), *ROOT.glob("enroll/**/*.py")])


def name_of(file: Path) -> str:
    return file.relative_to(ROOT).as_posix()


def imported(file: Path) -> Iterator[str]:
    """The full names of the modules that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: relative import"
            yield str(node.module)
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_there_is_something_to_check() -> None:
    assert len(sources()) > 20


@pytest.mark.parametrize(
    "file", [file for file in sources() if name_of(file).startswith(PURE)], ids=name_of
)
def test_pure_code_touches_no_device_socket_disk_or_clock(file: Path) -> None:
    names = set(imported(file))
    worldly = WORLDLY - ({"datetime"} if name_of(file) in CALENDAR else set())
    assert not {name.split(".")[0] for name in names} & worldly
    outside = ("lockd.adapters", "lockd.daemon", "lockd.cli", "lockd.config", "lockd.clock")
    assert not [name for name in names if name.startswith(outside)]


@pytest.mark.parametrize("name", sorted(CALENDAR))
def test_what_knows_the_calendar_reads_no_clock(name: str) -> None:
    tree = ast.parse((ROOT / name).read_text("utf-8"))
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    assert "date" in used
    assert not used & CLOCKS


@pytest.mark.parametrize("file", sources(), ids=name_of)
def test_adapters_never_import_each_other_and_nothing_below_imports_the_daemon(file: Path) -> None:
    names = set(imported(file))
    if name_of(file).startswith("lockd/adapters/"):
        own = ".".join(["lockd.adapters", file.relative_to(ROOT / "lockd/adapters").parts[0]])
        others = [name for name in names if name.startswith("lockd.adapters")]
        assert [name for name in others if not f"{name}.".startswith(f"{own}.")] == []
    commands = ("lockd/cli.py", "lockd/demo.py")
    for above, users in (
        ("lockd.cli", ("lockd/__main__.py",)),
        ("lockd.assembly", commands),
        ("lockd.daemon", ("lockd/assembly.py", *commands)),
    ):
        if name_of(file) not in users:
            assert [name for name in names if f"{name}.".startswith(f"{above}.")] == []


@pytest.mark.parametrize("file", sources(), ids=name_of)
def test_each_library_of_the_outside_world_is_imported_in_one_place(file: Path) -> None:
    tops = {name.split(".")[0] for name in imported(file)}
    for library, home in ONE_PLACE.items():
        assert library not in tops or name_of(file).startswith(home)


def test_enrolment_never_touches_the_strike() -> None:
    files = [file for file in sources() if name_of(file).startswith("enroll/")]
    assert files
    names = [name for file in files for name in imported(file)]
    assert not [
        name for name in names if name.startswith(("lockd.adapters.strike", "lockd.adapters.pins"))
    ]


def test_the_runtimes_are_named_where_they_are_imported() -> None:
    # They are imported by name, which no walk over import statements sees.
    for runtime in ("ai_edge_litert", "tflite_runtime"):
        mentions = [name_of(file) for file in sources() if runtime in file.read_text("utf-8")]
        assert mentions == ["lockd/vision/models.py"]
