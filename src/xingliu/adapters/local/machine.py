"""This machine, discovered: cores, memory, disk, GPUs, interpreters, and what it cannot give."""

import os
import platform
import shutil
import socket
from pathlib import Path

from xingliu.adapters.local.gpus import Gpus
from xingliu.adapters.local.interpreters import Interpreters
from xingliu.adapters.local.isolation import Isolation
from xingliu.adapters.local.places import Places
from xingliu.fleet.model import Device, Node, NodeState
from xingliu.kernel.ids import FlavorName, NodeName, PoolName
from xingliu.kernel.resources import CPU, MEMORY, MILLI, Resources, gpu_of

CPU_FLAVOR = FlavorName("cpu")
DEFAULT_POOL = PoolName("default")
SYSTEM_MEMORY_PERCENT = 10


class LocalMachine:
    """The Machine port on Linux."""

    def __init__(self, places: Places, isolation: Isolation, interpreters: Interpreters, gpus: Gpus) -> None:
        self._places = places
        self._isolation = isolation
        self._interpreters = interpreters
        self._gpus = gpus

    def discover(self, now_us: int) -> Node:
        """The machine as one node. A tenth of its memory is kept for the system and the control plane."""
        flavor = gpu_flavor(self._gpus) or CPU_FLAVOR
        cores = len(os.sched_getaffinity(0))
        memory_bytes = total_memory_bytes() * (100 - SYSTEM_MEMORY_PERCENT) // 100
        capacity = {CPU: cores * MILLI, MEMORY: memory_bytes}
        if self._gpus.present:
            capacity[gpu_of(flavor)] = len(self._gpus.present) * MILLI
        return Node(
            name=node_name(socket.gethostname()),
            pool=DEFAULT_POOL,
            flavor=flavor,
            capacity=Resources(capacity),
            state=NodeState.JOINING,
            since_us=now_us,
            devices=tuple(Device(gpu.index, gpu.model, gpu.uuid, gpu.memory_bytes) for gpu in self._gpus.present),
            facts=self._facts(),
        )

    def _facts(self) -> dict[str, object]:
        disk = shutil.disk_usage(self._places.home)
        return {
            "system": platform.platform(),
            "processor": processor_name(Path("/proc/cpuinfo").read_text()),
            "memory_bytes": total_memory_bytes(),
            "disk_bytes": disk.total,
            "disk_free_bytes": disk.free,
            "driver": self._gpus.driver,
            "interpreters": self._interpreters.facts(),
            "isolation": dict(self._isolation.facts()),
            "multi_tenant": self._isolation.multi_tenant,
        }


def total_memory_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def processor_name(cpuinfo: str) -> str:
    """The first model name in the text of /proc/cpuinfo, "" where it says none."""
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == "model name":
            return value.strip()
    return ""


def node_name(hostname: str) -> NodeName:
    """The machine's name as names are written here: lower case, digits and dashes."""
    kept = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in hostname.split(".")[0].lower())
    return NodeName(kept.strip("-")[:60] or "node")


def gpu_flavor(gpus: Gpus) -> FlavorName | None:
    """Model H100 is flavor `h100`. None without GPUs."""
    if not gpus.present:
        return None
    return FlavorName("".join(letter for letter in gpus.present[0].model.lower() if letter.isalnum()) or "gpu")
