"""The working folder that goes along with a job: packed, and sent unless the cloud has it already."""

from collections.abc import Callable
from pathlib import Path

from xingliu.cli.client import Client, Readable, parts
from xingliu.cli.output import note
from xingliu.cli.packing import Packed, pack
from xingliu.cli.session import may_ask
from xingliu.kernel.units import show_bytes

SLOW_BYTES = 4_000_000


def upload(client: Client, folder: Path, project: str) -> str:
    """The id under which the cloud knows the packed folder. `project` is `tenant/name`.

    Raises what `pack` raises, and BlobTooLarge, DiskFull as ApiProblem.
    """
    packed = pack(folder)
    try:
        path = f"/v1/projects/{parts(project)}/blobs/{packed.sha256}"
        if not client.has(path):
            _send(client, path, packed)
    finally:
        packed.path.unlink(missing_ok=True)
    return packed.sha256


def _send(client: Client, path: str, packed: Packed) -> None:
    with packed.path.open("rb") as file:
        if packed.bytes < SLOW_BYTES or not may_ask():
            client.put(path, file, packed.bytes)
            note(f"sent {packed.files} {'file' if packed.files == 1 else 'files'}, {show_bytes(packed.bytes)}")
            return
        from rich import progress  # noqa: PLC0415 - 60 ms, spent only where sending takes longer

        with progress.Progress(*progress.Progress.get_default_columns(), progress.DownloadColumn()) as bar:
            task = bar.add_task("sending the working folder", total=packed.bytes)
            client.put(path, _Watched(file, lambda count: bar.advance(task, count)), packed.bytes)


class _Watched:
    """A file that tells how much of it was read."""

    def __init__(self, file: Readable, tell: Callable[[int], None]) -> None:
        self._file, self._tell = file, tell

    def read(self, count: int = -1, /) -> bytes:
        data = self._file.read(count)
        self._tell(len(data))
        return data
