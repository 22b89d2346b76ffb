"""Errors as programs get them: RFC 9457, `application/problem+json`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse, RedirectResponse, Response
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from lockd.errors import LockdError
from lockd.web.link import LinkError

_TITLES = {
    400: "Malformed request", 401: "Not logged in", 403: "Not allowed", 404: "Not found",
    405: "Method not allowed", 409: "Not possible", 413: "Too large", 415: "Wrong type",
    421: "Unknown host", 422: "Invalid values", 429: "Too often", 500: "Mistake of the console",
    503: "Not available just now",
}  # fmt: skip
_STATUS = {
    "down": 503, "store": 503, "failed": 503, "no_answer": 503, "busy": 429, "not_allowed": 403,
    "malformed": 422, "not_found": 404, "refused": 409,
}  # fmt: skip


class Problem(BaseModel):
    """What went wrong.

    Attributes:
        type: always ``about:blank``.
        title: the status in words.
        status: of HTTP.
        code: why, in a word that does not change.
        detail: why, for people.
    """

    type: str = "about:blank"
    title: str
    status: int
    code: str
    detail: str


class ProblemError(Exception):
    """Ends a request with a problem."""

    def __init__(
        self, status: int, code: str, detail: str, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.headers = headers


ANSWERS: dict[int | str, dict[str, Any]] = {
    status: {
        "description": _TITLES[status],
        "content": {"application/problem+json": {"schema": Problem.model_json_schema()}},
    }
    for status in (400, 401, 403, 404, 409, 413, 422, 429, 503)
}
"""For the description of the interface: what any request may be answered with."""


def problem_response(
    status: int, code: str, detail: str, headers: dict[str, str] | None = None
) -> Response:
    """Return a problem as it is sent."""
    title = _TITLES.get(status, "Error")
    problem = Problem(title=title, status=status, code=code, detail=detail)
    return JSONResponse(
        problem.model_dump(), status, headers, media_type="application/problem+json"
    )


def handle_problems(app: FastAPI, page: Callable[[Request, Problem], Response]) -> None:
    """Let all errors of an application end as problems; of a page, as a page, or at the login.

    Args:
        page: shows one to people.
    """

    def told(
        request: Request, status: int, code: str, detail: str, headers: dict[str, str] | None = None
    ) -> Response:
        html = "text/html" in request.headers.get("accept", "")
        if not html or request.url.path.startswith("/api/"):
            return problem_response(status, code, detail, headers)
        if status == 401:
            return RedirectResponse("/login", 303)
        title = _TITLES.get(status, "Error")
        return page(request, Problem(title=title, status=status, code=code, detail=detail))

    @app.exception_handler(ProblemError)
    async def _problem(request: Request, error: ProblemError) -> Response:
        return told(request, error.status, error.code, error.detail, error.headers)

    @app.exception_handler(LinkError)
    async def _link(request: Request, error: LinkError) -> Response:
        status = _STATUS.get(error.result, 409)
        return told(request, status, error.code or error.result, error.reason)

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers) if error.headers else None
        return told(request, error.status_code, "http", str(error.detail), headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        wrong = "; ".join(
            f"{'.'.join(str(part) for part in one['loc'])}: {one['msg']}" for one in error.errors()
        )
        return told(request, 422, "malformed", wrong[:1000])

    @app.exception_handler(LockdError)
    async def _lockd(request: Request, error: LockdError) -> Response:
        return told(request, 503, "failed", str(error))
