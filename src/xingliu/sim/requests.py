"""People's wishes carried out, and what they asked for remembered, for the oracle."""

from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from xingliu.control.bootstrap import ADMIN
from xingliu.control.bulk import Selector
from xingliu.fleet.model import NodeState
from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.ids import JobId, UserId, element_id
from xingliu.kernel.units import write_instant
from xingliu.sim.estate import TENANTS, draw_queues, has_gpus, with_orders
from xingliu.sim.people import Wish
from xingliu.sim.plane import Plane
from xingliu.sim.store import MemoryStore
from xingliu.tenancy.model import Actor
from xingliu.training.asking import Ask
from xingliu.workloads.model import Job, JobState
from xingliu.workloads.schedules import Schedule

if TYPE_CHECKING:
    from xingliu.sim.cloud import SimCloud


class Requests:
    """
    Attributes:
        submitted: jobs that the cloud said it has.
        asked: what was asked of each job, whether or not it was granted: stop, hold.
        forgetful: tenants that deleted their secret at some time.
    """

    def __init__(self, cloud: "SimCloud") -> None:
        self._cloud = cloud
        self._dice, self._orders, self._deadlines = (
            cloud.dice.of(purpose) for purpose in ("queues", "later orders", "deadlines")
        )
        self.submitted: set[JobId] = set()
        self.asked: dict[JobId, set[str]] = defaultdict(set)
        self.forgetful: set[str] = set()

    def carry_out(self, wish: Wish) -> None:
        {
            "submit": self._submit,
            "stop": self._job_verb,
            "hold": self._job_verb,
            "release": self._job_verb,
            "drain": self._node_verb,
            "resume": self._node_verb,
            "apply": self._apply,
            "forget": self._secret_verb,
            "remember": self._secret_verb,
            "hold queue": self._queue_verb,
            "release queue": self._queue_verb,
            "stop many": self._many,
            "hold many": self._many,
            "release many": self._many,
            "stop array": self._array_verb,
            "hold array": self._array_verb,
            "release array": self._array_verb,
            "schedule": self._schedule,
            "stop schedule": self._schedule_verb,
            "hold schedule": self._schedule_verb,
            "release schedule": self._schedule_verb,
        }[wish.verb](wish)

    def stop(self, job: JobId) -> None:
        """An operator stops it."""
        self.asked[job].add("stop")
        self._cloud.guarded(lambda plane: plane.jobs.stop(self._boss, job))

    @property
    def _boss(self) -> Actor:
        return self._cloud.actors[ADMIN]

    def _tenant(self, wish: Wish) -> str:
        return TENANTS[int(wish.chance * len(TENANTS))]

    def _member(self, tenant: str) -> Actor:
        return self._cloud.actors[UserId(f"{tenant}/mia")]

    def _submit(self, wish: Wish) -> None:
        actor = self._member(self._tenant(wish))
        document = wish.document
        assert document is not None, "submissions carry their job file"

        due_s = self._deadlines.choice((None, 5, 60))

        def submit(plane: Plane) -> None:
            due = {} if due_s is None else {"deadline": write_instant(plane.clock.now_us() + due_s * SECOND_US)}
            job = plane.submissions.submit(actor, {**document, **due})
            array = job.array
            self.submitted |= {job.id} if array is None else {element_id(array.id, n, digits=1) for n in range(array.size)}

        self._cloud.guarded(submit)

    def _job_verb(self, wish: Wish) -> None:
        left = self._cloud.jobs_left()
        if left:
            job = left[int(wish.chance * len(left))]
            self.asked[job.id].add(wish.verb)
            actor = self._cloud.actors[job.user]
            verbs: dict[str, Callable[[Plane], object]] = {
                "stop": lambda plane: plane.jobs.stop(actor, job.id),
                "hold": lambda plane: plane.jobs.hold(actor, job.id),
                "release": lambda plane: plane.jobs.release(actor, job.id),
            }
            self._cloud.guarded(verbs[wish.verb])

    def _array_verb(self, wish: Wish) -> None:
        """For all elements of an array at once."""
        left = [job for job in self._cloud.jobs_left() if job.array is not None]
        if left:
            job, verb = left[int(wish.chance * len(left))], wish.verb.partition(" ")[0]
            array, actor = job.array_id, self._cloud.actors[job.user]
            assert array is not None, "only elements were looked at"
            for element in (each for each in left if each.array_id == array):
                self.asked[element.id].add(verb)
            verbs: dict[str, Callable[[Plane], object]] = {
                "stop": lambda plane: plane.arrays.stop(actor, array),
                "hold": lambda plane: plane.arrays.hold(actor, array),
                "release": lambda plane: plane.arrays.release(actor, array),
            }
            self._cloud.guarded(verbs[verb])

    def _schedule(self, wish: Wish) -> None:
        actor, document = self._member(self._tenant(wish)), wish.document
        assert document is not None, "schedules carry their job file"
        self._cloud.guarded(lambda plane: plane.schedules.create(actor, document))

    def _schedule_verb(self, wish: Wish) -> None:
        schedules = self._schedules()
        if schedules:
            schedule, verb = schedules[int(wish.chance * len(schedules))], wish.verb.partition(" ")[0]
            actor = self._cloud.actors[schedule.user]
            verbs: dict[str, Callable[[Plane], object]] = {
                "stop": lambda plane: plane.schedules.stop(actor, schedule.id),
                "hold": lambda plane: plane.schedules.hold(actor, schedule.id),
                "release": lambda plane: plane.schedules.release(actor, schedule.id),
            }
            self._cloud.guarded(verbs[verb])

    def _schedules(self) -> list[Schedule]:
        with MemoryStore(self._cloud.record).read() as unit:
            return unit.schedules.find()

    def _many(self, wish: Wish) -> None:
        """A member or the admin, for all jobs of a queue or in a state; every one that is there may be reached."""
        ask = Ask(wish.verb.partition(" ")[0])
        actors = (self._boss, *(self._member(tenant) for tenant in TENANTS))
        actor = actors[int(wish.chance * 100) % len(actors)]
        selectors = (Selector(queue="research"), Selector(state=JobState.PENDING), Selector(state=JobState.RUNNING))
        selector = selectors[int(wish.chance * 1000) % len(selectors)]
        for job in self._cloud.jobs_left():
            self.asked[job.id].add(ask.value)
        self._cloud.guarded(lambda plane: self._all_of(plane, actor, ask, selector))

    def _all_of(self, plane: Plane, actor: Actor, ask: Ask, selector: Selector) -> None:
        """Part after part, as a client does."""
        part = plane.bulk.carry_out(actor, ask, selector)
        while part.next is not None:
            part = plane.bulk.carry_out(actor, ask, selector, after=part.next)

    def _node_verb(self, wish: Wish) -> None:
        with MemoryStore(self._cloud.record).read() as unit:
            nodes = [node.name for node in unit.nodes.find() if node.state is not NodeState.RETIRED]
        name = nodes[int(wish.chance * len(nodes))]
        if wish.verb == "drain":
            self._cloud.guarded(lambda plane: plane.nodes.drain(self._boss, name, reason="new fan"))
        else:
            self._cloud.guarded(lambda plane: plane.nodes.resume(self._boss, name, reason="fan replaced"))

    def _apply(self, _wish: Wish) -> None:
        """The operator file with other quotas, weights and orders."""
        queues = with_orders(draw_queues(self._dice, gpus=has_gpus(self._cloud.estate)), self._orders)
        estate = self._cloud.estate = {**self._cloud.estate, "queues": queues}
        self._cloud.guarded(lambda plane: plane.cloud.apply(self._boss, estate, preview=False))

    def _secret_verb(self, wish: Wish) -> None:
        tenant = self._tenant(wish)
        actor, project = self._member(tenant), f"{tenant}/lab"
        if wish.verb == "forget":
            self.forgetful.add(tenant)
            self._cloud.guarded(lambda plane: plane.secrets.delete(actor, project, "TOKEN"))
        else:
            self._cloud.guarded(lambda plane: plane.secrets.put(actor, project, "TOKEN", "hunter3"))

    def _queue_verb(self, wish: Wish) -> None:
        with MemoryStore(self._cloud.record).read() as unit:
            names = [queue.name for queue in unit.queues.find()]
        name = names[int(wish.chance * len(names))]
        if wish.verb == "hold queue":
            self._cloud.guarded(lambda plane: plane.holds.hold(self._boss, name, reason="quotas change"))
        else:
            self._cloud.guarded(lambda plane: plane.holds.release(self._boss, name))

    def let_go(self) -> None:
        """Nothing is held any more or submitted again, every node may be used, and the secrets are there."""
        for schedule in self._schedules():
            self._insist(partial(self._stop_schedule, schedule=schedule))
        for job in self._cloud.jobs_left():
            self._insist(partial(self._release, job=job))
        for tenant in TENANTS:
            self._insist(partial(self._remember, tenant=tenant))
        for queue in self._held_queues():
            self._insist(partial(self._release_queue, queue=queue))
        for node in self._out():
            self._insist(partial(self._resume, node=node))

    def _release(self, plane: Plane, job: Job) -> None:
        plane.jobs.release(self._cloud.actors[job.user], job.id)

    def _stop_schedule(self, plane: Plane, schedule: Schedule) -> None:
        plane.schedules.stop(self._cloud.actors[schedule.user], schedule.id)

    def _release_queue(self, plane: Plane, queue: str) -> None:
        plane.holds.release(self._boss, queue)

    def _held_queues(self) -> list[str]:
        with MemoryStore(self._cloud.record).read() as unit:
            return [queue.name for queue in unit.queues.find() if queue.held]

    def _remember(self, plane: Plane, tenant: str) -> None:
        plane.secrets.put(self._member(tenant), f"{tenant}/lab", "TOKEN", "hunter4")

    def _resume(self, plane: Plane, node: str) -> None:
        plane.nodes.resume(self._boss, node, reason="all is well")

    def _out(self) -> list[str]:
        states = frozenset({NodeState.DRAINING, NodeState.DRAINED})
        with MemoryStore(self._cloud.record).read() as unit:
            return [node.name for node in unit.nodes.find({"state": states})]

    def _insist(self, act: Callable[[Plane], object]) -> None:
        """Nothing goes wrong any more, but the process may first have to learn that another took over."""
        done = any(self._cloud.guarded(act) for _ in range(3))
        assert done, f"refused three times: {act}"
