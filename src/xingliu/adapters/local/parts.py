"""Everything that stands on this machine, built once from its home."""

from dataclasses import dataclass
from pathlib import Path

from xingliu.adapters.local.files import LocalFiles
from xingliu.adapters.local.gpus import find_gpus
from xingliu.adapters.local.interpreters import find_interpreters
from xingliu.adapters.local.isolation import Isolation, detect_isolation
from xingliu.adapters.local.launcher import LocalLauncher
from xingliu.adapters.local.machine import LocalMachine
from xingliu.adapters.local.orders import Orders
from xingliu.adapters.local.places import Places
from xingliu.adapters.local.shells import LocalShells
from xingliu.kernel.clock import Clock


@dataclass(frozen=True, slots=True)
class LocalParts:
    """The ports that this machine stands behind."""

    places: Places
    isolation: Isolation
    orders: Orders
    machine: LocalMachine
    launcher: LocalLauncher
    files: LocalFiles
    shells: LocalShells


def open_local(home: Path, clock: Clock, *, isolation: Isolation | None = None) -> LocalParts:
    """Detect what this machine gives, and adopt whatever runs under `home`. Raises LauncherUnavailable.

    `isolation` is for those who want less of it than there is.
    """
    places = Places(home.resolve())
    places.make()
    isolation = isolation or detect_isolation(places)
    interpreters, gpus = find_interpreters(places), find_gpus()
    orders = Orders(places, isolation, interpreters, gpus)
    return LocalParts(
        places=places,
        isolation=isolation,
        orders=orders,
        machine=LocalMachine(places, isolation, interpreters, gpus),
        launcher=LocalLauncher(places, orders, isolation.cgroups, clock),
        files=LocalFiles(places, isolation),
        shells=LocalShells(places, isolation),
    )
