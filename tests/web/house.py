"""A house with a door, a real store and a real console: what asks it is a test, or a browser."""

from __future__ import annotations

import getpass
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import uvicorn

from lockd.adapters.control import ControlSocket
from lockd.adapters.store import Posting, Store, opened
from lockd.config import Settings
from lockd.identity.observation import Observation, Sighting
from lockd.messages import Event, EventType
from lockd.remote.roles import Role
from lockd.service.console_checks import ConsoleChecks
from lockd.service.console_desk import ConsoleDesk
from lockd.service.console_pictures import PictureDesk
from lockd.service.console_watch import ConsoleWatch
from lockd.service.parts import ConsoleParts
from lockd.types import Frame, Person
from lockd.web.accounts import FILE, Accounts
from lockd.web.application import ConsoleView, application
from lockd.web.link import Link
from tests.conftest import free_port
from tests.fakes import face_at, match
from tests.patience import PATIENCE_S, eventually
from tests.service.test_door_controller import Keeping

PASSWORD = "correct horse battery"
PEOPLE = {"ada": Role.ADMINISTRATOR, "pia": Role.PORTER, "vic": Role.VIEWER}
MODEL = "a model"
CHECKS = (sys.executable, "-c", """print('{"checks": []}')""")
"""A doctor with nothing to say."""


class House:
    """The service's side: a door, a store with Ada and Grace in it, and what the console asks.

    Attributes:
        keeping: the door, and what was told of it.
        watch: what is seen.
        silenced: for how long nobody was to be disturbed.
    """

    def __init__(self, folder: Path, checks: Sequence[str] = CHECKS, **console: Any) -> None:
        self.socket = folder / "console"
        self.keeping = Keeping(
            access={"groups": {"staff": {"hours": {"mon-fri": ["08:00-18:00"]}}}},
            store={"folder": str(folder / "store"), "keep_events_days": 30},
            recognition={"profile": "light", "threads": 1},
            door={"name": "Front door", "hold_open_longest_s": 600.0},
            console={"socket": str(self.socket), "user": getpass.getuser(), **console},
        )
        self.settings: Settings = self.keeping.settings
        with opened(self.settings.store, make=True) as store:
            self.ada = enrolled(store, "Ada Lovelace", 1)
            self.grace = enrolled(store, "Grace Hopper", 2)
        self.watch = ConsoleWatch(60.0)
        self.pictures = PictureDesk(self.settings)
        self.checks = ConsoleChecks(self.settings, checks)
        self.silenced: list[float] = []
        self.desk = ConsoleDesk(
            self.settings,
            ConsoleParts(self.watch, self.pictures, self.checks),
            self.keeping.keeper,
            self.state,
            self._emit,
            self.silenced.append,
        )
        self.camera_problem: str | None = None
        self._asked = threading.Event()
        self.control = ControlSocket(self.socket, self._asked.set, console=True)
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def state(self) -> dict[str, Any]:
        return {
            **self.keeping.keeper.published,
            **dict.fromkeys(("camera", "store", "service"), "ok"),
            "liveness": "graded",
            "photographs_open": False,
            "challenge": "none",
            "people": 2,
            "version": "0",
        }

    def _emit(self, kind: EventType, **details: Any) -> None:
        self.happens(kind, **details)

    def happens(self, kind: EventType, **details: Any) -> Event:
        """Something happened at the door; it is kept, too."""
        event = Event(kind, 0.0, "door", **details)
        self.watch.event(event)
        with opened(self.settings.store, writable=True) as store:
            store.outbox.post([Posting(event.as_dict(), kept=True)], limit=10)
        return event

    def sees(self, name: str | None, similarity: float = 0.8, seq: int = 1, visit: int = 1) -> None:
        """Somebody stands before the camera."""
        who = match(None if name is None else Person(name, name), similarity)
        frame = Frame(np.full((480, 640, 3), 120, np.uint8), time.monotonic(), seq)
        face = face_at(200, 100, 100)
        self.watch.observed(frame, Observation([Sighting(visit, face, None, who)], []))

    def audit(self) -> list[tuple[str, str, str | None]]:
        """Who did what, the first first."""
        with opened(self.settings.store) as store:
            return [(one.by, one.action, one.note) for one in reversed(store.audit.latest())]

    def _serve(self) -> None:
        while not self._ends.is_set():
            self._asked.wait(0.02)
            self._asked.clear()
            for request in self.control.requests():
                if request.take():
                    self.desk.take(request, time.monotonic(), self.camera_problem)

    def close(self) -> None:
        self._ends.set()
        self._thread.join()
        self.control.close()
        self.pictures.close()
        self.checks.close()


def enrolled(store: Store, name: str, seed: int) -> Person:
    """Somebody with two templates."""
    random = np.random.default_rng(seed)
    vectors = random.normal(size=(2, 512)).astype(np.float32)
    units = [one / np.linalg.norm(one) for one in vectors]
    return store.people.add(name, MODEL, units, by="root")


@cache
def known_accounts() -> tuple[bytes, dict[Role, str]]:
    """The file with everybody in it, made once, for each password's hash takes its time."""
    with tempfile.TemporaryDirectory() as folder:
        accounts = Accounts(Path(folder))
        for name, role in PEOPLE.items():
            accounts.add_user(name, PASSWORD, role)
        tokens = {role: accounts.add_token(role.value, role) for role in Role}
        return (Path(folder) / FILE).read_bytes(), tokens


class Console:
    """The console of a house, on a port of its own.

    Attributes:
        base: its address.
        accounts: its users and tokens.
    """

    def __init__(self, house: House, folder: Path) -> None:
        self.port = free_port()
        self._clients = ExitStack()
        self.base = f"http://127.0.0.1:{self.port}"
        content, self.tokens = known_accounts()
        (folder / "state").mkdir(mode=0o700)
        (folder / "state" / FILE).write_bytes(content)
        self.accounts = Accounts(folder / "state")
        view = ConsoleView.of(house.desk.own_settings())
        config = uvicorn.Config(
            application(view, Link(house.socket), self.accounts),
            host="127.0.0.1", port=self.port, log_config=None, lifespan="off", ws="none",
            proxy_headers=False, server_header=False, timeout_graceful_shutdown=1,
        )  # fmt: skip
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._server.run)
        self._thread.start()
        eventually(lambda: self._server.started)

    def anybody(self) -> httpx.Client:
        """A browser in which nobody is logged in."""
        return self._client()

    def program(self, role: Role) -> httpx.Client:
        """A program with a token."""
        return self._client(headers={"Authorization": f"Bearer {self.tokens[role]}"})

    def _client(self, **options: Any) -> httpx.Client:
        client = httpx.Client(base_url=self.base, timeout=PATIENCE_S, **options)
        self._clients.callback(client.close)
        return client

    def browser(self, name: str) -> httpx.Client:
        """A browser in which somebody is logged in; its scripts send the token against forgery."""
        client = self.anybody()
        answer = client.post("/login", data={"name": name, "password": PASSWORD})
        assert answer.status_code == 303, answer.text
        client.headers["X-CSRF-Token"] = csrf_of(client)
        return client

    def close(self) -> None:
        self._clients.close()
        self._server.should_exit = True
        self._thread.join()


def csrf_of(client: httpx.Client) -> str:
    """What a page of ours has against forgery."""
    page = client.get("/account").text
    return page.split('name="csrf" value="')[1].split('"')[0]


@contextmanager
def a_house(folder: Path, **console: Any) -> Iterator[tuple[House, Console]]:
    with ExitStack() as stack:
        house = House(folder, **console)
        stack.callback(house.close)
        served = Console(house, folder)
        stack.callback(served.close)
        yield house, served
