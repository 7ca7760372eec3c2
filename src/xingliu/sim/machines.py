"""What is really there: nodes that answer or do not, and virtual replicas that live through their script in true time.

Nothing here obeys the record; the invariants hold the record against it.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from random import Random

from xingliu.control.ports import Launch, Stop
from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.ids import JobId, LeaseId, NodeName
from xingliu.sim.clock import Timeline
from xingliu.sim.lives import Mishap, OnStop, Way, read_life
from xingliu.workloads.model import Saved
from xingliu.workloads.records import Phase, ReplicaRecord

SIGKILL, SIGTERM = 9, 15
RENEWED_US = SECOND_US
DYING_US = SECOND_US // 20
NEVER_US = 1 << 62
NOT_STARTED = "It was stopped before it started."


@dataclass(slots=True)
class Replica:
    """One replica as it really is. Instants are true time; None is not yet.

    Attributes:
        by_itself: whether it ended as its script says, or by mishap, and not because something stopped it.
        struck: whether its node crashed under it, which no script says.
        told: its records so far, oldest first.
    """

    lease: LeaseId
    job: JobId
    node: NodeName
    rank: int
    attempt: int
    way: Way
    starts_us: int
    started_us: int | None = None
    ends_us: int = NEVER_US
    end: tuple[int | None, int | None] = (None, None)
    ended_us: int | None = None
    empties_us: int = NEVER_US
    empty_us: int | None = None
    stop: Stop | None = None
    mishap: Mishap = Mishap.NONE
    by_itself: bool = True
    struck: bool = False
    told: list[ReplicaRecord] = field(default_factory=list)

    @property
    def alive(self) -> bool:
        """Whether something of it is left on its node, or may yet start there."""
        return self.empty_us is None


class Machines:
    """All nodes and what runs on them.

    Attributes:
        replicas: every one there ever was.
        silent, unhealthy: nodes that do not answer, and that fail their checks.
        listeners: called when there is something new to observe.
        owner: number of the launcher's handle that may act.
    """

    def __init__(self, timeline: Timeline, dice: Random) -> None:
        self._timeline, self._dice = timeline, dice
        self.replicas: dict[LeaseId, Replica] = {}
        self._living: dict[LeaseId, Replica] = {}
        self.silent: set[NodeName] = set()
        self.unhealthy: set[NodeName] = set()
        self.listeners: list[Callable[[], None]] = []
        self.owner = 0

    def living(self) -> Iterator[Replica]:
        return iter(list(self._living.values()))

    def nodes(self) -> set[NodeName]:
        """Those on which anything ever ran."""
        return {replica.node for replica in self.replicas.values()}

    # What a launcher may do ---------------------------------------------------------------------------------------------

    def start(self, launch: Launch) -> None:
        """Begin a replica; it is up a little later."""
        assert launch.lease not in self.replicas, f"{launch.lease} was started already"
        attempt = int(launch.environment["XL_ATTEMPT"])
        starts_us = self._timeline.true_us + self._dice.randint(0, 2 * SECOND_US)
        way = read_life(launch.script).way(attempt)
        replica = Replica(launch.lease, launch.job, launch.node, launch.rank, attempt, way, starts_us)
        self.replicas[launch.lease] = self._living[launch.lease] = replica
        self._tell(replica)

    def never_start(self, launch: Launch) -> None:
        """It was asked to stop before it began: there is a record, and nothing else."""
        now_us = self._timeline.true_us
        attempt = int(launch.environment["XL_ATTEMPT"])
        way = read_life(launch.script).way(attempt)
        replica = Replica(launch.lease, launch.job, launch.node, launch.rank, attempt, way, NEVER_US)
        replica.ended_us = replica.empty_us = now_us
        replica.by_itself = False
        self.replicas[launch.lease] = replica
        self._tell(replica)

    def stop(self, replica: Replica, stop: Stop) -> None:
        """Signal it, unless it was told the same already."""
        if replica.ended_us is not None or replica.stop == stop:
            return
        replica.stop = stop
        if stop.signal == "SIGKILL":
            self._doom(replica, DYING_US, (None, SIGKILL))
        elif replica.way.on_stop is OnStop.DIES:
            self._doom(replica, DYING_US, (None, SIGTERM))
        elif replica.way.on_stop is OnStop.EXITS:
            self._doom(replica, 6 * DYING_US, (0, None))

    def kill(self, replica: Replica) -> None:
        self.stop(replica, Stop("SIGKILL", 0))

    def _doom(self, replica: Replica, after_us: int, end: tuple[int | None, int | None]) -> None:
        """It ends that way soon, unless it ends by itself before."""
        at_us = self._timeline.true_us + after_us
        if at_us < replica.ends_us:
            replica.ends_us, replica.end, replica.mishap, replica.by_itself = at_us, end, Mishap.NONE, False

    # What befalls replicas and nodes ------------------------------------------------------------------------------------

    def kill_process(self, replica: Replica) -> None:
        """Somebody else kills its process, and its shim sees that."""
        replica.ends_us, replica.end = self._timeline.true_us, (None, SIGKILL)

    def kill_shim(self, replica: Replica) -> None:
        """Its shim dies, and all of the replica with it."""
        replica.ends_us, replica.mishap, replica.struck = self._timeline.true_us, Mishap.SHIM_LOST, True

    def silence(self, node: NodeName, *, crash: bool) -> None:
        """The node no longer answers. After a crash nothing runs on it, but nobody can tell before it is back."""
        self.silent.add(node)
        for replica in self.living():
            if crash and replica.node == node:
                replica.struck = replica.ended_us is None
                self._lose(replica, self._timeline.true_us)
                self._empty(replica, self._timeline.true_us)

    def answer(self, node: NodeName) -> None:
        """It answers again, and tells what was learnt meanwhile."""
        self.silent.discard(node)
        for replica in self.replicas.values():
            if replica.node == node:
                self._tell(replica)

    # Time ---------------------------------------------------------------------------------------------------------------

    def pass_time(self) -> None:
        """Everything that was to happen up to now happens."""
        now_us, wall_us = self._timeline.true_us, self._timeline.wall_us()
        for replica in self.living():
            before = (replica.started_us, replica.ended_us, replica.empty_us)
            self._live(replica, now_us, wall_us)
            if replica.way.saves_every_us or before != (replica.started_us, replica.ended_us, replica.empty_us):
                self._tell(replica)

    def _live(self, replica: Replica, now_us: int, wall_us: int) -> None:
        if replica.started_us is None and replica.ended_us is None:
            self._begin(replica, now_us)
        if replica.stop is not None and wall_us >= replica.stop.kill_at_us and replica.ended_us is None:
            self._doom(replica, 0, (None, SIGKILL))
        if replica.ended_us is None and replica.ends_us <= now_us:
            self._finish(replica)
        if replica.ended_us is not None and replica.empties_us <= now_us:
            self._empty(replica, replica.empties_us)

    def _begin(self, replica: Replica, now_us: int) -> None:
        mine = replica.way.rank == replica.rank
        if replica.stop is not None:
            replica.ended_us, replica.by_itself = now_us, False
            self._empty(replica, now_us)
        elif replica.starts_us > now_us:
            return
        elif mine and replica.way.mishap is Mishap.NOT_LAUNCHED:
            replica.mishap, replica.ended_us = Mishap.NOT_LAUNCHED, replica.starts_us
            self._empty(replica, replica.starts_us)
        else:
            way = replica.way
            replica.started_us, replica.ends_us = replica.starts_us, replica.starts_us + way.work_us
            replica.end = (None, way.signal) if mine and way.signal else (way.exit_code if mine else 0, None)
            replica.mishap = way.mishap if mine else Mishap.NONE

    def _finish(self, replica: Replica) -> None:
        if replica.mishap is Mishap.SHIM_LOST:
            self._lose(replica, replica.ends_us)
        else:
            replica.ended_us = replica.ends_us
        replica.empties_us = replica.ends_us + replica.way.lingers_us

    def _lose(self, replica: Replica, at_us: int) -> None:
        """Nobody saw it end: its end is the last instant at which its shim proved it alive."""
        if replica.ended_us is None:
            proof_us = max(replica.started_us or at_us, at_us - self._dice.randint(0, RENEWED_US))
            replica.ended_us, replica.mishap, replica.end = proof_us, Mishap.SHIM_LOST, (None, None)
            replica.by_itself = True

    def _empty(self, replica: Replica, at_us: int) -> None:
        replica.empty_us = max(at_us, replica.ended_us or 0)
        self._living.pop(replica.lease, None)

    # Records ------------------------------------------------------------------------------------------------------------

    def _tell(self, replica: Replica) -> None:
        """Write its record anew; from a node that does not answer nothing is heard."""
        if replica.node not in self.silent:
            told = replica.told[-1] if replica.told else None
            record = self._record(replica, told)
            if record != told:
                replica.told.append(record)
                for listener in self.listeners:
                    listener()

    def _record(self, replica: Replica, told: ReplicaRecord | None) -> ReplicaRecord:
        exit_code, signal = replica.end if replica.ended_us is not None else (None, None)
        return ReplicaRecord(
            lease=replica.lease,
            phase=_phase(replica),
            started_us=self._stamp(told.started_us if told else None, replica.started_us),
            ended_us=self._stamp(told.ended_us if told else None, replica.ended_us),
            empty_us=self._stamp(told.empty_us if told else None, replica.empty_us),
            exit_code=exit_code,
            signal=signal,
            stopped=not replica.by_itself,
            saved=self._saved(replica),
            message=replica.mishap.value or ("" if replica.started_us or not replica.ended_us else NOT_STARTED),
        )

    def _saved(self, replica: Replica) -> Saved | None:
        """The last checkpoint it wrote, as its shim saw it."""
        every_us, until_us = replica.way.saves_every_us, replica.ended_us or self._timeline.true_us
        count = (until_us - replica.started_us) // every_us if every_us and replica.started_us is not None else 0
        if count < 1 or replica.started_us is None:
            return None
        return Saved("checkpoints", str(count), self._timeline.wall_us(replica.started_us + count * every_us))

    def _stamp(self, told_us: int | None, true_us: int | None) -> int | None:
        """What the node's clock showed when it was written down; what is written stays."""
        if told_us is not None or true_us is None:
            return told_us
        return self._timeline.wall_us(true_us)


def _phase(replica: Replica) -> Phase:
    if replica.ended_us is None:
        return Phase.STARTING if replica.started_us is None else Phase.RUNNING
    if replica.mishap is Mishap.SHIM_LOST:
        return Phase.LOST
    return Phase.LAUNCH_FAILED if replica.started_us is None else Phase.ENDED
