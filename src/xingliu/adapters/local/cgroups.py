"""Which control groups this machine gives, and the limits of one replica in them."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from xingliu.kernel.ids import LeaseId

CONTROLLERS = ("memory", "cpu", "cpuacct", "pids")
PROCESSES_MAX = 4096
_PERIOD_US = 100_000
_QUOTA_US_MIN = 1000


@dataclass(frozen=True, slots=True)
class CgroupTree:
    """The folders under which a home's replicas get their cgroups.

    Attributes:
        version: 1, 2, or 0 where there are none that can be written.
        roots: this home's folder by controller; several controllers may share one.
        swap: whether swap can be limited too.
    """

    version: int = 0
    roots: Mapping[str, Path] = field(default_factory=dict)
    swap: bool = False

    def limits(self, lease: LeaseId, *, cpu_milli: int, memory_bytes: int) -> list[tuple[str, dict[str, str]]]:
        """(folder, value by file) for one replica, in the order in which they must be written."""
        quota_us = max(cpu_milli * _PERIOD_US // 1000, _QUOTA_US_MIN)
        if self.version == 2:
            values = {"memory": {"memory.max": str(memory_bytes), **({"memory.swap.max": "0"} if self.swap else {})}}
            values["cpu"] = {"cpu.max": f"{quota_us} {_PERIOD_US}"}
        else:
            bounds = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes")[: 2 if self.swap else 1]
            values = {"memory": {name: str(memory_bytes) for name in bounds}}
            values["cpu"] = {"cpu.cfs_period_us": str(_PERIOD_US), "cpu.cfs_quota_us": str(quota_us)}
        values["pids"] = {"pids.max": str(PROCESSES_MAX)}
        groups: dict[str, dict[str, str]] = {}
        for controller, root in self.roots.items():
            groups.setdefault(str(root / lease), {}).update(values.get(controller, {}))
        return list(groups.items())


def detect_cgroups(name: str, mounts: str | None = None) -> CgroupTree:
    """What can be used here, found by making this home's own groups. `mounts` is the text of /proc/mounts."""
    lines = [line.split() for line in (mounts if mounts is not None else Path("/proc/mounts").read_text()).splitlines()]
    unified = [Path(line[1]) for line in lines if line[2] == "cgroup2"]
    for mount in unified:
        if _enable(mount, name):
            roots = dict.fromkeys(("memory", "cpu", "pids"), mount / name)
            return CgroupTree(2, roots, swap=(mount / name / "memory.swap.max").exists())
    roots = {}
    for controller in CONTROLLERS:
        for line in lines:
            if line[2] == "cgroup" and controller in line[3].split(",") and _usable(Path(line[1]) / name):
                roots[controller] = Path(line[1]) / name
    if not roots:
        return CgroupTree()
    memory = roots.get("memory")
    return CgroupTree(1, roots, swap=memory is not None and (memory / "memory.memsw.limit_in_bytes").exists())


def _usable(folder: Path) -> bool:
    try:
        folder.mkdir(exist_ok=True)
        with (folder / "cgroup.procs").open("a"):
            return True
    except OSError:
        return False


def _enable(mount: Path, name: str) -> bool:
    """Version 2: hand the controllers down to this home's group, and from it to its replicas'."""
    try:
        offered = set((mount / "cgroup.controllers").read_text().split())
        if not {"memory", "cpu", "pids"} <= offered:
            return False
        for folder in (mount, mount / name):
            folder.mkdir(exist_ok=True)
            (folder / "cgroup.subtree_control").write_text("+memory +cpu +pids")
    except OSError:
        return False
    return True


def processes_in(folders: list[str]) -> set[int]:
    """The processes in these cgroups; a folder that is gone has none."""
    found: set[int] = set()
    for folder in folders:
        with contextlib.suppress(OSError):
            found.update(int(pid) for pid in (Path(folder) / "cgroup.procs").read_text().split())
    return found


def remove_cgroups(folders: list[str]) -> bool:
    """Whether they are gone; one with a process in it cannot be removed, so this proves them empty."""
    left = False
    for folder in folders:
        try:
            Path(folder).rmdir()
        except FileNotFoundError:
            continue
        except OSError:
            left = True
    return not left
