"""What is asked of jobs that really run: output, files, usage, and a shell in the sandbox."""

import contextlib
import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.edge.living import LivingCloud, living_cloud, wait_until
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from xingliu.cli.client import Client
from xingliu.cli.credentials import Credentials
from xingliu.control.errors import NotRunning

CHATTY = "echo first; echo second >&2; mkdir -p $XL_JOB_DIR/out; echo kept > $XL_JOB_DIR/out/result.txt"
SLEPT_S = "98765.4321"
WAITING = "echo started; while :; do sleep 0.1; done"


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    with living_cloud(tmp_path_factory.mktemp("cloud") / "home") as found:
        yield found


@pytest.fixture(scope="module")
def ended(cloud: LivingCloud) -> str:
    """A job that succeeded."""
    job = cloud.submit(name="chatty", run=CHATTY)
    assert cloud.wait_for_state(job, "SUCCEEDED", "FAILED")["state"] == "SUCCEEDED", cloud.log(job)
    return job


@pytest.fixture
def running(cloud: LivingCloud) -> Iterator[str]:
    """A job that runs until it is stopped."""
    job = cloud.submit(name="waiting", run=WAITING)
    cloud.wait_for_state(job, "RUNNING")
    yield job
    cloud.client.post(f"/v1/jobs/{job}:stop")
    cloud.wait_for_end(job)


@pytest.fixture(scope="module")
def stranger(cloud: LivingCloud) -> str:
    """The key of another tenant's owner."""
    cloud.client.post("/v1/tenants", {"name": "beta"})
    user = cloud.client.post("/v1/users", {"name": "o", "tenant": "beta", "bindings": [{"role": "owner", "scope": "beta"}]})
    return str(cloud.client.post("/v1/keys", {"user": user["id"]})["key"])


def _http(cloud: LivingCloud) -> httpx.Client:
    return httpx.Client(base_url=cloud.client.url, headers=cloud.client.headers(), timeout=30)


def test_a_log_is_read_from_any_offset(cloud: LivingCloud, ended: str) -> None:
    whole = b"first\nsecond\n"
    asked = {"offset=0": (0, whole), "offset=6": (6, b"second\n"), "offset=-7": (6, b"second\n"), "offset=99": (13, b"")}
    asked["offset=2&limit_bytes=3"] = (2, b"rst")
    with _http(cloud) as http:
        answers = {query: http.get(f"/v1/jobs/{ended}/logs?{query}") for query in asked}
        assert http.get(f"/v1/jobs/{ended}/logs", params={"rank": 1}).status_code == 404
        assert http.get(f"/v1/jobs/{ended}/logs", params={"attempt": 2}).status_code == 404
    read = {query: (int(one.headers["x-log-offset"]), one.content) for query, one in answers.items()}
    assert {query: data for query, (_, data) in read.items()} == {query: data for query, (_, data) in asked.items()}
    for query, (offset, data) in read.items():
        assert int(answers[query].headers["x-log-next"]) == offset + len(data)
        assert offset == asked[query][0] or not data


def test_files_of_a_job_come_as_a_tar_and_none_from_outside(cloud: LivingCloud, ended: str) -> None:
    with _http(cloud) as http:
        answer = http.get(f"/v1/jobs/{ended}/files", params={"path": "out"})
        assert answer.headers["content-type"] == "application/x-tar"
        with tarfile.open(fileobj=io.BytesIO(answer.content)) as tar:
            found = {member.name.rpartition("/")[2]: tar.extractfile(member) for member in tar if member.isfile()}
            text = found["result.txt"]
            assert text is not None and text.read() == b"kept\n"
        refused = {
            path: http.get(f"/v1/jobs/{ended}/files", params={"path": path}).json()["code"] for path in ("../..", "/etc", "no")
        }
    assert refused == {"../..": "path_outside", "/etc": "path_outside", "no": "unknown"}


def test_attempts_usage_and_conservation_tell_of_it(cloud: LivingCloud, ended: str) -> None:
    attempt = cloud.attempts(ended)[0]
    assert (attempt["outcome"], attempt["exit_code"], attempt["rank"]) == ("SUCCEEDED", 0, 0)
    billed_us = attempt["ended_us"] - attempt["started_us"]
    row = next(one for one in cloud.client.get("/v1/usage", by="job")["items"] if one["key"] == ended)
    assert row["billed_core_milli_us"] == 1000 * billed_us == row["goodput_milli_us"]
    assert row["core_milli_us"] == 1000 * (attempt["released_us"] - attempt["opened_us"])
    assert row["lost_milli_us"] == row["core_milli_us"] - row["goodput_milli_us"] == sum(row["badput"].values())
    cloud.assert_conserved()


def test_a_shell_runs_in_the_sandbox_until_it_exits(cloud: LivingCloud, running: str) -> None:
    with _attached(cloud, running) as socket:
        socket.send(json.dumps({"command": []}))
        socket.send(json.dumps({"resize": [33, 77]}))
        socket.send(b"stty size; echo $XL_JOB; exit 7\n")
        printed, end = _until_exit(socket)
    assert end == {"exit": 7}
    assert b"33 77" in printed and running.encode() in printed


def test_a_command_is_run_instead_of_a_shell(cloud: LivingCloud, running: str) -> None:
    with _attached(cloud, running) as socket:
        socket.send(json.dumps({"command": ["sh", "-c", "echo here; exit 3"]}))
        printed, end = _until_exit(socket)
    assert (b"here" in printed, end) == (True, {"exit": 3})


def test_a_client_that_leaves_ends_what_it_started(cloud: LivingCloud, running: str) -> None:
    with _attached(cloud, running) as socket:
        socket.send(json.dumps({"command": ["sleep", SLEPT_S]}))
        wait_until(lambda: _commands() >= 1, "the command runs", limit_s=30)
    wait_until(lambda: not _commands(), "the command ends with its client", limit_s=30)
    assert cloud.job(running)["state"] == "RUNNING"


def test_attach_is_refused_with_a_reason(cloud: LivingCloud, running: str, ended: str, stranger: str) -> None:
    with _attached(cloud, ended) as socket:
        socket.send(json.dumps({"command": []}))
        assert json.loads(socket.recv())["code"] == NotRunning.code
    with _attached(cloud, running) as socket:
        socket.send(json.dumps({"something": "else"}))
        assert json.loads(socket.recv())["code"] == "bad_value"
    with _attached(cloud, running, rank=5) as socket:
        socket.send(json.dumps({"command": []}))
        assert json.loads(socket.recv())["status"] == 404
    with _attached(cloud, running, key=stranger) as socket:
        socket.send(json.dumps({"command": []}))
        assert json.loads(socket.recv())["status"] == 404
    with pytest.raises(InvalidStatus) as refused, _attached(cloud, running, key="xlk_no_body"):
        pass
    assert refused.value.response.status_code == 401
    assert json.loads(refused.value.response.body or b"")["code"] == "bad_credentials"


def test_a_node_that_runs_something_is_neither_changed_nor_taken_out(cloud: LivingCloud, running: str) -> None:
    document = cloud.client.get("/v1/cloud")
    (pool,) = document["pools"]
    half = {**document, "pools": [{**pool, "share": {"cpu": 1, "memory": "500MB"}}]}
    other = {**document, "pools": [{**pool, "nodes": "another"}]}
    with _http(cloud) as http:
        for changed in (half, other):
            refused = http.post("/v1/cloud:apply", json={"document": changed}).json()
            assert (refused["code"], running in refused["detail"]) == ("nodes_busy", True)
        labelled = {**document, "pools": [{**pool, "topology": {"rack": "r1"}}]}
        assert http.post("/v1/cloud:apply", json={"document": labelled}).json()["applied"] is True
        drained = http.post(f"/v1/nodes/{pool['nodes']}:drain", json={"reason": "new fan"}).json()
        assert (drained["state"], drained["reason"], drained["jobs"]) == ("draining", "new fan", [running])
        assert http.post(f"/v1/nodes/{pool['nodes']}:resume", json={"reason": "it spins"}).json()["state"] == "ready"
    assert cloud.job(running)["state"] == "RUNNING"
    cloud.assert_conserved()


def test_a_stranger_is_told_nothing_of_a_running_job(cloud: LivingCloud, running: str, stranger: str) -> None:
    found = cloud.client
    theirs = Client(Credentials(found.url, stranger, None, "the test"))
    with httpx.Client(base_url=found.url, headers=theirs.headers()) as http:
        answers = [http.get(f"/v1/jobs/{running}/{what}").status_code for what in ("logs", "files", "attempts", "why")]
        own, queue = http.get("/v1/nodes").json()["items"][0], http.get("/v1/queues").json()["items"][0]
    assert answers == [404] * 4
    assert (own["jobs"], own["in_use"], queue["in_use"], queue["running"]) == ([], {}, {}, 0)
    everyones, queue = found.get("/v1/nodes")["items"][0], found.get("/v1/queues")["items"][0]
    assert (everyones["jobs"], everyones["in_use"]["cpu"], queue["in_use"]["cpu.cpu"], queue["running"]) == (
        [running],
        1000,
        1000,
        1,
    )


def _attached(cloud: LivingCloud, job: str, *, rank: int = 0, key: str | None = None) -> ClientConnection:
    client = cloud.client
    headers = {"Authorization": f"Bearer {key or client.credentials.key}"}
    url = f"{client.url.replace('http', 'ws', 1)}/v1/jobs/{job}/attach?rank={rank}"
    return connect(url, additional_headers=headers, proxy=None)


def _until_exit(socket: ClientConnection) -> tuple[bytes, Any]:
    printed = b""
    try:
        while isinstance(message := socket.recv(timeout=30), bytes):
            printed += message
        return printed, json.loads(message)
    except ConnectionClosed:
        return printed, None


def _commands() -> int:
    """How many processes there are of the command that only these tests run."""
    found = 0
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            found += folder.name.isdigit() and (folder / "cmdline").read_bytes() == b"sleep\0" + SLEPT_S.encode() + b"\0"
    return found
