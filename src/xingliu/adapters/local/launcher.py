"""The launcher of all nodes that are this machine."""

import contextlib
import os
import shutil
import socket
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from xingliu.adapters.local.cgroups import CgroupTree, remove_cgroups
from xingliu.adapters.local.locks import is_held
from xingliu.adapters.local.orders import Orders
from xingliu.adapters.local.places import Places
from xingliu.adapters.local.released import Released
from xingliu.adapters.local.remains import Remains, is_over
from xingliu.adapters.local.spawning import Spawning
from xingliu.control.errors import LauncherUnavailable
from xingliu.control.ports import DesiredReplica, NodeHealth, ReplicaRecord, Stop
from xingliu.fleet.model import Node
from xingliu.kernel.clock import Clock
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.ids import LeaseId, NodeName
from xingliu.kernel.units import show_bytes

FREE_BYTES_MIN = 10**9
FREE_PERCENT_MIN = 2
_AT_ONCE = Stop("SIGKILL", 0)


class LocalLauncher:
    """Starts shims through the spawner and reads what they record. What it knows it can read again from the disk."""

    def __init__(self, places: Places, orders: Orders, cgroups: CgroupTree, clock: Clock) -> None:
        self._places = places
        self._orders = orders
        self._cgroups = cgroups
        self._clock = clock
        places.make()
        self._spawning = Spawning(places)
        self._released = Released(places.ended)
        self._lock = threading.Lock()
        self._known = {LeaseId(folder.name): self._remains(LeaseId(folder.name)) for folder in places.replicas.iterdir()}
        self._wakes: list[Callable[[], None]] = []
        self._bell = _listen(places.run)
        threading.Thread(target=self._pass_on, name="replica-changes", daemon=True).start()

    def _remains(self, lease: LeaseId) -> Remains:
        return Remains(lease, self._places.replica(lease), f"XL_REPLICA={self._places.cgroup}/{lease}")

    def warm_up(self) -> None:
        """Have the spawner ready before the first replica asks for it; what keeps it from starting is said then."""
        with self._lock, contextlib.suppress(LauncherUnavailable):
            self._spawning.ready()

    def ensure(self, desired: Sequence[DesiredReplica]) -> None:
        with self._lock:
            named = {replica.lease for replica in desired}
            for lease in [lease for lease in self._known if lease not in named]:
                self._let_go(lease)
            self._forget_stillborn()
            new = [replica for replica in desired if replica.lease not in self._known]
            for replica in desired:
                if replica.stop is not None and replica.lease in self._known:
                    self._known[replica.lease].order_stop(replica.stop)
            self._start([replica for replica in new if not self._places.released(replica.lease).exists()])

    def _forget_stillborn(self) -> None:
        """A shim that died before its first record started nothing: its replica may be started anew."""
        now = self._clock.now_us()
        for lease, remains in list(self._known.items()):
            if remains.record is not None or remains.look(now) is not None or is_held(remains.folder / "lock"):
                continue
            if remains.look(now) is None:  # looked at again, for it may have written its record and ended between the two
                shutil.rmtree(remains.folder, ignore_errors=True)
                del self._known[lease]

    def _start(self, wanted: Sequence[DesiredReplica]) -> None:
        """Those that cannot be started get a record that says why, so that it is never tried again."""
        orders: dict[LeaseId, bytes] = {}
        for replica in wanted:
            try:
                if replica.stop is not None:
                    self._refuse(replica.lease, "It was stopped before it started.")
                elif shortage := self._disk_shortage():
                    self._refuse(replica.lease, shortage)
                else:
                    orders[replica.lease] = self._orders.write(replica.launch)
            except XingliuError as error:
                self._refuse(replica.lease, str(error))
        if orders:
            self._spawning.send(orders)
        for lease in orders:
            self._known[lease] = self._remains(lease)

    def _refuse(self, lease: LeaseId, message: str) -> None:
        self._known[lease] = self._remains(lease)
        self._known[lease].refuse(message, self._clock.now_us())

    def _let_go(self, lease: LeaseId) -> None:
        """Nobody names it any more: kill it if it runs; keep its record and log if it is over."""
        remains = self._known[lease]
        record = remains.look(self._clock.now_us())
        if record is not None and not is_over(record):
            remains.order_stop(_AT_ONCE)
        elif not is_held(remains.folder / "lock"):
            self._released.take(remains.folder)
            del self._known[lease]

    def observe(self, leases: Sequence[LeaseId]) -> Sequence[ReplicaRecord]:
        with self._lock:
            now = self._clock.now_us()
            records = []
            for lease in leases:
                remains = self._known.get(lease)
                record = remains.look(now) if remains is not None else self._look_among_released(lease, now)
                if record is not None:
                    records.append(record)
            return records

    def _look_among_released(self, lease: LeaseId, now_us: int) -> ReplicaRecord | None:
        return Remains(lease, self._places.released(lease), "").look(now_us)

    def health(self, nodes: Sequence[Node]) -> Sequence[NodeHealth]:
        reason = self._disk_shortage()
        return [NodeHealth(node.name, reason) for node in nodes]

    def _disk_shortage(self) -> str:
        """Why nothing new should start, empty when there is room."""
        usage = shutil.disk_usage(self._places.home)
        floor = min(FREE_BYTES_MIN, usage.total * FREE_PERCENT_MIN // 100)
        if usage.free >= floor:
            return ""
        return f"The node's disk is full: {show_bytes(usage.free)} free, {show_bytes(floor)} needed."

    def address(self, node: NodeName) -> tuple[str, int]:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        return "127.0.0.1", port

    def subscribe(self, wake: Callable[[], None]) -> None:
        self._wakes.append(wake)

    def _pass_on(self) -> None:
        """Shims ring at each change of a record; an empty message is `close`."""
        while self._bell.recv(512):
            for wake in self._wakes:
                wake()
        self._bell.close()

    def close(self) -> None:
        self._wakes.clear()
        self._spawning.end()
        remove_cgroups([str(root) for root in self._cgroups.roots.values()])  # which fails where something runs, as it should
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as hand:
            hand.sendto(b"", self._bell.getsockname())


def _listen(run: Path) -> socket.socket:
    """The socket that shims ring at; a dead launcher's is replaced."""
    bell = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    folder = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
    try:
        with contextlib.suppress(FileNotFoundError):
            (run / "notify.sock").unlink()
        bell.bind(f"/proc/self/fd/{folder}/notify.sock")  # by number: a socket's path has 107 bytes at most
    finally:
        os.close(folder)
    return bell
