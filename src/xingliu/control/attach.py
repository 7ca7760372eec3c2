"""A shell in a running replica's sandbox."""

from collections.abc import Sequence

from xingliu.control.errors import NotRunning, TooMany
from xingliu.control.logs import replica_attempt
from xingliu.control.ports import Shells, Store, Terminal
from xingliu.control.scope import Scope
from xingliu.kernel.clock import Clock
from xingliu.kernel.ids import lease_id
from xingliu.tenancy.model import Actor
from xingliu.tenancy.roles import Verb
from xingliu.training.gang import event
from xingliu.workloads.model import JobState

COMMAND_WORDS_MAX = 1_000


class Attach:
    def __init__(self, store: Store, clock: Clock, shells: Shells) -> None:
        self._store = store
        self._clock = clock
        self._shells = shells

    def open(self, actor: Actor, name: str, *, rank: int, command: Sequence[str]) -> Terminal:
        """Start `command` (empty: a shell) beside the replica of that rank. Raises Unknown, Forbidden, NotRunning, TooMany."""
        if len(command) > COMMAND_WORDS_MAX:
            raise TooMany("words in this command", COMMAND_WORDS_MAX, "Put them into a script.")
        with self._store.read() as unit:
            scope = Scope(unit, actor)
            job = scope.job(name)
            scope.require(Verb.JOB_ATTACH, project=job.project)
            if job.state is not JobState.RUNNING:
                raise NotRunning(f"job {job.id}")
            attempt = replica_attempt(unit, job, None, rank)
            uid = scope.project(job.project).uid
        terminal = self._shells.open(lease_id(attempt.id), uid=uid, command=tuple(command))
        with self._store.write() as unit:
            unit.events.append(event("job.attached", job, self._clock.now_us(), actor=actor.user, facts={"rank": rank}))
        return terminal
