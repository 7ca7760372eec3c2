"""Where things are under XL_HOME."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from xingliu.kernel.errors import BadValue
from xingliu.kernel.ids import BlobId, JobId, LeaseId

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True, slots=True)
class Places:
    """The folders of one cloud on this machine; all are private to the control plane's user."""

    home: Path

    @property
    def run(self) -> Path:
        """Sockets and locks of what runs now."""
        return self.home / "run"

    @property
    def replicas(self) -> Path:
        """One folder for each open lease."""
        return self.home / "replicas"

    @property
    def ended(self) -> Path:
        """Records and logs of released leases."""
        return self.home / "ended"

    @property
    def pythons(self) -> Path:
        """Links, made by the operator, to interpreters that jobs may name by the link's name."""
        return self.home / "pythons"

    @property
    def cgroup(self) -> str:
        """The name of this home's cgroups; another home on the machine has another."""
        return "xingliu-" + hashlib.sha256(str(self.home.resolve()).encode()).hexdigest()[:8]

    def replica(self, lease: LeaseId) -> Path:
        return self.replicas / _checked(lease)

    def released(self, lease: LeaseId) -> Path:
        return self.ended / _checked(lease)

    def job_files(self, job: JobId) -> Path:
        """The job's folder, which outlives its attempts; it belongs to the project's uid."""
        return self.home / "jobs" / _checked(job) / "files"

    def blob(self, blob: BlobId) -> Path:
        return self.home / "blobs" / _checked(blob)

    def make(self) -> None:
        for folder in (self.home, self.run, self.replicas, self.ended, self.pythons, self.home / "jobs", self.home / "blobs"):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise BadValue(name, "a name that may be a file's", "Letters, digits, dots and dashes, not starting with a dot.")
    return name
