"""What a simulated replica will do with its time, written as the text that its job file runs."""

import json
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from random import Random

from xingliu.kernel.clock import SECOND_US

PREFIX = "live "
ENDLESS_US = 10**6 * SECOND_US


class OnStop(StrEnum):
    """What it makes of a signal that asks it to stop; SIGKILL ends all alike."""

    DIES = "dies"
    EXITS = "exits"
    IGNORES = "ignores"


class Mishap(StrEnum):
    """What befalls one rank of an attempt apart from how its script ends."""

    NONE = ""
    SHIM_LOST = "shim lost"
    NOT_LAUNCHED = "not launched"


@dataclass(frozen=True, slots=True)
class Way:
    """How one attempt goes: every rank works for `work_us` and exits with 0, except `rank`.

    Attributes:
        exit_code, signal: how that rank's script ends; `signal` counts when it is not 0.
        mishap: what befalls that rank instead, at the end of its work (NOT_LAUNCHED: before it).
        saves_every_us: how often each replica writes its checkpoint; 0 is never.
        lingers_us: between the end of each replica's process and nothing being left of it.
    """

    work_us: int
    rank: int = 0
    exit_code: int = 0
    signal: int = 0
    mishap: Mishap = Mishap.NONE
    on_stop: OnStop = OnStop.DIES
    lingers_us: int = 0
    saves_every_us: int = 0


@dataclass(frozen=True, slots=True)
class Life:
    """The ways of a job's attempts, in order; the last stands for all that follow."""

    ways: tuple[Way, ...]

    def way(self, attempt: int) -> Way:
        return self.ways[min(attempt, len(self.ways)) - 1]

    def endless(self) -> "Life":
        """The same, but nothing ends by itself."""
        return Life(tuple(replace(way, work_us=ENDLESS_US) for way in self.ways))

    def script(self) -> str:
        return PREFIX + json.dumps([asdict(way) for way in self.ways])


def read_life(script: str) -> Life:
    ways = json.loads(script.removeprefix(PREFIX))
    return Life(tuple(Way(**{**way, "mishap": Mishap(way["mishap"]), "on_stop": OnStop(way["on_stop"])}) for way in ways))


def draw_life(dice: Random, *, ranks: int) -> Life:
    """Most jobs do well at once; others fail once or more often before, or instead."""
    bad = dice.choices((0, 1, 2, 5), (60, 22, 10, 8))[0]
    ways = [_draw_way(dice, ranks, bad=True) for _ in range(bad)]
    return Life((*ways, _draw_way(dice, ranks, bad=False)))


def _draw_way(dice: Random, ranks: int, *, bad: bool) -> Way:
    exit_code, signal, mishap = 0, 0, Mishap.NONE
    if bad:
        kind = dice.choices(("exit", "signal", "lost", "launch"), (40, 25, 20, 15))[0]
        exit_code = dice.choice((1, 3, 137)) if kind == "exit" else 0
        signal = dice.choice((6, 9, 11)) if kind == "signal" else 0
        mishap = {"lost": Mishap.SHIM_LOST, "launch": Mishap.NOT_LAUNCHED}.get(kind, Mishap.NONE)
    return Way(
        work_us=dice.randint(SECOND_US // 5, 25 * SECOND_US),
        rank=dice.randrange(ranks),
        exit_code=exit_code,
        signal=signal,
        mishap=mishap,
        on_stop=dice.choices(list(OnStop), (60, 20, 20))[0],
        lingers_us=dice.choice((0, 1000, SECOND_US // 3, 3 * SECOND_US)),
        saves_every_us=dice.choice((0, SECOND_US, 5 * SECOND_US)),
    )
