"""The `xl` command as a process against a real cloud: what it prints, and how it exits."""

import json
import os
import pty
import select
import signal
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.edge.living import XL, Json, LivingCloud, living_cloud, wait_until

TWO_NODES = """
kind: cloud
flavors:
  - {name: half, price: 3.60/core-hour}
pools:
  - {name: halves, flavor: half, nodes: "half-[1-2]", share: {cpu: 1, memory: 2GB}}
"""
SMALL = ("--cpu", "0.1", "--memory", "60MB")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LivingCloud]:
    folder = tmp_path_factory.mktemp("cli")
    (folder / "cloud.yaml").write_text(TWO_NODES)
    with living_cloud(folder / "home") as cloud:
        cloud.xl("apply", "-y", str(folder / "cloud.yaml"))
        wait_until(lambda: len(ready(cloud)) == 2, "both emulated nodes are ready")
        yield cloud


def ready(cloud: LivingCloud) -> list[Json]:
    return [node for node in as_json(cloud, "node", "ls") if node["state"] == "ready"]


def as_json(cloud: LivingCloud, *words: str) -> list[Json]:
    found = json.loads(cloud.xl(*words, "--json").stdout)
    return found if isinstance(found, list) else [found]


def env_of(cloud: LivingCloud) -> dict[str, str]:
    env = {name: value for name, value in os.environ.items() if not name.startswith("XL_")}
    return {**env, "XL_HOME": str(cloud.home), "XDG_CONFIG_HOME": str(cloud.home.parent / "config")}


def run_waiting(cloud: LivingCloud, *words: str) -> subprocess.CompletedProcess[str]:
    return cloud.xl("run", "-y", "--wait", *SMALL, *words, ok=False)


# running ------------------------------------------------------------------------------------------------------------


def test_a_file_of_three_lines_runs_and_its_output_comes_back(cloud: LivingCloud, tmp_path: Path) -> None:
    file = tmp_path / "hello.yaml"
    file.write_text("kind: job\nname: hello\nrun: echo hello from $XL_JOB\n")
    done = cloud.xl("run", "-y", "-f", str(file))
    assert "starts now" in done.stdout and "list price 3.60 USD an hour" in done.stdout
    assert "hello from " in done.stdout
    assert "hello SUCCEEDED" in done.stderr


@pytest.mark.parametrize(("command", "code"), [("exit 0", 0), ("exit 7", 7), ("kill -9 $$", 137), ("kill -TERM $$", 143)])
def test_waiting_exits_with_the_jobs_own_code(cloud: LivingCloud, command: str, code: int) -> None:
    assert run_waiting(cloud, "--", "sh", "-c", command).returncode == code


def test_a_command_that_names_a_file_here_takes_this_folder_along(cloud: LivingCloud, tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text("import data; print('trained on', data.rows)\n")
    (tmp_path / "data.py").write_text("rows = 41 + 1\n")
    words = [str(XL), "run", "-y", "-f", *SMALL, "--", "python3", "train.py"]
    done = subprocess.run(words, cwd=tmp_path, env=env_of(cloud), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "trained on 42" in done.stdout and "sent 2 files" in done.stderr


def test_without_a_terminal_a_job_is_submitted_only_with_a_yes(cloud: LivingCloud) -> None:
    before = as_json(cloud, "ps", "-a")
    refused = cloud.xl("run", "--", "true", ok=False)
    assert refused.returncode == 1 and "-y" in refused.stderr.splitlines()[-1]
    assert as_json(cloud, "ps", "-a") == before


def test_a_wrong_file_is_told_line_by_line_before_anything_is_sent(cloud: LivingCloud, tmp_path: Path) -> None:
    file = tmp_path / "job.yaml"
    file.write_text("kind: job\nname: x\nnum_nodes: 2\nrun: echo\nvolumes: {}\n")
    done = cloud.xl("run", "-y", str(file), ok=False)
    assert done.returncode == 1
    assert f"{file}:3: there is no key 'num_nodes'; it is 'nodes' here" in done.stderr
    assert f"{file}:5: 'volumes' is not yet available" in done.stderr


def test_plan_exits_with_0_now_3_later_4_never(cloud: LivingCloud) -> None:
    plan = ("plan", "--cpu", "1", "--memory", "100MB", "--nodes")
    assert cloud.xl(*plan, "2", "--", "true", ok=False).returncode == 0
    never = cloud.xl(*plan, "3", "--", "true", ok=False)
    assert never.returncode == 4 and "can never start" in never.stdout
    blocker = submit(cloud, "--cpu", "1", "--memory", "100MB", "--nodes", "2", "--time-limit", "1h", "--", "sleep", "600")
    cloud.wait_for_state(blocker, "RUNNING")
    later = cloud.xl(*plan, "1", "--", "true", ok=False)
    assert later.returncode == 3 and "expected start" in later.stdout
    assert cloud.xl("plan", "/nonexistent.yaml", ok=False).returncode == 1
    waiting = submit(cloud, "--cpu", "1", "--memory", "100MB", "--", "true")
    wait_until(lambda: as_json(cloud, "why", waiting)[0]["reason"], "a cycle has looked at it")
    why = cloud.xl("why", waiting).stdout
    assert "WaitingForCapacity" in why and blocker in why and "when" in why
    cloud.xl("stop", blocker)
    assert cloud.wait_for_end(blocker, waiting)[1]["state"] == "SUCCEEDED"


def submit(cloud: LivingCloud, *words: str) -> str:
    """The new job's id."""
    return str(json.loads(cloud.xl("run", "-y", "--json", *words).stdout)["id"])


def test_ctrl_c_while_waiting_leaves_the_job_running_and_says_how_to_stop_it(cloud: LivingCloud) -> None:
    words = [str(XL), "run", "-y", "--wait", "--name", "goes-on", *SMALL, "--", "sleep", "600"]
    with subprocess.Popen(words, env=env_of(cloud), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        while "RUNNING" not in waiting.stderr.readline():
            pass
        waiting.send_signal(signal.SIGINT)
        said = waiting.stderr.read()
    job = cloud.job("goes-on")
    assert waiting.returncode == 130 and f"xl stop {job['id']}" in said
    assert job["state"] == "RUNNING"
    cloud.xl("stop", "goes-on")
    cloud.wait_for_end(job["id"])


# reading ------------------------------------------------------------------------------------------------------------


def test_logs_of_a_gang_are_merged_by_rank_and_announce_each_attempt(cloud: LivingCloud, tmp_path: Path) -> None:
    file = tmp_path / "gang.yaml"
    file.write_text(
        "kind: job\nname: gang\nnodes: 2\nresources: {cpu: 0.1, memory: 60MB}\nrestart: {on_events: ['exit:3'], max: 1}\n"
        'run: |\n  echo attempt $XL_ATTEMPT of rank $RANK\n  printf tail\n  [ "$XL_ATTEMPT" = 2 ] || exit 3\n'
    )
    followed = cloud.xl("run", "-y", "-f", str(file))
    assert "-- attempt 2 --" in followed.stderr
    for done in (followed, cloud.xl("logs", "gang")):
        lines = [line for line in done.stdout.splitlines() if line.startswith("[")]
        assert {line for line in lines if "attempt 2" in line} == {f"[{rank}] attempt 2 of rank {rank}" for rank in (0, 1)}
        assert "[0] tail" in lines and "[1] tail" in lines
    assert cloud.xl("logs", "--attempt", "2", "--rank", "1", "gang").stdout == "attempt 2 of rank 1\ntail"


def test_the_tail_of_a_long_log_is_its_last_lines(cloud: LivingCloud) -> None:
    run_waiting(cloud, "--name", "long", "--", "seq", "1", "100000")
    assert cloud.xl("logs", "--tail", "3", "long").stdout == "99998\n99999\n100000\n"
    assert cloud.xl("logs", "long").stdout.count("\n") == 100_000


def test_following_a_log_survives_a_restart_of_the_cloud(cloud: LivingCloud) -> None:
    script = "for i in $(seq 40); do echo line $i; sleep 0.1; done"
    job = submit(cloud, *SMALL, "--name", "steady", "--", "sh", "-c", script)
    words = [str(XL), "logs", "-f", job]
    with subprocess.Popen(words, env=env_of(cloud), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as reader:
        assert reader.stdout is not None
        first = reader.stdout.readline()
        os.kill(wait_until(cloud.control_plane, "there is a control plane"), signal.SIGKILL)
        rest = reader.stdout.read()
    assert reader.returncode == 0
    assert (first + rest).splitlines() == [f"line {number}" for number in range(1, 41)]


def test_the_story_of_a_job_is_a_line_an_event(cloud: LivingCloud) -> None:
    run_waiting(cloud, "--name", "story", "--", "true")
    told = [line.split() for line in cloud.xl("events", "story").stdout.splitlines()]
    types = [words[2] for words in told]
    assert types[:2] == ["job.submitted", "job.placed"] and types[-1] == "job.succeeded"
    assert {"attempt.started", "attempt.ended"} <= set(types)
    assert told[0][1] == "admin" and told[1][1] == "xingliu"


def test_files_of_a_job_are_copied_out_and_never_over_what_is_there(cloud: LivingCloud, tmp_path: Path) -> None:
    run_waiting(cloud, "--name", "files", "--", "sh", "-c", "cd $XL_JOB_DIR; mkdir -p a/b; echo 1 > a/one; echo 2 > a/b/two")
    cloud.xl("cp", "files:a/one", str(tmp_path))
    assert (tmp_path / "one").read_text() == "1\n"
    cloud.xl("cp", "files:a/one", str(tmp_path / "renamed"))
    assert (tmp_path / "renamed").read_text() == "1\n"
    cloud.xl("cp", "files:a", str(tmp_path))
    assert (tmp_path / "a" / "b" / "two").read_text() == "2\n"
    cloud.xl("cp", "files:.", str(tmp_path / "all"))
    assert (tmp_path / "all" / "a" / "b" / "two").read_text() == "2\n"
    assert "is there already" in cloud.xl("cp", "files:a", str(tmp_path), ok=False).stderr
    assert "There is no" in cloud.xl("cp", "files:nothing", str(tmp_path), ok=False).stderr
    assert not (tmp_path / "nothing").exists()


def test_a_shell_opens_beside_the_replica_and_its_exit_code_comes_back(cloud: LivingCloud) -> None:
    job = submit(cloud, *SMALL, "--name", "open", "--", "sh", "-c", "export X=1; sleep 600")
    cloud.wait_for_state(job, "RUNNING")
    assert cloud.xl("attach", job, "--", "sh", "-c", "echo rank $RANK; exit 5", ok=False).returncode == 5
    piped = cloud.xl("attach", job, ok=False, input_text="echo over $((40+2))\nexit 6\n")
    assert "over 42" in piped.stdout and piped.returncode == 6
    assert "is not running" in cloud.xl("attach", "story", ok=False).stderr
    cloud.xl("stop", job)


def on_a_terminal(cloud: LivingCloud, *words: str, say: bytes, until: bytes) -> str:
    """What the command draws on a real terminal up to `until`, after which `say` is typed until it ends."""
    pid, screen = pty.fork()
    if pid == 0:
        os.execve(XL, [str(XL), *words], {**env_of(cloud), "TERM": "xterm", "COLUMNS": "100", "LINES": "30"})
    drawn, end = b"", time.monotonic() + 60
    said = False
    while time.monotonic() < end:
        if select.select([screen], [], [], 0.2)[0]:
            try:
                data = os.read(screen, 65536)
            except OSError:
                break
            drawn += data
            if not data:
                break
        if until in drawn and not said:
            said = True
            os.write(screen, say)
    os.close(screen)
    _, status = os.waitpid(pid, 0)
    return f"{drawn.decode(errors='replace')}\nended {os.waitstatus_to_exitcode(status)}"


def test_top_draws_live_on_a_terminal_and_once_elsewhere(cloud: LivingCloud) -> None:
    assert "half-1" in cloud.xl("top").stdout
    drawn = on_a_terminal(cloud, "top", say=b"\x03", until=b"half-2")
    assert "half-1" in drawn and "ended 130" in drawn


def test_on_a_terminal_a_job_is_submitted_after_a_yes_only(cloud: LivingCloud) -> None:
    drawn = on_a_terminal(cloud, "run", "--name", "asked", *SMALL, "--", "true", say=b"n\n", until=b"Submit it?")
    assert "list price" in drawn and "ended 130" in drawn
    assert cloud.xl("why", "asked", ok=False).returncode == 1
    assert "submitted" in on_a_terminal(cloud, "run", "--name", "asked", *SMALL, "--", "true", say=b"y\n", until=b"Submit it?")


# people and machines ------------------------------------------------------------------------------------------------


def test_a_tenant_begins_with_a_handful_of_commands(cloud: LivingCloud) -> None:
    cloud.xl("tenant", "create", "acme")
    cloud.xl("project", "create", "acme/nlp")
    cloud.xl("user", "create", "ann", "--tenant", "acme", "--role", "member:acme/nlp")
    made = cloud.xl("key", "create", "acme/ann")
    key = made.stdout.strip()
    assert key.startswith("xlk_") and "not shown again" in made.stderr
    url = json.loads((cloud.home / "client.json").read_text())["url"]
    env = {name: value for name, value in env_of(cloud).items() if name != "XL_HOME"} | {"HOME": str(cloud.home.parent)}

    def ann(*words: str, input_text: str | None = None) -> subprocess.CompletedProcess[str]:
        return subprocess.run([XL, *words], env=env, input=input_text, capture_output=True, text=True, check=False)

    assert "xl login" in ann("ps").stderr
    assert ann("login", url, input_text=key + "\n").stdout.strip() == f"Logged in to {url} as acme/ann."
    kept = cloud.home.parent / "config" / "xingliu" / "client.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert ann("secret", "create", "TOKEN", input_text="hush-hush-hush\n").returncode == 0
    file = cloud.home.parent / "secret.yaml"
    file.write_text("kind: job\nname: mine\nsecrets: [TOKEN]\nresources: {cpu: 0.1, memory: 60MB}\nrun: echo ${#TOKEN} $TOKEN\n")
    done = ann("run", "-y", "-f", str(file))
    assert "14 ***" in done.stdout and "hush" not in done.stdout + done.stderr
    assert [job["project"] for job in json.loads(ann("ps", "-a", "--json").stdout)] == ["acme/nlp"]
    assert ann("why", "story").returncode == 1, "another tenant's job exists for nobody else"
    assert ann("node", "drain", "half-1", "--reason", "mischief").returncode == 1
    cloud.xl("user", "revoke", "acme/ann")
    revoked = ann("ps")
    assert revoked.returncode == 1 and "xl login" in revoked.stderr
    assert ann("logout").returncode == 0 and not kept.exists()


def test_a_key_with_nothing_behind_it_is_not_kept(cloud: LivingCloud) -> None:
    url = json.loads((cloud.home / "client.json").read_text())["url"]
    refused = cloud.xl("login", url, input_text="xlk_no_thing\n", ok=False)
    assert refused.returncode == 1 and not (cloud.home.parent / "config" / "xingliu" / "client.json").exists()
    clear = cloud.xl("login", "http://cloud.example.org", input_text="xlk_a_b\n", ok=False)
    assert clear.returncode == 1 and "https" in clear.stderr


def test_a_drained_node_gets_nothing_new_until_it_is_resumed(cloud: LivingCloud) -> None:
    assert "half-2 is drain" in cloud.xl("node", "drain", "half-2", "--reason", "replace fan 3").stdout
    wait_until(lambda: as_json(cloud, "node", "show", "half-2")[0]["state"] == "drained", "it is drained")
    assert "replace fan 3" in cloud.xl("node", "ls").stdout
    assert cloud.xl("plan", "--nodes", "2", *SMALL, "--", "true", ok=False).returncode == 3
    cloud.xl("node", "resume", "half-2", "--reason", "fan replaced")
    assert cloud.xl("plan", "--nodes", "2", *SMALL, "--", "true", ok=False).returncode == 0
    shown = cloud.xl("node", "show", "half-2").stdout
    assert "half-2 (emulated)" in shown and "cannot give: " in shown


def test_applying_shows_the_difference_and_a_second_time_there_is_none(cloud: LivingCloud, tmp_path: Path) -> None:
    file = tmp_path / "cloud.yaml"
    file.write_text(TWO_NODES + "queues:\n  - {name: default}\n  - {name: research, quota: {half: 1}}\n")
    assert "research" in cloud.xl("apply", "--preview", str(file)).stdout
    assert "research" not in cloud.xl("queue", "ls").stdout
    assert cloud.xl("apply", str(file), ok=False).returncode == 1, "nobody is there to say yes"
    cloud.xl("apply", "-y", str(file))
    assert "research" in cloud.xl("queue", "ls").stdout
    assert "nothing changes" in cloud.xl("apply", "-y", str(file)).stdout
    in_force = tmp_path / "in-force.yaml"
    in_force.write_text(cloud.xl("cloud", "show").stdout)
    assert "nothing changes" in cloud.xl("apply", "-y", str(in_force)).stdout


def test_usage_adds_up_by_every_noun(cloud: LivingCloud) -> None:
    run_waiting(cloud, "--", "sleep", "0.2")
    shown = cloud.xl("usage", "--by", "tenant,project,job").stdout
    assert all(word in shown for word in ("TENANT", "PROJECT", "JOB", "default/default", " USD"))
    by_noun = as_json(cloud, "usage", "--by", "tenant,project,job")[0]
    leased = {noun: sum(item["core_milli_us"] for item in found["items"]) for noun, found in by_noun.items()}
    assert leased["tenant"] > 0 and leased["job"] >= leased["project"] >= leased["tenant"] > 0
    assert "It adds up to the microsecond." in cloud.xl("usage", "--conservation").stdout
    assert "tenant, project, job" in cloud.xl("usage", "--by", "colour", ok=False).stderr


# errors and shells --------------------------------------------------------------------------------------------------


def test_an_error_is_a_message_then_a_hint_and_exit_code_1(cloud: LivingCloud) -> None:
    done = cloud.xl("why", "nosuch", ok=False)
    assert done.returncode == 1 and done.stdout == ""
    assert done.stderr.splitlines() == [
        "There is no job nosuch.",
        "It may not exist, or not be yours to see; `xl ps` lists what you can see.",
    ]
    problem = json.loads(cloud.xl("why", "nosuch", "--json", ok=False).stdout)
    assert problem["code"] == "unknown" and problem["status"] == 404 and problem["hint"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pss"], "Did you mean `xl ps`?"),
        (["node", "drian"], "drain"),
        (["node", "drain", "half-1"], "--reason"),
        (["run", "python", "train.py"], "two dashes"),
        (["run", "--nodes", "two", "--", "x"], "not a valid integer"),
        (["cp", "nothing"], "JOB:path"),
        (["stop"], "JOB"),
    ],
)
def test_a_slip_is_told_in_words_and_exits_with_1(cloud: LivingCloud, words: list[str], said: str) -> None:
    done = cloud.xl(*words, ok=False)
    assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr


def test_where_no_cloud_answers_the_way_out_is_said(tmp_path: Path) -> None:
    cloud = LivingCloud(tmp_path / "home")
    assert "xl up" in cloud.xl("ps", ok=False).stderr
    cloud.home.mkdir()
    (cloud.home / "client.json").write_text('{"url": "http://127.0.0.1:9", "key": "k"}')
    done = cloud.xl("ps", ok=False)
    assert done.returncode == 1 and "does not answer" in done.stderr and "xl up" in done.stderr
    (cloud.home / "client.json").write_text("[]")
    assert "does not hold a url and a key" in cloud.xl("ps", ok=False).stderr


def completed(cloud: LivingCloud, line: str) -> list[str]:
    env = {**env_of(cloud), "_XL_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = subprocess.run([XL], env=env, capture_output=True, text=True, check=True)
    return [answer.partition(",")[2] for answer in done.stdout.splitlines()]


def test_a_shell_completes_commands_options_and_jobs(cloud: LivingCloud) -> None:
    assert completed(cloud, "xl re") == ["release", "restore"]
    assert completed(cloud, "xl node dr") == ["drain"]
    assert "--follow" in completed(cloud, "xl logs --f")
    assert completed(cloud, "xl logs stor") == ["story"]
    for shell in ("bash", "zsh", "fish"):
        assert "_XL_COMPLETE" in cloud.xl("completion", shell).stdout


def test_help_reaches_every_command_without_a_cloud(tmp_path: Path) -> None:
    cloud = LivingCloud(tmp_path / "home")
    for words in ([], ["run"], ["node"], ["node", "drain"], ["up"], ["attach"]):
        done = cloud.xl(*words, "--help")
        assert "Usage: xl" in done.stdout and done.stderr == ""
    assert cloud.xl("--version").stdout.startswith("xl, version ")
