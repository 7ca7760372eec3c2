"""What a forecast says."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from xingliu.kernel.ids import JobId
from xingliu.scheduling.model import Seat
from xingliu.workloads.model import Wait


class Basis(StrEnum):
    """What run times an expected start rests on."""

    NOW = "now"
    TIME_LIMITS = "time limits"
    HISTORY = "history"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Expectation:
    """When a job starts if nothing new is submitted, no node changes state, and what runs ends as is assumed.

    Attributes:
        start_us: None when it cannot be told, or never comes.
        sentence: `now`, or when, or why that is unknown.
        basis: NONE where `start_us` is None. HISTORY: somebody on its nodes or in its queue has no time limit and is
            assumed to run as long as jobs like it did.
        blockers: whose end it waits for, or those in its way of which nobody knows how long they run; at most 20.
            `sentence` names the first of them by its id, and no other job.
        seats: where it would start; empty when it would not.
        within_us: how much later than it would be, at most, because not every instant was decided; 0 is exact.
        after_us: it does not start until then, and no further was looked; None where that is not why it is unknown.
    """

    start_us: int | None
    sentence: str
    basis: Basis = Basis.NONE
    blockers: tuple[JobId, ...] = ()
    seats: tuple[Seat, ...] = ()
    within_us: int = 0
    after_us: int | None = None


@dataclass(frozen=True, slots=True)
class Outlook:
    """The expected starts of all who waited in one snapshot.

    Attributes:
        as_of_us: the instant of the snapshot.
        good_until_us: when something was to happen first, after which it has to be looked again; None is never.
    """

    version: int
    as_of_us: int
    good_until_us: int | None
    expectations: Mapping[JobId, Expectation]


class Verdict(StrEnum):
    NOW = "now"
    LATER = "later"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class WhatIf:
    """What would happen to a job if it were submitted. `wait` is None when it would start at once."""

    verdict: Verdict
    wait: Wait | None
    expectation: Expectation

    @property
    def seats(self) -> tuple[Seat, ...]:
        """Where it would start; empty when that is not known."""
        return self.expectation.seats
