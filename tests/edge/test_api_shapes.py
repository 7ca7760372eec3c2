"""What every route has in common: problem documents, pages, idempotency keys, bounds; and what is shown only once."""

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import httpx
import pytest
from tests.edge.served import Served, Someone, hello, served

from xingliu.api.app import routes
from xingliu.api.errors import STATUS, problem_of
from xingliu.api.limits import JSON_LARGEST_BYTES
from xingliu.kernel.errors import XingliuError

VALUE = "v3ry-s3cret-value"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cloud")


@pytest.fixture(scope="module")
def cloud(home: Path) -> Iterator[Served]:
    with served(home) as found:
        yield found


@pytest.fixture(scope="module")
def admin(cloud: Served) -> Someone:
    return cloud.admin


# Problem documents -------------------------------------------------------------------------------------------------------


def test_every_error_that_can_reach_a_route_has_a_status() -> None:
    """All that control, the words and the decisions define; adapters' and edges' own errors stop before a request."""

    def kinds(of: type[XingliuError]) -> Iterator[type[XingliuError]]:
        yield of
        yield from chain.from_iterable(kinds(inner) for inner in of.__subclasses__())

    rooms = (
        "xingliu.control.errors",
        "xingliu.fleet",
        "xingliu.tenancy",
        "xingliu.workloads",
        "xingliu.kernel",
        "xingliu.scheduling",
    )
    internal = {"XingliuError", "BrokenRule", "BadIgnoreRule"}  # the last: folders are packed by the CLI, before a request
    missing = [kind for kind in kinds(XingliuError) if kind.__module__.startswith(rooms) and kind not in STATUS]
    assert {kind.__name__ for kind in missing} <= internal


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("GET", "/v1/jobs/nothing", None, 404, "unknown"),
        ("GET", "/v1/nowhere", None, 404, "no_such_route"),
        ("GET", "/v1/jobs/", None, 404, "no_such_route"),
        ("DELETE", "/v1/jobs", None, 405, "method_not_allowed"),
        ("POST", "/v1/jobs", {"document": 3}, 422, "invalid_request"),
        ("POST", "/v1/jobs", {"document": hello(nodes="x")}, 422, "invalid_spec"),
        ("POST", "/v1/jobs", {"document": hello(surprise=1)}, 422, "invalid_spec"),
        ("POST", "/v1/tenants", {"name": "Not A Name"}, 422, "bad_name"),
        ("POST", "/v1/tenants", {"name": "a\0b"}, 422, "invalid_request"),
        ("POST", "/v1/tenants", {"name": "default"}, 409, "already_exists"),
        ("POST", "/v1/tenants", {"name": "xingliu"}, 422, "bad_name"),
        ("POST", "/v1/nodes/none:drain", {"reason": "x"}, 404, "unknown"),
        ("GET", "/v1/jobs?limit=501", None, 422, "invalid_request"),
        ("GET", "/v1/jobs?limit=0", None, 422, "invalid_request"),
        ("GET", "/v1/jobs?name=%00", None, 422, "bad_value"),
        ("GET", "/v1/jobs/%00", None, 422, "bad_value"),
        ("GET", "/v1/dogs:changes", None, 422, "invalid_request"),
        ("GET", "/v1/usage?since_us=9007199254740993", None, 422, "invalid_request"),
        ("GET", "/v1/usage?since_us=2&until_us=1", None, 422, "bad_value"),
    ],
)
def test_every_refusal_is_a_problem_document(
    admin: Someone, method: str, path: str, body: object, status: int, code: str
) -> None:
    answer = admin.client.request(method, path, json=body) if body is not None else admin.client.request(method, path)
    found = answer.json()
    assert (answer.status_code, found["code"], found["status"]) == (status, code, status)
    assert answer.headers["content-type"] == "application/problem+json"
    assert found["type"] == f"urn:xingliu:problem:{code}" and found["title"] and found["detail"]


def test_a_bad_job_file_tells_every_problem_with_its_key(admin: Someone) -> None:
    found = admin.post("/v1/jobs", {"document": hello(num_nodes=2, time_limit="soon")}).json()
    assert {problem["key"] for problem in found["problems"]} == {"num_nodes", "time_limit"}
    assert "nodes" in str(found["problems"])


def test_a_body_that_is_not_json_is_refused(admin: Someone) -> None:
    for content in (b"{", b"\xff\xfe", b"[" * 100_000, b'"\\ud800"', b'{"document": {"kind": "job", "x": NaN}}'):
        answer = admin.client.post("/v1/jobs", content=content, headers={"Content-Type": "application/json"})
        assert 400 <= answer.status_code < 500, content[:20]
        assert answer.headers["content-type"] == "application/problem+json"


def test_a_body_beyond_the_limit_is_refused_stated_or_not(cloud: Served, admin: Someone) -> None:
    before = cloud.version
    large = json.dumps({"document": {"kind": "job", "x": "y" * JSON_LARGEST_BYTES}}).encode()
    stated = admin.client.post("/v1/jobs", content=large)
    pieces = admin.client.post("/v1/jobs", content=(large[start : start + 65536] for start in range(0, len(large), 65536)))
    assert [(one.status_code, one.json()["code"]) for one in (stated, pieces)] == [(413, "body_too_large")] * 2
    assert cloud.version == before


def test_what_nobody_expected_is_a_500_with_a_number_that_the_log_has(caplog: pytest.LogCaptureFixture) -> None:
    async def ask() -> httpx.Response:
        """Of an application whose control objects were forgotten."""
        async with httpx.AsyncClient(transport=httpx.ASGITransport(routes()), base_url="http://here") as client:
            return await client.get("/readyz")

    answer = asyncio.run(ask())
    incident = answer.json()["detail"].partition("incident ")[2][:8]
    assert (answer.status_code, answer.json()["code"], len(incident)) == (500, "internal", 8)
    assert any(incident in record.getMessage() and record.exc_info for record in caplog.records)


def test_the_hint_of_an_error_is_filled_in() -> None:
    from_unknown = problem_of(next(kind for kind in STATUS if kind.__name__ == "Unknown")("node", "n7"))
    assert from_unknown["detail"] == "There is no node n7."
    assert "xl node ls" in str(from_unknown["hint"])


# Pages -------------------------------------------------------------------------------------------------------------------


def test_pages_of_one_give_every_item_once_in_order(cloud: Served, admin: Someone) -> None:
    owner = cloud.tenant("paged", "one", "two", "three")
    for number in range(3):
        owner.made("/v1/jobs", {"document": hello(f"job-{number}"), "project": "paged/one"})
        owner.made("/v1/secrets", {"project": "paged/one", "name": f"S{number}", "value": "x"})
        owner.made("/v1/keys", {})
    for noun in ("jobs", "projects", "secrets", "keys", "users", "events", "tenants", "nodes", "queues", "flavors", "pools"):
        who = admin if noun == "tenants" else owner
        assert _one_by_one(who, noun) == who.items(f"/v1/{noun}", limit=500), noun
    newest = [job["id"] for job in owner.items("/v1/jobs")]
    oldest = [job["id"] for job in owner.items("/v1/jobs", newest_first=False)]
    assert newest == sorted(newest, reverse=True) == oldest[::-1]
    ordered = [event["seq"] for event in owner.items("/v1/events", newest_first=True, limit=500)]
    assert ordered == sorted(ordered, reverse=True)
    assert _one_by_one(owner, "events", newest_first=True) == owner.items("/v1/events", newest_first=True, limit=500)


def _one_by_one(who: Someone, noun: str, **query: object) -> list[object]:
    found: list[object] = []
    after = None
    while True:
        page = who.get(f"/v1/{noun}", limit=1, after=after, **query).json()
        found += page["items"]
        after = page["next"]
        if after is None:
            return found


def test_jobs_are_found_by_state_project_queue_and_name(cloud: Served) -> None:
    owner = cloud.tenant("filters", "a", "b")
    one = owner.made("/v1/jobs", {"document": hello("one"), "project": "filters/a"})["id"]
    two = owner.made("/v1/jobs", {"document": hello("two"), "project": "filters/b"})["id"]
    owner.made(f"/v1/jobs/{two}:stop")
    asked = {
        "state=PENDING": [one],
        "state=CANCELLED": [two],
        "active=true": [one],
        "active=true&state=CANCELLED": [],
        "project=filters/b": [two],
        "project=b": [two],
        "queue=default": [two, one],
        "queue=other": [],
        "name=one": [one],
    }
    assert {query: [job["id"] for job in owner.items(f"/v1/jobs?{query}")] for query in asked} == asked
    assert owner.get(f"/v1/jobs/{one[:-1]}").status_code in (200, 409)
    assert owner.get("/v1/jobs/one").json()["id"] == one


# Idempotency -------------------------------------------------------------------------------------------------------------

CREATIONS = {
    "/v1/tenants": {"name": "again"},
    "/v1/projects": {"tenant": "default", "name": "again"},
    "/v1/users": {"name": "again", "bindings": [{"role": "finance", "scope": ""}]},
    "/v1/jobs": {"document": hello("again")},
    "/v1/secrets": {"name": "AGAIN", "value": VALUE},
    "/v1/keys": {},
}


@pytest.mark.parametrize("path", CREATIONS)
def test_a_repeated_creation_makes_nothing_new(cloud: Served, admin: Someone, path: str) -> None:
    first = admin.made(path, CREATIONS[path], once=f"again{path}")
    version = cloud.version
    second = admin.made(path, CREATIONS[path], once=f"again{path}")
    assert cloud.version == version
    assert second == {**first, "key": None} if path == "/v1/keys" else second == first


def test_a_key_used_for_another_request_is_a_conflict(cloud: Served, admin: Someone) -> None:
    admin.made("/v1/tenants", {"name": "conflict-a"}, once="conflict")
    before = cloud.version
    other = {
        "/v1/tenants": {"name": "conflict-b"},
        "/v1/jobs": {"document": hello("conflict")},
        "/v1/users": {"name": "conflict"},
        "/v1/projects": {"tenant": "default", "name": "conflict"},
        "/v1/keys": {},
        "/v1/secrets": {"name": "CONFLICT", "value": "x"},
    }
    codes = {path: admin.post(path, body, once="conflict").json()["code"] for path, body in other.items()}
    assert codes == dict.fromkeys(other, "idempotency_conflict")
    assert cloud.version == before


def test_a_repeated_secret_with_another_value_is_a_conflict(admin: Someone) -> None:
    admin.made("/v1/secrets", {"name": "TWICE", "value": "one"}, once="twice")
    assert admin.post("/v1/secrets", {"name": "TWICE", "value": "two"}, once="twice").json()["code"] == "idempotency_conflict"


def test_keys_of_two_users_do_not_meet(cloud: Served, admin: Someone) -> None:
    owner = cloud.tenant("meeting", "p")
    one = admin.made("/v1/jobs", {"document": hello("mine")}, once="same")
    two = owner.made("/v1/jobs", {"document": hello("mine"), "project": "meeting/p"}, once="same")
    assert one["id"] != two["id"]


def test_without_a_key_a_name_that_exists_is_a_conflict(admin: Someone) -> None:
    admin.made("/v1/projects", {"tenant": "default", "name": "plain"})
    assert admin.post("/v1/projects", {"tenant": "default", "name": "plain"}).json()["code"] == "already_exists"


# Shown once, and never ---------------------------------------------------------------------------------------------------


def test_a_secret_goes_in_and_never_comes_out(cloud: Served, admin: Someone, home: Path) -> None:
    admin.made("/v1/secrets", {"name": "SEALED", "value": VALUE}, once="sealed")
    told = [admin.get(path, limit=500).text for path in ("/v1/secrets", "/v1/events")]
    told.append(admin.post("/v1/secrets", {"name": "not a name", "value": VALUE}).text)
    told.append(admin.post("/v1/secrets", {"name": "SEALED", "value": VALUE + "\0"}).text)
    told.append(admin.post("/v1/secrets", {"name": "SEALED", "value": VALUE, "project": 3}).text)
    assert not any(VALUE in text for text in told)
    assert VALUE not in _dump(home)
    assert hashlib.sha256(VALUE.encode()).hexdigest() not in _dump(home)


@pytest.mark.parametrize(
    ("value", "status"), [("", 422), ("x" * 32_768, 201), ("x" * 32_769, 422), ("a\0b", 422), ("line\nline", 201)]
)
def test_a_secrets_value_is_text_of_a_stated_size(admin: Someone, value: str, status: int) -> None:
    assert admin.post("/v1/secrets", {"name": "SIZED", "value": value}).status_code == status


def test_a_secret_is_replaced_and_deleted(admin: Someone) -> None:
    admin.made("/v1/secrets", {"name": "GONE", "value": "one"})
    admin.made("/v1/secrets", {"name": "GONE", "value": "two"})
    assert admin.client.delete("/v1/secrets/default/default/GONE").status_code == 204
    assert admin.client.delete("/v1/secrets/default/default/GONE").status_code == 404
    story = [event["type"] for event in admin.items("/v1/events", subject="default/default/GONE")]
    assert story == ["secret.created", "secret.replaced", "secret.deleted"]


def test_a_key_is_shown_once_and_kept_as_a_hash(admin: Someone, home: Path) -> None:
    made = admin.made("/v1/keys", {})
    assert made["key"].startswith(made["prefix"] + "_")
    secret = made["key"].rpartition("_")[2]
    assert secret not in admin.get("/v1/keys", limit=500).text + admin.get("/v1/events", limit=500).text
    assert secret not in _dump(home)


def test_a_key_with_one_letter_changed_is_refused(cloud: Served, admin: Someone) -> None:
    key = admin.made("/v1/keys", {})["key"]
    changed = key[:-1] + ("A" if key[-1] != "A" else "B")
    bad = (changed, key[:-1], key + "x", "xlk__", "xlk_a_b", "", "x" * 10_000, key.replace("xlk", "xly"))
    assert {cloud.someone("?", one).get("/v1/whoami").status_code for one in bad} == {401}
    assert cloud.someone("admin", key).get("/v1/whoami").status_code == 200


def _dump(home: Path) -> str:
    with sqlite3.connect(home / "store.db") as connection:
        return "\n".join(connection.iterdump())


# What watches the process ------------------------------------------------------------------------------------------------


def test_health_and_figures_need_no_key(cloud: Served) -> None:
    nobody = cloud.someone("nobody", None)
    assert nobody.get("/healthz").json() == {"status": "ok"}
    assert nobody.get("/readyz").json() == {"status": "ready"}
    lines = nobody.get("/metrics").text.splitlines()
    assert f"xingliu_store_version {cloud.version}" in lines
    assert 'xingliu_nodes{state="joining"} 1' in lines
    assert lines.count("# TYPE xingliu_jobs gauge") == 1


def test_whoami_names_what_is_used_where_a_request_names_nothing(cloud: Served, admin: Someone) -> None:
    found = admin.get("/v1/whoami").json()
    assert (found["user"], found["default_project"], found["default_queue"]) == ("admin", "default/default", "default")
    assert found["cloud"]["currency"] == "USD"
    owner = cloud.tenant("who", "a", "b")
    assert owner.get("/v1/whoami").json()["default_project"] is None
    assert owner.post("/v1/jobs", {"document": hello()}).json()["code"] == "no_project_chosen"
    member = cloud.user("one-project", "who", ("member", "who/b"))
    assert member.made("/v1/jobs", {"document": hello()})["project"] == "who/b"


def test_the_schemas_of_files_are_published(admin: Someone) -> None:
    assert "run" in admin.get("/v1/schemas/job").json()["properties"]
    assert "pools" in admin.get("/v1/schemas/cloud").json()["properties"]


# Blobs -------------------------------------------------------------------------------------------------------------------


def test_a_blob_is_kept_by_its_hash_and_for_the_project_that_has_it(cloud: Served, admin: Someone) -> None:
    data = b"packed " * 100_000
    sha = hashlib.sha256(data).hexdigest()
    path = f"/v1/projects/default/default/blobs/{sha}"
    assert admin.client.head(path).status_code == 404
    wrong = admin.client.put(path, content=data + b"!")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "blob_mismatch")
    assert admin.client.head(path).status_code == 404
    pieces = (data[start : start + 10_000] for start in range(0, len(data), 10_000))
    assert admin.client.put(path, content=pieces).json() == {"sha256": sha, "project": "default/default", "bytes": len(data)}
    assert admin.client.head(path).status_code == 200
    other = cloud.tenant("blobs", "p")
    assert other.client.head(f"/v1/projects/blobs/p/blobs/{sha}").status_code == 404
    assert other.post("/v1/jobs", {"document": hello(), "project": "blobs/p", "blob": sha}).status_code == 404
    assert admin.post("/v1/jobs", {"document": hello(), "blob": sha}).status_code == 201
    assert admin.client.put("/v1/projects/default/default/blobs/xyz", content=b"").json()["code"] == "bad_value"
