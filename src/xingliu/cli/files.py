"""`xl cp`."""

import io
import tarfile
from pathlib import Path, PurePosixPath

import click

from xingliu.cli.client import Readable, part
from xingliu.cli.errors import BadPlace, DamagedCopy, DestinationExists, DestinationMissing
from xingliu.cli.output import note, print_json
from xingliu.cli.session import Session, json_option
from xingliu.cli.unpacking import unpack
from xingliu.kernel.units import show_bytes

TOLD_EVERY_BYTES = 64_000_000


@click.command()
@click.argument("source", metavar="JOB:PATH")
@click.argument("destination", type=click.Path(path_type=Path), default=".", required=False)
@json_option
@click.pass_obj
def cp(session: Session, source: str, destination: Path) -> None:
    """Copy files out of a job's folder.

    PATH is relative to $XL_JOB_DIR. DESTINATION is a folder, or the copy's new name; by default this folder.

    \b
    xl cp train:checkpoints/last.pt .
    xl cp train:checkpoints ./from-train
    xl cp train:. ./everything
    """
    job, colon, path = source.partition(":")
    if not colon or not job:
        raise BadPlace(source)
    target = _target(path, destination)
    with session.client.stream(f"/v1/jobs/{part(job)}/files", path=path or ".") as answer:
        try:
            with tarfile.open(fileobj=_Counted(answer), mode="r|") as tar:
                copied = unpack(tar, path, target)
        except (tarfile.TarError, EOFError) as error:
            raise DamagedCopy(str(error)) from None
    if session.json:
        print_json({"path": str(target), "files": copied.files, "bytes": copied.bytes, "left_out": copied.left_out})
        return
    for name in copied.left_out:
        note(f"left out: {name}, which leads out of the copy or is no file")
    click.echo(f"{target}  {copied.files} {'file' if copied.files == 1 else 'files'}, {show_bytes(copied.bytes)}")


def _target(path: str, destination: Path) -> Path:
    """Where the copy goes: into a folder that exists, else to that very name. Raises DestinationExists, DestinationMissing."""
    name = PurePosixPath(path).name
    target = destination / name if destination.is_dir() and name not in ("", "..") else destination
    if target.exists() and not (target.is_dir() and not name):
        raise DestinationExists(str(target))
    if not target.parent.exists():
        raise DestinationMissing(str(target.parent))
    return target


class _Counted(io.RawIOBase):
    """A stream that tells now and then how much has come."""

    def __init__(self, stream: Readable) -> None:
        super().__init__()
        self._stream, self._bytes, self._told = stream, 0, 0

    def read(self, count: int = -1) -> bytes:
        data = self._stream.read(count)
        self._bytes += len(data)
        if self._bytes - self._told >= TOLD_EVERY_BYTES:
            self._told = self._bytes
            note(f"{show_bytes(self._bytes)} so far")
        return data
