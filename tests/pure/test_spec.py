"""Job files: what they mean, what is refused with which words, and back again."""

import json
import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xingliu.kernel.documents import Document, parse
from xingliu.kernel.errors import BadValue
from xingliu.kernel.problems import InvalidDocument
from xingliu.workloads.model import (
    Checkpoint,
    GpuRequest,
    JobSpec,
    Notify,
    Priority,
    ResourceRequest,
    RestartPolicy,
)
from xingliu.workloads.spec import job_document, job_keys, name_of, one_liner, read_job
from xingliu.workloads.spec_shapes import SIGNALS

HELLO = "kind: job\nname: hello\nrun: echo hello\n"
FULL = """
kind: job
version: 1
name: pretrain-7b
project: nlp
queue: research
nodes: 16
resources:
  gpu: H100:8
  cpu: 96..
  memory: 900GB..
  shm: 64GiB
python: 3.11
workdir: .
env: {MODEL: qwen-7b, STEPS: 100, DEBUG: true, VERSION: 1.10, EMPTY: ""}
secrets: [WANDB_API_KEY]
setup: pip install -r requirements.txt
run: |
  torchrun train.py
time_limit: 1h30m
deadline: 2026-12-24T03:00:00.25+01:00
priority: high
checkpoint: {path: ckpt/last, every: 30m, signal: SIGUSR1, grace: 120s}
restart: {on_events: [node-failure, "exit:33"], max: 10}
notify: {url: "https://example.org/hook", events: [failed]}
"""


def said(text: str) -> list[str]:
    """The problems of a job file, each with its line."""
    with pytest.raises(InvalidDocument) as caught:
        read_job(parse(text, "hello.yaml"))
    return str(caught.value).splitlines()


def test_three_lines_are_a_job() -> None:
    assert read_job(parse(HELLO, "hello.yaml")) == JobSpec(name="hello", run="echo hello")


def test_a_full_file_means_what_it_says() -> None:
    assert read_job(parse(FULL, "full.yaml")) == JobSpec(
        name="pretrain-7b",
        run="torchrun train.py\n",
        project="nlp",
        queue="research",
        nodes=16,
        resources=ResourceRequest(96_000, 900 * 10**9, GpuRequest(8, "H100"), 64 * 2**30),
        python="3.11",
        workdir=".",
        env={"MODEL": "qwen-7b", "STEPS": "100", "DEBUG": "true", "VERSION": "1.10", "EMPTY": ""},
        secrets=("WANDB_API_KEY",),
        setup="pip install -r requirements.txt",
        time_limit_us=5_400_000_000,
        deadline_us=1_798_077_600_250_000,
        priority=Priority.HIGH,
        checkpoint=Checkpoint("ckpt/last", 1_800_000_000, "SIGUSR1", 120_000_000),
        restart=RestartPolicy(("node-failure", "exit:33"), 10),
        notify=Notify("https://example.org/hook", ("failed",)),
    )


def test_another_systems_word_is_answered_with_ours_and_the_line() -> None:
    assert said("kind: job\nname: a\nnum_nodes: 2\nrun: x\n") == [
        "hello.yaml line 3: there is no key 'num_nodes'; it is 'nodes' here"
    ]


def test_all_problems_come_at_once_in_the_order_of_lines() -> None:
    assert said("kind: job\nnmae: a\nvolumes: {}\ntime_limit: 36\nrestart:\n  on: [hang]\n") == [
        "hello.yaml line 1: there is no 'name'",
        "hello.yaml line 1: there is no 'run'",
        "hello.yaml line 2: there is no key 'nmae'; did you mean 'name'?",
        "hello.yaml line 3: 'volumes' is not yet available",
        "hello.yaml line 4: time_limit: 36 is not a duration",
        "hello.yaml line 6: there is no key 'on' in restart; it is 'on_events' here",
    ]


REFUSED = {
    "max_duration: 3h": "there is no key 'max_duration'; it is 'time_limit' here",
    "accelerators: H100:8": "there is no key 'accelerators'; it is 'resources.gpu' here",
    "commands: [a]": "there is no key 'commands'; it is 'run' here",
    "image_id: docker:x": "there is no key 'image_id'; it is 'image' here, which is not yet available",
    "gpu: 1": "there is no key 'gpu'; it is 'resources.gpu' here",
    "shm_size: 1GB": "there is no key 'shm_size'; it is 'resources.shm' here",
    "zzz: 1": "there is no key 'zzz'",
    "deadline: 36h": "deadline: '36h' is not an instant",
    "deadline: 2026-12-24T03:00:00": "deadline: '2026-12-24T03:00:00' is not an instant with its zone",
    "deadline: 2026-12-24": "deadline: '2026-12-24' is not an instant with its zone",
    "deadline: 1969-12-24T03:00:00Z": "deadline: '1969-12-24T03:00:00Z' is not an instant from 1970 to 2199",
    "deadline: 2026-02-30T03:00:00Z": "deadline: '2026-02-30T03:00:00Z' is not an instant",
    "deadline: 7": "deadline: 7 is not an instant",
    "due_date: 2026-12-24T03:00:00Z": "there is no key 'due_date'; it is 'deadline' here",
    "preemptible: maybe": "preemptible: 'maybe' is not true or false",
    "array: [1]": "array: a list is not indices",
    "tasks: 3": "there is no key 'tasks'",
    "keep_failed: 30m": "'keep_failed' is not yet available",
    "resources: {gpu: 0.5}": "resources.gpu: a share of a GPU is not yet available",
    "resources: {gpu: H100:0.5}": "resources.gpu: a share of a GPU is not yet available",
    "resources: {gpu: [H100, A100]}": "resources.gpu: a choice or range of GPUs is not yet available",
    "resources: {gpu: 40GB..80GB:8}": "resources.gpu: a choice or range of GPUs is not yet available",
    "resources: {gpu: 0}": "resources.gpu: 0 is not a model of GPU, or a count from 1 to 1024 on each node",
    "resources: {gpu: true}": "resources.gpu: true is not a model of GPU, or a count from 1 to 1024 on each node",
    "resources: {cpu: 8..16}": "resources.cpu: an upper bound is not yet available",
    "resources: {cpu: 500m}": "resources.cpu: '500m' is not a number of cores from 0.01 to 4096",
    "resources: {cpu: 0}": "resources.cpu: 0 is not a number of cores from 0.01 to 4096",
    "resources: {cpu: 0.0015}": "resources.cpu: 0.0015 is not a number of cores from 0.01 to 4096",
    "resources: {memory: 64}": "resources.memory: 64 is not an amount of memory",
    "resources: {memory: 64Gi}": "resources.memory: '64Gi' is not an amount of memory",
    "resources: {cpus: 2}": "there is no key 'cpus' in resources; it is 'cpu' here",
    "resources: 4": "resources: 4 is not a mapping of keys",
    "nodes: 0": "nodes: 0 is not a whole number from 1 to 100000",
    "nodes: true": "nodes: true is not a whole number from 1 to 100000",
    "nodes: 1.5": "nodes: 1.5 is not a whole number from 1 to 100000",
    "queue:": "queue: it has no value",
    "time_limit: 0s": "time_limit: '0s' is not a duration",
    "priority: 5": "priority: 5 is not one of low, normal, high, urgent",
    "env: {XL_RANK: 1}": "XL_RANK is set by Xingliu for every replica",
    "env: {MASTER_ADDR: a}": "MASTER_ADDR is set by Xingliu for every replica",
    "env: {LD_PRELOAD: /a.so}": "LD_PRELOAD changes how programs are loaded before the sandbox stands",
    "env: {A-B: 1}": "'A-B' cannot be a key of variables",
    "env: {A: [1]}": "env.A: a list is not text, a number or true/false",
    "env: {A: }": "env.A: it has no value",
    "env: [A=1]": "env: a list is not a mapping of variables",
    "secrets: [RANK]": "secrets[0]: RANK is set by Xingliu for every replica",
    "secrets: [A, A]": "secrets: something is named twice",
    "secrets: TOKEN": "secrets: 'TOKEN' is not a list of secrets",
    "checkpoint: {path: /ckpt}": "checkpoint.path: '/ckpt' leads out of the job's folder",
    "checkpoint: {path: a/../../b}": "checkpoint.path: 'a/../../b' leads out of the job's folder",
    "checkpoint: {signal: SIGKILL}": "checkpoint.signal: 'SIGKILL' cannot be caught, so nothing could be saved",
    "checkpoint: {signal: SIGFOO}": "checkpoint.signal: 'SIGFOO' is not a signal",
    "restart: {on_events: [hang]}": "restart.on_events[0]: 'hang' is not yet available",
    "restart: {on_events: [preemption]}": "restart.on_events[0]: 'preemption' is not yet available",
    'restart: {on_events: ["exit:0"]}': "restart.on_events[0]: 'exit:0' is not a cause to restart for",
    'restart: {on_events: ["exit:256"]}': "restart.on_events[0]: 'exit:256' is not a cause to restart for",
    "restart: {spare_nodes: 1}": "'spare_nodes' in restart is not yet available",
    "notify: {url: ftp://a}": "notify.url: 'ftp://a' is not an address to post to",
    "notify: {events: [started]}": "nobody is named to be told",
    "notify: {url: http://a, events: [held]}": (
        "notify.events[0]: 'held' is not one of started, failed, finished, preempted, deferred"
    ),
    "notify: {email: ada}": "notify.email: 'ada' is not a mail address",
    "notify: {email: 'Ada <ada@example.org>'}": "notify.email: 'Ada <ada@example.org>' is not a mail address",
    "notify: {email: []}": "notify.email: it names nobody",
    "notify: {email: [a@b.c, a@b.c]}": "notify.email: something is named twice",
    "python: bin/python": "python: 'bin/python' is not a path from the root",
    "version: 2": "version: 2 is not a whole number from 1 to 1",
    "project: A": "project: 'A' is not a project",
}


@pytest.mark.parametrize(("line", "message"), REFUSED.items(), ids=REFUSED)
def test_what_cannot_be_meant_is_refused_in_words(line: str, message: str) -> None:
    assert said(f"{HELLO}{line}\n") == [f"hello.yaml line 4: {message}"]


ADDRESSES = {
    "http://localhost": True,
    "https://hooks.example.org:8443/a?b=c#d": True,
    "http://[::1]:80/": True,
    "http://\u661f.example/": True,
    "http://": False,
    "http:///a": False,
    "http://[": False,
    "http://a:0/": False,
    "http://a:65536/": False,
    "http://a:b/": False,
    "http://user:secret@a/": False,
    "http://a b/": False,
    "javascript:alert(1)": False,
}


@pytest.mark.parametrize(("url", "fine"), ADDRESSES.items(), ids=ADDRESSES)
def test_an_address_to_post_to_names_a_host_and_no_password(url: str, fine: bool) -> None:
    document = Document.of({"kind": "job", "name": "a", "run": "b", "notify": {"url": url}})
    if fine:
        assert read_job(document).notify == Notify(url, ("started", "failed", "finished"))
        return
    with pytest.raises(InvalidDocument, match="not an address to post to"):
        read_job(document)


WHOLE_FILES = {
    "kind: service\nname: a\nmodel: b\n": "hello.yaml line 1: kind: service is not yet available",
    "kind: workspace\n": "hello.yaml line 1: kind: workspace is not yet available",
    "kind: cloud\n": "hello.yaml line 1: this describes a cloud, not a job",
    "kind: Job\n": "hello.yaml line 1: kind: 'Job' is not known",
    "just text": "hello.yaml line 1: 'just text' is not a mapping of keys",
    "- kind: job": "hello.yaml line 1: a list is not a mapping of keys",
    "name: a\nrun: b\n": "hello.yaml line 1: there is no 'kind'",
    "kind: job\nname: Hello\nrun: b\n": "hello.yaml line 2: name: 'Hello' is not a name for a job",
    f"kind: job\nname: {'a' * 64}\nrun: b\n": f"hello.yaml line 2: name: '{'a' * 59}... is not a name for a job",
    "kind: job\nname: a\nrun: ' '\n": "hello.yaml line 3: run: ' ' is not a shell command",
    "kind: job\nname: a\nrun: [a]\n": "hello.yaml line 3: run: a list is not a shell command",
    f"kind: job\nname: a\nrun: {'x' * 70_000}\n": "hello.yaml line 3: run: it is longer than 64 KiB",
}


@pytest.mark.parametrize(("text", "message"), WHOLE_FILES.items(), ids=range(len(WHOLE_FILES)))
def test_a_file_that_is_no_job_says_what_it_is(text: str, message: str) -> None:
    assert said(text) == [message]


def test_a_variable_is_public_or_secret_but_not_both() -> None:
    assert said(f"{HELLO}env: {{A: 1}}\nsecrets: [A]\n") == ["hello.yaml line 5: A is under env and under secrets"]


def test_the_environment_has_a_stated_limit() -> None:
    too_many = {f"V{number}": "" for number in range(257)}
    too_large = {f"V{number}": "x" * 30_000 for number in range(5)}
    for env, message in ((too_many, "there are more than 256 variables"), (too_large, "together it is larger than 128 KiB")):
        with pytest.raises(InvalidDocument, match=message):
            read_job(Document.of({"kind": "job", "name": "a", "run": "b", "env": env}))


def test_a_document_from_the_api_has_keys_but_no_lines() -> None:
    with pytest.raises(InvalidDocument) as caught:
        read_job(Document.of({"kind": "job", "name": "a", "run": "b", "restart": {"max": -1}}))
    (problem,) = caught.value.problems
    assert (problem.line, problem.column, problem.key) == (None, None, "restart.max")


def test_every_problem_of_a_long_list_is_not_shown() -> None:
    with pytest.raises(InvalidDocument) as caught:
        read_job(Document.of({"kind": "job", **{f"key{number}": 1 for number in range(20_000)}}))
    assert len(caught.value.problems) == 50


# there and back --------------------------------------------------------------------------------------------------------

names = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,9}[a-z0-9])?", fullmatch=True)
variables = st.from_regex(r"[a-zB-KM-QS-VYZ][A-Z0-9_]{0,9}", fullmatch=True)
scripts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=30).filter(str.strip)
durations_us = st.integers(1_000, 20_000_000_000)
sizes_bytes = st.one_of(st.integers(10**6, 2**60), st.integers(1, 2**20).map(lambda count: count * 2**20))
causes = st.one_of(
    st.sampled_from(["node-failure", "launch-failure", "signal"]), st.integers(1, 255).map(lambda code: f"exit:{code}")
)
gpus = st.builds(GpuRequest, st.integers(1, 1024), st.one_of(st.none(), st.from_regex(r"[A-Z][A-Z0-9-]{0,9}", fullmatch=True)))
specs = st.builds(
    JobSpec,
    name=names,
    run=scripts,
    project=st.one_of(st.none(), names, st.tuples(names, names).map("/".join)),
    queue=st.none() | names,
    nodes=st.integers(1, 100_000),
    resources=st.builds(ResourceRequest, st.integers(10, 4_096_000), sizes_bytes, st.none() | gpus, st.none() | sizes_bytes),
    python=st.sampled_from([None, "3.11", "torch", "/usr/bin/python3"]),
    workdir=st.sampled_from([None, ".", "../src"]),
    env=st.dictionaries(variables, st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=9), max_size=3),
    setup=st.none() | scripts,
    time_limit_us=st.none() | durations_us,
    priority=st.sampled_from(Priority),
    checkpoint=st.builds(
        Checkpoint, st.sampled_from([None, "a", "a/b..c"]), st.none() | durations_us, st.sampled_from(SIGNALS), durations_us
    ),
    restart=st.builds(RestartPolicy, st.lists(causes, unique=True, max_size=4).map(tuple), st.integers(0, 1000)),
    notify=st.none()
    | st.builds(
        Notify,
        st.just("http://localhost:1/a"),
        st.sampled_from([(), ("failed",), ("started", "finished"), ("preempted", "deferred")]),
        st.sampled_from([(), ("ada@example.org",), ("a.b+c@x", "d@y.z")]),
    )
    | st.builds(Notify, st.none(), st.just(("failed",)), st.just(("ada@example.org",))),
)


@given(specs)
def test_a_job_written_as_a_document_reads_as_the_same_job(spec: JobSpec) -> None:
    document = job_document(spec)
    assert read_job(Document.of(document)) == spec
    assert read_job(parse(json.dumps(document), "job.json")) == spec
    assert job_document(read_job(Document.of(document))) == document


# one line --------------------------------------------------------------------------------------------------------------

COMMANDS = {
    ("python", "train.py", "--lr", "1"): ("train", "python train.py --lr 1"),
    ("./My_Script.sh",): ("my-script", "./My_Script.sh"),
    ("/usr/bin/nvidia-smi",): ("nvidia-smi", "/usr/bin/nvidia-smi"),
    ("bash", "-c", "echo $HOME; exit 3"): ("bash", "bash -c 'echo $HOME; exit 3'"),
    ("echo hello && sleep 1",): ("echo", "echo hello && sleep 1"),
    ("\u661f\u6d41",): ("job", "'\u661f\u6d41'"),
    ("a" * 80,): ("a" * 63, "a" * 80),
}


@pytest.mark.parametrize(("argv", "made"), COMMANDS.items())
def test_a_command_becomes_a_job_that_runs_it_as_it_was_typed(argv: tuple[str, ...], made: tuple[str, str]) -> None:
    spec = read_job(Document.of(one_liner(argv)))
    assert (spec.name, spec.run) == made


def test_options_of_a_one_liner_go_where_they_belong() -> None:
    document = one_liner(["true"], nodes=2, gpu="H100:8", memory=None, time_limit="1h", name="x", env={"A": "1"})
    assert read_job(Document.of(document)) == JobSpec(
        name="x",
        run="true",
        nodes=2,
        resources=ResourceRequest(gpu=GpuRequest(8, "H100")),
        time_limit_us=3_600_000_000,
        env={"A": "1"},
    )


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20), min_size=1, max_size=4))
def test_any_command_has_a_valid_name_and_keeps_its_words(argv: list[str]) -> None:
    if not argv[0].strip():
        with pytest.raises(BadValue):
            one_liner(argv)
        return
    spec = read_job(Document.of(one_liner(argv)))
    assert spec.name == name_of(argv)
    assert len(argv) == 1 or shlex.split(spec.run) == argv


# help ------------------------------------------------------------------------------------------------------------------


def test_every_key_has_a_line_of_help() -> None:
    lines = dict(job_keys())
    assert {"kind", "resources.gpu", "restart.on_events", "checkpoint.grace", "notify.url"} <= set(lines)
    assert all(doc.endswith(".") for doc in lines.values())
