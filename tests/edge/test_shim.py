"""Shims on real processes: ends, stops, limits, logs, secrets, and kills of every part."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.local import Clock, LocalCloud, is_alive, kill, launch, local_cloud, until

import xingliu
from xingliu.adapters.local.orders import SEGMENT_BYTES, SEGMENTS_MAX
from xingliu.adapters.local.spawning import Spawning
from xingliu.control.ports import Stop
from xingliu.kernel.ids import LeaseId
from xingliu.workloads.records import Phase

LEASE = "j1.main.0.1"
ON_TERM = "import signal, sys, time\nsignal.signal(signal.SIGTERM, lambda *_: (time.sleep(0.3), print('saved'), sys.exit(7)))\n"


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[LocalCloud]:
    with local_cloud(tmp_path / "home") as cloud:
        yield cloud


def soon(cloud: LocalCloud, signal_name: str, *, grace_s: float = 60) -> Stop:
    return Stop(signal_name, Clock().now_us() + int(grace_s * 1e6))


ENDS = {
    "true": ("true", 0, None),
    "exit code": ("exit 41", 41, None),
    "a pipe's last": ("false | true", 0, None),
    "killed itself": ("kill -KILL $$", None, 9),
    "a segmentation fault of a child of the shell": ("bash -c 'kill -SEGV $$'; exit $?", None, 11),
    "terminated": ("kill -TERM $$", None, 15),
    "not a signal's": ("exit 255", 255, None),
    "syntax error": ("if then", 2, None),
}


@pytest.mark.parametrize(("script", "code", "number"), ENDS.values(), ids=ENDS)
def test_ends_are_exact(cloud: LocalCloud, script: str, code: int | None, number: int | None) -> None:
    record = cloud.run(script)
    assert (record.phase, record.exit_code, record.signal) == (Phase.ENDED, code, number)


def test_a_single_command_replaces_the_shell(cloud: LocalCloud) -> None:
    cloud.start(launch(LEASE, "sleep 1000"))
    until(lambda: cloud.names(LEASE) == {"bwrap", "sleep"}, "the command being all that runs")


def test_a_command_that_is_not_there_is_named(cloud: LocalCloud) -> None:
    record = cloud.run("no-such-program --fast")
    assert record.exit_code == 127
    assert "no-such-program: command not found" in record.message


def test_an_interpreter_that_is_not_there_is_named_with_those_that_are(cloud: LocalCloud) -> None:
    record = cloud.run("python train.py", python="3.99")
    assert record.phase is Phase.LAUNCH_FAILED
    assert re.search(r"no Python interpreter 3\.99; it has .*3\.\d+", record.message)


def test_python_is_there_under_both_its_names_whatever_was_asked_for(cloud: LocalCloud) -> None:
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    cloud.start(launch("j1.main.0.1", "python -V; python3 -V"), launch("j2.main.0.1", "python -V; python3 -V", python=version))
    for lease in ("j1.main.0.1", "j2.main.0.1"):
        assert cloud.until_over(lease).exit_code == 0
        assert cloud.log(lease).count("Python 3.") == 2
    assert f"Python {version}." in cloud.log("j2.main.0.1")


def test_setup_runs_first_in_the_same_shell_and_its_failure_is_said(cloud: LocalCloud) -> None:
    cloud.start(
        launch("j1.main.0.1", "echo $WORD; false; echo on", setup="export WORD=carried"),
        launch("j2.main.0.1", "echo never", setup="echo one\nls /no/such\necho two"),
    )
    assert cloud.until_over("j1.main.0.1").exit_code == 0
    assert cloud.log("j1.main.0.1") == "carried\non\n"
    record = cloud.until_over("j2.main.0.1")
    assert (record.exit_code, record.message) == (2, "setup failed with exit code 2")
    assert not {"two", "never"} & set(cloud.log("j2.main.0.1").splitlines())


def test_values_reach_the_job_as_they_are(cloud: LocalCloud) -> None:
    odd = "a 'b' \"c\" $HOME `id` \\ \n two ünï"
    record = cloud.run(
        'printf "<%s>" "$ODD"; python -c "import os; assert os.environ[\'ODD\'].endswith(chr(239))"', environment={"ODD": odd}
    )
    assert cloud.log() == f"<{odd}>"
    assert record.exit_code == 0


def test_a_script_longer_than_a_command_line_may_be_runs(cloud: LocalCloud) -> None:
    record = cloud.run("# " + "x" * 300_000 + "\nexit 5")
    assert record.exit_code == 5


def test_a_job_that_ignores_the_signal_is_killed_at_the_end_of_its_grace(cloud: LocalCloud) -> None:
    cloud.start(launch(LEASE, "trap '' TERM; echo ready; while true; do sleep 0.1; done"))
    cloud.until_log("ready")
    stop = soon(cloud, "SIGTERM", grace_s=1)
    cloud.stop(LEASE, stop)
    record = cloud.until_over(LEASE)
    assert record.signal == 9
    assert record.ended_us is not None
    assert record.ended_us >= stop.kill_at_us
    assert not cloud.processes(LEASE)


def test_a_program_under_shells_has_its_grace_though_the_shells_would_die_of_the_signal(cloud: LocalCloud) -> None:
    program = f'{ON_TERM}print("ready", flush=True)\ntime.sleep(1000)'
    cloud.start(launch(LEASE, f'cat > t.py <<"END"\n{program}\nEND\nbash -c "python t.py; exit \\$?"\nexit $?'))
    cloud.until_log("ready")
    cloud.stop(LEASE, soon(cloud, "SIGTERM"))
    record = cloud.until_over(LEASE)
    assert "saved" in cloud.log()
    assert record.exit_code in (7, None)


def test_a_shell_that_goes_on_to_its_next_command_ends_all_the_same(cloud: LocalCloud) -> None:
    cloud.start(launch(LEASE, "while true; do sleep 0.2; echo next; done"))
    cloud.until_log("next")
    cloud.stop(LEASE, soon(cloud, "SIGTERM"))
    assert cloud.until_over(LEASE).signal == 15


def test_a_signal_of_the_jobs_choice_is_sent(cloud: LocalCloud) -> None:
    cloud.start(launch(LEASE, "trap 'echo asked; exit 9' USR1; echo ready; while true; do sleep 0.05; done"))
    cloud.until_log("ready")
    cloud.stop(LEASE, soon(cloud, "SIGUSR1"))
    assert cloud.until_over(LEASE).exit_code == 9
    assert "asked" in cloud.log()


def test_what_a_job_left_in_the_background_ends_with_it(cloud: LocalCloud) -> None:
    daemons = "(setsid nohup env -i sleep 1234 >/dev/null 2>&1 &); (setsid sleep 1235 &)"
    record = cloud.run(f"{daemons}; until [ $(pgrep -c sleep) = 2 ]; do :; done; pgrep -c sleep; exit 0")
    assert record.exit_code == 0
    assert cloud.log().strip() == "2"
    assert record.empty_us is not None
    found = subprocess.run(["pgrep", "-f", "^sleep 123[45]"], capture_output=True, check=False)
    assert not found.stdout


def test_going_over_the_memory_limit_is_said(cloud: LocalCloud) -> None:
    record = cloud.run('python -c "x = bytearray(400_000_000)"', memory_bytes=100_000_000)
    assert record.signal == 9
    assert record.message == "Killed: it went over its memory limit of 0.1 GB."
    assert record.memory_peak_bytes is not None
    assert 50_000_000 < record.memory_peak_bytes <= 101_000_000


def test_a_child_going_over_the_memory_limit_is_said_too(cloud: LocalCloud) -> None:
    record = cloud.run('python -c "x = bytearray(400_000_000)"; echo $?; exit 4', memory_bytes=100_000_000)
    assert record.exit_code == 4
    assert "1 of its processes were killed" in record.message


def test_a_fork_bomb_is_bounded_and_stopped_whole(cloud: LocalCloud) -> None:
    cloud.start(launch(LEASE, "f() { f | f & }; f; sleep 1000", memory_bytes=10**9))
    cloud.until_log("fork")
    cloud.start(launch("j2.main.0.1", "echo next job"))
    assert cloud.until_over("j2.main.0.1").exit_code == 0
    cloud.stop(LEASE, Stop("SIGKILL", 0))
    assert cloud.until_over(LEASE).empty_us is not None
    assert not cloud.processes(LEASE)


def test_cpu_time_and_the_core_limit_are_the_cgroups(cloud: LocalCloud) -> None:
    record = cloud.run("timeout 1 bash -c 'while :; do :; done'; true", cpu_milli=200)
    assert record.cpu_us is not None
    assert 20_000 < record.cpu_us < 600_000


def test_a_flood_of_lines_is_rotated_and_its_end_kept(cloud: LocalCloud) -> None:
    record = cloud.run("head -c 1000000000 /dev/zero | tr '\\0' 'x' | fold -w 99; echo; echo the end")
    assert record.exit_code == 0
    kept = sum(path.stat().st_size for path in (cloud.home / "replicas" / LEASE).glob("log.*"))
    assert kept <= SEGMENT_BYTES * SEGMENTS_MAX
    chunk = cloud.parts.files.read_log(LeaseId(LEASE), offset=0, limit_bytes=100)
    assert chunk.offset > 900_000_000
    tail = cloud.parts.files.read_log(LeaseId(LEASE), offset=-9, limit_bytes=100)
    assert tail.data == b"the end\n"[-9:] or tail.data.endswith(b"the end\n")


SECRET, MULTILINE = "s3cr3t-value-that-is-long", "-----BEGIN KEY-----\nabcdefghijklmnop\n-----END KEY-----"


def test_secrets_are_masked_however_they_are_written(cloud: LocalCloud) -> None:
    script = (
        'printf "%s|" "$S"; for ((i = 0; i < ${#S}; i++)); do printf "%s" "${S:i:1}"; sleep 0.005; done; echo; '
        'echo "$K"; echo "$K" | sed -n 2p; echo "$S$S"; printf "s3cr3t-va"'
    )
    cloud.run(script, environment={"S": SECRET, "K": MULTILINE}, secrets=(SECRET, MULTILINE))
    assert cloud.log() == "***|***\n***\n***\n******\ns3cr3t-va"


def test_secrets_are_on_no_disk_and_no_command_line(cloud: LocalCloud) -> None:
    cloud.start(
        launch(LEASE, 'echo ready; test -n "$S" && sleep 1000', environment={"S": SECRET}, secrets=(SECRET,), setup="true")
    )
    cloud.until_log("ready")
    found = subprocess.run(["grep", "-rlaF", SECRET, str(cloud.home)], capture_output=True, check=False)
    assert not found.stdout
    for pid in {*cloud.processes(LEASE), cloud.shim_pid(LEASE), cloud.spawner_pid()}:
        assert SECRET.encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    roots = [pid for pid in cloud.processes(LEASE) if Path(f"/proc/{pid}").stat().st_uid == 0]
    assert roots
    assert not [pid for pid in roots if SECRET.encode() in Path(f"/proc/{pid}/environ").read_bytes()]


def test_a_jobs_environment_does_not_reach_the_tools_that_are_still_root(cloud: LocalCloud) -> None:
    environment = {"LD_PRELOAD": "/xl/xl/work/evil.so", "BASH_ENV": "/xl/xl/work/evil", "PATH": "/usr/bin:/bin"}
    record = cloud.run("echo fine", environment=environment)
    assert record.exit_code == 0
    assert cloud.log() == "fine\n"


def test_a_killed_shim_takes_everything_with_it(cloud: LocalCloud) -> None:
    cloud.start(launch(LEASE, "trap '' TERM; setsid sleep 1000 & sleep 1000"))
    cloud.until_running(LEASE)
    cloud.command(LEASE, "sleep 1000")
    alive_us = Clock().now_us()
    kill(cloud.shim_pid(LEASE))
    record = cloud.until_over(LEASE)
    assert record.phase is Phase.LOST
    assert (record.exit_code, record.signal) == (None, None)
    assert record.ended_us is not None
    assert record.ended_us >= alive_us - 1_500_000
    assert not cloud.processes(LEASE)


@pytest.mark.parametrize("moment", range(6))
def test_a_shim_killed_at_any_moment_leaves_nothing(cloud: LocalCloud, moment: int) -> None:
    leases = [f"j{number}.main.0.1" for number in range(4)]
    cloud.start(*(launch(lease, "echo started >> /job/starts; sleep 1000") for lease in leases))
    for turn, lease in enumerate(leases):
        for _ in range(moment * 4 + turn):
            cloud.record(lease)
        kill(cloud.shim_pid(lease))
    for lease in leases:
        assert cloud.until_over(lease).phase is Phase.LOST
        assert not cloud.processes(lease)


def test_a_killed_rank_is_signal_nine(cloud: LocalCloud) -> None:
    cloud.start(launch(LEASE, 'python -c "import time; time.sleep(1000)"; exit $?'))
    kill(cloud.command(LEASE, "python -c"))
    assert cloud.until_over(LEASE).signal == 9


def test_a_killed_sandbox_is_signal_nine_and_leaves_nothing(cloud: LocalCloud) -> None:
    cloud.start(launch(LEASE, "sleep 1000"))
    cloud.command(LEASE, "sleep 1000")
    for pid in cloud.processes(LEASE):
        if Path(f"/proc/{pid}/comm").read_text() == "bwrap\n" and is_alive(pid):
            kill(pid)
            break
    assert cloud.until_over(LEASE).signal == 9
    assert not cloud.processes(LEASE)


def test_a_killed_spawner_changes_nothing_for_what_runs_and_is_replaced(cloud: LocalCloud) -> None:
    cloud.start(launch(LEASE, "sleep 0.5; exit 6"))
    cloud.until_running(LEASE)
    spawner = cloud.spawner_pid()
    kill(spawner)
    until(lambda: not is_alive(spawner), "the spawner's end")
    cloud.start(launch("j2.main.0.1", "exit 8"))
    assert cloud.until_over(LEASE).exit_code == 6
    assert cloud.until_over("j2.main.0.1").exit_code == 8
    assert cloud.spawner_pid() != spawner


def test_a_spawner_of_another_version_is_replaced_and_its_shims_go_on(cloud: LocalCloud) -> None:
    cloud.start(launch(LEASE, "sleep 0.5; exit 6"))
    cloud.until_running(LEASE)
    spawner = cloud.spawner_pid()
    lock = cloud.home / "run" / "spawner.lock"
    lock.write_text(re.sub(r'"version": "[^"]*"', '"version": "older"', lock.read_text()))
    cloud.start(launch("j2.main.0.1", "exit 8"))
    assert cloud.until_over("j2.main.0.1").exit_code == 8
    assert not is_alive(spawner)
    assert cloud.until_over(LEASE).exit_code == 6


def test_a_second_spawner_is_refused(cloud: LocalCloud) -> None:
    cloud.start(launch(LEASE, "true"))
    first = cloud.spawner_pid()
    Spawning(cloud.parts.places)._start()
    assert cloud.spawner_pid() == first


def test_orders_that_come_twice_at_once_start_one(cloud: LocalCloud) -> None:
    wanted = launch(LEASE, "echo started >> /job/starts; sleep 0.2")
    order = cloud.parts.orders.write(wanted)
    Spawning(cloud.parts.places).send({LeaseId(str(copy)): order for copy in range(8)})
    cloud.restart()
    cloud.start(wanted)
    cloud.until_over(LEASE)
    assert (cloud.home / "jobs" / "j1" / "files" / "starts").read_text() == "started\n"


def test_what_a_shim_left_that_died_before_its_first_record_is_started_anew(cloud: LocalCloud) -> None:
    (cloud.home / "replicas" / LEASE).mkdir(mode=0o700)
    (cloud.home / "replicas" / LEASE / "lock").write_text("99999999\n")
    cloud.restart()
    assert cloud.run("exit 3").exit_code == 3


def test_the_shim_alone_owns_a_replica_that_its_standard_input_orders(cloud: LocalCloud) -> None:
    shim = Path(xingliu.__file__).with_name("shim.py")
    order = cloud.parts.orders.write(launch(LEASE, "echo alone; exit 3"))
    (cloud.home / "replicas").mkdir(exist_ok=True)
    done = subprocess.run([sys.executable, "-I", "-S", str(shim)], input=order, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    again = subprocess.run([sys.executable, "-I", "-S", str(shim)], input=order, capture_output=True, check=False)
    assert again.returncode == 1
    assert b"started before" in again.stderr
    cloud.restart()
    record = cloud.record(LEASE)
    assert record is not None
    assert record.exit_code == 3


def test_what_a_replica_wrote_beside_its_job_folder_is_gone_and_its_log_stays(cloud: LocalCloud) -> None:
    cloud.run("touch /xl/work/a /tmp/b ~/c /job/kept; echo said")
    until(lambda: not (cloud.home / "replicas" / LEASE / "scratch").exists(), "its scratch being deleted")
    cloud.drop(LEASE)
    assert cloud.log() == "said\n"
    assert (cloud.home / "jobs" / "j1" / "files" / "kept").exists()
    roots = cloud.parts.isolation.cgroups.roots.values()
    assert not [root for root in roots if (root / LEASE).exists()]


def test_closing_leaves_what_runs_and_nothing_where_nothing_runs(cloud: LocalCloud) -> None:
    cloud.start(launch(LEASE, "sleep 1000"))
    cloud.command(LEASE, "sleep 1000")
    spawner, roots = cloud.spawner_pid(), set(cloud.parts.isolation.cgroups.roots.values())
    cloud.parts.launcher.close()
    until(lambda: not is_alive(spawner), "the spawner's end")
    assert is_alive(cloud.command(LEASE, "sleep 1000"))
    cloud.restart()
    cloud.drop(LEASE)
    cloud.parts.launcher.close()
    assert not [root for root in roots if root.exists()]
    cloud.restart()


def test_shims_and_spawner_are_in_no_session_of_whoever_started_them(cloud: LocalCloud) -> None:
    cloud.start(launch(LEASE, "sleep 1000"))
    cloud.until_running(LEASE)
    for pid in (cloud.shim_pid(LEASE), cloud.spawner_pid()):
        assert os.getsid(pid) == pid


def test_a_checkpoint_is_reported_when_it_changes_and_not_as_it_was_found(cloud: LocalCloud) -> None:
    cloud.start(launch(LEASE, "mkdir -p $XL_JOB_DIR/ckpt && echo 1 > $XL_JOB_DIR/ckpt/step; sleep 1000", checkpoint_path="ckpt"))
    record = cloud.until_record(LEASE, lambda found: found.saved is not None, "the checkpoint being seen")
    assert record.saved is not None and record.started_us is not None
    assert record.saved.path == "ckpt" and record.saved.state and record.saved.seen_us >= record.started_us
    cloud.stop(LEASE, soon(cloud, "SIGKILL"))
    cloud.until_over(LEASE)
    cloud.start(launch("j1.main.0.2", "true", checkpoint_path="ckpt"))
    assert cloud.until_over("j1.main.0.2").saved is None


def test_what_is_saved_in_the_grace_is_in_the_last_record(cloud: LocalCloud) -> None:
    script = "trap 'echo late > $XL_JOB_DIR/late; exit 7' TERM; echo ready; while :; do sleep 0.05; done"
    cloud.start(launch(LEASE, script, checkpoint_path="late"))
    cloud.until_log("ready", LEASE)
    cloud.stop(LEASE, soon(cloud, "SIGTERM"))
    record = cloud.until_over(LEASE)
    assert record.exit_code == 7 and record.saved is not None and record.saved.path == "late"


def test_a_checkpoint_is_as_old_as_it_is_though_it_was_first_seen_in_the_end(cloud: LocalCloud) -> None:
    """What was done after it is lost, so a look at the very end must not make it look as if it had been saved just then."""
    cloud.start(launch(LEASE, "touch /job/ckpt; echo saved; sleep 1000; exit $?", checkpoint_path="ckpt"))
    cloud.until_log("saved")
    written_us = (cloud.home / "jobs" / "j1" / "files" / "ckpt").stat().st_mtime_ns // 1000
    until(lambda: Clock().now_us() > written_us + 300_000, "a while after it")
    kill(cloud.command(LEASE, "sleep 1000"))
    record = cloud.until_over(LEASE)
    assert record.saved is not None and record.ended_us is not None
    assert record.ended_us - record.saved.seen_us >= 300_000
    assert record.saved.seen_us >= written_us


def test_a_checkpoint_that_is_deleted_is_no_new_one(cloud: LocalCloud) -> None:
    assert cloud.run("touch /job/ckpt", checkpoint_path="ckpt").saved is not None
    record = cloud.run("rm /job/ckpt", lease="j1.main.0.2", checkpoint_path="ckpt")
    assert record.exit_code == 0 and record.saved is None
