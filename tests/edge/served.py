"""The API as it is served, inside this process: the real object graph over a home of its own, on a real port."""

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from tests.local import until

from xingliu.api.app import create_app
from xingliu.compose.build import Cloud, build
from xingliu.compose.settings import UpSettings
from xingliu.control.services import Services

Json = dict[str, Any]


@dataclass(frozen=True)
class Someone:
    """A user and its client. `id` is the user's."""

    id: str
    client: httpx.Client

    def get(self, path: str, **query: object) -> httpx.Response:
        given = {name: value for name, value in query.items() if value is not None}
        return self.client.get(path, params=given or None)

    def post(self, path: str, body: Mapping[str, object] | None = None, *, once: str | None = None) -> httpx.Response:
        return self.client.post(path, json=dict(body or {}), headers={"Idempotency-Key": once} if once else None)

    def made(self, path: str, body: Mapping[str, object] | None = None, *, once: str | None = None) -> Json:
        """What a creation that must succeed gave."""
        answer = self.post(path, body, once=once)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    def items(self, path: str, **query: object) -> list[Json]:
        answer = self.get(path, **query)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])


class Served:
    """A cloud and the clients of it. Its cycle does not turn: nothing changes that no request asked for."""

    def __init__(self, cloud: Cloud, app: FastAPI, url: str, key: str) -> None:
        self.cloud, self.app, self.url = cloud, app, url
        self._clients: list[httpx.Client] = []
        self.admin = self.someone("admin", key)

    @property
    def services(self) -> Services:
        return self.cloud.services

    @property
    def version(self) -> int:
        """The number of the store's last committed transaction."""
        return next(gauge.value for gauge in self.services.gauges.read() if gauge.name == "xingliu_store_version")

    def someone(self, user: str, key: str | None) -> Someone:
        """A client with that key."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        client = httpx.Client(base_url=self.url, headers=headers, timeout=30)
        self._clients.append(client)
        return Someone(user, client)

    def user(self, name: str, tenant: str | None, *bindings: tuple[str, str]) -> Someone:
        """A new user with a key."""
        wanted = [{"role": role, "scope": scope} for role, scope in bindings]
        made = self.admin.made("/v1/users", {"name": name, "tenant": tenant, "bindings": wanted})
        return self.someone(made["id"], self.admin.made("/v1/keys", {"user": made["id"]})["key"])

    def tenant(self, name: str, *projects: str) -> Someone:
        """A new tenant with those projects; its owner."""
        self.admin.made("/v1/tenants", {"name": name})
        for project in projects:
            self.admin.made("/v1/projects", {"tenant": name, "name": project})
        return self.user("owner", name, ("owner", name))

    def close(self) -> None:
        for client in self._clients:
            client.close()


@contextmanager
def served(home: Path) -> Iterator[Served]:
    home.mkdir(parents=True, exist_ok=True)
    cloud = build(UpSettings(home, port=0, sandbox=False), "http://127.0.0.1", on_lost=lambda: None)
    app = create_app(cloud.services)
    config = uvicorn.Config(app, port=0, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started, "the server's start")
    port = server.servers[0].sockets[0].getsockname()[1]
    key = json.loads((home / "client.json").read_text())["key"]
    found = Served(cloud, app, f"http://127.0.0.1:{port}", key)
    try:
        yield found
    finally:
        found.close()
        server.should_exit = True
        thread.join()
        cloud.close()


def hello(name: str = "hello", **more: object) -> Json:
    """The document of a small job."""
    return {"kind": "job", "name": name, "run": "echo hello", **more}
