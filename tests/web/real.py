"""The real thing: a service on a porch, as a process, and its console, as another."""

from __future__ import annotations

import getpass
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import yaml

from lockd.adapters.control import listens
from tests.conftest import PEOPLE, PHOTOS, ROOT, SCENES, free_port
from tests.patience import eventually, running
from tests.porch import Film, StreamCamera, filmed, porch
from tests.web.house import PASSWORD
from tests.web.house import PEOPLE as USERS

PICTURES = {
    "nobody": SCENES / "coffee.jpg",
    "known": PHOTOS / "barack-obama.jpg",
    "stranger": PHOTOS / "eileen-collins.jpg",
}


class Porch:
    """A camera that shows whom it is told to, and a console to look at it.

    Attributes:
        base: the console's address.
    """

    def __init__(self, camera: StreamCamera, films: dict[str, Film], base: str) -> None:
        self._camera = camera
        self._films = films
        self.base = base

    def show(self, who: str) -> None:
        """Go on with somebody's film: one that began anew would be a recording, and was refused."""
        self._camera.show(self._films[who])


def _lockd(*words: str, said: str = "") -> None:
    subprocess.run(
        [sys.executable, "-P", "-m", *words], input=said, text=True, check=True, cwd=ROOT,
        stdout=subprocess.DEVNULL,
    )  # fmt: skip


@contextmanager
def a_porch(folder: Path) -> Iterator[Porch]:
    films = {who: filmed(porch(picture)) for who, picture in PICTURES.items()}
    camera = StreamCamera(films["nobody"], fps=8)
    port, config = free_port(), folder / "lockd.yaml"
    settings = {
        "door": {"id": "front", "name": "Front door", "lock_out": {"denials": 0},
                 "hold_open_longest_s": 600.0, "open_s": 2.0},
        "camera": {"source": camera.url},
        "liveness": {"policy": "off"},
        "relay": {"factory": "mock"},
        "recognition": {"profile": "light", "threads": 1, "visit_gap_s": 0.5},
        "store": {"folder": str(folder / "store")},
        "console": {"socket": str(folder / "console"), "user": getpass.getuser(), "port": port,
                    "kiosk": True},
        "access": {"groups": {"staff": {"hours": {"mon-fri": ["07:00-19:00"]}}}},
    }  # fmt: skip
    config.write_text(yaml.safe_dump(settings))
    _lockd("enroll", "folder", str(PEOPLE), "--config", str(config))
    state = str(folder / "state")
    for name, role in USERS.items():
        _lockd("lockd", "console", "user", "add", name, "--role", role.value, "--state", state,
               said=f"{PASSWORD}\n")  # fmt: skip
    python = (sys.executable, "-P", "-m", "lockd")
    console = ("console", "run", "--socket", folder / "console", "--state", state)
    with (
        open(folder / "log", "w") as log,
        running(*python, "run", "--config", config, stderr=log, cwd=ROOT) as service,
        running(*python, *console, stderr=log, cwd=ROOT),
    ):
        base = f"http://127.0.0.1:{port}"
        eventually(lambda: listens(folder / "console"))
        eventually(lambda: _answers(base))
        assert service.poll() is None, (folder / "log").read_text()
        yield Porch(camera, films, base)
        service.terminate()
        service.wait()
    camera.close()


def _answers(base: str) -> bool:
    try:
        return httpx.get(f"{base}/healthz").status_code == 200
    except httpx.TransportError:
        return False
