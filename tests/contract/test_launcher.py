"""What control may rely on, of every launcher."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Event

import pytest
from tests.contract.launchers import KINDS, Part, Play, Stage, make_stage

from xingliu.control.ports import DesiredReplica, Stop
from xingliu.kernel.ids import LeaseId, NodeName
from xingliu.workloads.records import Phase, ReplicaRecord

FIRST, SECOND = "j1.main.0.1", "j2.main.0.1"
SECOND_US = 1_000_000


@pytest.fixture(params=KINDS)
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Stage]:
    with make_stage(request.param, tmp_path) as stage:
        yield stage


@pytest.fixture
def play(stage: Stage) -> Play:
    return Play(stage)


def stopping(play: Play, lease: str, signal: str, *, kill_after_us: int) -> None:
    play.want(replace(play.wanted[lease], stop=Stop(signal, play.stage.now_us() + kill_after_us)))


def test_a_replica_ends_with_its_exit_code(play: Play) -> None:
    play.start(FIRST, Part.SUCCEEDS)
    play.start(SECOND, Part.FAILS)
    assert play.end(FIRST).exit_code == 0
    assert play.end(SECOND).exit_code == 3
    assert {play.end(lease).signal for lease in (FIRST, SECOND)} == {None}


def test_instants_are_in_order(play: Play) -> None:
    before_us = play.stage.now_us()
    play.start(FIRST, Part.SUCCEEDS)
    record = play.end(FIRST)
    assert record.started_us is not None
    assert record.ended_us is not None
    assert record.empty_us is not None
    assert before_us <= record.started_us <= record.ended_us <= record.empty_us <= play.stage.now_us()


def test_one_that_was_never_asked_for_has_no_record(play: Play) -> None:
    assert play.stage.launcher.observe([LeaseId(FIRST)]) == []


def test_asking_again_starts_nothing_again(play: Play) -> None:
    play.start(FIRST, Part.STAYS)
    for _ in range(5):
        play.ensure()
    play.stage.restart()
    for _ in range(5):
        play.ensure()
    assert play.stage.starts(FIRST) == 1


def test_one_that_ended_is_not_started_again_however_it_is_asked_for(play: Play) -> None:
    play.start(FIRST, Part.SUCCEEDS)
    play.end(FIRST)
    play.ensure()
    play.stage.restart()
    play.ensure()
    wanted = play.wanted.pop(FIRST)
    play.ensure()
    play.want(wanted)
    assert play.end(FIRST).exit_code == 0
    assert play.stage.starts(FIRST) == 1


def test_one_that_is_not_named_any_more_is_killed(play: Play) -> None:
    play.start(FIRST, Part.IS_DEAF)
    play.start(SECOND, Part.STAYS)
    del play.wanted[FIRST]
    record = play.end(FIRST)
    assert record.signal == 9
    unharmed = play.record(SECOND)
    assert unharmed is not None
    assert unharmed.phase is Phase.RUNNING


def test_a_stop_sends_its_signal(play: Play) -> None:
    play.start(FIRST, Part.STAYS)
    stopping(play, FIRST, "SIGTERM", kill_after_us=60 * SECOND_US)
    assert play.end(FIRST).signal == 15


def test_one_that_does_not_end_when_asked_is_killed_after_the_grace(play: Play) -> None:
    play.start(FIRST, Part.IS_DEAF)
    kill_at_us = play.stage.now_us() + SECOND_US // 2
    play.want(replace(play.wanted[FIRST], stop=Stop("SIGTERM", kill_at_us)))
    record = play.end(FIRST)
    assert record.signal == 9
    assert record.ended_us is not None
    assert record.ended_us >= kill_at_us


def test_a_stop_may_be_hastened(play: Play) -> None:
    play.start(FIRST, Part.IS_DEAF)
    stopping(play, FIRST, "SIGTERM", kill_after_us=3600 * SECOND_US)
    stopping(play, FIRST, "SIGKILL", kill_after_us=0)
    assert play.end(FIRST).signal == 9


def test_one_that_is_stopped_before_it_started_never_starts(play: Play) -> None:
    launch = play.stage.launch(FIRST, Part.STAYS)
    play.want(DesiredReplica(LeaseId(FIRST), launch, Stop("SIGTERM", play.stage.now_us())))
    record = play.end(FIRST)
    assert record.phase is Phase.LAUNCH_FAILED
    assert record.started_us is None
    play.want(DesiredReplica(LeaseId(FIRST), launch))
    assert play.end(FIRST).phase is Phase.LAUNCH_FAILED
    assert play.stage.starts(FIRST) == 0


def test_a_new_launcher_takes_over_what_runs_and_what_ended_meanwhile(play: Play) -> None:
    running = play.start(FIRST, Part.STAYS)
    play.start(SECOND, Part.FAILS)
    play.stage.restart()
    assert play.record(FIRST) == running
    assert play.end(SECOND).exit_code == 3
    stopping(play, FIRST, "SIGTERM", kill_after_us=60 * SECOND_US)
    assert play.end(FIRST).signal == 15


def test_a_killed_process_is_reported_with_its_signal(play: Play) -> None:
    play.start(FIRST, Part.STAYS)
    play.stage.kill_process(FIRST)
    record = play.end(FIRST)
    assert (record.phase, record.signal, record.exit_code) == (Phase.ENDED, 9, None)


def lost(record: ReplicaRecord) -> bool:
    return record.phase is Phase.LOST


def test_one_whose_owner_was_killed_is_lost_and_nothing_is_claimed_of_its_end(play: Play) -> None:
    started = play.start(FIRST, Part.STAYS)
    play.stage.kill_owner(FIRST)
    record = play.wait_for(FIRST, lambda record: lost(record) and record.empty_us is not None)
    assert (record.exit_code, record.signal) == (None, None)
    assert started.started_us is not None
    assert record.ended_us is not None
    assert record.empty_us is not None
    assert started.started_us <= record.ended_us <= record.empty_us
    play.ensure()
    assert play.stage.starts(FIRST) == 1


def test_whoever_subscribes_is_woken_when_a_replica_ends(play: Play) -> None:
    woken = Event()
    play.start(FIRST, Part.STAYS)
    play.stage.launcher.subscribe(woken.set)
    play.stage.kill_process(FIRST)
    play.stage.until(woken.is_set)
    play.end(FIRST)


def test_an_address_has_a_port_that_is_free(play: Play) -> None:
    assert play.stage.is_free(*play.stage.launcher.address(NodeName("here")))
