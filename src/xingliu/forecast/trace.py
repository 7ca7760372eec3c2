"""Jobs of the past, as public traces and other schedulers record them, in the words of this house."""

from dataclasses import dataclass

from xingliu.kernel.ids import JobId


@dataclass(frozen=True, slots=True)
class TraceJob:
    """One job that was submitted and ran.

    Attributes:
        tenant: whoever the trace says it belongs to: a virtual cluster, a cluster, an account, a quality of service.
        submitted_us: microseconds since 1970 when the trace is `dated`, else since the trace began.
        run_us: how long it ran, more than 0.
        gpus: over all its nodes.
        nodes: None where the trace says only how many GPUs it had.
        cpu_milli, memory_bytes: of each node; 0 where the trace does not say, and then they bind nothing.
        gpu: the model it insisted on; None is any.
        limit_us: its time limit; None where the trace has none.
    """

    id: JobId
    tenant: str
    submitted_us: int
    run_us: int
    gpus: int
    nodes: int | None = None
    cpu_milli: int = 0
    memory_bytes: int = 0
    gpu: str | None = None
    limit_us: int | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """Jobs in the order of their submission.

    Attributes:
        format: which of the formats it was read as.
        dated: whether its instants are real ones.
        notes: what was left out, or taken for something else, each a sentence with its count.
    """

    source: str
    format: str
    dated: bool
    jobs: tuple[TraceJob, ...]
    notes: tuple[str, ...] = ()
