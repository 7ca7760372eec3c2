"""The published JSON Schemas: valid, the code's own, and never stricter than the readers."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import jsonschema_rs
import pytest
from hypothesis import given
from tests.pure.test_cloudfile import CLOUD, clouds
from tests.pure.test_spec import FULL, HELLO, specs

from xingliu.fleet.cloudfile import cloud_document, cloud_schema
from xingliu.fleet.declared import CloudFile
from xingliu.kernel.documents import parse
from xingliu.workloads.model import JobSpec
from xingliu.workloads.schema import job_schema
from xingliu.workloads.spec import job_document

PUBLISHED = Path(__file__).parent.parent.parent / "docs" / "schemas"
JOB = jsonschema_rs.Draft202012Validator(job_schema())
CLOUDS = jsonschema_rs.Draft202012Validator(cloud_schema())


@pytest.mark.parametrize(("name", "schema"), [("job.json", job_schema), ("cloud.json", cloud_schema)])
def test_the_golden_schema_is_the_one_the_code_has(name: str, schema: Callable[[], dict[str, object]]) -> None:
    text = json.dumps(schema(), indent=2) + "\n"
    if os.environ.get("XL_GOLDEN") == "write":
        (PUBLISHED / name).write_text(text)
    assert (PUBLISHED / name).read_text() == text, "run `./dev fix` to write it anew"


@pytest.mark.parametrize("text", [HELLO, FULL])
def test_an_editor_accepts_what_is_a_job(text: str) -> None:
    JOB.validate(parse(text, "job.yaml").value)


@given(specs)
def test_an_editor_accepts_every_job_as_it_is_written(spec: JobSpec) -> None:
    JOB.validate(job_document(spec))


def test_an_editor_accepts_what_is_a_cloud() -> None:
    CLOUDS.validate(parse(CLOUD, "cloud.yaml").value)


@given(clouds)
def test_an_editor_accepts_every_cloud_as_it_is_written(file: CloudFile) -> None:
    CLOUDS.validate(cloud_document(file))


@pytest.mark.parametrize(
    "line", ["num_nodes: 2", "nodes: 0", "priority: 5", "restart: {on: [hang]}", "checkpoint: {path: /a}", "env: {A-B: 1}"]
)
def test_an_editor_marks_what_is_none(line: str) -> None:
    assert not JOB.is_valid(parse(f"{HELLO}{line}\n", "job.yaml").value)
