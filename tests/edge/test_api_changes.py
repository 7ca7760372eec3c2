"""Change streams: what happens arrives, in order, only to those who may see it, and only as long as they may."""

import json
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
from tests.edge.served import Served, Someone, hello, served
from tests.local import until

from xingliu.api.changes import STREAMS_MAX

ARRIVES_WITHIN_S = 30


@pytest.fixture
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with served(tmp_path_factory.mktemp("cloud")) as found:
        yield found


class Following:
    """The events of one stream, as they arrive."""

    def __init__(self, answer: httpx.Response) -> None:
        self._answer = answer
        self._events: queue.Queue[dict[str, Any] | None] = queue.Queue()
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        found: dict[str, str] = {}
        try:
            for line in self._answer.iter_lines():
                if line and not line.startswith(":"):
                    name, _, value = line.partition(": ")
                    found[name] = value
                elif not line and found:
                    self._events.put({**json.loads(found["data"]), "id": int(found["id"]), "event": found["event"]})
                    found = {}
        except httpx.HTTPError:
            pass  # the test left
        self._events.put(None)

    def next(self) -> dict[str, Any] | None:
        """The next event; None at the stream's end."""
        return self._events.get(timeout=ARRIVES_WITHIN_S)


@contextmanager
def following(who: Someone, noun: str, **query: object) -> Iterator[Following]:
    with who.client.stream("GET", f"/v1/{noun}:changes", params={k: str(v) for k, v in query.items()} or None) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"].startswith("text/event-stream")
        yield Following(answer)


def test_what_happens_arrives_with_its_number_and_type(cloud: Served) -> None:
    with following(cloud.admin, "jobs") as changes:
        made = cloud.admin.made("/v1/jobs", {"document": hello()})
        first = changes.next()
        cloud.admin.made(f"/v1/jobs/{made['id']}:stop")
        second = changes.next()
    assert first is not None and second is not None
    assert [(one["event"], one["subject"], one["id"] == one["seq"]) for one in (first, second)] == [
        ("job.submitted", made["id"], True),
        ("job.cancelled", made["id"], True),
    ]
    assert first["seq"] < second["seq"]


def test_a_stream_goes_on_where_the_last_one_ended(cloud: Served) -> None:
    last = cloud.admin.items("/v1/events", newest_first=True, limit=1)[0]["seq"]
    for number in range(3):
        cloud.admin.made("/v1/tenants", {"name": f"t{number}"})
    with following(cloud.admin, "tenants", after=last) as changes:
        seen = [changes.next(), changes.next(), changes.next()]
    assert [one["subject"] for one in seen if one] == ["t0", "t1", "t2"]
    with following(cloud.admin, "events", after=0) as changes:
        assert [(changes.next() or {})["seq"] for _ in range(last)] == list(range(1, last + 1))


def test_a_stream_is_of_its_noun_only(cloud: Served) -> None:
    with following(cloud.admin, "projects") as changes:
        cloud.admin.made("/v1/tenants", {"name": "other"})
        cloud.admin.made("/v1/projects", {"tenant": "other", "name": "p"})
        found = changes.next()
    assert found is not None and found["event"] == "project.created"


def test_another_tenants_changes_do_not_arrive(cloud: Served) -> None:
    acme, beta = cloud.tenant("acme", "nlp"), cloud.tenant("beta", "vision")
    with following(beta, "events") as changes:
        acme.made("/v1/jobs", {"document": hello("theirs"), "project": "acme/nlp"})
        acme.made("/v1/users", {"name": "ann", "tenant": "acme"})
        cloud.admin.made("/v1/tenants", {"name": "gamma"})
        beta.made("/v1/jobs", {"document": hello("ours"), "project": "beta/vision"})
        found = changes.next()
    assert found is not None and found["facts"]["name"] == "ours"


def test_a_stream_ends_when_its_user_is_revoked(cloud: Served) -> None:
    acme = cloud.tenant("acme", "nlp")
    with following(acme, "events") as changes:
        cloud.admin.made(f"/v1/users/{acme.id}:revoke")
        while changes.next() is not None:
            pass
    assert acme.get("/v1/events:changes").status_code == 401


def test_streams_are_bounded_and_those_that_were_left_are_given_back(cloud: Served) -> None:
    def one_more() -> bool:
        with cloud.admin.client.stream("GET", "/v1/jobs:changes") as answer:
            return answer.status_code == 200

    streams = [cloud.admin.client.stream("GET", "/v1/jobs:changes") for _ in range(STREAMS_MAX)]
    answers = [stream.__enter__() for stream in streams]
    assert {answer.status_code for answer in answers} == {200}
    refused = cloud.admin.get("/v1/jobs:changes")
    assert (refused.status_code, refused.json()["code"]) == (503, "too_many_streams")
    assert cloud.admin.get("/v1/jobs").status_code == 200, "streams must not take the threads that requests need"
    for stream in streams:
        stream.__exit__(None, None, None)
    until(one_more, "a place for one more stream")


def test_a_stream_that_begins_before_this_process_did_reads_the_log(cloud: Served) -> None:
    with following(cloud.admin, "nodes", after=0) as changes:
        found = changes.next()
    assert found is not None and (found["event"], found["facts"]["to"]) == ("node.stepped", "joining")
