"""Blue borrows red's idle node; an urgent job and then red itself need room, and what has to stop for them loses no work."""

from typing import Any

from demo.following import FINAL, Followed
from demo.stage import BLUE, FOLDER, RED, Stage, check_going, cores, wait_for
from demo.telling import bar

Json = dict[str, Any]
SWEEP, URGENT, OWN = "demo-sweep", "demo-urgent", "demo-own"
UPTO = 40_000_000
STEPS = 400
SAVED_WITHIN_S, ROOM_WITHIN_S, END_WITHIN_S = 120, 60, 300


def tell(stage: Stage) -> None:
    """From the sweep that borrows to its end, in its third attempt. Raises CannotGoOn."""
    sweep = submit_sweep(stage)
    wait_until_saved(stage, sweep)
    make_room(stage, sweep, BLUE, URGENT, "urgent")
    wait_until_saved(stage, sweep)
    stage.teller.title("Red takes back what is its own")
    stage.teller.say("The sweep borrows again: it holds blue's node and red's.")
    stage.xl("queue", "tree")
    make_room(stage, sweep, RED, OWN, "normal")
    tell_end(stage, sweep)


# Blue's sweep --------------------------------------------------------------------------------------------------------


def submit_sweep(stage: Stage) -> Followed:
    """The sweep that goes on from an earlier telling, else a new one; running when this returns."""
    teller, client = stage.teller, stage.client(BLUE)
    teller.title("Blue borrows what red leaves")
    going = list(client.pages("/v1/jobs", name=SWEEP, active=True, most=1, **stage.own_project(BLUE)))
    if going:
        teller.say(f"A sweep of an earlier telling goes on, {going[0]['id']}: the story goes on with it.")
        return Followed(client, going[0]["id"])
    teller.say(
        "Each tenant has a queue with one node as its quota. Blue's sweep wants both nodes; it says that it may be stopped "
        "for others, and so it may borrow what red leaves."
    )
    file = {"cpu": cores(stage.cpu_milli), "memory": f"{stage.memory_bytes // 10**6}MB", "workdir": FOLDER}
    stage.xl("run", "-y", str(stage.fill("sweep.yaml", **file)), tenant=BLUE, shown="run -y demo/sweep.yaml")
    sweep = next(iter(client.pages("/v1/jobs", name=SWEEP, most=1, **stage.own_project(BLUE))))["id"]
    return Followed(client, sweep)


def wait_until_saved(stage: Stage, sweep: Followed) -> None:
    """Until a checkpoint of the attempt that runs was seen; or the sweep has ended."""

    def saved() -> bool | None:
        now = sweep.look()
        stage.teller.live(_progress(sweep, now))
        check_going(now)
        mine = [one for one in sweep.attempts() if one["number"] == now["attempt"]]
        return True if now["state"] in FINAL or (now["state"] == "RUNNING" and any(one["saved"] for one in mine)) else None

    wait_for(saved, "the sweep has written a checkpoint", limit_s=SAVED_WITHIN_S)
    last = [one["saved"] for one in sweep.attempts() if one["saved"]]
    if last:
        stage.teller.say(f"Its shim has seen it write a checkpoint: {last[-1]['path']} changed at step {_latest(sweep).saved}.")


# Who needs room ------------------------------------------------------------------------------------------------------


def make_room(stage: Stage, sweep: Followed, tenant: str, name: str, priority: str) -> None:
    """One job for which the sweep has to stop: why it waits, what becomes of the sweep, and that it starts."""
    job = _submit_one(stage, sweep, tenant, name, priority)

    def told() -> Json | None:
        now = job.look()
        stage.teller.live(f"{name} {now['state']}, {_progress(sweep, sweep.look())}")
        check_going(now)
        wait = now.get("wait") or {}
        return now if now["state"] != "PENDING" or wait.get("reason") == "PreemptionInProgress" else None

    if wait_for(told, f"{name} starts or has room made for it", limit_s=ROOM_WITHIN_S)["state"] == "PENDING":
        stage.teller.say("The sweep was told to stop by SIGTERM, and has 10 s to save itself before SIGKILL. Meanwhile:")
        stage.xl("why", job.job, tenant=tenant)
        stage.xl("why", sweep.job, tenant=BLUE)
    _wait_for_start(stage, job)
    stopped = [one for one in sweep.attempts() if one["outcome"] == "PREEMPTED"]
    if not stopped:
        stage.teller.say(f"{name} runs, and nobody had to stop for it.")
        return
    stage.teller.say(f"{name} runs on {_node(job)}. The sweep saved itself, and waits in its old place:")
    stage.xl("why", sweep.job, tenant=BLUE)


def _submit_one(stage: Stage, sweep: Followed, tenant: str, name: str, priority: str) -> Followed:
    """The job of this name that came after the sweep, submitted now unless an earlier telling did."""
    client = stage.client(tenant)
    since_us = sweep.look()["submitted_us"]
    there = list(client.pages("/v1/jobs", name=name, most=1, **stage.own_project(tenant)))
    if there and there[0]["submitted_us"] >= since_us:
        stage.teller.say(f"{name} was submitted in an earlier telling.")
        return Followed(client, there[0]["id"])
    if name == URGENT:
        stage.teller.title("An urgent job needs a node")
        stage.teller.say("Ben has something urgent for the same queue. Before that, the sweep runs and nobody waits:")
        stage.xl("why", sweep.job, tenant=BLUE)
    else:
        stage.teller.say("Now rosa needs red's node. It is her queue's own, so what blue borrowed is taken back:")
    queue = "blue" if tenant == BLUE else "red"
    file = {"name": name, "queue": queue, "priority": priority, "cpu": cores(stage.cpu_milli), "upto": UPTO}
    path = stage.fill("one-node.yaml", **file)
    stage.xl("run", "-y", str(path), tenant=tenant, shown=f"run -y demo/one-node.yaml        ({name}, {priority})")
    return Followed(client, next(iter(client.pages("/v1/jobs", name=name, most=1, **stage.own_project(tenant))))["id"])


def _wait_for_start(stage: Stage, job: Followed) -> None:
    def started() -> bool | None:
        now = job.look()
        stage.teller.live(f"{now['name']} {now['state']}")
        check_going(now)
        return True if now["started_us"] is not None else None

    wait_for(started, "it runs", limit_s=ROOM_WITHIN_S)


def _node(job: Followed) -> str:
    return str(job.attempts()[-1]["node"])


# The end -------------------------------------------------------------------------------------------------------------


def tell_end(stage: Stage, sweep: Followed) -> None:
    """How the sweep's attempts ended and from where each went on."""
    stage.teller.title("The sweep comes back and finishes")

    def over() -> Json | None:
        now = sweep.look()
        stage.teller.live(_progress(sweep, now))
        check_going(now)
        return now if now["state"] in FINAL else None

    job = wait_for(over, "the sweep has ended", limit_s=END_WITHIN_S)
    numbers = sorted({one["number"] for one in sweep.attempts()})
    outcomes = {one["number"]: one["outcome"] for one in sweep.attempts() if one["rank"] == 0}
    rows = [(f"{number}", sweep.at(number).resumed or 0, sweep.at(number).step, outcomes[number]) for number in numbers]
    stage.teller.table(["attempt", "went on from step", "came to step", "ended"], rows)
    restarts = sum(job["restarts"].values())
    stage.teller.say(
        f"Being stopped for others cost it {restarts} of its restarts. Blue's queue now, and the whole story of the sweep:"
        if not restarts
        else f"It was restarted {restarts} times for other reasons. The whole story of the sweep:"
    )
    stage.xl("queue", "tree")
    stage.xl("events", sweep.job, tenant=BLUE)


def _latest(sweep: Followed) -> Any:
    return sweep.at(max(one["number"] for one in sweep.attempts()))


def _progress(sweep: Followed, now: Json) -> str:
    attempt = f", attempt {now['attempt']}" if now["attempt"] > 1 else ""
    step = sweep.at(now["attempt"]).step if now["attempt"] else 0
    return f"{now['name']} {now['state']}{attempt} {bar(step, STEPS)}"
