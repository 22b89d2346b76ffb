"""Imports point one way: commands -> service -> adapters, pure -> types, errors."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

PURE = (
    *("lockd/vision/", "lockd/identity/", "lockd/door/", "lockd/types.py", "lockd/errors.py"),
    *("lockd/remote/", "lockd/fleet/", "enroll/guide.py", "enroll/poses.py"),
)
MOST_ROOMS, MOST_FLOORS, LONGEST_FILE = 28, 11, 400
# What would give pure code a device, a socket, a disk or a clock.
WORLDLY = {
    "asyncio", "datetime", "gpiozero", "paho", "random", "requests", "select", "shutil",
    "signal", "socket", "sqlite3", "subprocess", "tempfile", "threading", "time",
}  # fmt: skip
# Access rules reckon with days and hours that they are given.
CALENDAR = {"lockd/door/rules.py", "lockd/door/schedules.py", "lockd/door/validity.py"}
# What gpiozero gives no name of its own, and what whoever adds to its pins has to override.
GPIOZEROS = {
    "tests/adapters/test_pins.py": {"_get_revision", "_reservations"},
    "tests/faults/board.py": {"_set_function", "_set_pull", "_set_state"},
}
CLOCKS = {"fromtimestamp", "now", "today", "utcfromtimestamp", "utcnow"}
ONE_PLACE = {
    "gpiozero": "lockd/adapters/pins.py",
    "lgpio": "lockd/adapters/pins.py",
    "ai_edge_litert": "lockd/vision/models.py",
    "tflite_runtime": "lockd/vision/models.py",
    "sqlite3": "lockd/adapters/store/",
    "amqtt": "lockd/adapters/broker.py",
    "argon2": "lockd/identity/factors.py",
    "paho": "lockd/adapters/mqtt/",
    "picamera2": "lockd/adapters/cameras/picamera.py",
    "matplotlib": "lockd/evaluation/plots.py",
    "PIL": ("lockd/vision/decoding.py", "lockd/adapters/display/"),
    "luma": "lockd/adapters/display/",
    "pi_heif": "lockd/vision/decoding.py",
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
    outside = (
        "lockd.adapters",
        "lockd.service.service",
        "lockd.commands.main",
        "lockd.config",
        "lockd.clock",
    )
    assert not [name for name in names if name.startswith(outside)]


def test_what_knows_the_calendar_reads_no_clock() -> None:
    trees = [ast.parse((ROOT / name).read_text("utf-8")) for name in CALENDAR]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    used = {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    assert "date" in used
    assert not used & CLOCKS


def room_of(module: str) -> str:
    """The room a module or file of ours is in, as ``lockd/door`` or ``lockd/errors``."""
    parts = module.removesuffix(".py").replace(".", "/").split("/")
    return "/".join(parts[:2]) if parts[0] == "lockd" and len(parts) > 1 else parts[0]


def arrows() -> dict[str, set[str]]:
    """Which rooms each room imports."""
    found: dict[str, set[str]] = {room_of(name_of(file)): set() for file in sources()}
    for file in sources():
        own = room_of(name_of(file))
        for name in imported(file):
            other = room_of(name)
            if name.split(".")[0] in ("lockd", "enroll") and other in found and other != own:
                found[own].add(other)
    return found


def test_a_newcomer_meets_few_rooms() -> None:
    others = {"bench", "demo", "firmware", "models", "tools"}
    assert others <= {entry.name for entry in ROOT.iterdir()}
    assert len(set(arrows()) | others) - len({"lockd/__init__"}) <= MOST_ROOMS


def test_every_room_stands_on_a_floor_above_all_that_it_imports() -> None:
    left, floors = arrows(), 0
    while left:
        ground = {room for room, below in left.items() if not below & left.keys()}
        assert ground, f"these import each other in a circle: {sorted(left)}"
        left = {room: below for room, below in left.items() if room not in ground}
        floors += 1
    assert floors <= MOST_FLOORS


def test_no_file_is_too_long_to_be_read() -> None:
    lengths = {name_of(file): len(file.read_text("utf-8").splitlines()) for file in sources()}
    assert {name: lines for name, lines in lengths.items() if lines > LONGEST_FILE} == {}


@pytest.mark.parametrize("file", sources(), ids=name_of)
def test_adapters_never_import_each_other(file: Path) -> None:
    if name_of(file).startswith("lockd/adapters/"):
        own = ".".join(["lockd.adapters", file.relative_to(ROOT / "lockd/adapters").parts[0]])
        others = [name for name in imported(file) if name.startswith("lockd.adapters")]
        assert [name for name in others if not f"{name}.".startswith(f"{own}.")] == []


def test_only_the_commands_know_the_service_and_nothing_knows_the_commands() -> None:
    users: dict[str, set[str]] = {}
    for room, below in arrows().items():
        for other in below:
            users.setdefault(other, set()).add(room)
    assert users["lockd/service"] == {"lockd/__main__", "lockd/commands"}
    assert users["lockd/commands"] == {"lockd/__main__"}
    assert users["enroll"] == {"lockd/commands"}


def test_the_door_does_without_what_only_measures_and_sets_up() -> None:
    """Evaluation, calibration, the broker's set-up and the demo weigh nothing in the service."""
    program = "import lockd.service.assembly, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    loaded = set(done.stdout.split())
    assert "lockd.service.service" in loaded
    heavy = ("lockd.evaluation", "lockd.commands", "enroll", "amqtt", "matplotlib", "sklearn")
    assert [name for name in loaded if f"{name}.".startswith(tuple(f"{h}." for h in heavy))] == []


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


def private_names(tree: ast.AST) -> Iterator[str]:
    """Names with an underscore that are asked of another than `self`, imported or patched."""
    for node in ast.walk(tree):
        found: list[str] = []
        match node:
            case ast.Attribute(ast.Name("self" | "cls")):
                pass
            case ast.Attribute(attr=name):
                found = [name]
            case ast.ImportFrom(module=module):
                found = [*str(module).split("."), *(alias.name for alias in node.names)]
            case ast.Import():
                found = [part for alias in node.names for part in alias.name.split(".")]
            case ast.Call(
                ast.Attribute(attr="setattr" | "delattr") | ast.Name("getattr" | "setattr")
            ):
                texts = [one.value for one in node.args if isinstance(one, ast.Constant)]
                found = [part for text in texts for part in str(text).split(".")]
        yield from (name for name in found if name.startswith("_") and not name.startswith("__"))


@pytest.mark.parametrize("file", sorted(ROOT.glob("tests/**/*.py")), ids=name_of)
def test_tests_ask_for_nothing_that_is_private(file: Path) -> None:
    found = set(private_names(ast.parse(file.read_text("utf-8"))))
    assert found == GPIOZEROS.get(name_of(file), set())


@pytest.mark.parametrize(
    "said",
    [
        "door._state", "door._state = 1", "door.step()._state", "from lockd.door import _state",
        "import lockd._door", "monkeypatch.setattr(door, '_state', 1)",
        "monkeypatch.setattr('lockd.door._STATE', 1)", "getattr(door, '_state')",
    ],
)  # fmt: skip
def test_what_is_private_would_be_noticed(said: str) -> None:
    assert list(private_names(ast.parse(said)))
    assert not list(private_names(ast.parse(said.replace("_", ""))))
