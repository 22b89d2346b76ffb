"""The interface for programs, and for the console's own pages: `/api/v1`."""

from __future__ import annotations

import csv
import io
from typing import Annotated, Any

from fastapi import APIRouter, Depends, File, Form, Path, Query, Request, Response, UploadFile
from fastapi.responses import StreamingResponse

from lockd.remote.roles import Role
from lockd.web import models
from lockd.web.hub import Hub
from lockd.web.link import LONG_ANSWER_S, Actor, Link
from lockd.web.problems import ANSWERS, ProblemError
from lockd.web.reception import Administrator, Porter, Viewer, reception_of
from lockd.web.streams import streamed

MOST_PICTURES = 20
MOST_PICTURE_BYTES = 16 * 2**20
_COLUMNS = ("utc", "type", "person", "similarity", "reason", "command", "by", "result", "proof",
            "visit", "id")  # fmt: skip

router = APIRouter(prefix="/api/v1", responses=ANSWERS)

PersonId = Annotated[str, Path(max_length=64)]
Number = Annotated[int, Path(ge=0, le=2**53)]
Pictures = Annotated[list[UploadFile], File(max_length=MOST_PICTURES)]


def link_of(request: Request) -> Link:
    """Return the way to the service."""
    found: Link = request.app.state.link
    return found


def hub_of(request: Request) -> Hub:
    """Return what watches the service."""
    found: Hub = request.app.state.hub
    return found


ToService = Annotated[Link, Depends(link_of)]
Watched = Annotated[Hub, Depends(hub_of)]

# Door


@router.get("/health", tags=["door"])
async def health(actor: Viewer, link: ToService) -> models.Health:
    """How the service does."""
    return models.Health(**await link.ask("health", actor))


@router.get("/door", tags=["door"])
async def door(actor: Viewer, link: ToService) -> models.Door:
    """The door's state."""
    return _door(await link.ask("status", actor))


@router.post("/door/{command}", tags=["door"])
async def command_door(
    command: models.Command,
    actor: Porter,
    link: ToService,
    how: models.DoorCommand | None = None,
) -> models.Door:
    """Command the door; 409 says why it did not obey."""
    seconds = how.seconds if how else 0.0
    if command == "hold-open" and not seconds:
        raise ProblemError(422, "malformed", "hold-open needs seconds")
    return _door(await link.ask(command, actor, seconds=seconds))


def _door(answer: dict[str, Any]) -> models.Door:
    return models.Door(
        **{name: one for name, one in answer.items() if name not in ("result", "bytes")}
    )


# People


@router.get("/people", tags=["people"])
async def people(
    actor: Porter, link: ToService, search: Annotated[str, Query(max_length=64)] = ""
) -> models.People:
    """Who is enrolled, by name."""
    found = models.People(**await link.ask("people", actor))
    wanted = search.casefold()
    return models.People(people=[one for one in found.people if wanted in one.name.casefold()])


@router.post("/people", tags=["people"])
async def enrol(
    actor: Administrator,
    link: ToService,
    photographs: Pictures,
    name: Annotated[str, Form(min_length=1, max_length=64)],
    dry_run: Annotated[bool, Form()] = False,
    groups: Annotated[list[str] | None, Form()] = None,
    valid_from: Annotated[models.Moment, Form()] = "",
    valid_until: Annotated[models.Moment, Form()] = "",
    external_id: Annotated[models.Text, Form()] = "",
    notes: Annotated[str, Form(max_length=2000)] = "",
    consent_by: Annotated[models.Text, Form()] = "",
    consent_utc: Annotated[models.Text, Form()] = "",
    anyway: Annotated[str, Form(max_length=200)] = "",
) -> models.Enrolment:
    """Enrol somebody new from photographs, judged as `lockd-enroll add` does.

    With `dry_run` they are judged, and nothing is kept. `anyway` is the reason to enrol somebody
    who looks like somebody else.
    """
    given = {
        "groups": groups or [], "valid_from": valid_from, "valid_until": valid_until,
        "external_id": external_id, "notes": notes, "consent_by": consent_by,
        "consent_utc": consent_utc, "anyway": anyway.strip(), "new": True,
    }  # fmt: skip
    if consent_utc and not consent_by:
        given["consent_by"] = actor.name
    return await _judged(link, actor, name, photographs, dry_run, given)


async def _judged(
    link: Link,
    actor: Actor,
    name: str,
    photographs: list[UploadFile],
    dry_run: bool,
    given: dict[str, Any],
) -> models.Enrolment:
    contents = [await _content(one) for one in photographs]
    answer = await link.ask(
        *("judge" if dry_run else "enrol", actor),
        pictures=contents, patience_s=LONG_ANSWER_S, name=name, **given,
    )  # fmt: skip
    return models.Enrolment(**answer)


async def _content(upload: UploadFile) -> bytes:
    content = await upload.read(MOST_PICTURE_BYTES + 1)
    if len(content) > MOST_PICTURE_BYTES:
        raise ProblemError(
            413, "too_large", f"a photograph of more than {MOST_PICTURE_BYTES >> 20} MiB"
        )
    if not content:
        raise ProblemError(422, "malformed", "a photograph is empty")
    return content


@router.get("/people/alike", tags=["people"])
async def alike(actor: Administrator, link: ToService) -> models.Alike:
    """Who looks most like whom, the most alike first."""
    return models.Alike(**await link.ask("alike", actor, patience_s=LONG_ANSWER_S))


@router.get("/people/{person_id}", tags=["people"])
async def person(
    person_id: PersonId, actor: Administrator, link: ToService
) -> models.PersonDetails:
    """All that is kept of somebody besides their face."""
    return models.PersonDetails(**await link.ask("person", actor, id=person_id))


@router.patch("/people/{person_id}", tags=["people"])
async def change_person(
    person_id: PersonId, change: models.PersonChange, actor: Administrator, link: ToService
) -> models.Person:
    """Change somebody's name, rights or details."""
    new = change.model_dump(exclude_unset=True)
    if "groups" in new and new["groups"] is None:
        raise ProblemError(422, "malformed", "groups is a list")
    return models.Person(**await link.ask("change", actor, id=person_id, **new))


@router.delete("/people/{person_id}", tags=["people"])
async def remove_person(
    person_id: PersonId, actor: Administrator, link: ToService
) -> models.Removed:
    """Forget somebody, and report what was deleted."""
    return models.Removed(**await link.ask("remove", actor, id=person_id))


@router.post("/people/{person_id}/merge", tags=["people"])
async def merge(
    person_id: PersonId, other: models.Merge, actor: Administrator, link: ToService
) -> models.Person:
    """Give somebody's templates to somebody else who is the same, and forget the former."""
    return models.Person(**await link.ask("merge", actor, id=person_id, into=other.into))


@router.post("/people/{person_id}/templates", tags=["people"])
async def add_templates(
    person_id: PersonId,
    actor: Administrator,
    link: ToService,
    photographs: Pictures,
    dry_run: Annotated[bool, Form()] = False,
    anyway: Annotated[str, Form(max_length=200)] = "",
) -> models.Enrolment:
    """Give somebody enrolled more templates."""
    known = await link.ask("person", actor, id=person_id)
    given = {"anyway": anyway.strip()}
    return await _judged(link, actor, known["name"], photographs, dry_run, given)


@router.delete("/people/{person_id}/templates/{template_id}", tags=["people"])
async def drop_template(
    person_id: PersonId,
    template_id: Number,
    actor: Administrator,
    link: ToService,
) -> models.Person:
    """Delete one of somebody's templates, but not their last."""
    return models.Person(**await link.ask("drop", actor, id=person_id, templates=[template_id]))


# Visits

Moment = Annotated[
    str,
    Query(pattern=r"^([0-9]{4}-[0-9]{2}-[0-9]{2}(T[0-9:.]{5,12}(Z|[+-][0-9]{2}:[0-9]{2})?)?)?$"),
]


async def _visits(
    actor: Viewer,
    link: ToService,
    since: Moment = "",
    until: Moment = "",
    kind: Annotated[list[str] | None, Query()] = None,
    person: Annotated[str, Query(max_length=64)] = "",
    limit: Annotated[int, Query(ge=1, le=500)] = 100,
    skip: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> models.Visits:
    found = await link.ask(
        *("visits", actor), since=since, until=until, kinds=(kind or [])[:50], person=person,
        limit=limit, skip=skip,
    )  # fmt: skip
    if actor.role is not Role.ADMINISTRATOR:  # how near a stranger came would help an attacker
        for event in found["events"]:
            if event.get("type") != "access_granted":
                event.pop("similarity", None)
    return models.Visits(events=found["events"], total=found.get("total", 0))


Found = Annotated[models.Visits, Depends(_visits)]


@router.get("/visits", tags=["visits"])
async def visits(found: Found) -> models.Visits:
    """Events that are kept, those that the filters let through, the last first."""
    return found


@router.get(
    "/visits.csv",
    tags=["visits"],
    response_class=Response,
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
async def visits_csv(found: Found) -> Response:
    """The same as a table; cells that a spreadsheet would calculate are quoted."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(_COLUMNS)
    for event in found.events:
        writer.writerow([_cell(event.get(name)) for name in _COLUMNS])
    return Response(
        out.getvalue(),
        media_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="visits.csv"'},
    )


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text[:1] in "=+-@\t\r" and not isinstance(value, int | float) else text


@router.get(
    "/events",
    tags=["visits"],
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def events(request: Request, actor: Viewer, hub: Watched) -> StreamingResponse:
    """Events as they happen: server-sent events, whose data are JSON."""
    return streamed(hub.news(actor.role), request)


@router.get("/live", tags=["door"], response_class=StreamingResponse, include_in_schema=False)
async def live(request: Request, actor: Viewer, hub: Watched) -> StreamingResponse:
    """The picture with who is in it, a few times a second."""
    return streamed(hub.live(actor.role), request)


# Faces

_JPEG: dict[int | str, dict[str, Any]] = {
    200: {"content": {"image/jpeg": {"schema": {"type": "string", "format": "binary"}}}}
}


@router.post("/recognise", tags=["faces"])
async def recognise(
    actor: Porter, link: ToService, photograph: Annotated[UploadFile, File()]
) -> models.Recognition:
    """Say who is in a photograph; strangers' similarity is for administrators."""
    content = await _content(photograph)
    answer = await link.ask("recognise", actor, pictures=[content], patience_s=LONG_ANSWER_S)
    found = models.Recognition(**answer)
    if actor.role is not Role.ADMINISTRATOR:
        for face in found.faces:
            face.similarity = face.similarity if face.known else None
    return found


@router.get("/strangers", tags=["faces"])
async def strangers(actor: Porter, link: ToService) -> models.Strangers:
    """The strangers of the last minutes whose faces are still in the service's memory."""
    return models.Strangers(**await link.ask("strangers", actor))


@router.get(
    "/strangers/{stranger_id}/picture", tags=["faces"], response_class=Response, responses=_JPEG
)
async def stranger(stranger_id: Number, actor: Porter, link: ToService) -> Response:
    """A stranger's face."""
    return await _picture(link, actor, "stranger", id=stranger_id)


@router.get("/live/faces/{visit}/picture", tags=["faces"], response_class=Response, responses=_JPEG)
async def live_face(visit: Number, actor: Administrator, link: ToService) -> Response:
    """The face of somebody who stands before the camera now."""
    return await _picture(link, actor, "capture", visit=visit)


@router.get("/live/picture", tags=["faces"], response_class=Response, responses=_JPEG)
async def live_picture(actor: Administrator, link: ToService) -> Response:
    """What the camera sees now, as large as it sees it."""
    return await _picture(link, actor, "capture")


async def _picture(link: Link, actor: Actor, command: str, **values: Any) -> Response:
    _, content = await link.ask_both(command, actor, **values)
    return Response(content, media_type="image/jpeg")


# The rest


@router.get("/audit", tags=["audit"])
async def audit(
    actor: Administrator, link: ToService, limit: Annotated[int, Query(ge=1, le=500)] = 100
) -> models.AuditTrail:
    """Who changed what, and commanded what, the last first."""
    return models.AuditTrail(**await link.ask("audit", actor, limit=limit))


@router.post("/log-out-everywhere", tags=["account"], status_code=204, include_in_schema=False)
async def log_out_everywhere(request: Request, actor: Viewer) -> None:
    """End all sessions of whoever asks."""
    reception = reception_of(request)
    if reception.session(request) is None:
        raise ProblemError(409, "no_session", "tokens have no sessions")
    await reception.log_out_everywhere(actor)
