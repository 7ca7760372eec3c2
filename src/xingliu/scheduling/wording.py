"""How amounts and counts are said in a sentence."""

from collections.abc import Sequence

from xingliu.kernel.units import show_bytes, show_milli
from xingliu.scheduling.room import Amount


def counted(count: int, one: str) -> str:
    """`no node`, `1 node`, `3 nodes`."""
    return f"{count or 'no'} {one if count < 2 else one + 's'}"


def listed(parts: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    return "".join(parts) if len(parts) < 2 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def cores(milli: int) -> str:
    return f"{show_milli(milli)} core{'' if milli == 1000 else 's'}"


def gpus(count: int, model: str | None) -> str:
    return f"{count} {model + ' ' if model else ''}GPU{'' if count == 1 else 's'}"


def amount(of: Amount, model: str | None = None, *, with_gpus: bool) -> str:
    """`8 H100 GPUs, 4 cores and 16 GB`."""
    parts = [cores(of.cpu_milli), show_bytes(of.memory_bytes)]
    return listed([gpus(of.gpus, model), *parts] if with_gpus else parts)


def quota_amount(kind: str, milli: int) -> str:
    """An amount of a quota kind: `8 GPUs of flavor h100`."""
    resource, _, flavor = kind.partition(".")
    said = gpus(milli // 1000, None) if resource == "gpu" else cores(milli)
    return f"{said} of flavor {flavor}"
