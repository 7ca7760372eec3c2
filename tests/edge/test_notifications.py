"""A job says whom to tell, and they are told, also when they did not listen at first."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tests.edge.living import LivingCloud, living_cloud, wait_until

SMALL = {"cpu": 0.2, "memory": "64MB"}


class Ear(ThreadingHTTPServer):
    """Hears what is posted; refuses the first `deaf` messages."""

    daemon_threads = True

    def __init__(self, deaf: int = 0) -> None:
        self.heard: list[dict[str, Any]] = []
        self.deaf = deaf
        super().__init__(("127.0.0.1", 0), _Hearing)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hook"


class _Hearing(BaseHTTPRequestHandler):
    server: Ear

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        deaf, self.server.deaf = self.server.deaf > 0, self.server.deaf - 1
        if not deaf:
            self.server.heard.append(body)
        self.send_response(503 if deaf else 204)
        self.end_headers()

    def log_request(self, *_: object) -> None:
        """Says nothing: the test reads `heard`."""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    home: Path = tmp_path_factory.mktemp("notify") / "home"
    with living_cloud(home) as cloud:
        yield cloud


def test_start_failure_and_end_are_told_with_what_happened(cloud: LivingCloud) -> None:
    with Ear() as ear:
        notify = {"url": ear.url, "events": ["started", "failed", "finished"]}
        job = cloud.submit(name="told", resources=SMALL, run="exit 9", notify=notify)
        cloud.wait_for_end(job)
        wait_until(lambda: any(told["event"] == "failed" for told in ear.heard), "the failure is told")
        assert [(told["event"], told["job"]) for told in ear.heard] == [("started", job), ("failed", job)]
        failure = next(told for told in ear.heard if told["event"] == "failed")
        assert (failure["exit_code"], failure["state"], failure["name"]) == (9, "FAILED", "told")
        ear.shutdown()


def test_who_refuses_at_first_is_told_again(cloud: LivingCloud) -> None:
    with Ear(deaf=1) as ear:
        job = cloud.submit(name="again", resources=SMALL, run="true", notify={"url": ear.url, "events": ["finished"]})
        wait_until(lambda: ear.heard, "the end is told")
        assert [(told["event"], told["job"]) for told in ear.heard] == [("succeeded", job)]
        ear.shutdown()
