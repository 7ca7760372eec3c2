"""This machine's NVIDIA GPUs, through NVML. No driver means no GPUs."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import pynvml  # type: ignore[import-untyped]

from xingliu.kernel.errors import XingliuError

_SHARED = ("/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset", "/dev/nvidia-caps")


@dataclass(eq=False)
class NoSuchGpu(XingliuError):
    """This node has no GPU {index}."""

    code: ClassVar[str] = "no_such_gpu"
    hint: ClassVar[str] = "The driver shows fewer GPUs than when the node joined; have the operator look at the node."
    index: int


@dataclass(frozen=True, slots=True)
class Gpu:
    """One GPU; `minor` is the number of its device file, which need not be its index."""

    index: int
    minor: int
    uuid: str
    model: str
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Gpus:
    """Those of this machine."""

    present: tuple[Gpu, ...] = ()
    driver: str = ""

    def device_files(self, indices: Sequence[int]) -> list[str]:
        """What a job with these GPUs may open. Raises NoSuchGpu."""
        if not indices:
            return []
        own = [f"/dev/nvidia{gpu.minor}" for gpu in self._those(indices)]
        return own + [path for path in _SHARED if Path(path).exists()]

    def visible(self, indices: Sequence[int]) -> str:
        """CUDA_VISIBLE_DEVICES: by uuid, for indices change where only some devices can be opened. Raises NoSuchGpu."""
        return ",".join(gpu.uuid for gpu in self._those(indices))

    def _those(self, indices: Sequence[int]) -> list[Gpu]:
        by_index = {gpu.index: gpu for gpu in self.present}
        for index in indices:
            if index not in by_index:
                raise NoSuchGpu(index)
        return [by_index[index] for index in indices]


def find_gpus() -> Gpus:
    """What the driver shows now."""
    with _nvml() as driver:
        if not driver:
            return Gpus()
        return Gpus(tuple(_describe(index) for index in range(pynvml.nvmlDeviceGetCount())), driver)


@contextmanager
def _nvml() -> Iterator[str]:
    """The driver's version while NVML is open, or "" where there is none."""
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError:
        yield ""
        return
    try:
        yield str(pynvml.nvmlSystemGetDriverVersion())
    finally:
        pynvml.nvmlShutdown()


def _describe(index: int) -> Gpu:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    memory = pynvml.nvmlDeviceGetMemoryInfo(handle)
    return Gpu(
        index=index,
        minor=pynvml.nvmlDeviceGetMinorNumber(handle),
        uuid=str(pynvml.nvmlDeviceGetUUID(handle)),
        model=short_model(str(pynvml.nvmlDeviceGetName(handle))),
        memory_bytes=int(memory.total),
    )


def short_model(name: str) -> str:
    """The word people ask for a GPU by: `NVIDIA H100 80GB HBM3` is H100, `NVIDIA GeForce RTX 4090` is RTX4090."""
    words = [word for word in name.split() if word not in ("NVIDIA", "Tesla", "GeForce", "Quadro")]
    if len(words) > 1 and words[0] in ("RTX", "GTX", "TITAN"):
        return "".join(words[:2])
    return words[0].split("-")[0] if words else "GPU"
