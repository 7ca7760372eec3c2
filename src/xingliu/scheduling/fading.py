"""How what was held is forgotten: by half each half-life, in whole numbers.

The weight of an instant doubles every half-life; what was held counts by the weight of when it was held, against that of
now. Weights come from a table of 4,096 steps a half-life with straight lines between them. That is at most 9 in 10**5 off
for a span within one step, less for longer ones. Only differences and ratios of weights are used, so however time is cut
the parts add up, but for what is rounded down: one unit each time.
"""

from dataclasses import dataclass
from math import isqrt

STEPS = 1 << 12
BITS = 64
LN2 = 12_786_308_645_202_655_660
"""The natural logarithm of 2, times 2**BITS."""


def _table() -> tuple[int, ...]:
    """2**(n / STEPS), times 2**BITS; shape (STEPS + 1,)."""
    fine = 2 * BITS
    root = 2 << fine
    for _ in range(STEPS.bit_length() - 1):
        root = isqrt(root << fine)
    found = [1 << fine]
    while len(found) < STEPS:
        found.append(found[-1] * root >> fine)
    return (*(one >> BITS for one in found), 2 << BITS)


_TABLE = _table()


@dataclass(frozen=True, slots=True)
class Fading:
    """Instants are microseconds; `half_life_us` at least 1."""

    half_life_us: int

    def era(self, at_us: int) -> int:
        """How many half-lives have passed since 1970. Weights of one era are compared with each other."""
        return at_us // self.half_life_us

    def weight(self, at_us: int, era: int) -> int:
        """Of an instant, in units in which that of the beginning of `era` is 2**BITS."""
        of, rest_us = divmod(at_us, self.half_life_us)
        step, beyond = divmod(rest_us * STEPS, self.half_life_us)
        low = _TABLE[step]
        found = low + (_TABLE[step + 1] - low) * beyond // self.half_life_us
        return found << of - era if of >= era else found >> era - of

    def faded(self, amount: int, since_us: int, now_us: int) -> int:
        """What is left at `now_us`, not before `since_us`, of what an amount was then."""
        era = self.era(now_us)
        return amount * self.weight(since_us, era) // self.weight(now_us, era)

    def held(self, weighted: int, now_us: int) -> int:
        """What the differences of weights over which something was held, times how much, count for at `now_us`.

        The weights are of the era of `now_us`. Unit: that of what was held, times microseconds.
        """
        return (weighted * self.half_life_us << BITS) // (LN2 * self.weight(now_us, self.era(now_us)))
