"""The command of one replica's sandbox, as bubblewrap and setpriv take it. What it is not shown does not exist for it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from xingliu.adapters.local.isolation import Isolation, Walls
from xingliu.adapters.local.places import Places

WORK, JOB, TEMPORARY, HOME = "/xl/work", "/job", "/tmp", "/home/job"
PYTHON = "/run/xingliu/python"
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
USER = "job"
_SHOWN = ("/usr", "/etc", "/opt", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32", "/sys/devices")
_DEVICE_FOLDERS = ("/sys/bus", "/sys/class", "/sys/dev", "/sys/module")


@dataclass(frozen=True, slots=True)
class View:
    """What one replica may see beside the system.

    Attributes:
        work, job, temporary, home: folders of this machine that it may write, by their place inside.
        read_only: further (here, inside) pairs: interpreters.
        devices: device files.
        shm_bytes: size of /dev/shm, None for the kernel's default.
        accounts: a folder with `passwd` and `group`, in which its uid has a name.
    """

    work: Path
    job: Path
    temporary: Path
    home: Path
    read_only: Sequence[tuple[Path, str]] = ()
    devices: Sequence[str] = ()
    shm_bytes: int | None = None
    accounts: Path | None = None


def sandbox_command(isolation: Isolation, places: Places, uid: int, view: View) -> list[str]:
    """Everything up to the command that runs inside. Raises AssertionError where there is no sandbox."""
    assert isolation.sandboxed
    spaces = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--die-with-parent", "--new-session"]
    if isolation.walls is Walls.NAMESPACE:
        spaces += ["--unshare-user", "--cap-drop", "ALL"]
    command = [
        isolation.bwrap,
        *spaces,
        *_system(places),
        *_own(view),
        *_read_only(view, places),
        *_last(view),
        "--chdir",
        WORK,
        "--",
    ]
    return command + (drop_to(isolation, uid) if isolation.walls is Walls.UID else [])


def drop_to(isolation: Isolation, uid: int) -> list[str]:
    """Become the project's uid for good."""
    ids = [f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--no-new-privs"]
    return [isolation.setpriv, *ids, "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all", "--"]


def _system(places: Places) -> list[str]:
    shown = ["--dir", "/sys"]  # readable, so that what is left out of it is absent, not forbidden: gloo minds the difference
    for path in map(Path, _SHOWN):
        if path.is_symlink():
            shown += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            shown += ["--ro-bind", str(path), str(path)]
    resolver = Path("/etc/resolv.conf").resolve()
    if resolver.is_file() and not str(resolver).startswith("/etc/"):
        shown += ["--ro-bind", str(resolver), str(resolver)]
    home = places.home.resolve()
    if any(home.is_relative_to(root) for root in _SHOWN):
        shown += ["--tmpfs", str(home)]
    return [*shown, "--proc", "/proc", "--dev", "/dev", "--dir", "/run", "--dir", "/var", "--symlink", "/tmp", "/var/tmp"]


def _own(view: View) -> list[str]:
    size = ["--size", str(view.shm_bytes)] if view.shm_bytes else []
    mounts = ["--perms", "1777", *size, "--tmpfs", "/dev/shm"]
    mounts += ["--dir", "/home", "--dir", "/run/xingliu", "--dir", "/xl"]  # above a private folder it would make private ones
    return [*mounts, "--bind", str(view.temporary), TEMPORARY, "--bind", str(view.home), HOME]


def _read_only(view: View, places: Places) -> list[str]:
    """After /tmp, in which an interpreter may well lie: it is empty before the start, so no link of a job can be in the way."""
    mounts: list[str] = []
    for here, inside in view.read_only:
        for above in reversed(Path(inside).parents[:-1]):
            mounts += ["--dir", str(above)]
        mounts += ["--ro-bind", str(here), inside]
    for name in ("passwd", "group") if view.accounts is not None else ():
        mounts += ["--ro-bind", f"{view.accounts}/{name}", f"/etc/{name}"]
    home = places.home.resolve()
    if any(home.is_relative_to(here) for here, _ in view.read_only):
        mounts += ["--tmpfs", str(home)]
    return mounts


def _last(view: View) -> list[str]:
    mounts = ["--bind", str(view.work), WORK, "--bind", str(view.job), JOB]
    for folder in _DEVICE_FOLDERS if view.devices else ():
        mounts += ["--ro-bind-try", folder, folder]
    for device in view.devices:
        mounts += ["--dev-bind", device, device]
    return mounts
