"""What was held lately: forgotten by half each half-life, charged ahead, and the same however it is added up."""

import math
from dataclasses import replace
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from xingliu.fleet.model import FairShare
from xingliu.kernel.ids import QueueName, UserId
from xingliu.kernel.quantities import DAY_US, HOUR_US, MINUTE_US
from xingliu.kernel.resources import Resources
from xingliu.scheduling.fading import STEPS, Fading
from xingliu.scheduling.model import Used
from xingliu.scheduling.uses import Uses, closed

NOW_US = 1_700_000_000_000_000
LAB = QueueName("lab")
ADA, BOB = (LAB, UserId("acme/ada")), (LAB, UserId("acme/bob"))
GPU = Resources({"gpu.h100": 1000})
RULES = FairShare(half_life_us=DAY_US, entry_us=10 * MINUTE_US)
HALF_LIVES = st.sampled_from([HOUR_US, 7 * DAY_US, 365 * DAY_US])
SPANS = st.integers(0, 100 * DAY_US)


def nothing(at_us: int = NOW_US) -> Used:
    return Used(*ADA, Resources(), at_us)


def gpu_of(used: tuple[Used, ...], who: tuple[QueueName, UserId] = ADA) -> int:
    return sum(one.amounts["gpu.h100"] for one in used if (one.queue, one.user) == who)


# Fading ---------------------------------------------------------------------------------------------------------------


@given(HALF_LIVES, SPANS, st.integers(0, 10**30), st.integers(0, 70))
def test_after_each_half_life_half_is_left(half_life_us: int, since_us: int, amount: int, halvings: int) -> None:
    left = Fading(half_life_us).faded(amount, since_us, since_us + halvings * half_life_us)
    assert left == amount >> halvings


@given(HALF_LIVES, SPANS, st.integers(0, 10**30), st.lists(SPANS, min_size=1, max_size=5))
def test_fading_in_steps_is_fading_at_once_but_for_one_unit_a_step(
    half_life_us: int, since_us: int, amount: int, steps: list[int]
) -> None:
    fading = Fading(half_life_us)
    instants = [since_us, *(since_us + at_us for at_us in sorted(steps))]
    left = amount
    for before_us, after_us in pairwise(instants):
        left = fading.faded(left, before_us, after_us)
    at_once = fading.faded(amount, instants[0], instants[-1])
    assert 0 <= at_once - left <= len(steps)
    assert 0 <= at_once <= amount


@given(st.sampled_from([MINUTE_US, DAY_US, 365 * DAY_US]), st.integers(0, 10**7), st.integers(0, 10**7))
def test_weights_are_nearly_those_of_the_exponential(half_life_us: int, first: int, more: int) -> None:
    """To 6 in 10**9 for an amount that fades; to 9 in 10**5 for what something counts for that is held."""
    fading, now_us = Fading(half_life_us), NOW_US
    span_us = half_life_us * (first + more + 1) // 10**6
    exact = math.exp2(-span_us / half_life_us)
    whole = 10**18
    assert abs(fading.faded(whole, now_us - span_us, now_us) - whole * exact) <= 6e-9 * whole * exact + 1
    era = fading.era(now_us)
    weight = fading.weight(now_us, era) - fading.weight(now_us - span_us, era)
    held = half_life_us / math.log(2) * (1 - exact)
    assert abs(fading.held(1000 * weight, now_us) - 1000 * held) <= 9e-5 * 1000 * held + 1


def test_the_weight_of_an_instant_always_grows() -> None:
    fading = Fading(7 * DAY_US)
    instants = [NOW_US + step * 7 * DAY_US // STEPS + beyond for step in range(2 * STEPS) for beyond in (-1, 0, 1)]
    weights = [fading.weight(at_us, fading.era(NOW_US)) for at_us in instants]
    assert all(before < after for before, after in pairwise(weights))


# What was held --------------------------------------------------------------------------------------------------------

LEASES = st.lists(st.tuples(st.integers(0, 30 * DAY_US), st.integers(0, 3 * DAY_US), st.integers(1, 64)), min_size=1, max_size=8)


@given(LEASES, st.randoms(use_true_random=False), HALF_LIVES)
def test_what_is_on_record_does_not_depend_on_who_let_go_first(
    leases: list[tuple[int, int, int]], dice: object, half_life_us: int
) -> None:
    rules = FairShare(half_life_us=half_life_us)
    shuffled = list(leases)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    found = []
    for order in (leases, shuffled):
        used = nothing()
        for since_us, span_us, gpus in order:
            used = closed(used, GPU * gpus, NOW_US + since_us, NOW_US + since_us + span_us, rules)
        found.append(used)
    assert found[0].as_of_us == found[1].as_of_us
    assert abs(found[0].amounts["gpu.h100"] - found[1].amounts["gpu.h100"]) <= 2 * len(leases)


@given(LEASES)
def test_of_those_who_let_go_at_once_the_order_does_not_matter_at_all(leases: list[tuple[int, int, int]]) -> None:
    end_us = NOW_US + 40 * DAY_US
    found = []
    for order in (leases, leases[::-1]):
        used = Used(*ADA, GPU * 10**9, NOW_US)
        for since_us, _, gpus in order:
            used = closed(used, GPU * gpus, NOW_US + since_us, end_us, RULES)
        found.append(used)
    assert found[0] == found[1]


@given(LEASES, st.integers(0, 40 * DAY_US), HALF_LIVES)
def test_the_account_that_runs_is_the_record_at_the_instant_of_release(
    leases: list[tuple[int, int, int]], after_us: int, half_life_us: int
) -> None:
    """However often it is read meanwhile, and whatever else is held; entries come back with what is released early."""
    rules = FairShare(half_life_us=half_life_us)
    uses = Uses(rules)
    events = sorted(
        [(since_us, 0, key) for key, (since_us, _, _) in enumerate(leases)]
        + [(since_us + span_us, 1, key) for key, (since_us, span_us, _) in enumerate(leases)]
    )
    used = nothing()
    for at_us, ends, key in events:
        since_us, _, gpus = leases[key]
        if ends:
            uses.close(key, NOW_US + at_us)
            used = closed(used, GPU * gpus, NOW_US + since_us, NOW_US + at_us, rules)
        else:
            uses.open(key, ADA, GPU * gpus, NOW_US + at_us)
        assert all(amount > 0 for one in uses.now(NOW_US + at_us) for amount in one.amounts.values())
    end_us = NOW_US + events[-1][0] + after_us
    left = Fading(half_life_us).faded(used.amounts["gpu.h100"], used.as_of_us, end_us)
    assert abs(gpu_of(uses.now(end_us)) - left) <= 1


@given(LEASES, st.lists(SPANS, max_size=4), SPANS)
def test_reading_in_between_changes_nothing(leases: list[tuple[int, int, int]], readings: list[int], at_us: int) -> None:
    def filled() -> Uses:
        uses = Uses(RULES, [Used(*BOB, GPU * 10**9, NOW_US - DAY_US)])
        for key, (since_us, _, gpus) in enumerate(leases):
            uses.open(key, ADA, GPU * gpus, NOW_US + since_us)
        return uses

    read = filled()
    for reading_us in readings:
        read.now(NOW_US + reading_us)
    assert read.now(NOW_US + at_us) == filled().now(NOW_US + at_us)


def test_who_starts_is_charged_at_once_and_no_more_until_that_is_used_up() -> None:
    uses = Uses(RULES)
    uses.open("lease", ADA, GPU, NOW_US)
    readings = [gpu_of(uses.now(NOW_US + minutes * MINUTE_US)) for minutes in (0, 9, 20)]
    at_first, before, after = (round(reading / (1000 * MINUTE_US), 1) for reading in readings)
    assert (at_first, before, after) == (10.0, 10.0, 19.9)


def test_what_was_charged_ahead_comes_back_with_what_ends_sooner() -> None:
    uses = Uses(RULES)
    uses.open("lease", ADA, GPU, NOW_US)
    uses.close("lease", NOW_US + MINUTE_US)
    assert round(gpu_of(uses.now(NOW_US + MINUTE_US)) / (1000 * MINUTE_US), 2) == 1.0


def test_a_record_of_one_who_holds_nothing_fades_and_vanishes() -> None:
    uses = Uses(RULES, [Used(*ADA, GPU * HOUR_US, NOW_US)])
    assert gpu_of(uses.now(NOW_US + 3 * DAY_US)) == 1000 * HOUR_US // 8
    assert uses.now(NOW_US + 100 * DAY_US) == ()


def test_other_rules_hold_for_what_was_held_before_too() -> None:
    uses, strict = Uses(RULES), replace(RULES, entry_us=0, half_life_us=HOUR_US)
    uses.open("lease", ADA, GPU, NOW_US)
    uses.record(Used(*BOB, GPU * HOUR_US, NOW_US))
    uses.now(NOW_US)
    uses.obey(strict)
    anew = Uses(strict, [Used(*BOB, GPU * HOUR_US, NOW_US)])
    anew.open("lease", ADA, GPU, NOW_US)
    assert uses.now(NOW_US + HOUR_US) == anew.now(NOW_US + HOUR_US)
