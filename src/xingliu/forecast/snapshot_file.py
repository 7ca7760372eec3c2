"""What the planner knew and what it decided, as a document: for a bug report, and to decide it again."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from xingliu.kernel.coding import coding
from xingliu.kernel.errors import XingliuError
from xingliu.kernel.ids import ProjectId, QueueName, TenantId, UserId
from xingliu.kernel.problems import Path
from xingliu.kernel.walking import Misfit, walk
from xingliu.scheduling.model import Plan, Snapshot
from xingliu.workloads.model import MAIN_ROLE

KIND, VERSION = "snapshot", 3
Decide = Callable[[Snapshot], Plan]


@dataclass(eq=False)
class BadSnapshot(XingliuError):
    """{source} is not a snapshot that can be replayed: {why}"""

    code: ClassVar[str] = "bad_snapshot"
    hint: ClassVar[str] = "Export it again with `xl snapshot export`, or replay it with the version it was made by{made_by}."
    source: str
    why: str
    made_by: str = ""


@dataclass(frozen=True, slots=True)
class SnapshotFile:
    """Attributes:
    made_by: the version of Xingliu that decided it.
    anonymous: whether names of jobs, tenants, projects, users and queues are made up.
    """

    made_by: str
    anonymous: bool
    snapshot: Snapshot
    plan: Plan


def export(snapshot: Snapshot, decide: Decide, *, made_by: str, anonymous: bool = False) -> dict[str, object]:
    """The document, with what `decide` makes of the snapshot. Anonymous: of the snapshot with made-up names.

    Ids of jobs and names of nodes, pools and flavors stay. Made-up names sort as the real ones do, so that the same jobs
    get the same seats.
    """
    written = _written(Snapshot, snapshot)
    if anonymous:
        written = _masked(written)
        snapshot = _read(Snapshot, written)
    return {
        "kind": KIND,
        "version": VERSION,
        "made_by": made_by,
        "anonymous": anonymous,
        "snapshot": written,
        "plan": _written(Plan, decide(snapshot)),
    }


def read_snapshot(document: object, source: str) -> SnapshotFile:
    """The file a document means. Raises BadSnapshot, which says where it is wrong."""
    if not isinstance(document, dict) or document.get("kind") != KIND:
        raise BadSnapshot(source, f"it does not say `kind: {KIND}`")
    made_by = str(document.get("made_by") or "unknown")
    if document.get("version") != VERSION:
        raise BadSnapshot(source, f"its format is {document.get('version')!r}, and {VERSION} is read here", f", {made_by}")
    try:
        for name, kind in (("snapshot", Snapshot), ("plan", Plan)):
            walk(kind, document.get(name), path=(name,))
    except Misfit as misfit:
        raise BadSnapshot(source, str(misfit), f", {made_by}") from None
    snapshot, plan = _read(Snapshot, document["snapshot"]), _read(Plan, document["plan"])
    return SnapshotFile(made_by, bool(document.get("anonymous")), snapshot, plan)


def differences(then: Plan, now: Plan) -> list[str]:
    """What is not alike in two plans of one snapshot, a sentence each; none where they are equal."""
    found = []
    before, after = _by_job(then), _by_job(now)
    for job in dict.fromkeys([*before, *after]):
        if before.get(job) != after.get(job):
            found.append(f"{job}: {before.get(job) or 'nothing'}; now {after.get(job) or 'nothing'}")
    if not found and then != now:
        found.append("the same is decided for every job, for reasons that are worded otherwise or in another order")
    return found


def _by_job(plan: Plan) -> dict[str, str]:
    said = {str(decision.job): told(decision) for decision in plan.decisions}
    return said | {str(evict.job): f"is stopped for {evict.preemptor}: {evict.why}" for evict in plan.evictions}


def told(decision: Any) -> str:
    """A decision in a few words: `starts on g1 g2`, `waits: WaitingForQuota`."""
    if hasattr(decision, "wait"):
        return f"waits: {decision.wait.reason}"
    places = (f"{seat.node}{':' + ','.join(map(str, seat.gpus)) if seat.gpus else ''}" for seat in decision.seats)
    return f"starts on {' '.join(places)}"


def _written(kind: type, value: object) -> dict[str, Any]:
    encode = coding(kind).encode
    assert encode is not None, "a dataclass always has one"
    written: dict[str, Any] = encode(value)
    return written


def _read(kind: type, document: Mapping[str, Any]) -> Any:
    decode = coding(kind).decode
    assert decode is not None, "a dataclass always has one"
    return decode(document)


def _masked(document: dict[str, Any]) -> dict[str, Any]:
    """The snapshot with made-up names."""
    words = {UserId: "user", TenantId: "tenant", QueueName: "queue", "name": "job", "role": "role"}
    seen: dict[Any, set[str]] = {kind: set() for kind in (*words, ProjectId)}

    def note(hint: Any, value: object, path: Path) -> object:
        kind = _kind_of_name(hint, value, path)
        if kind in seen:
            seen[kind].add(str(value))
        return value

    walk(Snapshot, document, note)
    made_up = {ProjectId: _projects(seen[ProjectId])} | {
        kind: _numbered(word, sorted(seen[kind])) for kind, word in words.items()
    }

    def mask(hint: Any, value: object, path: Path) -> object:
        return made_up.get(_kind_of_name(hint, value, path), {}).get(str(value), value)

    masked: dict[str, Any] = walk(Snapshot, document, mask)
    return masked


def _kind_of_name(hint: Any, value: object, path: Path) -> Any:
    """What a text is a name of: its type, or for jobs and roles, whose names are plain text, its key."""
    if hint is not str:
        return hint
    named = path[0] in ("pending", "running") and path[-1] in ("name", "role") and value != MAIN_ROLE
    return path[-1] if named else None


def _projects(names: Iterable[str]) -> dict[str, str]:
    """`tenant-1/project-02`: those of one tenant stand together in the order of names, and so they do here."""
    ordered = sorted(names)
    tenants = _numbered("tenant", dict.fromkeys(name.partition("/")[0] for name in ordered))
    projects = _numbered("project", ordered)
    return {name: f"{tenants[name.partition('/')[0]]}/{projects[name]}" for name in projects}


def _numbered(word: str, names: Iterable[str]) -> dict[str, str]:
    """`word-01` and so on, in their order; what is empty stays so."""
    ordered = [name for name in names if name]
    width = len(str(len(ordered)))
    return {name: f"{word}-{number:0{width}d}" for number, name in enumerate(ordered, 1)}
