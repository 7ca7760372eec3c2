"""What a job waits for before it may start: other jobs' ends, and an instant."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from xingliu.workloads.jobstates import FINAL, JobState

AFTER_MAX = 100


class AfterKind(StrEnum):
    """Which end of another job is waited for."""

    OK = "ok"
    ANY = "any"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class AfterWord:
    """As a file says it: `name` is a job's id, an id's prefix, or a name."""

    kind: AfterKind
    name: str


@dataclass(frozen=True, slots=True)
class After:
    """One end that is waited for: of the job or the whole array `id`, called `name`.

    `met` is None until that has ended; False means that it never will be.
    """

    kind: AfterKind
    id: str
    name: str
    met: bool | None = None


@dataclass(frozen=True, slots=True)
class NotBefore:
    """An instant, or a span from submission; one of them. Microseconds."""

    at_us: int | None = None
    in_us: int | None = None

    def instant_us(self, submitted_us: int) -> int:
        return self.at_us if self.at_us is not None else submitted_us + (self.in_us or 0)


def judge(after: Sequence[After], ended: Mapping[str, Mapping[JobState, int]]) -> tuple[After, ...]:
    """The same, each that `ended` knows marked as met or not; `ended` counts states by id, of what is wholly over."""
    return tuple(replace(one, met=_met(one.kind, ended[one.id])) if one.met is None and one.id in ended else one for one in after)


def _met(kind: AfterKind, states: Mapping[JobState, int]) -> bool:
    assert states.keys() <= FINAL, "only of what is over"
    succeeded = states.keys() <= {JobState.SUCCEEDED}
    return kind is AfterKind.ANY or succeeded is (kind is AfterKind.OK)
