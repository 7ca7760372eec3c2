"""What this machine can give to keep jobs apart, found by running it once."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from xingliu.adapters.local.cgroups import CgroupTree, detect_cgroups
from xingliu.adapters.local.places import Places

_PROBE_TIMEOUT_S = 20
_PROBE_UID = 65534


class Walls(StrEnum):
    """How replicas are kept apart."""

    UID = "one uid a project in a bubblewrap sandbox"
    NAMESPACE = "a bubblewrap sandbox, all projects as one user"
    SESSION = "a session of its own, all projects as one user"


@dataclass(frozen=True, slots=True)
class Isolation:
    """What there is; tools by path, empty where there is none."""

    walls: Walls
    cgroups: CgroupTree
    bwrap: str = ""
    setpriv: str = ""
    shell: str = "/bin/sh"

    @property
    def sandboxed(self) -> bool:
        return self.walls is not Walls.SESSION

    @property
    def multi_tenant(self) -> bool:
        """Whether projects that do not trust each other may share this machine."""
        return self.walls is Walls.UID

    def facts(self) -> Mapping[str, object]:
        """For the node's page; `missing` says in sentences what this machine cannot give."""
        return {"walls": str(self.walls), "cgroups": self.cgroups.version, "shell": self.shell, "missing": self._missing()}

    def _missing(self) -> list[str]:
        missing = ["Jobs share the machine's network: they reach each other's ports, and none is kept from the outside."]
        if self.walls is not Walls.UID:
            missing.append("Without root and bubblewrap every project runs as the same user: for a single tenant only.")
        if self.walls is Walls.SESSION:
            missing.append("Without a working bubblewrap, jobs see this machine's files and processes.")
        for controller, loss in _LOSSES.items():
            if controller not in self.cgroups.roots:
                missing.append(f"Without the {controller} cgroup, {loss}.")
        return missing


_LOSSES = {
    "memory": "a job may use more memory than it asked for",
    "cpu": "a job may use more cores than it asked for",
    "pids": "nothing bounds how many processes a job starts",
}


def detect_isolation(places: Places) -> Isolation:
    bwrap, setpriv = shutil.which("bwrap") or "", shutil.which("setpriv") or ""
    shell = shutil.which("bash") or shutil.which("sh") or "/bin/sh"
    cgroups = detect_cgroups(places.cgroup)
    if os.geteuid() == 0:
        drop = [setpriv, f"--reuid={_PROBE_UID}", f"--regid={_PROBE_UID}", "--clear-groups", "--no-new-privs"]
        if bwrap and setpriv and _runs([*_probe(bwrap), *drop, "true"]):
            return Isolation(Walls.UID, cgroups, bwrap, setpriv, shell)
    elif bwrap and _runs([*_probe(bwrap), "true"]):
        return Isolation(Walls.NAMESPACE, cgroups, bwrap, "", shell)
    return Isolation(Walls.SESSION, cgroups, shell=shell)


def no_isolation() -> Isolation:
    """Less than there may be: plain processes of this user, without limits."""
    return Isolation(Walls.SESSION, CgroupTree(), shell=shutil.which("bash") or "/bin/sh")


def _probe(bwrap: str) -> list[str]:
    spaces = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session"]
    return [bwrap, "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", *spaces, "--"]


def _runs(command: list[str]) -> bool:
    try:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_PROBE_TIMEOUT_S, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
