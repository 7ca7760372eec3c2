"""The shapes of values that only a job file has."""

import re
from collections.abc import Mapping
from typing import Any

from xingliu.kernel.errors import BadValue
from xingliu.kernel.keytables import Entry, Shape
from xingliu.kernel.problems import show_value
from xingliu.workloads.arrays import Span, read_spans, write_spans
from xingliu.workloads.model import GpuRequest
from xingliu.workloads.signals import NAMES

GPUS_PER_NODE_MAX = 1024
URL_LENGTH_MAX = 2048
RELATIVE_PATH_LENGTH_MAX = 1024
SIGNALS = tuple(signal for signal in NAMES if signal not in ("SIGKILL", "SIGSTOP"))
VARIABLE = "[A-Za-z_][A-Za-z0-9_]{0,127}"
_VARIABLE_HINT = "Use letters, digits and _, not starting with a digit; at most 128 of them."
SET_BY_US = frozenset({"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "CUDA_VISIBLE_DEVICES"})
LOADER = frozenset({"GCONV_PATH", "GLIBC_TUNABLES"})
_GPU = re.compile(r"([A-Za-z][A-Za-z0-9-]{0,31})(?::([0-9]{1,5}))?\Z")
_WEB = re.compile(r"https?://(?:[^\s/?#@:\[\]]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?(?:[/?#]|\Z)")
_SHARE = re.compile(r"(?:[A-Za-z][A-Za-z0-9-]{0,31}:)?[0-9]{0,9}\.[0-9]{1,9}\Z")
_GPU_HINT = "Write a count (gpu: 1), a model (gpu: H100) or both (gpu: H100:8)."


def _read_gpu(entry: Entry) -> GpuRequest:
    value = str(entry.value) if isinstance(entry.value, int | float) and not isinstance(entry.value, bool) else entry.value
    if isinstance(value, str) and _SHARE.match(value):
        raise entry.wrong("a share of a GPU is not yet available", "Ask for whole GPUs, such as gpu: 1.")
    if isinstance(value, list) or (isinstance(value, str) and ".." in value):
        raise entry.wrong("a choice or range of GPUs is not yet available", _GPU_HINT)
    model, count = _gpu_parts(value)
    if not 1 <= count <= GPUS_PER_NODE_MAX:
        raise entry.not_a(f"a model of GPU, or a count from 1 to {GPUS_PER_NODE_MAX} on each node", _GPU_HINT)
    return GpuRequest(count, model)


def _gpu_parts(value: object) -> tuple[str | None, int]:
    """Model and count; a count of 0 where it is neither."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,5}", value):
        return None, int(value)
    match = _GPU.match(value) if isinstance(value, str) else None
    return (match.group(1), int(match.group(2) or 1)) if match else (None, 0)


def _write_gpu(gpu: Any) -> object:
    return f"{gpu.model}:{gpu.count}" if gpu.model else gpu.count


GPU = Shape(
    _read_gpu,
    {
        "anyOf": [
            {"type": "integer", "minimum": 1, "maximum": GPUS_PER_NODE_MAX},
            {"type": "string", "pattern": "^([0-9]{1,5}|[A-Za-z][A-Za-z0-9-]{0,31}(:[0-9]{1,5})?)$"},
        ],
        "examples": [1, "H100", "H100:8"],
    },
    _write_gpu,
)


def _read_python(entry: Entry) -> str:
    value = entry.value
    shown = str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value
    if not isinstance(shown, str) or not re.fullmatch(r"/?[A-Za-z0-9._+-]+(?:/[A-Za-z0-9._+-]+)*", shown) or len(shown) > 256:
        raise entry.not_a("an interpreter", "Write the name of one the nodes have, a version such as 3.11, or its path.")
    if "/" in shown and not shown.startswith("/"):
        raise entry.not_a("a path from the root", "Write the whole path, such as /usr/bin/python3.")
    return shown


PYTHON = Shape(_read_python, {"type": ["string", "number"], "examples": ["3.11", "torch", "/usr/bin/python3"]})


def _read_workdir(entry: Entry) -> str:
    value = entry.value
    if not isinstance(value, str) or not value.strip() or len(value) > 4096:
        raise entry.not_a("a folder", "Write a path relative to the job file, such as `.`.")
    return value


WORKDIR = Shape(_read_workdir, {"type": "string", "minLength": 1, "maxLength": 4096})


def _read_job_path(entry: Entry) -> str:
    value = entry.value
    if not isinstance(value, str) or not value.strip() or len(value) > RELATIVE_PATH_LENGTH_MAX:
        raise entry.not_a("a path in the job's folder")
    if value.startswith(("/", "~")) or ".." in value.split("/"):
        raise entry.wrong(
            f"{show_value(value)} leads out of the job's folder", "Write it relative to $XL_JOB_DIR, without `..`: checkpoints."
        )
    return value


JOB_PATH = Shape(
    _read_job_path, {"type": "string", "pattern": r"^(?![/~])(?!(.*/)?\.\.(/|$)).+", "maxLength": RELATIVE_PATH_LENGTH_MAX}
)


def _read_variable_value(entry: Entry) -> str:
    value = entry.value
    if value is None:
        raise entry.wrong("it has no value", 'Write "" for an empty one; what should stay secret belongs under secrets.')
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list):
        raise entry.not_a("text, a number or true/false", "Put quotes around it.")
    return str(value)


VARIABLE_VALUE = Shape(_read_variable_value, {"type": ["string", "number", "boolean"]})


def why_reserved(variable: str) -> tuple[str, str] | None:
    """Message and hint where a job may not set this variable."""
    if variable.startswith("XL_") or variable in SET_BY_US:
        return f"{variable} is set by Xingliu for every replica", "Leave it out, and read it in `run`; any other name is yours."
    if variable.startswith("LD_") or variable in LOADER:
        return f"{variable} changes how programs are loaded before the sandbox stands", f"Write `export {variable}=...` in `run`."
    return None


def _read_variable(entry: Entry) -> str:
    value = entry.value
    if not isinstance(value, str) or not re.fullmatch(VARIABLE, value):
        raise entry.not_a("a secret's name", _VARIABLE_HINT)
    if (reserved := why_reserved(value)) is not None:
        raise entry.wrong(*reserved)
    return value


SECRET_NAME = Shape(_read_variable, {"type": "string", "pattern": f"^{VARIABLE}$"})


def _read_array(entry: Entry) -> tuple[Span, ...]:
    value = entry.value
    if isinstance(value, int) and not isinstance(value, bool):
        raise entry.not_a(
            "indices", f"Write 0-{max(0, value - 1)} for {value} elements, or '{value}' in quotes for that one index."
        )
    try:
        return read_spans(value if isinstance(value, str) else "")
    except BadValue as error:
        raise entry.not_a(error.expected, error.advice()) from None


def _write_array(spans: Any) -> object:
    return write_spans(spans)


ARRAY = Shape(
    _read_array,
    {
        "type": "string",
        "pattern": r"^\s*\d{1,7}(-\d{1,7}(:\d{1,7})?)?\s*(,\s*\d{1,7}(-\d{1,7}(:\d{1,7})?)?\s*)*$",
        "examples": ["0-199", "0-199:2", "1,3,5-9"],
    },
    _write_array,
)


def _read_signal(entry: Entry) -> str:
    value = entry.value
    if value in ("SIGKILL", "SIGSTOP", "KILL", "STOP", 9, 19):
        raise entry.wrong(f"{show_value(value)} cannot be caught, so nothing could be saved", "SIGTERM and SIGUSR1 can.")
    if not isinstance(value, str) or value not in SIGNALS:
        known = isinstance(value, str) and f"SIG{value}" in SIGNALS
        raise entry.not_a("a signal", f"Write SIG{value}." if known else "Write a name, such as SIGTERM or SIGUSR1.")
    return value


SIGNAL = Shape(_read_signal, {"enum": list(SIGNALS)})


def _read_event(entry: Entry) -> str:
    value = entry.value
    if value in ("hang", "preemption"):
        raise entry.wrong(f"'{value}' is not yet available", "Leave it out for now.")
    if value in ("node-failure", "launch-failure", "signal"):
        return str(value)
    code = re.fullmatch(r"exit:([0-9]{1,3})", value) if isinstance(value, str) else None
    if code is None or not 1 <= int(code.group(1)) <= 255:
        raise entry.not_a(
            "a cause to restart for", "These are: node-failure, launch-failure, signal, exit:N with N from 1 to 255."
        )
    return f"exit:{int(code.group(1))}"


EVENT = Shape(
    _read_event,
    {
        "type": "string",
        "pattern": "^(node-failure|launch-failure|signal|exit:[0-9]{1,3})$",
        "examples": ["node-failure", "exit:33"],
    },
)


def _read_url(entry: Entry) -> str:
    value = entry.value
    if not isinstance(value, str) or len(value) > URL_LENGTH_MAX or not value.isprintable() or " " in value or not _is_web(value):
        raise entry.not_a(
            "an address to post to", "It starts with http:// or https:// and names a host, without user and password."
        )
    return value


def _is_web(url: str) -> bool:
    match = _WEB.match(url)
    return match is not None and 0 < int(match.group(1) or 80) < 65_536


URL = Shape(_read_url, {"type": "string", "pattern": "^https?://", "maxLength": URL_LENGTH_MAX})
