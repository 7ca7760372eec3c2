"""A quiet cloud in which only happens what a story asks for, told an event a line, with what `xl why` says in between."""

import textwrap
from collections.abc import Mapping, Sequence

from xingliu.fleet.model import NodeState
from xingliu.forecast.change import Advice, Effect
from xingliu.forecast.change_words import change_command, change_sentence
from xingliu.kernel.clock import SECOND_US
from xingliu.kernel.events import Event
from xingliu.kernel.ids import JobId, NodeName, UserId
from xingliu.kernel.units import write_instant
from xingliu.sim.cloud import SimCloud
from xingliu.sim.faults import CALM_IN
from xingliu.sim.lives import Life, Way
from xingliu.sim.plane import Plane
from xingliu.training.telling import Standing
from xingliu.workloads.model import FINAL, Job, JobState

WIDTH = 120
LONGEST_S = 7200
GPU = "H100"


class Story:
    """Two tenants, acme whose jobs go to queue research and zeta whose go to batch, and nodes `n1`, `n2` ... of GPUs.

    `idea` says what the story shows. Steps last `step_s` seconds.
    """

    def __init__(
        self, title: str, idea: str, queues: Sequence[Mapping[str, object]], *, nodes: int = 2, gpus: int = 4, step_s: int = 1
    ) -> None:
        self._cloud = SimCloud(4 * CALM_IN, steps=0)
        self._step_us = step_s * SECOND_US
        self._jobs: dict[str, JobId] = {}
        self._apply(queues, nodes, gpus)
        self._told = len(self._cloud.record.events)
        self._began_us = self._plane.clock.now_us()
        self._lines = [title, "=" * len(title), *textwrap.wrap(idea, WIDTH), ""]

    def _apply(self, queues: Sequence[Mapping[str, object]], nodes: int, gpus: int) -> None:
        flavor = {"name": "h100", "gpu": GPU, "emulated": True, "gpus_per_node": gpus, "price": "2.40/gpu-hour"}
        names = [f"n{number}" for number in range(1, nodes + 1)]
        pool = {"name": "gpus", "flavor": "h100", "nodes": names, "share": {"cpu": 8, "memory": "32GB"}}
        lines = [{"name": "default"}, *queues]
        document = {"kind": "cloud", "flavors": [flavor], "pools": [pool], "queues": lines, "default_queue": "default"}
        self._cloud.estate = document
        self._plane.cloud.apply(self._cloud.actors[UserId("admin")], document, preview=False)
        self._cloud.let_pass(SECOND_US)

    @property
    def _plane(self) -> Plane:
        assert self._cloud.plane is not None, "nothing goes wrong here"
        return self._cloud.plane

    # What happens -----------------------------------------------------------------------------------------------------

    def submit(self, who: str, name: str, *ways: Way, gpus: int, nodes: int = 1, **keys: object) -> None:
        """`who` is acme or zeta; the ways are those of its attempts."""
        resources = {"gpu": gpus, "cpu": 1, "memory": "1GB"}
        document = {"kind": "job", "name": name, "run": Life(ways).script(), "nodes": nodes, "resources": resources, **keys}
        job = self._plane.submissions.submit(self._cloud.actors[UserId(f"{who}/mia")], document)
        self._cloud.requests.submitted.add(job.id)
        self._jobs[name] = job.id
        self._tell()

    def drain(self, node: str, reason: str) -> None:
        self._plane.nodes.drain(self._cloud.actors[UserId("admin")], NodeName(node), reason=reason)
        self._tell()

    def resume(self, node: str, reason: str) -> None:
        self._plane.nodes.resume(self._cloud.actors[UserId("admin")], NodeName(node), reason=reason)
        self._tell()

    def passes(self, seconds: int) -> None:
        for _ in range(seconds * SECOND_US // self._step_us):
            self._cloud.let_pass(self._step_us)
            self._tell()

    def until(self, name: str, *states: JobState) -> None:
        """Time passes until that job is in one of these states."""
        for _ in range(LONGEST_S * SECOND_US // self._step_us):
            if self.job(name).state in states:
                return
            self.passes(self._step_us // SECOND_US)
        raise AssertionError(f"{name} is {self.job(name).state}, not {states}")

    def until_it_starts(self, name: str) -> None:
        self.until(name, JobState.RUNNING)

    def until_it_ends(self, name: str) -> None:
        self.until(name, *FINAL)

    def job(self, name: str) -> Job:
        return self._cloud.jobs()[self._jobs[name]]

    def node_of(self, name: str) -> str:
        """That of its last attempt's first rank."""
        job = self.job(name)
        _, lease = self._plane.jobs.attempts(self._cloud.actors[job.user], job.id)[-job.spec.nodes]
        return lease.node

    def instant(self, seconds: int) -> str:
        """So long from now, as a job file says it."""
        return write_instant(self._plane.clock.now_us() + seconds * SECOND_US)

    # What is told -----------------------------------------------------------------------------------------------------

    def why(self, name: str) -> None:
        """What `xl why` says of the job now, but for the expected start, which has tests of its own."""
        job = self.job(name)
        why = self._plane.jobs.why(self._cloud.actors[job.user], job.id)
        said = [] if why.wait is None else [f"{why.wait.reason}: {why.wait.sentence}"]
        if why.position is not None:
            said.append(f"position {why.position.number} of {why.position.of} in queue {why.position.queue}")
        said += [f"ahead: {other.name}, priority {other.spec.priority}" for other in why.ahead]
        said += [] if why.due is None else [why.due.sentence]
        said += [] if why.standing is None else [self._standing(why.standing)]
        said += [] if why.advice is None else [_advice(why.advice, job)]
        lines = textwrap.wrap(f"why {name}?  {self._named(said[0])}", WIDTH - 4)
        lines += [line for part in said[1:] for line in textwrap.wrap(self._named(part), WIDTH - 4)]
        self._lines += ["", *(f"    {line}" for line in lines), ""]

    def _standing(self, standing: Standing) -> str:
        until = "" if standing.latest_us is None else f" Until {self._at(standing.latest_us)} at the latest."
        return f"{standing.sentence}{until}{f' Then {standing.then}.' if standing.then else ''}"

    def checkpoint(self, name: str) -> None:
        """The last one that was seen of the job."""
        job = self.job(name)
        seen = [attempt.saved for attempt, _ in self._plane.jobs.attempts(self._cloud.actors[job.user], job.id) if attempt.saved]
        self._lines.append(f"       {name} has saved: checkpoint {seen[-1].state}, seen at {self._at(seen[-1].seen_us)}")

    @property
    def text(self) -> str:
        return "\n".join(self._lines).replace("\n\n\n", "\n\n").rstrip() + "\n"

    def _tell(self) -> None:
        events = self._cloud.record.events
        for event in events[self._told :]:
            if (line := self._line(event)) is not None:
                told = f"{self._at(event.at_us)}  {line}"
                self._lines += textwrap.wrap(told, WIDTH, subsequent_indent=" " * 7, break_on_hyphens=False)
        self._told = len(events)

    def _at(self, us: int) -> str:
        """Minutes and seconds since the story began."""
        seconds = (us - self._began_us) // SECOND_US
        return f"{seconds // 60:02d}:{seconds % 60:02d}"

    def _line(self, event: Event) -> str | None:
        """None where it is not worth one."""
        if event.type == "node.stepped":
            state = NodeState(str(event.facts["to"]))
            return f"{event.subject} is {state}: {event.cause}" if event.cause else f"{event.subject} is {state}"
        name = next((name for name, job in self._jobs.items() if job == event.subject), event.subject)
        match event.type:
            case "job.submitted":
                return self._submitted(event)
            case "job.placed":
                leases = event.facts["leases"]
                assert isinstance(leases, Sequence), "a placing names its leases"
                return f"{name} starts on {' and '.join(lease['node'] for lease in leases)}, attempt {event.facts['number']}"
            case "job.waiting":
                again = event.facts["reason"] == event.facts["before"]
                return None if again else f"{name} waits: {event.facts['reason']}"
            case "job.stopping":
                return f"{name} is told to stop ({event.facts['why']}): {event.cause}"
            case "job.preempted" | "job.restarting" | "job.failed" | "job.succeeded":
                return f"{name} {_ENDED[event.type]}{f': {self._named(event.cause)}' if event.cause else ''}"
            case _:
                return None

    def _submitted(self, event: Event) -> str:
        job = self._cloud.jobs()[JobId(event.subject)]
        spec, kinds = job.spec, []
        if spec.priority != "normal":
            kinds.append(str(spec.priority))
        if spec.preemptible:
            kinds.append("preemptible")
        gpus = spec.resources.gpu.count if spec.resources.gpu else 0
        asks = f"{gpus} GPU{'' if gpus == 1 else 's'}{f' on each of {spec.nodes} nodes' if spec.nodes > 1 else ''}"
        return f"{event.actor} submits {spec.name} to {job.queue}: {', '.join([asks, *kinds])}"

    def _named(self, sentence: str) -> str:
        """With jobs by name."""
        for name, job in self._jobs.items():
            sentence = sentence.replace(job, name)
        return sentence


def _advice(advice: Advice, job: Job) -> str:
    """As `xl why` says it, with the command where there is one."""
    if advice.change is None:
        return "no single change would start it now"
    whose = "an operator's" if advice.change.kind.by_operator else "its user's"
    then = {Effect.STARTS: "starts", Effect.PREEMPTS: "has others stopped for it"}[advice.effect or Effect.STARTS]
    command = change_command(advice.change, job)
    said = f"cheapest change, {whose}: {change_sentence(advice.change, job)}; then it {then}"
    return f"{said} ({command})" if command else said


_ENDED = {
    "job.preempted": "has stopped and waits again",
    "job.restarting": "is started again",
    "job.failed": "failed",
    "job.succeeded": "succeeded",
}
