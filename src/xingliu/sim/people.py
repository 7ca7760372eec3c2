"""Those who use the cloud: random wishes, each carried out through the same control calls as an API would."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from xingliu.sim.estate import GPU, QUEUES
from xingliu.sim.lives import Life, draw_life

RESTARTS: tuple[dict[str, object], ...] = (
    {},
    {"on_events": ["node-failure", "launch-failure", "signal"], "max": 2},
    {"on_events": ["exit:1", "exit:3", "signal"], "max": 1},
    {"on_events": []},
)


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody wants.

    Attributes:
        verb: submit, stop, hold, release, drain, resume, apply, forget, remember, hold queue,
            release queue, stop many, hold many, release many, stop array, hold array, release array, schedule, stop schedule,
            hold schedule, release schedule.
        chance: in [0, 1), chooses among the jobs, nodes or tenants there are when it comes to it.
        document: of a submission or an operator file.
    """

    verb: str
    chance: float
    document: Mapping[str, object] | None = None


WEIGHTS = {
    "submit": 40,
    "stop": 9,
    "hold": 9,
    "release": 14,
    "drain": 5,
    "resume": 9,
    "apply": 5,
    "forget": 2,
    "remember": 3,
    "hold queue": 3,
    "release queue": 5,
    "stop many": 1,
    "hold many": 2,
    "release many": 3,
    "stop array": 1,
    "hold array": 2,
    "release array": 3,
    "schedule": 5,
    "stop schedule": 1,
    "hold schedule": 1,
    "release schedule": 2,
}
SUBMIT_ONLY = {"submit": 1}
MEDDLESOME = {"stop": 3, "hold": 3, "release": 1, "drain": 2, "apply": 2, "submit": 1, "hold queue": 1, "hold many": 1}


class People:
    """Draws wishes, each verb by its weight."""

    def __init__(self, dice: Callable[[str], Random], weights: Mapping[str, int], *, gpus: bool) -> None:
        """`dice`: the chance of each purpose."""
        self._dice, self._jobs = dice("people"), dice("jobs")
        self._arrays, self._chains, self._schedules = dice("arrays"), dice("chains"), dice("schedules")
        self._roles = dice("roles")
        self._weights, self._gpus = weights, gpus
        self._submitted = 0

    def wishes(self) -> list[Wish]:
        """Those of one step: none, one or two."""
        return [self.wish() for _ in range(self._dice.choices((0, 1, 2), (5, 4, 1))[0])]

    def wish(self) -> Wish:
        verb = self._dice.choices(list(self._weights), list(self._weights.values()))[0]
        made = {"submit": self._job, "schedule": self._schedule}.get(verb)
        return Wish(verb, self._dice.random(), None if made is None else made())

    def _schedule(self) -> dict[str, object]:
        """A job file that is due each minute or two, with one of few names, so that some are there already."""
        dice = self._schedules
        document = {key: value for key, value in self._job().items() if key not in ("after", "not_before", "deadline")}
        timetable = {"cron": dice.choice(("* * * * *", "*/2 * * * *")), "overlap": dice.choice(("skip", "queue"))}
        zone = dice.choice(("UTC", "Europe/Berlin", "Asia/Kolkata"))
        return {**document, "name": f"again-{dice.randint(1, 4)}", "schedule": {**timetable, "time_zone": zone}}

    def _job(self) -> dict[str, object]:
        """A job file; now and then one that no node or quota is large enough for."""
        dice, self._submitted = self._jobs, self._submitted + 1
        nodes = dice.choices((1, 2, 3, 5), (70, 20, 8, 2))[0]
        resources: dict[str, object] = {"cpu": dice.choice((0.5, 0.5, 1, 2, 4)), "memory": dice.choice(("500MB", "2GB", "5GB"))}
        if self._gpus and dice.random() < 0.5:
            resources["gpu"] = dice.choice((1, 1, 2, f"{GPU}:1"))
        life = draw_life(dice, ranks=nodes)
        document: dict[str, object] = {
            "kind": "job",
            "name": f"job-{self._submitted}",
            "run": life.script(),
            "nodes": nodes,
            "resources": resources,
            "priority": dice.choice(("low", "normal", "normal", "high", "urgent")),
            "preemptible": dice.random() < 0.4,
            "checkpoint": {"grace": dice.choice(("1s", "5s"))},
            "restart": dict(dice.choice(RESTARTS)),
        }
        if dice.random() < 0.3:
            document["time_limit"] = dice.choice(("5s", "10s", "1m"))
        if dice.random() < 0.3:
            document["queue"] = dice.choice(QUEUES)
        if dice.random() < 0.2:
            document["secrets"] = ["TOKEN"]
        return self._with_roles(document, nodes, life) | self._array() | self._waits()

    def _with_roles(self, document: dict[str, object], nodes: int, life: Life) -> dict[str, object]:
        """Now and then the job has helpers beside its workers: they end alike, or work until they are stopped."""
        dice = self._roles
        if dice.random() >= 0.15:
            return document
        own = {key: document.pop(key) for key in ("nodes", "resources", "run")}
        helpers = {"nodes": dice.choice((1, 1, 2)), "resources": {"cpu": dice.choice((0.5, 1))}}
        if dice.random() < 0.7:
            return document | {
                "roles": {"worker": own, "helper": {**helpers, "run": life.endless().script()}},
                "stop_when": "worker",
            }
        return document | {"roles": {"worker": own, "helper": {**helpers, "run": life.script()}}}

    def _waits(self) -> dict[str, object]:
        """Now and then for jobs submitted lately, be they another tenant's or refused, or for an instant."""
        dice, found = self._chains, dict[str, object]()
        if self._submitted > 1 and dice.random() < 0.25:
            of = f"job-{dice.randint(max(1, self._submitted - 5), self._submitted - 1)}"
            found["after"] = {dice.choice(("ok", "ok", "any", "failed")): [of]}
        if dice.random() < 0.1:
            found["not_before"] = dice.choice(("1s", "5s", "30s"))
        return found

    def _array(self) -> dict[str, object]:
        """Now and then many jobs of one file, some of which may run at once."""
        dice = self._arrays
        if dice.random() >= 0.1:
            return {}
        most = dice.choice((None, 1, 2))
        return {"array": f"0-{dice.randint(0, 4)}", **({} if most is None else {"max_parallel": most})}
