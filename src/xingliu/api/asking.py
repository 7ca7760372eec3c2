"""Who asks, and the control objects: what every route begins with."""

from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import AfterValidator
from starlette.concurrency import run_in_threadpool

from xingliu.control.actors import Actors
from xingliu.control.errors import BadCredentials
from xingliu.control.receipts import KEY_LONGEST
from xingliu.control.services import Services
from xingliu.tenancy.model import Actor

_bearer = HTTPBearer(auto_error=False, description="A key: xlk_...")


async def services(request: Request) -> Services:
    """The control objects this app was made with."""
    found = request.app.state.services
    assert isinstance(found, Services), "create_app sets it"
    return found


async def credential(bearer: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]) -> str:
    """What came with the request. Raises BadCredentials where nothing did."""
    if bearer is None:
        raise BadCredentials
    return bearer.credentials


async def asker(control: Annotated[Services, Depends(services)], given: Annotated[str, Depends(credential)]) -> Actor:
    """Raises BadCredentials. One that was resolved lately costs no thread and no read of the store."""
    return await resolve(control.actors, given)


async def resolve(actors: Actors, given: str) -> Actor:
    """Raises BadCredentials."""
    known = actors.known(given)
    return known if known is not None else await run_in_threadpool(actors.resolve, given)


def _without_nul(text: str) -> str:
    if "\0" in text:
        raise ValueError("it holds a NUL character")
    return text


Control = Annotated[Services, Depends(services)]
Asker = Annotated[Actor, Depends(asker)]
Credential = Annotated[str, Depends(credential)]
Text = Annotated[str, AfterValidator(_without_nul)]
Once = Annotated[
    str | None,
    Header(alias="Idempotency-Key", max_length=KEY_LONGEST, description="Repeating it with the same request makes nothing new."),
]
