"""`xl simulate`: files in, a trace played on fleets, numbers and pages out. Needs no cloud."""

import gzip
import zlib
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, TextIO

from xingliu.forecast.estate import Estate, lay_out_estate
from xingliu.forecast.findings import Findings, find
from xingliu.forecast.playing import Played, Policy, play, same_request
from xingliu.forecast.report import report
from xingliu.forecast.shaping import arrivals_of, models_missing
from xingliu.forecast.trace import Trace
from xingliu.forecast.trace_formats import NAMES as FORMAT_NAMES
from xingliu.forecast.trace_formats import read_trace
from xingliu.kernel.documents import parse
from xingliu.kernel.errors import XingliuError
from xingliu.scheduling.orders import ORDERS, Order, turn_in
from xingliu.scheduling.orders import Policy as SchedulingPolicy
from xingliu.scheduling.policy import decide

__all__ = ["FORMAT_NAMES", "ORDER_NAMES", "Simulated", "read_jobs", "simulate", "write_report"]

ORDER_NAMES = tuple(ORDERS)
_GZIP = b"\x1f\x8b"
Tell = Callable[[str, int, int], None]


@dataclass(eq=False)
class NoSuchTenant(XingliuError):
    """No job of {source} is of {tenants}."""

    code: ClassVar[str] = "no_such_tenant"
    hint: ClassVar[str] = "Its tenants: {known}."
    source: str
    tenants: str
    known: str


@dataclass(eq=False)
class DamagedTrace(XingliuError):
    """{source} is packed with gzip and cannot be unpacked: {why}"""

    code: ClassVar[str] = "damaged_trace"
    hint: ClassVar[str] = "Copy it again; `gzip -t {source}` says whether it is whole."
    source: str
    why: str


@dataclass(frozen=True, slots=True)
class Simulated:
    """A trace, played on each fleet; `notes` say what had to be taken for something else."""

    trace: Trace
    fleets: tuple[Played, ...]
    notes: tuple[str, ...]

    def facts(self) -> dict[str, Any]:
        """All numbers as JSON types. Spans in seconds, instants in microseconds, shares from 0 to 1."""
        trace = {
            "source": self.trace.source,
            "format": self.trace.format,
            "jobs": len(self.trace.jobs),
            "notes": [*self.trace.notes, *self.notes],
        }
        return {"trace": trace, "fleets": [_facts(found) for found in find(*self.fleets)]}


def _facts(found: Findings) -> dict[str, Any]:
    by_size = [{"size": size, **asdict(waits)} for size, waits in found.by_size]
    return asdict(found) | {"by_size": by_size, "worst_tenant": found.worst_tenant.tenant}


def read_jobs(path: Path, *, as_format: str | None, tenants: Sequence[str] = (), first: int | None = None) -> Trace:
    """A trace from a file, plain or gzip. `tenants`: only theirs; `first`: no more than so many.

    Raises UnknownTrace, EmptyTrace, InvalidDocument, NoSuchTenant, DamagedTrace.
    """
    try:
        with _opened(path) as lines:
            trace = read_trace(str(path), lines, as_format=as_format)
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise DamagedTrace(str(path), str(error)) from None
    chosen = trace.jobs
    if tenants:
        chosen = tuple(job for job in chosen if job.tenant in tenants)
        if not chosen:
            known = sorted({job.tenant for job in trace.jobs})
            raise NoSuchTenant(str(path), " or ".join(tenants), ", ".join(known[:20]) + (", ..." if len(known) > 20 else ""))
    return replace(trace, source=path.name, jobs=chosen[:first])


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    with path.open("rb") as start:
        packed = start.read(2) == _GZIP
    with gzip.open(path, "rt", errors="replace") if packed else path.open(errors="replace") as lines:
        yield lines


def simulate(
    trace: Trace, fleets: Sequence[Path], tell: Tell, preemptible: Container[str] = (), orders: Sequence[str] = ()
) -> Simulated:
    """Play the trace on the fleet of each operator file, under each of the orders, one after the other.

    All files are read before anything is played. `tell` hears the fleet's name and how far it is, of how much.
    Jobs of `preemptible` tenants may borrow, and be stopped for others.
    Raises InvalidDocument.
    """
    estates = [_estate(path, name) for path, name in zip(fleets, _names(fleets), strict=True)]
    played, notes = [], []
    for estate in estates:
        if missing := models_missing(trace.jobs, estate):
            notes.append(f"{estate.name} has no GPU of model {', '.join(missing)}: jobs that insist on one take any.")
        arrivals = arrivals_of(trace.jobs, estate, preemptible)
        for order in orders or ORDER_NAMES[:1]:
            named = replace(estate, name=f"{estate.name}, {order}") if len(orders) > 1 else estate
            played.append(play(arrivals, named, _policy(ORDERS[order], estate), partial(tell, named.name)))
    return Simulated(trace, tuple(played), tuple(notes))


def _policy(order: Order, estate: Estate) -> Policy:
    turn = turn_in(estate.queues) if order.by_shares else order.key
    return Policy(partial(decide, policy=SchedulingPolicy(order)), same_request, turn)


def _estate(path: Path, name: str) -> Estate:
    return lay_out_estate(name, parse(path.read_text(errors="replace"), str(path)))


def _names(paths: Sequence[Path]) -> list[str]:
    """File names, or whole paths where those are alike; the same file twice gets a number."""
    alike = len({path.stem for path in paths}) < len(paths)
    names = [str(path) if alike else path.stem for path in paths]
    return [name if name not in names[:number] else f"{name} ({number + 1})" for number, name in enumerate(names)]


def write_report(simulated: Simulated, path: Path) -> None:
    """The page of pictures, whole or not at all."""
    beside = path.with_name(path.name + ".new")
    beside.write_text(report(simulated.trace, simulated.fleets, simulated.notes), encoding="utf-8")
    beside.replace(path)
