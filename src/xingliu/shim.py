"""One file, standard library only, that owns one replica and outlives the control plane.

It takes one order, JSON on its standard input (`python -I -S shim.py < order`) or from a warm process that forks for
each (`adapters/local/spawner.py`). An order says everything as data (`adapters/local/orders.py` writes it).

In the replica's folder it keeps
    lock          held (flock) as long as the shim lives; its time of modification is the last instant that proves it alive
    record.json   phase, instants in microseconds, exit code or signal; replaced whole, by rename
    log.OFFSET    output, in segments named by the offset of their first byte; the oldest is deleted beyond a stated number
    stop          written over by the launcher: the signal to send and when to kill; SIGUSR1 makes the shim look at once
A shim that finds the lock taken or a record present leaves: a replica is started at most once.
"""
# Paths are plain strings here, for importing pathlib costs more than all the rest.

import contextlib
import errno
import fcntl
import itertools
import json
import os
import resource
import select
import shutil
import signal
import socket
import sys
import time
from typing import NamedTuple, NoReturn

RENEW_MS = 700
STOPPING_MS = 20
READ_BYTES = 2**20
HELD_BYTES_MAX = 2**18
SEARCH_BYTES = 8
FIRST_SPARE_FD = 64
RECORD_BYTES = 4096
STOP_BYTES = 100
LOOK_US = 2_000_000
LOOKED_AT_MAX = 1000


def put_whole(name: str, text: str, *, durable: bool = False) -> None:
    """Replace file `name` in the current folder at once, and keep room for the next time, which may find the disk full."""
    fd = os.open(f"{name}.new", os.O_WRONLY | os.O_CREAT, 0o600)
    try:
        if os.write(fd, text.encode()) < len(text):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        os.ftruncate(fd, len(text))
        if durable:
            os.fsync(fd)
    finally:
        os.close(fd)
    os.rename(f"{name}.new", name)
    for folder in (".", "..") if durable else ():
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        os.fsync(fd)
        os.close(fd)
    with contextlib.suppress(OSError), open(f"{name}.new", "wb") as spare:
        os.posix_fallocate(spare.fileno(), 0, RECORD_BYTES)


class Order(NamedTuple):
    """What the launcher asks for.

    `scratch` is deleted in the end. `folders`: (path, uid) to make, private to that uid; None is this process's own.
    `uid`: who owns the pipe of its output. `cgroups`: (path, limit by file name). `prelude`: shell text for fd 3, secrets
    included; it writes a byte to fd 4 when the script begins. `blob`: opened as fd 5. `checkpoint`: its path as the job says
    it, and where it is. `marker`: NAME=value by which processes are found without cgroups. `pid_namespace`: the command's
    child is the first process of its own. `notify`: datagram socket told of each change. `memory_bytes`: for messages.
    """

    lease: str
    folder: str
    scratch: str
    folders: list[tuple[str, int | None]]
    uid: int | None
    cgroups: list[tuple[str, dict[str, str]]]
    argv: list[str]
    environment: dict[str, str]
    cwd: str
    prelude: str
    secrets: list[str]
    blob: str | None
    checkpoint: list[str] | None
    marker: str
    pid_namespace: bool
    memory_bytes: int
    segment_bytes: int
    segments_max: int
    notify: str


class Log:
    """A replica's output, masked, in segments, with a bound on the disk it takes."""

    def __init__(self, secrets: list[str], segment_bytes: int, segments_max: int) -> None:
        lines = {line for secret in secrets for line in (secret, *secret.splitlines()) if line == secret or len(line) >= 8}
        self._secrets = sorted((line.encode() for line in lines if line), key=len, reverse=True)
        self._segment_bytes, self._segments_max = segment_bytes, segments_max
        self._starts: list[int] = []
        self._fd = -1
        self._room = self._offset = self._lost_bytes = 0
        self._held = self.tail = b""

    def feed(self, data: bytes, *, last: bool = False) -> None:
        """Take more output. What may be the start of a secret is held back until it is known, or until `last`."""
        if self._secrets:
            data, self._held = self._mask(self._held + data, last=last)
        if data:
            self.tail = (self.tail + data)[-2000:] if len(data) < 2000 else data[-2000:]
            self._write(data)

    def _mask(self, data: bytes, *, last: bool) -> tuple[bytes, bytes]:
        """(what may be shown, what is held): secrets may overlap each other and the ends of reads."""
        hidden = _hidden(data, self._secrets)
        held_from = len(data) if last else min(len(data) - _overlap(data, secret) for secret in self._secrets)
        for start, end in reversed(hidden):
            if start < held_from < end:
                held_from = start
        if len(data) - held_from > HELD_BYTES_MAX:
            held_from = len(data)
        shown, at = [], 0
        for start, end in hidden:
            if end <= held_from:
                shown += [data[at:start], b"***"]
                at = end
        return b"".join([*shown, data[at:held_from]]), data[held_from:]

    def _write(self, data: bytes) -> None:
        """Append; where the disk is full the output is counted, not kept, and the count is said once there is room."""
        if self._lost_bytes:
            note = f"\n[{self._lost_bytes} bytes of output are missing here: the disk was full]\n".encode()
            if self._append(note):
                self._lost_bytes += len(data)
                return
            self._lost_bytes = 0
        self._lost_bytes += self._append(data)

    def _append(self, data: bytes) -> int:
        """How many of the bytes could not be written."""
        rest = memoryview(data)
        try:
            while rest:
                if not self._room:
                    self._rotate()
                written = os.write(self._fd, rest[: self._room])
                self._room -= written
                self._offset += written
                rest = rest[written:]
        except OSError:
            return len(rest)
        return 0

    def _rotate(self) -> None:
        if len(self._starts) >= self._segments_max:
            os.unlink(f"log.{self._starts.pop(0)}")
        fd = os.open(f"log.{self._offset}", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        if self._fd >= 0:
            os.close(self._fd)
        self._fd, self._room = fd, self._segment_bytes
        self._starts.append(self._offset)

    def last_line(self) -> str:
        return self.tail.decode(errors="replace").strip().rpartition("\n")[2].strip()[:300]


def _hidden(data: bytes, secrets: list[bytes]) -> list[tuple[int, int]]:
    """Where in `data` any of the secrets is, as spans that do not overlap, in order."""
    spans = []
    for secret in secrets:
        at = data.find(secret)
        while at >= 0:
            spans.append((at, at + len(secret)))
            at = data.find(secret, at + 1)
    merged: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        while merged and start < merged[-1][1]:
            start, end = merged[-1][0], max(end, merged.pop()[1])
        merged.append((start, end))
    return merged


def _overlap(data: bytes, secret: bytes) -> int:
    """The length of the longest end of `data` that is a beginning of `secret`, but not all of it."""
    head = secret[:SEARCH_BYTES]
    at = data.find(head, max(len(data) - len(secret) + 1, 0))
    while at >= 0:
        if secret.startswith(data[at:]):
            return len(data) - at
        at = data.find(head, at + 1)
    longest = min(len(head), len(secret) - 1, len(data))
    return next((length for length in range(longest, 0, -1) if data.endswith(head[:length])), 0)


class Cgroups:
    """The control groups of one replica: made with their limits, read, emptied, removed. None at all is a valid set."""

    def __init__(self, groups: list[tuple[str, dict[str, str]]]) -> None:
        self.paths = [path for path, _ in groups]
        self._limits = groups

    def make(self) -> None:
        for path, limits in self._limits:
            os.makedirs(path, exist_ok=True)
            for name, value in limits.items():
                _write_file(f"{path}/{name}", value)

    def join(self) -> None:
        """Move this process into them."""
        for path in self.paths:
            _write_file(f"{path}/cgroup.procs", "0")

    def processes(self) -> set[int]:
        return {int(pid) for path in self.paths for pid in _read_file(f"{path}/cgroup.procs").split()}

    def remove(self) -> None:
        for path in self.paths:
            with contextlib.suppress(OSError):
                os.rmdir(path)

    def cpu_us(self) -> int | None:
        for path in self.paths:
            if nanoseconds := _read_file(f"{path}/cpuacct.usage"):
                return int(nanoseconds) // 1000
            if (microseconds := self._count(f"{path}/cpu.stat", "usage_usec")) is not None:
                return microseconds
        return None

    def memory_peak_bytes(self) -> int | None:
        found = (_read_file(f"{path}/{name}") for path in self.paths for name in ("memory.max_usage_in_bytes", "memory.peak"))
        return next((int(text) for text in found if text), None)

    def memory_kills(self) -> int:
        """How many processes were killed for going over the memory limit."""
        names = ("memory.oom_control", "memory.events")
        return max((self._count(f"{path}/{name}", "oom_kill") or 0 for path in self.paths for name in names), default=0)

    def _count(self, path: str, key: str) -> int | None:
        pairs = (line.partition(" ") for line in _read_file(path).splitlines())
        return next((int(value) for name, _, value in pairs if name == key), None)


def _read_file(path: str) -> str:
    with contextlib.suppress(OSError), open(path, errors="replace") as file:
        return file.read()
    return ""


def _write_file(path: str, text: str) -> None:
    with open(path, "w") as file:
        file.write(text)


def send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


class Process(NamedTuple):
    """One living process as `/proc` shows it."""

    parent: int
    handles: bool


def look_at(pids: set[int], number: int) -> dict[int, Process]:
    """Those of the processes that live, and whether they have a handler for a signal."""
    seen = {}
    for pid in pids:
        facts = dict(line.split(":\t", 1) for line in _read_file(f"/proc/{pid}/status").splitlines() if ":\t" in line)
        if facts and facts["State"][0] not in "ZX":
            seen[pid] = Process(int(facts["PPid"]), bool(int(facts["SigCgt"], 16) >> (number - 1) & 1))
    return seen


def marked(marker: str) -> set[int]:
    """Every process whose environment has the marker."""
    pids = (int(name) for name in os.listdir("/proc") if name.isdigit())
    return {pid for pid in pids if marker in _read_file(f"/proc/{pid}/environ").split("\0")}


def state_of(path: str) -> str:
    """Newest change, number and size of what is at a path, of at most LOOKED_AT_MAX files; empty where there is nothing."""
    files, seen = (f"{folder}/{name}" for folder, _, names in os.walk(path) for name in names), []
    for found in (path, *itertools.islice(files, LOOKED_AT_MAX)):
        with contextlib.suppress(OSError):
            seen.append(os.lstat(found))
    return f"{max(one.st_mtime_ns for one in seen)}:{len(seen)}:{sum(one.st_size for one in seen)}" if seen else ""


class Stopping:
    """A stop under way: every process is asked once when it is seen, those without a handler only after their children.

    So a shell that would die of the signal does not take down the program it waits for, busy writing its checkpoint.
    """

    def __init__(self, number: int, kill_at_us: int, living: dict[int, Process]) -> None:
        self.number, self.kill_at_us = number, kill_at_us
        self._first, self._asked = set(living), set[int]()

    def ask(self, living: dict[int, Process]) -> None:
        parents = {process.parent for pid, process in living.items() if pid in self._first}
        for pid, process in living.items():
            if pid not in self._asked and (process.handles or pid not in parents):
                self._asked.add(pid)
                send(pid, self.number)


class Shim:
    """Owner of one replica, from its order to its last record."""

    def __init__(self, order: Order) -> None:
        self.order = order
        cgroups = [path for path, _ in order.cgroups]
        self.record: dict[str, object] = {"lease": order.lease, "shim": os.getpid(), "cgroups": cgroups}
        self.unsaved = False
        self.log = Log(order.secrets, order.segment_bytes, order.segments_max)
        self.cgroups = Cgroups(order.cgroups)
        self.last_us = self.main = self.looked_us = 0
        self.state = state_of(order.checkpoint[1]) if order.checkpoint else ""  # as it was found, which is no news
        self.lock = self.main_fd = self.inside_fd = self.output = self.ready = self.prelude_fd = -1
        self.inside: int | None = None
        self.stopping: Stopping | None = None
        self.poll = select.poll()

    def claim(self) -> str:
        """Take the replica, in a folder of its own; an empty answer means it is ours, else why not."""
        os.makedirs(self.order.folder, mode=0o700, exist_ok=True)
        os.chdir(self.order.folder)
        self.lock = os.open("lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self.lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return "it has a shim"
        if os.path.exists("record.json"):
            return "it was started before"
        os.pwrite(self.lock, b"%d\n" % os.getpid(), 0)
        self.renew()
        self.record["phase"] = "starting"
        _write_file("stop", " " * STOP_BYTES)
        put_whole("record.json", json.dumps(self.record), durable=True)
        return ""

    def now_us(self) -> int:
        """This instant; never before one that was given earlier."""
        self.last_us = max(self.last_us, time.time_ns() // 1000)
        return self.last_us

    def renew(self) -> None:
        """Prove that the replica is alive. Needs no room on the disk."""
        now = self.now_us() * 1000
        os.utime(self.lock, ns=(now, now))

    def save(self, **facts: object) -> None:
        """Change the record and tell the launcher. On a full disk it is tried again, at each `tick`."""
        self.record.update(facts)
        try:
            put_whole("record.json", json.dumps(self.record))
            self.unsaved = False
        except OSError:
            self.unsaved = True
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as bell, contextlib.suppress(OSError):
            bell.sendto(self.order.lease.encode(), self.order.notify)

    def run(self) -> None:
        """Everything after `claim`. Returns when the replica has ended, nothing of it is left, and its record says so."""
        wake, bell = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(bell, warn_on_full_buffer=False)
        signal.signal(signal.SIGUSR1, lambda number, frame: None)
        self.poll.register(wake, select.POLLIN)
        try:
            self.prepare()
            if not self.read_stop():
                self.start()
        except OSError as error:
            self.give_up(f"The node could not start it: {os.strerror(error.errno or errno.EIO)}.")
        else:
            if self.main:
                self.watch(wake)
                self.finish()
            else:
                self.give_up("It was stopped before it started.")
        shutil.rmtree(self.order.scratch, ignore_errors=True)
        while self.unsaved:
            self.save()
            self.renew()
            time.sleep(RENEW_MS / 1000)
        os.unlink("record.json.new")

    def give_up(self, message: str) -> None:
        self.cgroups.remove()
        self.save(phase="launch-failed", ended_us=self.now_us(), empty_us=self.now_us(), message=message)

    def prepare(self) -> None:
        for path, uid in self.order.folders:
            try:
                os.mkdir(path, 0o700)
            except FileExistsError:
                continue
            if uid is not None:
                os.chown(path, uid, uid)
        self.cgroups.make()

    def start(self) -> None:
        """Fork the sandbox's command, in its cgroups before it is anything else."""
        self.prelude_fd = prelude = os.memfd_create("prelude")
        os.write(prelude, self.order.prelude.encode())
        os.lseek(prelude, 0, os.SEEK_SET)
        blob = os.open(self.order.blob or "/dev/null", os.O_RDONLY)
        self.output, output = os.pipe2(os.O_CLOEXEC)
        self.ready, ready = os.pipe2(os.O_CLOEXEC)
        if self.order.uid is not None:
            os.fchown(output, self.order.uid, self.order.uid)
        with contextlib.suppress(OSError):
            fcntl.fcntl(self.output, fcntl.F_SETPIPE_SZ, READ_BYTES)
        os.set_blocking(self.output, False)
        os.set_blocking(self.ready, False)
        shim = os.getpid()
        self.main = os.fork()
        if not self.main:
            self.become_sandbox(shim, (output, output, prelude, ready, blob))
        self.main_fd = os.pidfd_open(self.main)
        for fd in (output, ready, blob):
            os.close(fd)
        for fd in (self.output, self.ready, self.main_fd):
            self.poll.register(fd, select.POLLIN)

    def become_sandbox(self, shim: int, fds: tuple[int, ...]) -> NoReturn:
        """In the child. Its copy of the lock closes with exec, so no observer misses it before it is in its cgroups."""
        try:
            self.cgroups.join()
            _write_file("/proc/self/oom_score_adj", "500")
            own = (os.open("/dev/null", os.O_RDONLY), *fds)
            for target, fd in enumerate([fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, FIRST_SPARE_FD) for fd in own]):
                os.dup2(fd, target)
            os.chdir(self.order.cwd)
            os.umask(0o022)
            os.setsid()
            for number in (signal.SIGPIPE, signal.SIGUSR1, signal.SIGXFSZ):
                signal.signal(number, signal.SIG_DFL)
            if os.getppid() == shim:
                os.execve(self.order.argv[0], self.order.argv, self.order.environment)
        except OSError as error:
            os.write(fds[0], f"cannot enter the sandbox: {error}\n".encode())
        os._exit(126)

    def watch(self, wake: int) -> None:
        """Until the main process has ended: take output, renew, carry out a stop."""
        while True:
            for fd, _ in self.poll.poll(STOPPING_MS if self.stopping else RENEW_MS):
                if fd == self.output:
                    self.drain()
                elif fd == self.ready:
                    self.poll.unregister(fd)
                    if self.begin():
                        self.save()
                elif fd == wake:
                    os.read(wake, 4096)
                elif fd == self.main_fd:
                    return
            self.tick()

    def begin(self) -> bool:
        """Whether the sandbox stands and its shell runs the script; if so, note it."""
        try:
            if not os.read(self.ready, 1):
                return False
        except BlockingIOError:
            return False
        children = _read_file(f"/proc/{self.main}/task/{self.main}/children").split()
        if children and self.order.pid_namespace:
            self.inside = int(children[0])
            with contextlib.suppress(ProcessLookupError):
                self.inside_fd = os.pidfd_open(self.inside)
        self.record.update(phase="running", started_us=self.now_us(), inside=self.inside, prelude_fd=self.prelude_fd)
        return True

    def drain(self) -> bool:
        """Take what is in the pipe, one read of it; whether there was anything."""
        try:
            data = os.read(self.output, READ_BYTES)
        except BlockingIOError:
            return False
        if data:
            self.log.feed(data)
        elif self.main_fd >= 0:
            self.poll.unregister(self.output)
        return bool(data)

    def look(self, *, every_us: int = LOOK_US) -> None:
        """Note when the checkpoint last changed, by its own time of change, so far as that lies between two looks."""
        looked_at, now_us = self.order.checkpoint, self.now_us()
        if looked_at and now_us - self.looked_us >= every_us:
            before_us, self.looked_us, state = self.looked_us, now_us, state_of(looked_at[1])
            if state and state != self.state:
                self.state, changed_us = state, int(state.partition(":")[0]) // 1000
                self.save(saved={"path": looked_at[0], "state": state, "seen_us": min(max(changed_us, before_us), now_us)})

    def tick(self) -> None:
        self.renew()
        self.look()
        if self.unsaved:
            self.save()
        if (stop := self.read_stop()) and (self.stopping is None or stop != (self.stopping.number, self.stopping.kill_at_us)):
            number, kill_at_us = stop
            self.stopping = Stopping(number, kill_at_us, self.living(number))
            self.record["stopped"] = True
        if self.stopping is not None:
            if self.stopping.number == signal.SIGKILL or self.now_us() >= self.stopping.kill_at_us:
                self.kill_all()
            else:
                self.stopping.ask(self.living(self.stopping.number))

    def read_stop(self) -> tuple[int, int] | None:
        words = _read_file("stop").split()
        return (int(words[0]), int(words[1])) if len(words) == 2 else None

    def processes(self) -> set[int]:
        return self.cgroups.processes() if self.order.cgroups else marked(self.order.marker)

    def living(self, number: int) -> dict[int, Process]:
        """The replica's own processes: not the sandbox's first one, nor the one that watches it from outside."""
        own = {self.main, self.inside} if self.order.pid_namespace else set()
        return look_at(self.processes() - own, number)

    def kill_all(self) -> None:
        for pid in {self.main} if self.order.pid_namespace else self.living(signal.SIGKILL):
            send(pid, signal.SIGKILL)

    def finish(self) -> None:
        """Record how it ended once nothing of it is left; before that, if something refuses to die."""
        _, status, used = os.wait4(self.main, 0)
        ended_us, self.main_fd = self.now_us(), -1
        self.look(every_us=0)
        empty = self.is_empty(patience_us=300_000)
        while self.drain():
            self.renew()
        self.log.feed(b"", last=True)
        ended = {"ended_us": ended_us, **self.how_it_ended(os.waitstatus_to_exitcode(status), used)}
        if not empty:
            self.save(**ended)
            while not self.is_empty(patience_us=RENEW_MS * 1000):
                self.renew()
        self.cgroups.remove()
        self.save(**ended, empty_us=self.now_us())

    def how_it_ended(self, code: int, used: resource.struct_rusage) -> dict[str, object]:
        """A sandbox reports a process killed by signal N as 128+N, as shells do; so 129..192 are recorded as signals."""
        if not self.record.get("started_us") and not self.begin():
            said = "It was stopped before it started." if self.stopping else f"It could not be set up: {self.log.last_line()}"
            return {"phase": "launch-failed", "message": said}
        number = -code if code < 0 else code - 128 if 128 < code <= 192 else None
        cpu_us, memory_bytes = self.cgroups.cpu_us(), self.cgroups.memory_peak_bytes()
        return {
            "phase": "ended",
            "exit_code": None if number else code,
            "signal": number,
            "message": self.explanation(code, number),
            "cpu_us": int((used.ru_utime + used.ru_stime) * 1e6) if cpu_us is None else cpu_us,
            "memory_peak_bytes": used.ru_maxrss * 1024 if memory_bytes is None else memory_bytes,
        }

    def explanation(self, code: int, number: int | None) -> str:
        limit = f"its memory limit of {self.order.memory_bytes / 1e9:.3g} GB"
        if kills := self.cgroups.memory_kills():
            killed = number == signal.SIGKILL and self.stopping is None
            return f"Killed: it went over {limit}." if killed else f"{kills} of its processes were killed for going over {limit}."
        last = self.log.last_line()
        if code in (126, 127):
            return f"{'Cannot be run' if code == 126 else 'Command not found'}: {last}"
        return last if last.startswith("setup failed") and code else ""

    def is_empty(self, patience_us: int) -> bool:
        """Kill what is left; whether within that time nothing was."""
        until = self.now_us() + patience_us
        if self.inside_fd >= 0:
            inside = select.poll()
            inside.register(self.inside_fd, select.POLLIN)
            inside.poll(patience_us // 1000)
        while left := self.processes():
            for pid in left:
                send(pid, signal.SIGKILL)
            self.drain()
            if self.now_us() >= until:
                return False
            time.sleep(0.001)
        return True


def main() -> None:
    """Own the replica that standard input orders, in the foreground."""
    shim = Shim(Order(**json.load(sys.stdin)))
    if refused := shim.claim():
        sys.exit(refused)
    shim.run()


if __name__ == "__main__":
    main()
