"""The keys of a job file, as data."""

from collections.abc import Mapping, Sequence

from xingliu.kernel.addresses import ADDRESS
from xingliu.kernel.keytables import Bad, Entry, Key, Shape, Table
from xingliu.kernel.quantities import DAY_US, HOUR_US, INSTANT, duration, memory, milli
from xingliu.kernel.shapes import BOOLEAN, choice, list_of, mapping_of, name, script, text, whole
from xingliu.workloads import spec_shapes as shapes
from xingliu.workloads import spec_words as words
from xingliu.workloads.arrays import ELEMENTS_MAX
from xingliu.workloads.model import Checkpoint, JobSpec, Notify, Priority, ResourceRequest, RestartPolicy
from xingliu.workloads.spec_roles import STOP_WHEN, check_roles, roles
from xingliu.workloads.waiting_shapes import AFTER, NOT_BEFORE, SCHEDULE

NODES_MAX = 100_000
SCRIPT_BYTES_MAX = 64 * 1024
ENV_ENTRIES_MAX = 256
ENV_BYTES_MAX = 128 * 1024
SECRETS_MAX = 64
RESTARTS_MAX = 1000
TIME_LIMIT_MAX_US = 3650 * DAY_US
GRACE_MAX_US = 6 * HOUR_US
EVENTS = ("started", "failed", "finished", "preempted", "deferred")
TOLD_BY_DEFAULT = EVENTS[:3]
RECIPIENTS_MAX = 10

_PROJECT = text(
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?/)?[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?",
    "a project",
    "Write its name, or TENANT/NAME; `xl project ls` shows yours.",
    length_max=127,
)


def _unique(shape: Shape) -> Shape:
    """A list that names nothing twice."""

    def read(entry: Entry) -> object:
        found = shape.read(entry)
        if isinstance(found, Sequence) and len(set(found)) < len(found):
            raise entry.wrong("something is named twice", "Name each once.")
        return found

    return Shape(read, {**shape.schema, "uniqueItems": True}, shape.write)


def _environment() -> Shape:
    plain = mapping_of(
        shapes.VARIABLE_VALUE,
        most=ENV_ENTRIES_MAX,
        what="variables",
        key=shapes.VARIABLE,
        key_hint="Use letters, digits and _, not starting with a digit; at most 128 of them.",
    )

    def read(entry: Entry) -> object:
        found = plain.read(entry)
        if not isinstance(found, Mapping):
            raise AssertionError(found)
        reserved = {variable: why for variable in found if (why := shapes.why_reserved(variable)) is not None}
        for variable, (message, hint) in reserved.items():
            entry.note(message, hint, step=variable)
        if reserved:
            raise Bad
        if sum(len(variable) + len(value.encode()) + 2 for variable, value in found.items()) > ENV_BYTES_MAX:
            raise entry.wrong(
                f"together it is larger than {ENV_BYTES_MAX // 1024} KiB", "Put what is large into a file of the workdir."
            )
        return found

    return Shape(read, plain.schema, plain.write)


RESOURCES = Table(
    keys=(
        Key("gpu", shapes.GPU, "GPUs on each node: 1, H100 or H100:8."),
        Key(
            "cpu",
            milli(least=10, most=4_096_000, what="cores", or_more=True),
            "Cores on each node: 2, 0.5 or 96..; default 1.",
            "cpu_milli",
        ),
        Key("memory", memory(or_more=True), "Memory on each node: 64GB, 64GiB or 64GB..; default 1GB.", "memory_bytes"),
        Key("shm", memory(or_more=True), "Shared memory (/dev/shm) in each replica: 16GB.", "shm_bytes"),
    ),
    make=ResourceRequest,
    elsewhere=words.RESOURCES_ELSEWHERE,
)
CHECKPOINT = Table(
    keys=(
        Key("path", shapes.JOB_PATH, "Where checkpoints are written, relative to $XL_JOB_DIR."),
        Key("every", duration(most_us=TIME_LIMIT_MAX_US), "How often one is written: 30m.", "every_us"),
        Key("signal", shapes.SIGNAL, "Sent first when the job has to stop; default SIGTERM."),
        Key("grace", duration(most_us=GRACE_MAX_US), "Time to save and end after the signal; default 10s.", "grace_us"),
    ),
    make=Checkpoint,
    elsewhere=words.CHECKPOINT_ELSEWHERE,
)
RESTART = Table(
    keys=(
        Key(
            "on_events",
            _unique(list_of(shapes.EVENT, most=260, what="causes")),
            "Causes to start again for: node-failure, launch-failure (the default two), signal, exit:N.",
        ),
        Key("max", whole(0, RESTARTS_MAX), "How often for each cause; default 3."),
    ),
    make=RestartPolicy,
    elsewhere=words.RESTART_ELSEWHERE,
    later=frozenset({"spare_nodes"}),
)


def _recipients() -> Shape:
    """One address, or a list of them."""
    several = _unique(list_of(ADDRESS, most=RECIPIENTS_MAX, what="addresses"))

    def read(entry: Entry) -> object:
        if not isinstance(entry.value, list):
            return (ADDRESS.read(entry),)
        if not entry.value:
            raise entry.wrong("it names nobody", "Write an address, or leave the key out.")
        return several.read(entry)

    def write(found: object) -> object:
        return found[0] if isinstance(found, tuple) and len(found) == 1 else several.write(found)

    return Shape(read, {"anyOf": [ADDRESS.schema, {**several.schema, "minItems": 1}]}, write)


def _notify(url: str | None = None, events: tuple[str, ...] = TOLD_BY_DEFAULT, email: tuple[str, ...] = ()) -> Notify:
    return Notify(url, events, email)


def _check_notify(entry: Entry, read: Mapping[str, object]) -> None:
    if "url" not in read and "email" not in read:
        entry.note("nobody is named to be told", "Add `url`, `email` or both.")
        raise Bad


NOTIFY = Table(
    keys=(
        Key("url", shapes.URL, "Where to post, http or https."),
        Key("email", _recipients(), "Whom to mail: an address, or up to 10; the cloud's operator sets up the server."),
        Key(
            "events",
            _unique(list_of(choice(EVENTS), most=len(EVENTS), what="events")),
            "Which of started, failed, finished (the default three), preempted (stopped for another job, it waits again), "
            "deferred (it had been next, and now waits for quota, nodes, or jobs that go first; told once a wait).",
        ),
    ),
    make=_notify,
    check=_check_notify,
    elsewhere=words.NOTIFY_ELSEWHERE,
)


def _check(entry: Entry, read: Mapping[str, object]) -> None:
    check_roles(entry, read)
    env, secrets = read.get("env"), read.get("secrets")
    if isinstance(env, Mapping) and isinstance(secrets, tuple) and (both := sorted(set(env) & set(secrets))):
        entry.note(f"{both[0]} is under env and under secrets", "Keep one of them.", step="secrets")
        raise Bad
    if "max_parallel" in read and "array" not in read:
        entry.note("max_parallel is for arrays, and there is no array", "Add `array: 0-9`, or leave it out.", step="max_parallel")
        raise Bad


JOB = Table(
    keys=(
        Key("kind", choice(("job",)), "What this file describes: job.", "", required=True),
        Key("version", whole(1, 1), "Version of this format; 1.", ""),
        Key("name", name("a job"), "What people call the job; small letters, digits and dashes.", required=True),
        Key("project", _PROJECT, "Who owns and pays; default: your own."),
        Key("queue", name("a queue"), "Where it waits; default: the project's queue."),
        Key("nodes", whole(1, NODES_MAX), "Nodes it runs on, all or none; one replica each; default 1."),
        Key("resources", RESOURCES.shape(), "What each node has to give."),
        Key("python", shapes.PYTHON, "The Python to put first on PATH: a name, a version or a path on the node."),
        Key("workdir", shapes.WORKDIR, "Folder to pack and unpack where the job runs, relative to this file."),
        Key("env", _environment(), "Environment variables."),
        Key(
            "secrets",
            _unique(list_of(shapes.SECRET_NAME, most=SECRETS_MAX, what="secrets")),
            "Secrets to set as environment variables.",
        ),
        Key("setup", script(SCRIPT_BYTES_MAX), "Shell text run before `run`, in every replica of each attempt."),
        Key("run", script(SCRIPT_BYTES_MAX), "Shell text that is the job.", required=True, unless="roles"),
        Key(
            "roles",
            roles(RESOURCES, nodes_max=NODES_MAX, script_bytes_max=SCRIPT_BYTES_MAX),
            "Parts of the job that start together, each with nodes, resources and run of its own: learner: {run: ...}.",
        ),
        Key("stop_when", STOP_WHEN, "The role, or roles, whose end is the job's: the others are stopped then; default all."),
        Key("array", shapes.ARRAY, "Many jobs of this file, each with an index of its own: 0-199, 0-199:2 or 1,3,5-9."),
        Key("max_parallel", whole(1, ELEMENTS_MAX), "How many elements of the array may hold nodes at once; default all."),
        Key("after", AFTER, "Jobs that have to end before: [prep] well, or {ok: [a], any: [b], failed: [c]}; names or ids."),
        Key(
            "not_before",
            NOT_BEFORE,
            "When it may start at the earliest: 2h (from submission), or 2026-12-24T03:00:00+01:00.",
        ),
        Key("schedule", SCHEDULE, "Submit it again and again: a cron expression, or its parts; `xl schedule` manages it."),
        Key(
            "time_limit", duration(most_us=TIME_LIMIT_MAX_US), "Longest running time, summed over attempts: 36h.", "time_limit_us"
        ),
        Key(
            "deadline",
            INSTANT,
            "When it should have ended: 2026-12-24T03:00:00+01:00; the earliest goes first in queues whose order is deadline.",
            "deadline_us",
        ),
        Key("priority", choice(Priority), "low, normal, high or urgent; default normal."),
        Key("preemptible", BOOLEAN, "Whether it may borrow beyond its queue's quota, and be stopped for others; default false."),
        Key("checkpoint", CHECKPOINT.shape(), "How the job saves its state."),
        Key("restart", RESTART.shape(), "When it is started again."),
        Key("notify", NOTIFY.shape(), "Whom to tell what became of it, by post or mail."),
    ),
    make=JobSpec,
    check=_check,
    elsewhere=words.ELSEWHERE,
    later=words.LATER,
)
