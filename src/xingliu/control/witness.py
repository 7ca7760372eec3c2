"""Leases as the event log tells them: a second record, to hold the first one against."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from xingliu.control.ports import Unit
from xingliu.kernel.events import Event
from xingliu.kernel.intervals import Interval
from xingliu.kernel.resources import Resources
from xingliu.metering.model import HeldInterval

PLACED, RELEASED = "job.placed", "lease.released"
_PAGE = 1_000


def witnessed_intervals(unit: Unit, window: Interval) -> list[HeldInterval]:
    """Every lease that the log knows of and that touches the window, from opened to released; nothing of what ran in it."""
    opened: dict[str, HeldInterval] = {}
    for event in _events(unit):
        if event.at_us >= window.end_us and event.type == PLACED:
            continue
        if event.type == PLACED:
            opened.update((held.key, held) for held in _placed(event))
        elif (key := str(event.facts["lease"])) in opened:
            released_us = int(str(event.facts["released_us"]))
            if released_us > window.start_us:
                opened[key] = replace(opened[key], released_us=released_us)
            else:
                del opened[key]
    return list(opened.values())


def _events(unit: Unit) -> Iterator[Event]:
    after = 0
    while page := unit.events.find({"type": frozenset({PLACED, RELEASED})}, after=after, limit=_PAGE):
        yield from page
        after = page[-1].seq


def _placed(event: Event) -> Iterable[HeldInterval]:
    leases = event.facts["leases"]
    for lease in leases if isinstance(leases, list | tuple) else ():
        yield HeldInterval(
            key=str(lease["lease"]),
            node=str(lease["node"]),
            pool=str(lease["pool"]),
            flavor=str(lease["flavor"]),
            tenant=event.tenant,
            project=event.project,
            job=event.subject,
            resources=_resources(lease["resources"]),
            opened_us=int(lease["opened_us"]),
            started_us=None,
            ended_us=None,
            released_us=None,
            gpus=tuple(lease["gpus"]),
        )


def _resources(amounts: Mapping[str, int]) -> Resources:
    return Resources({kind: int(amount) for kind, amount in amounts.items()})
