"""The script that `recovery.py` kills: a tiny DDP model, 50 ms a step, a checkpoint each step, resumed from.

Every step rank 0 appends `nanoseconds step` to $STEPS; every rank leaves its pid, as the machine sees it, in no way:
the bench finds it by its command line. Nothing here knows what runs it.
"""

import os
import time
from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import nn
from torch.nn.parallel import DistributedDataParallel

FOLDER = Path(os.environ.get("XL_JOB_DIR") or os.environ["FOLDER"])
STEP_S = 0.05


def main() -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", timeout=timedelta(seconds=30))
    rank, model = dist.get_rank(), nn.Linear(16, 16)
    step, checkpoint = 0, FOLDER / "last.pt"
    if checkpoint.exists():
        saved = torch.load(checkpoint)
        step = saved["step"]
        model.load_state_dict(saved["model"])
    train = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(train.parameters(), lr=0.01)
    while step < int(os.environ.get("STEPS_MAX", "1000000")):
        began = time.monotonic()
        optimizer.zero_grad()
        train(torch.randn(8, 16)).square().mean().backward()
        optimizer.step()
        step += 1
        if rank == 0:
            torch.save({"step": step, "model": model.state_dict()}, FOLDER / "new.pt")
            (FOLDER / "new.pt").replace(checkpoint)
            with (FOLDER / "steps").open("a") as steps:
                steps.write(f"{time.time_ns()} {step}\n")
        time.sleep(max(0.0, STEP_S - (time.monotonic() - began)))


if __name__ == "__main__":
    main()
