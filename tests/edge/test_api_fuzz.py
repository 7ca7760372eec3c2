"""Whatever is sent: never a 500, always an answer of the documented shape, and never a changed row for a refusal."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import content_type_conformance, response_schema_conformance, status_code_conformance
from tests.edge.served import Served, Someone, hello, served

from xingliu.api.openapi import document

ENDLESS = "/v1/{noun}:changes"
CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
SHORT = settings(  # never 100: schemathesis takes that for "not said"
    max_examples=max(10, settings().max_examples // 50),
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.filter_too_much],
)
schema = schemathesis.openapi.from_dict(document()).exclude(path=ENDLESS)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
JOB_KEYS = [
    "kind", "name", "project", "queue", "nodes", "resources", "python", "workdir", "env", "secrets", "setup", "run",
    "time_limit", "priority", "checkpoint", "restart", "notify", "volumes", "on",
]  # fmt: skip


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture(scope="module")
def owner(cloud: Served) -> Someone:
    return cloud.tenant("acme", "nlp")


@pytest.fixture(scope="module")
def names(cloud: Served, owner: Someone) -> dict[str, str]:
    """One of everything, by the parameter that names it."""
    job = owner.made("/v1/jobs", {"document": hello(), "project": "acme/nlp"})["id"]
    key = owner.made("/v1/keys", {})["id"]
    node = cloud.admin.items("/v1/nodes")[0]["name"]
    return {"job": job, "key": key, "name": node, "tenant": "acme", "project": "nlp", "user": "acme/somebody", "sha256": "0" * 64}


@schema.parametrize()
@schema.given(as_admin=st.booleans(), known=st.booleans())
@SHORT
def test_whatever_is_sent_is_answered_as_documented_and_refusals_change_nothing(
    case: schemathesis.Case, cloud: Served, owner: Someone, names: dict[str, str], as_admin: bool, known: bool
) -> None:
    who = cloud.admin if as_admin else owner
    if known:
        case.path_parameters = {name: names.get(name, value) for name, value in (case.path_parameters or {}).items()}
    before = cloud.version
    answer = case.call(base_url=cloud.url, headers={"Authorization": who.client.headers["Authorization"]})
    case.validate_response(answer, checks=CHECKS)
    if answer.status_code >= 400 or case.method in ("GET", "HEAD"):
        assert cloud.version == before, f"{answer.status_code} changed something"


@SHORT
@given(st.dictionaries(st.sampled_from(JOB_KEYS) | st.text(max_size=10), json_values, min_size=1, max_size=4))
def test_a_job_file_with_anything_in_it_is_accepted_or_refused_whole(cloud: Served, changed: dict[str, Any]) -> None:
    before = cloud.version
    body = json.dumps({"document": {**hello(), **changed}}).encode()
    answer = cloud.admin.client.post("/v1/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (201, 404, 422), answer.text
    assert cloud.version == before + (answer.status_code == 201)


@SHORT
@given(
    st.dictionaries(st.sampled_from(["kind", "currency", "flavors", "pools", "queues", "interpreters"]), json_values, max_size=4)
)
def test_an_operator_file_with_anything_in_it_previews_or_is_refused(cloud: Served, changed: dict[str, Any]) -> None:
    before = cloud.version
    body = json.dumps({"document": {"kind": "cloud", **changed}, "preview": True}).encode()
    answer = cloud.admin.client.post("/v1/cloud:apply", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (200, 409, 422), answer.text
    assert cloud.version == before


@SHORT
@given(st.binary(max_size=200), st.sampled_from(["/v1/jobs", "/v1/jobs:plan", "/v1/users", "/v1/secrets", "/v1/cloud:apply"]))
def test_bytes_that_are_no_request_are_refused(cloud: Served, content: bytes, path: str) -> None:
    before = cloud.version
    answer = cloud.admin.client.post(path, content=content, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500 and answer.json()["code"]
    assert cloud.version == before


@SHORT
@given(st.text(alphabet=st.characters(min_codepoint=1, max_codepoint=0x10FFFF, exclude_categories=("Cs",)), max_size=60))
def test_any_name_of_a_job_is_answered(cloud: Served, name: str) -> None:
    answer = cloud.admin.client.get("/v1/jobs", params={"name": name})
    assert answer.status_code == 200, answer.text
    assert cloud.admin.client.get("/v1/jobs", params={"after": name}).status_code == 200
