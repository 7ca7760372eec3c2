"""Red trains on two nodes, all or nothing; blue's short jobs wait; a rank is killed, and the training goes on."""

import os
from collections.abc import Iterator
from typing import Any

from demo.following import FINAL, Followed, kill, rank_processes
from demo.stage import BLUE, FOLDER, RED, Stage, check_going, cores, wait_for
from demo.telling import bar

Json = dict[str, Any]
SHORT = "demo-short"
SHORTS = 6
UPTO = 12_000_000
STEPS, STEPS_SMALL = 240, 2500
START_WITHIN_S, STEP_WITHIN_S, END_WITHIN_S = 60, 180, 600


def tell(stage: Stage) -> None:
    """From the submission of both to the end of both. Raises CannotGoOn."""
    red = submit_gang(stage)
    blue = submit_shorts(stage, red)
    explain_waiting(stage, blue)
    if red.look()["attempt"] == 1:
        wait_for_checkpoint(stage, red)
        kill_a_rank(stage, red)
    tell_restart(stage, red, blue)
    wait_for_all(stage, red, blue)


# Red -----------------------------------------------------------------------------------------------------------------


def submit_gang(stage: Stage) -> Followed:
    """Red's training, submitted now unless an earlier telling's still goes on; running when this returns."""
    teller, client = stage.teller, stage.client(RED)
    file = "count.yaml" if stage.small else "train.yaml"
    teller.title("Red trains on both nodes, all or nothing")
    name = "demo-count" if stage.small else "demo-train"
    going = list(client.pages("/v1/jobs", name=name, active=True, most=1, **stage.own_project(RED)))
    if going:
        job = going[0]["id"]
        teller.say(f"A training of an earlier telling goes on, {job}: the story goes on with it.")
    else:
        what = "two ranks that count words together" if stage.small else "a small transformer, PyTorch DDP on two ranks"
        teller.say(f"The job file asks for two nodes as one gang: {what}. The plan says what will happen, and the list price.")
        path = stage.fill(file, cpu=cores(stage.cpu_milli), memory=f"{stage.memory_bytes // 10**6}MB", workdir=FOLDER)
        stage.xl("run", "-y", str(path), tenant=RED, shown=f"run -y demo/{file}")
        job = next(iter(client.pages("/v1/jobs", name=name, most=1, **stage.own_project(RED))))["id"]
    red = Followed(client, job)
    teller.say(f"It runs {_places(_started(stage, red))}: none of its ranks started before all could.")
    return red


def _started(stage: Stage, red: Followed) -> list[Json]:
    def running() -> list[Json] | None:
        now = red.look()
        waits = f": {now['wait']['sentence']}" if now.get("wait") else ""
        stage.teller.live(f"{now['name']} {now['state']}{waits}")
        check_going(now)
        return red.attempts() if now["state"] == "RUNNING" else None

    return wait_for(running, "the training runs", limit_s=START_WITHIN_S)


def _places(attempts: list[Json]) -> str:
    last = max(one["number"] for one in attempts)
    return " and ".join(f"rank {one['rank']} on {one['node']}" for one in attempts if one["number"] == last)


# Blue ----------------------------------------------------------------------------------------------------------------


def submit_shorts(stage: Stage, red: Followed) -> list[str]:
    """Blue's short jobs, those that are not there yet."""
    teller, client = stage.teller, stage.client(BLUE)
    teller.title("Blue's short jobs wait")
    teller.say("Blue submits a batch of short jobs. Red's gang holds every core, so they wait their turn.")
    since_us = red.look()["submitted_us"]
    there = {
        job["name"]: job["id"]
        for job in client.pages("/v1/jobs", most=100, **stage.own_project(BLUE))
        if job["name"].startswith(SHORT) and job["submitted_us"] >= since_us
    }
    for number in range(1, SHORTS + 1):
        name = f"{SHORT}-{number}"
        if name not in there:
            path = stage.fill("short.yaml", name=name, cpu=cores(min(1000, stage.cpu_milli)), upto=UPTO)
            job = stage.ask("run", "-y", str(path), tenant=BLUE)
            there[name] = job["id"]
            if number == 1:
                teller.command("xl run -y demo/short.yaml        (and so on, six times)", "ben")
    return [there[name] for name in sorted(there)]


def explain_waiting(stage: Stage, blue: list[str]) -> None:
    client = stage.client(BLUE)
    waiting = [found for job in blue if (found := client.get(f"/v1/jobs/{job}"))["state"] == "PENDING"]
    if not waiting:
        stage.teller.say("None of them waits any more.")
        return
    stage.xl("ps", tenant=BLUE)
    stage.teller.say("Every job that waits says why, from the numbers of the last cycle, and when it may start:")
    stage.xl("why", waiting[-1]["id"], tenant=BLUE)


# The kill ------------------------------------------------------------------------------------------------------------


def wait_for_checkpoint(stage: Stage, red: Followed) -> None:
    """Until rank 0 has said that a second checkpoint is on the disk."""
    stage.teller.title("A rank is killed")
    stage.teller.say("Red's job writes a checkpoint every few seconds into its own folder, which outlives its attempts.")

    def saved() -> bool | None:
        now = red.look()
        stage.teller.live(_progress(stage, red, now))
        check_going(now)
        seen = red.at(1)
        return True if now["state"] == "SUCCEEDED" or (seen.saved and seen.step > seen.saved) else None

    wait_for(saved, "the training has written a checkpoint", limit_s=STEP_WITHIN_S)


def kill_a_rank(stage: Stage, red: Followed) -> None:
    """SIGKILL to the process that is rank 1, found through /proc."""
    pids = list(rank_processes(red.job, 1))
    if not pids:
        stage.teller.say("Rank 1 has ended already, so there is nothing to kill.")
        return
    seen = red.at(1)
    stage.teller.say(f"At step {seen.step}, with a checkpoint of step {seen.saved}, rank 1 dies without a word:")
    stage.teller.command(f"kill -9 {pids[0]}", "root" if os.geteuid() == 0 else "you")
    try:
        kill(pids[0])
    except (ProcessLookupError, PermissionError) as error:
        stage.teller.say(f"That did not work ({error.strerror}); the story goes on without it.")


def tell_restart(stage: Stage, red: Followed, blue: list[str]) -> None:
    """How the first attempt ended as one, and from where the next goes on."""

    def resumed() -> bool | None:
        now = red.look()
        stage.teller.live(_progress(stage, red, now))
        check_going(now)
        return True if now["state"] == "SUCCEEDED" or (now["attempt"] > 1 and red.at(now["attempt"]).step) else None

    wait_for(resumed, "the training goes on in a fresh attempt", limit_s=STEP_WITHIN_S)
    attempts = red.attempts()
    last = max(one["number"] for one in attempts)
    if last == 1:
        stage.teller.say("It ended in its first attempt.")
        return
    stage.teller.say(f"The gang ended as one, and attempt {last} began on a fresh port with every rank new:")
    rows = [[f"{one['number']}", one["rank"], one["node"], _how(one)] for one in attempts if one["number"] < last]
    stage.teller.table(["attempt", "rank", "node", "ended"], rows)
    before, after = red.at(last - 1), red.at(last)
    lost = before.step - (after.resumed or 0)
    stage.teller.say(
        f"Attempt {last - 1} had come to step {before.step}; attempt {last} resumed from step {after.resumed or 0}: "
        f"{lost} steps are done again, {after.resumed or 0} are not."
    )
    between = sum(_ended_before(stage, job, min(one["opened_us"] for one in attempts if one["number"] == last)) for job in blue)
    if between:
        stage.teller.say(f"The cores were not idle in between: {between} of blue's jobs ran.")
    stage.xl("events", red.job, tenant=RED)


def _ended_before(stage: Stage, job: str, us: int) -> bool:
    ended_us = stage.client(BLUE).get(f"/v1/jobs/{job}")["finished_us"]
    return ended_us is not None and ended_us <= us


def _how(attempt: Json) -> str:
    how = f"signal {attempt['signal']}" if attempt.get("signal") else f"exit code {attempt.get('exit_code')}"
    return f"{attempt['outcome']}, {how}"


# The end -------------------------------------------------------------------------------------------------------------


def wait_for_all(stage: Stage, red: Followed, blue: list[str]) -> None:
    stage.teller.title("Everything finishes")
    client = stage.client(BLUE)

    def over() -> list[Json] | None:
        now = red.look()
        shorts = [client.get(f"/v1/jobs/{job}") for job in blue]
        done = sum(job["state"] in FINAL for job in shorts)
        stage.teller.live(f"blue {done}/{len(shorts)}, {_progress(stage, red, now)}")
        jobs = [now, *shorts]
        for job in jobs:
            check_going(job)
        return jobs if all(job["state"] in FINAL for job in jobs) else None

    wait_for(over, "all jobs have ended", limit_s=END_WITHIN_S, every_s=0.5)
    for tenant in _tenants(stage):
        stage.xl("ps", "-a", "--limit", str(SHORTS + 1 if tenant == BLUE else 1), tenant=tenant)


def _tenants(stage: Stage) -> Iterator[str]:
    yield from (RED, BLUE) if stage.keys else ("",)


def _progress(stage: Stage, red: Followed, now: Json) -> str:
    seen = red.at(now["attempt"])
    total = STEPS_SMALL if stage.small else STEPS
    attempt = f", attempt {now['attempt']}" if now["attempt"] > 1 else ""
    return f"{now['name']} {now['state']}{attempt} {bar(seen.step, total)} {seen.told}"
