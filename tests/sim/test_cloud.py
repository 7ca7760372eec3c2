"""Whole-cloud simulation. A failure names its seed; `./dev sim --seed N` replays it."""

import io
from contextlib import redirect_stdout

import pytest
from tests.sim.seeds import SEEDS

from xingliu.sim.__main__ import report
from xingliu.sim.cloud import SimCloud
from xingliu.sim.faults import CALM_IN


@pytest.mark.parametrize("seed", SEEDS)
def test_every_invariant_holds_after_every_step_and_every_job_ends_as_it_must(seed: int) -> None:
    SimCloud(seed).run()


def test_the_same_seed_tells_the_same_story() -> None:
    stories: list[list[str]] = [[], []]
    for story in stories:
        SimCloud(7, steps=40, tell=story.append).run()
    assert len(stories[0]) > 100
    assert stories[0] == stories[1]


def test_in_calm_most_jobs_end_as_their_scripts_foretell() -> None:
    cloud = SimCloud(10 * CALM_IN)
    cloud.run()
    submitted = len(cloud.requests.submitted)
    assert not cloud.troubles.seen
    assert cloud.processes == 1
    assert 0 < submitted == len(cloud.jobs())
    assert cloud.invariants.foretold > submitted // 4


def test_more_steps_do_not_change_who_lives_in_the_cloud() -> None:
    """A child generator a purpose: a draw in one place does not change what is drawn in another."""
    short, long = SimCloud(11, steps=1), SimCloud(11, steps=200)
    assert short.estate == long.estate
    assert [short.people.wish() for _ in range(20)] == [long.people.wish() for _ in range(20)]


def test_the_report_says_what_happened_in_numbers() -> None:
    cloud = SimCloud(1, steps=5)
    cloud.run()
    with redirect_stdout(io.StringIO()) as said:
        report(cloud)
    assert f"seed 1: every invariant held at each of {cloud.invariants.checked} checks" in said.getvalue()
