"""Debian's Slurm on this machine: munged, slurmctld and several slurmd, in a folder and on ports of their own."""

import contextlib
import os
import re
import shutil
import socket
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

PACKAGES = ("slurmctld", "slurmd", "slurm-client", "munge")
START_WITHIN_S = 60.0
STOP_WITHIN_S = 10.0


class SlurmMissing(Exception):
    """Slurm is not installed: sudo apt-get install -y slurmctld slurmd slurm-client munge."""

    def __str__(self) -> str:
        return str(self.__doc__)


@dataclass
class Slurm:
    """One cluster of `nodes` emulated nodes with `cpus` slots each; use it as a context manager.

    With `gpus` its nodes are State=CLOUD, each with so many, and no slurmd: jobs are placed and never run.
    Source: slurm.conf(5) of Debian 12's 22.05; several slurmd on one host need `-N` and ports of their own.
    """

    folder: Path
    nodes: int
    cpus: int
    gpus: int = 0
    memory_mb: int = 0
    scheduler: str = "backfill"
    parameters: str = ""
    _daemons: list[subprocess.Popen[bytes]] = field(default_factory=list)
    _controller: int = 0

    @property
    def env(self) -> dict[str, str]:
        return {**os.environ, "SLURM_CONF": str(self.folder / "slurm.conf")}

    def configure(self) -> None:
        """Everything a first user has to write before the daemons can start."""
        if any(shutil.which(program) is None for program in ("munged", "slurmctld", "slurmd", "sbatch")):
            raise SlurmMissing
        host = socket.gethostname().split(".")[0]
        base = _free_ports(self.nodes + 1)
        for name in ("state", "spool", "log"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o755)
        key = self.folder / "munge.key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o600)
        munge = self.folder / "munge.socket"
        (self.folder / "slurm.conf").write_text(
            f"""ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={base}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={munge}
CredType=cred/munge
StateSaveLocation={self.folder}/state
SlurmdSpoolDir={self.folder}/spool/%n
SlurmctldPidFile={self.folder}/slurmctld.pid
SlurmdPidFile={self.folder}/slurmd.%n.pid
SlurmctldLogFile={self.folder}/log/slurmctld.log
SlurmdLogFile={self.folder}/log/slurmd.%n.log
SlurmdParameters=config_overrides
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters={"CR_Core_Memory" if self.memory_mb else "CR_Core"}
SchedulerType=sched/{self.scheduler}
{self.parameters}
MaxJobCount=200000
MaxArraySize=100000
MinJobAge=2
ReturnToService=2
{self._cloud() if self.gpus else self._emulated(host, base + 1)}
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""
        )

    def _emulated(self, host: str, port: int) -> str:
        """Nodes with a slurmd each."""
        ports = f"[{port}-{port + self.nodes - 1}]"
        return f"NodeName=n[1-{self.nodes}] NodeHostname={host} NodeAddr=127.0.0.1 Port={ports} CPUs={self.cpus} State=UNKNOWN"

    def _cloud(self) -> str:
        """Nodes that are powered down, and that nobody ever powers up, though Slurm believes so for 16 hours."""
        (self.folder / "gres.conf").write_text(f"NodeName=n[1-{self.nodes}] Name=gpu Count={self.gpus}\n")
        shape = f"Sockets=2 CoresPerSocket={self.cpus // 2} RealMemory={self.memory_mb} Gres=gpu:{self.gpus}"
        return f"""GresTypes=gpu
PrivateData=cloud
SuspendProgram=/bin/true
ResumeProgram=/bin/true
SuspendTime=86400
ResumeTimeout=60000
ResumeRate=0
NodeName=n[1-{self.nodes}] NodeAddr=127.0.0.1 {shape} State=CLOUD"""

    def start(self) -> None:
        """The daemons, until a node is idle."""
        socket_path = self.folder / "munge.socket"
        self._run(
            "munged", "--foreground", "--force", f"--socket={socket_path}", f"--key-file={self.folder}/munge.key",
            f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/log/munged.log", f"--seed-file={self.folder}/seed",
        )  # fmt: skip
        _wait(socket_path.exists, "munged")
        self._run("slurmctld", "-D", "-f", str(self.folder / "slurm.conf"))
        self._controller = self._daemons[-1].pid
        for number in range(1, self.nodes + 1) if not self.gpus else ():
            self._run("slurmd", "-D", "-N", f"n{number}", "-f", str(self.folder / "slurm.conf"))

    def wait_ready(self) -> None:
        """Until every node is idle."""

        def ready() -> bool:
            told = self.command("sinfo", "-h", "-o", "%D %t", check=False)
            return told.split() == [str(self.nodes), "idle~" if self.gpus else "idle"]

        _wait(ready, "slurmd")

    def command(self, *argv: str, check: bool = True) -> str:
        done = subprocess.run(argv, env=self.env, capture_output=True, text=True, check=check)
        return done.stdout

    def controller_cpu_s(self) -> float:
        """What slurmctld has used so far, user and system."""
        fields = Path(f"/proc/{self._controller}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def _run(self, *argv: str) -> None:
        with (self.folder / "log" / f"{argv[0]}.out").open("ab") as out:
            self._daemons.append(subprocess.Popen(argv, env=self.env, stdout=out, stderr=out, cwd=self.folder))

    def __enter__(self) -> "Slurm":
        try:
            self.configure()
            self.start()
            self.wait_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End the jobs, then the daemons: a slurmd that ends leaves its jobs behind."""
        if self._daemons and not self.gpus:
            with contextlib.suppress(subprocess.SubprocessError, OSError):
                subprocess.run(["scancel", "--quiet", "--user=root"], env=self.env, capture_output=True, timeout=STOP_WITHIN_S)
                until = time.monotonic() + STOP_WITHIN_S
                while time.monotonic() < until and self.command("squeue", "-h", "-t", "R,CG", check=False).strip():
                    time.sleep(0.1)
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in self._daemons:
            try:
                daemon.wait(STOP_WITHIN_S)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        self._daemons.clear()


def install() -> None:
    """What is missing, by apt. Raises SlurmMissing where that cannot be."""
    if all(shutil.which(program) for program in ("munged", "slurmctld", "slurmd", "sbatch")):
        return
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        raise SlurmMissing
    print(f"installing {', '.join(PACKAGES)}", flush=True)
    quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    subprocess.run(["apt-get", "install", "-y", "-qq", *PACKAGES], env=quiet, check=True, stdout=subprocess.DEVNULL)


def names_in(nodes: str) -> list[str]:
    """`n[1-3,7]` or `n5` as names."""
    found = []
    for spans, number in re.findall(r"n(?:\[([^\]]*)\]|(\d+))", nodes):
        for span in (spans or number).split(","):
            first, _, last = span.partition("-")
            found += [f"n{each}" for each in range(int(first), int(last or first) + 1)]
    return found


def _wait(condition: object, what: str) -> None:
    until = time.monotonic() + START_WITHIN_S
    while not condition():  # type: ignore[operator]
        if time.monotonic() > until:
            raise TimeoutError(f"{what} did not start within {START_WITHIN_S:.0f} s")
        time.sleep(0.01)


def _free_ports(count: int) -> int:
    """The first of `count` ports in a row that are free now."""
    for base in range(26000, 32000, count):
        if all(_free(base + offset) for offset in range(count)):
            return base
    raise OSError("no free ports")


def _free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True
