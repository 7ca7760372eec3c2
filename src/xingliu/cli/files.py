"""`xl cp`."""

import io
import tarfile
from pathlib import Path, PurePosixPath

import click

from xingliu.cli.client import Readable, part
from xingliu.cli.errors import BadPlace, DamagedCopy, DestinationExists, DestinationMissing
from xingliu.cli.output import note, print_json
from xingliu.cli.session import Session, json_option
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
                count, size_bytes = _unpack(tar, path, target)
        except (tarfile.TarError, EOFError) as error:
            raise DamagedCopy(str(error)) from None
    if session.json:
        print_json({"path": str(target), "files": count, "bytes": size_bytes})
    else:
        click.echo(f"{target}  {count} {'file' if count == 1 else 'files'}, {show_bytes(size_bytes)}")


def _target(path: str, destination: Path) -> Path:
    """Where the copy goes: into a folder that exists, else to that very name. Raises DestinationExists, DestinationMissing."""
    name = PurePosixPath(path).name
    target = destination / name if destination.is_dir() and name not in ("", "..") else destination
    if target.exists() and not (target.is_dir() and not name):
        raise DestinationExists(str(target))
    if not target.parent.exists():
        raise DestinationMissing(str(target.parent))
    return target


def _unpack(tar: tarfile.TarFile, asked: str, target: Path) -> tuple[int, int]:
    """Write the members under `target`, in place of the name that was asked for. Gives the files and bytes written.

    The filter refuses what would leave `target`: absolute names, `..`, links that lead out, devices.
    """
    count, size_bytes = 0, 0
    for member in tar:
        place = inside(member.name, asked)
        alone = str(place) == "." and not member.isdir()
        home, member.name = (target.parent, target.name) if alone else (target, str(place))
        tar.extract(member, home, filter="data")
        if member.isfile():
            count, size_bytes = count + 1, size_bytes + member.size
    return count, size_bytes


def inside(name: str, asked: str) -> PurePosixPath:
    """A member's place below what was asked for, however the archive begins its names."""
    place, root = PurePosixPath(name), PurePosixPath(asked)
    for start in (root, PurePosixPath(root.name)):
        if start.parts and place.is_relative_to(start):
            return place.relative_to(start)
    return place


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
