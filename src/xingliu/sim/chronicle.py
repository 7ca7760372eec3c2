"""The event log read as a story, and what no story may tell."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from xingliu.fleet.model import NodeState
from xingliu.kernel.events import CLOUD, Event
from xingliu.kernel.ids import JobId
from xingliu.workloads.model import FINAL, Job, JobState

STOPPED = FINAL | {JobState.STOPPING}


class Chronicle:
    """What the events so far amount to.

    Attributes:
        seq: number of the last event that was read.
        held: jobs that somebody holds.
        doomed: jobs that somebody asked to end for good while they ran.
    """

    def __init__(self) -> None:
        self.seq = 0
        self.held: set[str] = set()
        self.doomed: set[str] = set()
        self._nodes: dict[str, str] = {}

    def read(self, events: Iterable[Event]) -> Iterator[str]:
        """What is wrong with them, in order."""
        for event in events:
            if event.seq != self.seq + 1:
                yield f"event {event.seq} follows {self.seq}"
            self.seq = event.seq
            yield from self._read(event)

    def _read(self, event: Event) -> Iterator[str]:
        match event.type:
            case "node.stepped":
                self._nodes[event.subject] = str(event.facts["to"])
            case "job.held":
                self.held.add(event.subject)
            case "job.released":
                self.held.discard(event.subject)
            case "job.stopping" if event.actor != CLOUD:
                self.doomed.add(event.subject)
            case "job.placed":
                yield from self._check_placing(event)
            case _:
                pass

    def _check_placing(self, event: Event) -> Iterator[str]:
        if event.subject in self.held:
            yield f"{event.subject} was placed while it was held"
        if event.subject in self.doomed:
            yield f"{event.subject} was placed after somebody stopped it"
        leases = event.facts["leases"]
        assert isinstance(leases, Sequence), "a placing names its leases"
        for lease in leases:
            node = lease["node"]
            if self._nodes[node] != NodeState.READY:
                yield f"{event.subject} was placed on {node}, which is {self._nodes[node]}"

    def objections(self, jobs: Mapping[JobId, Job]) -> Iterator[str]:
        """Requests that were granted and then forgotten."""
        for job in jobs.values():
            if job.held != (job.id in self.held):
                yield f"{job.id} is {'' if job.held else 'not '}held, against what its events say"
            if job.id in self.doomed and job.state not in STOPPED:
                yield f"{job.id} is {job.state} though somebody stopped it"
