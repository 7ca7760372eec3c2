"""Packed working folders. The bytes are stored once; that a project may use them is recorded for each project."""

import re
from collections.abc import Iterator

from xingliu.control.ports import Blob, BlobStore, Store
from xingliu.control.scope import Scope
from xingliu.kernel.clock import Clock
from xingliu.kernel.errors import BadValue
from xingliu.kernel.ids import BlobId
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb

BLOB_LARGEST_BYTES = 512 * 1024 * 1024
_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


def blob_key(project: str, blob: str) -> str:
    return f"{project}:{blob}"


class Blobs:
    def __init__(self, store: Store, clock: Clock, blobs: BlobStore) -> None:
        self._store = store
        self._clock = clock
        self._blobs = blobs

    def has(self, actor: Actor, project: str, sha256: str) -> bool:
        """Whether this project has it; what other projects uploaded is not told. Raises Unknown, Forbidden, BadValue."""
        blob = _blob(sha256)
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            owner = scope.project(project)
            scope.require(Verb.JOB_SUBMIT, project=owner.id)
            return unit.blobs.get(blob_key(owner.id, blob)) is not None and self._blobs.has(blob)

    def save(self, actor: Actor, project: str, sha256: str, chunks: Iterator[bytes]) -> Blob:
        """Store the bytes whole or not at all. Who uploads must have them all, even where they are stored already.

        Raises Unknown, Forbidden, BadValue, BlobMismatch, BlobTooLarge, DiskFull.
        """
        blob = _blob(sha256)
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            owner = scope.project(project)
            scope.require(Verb.JOB_SUBMIT, project=owner.id)
        size_bytes = self._blobs.save(blob, chunks, limit_bytes=BLOB_LARGEST_BYTES)
        saved = Blob(blob_key(owner.id, blob), owner.id, blob, size_bytes, self._clock.now_us())
        with self._store.write() as unit:
            unit.blobs.put(saved)
        return saved


def _blob(sha256: str) -> BlobId:
    if not _SHA256.match(sha256):
        raise BadValue(sha256[:80], "a SHA-256", "Write 64 hexadecimal digits in small letters.")
    return BlobId(sha256)
