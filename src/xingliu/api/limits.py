"""Bounds on what a request may bring, checked before anything reads it."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from xingliu.api.errors import ProblemResponse, problem
from xingliu.control.blobs import BLOB_LARGEST_BYTES

JSON_LARGEST_BYTES = 1024 * 1024
_HINT = f"A request may have {JSON_LARGEST_BYTES} bytes; a packed working folder {BLOB_LARGEST_BYTES}."


class BodyLimit:
    """Refuses bodies that are too large, by their stated length or as they come, and NUL in an address."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            refusal = problem(422, "bad_value", "An address cannot hold a NUL character.", "Leave it out.")
            await ProblemResponse(refusal, 422)(scope, receive, send)
            return
        # Only blobs are put, and they are counted again where they are stored.
        most = BLOB_LARGEST_BYTES if scope["method"] == "PUT" else JSON_LARGEST_BYTES
        if _stated_bytes(scope) > most:
            refusal = problem(413, "body_too_large", _too_large(most), _HINT)
            await ProblemResponse(refusal, 413)(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > most:
                raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _too_large(most))
            return message

        await self._app(scope, counted, send)


def _stated_bytes(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length":
            return int(value) if value.isdigit() else 0
    return 0


def _too_large(most: int) -> str:
    return f"The request's body is larger than {most} bytes."
