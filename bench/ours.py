"""Our own cloud as a bench sees it: a home and port of its own, the `xl` command, and a plain HTTP client."""

import http.client
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

XL = str(Path(sys.executable).with_name("xl"))


class Cloud:
    """A cloud in a folder that is deleted afterwards; use it as a context manager."""

    def __init__(self, *, sandbox: bool = True) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="xl-bench-")
        self.home = Path(self._folder.name) / "home"
        self.env = {**os.environ, "XL_HOME": str(self.home)}
        self._options = () if sandbox else ("--no-sandbox",)

    def xl(self, *argv: str, check: bool = True) -> str:
        done = subprocess.run([XL, *argv], env=self.env, capture_output=True, text=True, check=False)
        if check and done.returncode:
            raise RuntimeError(f"xl {' '.join(argv)}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def up(self) -> None:
        self.xl("up", "--detach", "--port", "0", *self._options)

    def client(self) -> "Client":
        facts = json.loads((self.home / "client.json").read_text())
        return Client(facts["url"], facts["key"])

    def control_pid(self) -> int:
        """The control plane's process: the supervisor's only child of that name."""
        supervisor = json.loads((self.home / "run" / "up.lock").read_text())["pid"]
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        return int(children[0])

    def __enter__(self) -> "Cloud":
        try:
            self.up()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.xl("down", "--stop-jobs", check=False)
        self._folder.cleanup()


class Client:
    """One connection, kept."""

    def __init__(self, url: str, key: str) -> None:
        self._connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
        self._headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}

    def request(self, method: str, path: str, body: Mapping[str, object] | None = None) -> dict[str, object]:
        self._connection.request(method, path, None if body is None else json.dumps(body), self._headers)
        answer = self._connection.getresponse()
        content = json.loads(answer.read() or b"{}")
        if answer.status >= 400:
            raise RuntimeError(f"{method} {path}: {answer.status} {content}")
        return dict(content)

    def submit(self, document: Mapping[str, object]) -> str:
        return str(self.request("POST", "/v1/jobs", {"document": document})["id"])

    def wait(self, job: str, within_s: float = 120.0) -> dict[str, object]:
        """The job once it is over."""
        until = time.monotonic() + within_s
        while time.monotonic() < until:
            found = self.request("GET", f"/v1/jobs/{job}")
            if found["finished_us"] is not None:
                return found
            time.sleep(0.005)
        raise TimeoutError(f"{job} is not over after {within_s} s")
