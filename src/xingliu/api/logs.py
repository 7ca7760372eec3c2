"""What a job's replicas printed, and the job's folder."""

from collections.abc import Iterator
from itertools import chain
from typing import Annotated

from fastapi import APIRouter, Query, Response
from fastapi.responses import StreamingResponse

from xingliu.api.asking import Asker, Control
from xingliu.control.logs import LOG_LARGEST_BYTES, PATH_LONGEST

router = APIRouter(tags=["logs"])
_OFFSET_MAX = 2**53


def _bytes_of(media_type: str, description: str) -> dict[int | str, dict[str, object]]:
    return {200: {"content": {media_type: {"schema": {"type": "string", "format": "binary"}}}, "description": description}}


@router.get(
    "/v1/jobs/{job}/logs",
    response_class=Response,
    responses=_bytes_of("application/octet-stream", "Bytes from X-Log-Offset on; the next ones begin at X-Log-Next."),
)
def read_log(
    control: Control,
    asker: Asker,
    job: str,
    attempt: Annotated[int | None, Query(ge=0, le=_OFFSET_MAX, description="Default: the newest.")] = None,
    rank: Annotated[int, Query(ge=0, le=_OFFSET_MAX)] = 0,
    offset: Annotated[int, Query(ge=-_OFFSET_MAX, le=_OFFSET_MAX, description="Negative: back from the end.")] = 0,
    limit_bytes: Annotated[int, Query(ge=1, le=LOG_LARGEST_BYTES)] = 1024 * 1024,
) -> Response:
    """One replica's output. An offset that was rotated away gives what is left after it."""
    chunk = control.logs.read(asker, job, attempt=attempt, rank=rank, offset=offset, limit_bytes=limit_bytes)
    headers = {"X-Log-Offset": str(chunk.offset), "X-Log-Next": str(chunk.offset + len(chunk.data))}
    return Response(chunk.data, media_type="application/octet-stream", headers=headers)


@router.get(
    "/v1/jobs/{job}/files",
    response_class=StreamingResponse,
    responses=_bytes_of("application/x-tar", "The file or folder as a tar archive."),
)
def read_files(
    control: Control, asker: Asker, job: str, path: Annotated[str, Query(max_length=PATH_LONGEST)] = "."
) -> StreamingResponse:
    """A file or folder of the job's folder, also after the job ended."""
    return StreamingResponse(_begun(control.files.archive(asker, job, path)), media_type="application/x-tar")


def _begun(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The same chunks, with the first one read, so that a refusal is raised before an answer begins."""
    return chain([next(chunks, b"")], chunks)
