"""Train a small byte-level transformer on Python's own standard library, data parallel over all ranks.

Knows nothing of what runs it but torchrun's contract: RANK, WORLD_SIZE, MASTER_ADDR, MASTER_PORT. Checkpoints go to
$XL_JOB_DIR/ckpt, whole or not at all, and a run starts from the one it finds. SIGUSR1 writes one and goes on; SIGTERM
writes one and ends. A rank that loses the others ends with 75: worth another try.
"""

import os
import signal
import sys
import sysconfig
import time
from datetime import timedelta
from pathlib import Path
from types import FrameType

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

RANK, WORLD = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
STEPS = int(os.environ.get("STEPS", "240"))
SAVE_EVERY, PRINT_EVERY = 20, 5
CONTEXT, BATCH, WIDTH, LAYERS, HEADS = 96, 16, 128, 3, 4
TEXT_BYTES_MAX = 8_000_000
THREADS_MAX = 4
LOST_OTHERS, LINGER_S = 75, 3
FOLDER = Path(os.environ.get("XL_JOB_DIR", ".")) / "ckpt"
CHECKPOINT = FOLDER / "last.pt"


class Block(nn.Module):
    """Attention, then a two-layer perceptron, each added to what came in."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention, self.before_perceptron = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.ask, self.answer = nn.Linear(WIDTH, 3 * WIDTH), nn.Linear(WIDTH, WIDTH)
        self.perceptron = nn.Sequential(nn.Linear(WIDTH, 4 * WIDTH), nn.GELU(), nn.Linear(4 * WIDTH, WIDTH))

    def forward(self, x: Tensor) -> Tensor:
        """x: shape (batch, context, width)."""
        parts = self.ask(self.before_attention(x)).unflatten(-1, (3, HEADS, WIDTH // HEADS))
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        x = x + self.answer(seen.transpose(1, 2).flatten(2))
        out: Tensor = x + self.perceptron(self.before_perceptron(x))
        return out


class Transformer(nn.Module):
    """Predicts the next byte at every place."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes, self.places = nn.Embedding(256, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.Sequential(*(Block() for _ in range(LAYERS)))
        self.out = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 256))

    def forward(self, text: Tensor) -> Tensor:
        """text: shape (batch, context), bytes. Gives logits, shape (batch, context, 256)."""
        places = torch.arange(text.shape[1], device=text.device)
        logits: Tensor = self.out(self.blocks(self.bytes(text) + self.places(places)))
        return logits


class Asked:
    """What signals asked for since the last step: 1 is save, 2 is save and end."""

    def __init__(self) -> None:
        self.level = 0
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, self._note)

    def _note(self, number: int, _frame: FrameType | None) -> None:
        self.level = max(self.level, 2 if number == signal.SIGTERM else 1)

    def together(self, device: torch.device) -> int:
        """The highest that any rank was asked, so that all do the same at the same step."""
        level = torch.tensor([self.level], device=device)
        self.level = 0
        dist.all_reduce(level, op=dist.ReduceOp.MAX)
        return int(level)


def read_text() -> Tensor:
    """The standard library's sources, one after another; shape (bytes,)."""
    text = bytearray()
    for path in sorted(Path(sysconfig.get_paths()["stdlib"]).glob("*.py")):
        text += path.read_bytes()
        if len(text) >= TEXT_BYTES_MAX:
            break
    return torch.frombuffer(text, dtype=torch.uint8)


def sample(text: Tensor, step: int) -> Tensor:
    """This rank's windows at this step, the same whenever it is asked; shape (batch, context + 1)."""
    dice = torch.Generator().manual_seed(step * WORLD + RANK)
    starts = torch.randint(len(text) - CONTEXT - 1, (BATCH,), generator=dice)
    return torch.stack([text[start : start + CONTEXT + 1] for start in starts.tolist()]).long()


def save(step: int, model: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    """Rank 0 writes a checkpoint beside the last one and takes its place."""
    if RANK:
        return
    FOLDER.mkdir(exist_ok=True)
    new = CHECKPOINT.with_suffix(".new")
    with new.open("wb") as file:
        torch.save({"step": step, "model": model.state_dict(), "optimizer": optimizer.state_dict()}, file)
        file.flush()
        os.fsync(file.fileno())
    new.replace(CHECKPOINT)
    say(f"checkpoint at step {step}")


def restore(model: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Take the state from the checkpoint, if there is one; the step it was made after."""
    if not CHECKPOINT.exists():
        return 0
    state = torch.load(CHECKPOINT, map_location="cpu", weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["step"])


def say(line: str) -> None:
    if RANK == 0:
        print(line, flush=True)


def train(device: torch.device) -> int:
    """All steps that are left. The exit code."""
    asked = Asked()
    torch.manual_seed(0)
    model = Transformer().to(device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    done = restore(model, optimizer)
    say(f"resumed from step {done}" if done else f"{sum(p.numel() for p in model.parameters()):,} parameters, from scratch")
    parallel, text = DistributedDataParallel(model), read_text()
    began, since = time.monotonic(), done
    for step in range(done + 1, STEPS + 1):
        window = sample(text, step).to(device)
        logits = parallel(window[:, :-1])
        loss = functional.cross_entropy(logits.flatten(0, 1), window[:, 1:].flatten())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step % PRINT_EVERY == 0 or step == done + 1:
            speed = (step - since) * BATCH * CONTEXT * WORLD / (time.monotonic() - began)
            say(f"step {step} loss {loss.item():.3f} tokens/s {speed:.0f}")
        level = asked.together(device)
        if level or step % SAVE_EVERY == 0 or step == STEPS:
            save(step, model, optimizer)
        if level == 2:
            say(f"asked to end after step {step}")
            return 128 + signal.SIGTERM
    say(f"done after {STEPS} steps")
    return 0


def main() -> int:
    cuda = torch.cuda.is_available() and torch.cuda.device_count() > 0
    torch.set_num_threads(min(int(os.environ.get("OMP_NUM_THREADS", "1")), THREADS_MAX))
    if os.environ["MASTER_ADDR"].startswith("127."):
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")
    device = torch.device("cuda", 0) if cuda else torch.device("cpu")
    dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(seconds=60))
    try:
        code = train(device)
        dist.barrier()
        dist.destroy_process_group()
    except RuntimeError as error:
        if "gloo" not in str(error).lower() and not isinstance(error, dist.DistError):
            raise
        print(f"rank {RANK} lost the others: {str(error).splitlines()[0][:200]}", flush=True)
        time.sleep(LINGER_S)  # whoever ends the gang blames the rank that died, not the one that noticed
        return LOST_OTHERS
    return code


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)
