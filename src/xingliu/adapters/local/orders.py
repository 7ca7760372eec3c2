"""From what control asks for to what a shim is ordered."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from xingliu.adapters.local.gpus import Gpus
from xingliu.adapters.local.interpreters import Interpreters, folder_of
from xingliu.adapters.local.isolation import Isolation, Walls
from xingliu.adapters.local.places import Places
from xingliu.adapters.local.sandbox import HOME, JOB, PYTHON, SYSTEM_PATH, TEMPORARY, USER, WORK, View, sandbox_command
from xingliu.adapters.local.script import write_script
from xingliu.control.ports import Launch
from xingliu.kernel.errors import XingliuError

SEGMENT_BYTES = 8 * 2**20
SEGMENTS_MAX = 4
_MARKER = "XL_REPLICA"


@dataclass(eq=False)
class BlobMissing(XingliuError):
    """The packed working folder of the job is not on this node."""

    code: ClassVar[str] = "blob_missing"
    hint: ClassVar[str] = "Submit the job again, so that its folder is uploaded anew."


@dataclass(frozen=True, slots=True)
class Folders:
    """The folders of one replica, as its own processes reach them (`view`) and as they are on this machine."""

    work: Path
    job: Path
    temporary: Path
    home: Path


class Orders:
    """Writes orders for one home."""

    def __init__(self, places: Places, isolation: Isolation, interpreters: Interpreters, gpus: Gpus) -> None:
        self._places = places
        self._isolation = isolation
        self._interpreters = interpreters
        self._gpus = gpus

    def write(self, launch: Launch) -> bytes:
        """The order, as JSON (fields: `xingliu.shim.Order`). Raises NoSuchInterpreter, BlobMissing, NoSuchGpu, BadVariable."""
        places, isolation = self._places, self._isolation
        if launch.blob is not None and not places.blob(launch.blob).is_file():
            raise BlobMissing
        folder = places.replica(launch.lease)
        scratch, job = folder / "scratch", places.job_files(launch.job)
        here = Folders(scratch / "work", job, scratch / "tmp", scratch / "home")
        inside = Folders(Path(WORK), Path(JOB), Path(TEMPORARY), Path(HOME)) if isolation.sandboxed else here
        uid = launch.uid if isolation.walls is Walls.UID else None
        read_only, python_folder = self._python(launch)
        environment = self._environment(launch, inside, python_folder)
        script = write_script(
            isolation.shell, launch.script, launch.setup, environment, str(inside.work) if launch.blob is not None else None
        )
        argv = script.argv
        if isolation.sandboxed:
            view = View(
                *(here.work, here.job, here.temporary, here.home),
                read_only=read_only,
                devices=() if launch.gpus_emulated else self._gpus.device_files(launch.gpus),
                shm_bytes=launch.shm_bytes,
                accounts=self._accounts(launch.uid) if uid is not None else None,
            )
            argv = sandbox_command(isolation, places, launch.uid, view) + argv
        marker = f"{places.cgroup}/{launch.lease}"
        order = {
            "lease": launch.lease,
            "folder": str(folder),
            "scratch": str(scratch),
            "folders": [
                *((str(path), None) for path in (scratch, job.parent)),
                *((str(path), uid) for path in (here.work, here.job, here.temporary, here.home)),
            ],
            "uid": uid,
            "cgroups": isolation.cgroups.limits(launch.lease, cpu_milli=launch.cpu_milli, memory_bytes=launch.memory_bytes),
            "argv": argv,
            "environment": {"PATH": SYSTEM_PATH, "LANG": "C.UTF-8", _MARKER: marker, **script.environment},
            "cwd": "/" if isolation.sandboxed else str(here.work),
            "prelude": script.prelude,
            "secrets": launch.secrets,
            "blob": str(places.blob(launch.blob)) if launch.blob is not None else None,
            "checkpoint": [launch.checkpoint_path, str(job / launch.checkpoint_path)] if launch.checkpoint_path else None,
            "marker": f"{_MARKER}={marker}",
            "pid_namespace": isolation.sandboxed,
            "memory_bytes": launch.memory_bytes,
            "segment_bytes": SEGMENT_BYTES,
            "segments_max": SEGMENTS_MAX,
            "notify": str(places.run / "notify.sock"),
        }
        return json.dumps(order).encode()

    def _python(self, launch: Launch) -> tuple[list[tuple[Path, str]], str]:
        """What the interpreter needs to be seen, and the folder that goes first on PATH ("" for none)."""
        interpreter = self._interpreters.find(launch.python, declared=launch.python_declared)
        if interpreter is None:
            return [], ""
        folder = folder_of(interpreter, self._places.run)
        shown = [(prefix, str(prefix)) for prefix in interpreter.prefixes]
        if not self._isolation.sandboxed or interpreter.path.parent == folder:
            return shown, str(folder)
        return [*shown, (folder, PYTHON)], PYTHON

    def _environment(self, launch: Launch, inside: Folders, python_folder: str) -> Mapping[str, str]:
        asked = dict(launch.environment)
        path = asked.pop("PATH", SYSTEM_PATH)
        emulated = ",".join(map(str, launch.gpus)) if launch.gpus_emulated else ""
        return {
            "HOME": str(inside.home),
            "USER": USER,
            "TMPDIR": str(inside.temporary),
            "LANG": "C.UTF-8",
            "PYTHONUNBUFFERED": "1",
            "OMP_NUM_THREADS": str(max(launch.cpu_milli // 1000, 1)),
            **asked,
            "PATH": f"{python_folder}:{path}" if python_folder else path,
            "XL_JOB_DIR": str(inside.job),
            "CUDA_VISIBLE_DEVICES": "" if launch.gpus_emulated else self._gpus.visible(launch.gpus),
            **({"XL_EMULATED_GPUS": emulated} if emulated else {}),
        }

    def _accounts(self, uid: int) -> Path:
        """A folder with the accounts file in which this uid has a name."""
        folder = self._places.run / "accounts" / str(uid)
        if not (folder / "group").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            passwd = f"root:x:0:0:root:/root:/bin/sh\n{USER}:x:{uid}:{uid}::{HOME}:{self._isolation.shell}\n"
            for name, text in (("passwd", passwd), ("group", f"root:x:0:\n{USER}:x:{uid}:\n")):
                (folder / f"{name}.new").write_text(text)
                (folder / f"{name}.new").chmod(0o644)
                os.replace(folder / f"{name}.new", folder / name)  # noqa: PTH105 - Path.replace is no better named
        return folder
