"""Job files as they are kept: once for each content, under a name made of it."""

import hashlib
import json
from collections.abc import Mapping

from xingliu.kernel.coding import to_text
from xingliu.kernel.ids import SpecId
from xingliu.workloads.model import JobSpec, KeptSpec

_meaning = to_text(JobSpec)


def keep_spec(document: Mapping[str, object], spec: JobSpec) -> KeptSpec:
    """The file and its meaning under the SHA-256 of both, whatever the order of the file's keys.

    The meaning counts as well: another version of Xingliu may read the same file otherwise, and a job keeps what it was
    accepted as.
    """
    written = json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    digest = hashlib.sha256(f"{written}\n{_meaning(spec)}".encode()).hexdigest()
    return KeptSpec(SpecId(digest), document, spec)
