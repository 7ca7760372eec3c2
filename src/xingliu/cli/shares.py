"""What was used lately, what was deserved of it, and what is owed, in words."""

from typing import Any

from xingliu.cli.output import table_lines

Json = dict[str, Any]
HEADERS = ("USED", "DESERVED", "OWED")
_HUNDREDTH = 36_000_000_000
"""Of an hour of one whole core or GPU, in milli-units x microseconds."""


def share_cells(of: Json) -> tuple[str, str, str]:
    """Of what all used: `40.0%`, `50.0%`; and `+12.50 GPU-hours of h100`."""
    share = of.get("share")
    if not share:
        return "", "", ""
    sign = "" if abs(share["owed"]) < _HUNDREDTH else "-" if share["owed"] < 0 else "+"
    return _percent(share["used_ppm"]), _percent(share["deserved_ppm"]), sign + _hours(abs(share["owed"]), share["kind"])


def share_fields(of: Json) -> dict[str, str]:
    """The same as lines of one queue: what was used and deserved in hours as well."""
    share = of.get("share")
    if not share:
        return {}
    used, deserved, owed = share_cells(of)
    return {
        "used lately": f"{_hours(share['used'], share['kind'])}, {used} of what all used",
        "deserved": f"{_hours(share['deserved'], share['kind'])}, {deserved}",
        "owed": owed,
    }


def user_lines(users: Json) -> list[str]:
    """A table of the users of a queue, with how many more there are; nothing where nobody used it."""
    items = users["items"]
    if not users["of"]:
        return []
    rows = [(one["user"], *share_cells(one)) for one in items]
    more = users["of"] - len(items)
    return [*(table_lines(("USER", *HEADERS), rows) if rows else []), *([f"... {more} more users"] if more else [])]


def _percent(ppm: int) -> str:
    return f"{ppm // 10_000}.{ppm // 1_000 % 10}%"


def _hours(milli_us: int, kind: str) -> str:
    """`12.50 GPU-hours of h100`."""
    hundredths = milli_us // _HUNDREDTH
    unit, _, flavor = kind.partition(".")
    return f"{hundredths // 100}.{hundredths % 100:02d} {'GPU' if unit == 'gpu' else 'core'}-hours of {flavor}"
