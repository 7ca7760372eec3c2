"""`./dev demo [CHAPTER] [--small]`: the story of a small AI cloud, told with real jobs on this machine.

It uses the default home and leaves the cloud running. It may be interrupted at any moment and told again.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from demo.chapters import CHAPTERS
from demo.environment import CannotInstall
from demo.stage import CannotGoOn, Stage, set_stage
from demo.telling import Teller

from xingliu.cli.errors import ApiProblem, CloudUnreachable

INTERRUPTED = 130


def main(arguments: Sequence[str]) -> int:
    asked = _read(arguments)
    teller = Teller()
    home = Path(os.environ.get("XL_HOME") or Path.home() / ".xingliu").absolute()
    stage = Stage(teller, home, asked.small)
    try:
        set_stage(stage)
        for name in [asked.chapter] if asked.chapter else CHAPTERS:
            CHAPTERS[name](stage)
    except KeyboardInterrupt:
        teller.say("")
        teller.say("Interrupted; what runs goes on. The same command goes on from here.")
        return INTERRUPTED
    except (CannotGoOn, CannotInstall, ApiProblem, CloudUnreachable) as error:
        teller.say("")
        teller.say(str(error))
        teller.say("The same command goes on from here.")
        return 1
    _say_what_next(stage)
    return 0


def _read(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="./dev demo", description="The story of a small AI cloud, for real, on this machine.")
    parser.add_argument("chapter", nargs="?", choices=list(CHAPTERS), help="only this one; default: all")
    parser.add_argument("--small", action="store_true", help="the same story without torch, in under a minute")
    return parser.parse_args(arguments)


def _say_what_next(stage: Stage) -> None:
    teller = stage.teller
    teller.title(f"Told in {teller.passed_s:.0f} s. The cloud in {stage.home} stays up. What to try next:")
    xl = "./dev xl"
    before = "" if stage.home == Path.home() / ".xingliu" else f"XL_HOME={stage.home} "
    for command, what in (
        ("ps -a", "all jobs, as the admin sees them"),
        ("run -- echo hello", "a job of your own"),
        ("top", "nodes and jobs, live"),
        ("logs " + ("demo-count" if stage.small else "demo-train"), "what the ranks printed, in both attempts"),
        ("usage --by tenant,project,job", "who used what"),
        ("down", "stop the cloud; its jobs go on"),
    ):
        teller.output(f"{before}{xl} {command:<32} # {what}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
