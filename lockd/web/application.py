"""Puts the console together: guards, pages, interface."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles

from lockd import __version__
from lockd.config import ConsoleSettings
from lockd.web import checks, interface, kiosk, metrics, pages
from lockd.web.accounts import Accounts
from lockd.web.guards import Asgi, Guards, names_of
from lockd.web.hub import Hub
from lockd.web.link import Link
from lockd.web.problems import handle_problems
from lockd.web.reception import Reception
from lockd.web.sessions import Sessions

_ANYWHERE = {"0.0.0.0", "::"}  # noqa: S104
_ABOUT = """What programs may ask of the door, each with a token of its own (`lockd console token
add NAME --role ROLE`), sent as `Authorization: Bearer TOKEN`. Errors are problems (RFC 9457)."""


@dataclass(frozen=True, slots=True)
class ConsoleView:
    """What the console knows of the service's configuration.

    Attributes:
        door: its id.
        name: for people.
        settings: the console's own.
        groups: by name, their hours, or None for always.
        keeps_events: for how many days.
        keeps_photographs: whether those are kept that people are enrolled from.
        hold_open_longest_s: how long the door may be held open.
    """

    door: str
    name: str
    settings: ConsoleSettings
    groups: dict[str, Any] = field(default_factory=dict)
    keeps_events: int = 0
    keeps_photographs: bool = False
    hold_open_longest_s: float = 0.0

    @classmethod
    def of(cls, answer: dict[str, Any]) -> ConsoleView:
        """Return what the service said of itself.

        Raises:
            ValueError: if it is not that.
        """
        return cls(
            door=str(answer["door"]),
            name=str(answer["name"] or answer["door"]),
            settings=ConsoleSettings.model_validate(answer["console"], strict=False),
            groups=dict(answer["groups"]),
            keeps_events=int(answer["keeps_events"]),
            keeps_photographs=bool(answer["keeps_photographs"]),
            hold_open_longest_s=float(answer["hold_open_longest_s"] or 0),
        )


def application(view: ConsoleView, link: Link, accounts: Accounts) -> Asgi:
    """Return the console, guarded."""
    app = FastAPI(
        title="lockd console", version=__version__, description=_ABOUT,
        openapi_url="/api/v1/openapi.json", docs_url=None, redoc_url=None,
    )  # fmt: skip
    settings = view.settings
    app.state.view = view
    app.state.link = link
    app.state.hub = Hub(link)
    app.state.reception = Reception(
        accounts,
        Sessions(settings.idle_min * 60.0, settings.longest_h * 3600.0),
        link,
        encrypted=settings.encrypted,
    )
    handle_problems(app, pages.problem_page)
    app.include_router(interface.router)
    app.include_router(checks.router)
    app.include_router(pages.router)
    app.include_router(metrics.router)
    if settings.kiosk:
        app.include_router(kiosk.router)
    app.mount("/static", StaticFiles(directory=Path(__file__).parent / "static"))
    names = names_of(settings.host, settings.names)
    return Guards(app, names, encrypted=settings.encrypted, anywhere=settings.host in _ANYWHERE)
