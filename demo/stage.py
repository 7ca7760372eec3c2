"""What every chapter stands on: a cloud that is up, two nodes, two tenants, and the `xl` command."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any, TypeVar

from demo.environment import ensure_torch
from demo.following import FINAL
from demo.telling import Teller

from xingliu.cli.client import Client
from xingliu.cli.credentials import Credentials
from xingliu.cli.errors import ApiProblem, CloudUnreachable, NotACloud

Json = dict[str, Any]
T = TypeVar("T")
FOLDER = Path(__file__).resolve().parent
XL = Path(sys.executable).with_name("xl")
RED, BLUE = "demo-red", "demo-blue"
USERS = {RED: "rosa", BLUE: "ben"}
PROJECT = "lab"
POOL = "demo"
MEMORY_BYTES = 1_500_000_000
MEBI = 2**20


class CannotGoOn(Exception):
    """The demo ends here; the message says why and what to do."""


@dataclass
class Stage:
    """One telling of the demo.

    Attributes:
        small: without torch, in under a minute.
        keys: of the tenants' users; a tenant without one acts as the admin (a cloud for a single tenant).
        cpu_milli, memory_bytes: what a rank of the gang asks for: a whole node's cores.
        multi_tenant: whether the cloud keeps tenants' files and processes apart.
    """

    teller: Teller
    home: Path
    small: bool
    python: Path | None = None
    keys: dict[str, str] = field(default_factory=dict)
    cpu_milli: int = 1000
    memory_bytes: int = MEMORY_BYTES
    multi_tenant: bool = True
    _clients: dict[Credentials, Client] = field(default_factory=dict)

    # The cloud -----------------------------------------------------------------------------------------------------

    @property
    def files(self) -> Path:
        """Where the demo keeps its keys and the files it filled in."""
        return self.home / "demo"

    def client(self, tenant: str = "") -> Client:
        """Asks as the tenant's user, else as the admin, wherever the cloud is now."""
        found = json.loads((self.home / "client.json").read_text())
        credentials = Credentials(found["url"], self.keys.get(tenant) or found["key"], found.get("ca"), "the demo")
        return self._clients.setdefault(credentials, Client(credentials))

    def run(self, *words: str, tenant: str = "", shown: str = "", told: bool = True) -> subprocess.CompletedProcess[str]:
        """Run `xl WORDS`, after showing it; `shown` is how a person would write the words."""
        if told:
            self.teller.command(f"xl {shown or ' '.join(words)}", USERS.get(tenant, "") if tenant in self.keys else "")
        env = {name: value for name, value in os.environ.items() if name not in ("XL_URL", "XL_KEY")}
        env["XL_HOME"] = str(self.home)
        if tenant in self.keys:
            env["XL_KEY"] = self.keys[tenant]
        return subprocess.run([str(XL), *words], env=env, capture_output=True, text=True, check=False)

    def xl(self, *words: str, tenant: str = "", shown: str = "") -> str:
        """What `xl WORDS` printed, shown too. Raises CannotGoOn."""
        done = self.run(*words, tenant=tenant, shown=shown)
        self.teller.output(done.stdout + done.stderr)
        if done.returncode:
            raise CannotGoOn(f"`xl {shown or ' '.join(words)}` failed; what it said stands above.")
        return done.stdout

    def ask(self, *words: str, tenant: str = "") -> Any:
        """What `xl WORDS --json` printed, unseen. Raises CannotGoOn."""
        done = self.run(*words, "--json", tenant=tenant, told=False)
        if done.returncode:
            raise CannotGoOn(f"`xl {' '.join(words)}` failed: {done.stdout or done.stderr}")
        return json.loads(done.stdout)

    def own_project(self, tenant: str) -> dict[str, str]:
        """What narrows a list to the tenant's jobs, where tenants are kept apart."""
        return {"project": f"{tenant}/{PROJECT}"} if tenant in self.keys else {}

    def fill(self, file: str, **values: object) -> Path:
        """A file of the demo with its blanks filled in."""
        self.files.mkdir(exist_ok=True, mode=0o700)
        path = self.files / file
        path.write_text(Template((FOLDER / file).read_text()).substitute({key: str(value) for key, value in values.items()}))
        return path


# Setting it ----------------------------------------------------------------------------------------------------------


def set_stage(stage: Stage) -> None:
    """Everything a chapter needs; what is there already stays. Raises CannotGoOn."""
    if not stage.small:
        stage.python = ensure_torch(stage.teller.say)
    stage.teller.title("A cloud on this machine")
    bring_up(stage)
    split_machine(stage)
    invite_tenants(stage)


def bring_up(stage: Stage) -> None:
    """A cloud in the home that answers: the one that is up, else a new one, on another port if its own is taken."""
    try:
        who = stage.client().get("/v1/whoami")
    except (OSError, ValueError, KeyError, ApiProblem, CloudUnreachable, NotACloud):
        _start(stage)
        who = stage.client().get("/v1/whoami")
    else:
        stage.teller.say(f"A cloud is up in {stage.home}, at {stage.client().url}: it is used as it is.")
    stage.multi_tenant = bool(who["cloud"]["multi_tenant"])
    if not stage.multi_tenant:
        stage.teller.say(
            "It was not started by root, so every job runs as you: red and blue are kept apart in the accounts, but not from "
            "each other's files. As root they would be."
        )


def _start(stage: Stage) -> None:
    stage.teller.say("One command turns this machine into a cloud; it needs no configuration.")
    done = stage.run("up", "--detach")
    if done.returncode and "is taken" in done.stderr:
        stage.teller.output(done.stderr)
        stage.teller.say("Another program has that port, so the cloud takes any that is free.")
        done = stage.run("up", "--detach", "--port", "0")
    stage.teller.output(done.stdout + done.stderr)
    if done.returncode and "already up" not in done.stderr:
        raise CannotGoOn("The cloud did not start; what it said stands above.")


def own_cloud(stage: Stage, why: str) -> None:
    """Leave the user's cloud alone and go on in another one."""
    other = stage.home.with_name(stage.home.name + "-demo")
    stage.teller.say(f"{why} The demo leaves that cloud as it is and makes one of its own in {other}.")
    stage.home = other
    bring_up(stage)


def split_machine(stage: Stage) -> None:
    """Two emulated nodes with a price, by an operator file. Raises CannotGoOn."""
    document = stage.ask("cloud", "show")
    touched = next(stage.client().pages("/v1/events", type="cloud.applied", most=1), None) is not None
    if touched and any(pool["name"] != POOL for pool in document.get("pools", [])):
        own_cloud(stage, "An operator file of yours is in force here.")
        touched, document = False, stage.ask("cloud", "show")
    path = _cloud_file(stage, document)
    preview = stage.run("apply", "--preview", "--json", str(path), told=False)
    if preview.returncode and not touched:
        own_cloud(stage, f"The machine cannot be split now: {_detail(preview.stdout)}.")
        path = _cloud_file(stage, stage.ask("cloud", "show"))
    stage.teller.say("An operator file splits the machine into two emulated nodes and gives them a list price.")
    stage.xl("apply", "-y", str(path), shown="apply -y demo/cloud.yaml")
    _wait_until_ready(stage)
    stage.xl("node", "ls")


def _detail(problem: str) -> str:
    try:
        return str(json.loads(problem).get("detail", "")).rstrip(".")
    except ValueError:
        return problem.strip()


def _cloud_file(stage: Stage, document: Json) -> Path:
    share = next((pool["share"] for pool in document.get("pools", []) if pool["name"] == POOL), None)
    interpreters = dict(document.get("interpreters", {}))
    if stage.python is not None:
        interpreters["torch"] = str(stage.python)
    if share is None:
        nodes = [node for node in stage.ask("node", "ls") if node["state"] != "retired"]
        whole = {kind: max(node["capacity"].get(kind, 0) for node in nodes) for kind in ("cpu", "memory")}
        share = {"cpu": f"{whole['cpu'] // 2 / 1000:g}", "memory": f"{whole['memory'] // 2 // MEBI}MiB"}
    return stage.fill("cloud.yaml", **share, interpreters=json.dumps(interpreters))


def _wait_until_ready(stage: Stage) -> None:
    def ready() -> list[Json] | None:
        nodes = [node for node in stage.client().pages("/v1/nodes") if node["pool"] == POOL and node["state"] != "retired"]
        states = ", ".join(f"{node['name']} {node['state']}" for node in nodes)
        stage.teller.live(f"waiting for the nodes: {states}")
        if any(node["state"] in ("draining", "drained", "unhealthy", "down") for node in nodes):
            raise CannotGoOn(f"The demo's nodes cannot be used now ({states}); `xl node ls` says why.")
        return nodes if nodes and all(node["state"] == "ready" for node in nodes) else None

    nodes = wait_for(ready, "the nodes become ready", limit_s=30)
    stage.cpu_milli = min(node["capacity"]["cpu"] for node in nodes)
    stage.memory_bytes = min(MEMORY_BYTES, *(node["capacity"]["memory"] for node in nodes))


def invite_tenants(stage: Stage) -> None:
    """Two tenants, each with a project, a user and a key. Those that are there stay."""
    stage.teller.title("Two tenants")
    what = "jobs, files or processes" if stage.multi_tenant else "jobs"
    stage.teller.say(f"Red and blue are invoiced apart, and neither sees the other's {what}.")
    known = _kept_keys(stage)
    for tenant, user in USERS.items():
        _create(stage, "tenant", "create", tenant)
        _create(stage, "project", "create", f"{tenant}/{PROJECT}")
        _create(stage, "user", "create", user, "--tenant", tenant, "--role", f"member:{tenant}/{PROJECT}")
        if known.get(tenant) is None:
            made = stage.run("key", "create", f"{tenant}/{user}", "--json", shown=f"key create {tenant}/{user}")
            if made.returncode:
                raise CannotGoOn(f"No key could be made for {user}: {made.stdout or made.stderr}")
            known[tenant] = json.loads(made.stdout)["key"]
            stage.teller.output("(shown once; the demo keeps it beside the admin's)")
            _keep_keys(stage, known)
    stage.keys = known


def _create(stage: Stage, *words: str) -> None:
    done = stage.run(*words, "--json", shown=" ".join(words))
    problem = json.loads(done.stdout) if done.returncode and done.stdout.startswith("{") else {}
    if done.returncode and problem.get("code") != "already_exists":
        raise CannotGoOn(f"`xl {' '.join(words)}` failed: {done.stdout or done.stderr}")
    if done.returncode:
        stage.teller.output("is there already")


def _kept_keys(stage: Stage) -> dict[str, str]:
    """Keys of an earlier telling that still work."""
    try:
        kept: Mapping[str, str] = json.loads((stage.files / "keys.json").read_text())
    except (OSError, ValueError):
        return {}
    working = {}
    for tenant, key in kept.items():
        stage.keys = {tenant: key}
        try:
            stage.client(tenant).get("/v1/whoami")
        except ApiProblem:
            continue
        working[tenant] = key
    stage.keys = {}
    return working


def _keep_keys(stage: Stage, keys: Mapping[str, str]) -> None:
    stage.files.mkdir(exist_ok=True, mode=0o700)
    new = stage.files / "keys.new"
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(keys, file)
    new.replace(stage.files / "keys.json")


# Waiting -------------------------------------------------------------------------------------------------------------


def check_going(job: Json) -> None:
    """Raises CannotGoOn for a job that ended in another way than well."""
    if job["state"] in FINAL and job["state"] != "SUCCEEDED":
        raise CannotGoOn(f"{job['name']} {job['state']}: {job['message']}. Its story: `xl events {job['id']}`.")


def cores(milli: int) -> str:
    return f"{milli / 1000:g}"


def wait_for(look: Callable[[], T | None], what: str, *, limit_s: float, every_s: float = 0.3) -> T:
    """What `look` gives once it is not None; a cloud that does not answer for a moment is asked again. Raises CannotGoOn."""
    until = time.monotonic() + limit_s
    while True:
        try:
            found = look()
        except CloudUnreachable:
            found = None
        if found is not None:
            return found
        if time.monotonic() > until:
            raise CannotGoOn(f"After {limit_s:.0f} s it is not so that {what}. Look with `xl ps` and `xl node ls`.")
        time.sleep(every_s)
