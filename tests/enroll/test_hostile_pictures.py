"""Hostile photographs: each refused with its reason, in little memory, and nobody enrolled.

The real command runs as a process that may not have more memory than a small board has.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lockd.adapters.store import Store, Vault
from lockd.errors import ImageError
from tests.bombs import BOMBS, JUNK, png
from tests.conftest import PEOPLE, PHOTOS, ROOT
from tests.patience import PATIENCE_S

MOST_BYTES = 1 << 30
"""Of addresses, which a process always takes more of than of memory."""

ODD_NAMES = (
    "$(touch pwned).jpg",
    "; rm -rf ~.jpg",
    "-rf.jpg",
    "new\nline.jpg",
    "\x1b[2J\x1b[31m.jpg",
    "\u202egpj.jpg",
    "[bold red]x.jpg",
    "%s%n%x.jpg",
    "'\"`.jpg",
    "x" * 240 + ".jpg",
)


def _bounded() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_BYTES, MOST_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def enrolling(home: Path, *arguments: str | bytes | Path) -> subprocess.CompletedProcess[bytes]:
    """Run `lockd-enroll` with its store in a folder."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "XDG_DATA_HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "LOCKD_CONFIG": str(home / "lockd.yaml"),
    }
    (home / "lockd.yaml").write_text("recognition: {threads: 1}\n")
    return subprocess.run(
        [sys.executable, "-c", "from enroll.cli import main; main()", *arguments],
        env=environment,
        cwd=home,
        capture_output=True,
        timeout=PATIENCE_S,
        check=False,
        preexec_fn=_bounded,  # before the tests' own threads matter
    )


def people(home: Path) -> list[str]:
    path = next(home.rglob("lockd.db"))
    store = Store.open(path, Vault.beside(path))
    try:
        assert len(store.audit.latest(100)) == len(store.people.all())
        return [one.person.name for one in store.people.all()]
    finally:
        store.close()


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """A folder of somebody whose pictures are anything but pictures."""
    folder = tmp_path / "people" / "Eve"
    folder.mkdir(parents=True)
    for name, content in {**BOMBS, **JUNK}.items():
        (folder / f"{name}.jpg").write_bytes(content)
    photograph = (PHOTOS / "eileen-collins.jpg").read_bytes()
    rng = np.random.default_rng(7)
    for number in range(30):
        spoilt = bytearray(photograph[: int(rng.integers(1, len(photograph)))])
        for place in rng.integers(0, len(spoilt), 20):
            spoilt[place] = rng.integers(0, 256)
        (folder / f"spoilt-{number}.jpg").write_bytes(spoilt)
    (folder / "empty.jpg").touch()
    with (folder / "without-end.png").open("wb") as file:
        file.truncate(1 << 40)
    # Large pictures of nothing; the larger is more than so little memory can take.
    (folder / "black.png").write_bytes(png(4096, 4096, bytes(4096 * (3 * 4096 + 1))))
    (folder / "larger.png").write_bytes(png(8192, 8191, bytes(8191 * (3 * 8192 + 1))))
    os.mkfifo(folder / "pipe.jpg")
    (folder / "folder.jpg").mkdir()
    (folder / "nowhere.jpg").symlink_to("/nowhere")
    (folder / "round.jpg").symlink_to("round.jpg")
    (folder / "device.jpg").symlink_to("/dev/zero")
    return tmp_path


@pytest.mark.slow
def test_a_folder_of_hostile_files_enrols_nobody_and_the_next_one_is_enrolled(
    hostile: Path,
) -> None:
    good = hostile / "people" / "Joe"
    good.mkdir()
    (good / "1.jpg").write_bytes((PEOPLE / "Joe Biden" / "blue-room-2010.jpg").read_bytes())
    result = enrolling(hostile, "folder", hostile / "people", "--json")
    assert result.returncode == ImageError.exit_code == 8, result.stderr
    assert b"Traceback" not in result.stderr
    eve, joe = json.loads(result.stdout)
    pictures = sorted(path.name for path in (hostile / "people" / "Eve").iterdir())
    assert sorted(Path(one["picture"]).name for one in eve["refused"]) == pictures
    assert {one["reason"] for one in eve["refused"]} == {"unreadable", "no_face"}
    assert joe["accepted"] == 1
    assert people(hostile) == ["Joe"]


def test_pictures_of_any_name_are_enrolled_and_their_names_do_nothing(tmp_path: Path) -> None:
    folder = tmp_path / "people" / "Joe"
    folder.mkdir(parents=True)
    names = [name.encode() for name in ODD_NAMES] + [b"\xff\xfe.jpg"]
    for name in names:
        path = os.path.join(os.fsencode(folder), name)
        with open(path, "wb") as file:
            file.write((PEOPLE / "Joe Biden" / "blue-room-2010.jpg").read_bytes())
    (folder / "cat\x1b[2J.jpg").write_bytes(b"no picture")
    result = enrolling(tmp_path, "folder", tmp_path / "people")
    assert result.returncode == 8, result.stderr
    assert b"\x1b" not in result.stderr + result.stdout
    assert b"10 enrolled already" in result.stdout
    assert people(tmp_path) == ["Joe"]
    assert not list(tmp_path.rglob("pwned"))


@pytest.mark.parametrize("name", ["Eve\x1b[2J", "", "\u202e", "x" * 5000])
def test_a_hostile_name_is_refused_before_anything_is_made(tmp_path: Path, name: str) -> None:
    result = enrolling(tmp_path, "add", name, PEOPLE / "Joe Biden" / "blue-room-2010.jpg")
    assert result.returncode == 9
    assert b"\x1b" not in result.stderr
    assert not list(tmp_path.rglob("lockd.db"))
