"""What an operator file may ask for that this cloud cannot give."""

from dataclasses import dataclass
from typing import ClassVar

from xingliu.kernel.errors import XingliuError


@dataclass(eq=False)
class MachineTooSmall(XingliuError):
    """The nodes of this file have {asked} together; this machine has {has}."""

    code: ClassVar[str] = "machine_too_small"
    hint: ClassVar[str] = "Make the shares smaller, or add `overcommit: true` to a pool whose jobs may share cores and memory."
    asked: str
    has: str


@dataclass(eq=False)
class TooFewGpus(XingliuError):
    """The nodes of this file have {asked} {model}; this machine has {has} of them left."""

    code: ClassVar[str] = "too_few_gpus"
    hint: ClassVar[str] = "`xl node show` lists what was discovered. To pretend GPUs, add `emulated: true` to the flavor."
    asked: int
    model: str
    has: int


@dataclass(eq=False)
class OneWholeMachine(XingliuError):
    """{nodes} are whole machines, and this cloud has one."""

    code: ClassVar[str] = "one_whole_machine"
    hint: ClassVar[str] = "Give their pools a `share:` each, which makes them emulated nodes of this machine."
    nodes: str


@dataclass(eq=False)
class NodesBusy(XingliuError):
    """{nodes} would be taken out or changed, but jobs run there: {jobs}"""

    code: ClassVar[str] = "nodes_busy"
    hint: ClassVar[str] = "Drain them first: `xl node drain NAME --reason ...`, wait until they are drained, apply again."
    nodes: str
    jobs: str


@dataclass(eq=False)
class NotALeaf(XingliuError):
    """Jobs do not wait in queue {queue}, but in those below it: {below}"""

    code: ClassVar[str] = "not_a_leaf"
    hint: ClassVar[str] = "Name one of those; `xl queue tree` shows them all."
    queue: str
    below: str


@dataclass(eq=False)
class QueueInUse(XingliuError):
    """Queue {queue} is not in the file, or gets others below it, and jobs or projects still use it: {users}"""

    code: ClassVar[str] = "queue_in_use"
    hint: ClassVar[str] = "Keep it as it is, at least until its jobs have ended and no project has it as its default."
    queue: str
    users: str
