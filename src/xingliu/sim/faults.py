"""What goes wrong, as data drawn from the seed, and what is wrong right now, which the stand-ins ask."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from xingliu.control.errors import LauncherUnavailable, StoreUnavailable
from xingliu.kernel.clock import SECOND_US
from xingliu.sim.store import Moment

CALM_IN = 5
"""One seed in so many has no faults at all: there the right end of every job is known exactly."""


class FaultKind(StrEnum):
    LAUNCHER_DOWN = "launcher down"
    LAUNCHER_HALF_DONE = "launcher half done"
    REPORT_LOST = "report lost"
    REPORT_STALE = "report stale"
    REPORT_DUPLICATE = "report duplicate"
    NODE_SILENT = "node silent"
    NODE_CRASH = "node crash"
    NODE_UNHEALTHY = "node unhealthy"
    STORE_DOWN = "store down"
    COMMIT_REFUSED = "commit refused"
    COMMIT_UNKNOWN = "commit unknown"
    DEATH = "death"
    MEDDLING_WRITER = "meddling writer"
    STALE_PLANE = "stale control plane"
    CLOCK_STEP = "clock step"
    INTERRUPTION = "request amid a cycle"


K = FaultKind
LASTING = frozenset(
    {
        K.LAUNCHER_DOWN,
        K.REPORT_LOST,
        K.REPORT_STALE,
        K.REPORT_DUPLICATE,
        K.NODE_SILENT,
        K.NODE_CRASH,
        K.NODE_UNHEALTHY,
        K.STORE_DOWN,
    }
)
CLOCK_STEPS_US = (-3600 * SECOND_US, -5 * SECOND_US, -SECOND_US // 10, SECOND_US // 10, 5 * SECOND_US, 3600 * SECOND_US)


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        step: before which it begins.
        lasts: for how many steps; 0 for what happens once.
        amount: calls until a death or until a launcher gives up; microseconds of a clock step; else a number to choose by.
    """

    kind: FaultKind
    step: int
    lasts: int
    amount: int


class Died(BaseException):
    """The control plane's process died here: nothing of it catches this."""


def draw_faults(dice: Random, steps: int, *, calm: bool) -> tuple[Fault, ...]:
    """About one fault in six steps, so that some meet."""
    if calm:
        return ()
    steps_hit = sorted(dice.randrange(steps) for _ in range(max(1, steps // 6)))
    return tuple(_draw_fault(dice, step) for step in steps_hit)


def _draw_fault(dice: Random, step: int) -> Fault:
    weights = [3 if kind in (K.DEATH, K.INTERRUPTION) else 1 for kind in K]
    kind = dice.choices(list(K), weights)[0]
    lasts = dice.randint(1, 8) if kind in LASTING else 0
    amount = dice.randint(0, 40)
    if kind is K.CLOCK_STEP:
        amount = dice.choice(CLOCK_STEPS_US)
    return Fault(kind, step, lasts, amount)


class Troubles:
    """What is wrong right now.

    Attributes:
        active: kinds that last, each with the step before which it is over.
        seen: how often each kind really made a difference to somebody.
    """

    def __init__(self, faults: Sequence[Fault], *, interrupt: Callable[[], None]) -> None:
        """`interrupt` carries out somebody's wish, as another thread of the same process would."""
        self._faults, self._interrupt = list(faults), interrupt
        self._interrupt_in: int | None = None
        self.active: dict[FaultKind, int] = {}
        self.seen: Counter[FaultKind] = Counter()
        self._death_in: int | None = None
        self._half_after: int | None = None
        self._commit: FaultKind | None = None

    def next(self, step: int) -> list[Fault]:
        """The faults that begin before this step; those that lasted until now are over."""
        self.active = {kind: until for kind, until in self.active.items() if until > step}
        begun = [fault for fault in self._faults if fault.step == step]
        for fault in begun:
            self._begin(fault)
        return begun

    def _begin(self, fault: Fault) -> None:
        if fault.lasts:
            self.active[fault.kind] = max(self.active.get(fault.kind, 0), fault.step + fault.lasts)
        elif fault.kind is K.DEATH:
            self._death_in = fault.amount
        elif fault.kind is K.LAUNCHER_HALF_DONE:
            self._half_after = fault.amount % 4
        elif fault.kind is K.INTERRUPTION:
            self._interrupt_in = fault.amount
        elif fault.kind in (K.COMMIT_REFUSED, K.COMMIT_UNKNOWN):
            self._commit = fault.kind

    def stop(self) -> None:
        """Nothing goes wrong from now on."""
        self._faults, self.active = [], {}
        self._death_in = self._half_after = self._commit = self._interrupt_in = None

    def now(self, kind: FaultKind) -> bool:
        return kind in self.active

    def saw(self, kind: FaultKind) -> None:
        self.seen[kind] += 1

    # Asked by the stand-ins -----------------------------------------------------------------------------------------------

    def call(self) -> None:
        """A step of the control plane's process, which it may not survive."""
        if self._death_in is None:
            return
        self._death_in -= 1
        if self._death_in < 0:
            self._death_in = None
            self.saw(K.DEATH)
            raise Died

    def _may_interrupt(self) -> None:
        if self._interrupt_in is None:
            return
        self._interrupt_in -= 1
        if self._interrupt_in < 0:
            self.between()

    def between(self) -> None:
        """Between a decision and its record, where a request that meets it makes the most trouble."""
        if self._interrupt_in is not None:
            self._interrupt_in = None
            self.saw(K.INTERRUPTION)
            self._interrupt()

    def reach_launcher(self) -> None:
        self.call()
        self._may_interrupt()
        if self.now(K.LAUNCHER_DOWN):
            self.saw(K.LAUNCHER_DOWN)
            raise LauncherUnavailable("it does not answer")

    def ensure_one(self, done: int) -> None:
        """Before each replica that `ensure` looks after; `done` were before it."""
        self.call()
        self._may_interrupt()
        if self._half_after is not None and done >= self._half_after:
            self._half_after = None
            self.saw(K.LAUNCHER_HALF_DONE)
            raise LauncherUnavailable(f"it gave up after {done}")

    def store(self, moment: Moment) -> None:
        """At each moment of a transaction."""
        self.call()
        if moment is Moment.BEGIN and self.now(K.STORE_DOWN):
            self.saw(K.STORE_DOWN)
            raise StoreUnavailable("it does not answer")
        wanted = {Moment.COMMIT: K.COMMIT_REFUSED, Moment.COMMITTED: K.COMMIT_UNKNOWN}.get(moment)
        if wanted is not None and self._commit is wanted:
            self._commit = None
            self.saw(wanted)
            raise StoreUnavailable("the connection broke")
