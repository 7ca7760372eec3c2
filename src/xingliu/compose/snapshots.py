"""`xl snapshot replay`: a file in, the same decision again or what differs. Needs no cloud."""

import gzip
import json
import zlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from xingliu import __version__
from xingliu.forecast.snapshot_file import BadSnapshot, differences, read_snapshot, told
from xingliu.kernel.errors import XingliuError
from xingliu.scheduling.model import Plan, StayPending
from xingliu.scheduling.policy import decide

_GZIP = b"\x1f\x8b"


@dataclass(eq=False)
class NotJson(XingliuError):
    """{path}:{line}: column {column}: this is not JSON: {why}"""

    code: ClassVar[str] = "not_json"
    hint: ClassVar[str] = "Is the file whole? `xl snapshot export FILE` writes one."
    path: str
    line: int
    column: int
    why: str


@dataclass(eq=False)
class NotInSnapshot(XingliuError):
    """{path} has no waiting job {job}."""

    code: ClassVar[str] = "not_in_snapshot"
    hint: ClassVar[str] = "Leave --job out to see them all."
    path: str
    job: str


def replay(path: Path) -> dict[str, object]:
    """Decide a snapshot file again. JSON types; `differences` is empty where the plan is the same.

    Raises BadSnapshot, NotJson.
    """
    file = read_snapshot(_document(path), str(path))
    plan = decide(file.snapshot)
    snapshot = file.snapshot
    return {
        "made_by": file.made_by,
        "replayed_by": __version__,
        "anonymous": file.anonymous,
        "cycle": snapshot.cycle,
        "at_us": snapshot.now_us,
        "nodes": len(snapshot.nodes),
        "pending": len(snapshot.pending),
        "running": len(snapshot.running),
        "same": plan == file.plan,
        "differences": differences(file.plan, plan),
        "starting": len(plan.placements),
        "waiting": dict(Counter(stay.wait.reason.value for stay in plan.decisions if isinstance(stay, StayPending))),
        "decisions": _decisions(plan),
    }


def decision_of(replayed: dict[str, object], job: str, path: Path) -> dict[str, object]:
    """Raises NotInSnapshot."""
    decisions = replayed["decisions"]
    assert isinstance(decisions, dict), "replay made it"
    if job not in decisions:
        raise NotInSnapshot(str(path), job)
    found: dict[str, object] = decisions[job]
    return found


def _decisions(plan: Plan) -> dict[str, dict[str, object]]:
    found: dict[str, dict[str, object]] = {}
    for decision in plan.decisions:
        found[decision.job] = {"decision": told(decision)}
        if isinstance(decision, StayPending):
            found[decision.job] |= {"sentence": decision.wait.sentence, "numbers": dict(decision.wait.numbers)}
    for evict in plan.evictions:
        found[evict.job] = {"decision": f"is stopped for {evict.preemptor}", "sentence": f"To {evict.why} what it holds."}
    return found


def _document(path: Path) -> object:
    """Raises NotJson, BadSnapshot."""
    data = path.read_bytes()
    try:
        text = (gzip.decompress(data) if data.startswith(_GZIP) else data).decode()
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise NotJson(str(path), error.lineno, error.colno, error.msg) from None
    except (UnicodeDecodeError, EOFError, gzip.BadGzipFile, zlib.error, RecursionError) as error:
        raise BadSnapshot(str(path), f"it is not text, nor text that was packed with gzip ({error})") from None
