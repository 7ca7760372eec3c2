"""Job files: what they mean, and the document a meaning is written as."""

import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import cast

from xingliu.kernel.documents import Document
from xingliu.kernel.errors import BadValue
from xingliu.kernel.keytables import describe, read_document, write_table
from xingliu.kernel.problems import InvalidDocument, show_value
from xingliu.workloads.model import JobSpec
from xingliu.workloads.spec_keys import JOB, RESOURCES
from xingliu.workloads.spec_words import LATER_KINDS

VERSION = 1


def read_job(document: Document) -> JobSpec:
    """The checked job. Raises InvalidDocument with every problem found."""
    value = document.value
    if isinstance(value, Mapping) and isinstance(kind := value.get("kind", "job"), str) and kind != "job":
        raise InvalidDocument(document.source, (document.problem(("kind",), *_other_kind(kind)),))
    return cast(JobSpec, read_document(JOB, document))


def _other_kind(kind: str) -> tuple[str, str]:
    if kind in LATER_KINDS:
        return f"kind: {kind} is not yet available", "Only jobs can be run now: kind: job."
    if kind == "cloud":
        return "this describes a cloud, not a job", "Operators apply it: `xl apply FILE`."
    return f"kind: {show_value(kind)} is not known", "Write kind: job."


def job_document(spec: JobSpec) -> dict[str, object]:
    """The normalised document: reading it gives `spec` again, exactly."""
    return {"kind": "job", "version": VERSION, **write_table(JOB, spec)}


def job_keys() -> Iterator[tuple[str, str]]:
    """Every key with its one line, in the order people write them."""
    return describe(JOB)


def one_liner(argv: Sequence[str], **options: object) -> dict[str, object]:
    """The document of `xl run -- ARGV...`. Options are keys of the job, or of its resources; None is left out.

    A single word with blanks in it is taken as shell text; anything else is quoted, so it runs as it was typed.
    Raises BadValue when there is no command. The document is not checked here: `read_job` does.
    """
    if not argv or not argv[0].strip():
        raise BadValue(" ".join(argv), "a command", "Write it after two dashes: xl run -- python train.py")
    run = argv[0] if len(argv) == 1 and re.search(r"\s", argv[0]) else shlex.join(argv)
    given = {key: value for key, value in options.items() if value is not None}
    return {**with_keys({"kind": "job", "name": name_of(argv)}, given), "run": run}


def with_keys(document: Mapping[str, object], keys: Mapping[str, object]) -> dict[str, object]:
    """A job's document with other values of some keys of the job, or of its resources."""
    inside = {key.name for key in RESOURCES.keys}
    resources = {key: value for key, value in keys.items() if key in inside}
    changed = {**document, **{key: value for key, value in keys.items() if key not in inside}}
    if not resources:
        return changed
    before = document.get("resources")
    return {**changed, "resources": {**(before if isinstance(before, Mapping) else {}), **resources}}


def name_of(argv: Sequence[str]) -> str:
    """A job's name out of its command: of the script it runs, else of the program."""
    words = argv[0].split() if len(argv) == 1 else argv
    scripts = [word for word in words if re.search(r"[^/]\.(?:py|sh)\Z", word)]
    last = (scripts or words)[0].rstrip("/").rpartition("/")[2]
    dashed = re.sub(r"[^a-z0-9]+", "-", re.sub(r"\.(?:py|sh)\Z", "", last).lower())
    return dashed[:63].strip("-") or "job"
