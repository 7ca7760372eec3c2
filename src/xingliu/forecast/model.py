"""What a forecast says."""

from dataclasses import dataclass
from enum import StrEnum

from xingliu.kernel.ids import JobId
from xingliu.scheduling.model import Seat
from xingliu.workloads.model import Wait


@dataclass(frozen=True, slots=True)
class Expectation:
    """When a job starts if everything runs to its time limit and nothing new is submitted.

    Attributes:
        start_us: None when it cannot be told, or never comes.
        basis: one sentence: `now`, or when, or why that is unknown.
        blockers: whose end it waits for, or those without a time limit that stand in its way; at most 20.
            `basis` names the first of them by its id.
        seats: where it would start; empty when it would not.
    """

    start_us: int | None
    basis: str
    blockers: tuple[JobId, ...] = ()
    seats: tuple[Seat, ...] = ()


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
