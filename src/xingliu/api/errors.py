"""Errors as RFC 9457 problem documents, and the one table that says which status each has."""

import logging
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import ClassVar

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xingliu.api.shapes import Out
from xingliu.control import errors as control
from xingliu.fleet import errors as fleet
from xingliu.fleet.states import NodeCannotStep
from xingliu.kernel.errors import AlreadyExists, BadValue, Unknown, XingliuError
from xingliu.kernel.problems import PROBLEMS_MAX, InvalidDocument
from xingliu.tenancy import errors as tenancy
from xingliu.workloads.states import JobCannotStep

log = logging.getLogger("xingliu.api")


@dataclass(eq=False)
class TooManyStreams(XingliuError):
    """There are already {limit} {what} open; that is the most this cloud serves at once."""

    code: ClassVar[str] = "too_many_streams"
    hint: ClassVar[str] = "Close one, or try again later."
    what: str
    limit: int


STATUS: dict[type[XingliuError], int] = {
    Unknown: 404,
    AlreadyExists: 409,
    BadValue: 422,
    InvalidDocument: 422,
    NodeCannotStep: 409,
    JobCannotStep: 409,
    tenancy.BadName: 422,
    tenancy.WrongScope: 422,
    tenancy.OutsideTenant: 422,
    tenancy.RoleTooWide: 403,
    fleet.MachineTooSmall: 422,
    fleet.TooFewGpus: 422,
    fleet.OneWholeMachine: 422,
    fleet.NodesBusy: 409,
    fleet.NotALeaf: 422,
    fleet.QueueInUse: 409,
    control.BadCredentials: 401,
    control.Forbidden: 403,
    control.AmbiguousName: 409,
    control.WholeArray: 409,
    control.NothingToWaitFor: 422,
    control.HasSchedule: 422,
    control.NoSchedule: 422,
    control.AlreadyScheduled: 409,
    control.NoProjectChosen: 422,
    control.NoReason: 422,
    control.NoHoldReason: 422,
    control.BadSelection: 422,
    control.LastAdmin: 409,
    control.IdempotencyConflict: 409,
    control.TooMany: 409,
    control.NotRunning: 409,
    control.NotChangeable: 409,
    control.RoomBeingMade: 409,
    control.PathOutside: 422,
    control.BlobMismatch: 422,
    control.BlobTooLarge: 413,
    control.CannotUnseal: 409,
    control.SecretGone: 409,
    control.DiskFull: 507,
    control.StalePlan: 409,
    control.NotInControl: 503,
    control.StoreUnavailable: 503,
    control.LauncherUnavailable: 503,
    control.DeliveryFailed: 502,
    control.DeliveryRefused: 502,
    control.MailServerDown: 502,
    control.NoMailServer: 422,
    TooManyStreams: 503,
}


class ProblemPart(Out):
    """One thing to put right in what was sent."""

    key: str
    message: str
    hint: str = ""
    line: int | None = None
    column: int | None = None


class ProblemOut(Out):
    """RFC 9457, with a stable code and the way out."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    hint: str
    problems: list[ProblemPart] | None = None


class ProblemResponse(JSONResponse):
    media_type = "application/problem+json"


def status_of(error: XingliuError) -> int:
    """The nearest entry of the table; an error that is in none is the cloud's own fault."""
    return next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)


def problem(
    status: int, code: str, detail: str, hint: str = "", problems: Sequence[Mapping[str, object]] | None = None
) -> dict[str, object]:
    """A problem document."""
    document: dict[str, object] = {
        "type": f"urn:xingliu:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "hint": hint,
    }
    return document if problems is None else {**document, "problems": problems}


def problem_of(error: XingliuError) -> dict[str, object]:
    """The problem document of an error of ours."""
    parts = [dict(part.facts()) for part in error.problems] if isinstance(error, InvalidDocument) else None
    return problem(status_of(error), error.code, _storable(str(error)), _storable(error.advice()), parts)


def respond(error: XingliuError) -> ProblemResponse:
    """The answer to a request that ended in an error of ours."""
    status = status_of(error)
    if status == 500:
        log.error("%s is in no table of statuses: %s", type(error).__name__, error)
    headers = {"WWW-Authenticate": "Bearer"} if status == 401 else None
    return ProblemResponse(problem_of(error), status, headers)


def install(app: FastAPI) -> None:
    """Every error leaves as a problem document."""
    app.add_exception_handler(XingliuError, _ours)
    app.add_exception_handler(RequestValidationError, _invalid)
    app.add_exception_handler(HTTPException, _http)


async def _ours(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, XingliuError), "registered for these only"
    return respond(error)


async def _invalid(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, RequestValidationError), "registered for these only"
    parts = [
        {"key": _storable(".".join(str(step) for step in part["loc"])), "message": _storable(str(part["msg"])), "hint": ""}
        for part in error.errors()[:PROBLEMS_MAX]
    ]
    detail = "; ".join(f"{part['key']}: {part['message']}" for part in parts[:3])
    hint = "The shapes of every request are in /v1/openapi.json."
    return ProblemResponse(problem(422, "invalid_request", detail, hint, parts), 422)


async def _http(request: Request, error: Exception) -> ProblemResponse:
    assert isinstance(error, HTTPException), "registered for these only"
    code = {404: "no_such_route", 405: "method_not_allowed", 413: "body_too_large"}.get(error.status_code, "bad_request")
    hint = "Every route is in /v1/openapi.json."
    return ProblemResponse(problem(error.status_code, code, str(error.detail), hint), error.status_code, error.headers)


class Unexpected:
    """Whatever else goes wrong is ours: logged under a number that the answer tells."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        began = False

        async def watched(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except Exception:  # the outermost edge: nothing may leave as a bare traceback
            incident = secrets.token_hex(4)
            log.exception("incident %s: %s %s", incident, scope.get("method", scope["type"]), scope.get("path"))
            if scope["type"] == "http" and not began:
                detail = f"Something went wrong in the cloud itself (incident {incident})."
                hint = "Look for that number in its log, and report what is there."
                await ProblemResponse(problem(500, "internal", detail, hint), 500)(scope, receive, send)


def _storable(text: str) -> str:
    """Text that JSON can carry: halves of characters are shown as such."""
    return text.encode("utf-8", "backslashreplace").decode()
