"""Names of many nodes at once: `g[0001-1024]`, `n[1-2,5]`."""

import re
from collections.abc import Iterator, Sequence

DIGITS_MAX = 9
_RANGED = re.compile(r"([a-z0-9-]*)\[([0-9,-]{1,400})\]([a-z0-9-]*)\Z")
_PART = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9}))?\Z")
_NUMBERED = re.compile(r"(.*?)([0-9]{1,9})\Z")


def expand(text: str, *, most: int) -> tuple[str, ...] | None:
    """The names `text` stands for, zeros in front kept; None where it is not a range or is more than `most` names."""
    match = _RANGED.match(text)
    if match is None:
        return (text,) if "[" not in text and "]" not in text else None
    names: list[str] = []
    for part in match.group(2).split(","):
        bounds = _PART.match(part)
        if bounds is None:
            return None
        low, high = bounds.group(1), bounds.group(2) or bounds.group(1)
        count = int(high) - int(low) + 1
        if not 1 <= count <= most - len(names):
            return None
        names += [f"{match.group(1)}{number:0{len(low)}d}{match.group(3)}" for number in range(int(low), int(high) + 1)]
    return tuple(names)


def fold(names: Sequence[str]) -> list[str]:
    """The same names in the same order, runs of them as ranges."""
    return [_show_run(run) for run in _runs(names)]


def _runs(names: Sequence[str]) -> Iterator[list[str]]:
    run: list[str] = []
    for name in names:
        if run and name != _next(run[-1]):
            yield run
            run = []
        run.append(name)
    if run:
        yield run


def _next(name: str) -> str | None:
    match = _NUMBERED.match(name)
    if match is None:
        return None
    prefix, digits = match.groups()
    following = f"{int(digits) + 1:0{len(digits)}d}"
    return prefix + following if len(following) <= DIGITS_MAX else None


def _show_run(run: Sequence[str]) -> str:
    first, last = _NUMBERED.match(run[0]), _NUMBERED.match(run[-1])
    if len(run) == 1 or first is None or last is None:
        return run[0]
    return f"{first.group(1)}[{first.group(2)}-{last.group(2)}]"
