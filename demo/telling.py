"""How the story looks: sentences, the commands that are really run, and one live line of progress."""

import shutil
import sys
import textwrap
import time
from collections.abc import Sequence

QUIET_S = 3.0
FRAMES = "|/-\\"
NARROWEST, WIDEST = 40, 100


class Teller:
    """Writes to standard output. Without a terminal the live line becomes plain lines, one in a few seconds at most."""

    def __init__(self) -> None:
        self._terminal = sys.stdout.isatty()
        self._live = ""
        self._last_s = 0.0
        self._turn = 0
        self._began_s = time.monotonic()

    @property
    def passed_s(self) -> float:
        return time.monotonic() - self._began_s

    def title(self, text: str) -> None:
        self._line("")
        self._line(self._styled(text, "1"))

    def say(self, text: str) -> None:
        """A sentence of the story, wrapped."""
        for line in textwrap.wrap(text, self._width()) or [""]:
            self._line(line)

    def command(self, text: str, who: str = "") -> None:
        """A command that is about to be run; `who` runs it."""
        self._line(self._styled(f"  {who or 'admin'}$ {text}", "36"))

    def output(self, text: str) -> None:
        """What a command printed, indented."""
        for line in text.rstrip().splitlines():
            self._line(f"    {line}")

    def table(self, headers: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
        """Numbers to the right, words to the left."""
        cells = [list(headers), *([str(value) for value in row] for row in rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(headers))]
        sides = [">" if rows and str(rows[0][column])[:1].isdigit() else "<" for column in range(len(headers))]
        for number, row in enumerate(cells):
            line = "  ".join(f"{cell:{side}{width}}" for cell, side, width in zip(row, sides, widths, strict=True)).rstrip()
            self._line(self._styled(f"    {line}", "1") if number == 0 else f"    {line}")

    def live(self, text: str) -> None:
        """What goes on now; the next one takes its place."""
        if self._terminal:
            self._turn += 1
            line = f"  {FRAMES[self._turn % len(FRAMES)]} {self.passed_s:4.0f} s  {text}"
            sys.stdout.write(f"\r\x1b[2K{line[: self._width()]}")
            self._live = text
        elif text != self._live and time.monotonic() - self._last_s >= QUIET_S:
            self._live, self._last_s = text, time.monotonic()
            sys.stdout.write(f"  - {self.passed_s:4.0f} s  {text}\n")
        sys.stdout.flush()

    def _line(self, text: str) -> None:
        if self._terminal and self._live:
            sys.stdout.write("\r\x1b[2K")
        self._live = ""
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()

    def _styled(self, text: str, code: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._terminal else text

    def _width(self) -> int:
        return max(NARROWEST, min(shutil.get_terminal_size().columns - 1, WIDEST))


def bar(done: int, total: int, cells: int = 24) -> str:
    """`[######..................] 60/240`."""
    filled = cells * min(done, total) // max(total, 1)
    return f"[{'#' * filled}{'.' * (cells - filled)}] {done}/{total}"
