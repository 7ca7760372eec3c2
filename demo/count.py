"""Count the words of Python's own standard library, shared over all ranks: the story of `train.py` without torch.

Each step every rank tokenizes one file of its own and the ranks add up what they found, over a socket at
MASTER_ADDR:MASTER_PORT. Checkpoints go to $XL_JOB_DIR/ckpt, whole or not at all, and a run starts from the one it
finds. SIGUSR1 writes one and goes on; SIGTERM writes one and ends. A rank that loses the others ends with 75.
PAUSE_MS after each step and SAVING_S before the last checkpoint make it as slow as larger work is.
"""

import contextlib
import io
import json
import os
import signal
import socket
import sys
import sysconfig
import time
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import FrameType

Sums = dict[str, int]
RANK, WORLD = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
PLACE = (os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]))
STEPS = int(os.environ.get("STEPS", "2500"))
PAUSE_S, SAVING_S = int(os.environ.get("PAUSE_MS", "0")) / 1000, int(os.environ.get("SAVING_S", "0"))
SAVE_EVERY, PRINT_EVERY = 50, 25
MEET_WITHIN_S, STEP_WITHIN_S = 30, 60
LOST_OTHERS, LINGER_S = 75, 3
FOLDER = Path(os.environ.get("XL_JOB_DIR", ".")) / "ckpt"
CHECKPOINT = FOLDER / "last.json"


class Ring:
    """All ranks together: each gives numbers by name, each gets their sums. Rank 0 adds. Raises OSError, ValueError."""

    def __init__(self) -> None:
        if RANK == 0:
            with socket.create_server(PLACE) as door:
                door.settimeout(MEET_WITHIN_S)
                links = [door.accept()[0] for _ in range(WORLD - 1)]
        else:
            links = [_reach()]
        for link in links:
            link.settimeout(STEP_WITHIN_S)
        self._links = [link.makefile("rw") for link in links]

    def add(self, mine: Mapping[str, int]) -> Sums:
        if RANK:
            self._send(mine)
            return self._receive()[0]
        total = dict(mine)
        for other in self._receive():
            for name, number in other.items():
                total[name] = total.get(name, 0) + number
        self._send(total)
        return total

    def _send(self, sums: Mapping[str, int]) -> None:
        for link in self._links:
            link.write(json.dumps(sums) + "\n")
            link.flush()

    def _receive(self) -> list[Sums]:
        return [dict(json.loads(link.readline())) for link in self._links]


def _reach() -> socket.socket:
    until = time.monotonic() + MEET_WITHIN_S
    while True:
        try:
            return socket.create_connection(PLACE, timeout=STEP_WITHIN_S)
        except ConnectionRefusedError:
            if time.monotonic() > until:
                raise
            time.sleep(0.02)


def files() -> Iterator[Path]:
    """The standard library's modules, the same on every rank, over and over."""
    found = sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py"))
    while True:
        yield from found


def words(path: Path) -> Sums:
    """Names, bytes and files in one source."""
    text = path.read_bytes()
    with contextlib.suppress(tokenize.TokenError, SyntaxError):
        names = sum(token.type == tokenize.NAME for token in tokenize.tokenize(io.BytesIO(text).readline))
        return {"words": names, "bytes": len(text), "files": 1}
    return {"bytes": len(text), "files": 1}


def save(step: int, total: Sums) -> None:
    """Rank 0 writes a checkpoint beside the last one and takes its place."""
    if RANK:
        return
    FOLDER.mkdir(exist_ok=True)
    new = CHECKPOINT.with_suffix(".new")
    with new.open("w") as file:
        json.dump({"step": step, "total": total}, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(CHECKPOINT)
    say(f"checkpoint at step {step}")


def restore() -> tuple[int, Sums]:
    """The step the last checkpoint was made after and the sums then."""
    if not CHECKPOINT.exists():
        return 0, {}
    state = json.loads(CHECKPOINT.read_text())
    return int(state["step"]), dict(state["total"])


def say(line: str) -> None:
    if RANK == 0:
        print(line, flush=True)


def count() -> int:
    """All steps that are left. The exit code."""
    asked = {"save": 0, "end": 0}

    def note(number: int, _frame: FrameType | None) -> None:
        asked["end" if number == signal.SIGTERM else "save"] = 1

    for number in (signal.SIGUSR1, signal.SIGTERM):
        signal.signal(number, note)
    ring, source = Ring(), files()
    done, total = restore()
    say(f"resumed from step {done}" if done else f"{WORLD} ranks, from scratch")
    began = time.monotonic()
    for step in range(1, STEPS + 1):
        theirs = [next(source) for _ in range(WORLD)]
        if step <= done:
            continue
        wish, asked["save"] = dict(asked), 0
        found = ring.add({**words(theirs[RANK]), **wish})
        level = found.pop("save") + 2 * found.pop("end")
        total = {name: total.get(name, 0) + number for name, number in found.items()}
        if step % PRINT_EVERY == 0 or step == done + 1:
            say(f"step {step} words {total['words']} files/s {(step - done) * WORLD / (time.monotonic() - began):.0f}")
        time.sleep(SAVING_S if level >= 2 else PAUSE_S)
        if level or step % SAVE_EVERY == 0 or step == STEPS:
            save(step, total)
        if level >= 2:
            say(f"asked to end after step {step}")
            return 128 + signal.SIGTERM
    say(f"done after {STEPS} steps: {total['words']} words in {total['files']} files")
    return 0


def main() -> int:
    try:
        return count()
    except (OSError, ValueError) as error:
        print(f"rank {RANK} lost the others: {error}", flush=True)
        time.sleep(LINGER_S)  # whoever ends the gang blames the rank that died, not the one that noticed
        return LOST_OTHERS


if __name__ == "__main__":
    sys.exit(main())
