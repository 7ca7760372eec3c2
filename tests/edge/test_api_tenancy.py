"""Another tenant's object does not exist: the same answer in every route, for everything that has a name."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from tests.edge.served import Served, Someone, hello, served

from xingliu.tenancy.model import Role

SHA = "0" * 64
NAMELESS = {"healthz", "readyz", "metrics"}
SHARED = {"name", "noun"}
"""Path parameters that name what everyone shares: nodes, queues, lists."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("cloud")) as found:
        yield found


@pytest.fixture(scope="module")
def acme(cloud: Served) -> Someone:
    """The owner of a tenant that has one of everything."""
    owner = cloud.tenant("acme", "nlp")
    owner.made("/v1/jobs", {"document": hello("acme-job"), "project": "acme/nlp"})
    owner.made("/v1/jobs", {"document": {**hello("acme-array"), "array": "0-1"}, "project": "acme/nlp"})
    owner.made("/v1/schedules", {"document": {**hello("acme-nightly"), "schedule": "0 3 * * *"}, "project": "acme/nlp"})
    owner.made("/v1/secrets", {"project": "acme/nlp", "name": "TOKEN", "value": "acme-s3cret"})
    owner.made("/v1/users", {"name": "ann", "tenant": "acme", "bindings": [{"role": "member", "scope": "acme/nlp"}]})
    owner.made("/v1/keys", {"user": "acme/ann"})
    return owner


@pytest.fixture(scope="module")
def beta(cloud: Served) -> Someone:
    return cloud.tenant("beta", "vision")


def _names(acme: Someone) -> dict[str, str]:
    """A name of tenant acme for every path parameter there is."""
    job, array, schedule = (acme.items(f"/v1/{noun}")[0]["id"] for noun in ("jobs", "arrays", "schedules"))
    key = next(key["id"] for key in acme.items("/v1/keys") if key["user"] == "acme/ann")
    whole = {"tenant": "acme", "project": "nlp", "user": "acme/ann", "key": key, "sha256": SHA, "name": "TOKEN"}
    return {"job": job, "array": array, "schedule": schedule, **whole}


def _routes(cloud: Served) -> list[tuple[str, str]]:
    """(method, path) of every route with the name of something a tenant owns."""
    routes = cloud.app.openapi()["paths"]
    found = [(method, path) for path, methods in routes.items() for method in methods]
    return [(method, path) for method, path in found if set(_parameters(path)) - SHARED]


def _parameters(path: str) -> list[str]:
    return [piece.partition("}")[0] for piece in path.split("{")[1:]]


def _ask(who: Someone, method: str, path: str, names: dict[str, str]) -> int:
    for parameter in _parameters(path):
        path = path.replace(f"{{{parameter}}}", names[parameter])
    body = {"document": {"nodes": 1}} if path.endswith(":change") else {}
    content = {"json": body} if method == "post" else {"content": b"x"} if method == "put" else {}
    return who.client.request(method, path, **content).status_code


def test_every_route_that_names_something_of_a_tenant_answers_404_to_another(cloud: Served, acme: Someone, beta: Someone) -> None:
    names, routes = _names(acme), _routes(cloud)
    assert len(routes) >= 15, "the route table was not read"
    assert {f"{method} {path}": _ask(beta, method, path, names) for method, path in routes} == {
        f"{method} {path}": 404 for method, path in routes
    }


def test_the_owner_gets_something_else_than_404_from_the_same_routes(cloud: Served, acme: Someone) -> None:
    names = _names(acme)
    ends = ("/logs", "/files", ":revoke")
    there = [(method, path) for method, path in _routes(cloud) if method == "get" and not path.endswith(ends)]
    assert {path: _ask(acme, method, path, names) for method, path in there} == {path: 200 for _, path in there}


def test_what_is_not_yours_and_what_does_not_exist_get_the_same_answer(acme: Someone, beta: Someone) -> None:
    theirs = acme.items("/v1/jobs")[0]["id"]
    nobodys = "0" * len(theirs)
    for suffix in ("", "/why", "/attempts", "/logs", "/files"):
        one, other = beta.get(f"/v1/jobs/{theirs}{suffix}").json(), beta.get(f"/v1/jobs/{nobodys}{suffix}").json()
        assert one.pop("detail").replace(theirs, nobodys) == other.pop("detail")
        assert one == other


@pytest.mark.parametrize("noun", ["jobs", "projects", "tenants", "users", "keys", "secrets", "events"])
def test_no_list_tells_of_another_tenant(acme: Someone, beta: Someone, noun: str) -> None:
    assert "acme" not in beta.get(f"/v1/{noun}", limit=500).text
    assert beta.get(f"/v1/{noun}", limit=500).status_code == 200


@pytest.mark.parametrize(
    ("path", "query"),
    [
        ("/v1/jobs", {"project": "acme/nlp"}),
        ("/v1/secrets", {"project": "acme/nlp"}),
        ("/v1/events", {"project": "acme/nlp"}),
        ("/v1/keys", {"user": "acme/ann"}),
    ],
)
def test_a_filter_by_another_tenants_name_is_404(acme: Someone, beta: Someone, path: str, query: dict[str, str]) -> None:
    assert beta.get(path, **query).status_code == 404


def test_creations_in_another_tenant_are_404(acme: Someone, beta: Someone) -> None:
    bodies = {
        "/v1/jobs": {"document": hello(), "project": "acme/nlp"},
        "/v1/jobs:plan": {"document": hello(project="acme/nlp")},
        "/v1/projects": {"tenant": "acme", "name": "mine"},
        "/v1/users": {"tenant": "acme", "name": "spy", "bindings": [{"role": "viewer", "scope": "acme/nlp"}]},
        "/v1/keys": {"user": "acme/ann"},
        "/v1/secrets": {"project": "acme/nlp", "name": "A", "value": "b"},
    }
    assert {path: beta.post(path, body).status_code for path, body in bodies.items()} == dict.fromkeys(bodies, 404)


def test_names_in_two_tenants_do_not_meet(cloud: Served, acme: Someone, beta: Someone) -> None:
    beta.made("/v1/users", {"name": "ann", "tenant": "beta", "bindings": []})
    beta.made("/v1/projects", {"tenant": "beta", "name": "nlp"})
    made = beta.made("/v1/jobs", {"document": hello("acme-job"), "project": "beta/nlp"})
    assert beta.get("/v1/jobs/acme-job").json()["id"] == made["id"]
    assert acme.get("/v1/jobs/acme-job").json()["project"] == "acme/nlp"
    assert cloud.admin.get("/v1/projects/beta/nlp").json()["uid"] != cloud.admin.get("/v1/projects/acme/nlp").json()["uid"]


def test_a_queues_and_a_nodes_figures_leave_others_out(cloud: Served, acme: Someone, beta: Someone) -> None:
    everyones = cloud.admin.items("/v1/queues")[0]["pending"]
    own = acme.items("/v1/queues")[0]["pending"]
    others = beta.items("/v1/queues")[0]["pending"]
    assert everyones >= 1
    assert own == len(acme.items("/v1/jobs", active=True))
    assert own + others == everyones - len(cloud.admin.items("/v1/jobs", project="default/default", active=True))


def test_who_used_a_queue_is_told_to_their_own_tenant_alone(cloud: Served, acme: Someone, beta: Someone) -> None:
    path = f"/v1/queues/{cloud.admin.items('/v1/queues')[0]['name']}/users"
    everyone, seen = cloud.admin.get(path).json(), beta.get(path).json()
    names = {one["user"] for one in everyone["items"]}
    assert acme.id in names and len(names) == everyone["of"] == seen["of"]
    assert {one["user"] for one in seen["items"]} == {name for name in names if name.startswith("beta/")} != names


def test_a_viewer_sees_and_changes_nothing(cloud: Served, acme: Someone) -> None:
    viewer = cloud.user(f"v{uuid4().hex[:6]}", "acme", ("viewer", "acme/nlp"))
    job = acme.items("/v1/jobs")[0]["id"]
    assert viewer.get(f"/v1/jobs/{job}").status_code == 200
    assert viewer.get("/v1/secrets", project="acme/nlp").json()["items"][0]["name"] == "TOKEN"
    refused = {
        f"/v1/jobs/{job}:stop": {},
        "/v1/jobs": {"document": hello(), "project": "acme/nlp"},
        "/v1/secrets": {"project": "acme/nlp", "name": "A", "value": "b"},
        "/v1/projects": {"tenant": "acme", "name": "more"},
        "/v1/users": {"tenant": "acme", "name": "more"},
        "/v1/cloud:apply": {"document": {"kind": "cloud"}, "preview": True},
    }
    answers = {path: viewer.post(path, body).json()["code"] for path, body in refused.items()}
    assert answers == dict.fromkeys(refused, "forbidden")
    assert [user["id"] for user in viewer.items("/v1/users")] == [viewer.id]
    assert "acme/ann" not in viewer.get("/v1/events", limit=500).text


def test_a_member_of_one_project_does_not_see_its_neighbour(cloud: Served, acme: Someone) -> None:
    acme.made("/v1/projects", {"tenant": "acme", "name": "speech"})
    acme.made("/v1/jobs", {"document": hello("speech-job"), "project": "acme/speech"})
    member = cloud.user(f"m{uuid4().hex[:6]}", "acme", ("member", "acme/nlp"))
    assert {project["id"] for project in member.items("/v1/projects")} == {"acme/nlp"}
    assert member.get("/v1/jobs/speech-job").status_code == 404
    assert "speech" not in member.get("/v1/events", limit=500).text


@pytest.mark.parametrize("role", [Role.ADMIN, Role.OPERATOR, Role.FINANCE])
def test_an_owner_cannot_make_anyone_of_the_whole_cloud(acme: Someone, role: Role) -> None:
    inside = {"name": "mallory", "tenant": "acme", "bindings": [{"role": role, "scope": ""}]}
    scoped = {"name": "mallory", "tenant": "acme", "bindings": [{"role": role, "scope": "acme"}]}
    outside = {"name": "mallory", "tenant": None, "bindings": [{"role": role, "scope": ""}]}
    codes = [acme.post("/v1/users", body).json()["code"] for body in (inside, scoped, outside)]
    assert codes == ["outside_tenant", "wrong_scope", "forbidden"]


def test_an_operator_sees_all_and_owns_nothing(cloud: Served, acme: Someone) -> None:
    operator = cloud.user(f"op{uuid4().hex[:6]}", None, ("operator", ""))
    assert {"acme/nlp", "default/default"} <= {project["id"] for project in operator.items("/v1/projects")}
    assert operator.post("/v1/tenants", {"name": "mine"}).json()["code"] == "forbidden"
    assert operator.post("/v1/keys", {"user": "admin"}).json()["code"] == "forbidden"
    assert operator.get("/v1/usage/conservation").status_code == 200
    assert acme.get("/v1/usage/conservation").json()["code"] == "forbidden"


def test_a_revoked_key_and_a_revoked_user_are_refused_at_once(cloud: Served, acme: Someone) -> None:
    someone = cloud.user(f"r{uuid4().hex[:6]}", "acme", ("member", "acme/nlp"))
    second = cloud.someone(someone.id, acme.made("/v1/keys", {"user": someone.id})["key"])
    assert second.get("/v1/whoami").json()["user"] == someone.id
    first = someone.items("/v1/keys")
    assert {key["user"] for key in first} == {someone.id}
    own = next(key for key in first if second.client.headers["authorization"].startswith(f"Bearer {key['prefix']}_"))
    assert someone.made(f"/v1/keys/{own['id']}:revoke")["revoked_us"] is not None
    assert second.get("/v1/whoami").status_code == 401
    assert someone.get("/v1/whoami").status_code == 200
    acme.made(f"/v1/users/{someone.id}:revoke")
    assert someone.get("/v1/whoami").status_code == 401
    assert acme.post("/v1/keys", {"user": someone.id}).status_code == 404


def test_the_last_admin_stays(cloud: Served) -> None:
    assert cloud.admin.post("/v1/users/admin:revoke").json()["code"] == "last_admin"
    other = cloud.user(f"root{uuid4().hex[:6]}", None, ("admin", ""))
    assert cloud.admin.post(f"/v1/users/{other.id}:revoke").status_code == 200


def test_a_route_without_credentials_is_401_except_for_what_watches_the_process(cloud: Served) -> None:
    nobody = cloud.someone("nobody", None)
    short = {parameter: parameter[0] for parameter in ("job", "array", "schedule", "tenant", "project", "user", "key", "name")}
    names = {**short, "sha256": SHA, "noun": "jobs"}
    routes = [(method, path) for path, methods in cloud.app.openapi()["paths"].items() for method in methods]
    open_ones = {path for method, path in routes if _ask(nobody, method, path, names) != 401}
    assert open_ones == {f"/{name}" for name in NAMELESS}


def test_the_home_of_the_cloud_is_its_owners_only(tmp_path: Path) -> None:
    with served(tmp_path / "home"):
        assert (tmp_path / "home" / "client.json").stat().st_mode & 0o077 == 0
