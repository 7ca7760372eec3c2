"""The whole cloud in one process, from a seed."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from xingliu.control.actors import new_credential
from xingliu.control.errors import NotInControl
from xingliu.control.ports import Launcher, Store
from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.ids import JobId, UserId
from xingliu.scheduling.model import Plan
from xingliu.scheduling.policy import decide
from xingliu.sim.accidents import Accidents
from xingliu.sim.clock import SimClock, Timeline
from xingliu.sim.dice import Dice
from xingliu.sim.estate import SimMachine, draw_estate, has_gpus, settle_in
from xingliu.sim.faults import CALM_IN, Died, Troubles, draw_faults
from xingliu.sim.ids import SimIds
from xingliu.sim.invariants import Invariants
from xingliu.sim.launcher import SimLauncher
from xingliu.sim.machines import Machines
from xingliu.sim.people import MEDDLESOME, SUBMIT_ONLY, WEIGHTS, People
from xingliu.sim.plane import Decide, Plane
from xingliu.sim.requests import Requests
from xingliu.sim.store import MemoryStore, Moment, Record
from xingliu.tenancy.model import Actor
from xingliu.workloads.model import LIVE, NEVER_STARTS, Job, PendingReason

STEPS = 50
DRAIN_STEPS_MAX = 1500
LONGEST_STEP_US = 3 * SECOND_US
STUCK = NEVER_STARTS | {PendingReason.DEPENDENCY_WAITING}


@dataclass(frozen=True, slots=True)
class Parts:
    """What each new control plane is built of; tests put broken ones in."""

    make_store: Callable[[Record, Callable[[Moment], None]], Store] = MemoryStore
    make_launcher: Callable[[Machines, Troubles, Random], Launcher] = SimLauncher
    decide: Decide = decide


WHOLE = Parts()


def quiet(_line: str) -> None:
    """Nobody listens."""


class SimCloud:
    """One simulated cloud. `step` lets a while pass; `drain` ends all faults and lets every job end.

    Attributes:
        plane: the control plane that runs now; None while it cannot even start.
        calm: no faults, and nobody does anything but submit.
        clean, clean_steps: whether the last step's cycle met no trouble, and how many in a row did not.
        plan: of the last turn; None where there was none, or it was dropped.
        processes: how many processes of the control plane there were.
        stale_plans: how many plans were dropped whole because the world had changed.
    """

    def __init__(
        self,
        seed: int,
        *,
        steps: int = STEPS,
        tell: Callable[[str], None] = quiet,
        parts: Parts = WHOLE,
    ) -> None:
        self.seed, self.steps = seed, steps
        self._tell, self._parts = tell, parts
        self.dice = Dice(seed)
        self.calm = seed % CALM_IN == 0
        self.timeline = Timeline()
        self.machines = Machines(self.timeline, self.dice.of("machines"))
        faults = draw_faults(self.dice.of("faults"), steps, calm=self.calm)
        self.troubles = Troubles(faults, interrupt=self._interrupt)
        self.record = Record()
        self._ids = SimIds(self.dice.of("ids"))
        self._credential = new_credential(self._ids)
        self.step_number = self.processes = self.stale_plans = self.clean_steps = self._told = 0
        self.clean = False
        self.plan: Plan | None = None
        self.plane: Plane | None = None
        self.restart()
        self.estate = draw_estate(self.dice.of("estate"), self.dice.of("orders"))
        assert self.plane is not None, "nothing goes wrong before the first step"
        self.actors: dict[UserId, Actor] = settle_in(self.plane, self.estate)
        gpus = has_gpus(self.estate)
        self.people: People = People(self.dice.of, SUBMIT_ONLY if self.calm else WEIGHTS, gpus=gpus)
        interrupting = Dice(f"{seed}/interrupting")
        self._interrupters: People = People(interrupting.of, MEDDLESOME, gpus=gpus)
        self._amid_cycle: bool = False
        self.requests: Requests = Requests(self)
        self.accidents: Accidents = Accidents(self)
        self.invariants: Invariants = Invariants(self)

    # Processes ----------------------------------------------------------------------------------------------------------

    def new_plane(self) -> Plane:
        """One more process over the same record and machines; it takes over. May itself meet trouble."""
        self.processes += 1
        store = self._parts.make_store(self.record, self.troubles.store)
        launcher = self._parts.make_launcher(self.machines, self.troubles, self.dice.of("launcher"))
        last_us = self.record.events[-1].at_us if self.record.events else 0
        clock = SimClock(self.timeline, not_before_us=last_us)
        owner = f"plane-{self.processes}"
        return Plane(
            store,
            launcher,
            clock,
            self._ids,
            SimMachine(),
            owner=owner,
            credential=self._credential,
            decide=self._parts.decide,
        )

    def restart(self) -> None:
        """What a supervisor does: start a new process, and again when that dies at once."""
        while True:
            try:
                self.plane = self.new_plane()
            except Died:
                self.say("!! the control plane died while starting")
            except XingliuError as error:
                self.plane = None
                self.say(f"!! the control plane cannot start: {error}")
                return
            else:
                return

    def guarded(self, act: Callable[[Plane], object]) -> bool:
        """Let the control plane do something; whether it did without trouble. One that dies or is replaced is restarted."""
        if self._amid_cycle:
            return self._tried(act)
        if self.plane is None:
            self.restart()
        if self.plane is None:
            return False
        try:
            act(self.plane)
        except Died:
            self.say("!! the control plane died")
        except NotInControl as error:
            self.say(f"!! {self.plane.owner}: {error}")
        except XingliuError as error:
            self.say(f"   refused: {error}")
            return False
        else:
            return True
        self.restart()
        return False

    def _tried(self, act: Callable[[Plane], object]) -> bool:
        """Amid a cycle a death takes that cycle with it, and whoever was replaced learns it there."""
        assert self.plane is not None, "a cycle is under way"
        try:
            act(self.plane)
        except XingliuError as error:
            self.say(f"   refused: {error}")
            return False
        return True

    def _interrupt(self) -> None:
        """Somebody is served while a cycle is under way."""
        if not self._amid_cycle and self.plane is not None:
            self._amid_cycle = True
            try:
                self.requests.carry_out(self._interrupters.wish())
            finally:
                self._amid_cycle = False

    # Time ---------------------------------------------------------------------------------------------------------------

    def step(self) -> None:
        """A while passes, things go wrong, people wish, the control plane takes a turn, and everything is checked."""
        self.step_number += 1
        self._pass_by(self.dice.of("time").randint(1, LONGEST_STEP_US))
        self.accidents.happen()
        for wish in self.people.wishes():
            self.requests.carry_out(wish)
        self._turn()

    def _pass_by(self, us: int) -> None:
        self.timeline.pass_by(us)
        self.machines.pass_time()

    def let_pass(self, us: int) -> None:
        """A while in which nobody wishes and nothing goes wrong."""
        self.step_number += 1
        self._pass_by(us)
        self._turn()

    def _turn(self) -> None:
        seen = sum(self.troubles.seen.values())
        plans: list[Plan | None] = []
        done = self.guarded(lambda plane: plans.append(plane.turn()))
        self.stale_plans += plans == [None]
        in_control = self.plane is not None and self.plane.owner == self.record.owner
        self.plan = plans[0] if plans else None
        self.clean = done and in_control and plans != [None] and seen == sum(self.troubles.seen.values())
        self.clean_steps = self.clean_steps + 1 if self.clean else 0
        self._tell_events()
        self.invariants.check()

    def drain(self) -> None:
        """No more faults and no more wishes: all that can run ends; what can never run is stopped."""
        self.troubles.stop()
        self.accidents.repair()
        self.requests.let_go()
        for _ in range(DRAIN_STEPS_MAX):
            self.let_pass(LONGEST_STEP_US)
            left = self.jobs_left()
            if not left:
                break
            reasons = {job.id: job.wait.reason if job.wait is not None else None for job in left}
            if set(reasons.values()) <= STUCK:
                for job in left:
                    if reasons[job.id] is not PendingReason.DEPENDENCY_WAITING:
                        self.requests.stop(job.id)
        self.invariants.check_end()

    def run(self) -> None:
        for _ in range(self.steps):
            self.step()
        self.drain()

    # Views --------------------------------------------------------------------------------------------------------------

    def jobs(self) -> dict[JobId, Job]:
        with MemoryStore(self.record).read() as unit:
            return {job.id: job for job in unit.jobs.find()}

    def jobs_left(self) -> list[Job]:
        with MemoryStore(self.record).read() as unit:
            return unit.jobs.find({"state": LIVE})

    def say(self, line: str) -> None:
        self._tell(f"{self.timeline.true_us / SECOND_US:10.3f}  {line}")

    def _tell_events(self) -> None:
        for event in self.record.events[self._told :]:
            facts = ", ".join(f"{key} {value}" for key, value in event.facts.items() if value not in (None, "", {}))
            self.say(f"#{event.seq} {event.type} {event.subject} by {event.actor}: {event.cause or facts}"[:160])
        self._told = len(self.record.events)
