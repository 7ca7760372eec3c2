"""When jobs start that wait: looked ahead once for each state of the cloud, beside how far such forecasts were off."""

import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from threading import Event as Flag
from threading import Lock, Thread
from time import monotonic

from xingliu.control.ports import Delta, Store
from xingliu.control.world import World, pending_job
from xingliu.forecast.ahead import look_ahead
from xingliu.forecast.effects import Effects, effects
from xingliu.forecast.history import History, Kind, middle
from xingliu.forecast.model import Basis, Expectation, Outlook, WhatIf
from xingliu.forecast.replay import what_if
from xingliu.kernel.clock import Clock
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.ids import JobId
from xingliu.scheduling.model import PendingJob, Plan, Snapshot
from xingliu.scheduling.policy import decide
from xingliu.workloads.model import FINAL, Job

SMALL = 1_000  # nodes, jobs and leases
STARTS_KEPT = 200
OVER_READ_MAX = 2_000
REST_S = 1.0
RESTS = 9  # looking ahead takes at most a tenth of a core
ENDS = frozenset(f"job.{state.lower().replace('_', '-')}" for state in FINAL)
NOT_YET = Expectation(None, "unknown: nobody has looked ahead since it came; ask again in a moment")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Miss:
    """How far off forecasts were: the middle of `of` starts, between what was first said and what happened."""

    median_us: int
    of: int


@dataclass(frozen=True, slots=True)
class Forecast:
    """`as_of_us`: the instant of the cloud that was looked at. `miss`: of forecasts of this basis, None before a start."""

    expectation: Expectation
    as_of_us: int
    miss: Miss | None = None


class Forecasts:
    """Every method may be called from any thread. `start` keeps a large cloud looked ahead, and what was said of each job."""

    def __init__(self, store: Store, world: World, clock: Clock, *, decide: Callable[[Snapshot], Plan] = decide) -> None:
        self._world, self._clock, self._decide = world, clock, decide
        self._looking, self._ended = Lock(), Flag()
        self._outlook: Outlook | None = None
        self._said: dict[JobId, tuple[int, Basis]] = {}
        self._misses: dict[Basis, deque[int]] = {basis: deque(maxlen=STARTS_KEPT) for basis in Basis}
        with store.read() as unit:
            over = unit.jobs.find({"state": FINAL}, limit=OVER_READ_MAX, newest_first=True)
        self._over = deque(sorted(over, key=lambda job: (job.finished_us or 0, job.id)))
        self._history = History()
        self._thread = Thread(target=self._run, name="forecasts", daemon=True)
        store.subscribe(self._apply)

    def of(self, job: JobId) -> Forecast:
        """When it starts, as of now; in a large cloud that is changing, as of when it was looked at last."""
        if self.are_soon:
            self.look()
        outlook, now_us = self._outlook, self._clock.now_us()
        found = None if outlook is None else outlook.expectations.get(job)
        if outlook is None or found is None:
            return Forecast(NOT_YET, now_us)
        return Forecast(found, now_us if self._is_good(now_us) else outlook.as_of_us, self.miss(found.basis))

    @property
    def are_soon(self) -> bool:
        """Whether looking ahead takes less than anyone minds to wait."""
        return self._world.size <= SMALL

    def what_if(self, jobs: Sequence[PendingJob]) -> list[tuple[WhatIf, Forecast]]:
        """What would happen to each of these jobs, if it alone were submitted: all in the cloud of one instant."""
        now_us = self._clock.now_us()
        with self._looking:
            self._learn()
            snapshot = self._world.snapshot(cycle=0, now_us=now_us)
            answers = [what_if(snapshot, job, self._decide, self._history) for job in jobs]
        found = [(answer, answer.expectation) for answer in answers]
        return [(answer, Forecast(expectation, now_us, self.miss(expectation.basis))) for answer, expectation in found]

    def effects(self, then: Callable[[Snapshot], Snapshot]) -> Effects:
        """What becomes of those who run and wait if the cloud were what `then` makes of it; looked ahead unless it is large."""
        with self._looking:
            self._learn()
            now = self._world.snapshot(cycle=0, now_us=self._clock.now_us())
            return effects(now, then(now), self._decide, self._history, ahead=self.are_soon)

    def miss(self, basis: Basis) -> Miss | None:
        """How far off the last STARTS_KEPT forecasts were, since this control plane began."""
        misses = sorted(self._misses[basis])
        return Miss(middle(misses), len(misses)) if misses else None

    def look(self) -> None:
        """Look ahead, unless nothing has changed since it was done last, and nothing was to happen until now."""
        with self._looking:
            now_us = self._clock.now_us()
            if self._is_good(now_us):
                return
            self._learn()
            self._outlook = look_ahead(self._world.snapshot(cycle=0, now_us=now_us), self._decide, self._history)
            self._remember(self._outlook)

    def _is_good(self, now_us: int) -> bool:
        outlook = self._outlook
        if outlook is None or outlook.version != self._world.version:
            return False
        return outlook.good_until_us is None or now_us < outlook.good_until_us

    def _remember(self, outlook: Outlook) -> None:
        """What was first said of each job that waits."""
        kept = {job: said for job, said in self._said.items() if job in outlook.expectations}
        for job, found in outlook.expectations.items():
            if found.start_us is not None and found.basis is not Basis.NOW:
                kept.setdefault(job, (found.start_us, found.basis))
        self._said = kept

    def _learn(self) -> None:
        while self._over:
            job = self._over.popleft()
            if job.running_us:
                self._history.add(Kind.of(pending_job(job)), job.running_us)

    def _apply(self, delta: Delta) -> None:
        over = {event.subject for event in delta.events if event.type in ENDS}
        self._over.extend(_jobs(delta.put, over))
        for event in delta.events:
            said = self._said.get(JobId(event.subject)) if event.type == "job.placed" else None
            if said is not None:
                self._misses[said[1]].append(abs(event.at_us - said[0]))

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._ended.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        rest_s = REST_S
        while not self._ended.wait(rest_s):
            began_s = monotonic()
            try:
                self.look()
            except XingliuError as error:
                log.warning("forecasts: %s", error)
            except Exception:
                log.exception("looking ahead failed")
            rest_s = max(REST_S, RESTS * (monotonic() - began_s))


def _jobs(values: Iterable[object], ids: set[str]) -> list[Job]:
    return [value for value in values if isinstance(value, Job) and value.id in ids]
