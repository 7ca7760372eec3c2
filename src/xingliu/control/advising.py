"""What would start a waiting job, and what would become of one that is not submitted: looked for when somebody asks."""

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

from xingliu.control.forecasts import Forecast, Forecasts
from xingliu.control.scheduling import Decided, Scheduling
from xingliu.forecast.advice import advise
from xingliu.forecast.change import Advice
from xingliu.forecast.model import Basis, Expectation, WhatIf
from xingliu.forecast.replay import judged
from xingliu.forecast.scene import Scene
from xingliu.forecast.telling import hopeless, like
from xingliu.forecast.virtual import VirtualCloud
from xingliu.kernel.ids import JobId
from xingliu.scheduling.model import PendingJob, Place, Snapshot, StayPending
from xingliu.workloads.model import NEVER_STARTS

LARGE_LASTS_US = 10_000_000
NOT_LOOKED = "unknown: in a cloud this large a job is only looked ahead for once it is submitted; `xl why` says it then"
OF_THE_LINE = ("ahead", "ahead_count")


class Advising:
    """May be called from any thread. One scene serves all who ask between two cycles; a large one, LARGE_LASTS_US long."""

    def __init__(self, scheduling: Scheduling, forecasts: Forecasts) -> None:
        self._scheduling, self._forecasts = scheduling, forecasts
        self._lock = Lock()
        self._scene: tuple[Decided, Scene] | None = None

    def advice(self, job: JobId) -> Advice | None:
        """None where nothing has to change, or no cycle has looked at it yet."""
        decided = self._scheduling.decided
        return None if decided is None else advise(self._scene_of(decided, job), job)

    def what_if(self, jobs: Sequence[PendingJob]) -> list[tuple[WhatIf, Forecast]]:
        """What would happen to each of these jobs, if it alone were submitted."""
        decided = self._scheduling.decided
        if decided is None or self._forecasts.are_soon:
            return self._forecasts.what_if(jobs)
        scene = self._scene_of(decided)
        return [self._submitted(scene, job) for job in jobs]

    def _submitted(self, scene: Scene, job: PendingJob) -> tuple[WhatIf, Forecast]:
        """From the last cycle, and what was last looked ahead for others."""
        decision, as_of_us = scene.submitted(job), scene.snapshot.now_us
        if isinstance(decision, Place):
            expectation = Expectation(as_of_us, "now", Basis.NOW, seats=decision.seats)
            return judged(decision, expectation), Forecast(expectation, as_of_us)
        numbers = {key: value for key, value in decision.wait.numbers.items() if key not in OF_THE_LINE}
        decision = replace(decision, wait=replace(decision.wait, numbers=numbers))
        forecast = self._when(scene, job, decision)
        return judged(decision, forecast.expectation), forecast

    def _when(self, scene: Scene, job: PendingJob, stay: StayPending) -> Forecast:
        if stay.wait.reason in NEVER_STARTS:
            return Forecast(hopeless(stay.wait), scene.snapshot.now_us)
        other = scene.last_like(job)
        if other is None:
            return Forecast(Expectation(None, NOT_LOOKED), scene.snapshot.now_us)
        forecast = self._forecasts.of(other)
        return replace(forecast, expectation=like(other, forecast.expectation))

    def _scene_of(self, decided: Decided, job: JobId | None = None) -> Scene:
        """The next cycle's, if nothing changes meanwhile. `job`: who has to be in it."""
        with self._lock:
            if self._scene is None or not _serves(*self._scene, decided, job):
                decide = self._scheduling.decide
                snapshot = decided.snapshot if _is_still(decided) else _followed(decided)
                plan = decided.plan if snapshot is decided.snapshot else decide(snapshot)
                self._scene = decided, Scene(snapshot, plan, decide)
            return self._scene[1]


def _serves(then: Decided, scene: Scene, now: Decided, job: JobId | None) -> bool:
    if then is now:
        return True
    lasts = scene.is_large and now.snapshot.now_us - then.snapshot.now_us < LARGE_LASTS_US
    return lasts and (job is None or job in scene.waits)


def _is_still(decided: Decided) -> bool:
    """Whether the next cycle would decide the same of the same."""
    claims = {stay.job: stay.claim for stay in decided.plan.stays}
    kept = all(claims.get(job.id) == job.claim for job in decided.snapshot.pending)
    return kept and not decided.plan.placements and not decided.plan.evictions


def _followed(decided: Decided) -> Snapshot:
    cloud = VirtualCloud(decided.snapshot)
    cloud.follow(decided.plan)
    return cloud.snapshot()
