"""What would start a waiting job, by the last cycle: looked for when somebody asks."""

from threading import Lock

from xingliu.control.scheduling import Decided, Scheduling
from xingliu.forecast.advice import advise
from xingliu.forecast.change import Advice
from xingliu.forecast.scene import Scene
from xingliu.forecast.virtual import VirtualCloud
from xingliu.kernel.ids import JobId
from xingliu.scheduling.model import Snapshot


class Advising:
    """May be called from any thread. One scene serves all who ask between two cycles."""

    def __init__(self, scheduling: Scheduling) -> None:
        self._scheduling = scheduling
        self._lock = Lock()
        self._scene: tuple[Decided, Scene] | None = None

    def advice(self, job: JobId) -> Advice | None:
        """None where nothing has to change, or no cycle has looked at it yet."""
        decided = self._scheduling.decided
        return None if decided is None else advise(self._scene_of(decided), job)

    def _scene_of(self, decided: Decided) -> Scene:
        """The next cycle's, if nothing changes meanwhile."""
        with self._lock:
            if self._scene is None or self._scene[0] is not decided:
                decide = self._scheduling.decide
                snapshot = decided.snapshot if _is_still(decided) else _followed(decided)
                plan = decided.plan if snapshot is decided.snapshot else decide(snapshot)
                self._scene = decided, Scene(snapshot, plan, decide)
            return self._scene[1]


def _is_still(decided: Decided) -> bool:
    """Whether the next cycle would decide the same of the same."""
    claims = {stay.job: stay.claim for stay in decided.plan.stays}
    kept = all(claims.get(job.id) == job.claim for job in decided.snapshot.pending)
    return kept and not decided.plan.placements and not decided.plan.evictions


def _followed(decided: Decided) -> Snapshot:
    cloud = VirtualCloud(decided.snapshot)
    cloud.follow(decided.plan)
    return cloud.snapshot()
