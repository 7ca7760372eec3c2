"""Where every core-second went: by tenant at list price, goodput and lost time with its causes, and the conservation law."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from demo.stage import BLUE, PROJECT, RED, Stage, wait_for

from xingliu.kernel.money import show_money

Json = dict[str, Any]
MILLI_SECOND = 10**9


def tell(stage: Stage) -> None:
    """The closing table, from the API's answers alone."""
    stage.teller.title("Where every second went")
    since_us = story_began_us(stage)
    since = datetime.fromtimestamp(since_us / 10**6, UTC).isoformat(timespec="seconds")
    rows = tenants_usage(stage, since_us)
    if not rows:
        stage.teller.say("Neither of the demo's tenants has held anything yet; `./dev demo` tells the story from the start.")
        return
    stage.teller.say("Leases are metered from the shims' own records, to the microsecond, and priced at the flavor's list price:")
    stage.teller.command(f"xl usage --by tenant --since {since}")
    _show_usage(stage, rows)
    _show_causes(stage, rows)
    _show_conservation(stage)


def story_began_us(stage: Stage) -> int:
    """When the last gang was submitted, which is where the last story began; 0 without one."""
    client = stage.client()
    submitted = [
        job["submitted_us"]
        for name in ("demo-train", "demo-count")
        for job in client.pages("/v1/jobs", name=name, most=1)
        if job["project"].endswith(f"/{PROJECT}") or not stage.keys
    ]
    return max(submitted, default=0) // 10**6 * 10**6


def tenants_usage(stage: Stage, since_us: int) -> list[Json]:
    """The demo's tenants' rows, once nothing of theirs is leased any more; all others' are left out."""
    found = stage.client().get("/v1/usage", by="tenant", since_us=since_us)
    return [{**row, "currency": found["currency"]} for row in found["items"] if row["key"] in (RED, BLUE) or not stage.keys]


def _show_usage(stage: Stage, rows: list[Json]) -> None:
    gpus = any(row["gpu_milli_us"] for row in rows)
    what = ("gpu", "GPU-seconds") if gpus else ("core", "core-seconds")
    rows = [*rows, _sum(rows)]
    stage.teller.table(
        ["tenant", f"leased {what[1]}", "billed", "goodput", "lost", "list price"],
        [
            (
                row["key"],
                seconds(row[f"{what[0]}_milli_us"]),
                seconds(row[f"billed_{what[0]}_milli_us"]),
                seconds(row["goodput_milli_us"]),
                seconds(row["lost_milli_us"]),
                show_money(row["list_price_minor"], row["currency"]),
            )
            for row in rows
        ],
    )


def _sum(rows: list[Json]) -> Json:
    amounts = [name for name, value in rows[0].items() if isinstance(value, int)]
    return {"key": "together", "currency": rows[0]["currency"], **{name: sum(row[name] for row in rows) for name in amounts}}


def _show_causes(stage: Stage, rows: list[Json]) -> None:
    stage.teller.say("Lost is all leased time that did not move the work forward, each second with its cause:")
    causes = [(row["key"], cause, seconds(amount)) for row in rows for cause, amount in row["badput"].items() if amount]
    stage.teller.table(["tenant", "cause", "lost"], causes or [("-", "nothing", seconds(0))])


def _show_conservation(stage: Stage) -> None:
    stage.teller.say("The conservation law: each core at each instant is in exactly one class, so the classes are the capacity.")
    stage.teller.command("xl usage --conservation")

    def asked() -> Json | None:
        return stage.client().get("/v1/usage/conservation")

    found = wait_for(asked, "the cloud answers", limit_s=30)
    for pool in found["pools"]:
        shown = " + ".join(f"{name} {seconds(amount)}" for name, amount in _positive(pool["classes"]))
        parts = ", ".join(f"{name} {seconds(amount)}" for name, amount in _positive(pool["leased_as"]))
        unit = "core" if pool["kind"] == "cpu" else pool["kind"]
        stage.teller.output(f"pool {pool['pool']}: {shown} = capacity {seconds(pool['capacity'])} {unit}-seconds")
        stage.teller.output(f"  leased: {parts or 'nothing'}; difference {pool['difference']}")
    holds = "It holds, to the microsecond." if found["holds"] else "It does NOT hold: this is a defect, please report it."
    stage.teller.say(holds)


def _positive(amounts: Mapping[str, int]) -> list[tuple[str, int]]:
    return [(name, amount) for name, amount in amounts.items() if amount]


def seconds(milli_us: int) -> str:
    """Milli-units x microseconds as seconds of one whole unit, one digit, rounded half up."""
    tenths = (milli_us * 10 + MILLI_SECOND // 2) // MILLI_SECOND
    return f"{tenths // 10:,}.{tenths % 10}"
