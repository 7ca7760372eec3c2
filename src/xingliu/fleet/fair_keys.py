"""The keys of how turns are shared in an operator file, as data."""

from collections.abc import Mapping
from typing import Any

from xingliu.fleet.model import FairShare
from xingliu.kernel.keytables import Bad, Entry, Key, Table
from xingliu.kernel.quantities import DAY_US, MINUTE_US, duration, exact_duration

LONGEST_US = 365 * DAY_US
DEFAULT = FairShare()


def _check(entry: Entry, read: Mapping[str, Any]) -> None:
    """What is charged at once is forgotten more slowly than it is used up."""
    half_life_us = read.get("half_life", DEFAULT.half_life_us)
    entry_us = read.get("entry", DEFAULT.entry_us)
    if entry_us > half_life_us:
        message = f"an entry of {exact_duration(entry_us)} is longer than the half_life, {exact_duration(half_life_us)}"
        entry.note(message, "Make the entry shorter, or the half_life longer.", step="entry" if "entry" in read else "half_life")
        raise Bad


def _default(us: int | None) -> str:
    return f"default {exact_duration(us or 0)}."


FAIR_SHARE = Table(
    keys=(
        Key(
            "half_life",
            duration(least_us=MINUTE_US, most_us=LONGEST_US),
            f"After so long, what a queue or user held counts for half; {_default(DEFAULT.half_life_us)}",
            "half_life_us",
        ),
        Key(
            "entry",
            duration(most_us=DAY_US),
            f"Who starts is charged for so long at once, so that a burst is seen at once; {_default(DEFAULT.entry_us)}",
            "entry_us",
        ),
        Key(
            "reserve_after",
            duration(most_us=LONGEST_US),
            f"What frees up is kept for a job that has waited so long at its turn; {_default(DEFAULT.reserve_after_us)}",
            "reserve_after_us",
        ),
    ),
    make=FairShare,
    check=_check,
    elsewhere={
        "halflife": "half_life",
        "usage_half_life": "half_life",
        "usagehalflifetime": "half_life",
        "prioritydecayhalflife": "half_life",
        "entry_penalty": "entry",
        "patience": "reserve_after",
    },
)


def show_fair_share(rules: FairShare) -> dict[str, object]:
    """All of them, as a file would say them."""
    return {key.name: key.shape.write(getattr(rules, key.attribute)) for key in FAIR_SHARE.keys if key.attribute}
