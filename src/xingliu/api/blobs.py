"""Packed working folders, by the SHA-256 of their bytes."""

from collections.abc import Iterator

from anyio.from_thread import run as run_in_loop
from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from xingliu.api.asking import Asker, Control
from xingliu.api.shapes import Out
from xingliu.control.ports import Blob
from xingliu.kernel.errors import Unknown

router = APIRouter(tags=["blobs"])
_PATH = "/v1/projects/{tenant}/{project}/blobs/{sha256}"


class BlobOut(Out):
    """That the project has it, and how large it is."""

    sha256: str
    project: str
    bytes: int


def _out(blob: Blob) -> BlobOut:
    return BlobOut(sha256=blob.blob, project=blob.project, bytes=blob.bytes)


@router.head(_PATH, response_class=Response)
def has_blob(control: Control, asker: Asker, tenant: str, project: str, sha256: str) -> Response:
    """200 where the project has it, 404 where it has not."""
    if not control.blobs.has(asker, f"{tenant}/{project}", sha256):
        raise Unknown("blob", sha256)
    return Response()


@router.put(
    _PATH,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def put_blob(control: Control, asker: Asker, request: Request, tenant: str, project: str, sha256: str) -> BlobOut:
    """Upload it; bytes that hash to something else are refused. Read as it comes, never held whole."""
    return _out(await run_in_threadpool(control.blobs.save, asker, f"{tenant}/{project}", sha256, _chunks(request)))


def _chunks(request: Request) -> Iterator[bytes]:
    """The body, piece by piece, for a thread; the loop stays free while the thread writes."""
    stream = request.stream().__aiter__()

    async def following() -> bytes | None:
        return await anext(stream, None)

    while (chunk := run_in_loop(following)) is not None:
        yield chunk
