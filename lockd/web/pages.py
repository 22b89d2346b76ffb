"""What a browser shows. Changes go by the interface; here is only what is looked at."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from pathlib import Path as File
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.responses import HTMLResponse

from lockd import __version__
from lockd.remote.roles import Role
from lockd.web.accounts import AccountError
from lockd.web.interface import ToService
from lockd.web.link import Actor, LinkError
from lockd.web.problems import Problem, ProblemError
from lockd.web.reception import Administrator, Porter, Viewer, address_of, reception_of
from lockd.web.sessions import same
from lockd.web.texts import LANGUAGES, catalogue, chosen
from lockd.web.words import SHOWN_KINDS, words_of

router = APIRouter(include_in_schema=False)

_LANGUAGE, _THEME = "lockd_language", "lockd_theme"
_THEMES = ("auto", "light", "dark")
_YEAR_S = 31_536_000


@cache
def _environment(language: str) -> Environment:
    """The templates in one language."""
    made = Environment(
        loader=FileSystemLoader(File(__file__).parent / "templates"),
        autoescape=True, extensions=["jinja2.ext.i18n"], undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    made.install_gettext_translations(catalogue(language), newstyle=True)  # type: ignore[attr-defined]
    made.filters["day_and_time"] = _day_and_time
    return made


def _day_and_time(utc: str) -> str:
    """A time as it is in the page before its script makes it local."""
    return datetime.fromisoformat(utc).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")


def show(request: Request, template: str, status: int = 200, **values: Any) -> HTMLResponse:
    """Return a page in the language of whoever looks."""
    language = language_of(request)
    found = reception_of(request).session(request)
    theme = request.cookies.get(_THEME)
    content = _environment(language).get_template(template).render(
        view=request.app.state.view,
        me=found[1] if found else None,
        csrf=found[0].csrf if found else "",
        language=language,
        languages=LANGUAGES,
        theme=theme if theme in _THEMES else "auto",
        path=request.url.path,
        words=words_of(catalogue(language).gettext),
        version=__version__,
        **{"may": found[1].role.may_act_as if found else lambda _: False, "Role": Role, **values},
    )  # fmt: skip
    return HTMLResponse(content, status, headers={"Vary": "Cookie, Accept-Language"})


def problem_page(request: Request, problem: Problem) -> Response:
    """Show what went wrong."""
    return show(request, "problem.html", problem.status, problem=problem)


def language_of(request: Request) -> str:
    """Return the language of whoever looks."""
    return chosen(request.cookies.get(_LANGUAGE), request.headers.get("accept-language", ""))


# In and out


@router.get("/login")
async def login_page(request: Request) -> Response:
    """Who are you?"""
    if reception_of(request).session(request) is not None:
        return RedirectResponse("/", 303)
    return show(request, "login.html", error=None, name="")


@router.post("/login")
async def login(
    request: Request,
    name: Annotated[str, Form(max_length=256)] = "",
    password: Annotated[str, Form(max_length=1024)] = "",
    code: Annotated[str, Form(max_length=16)] = "",
) -> Response:
    """Log somebody in."""
    reception, answer = reception_of(request), RedirectResponse("/", 303)
    try:
        wrong = await reception.log_in(request, answer, name, password, code)
    except ProblemError as error:
        page = show(request, "login.html", error.status, error="too_often", name=name)
        page.headers.update(error.headers or {})
        return page
    return show(request, "login.html", 401, error=wrong, name=name) if wrong else answer


@router.post("/logout")
async def logout(request: Request, csrf: Annotated[str, Form(max_length=256)] = "") -> Response:
    """Log somebody out."""
    reception, answer = reception_of(request), RedirectResponse("/login", 303)
    found = reception.session(request)
    if found is None:
        return answer
    _check(csrf, found[0].csrf)
    actor = Actor(found[1].name, found[1].role, address_of(request))
    await reception.log_out(request, answer, actor)
    return answer


@router.post("/preferences")
async def preferences(
    request: Request,
    language: Annotated[str, Form(max_length=8)] = "",
    theme: Annotated[str, Form(max_length=8)] = "",
) -> Response:
    """Choose language and colours; anybody may, and it is kept in their browser."""
    answer = RedirectResponse(
        "/account" if reception_of(request).session(request) else "/login", 303
    )
    secure = request.app.state.view.settings.encrypted
    for name, value, known in ((_LANGUAGE, language, LANGUAGES), (_THEME, theme, _THEMES)):
        if value in known:
            answer.set_cookie(
                name, value, max_age=_YEAR_S, secure=secure, httponly=True, samesite="strict"
            )
    return answer


def _check(sent: str, csrf: str) -> None:
    if not same(sent, csrf):
        raise ProblemError(403, "csrf", "the page is out of date; load it again")


# What there is to see


@router.get("/")
async def live_page(request: Request, actor: Viewer) -> Response:
    """The door, live."""
    return show(request, "live.html")


@router.get("/visits")
async def visits_page(request: Request, actor: Viewer) -> Response:
    """Who came."""
    return show(request, "visits.html", kinds=SHOWN_KINDS)


@router.get("/people")
async def people_page(request: Request, actor: Porter, link: ToService) -> Response:
    """Who is enrolled."""
    found = await link.ask("people", actor)
    return show(request, "people.html", people=found["people"])


@router.get("/people/add")
async def add_page(request: Request, actor: Administrator) -> Response:
    """Enrol somebody."""
    return show(request, "add.html", person=None)


@router.get("/people/alike")
async def alike_page(request: Request, actor: Administrator) -> Response:
    """Who looks like whom."""
    return show(request, "alike.html")


@router.get("/people/{person_id}")
async def person_page(
    request: Request, person_id: str, actor: Administrator, link: ToService
) -> Response:
    """One person."""
    found = await link.ask("person", actor, id=person_id)
    others = (await link.ask("people", actor))["people"]
    return show(request, "person.html", person=found,
                others=[one for one in others if one["id"] != person_id])  # fmt: skip


@router.get("/people/{person_id}/add")
async def add_more_page(
    request: Request, person_id: str, actor: Administrator, link: ToService
) -> Response:
    """Give somebody more templates."""
    return show(request, "add.html", person=await link.ask("person", actor, id=person_id))


@router.get("/recognise")
async def recognise_page(request: Request, actor: Porter) -> Response:
    """Who is in a photograph."""
    return show(request, "recognise.html")


@router.get("/health")
async def health_page(request: Request, actor: Viewer, link: ToService) -> Response:
    """How it does."""
    try:
        found: dict[str, Any] | None = await link.ask("health", actor)
    except LinkError:
        found = None
    entries = []
    if found is not None and actor.role is Role.ADMINISTRATOR:
        entries = (await link.ask("audit", actor, limit=30))["entries"]
    return show(request, "health.html", health=found, entries=entries)


@router.get("/account")
async def account_page(request: Request, actor: Viewer) -> Response:
    """Whoever is logged in."""
    return _account(request, actor)


def _account(request: Request, actor: Actor, status: int = 200, error: str = "") -> Response:
    reception = reception_of(request)
    if reception.session(request) is None:
        raise ProblemError(404, "no_session", "tokens have no page")
    sessions = reception.sessions.count(actor.name)
    return show(request, "account.html", status, sessions=sessions, error=error)


@router.post("/account/password")
async def change_password(
    request: Request,
    csrf: Annotated[str, Form(max_length=256)] = "",
    old: Annotated[str, Form(max_length=1024)] = "",
    new: Annotated[str, Form(max_length=1024)] = "",
) -> Response:
    """Change one's own password, which logs out everywhere."""
    reception = reception_of(request)
    found = reception.session(request)
    if found is None:
        return RedirectResponse("/login", 303)
    _check(csrf, found[0].csrf)
    actor = Actor(found[1].name, found[1].role, address_of(request))
    try:
        done = await reception.change_password(actor, old, new)
    except AccountError as error:
        return _account(request, actor, 422, str(error))
    return RedirectResponse("/login", 303) if done else _account(request, actor, 403, "wrong")
