"""Waiting for a job to end, and turning its end into an exit code."""

import time
from typing import Any

from xingliu.cli.client import part
from xingliu.cli.errors import CloudUnreachable
from xingliu.cli.output import note, print_json, show_span
from xingliu.cli.reading import LogReader
from xingliu.cli.session import Session

Json = dict[str, Any]
FINAL = {"SUCCEEDED", "FAILED", "TIMED_OUT", "CANCELLED"}
FIRST_WAIT_S, LONGEST_WAIT_S = 0.05, 1.0
INTERRUPTED = 130


class Patience:
    """How long to wait before asking again: shortly at first, at most a second, and said once while nobody answers."""

    def __init__(self) -> None:
        self._wait_s, self._silent = FIRST_WAIT_S, False

    def rest(self) -> None:
        time.sleep(self._wait_s)
        self._wait_s = min(self._wait_s * 1.25, LONGEST_WAIT_S)

    def news(self) -> None:
        """Something moved: ask again soon."""
        self._wait_s = FIRST_WAIT_S
        self.answered()

    def answered(self) -> None:
        if self._silent:
            note("-- the cloud answers again --")
        self._silent = False

    def unanswered(self, lost: CloudUnreachable) -> None:
        if not self._silent:
            note(f"-- {lost} Trying again; the job goes on. --")
        self._silent = True


def follow(session: Session, job: str, *, with_logs: bool) -> int:
    """Wait for the job's end, telling each change, and give its exit code. Ctrl-C leaves the job running."""
    try:
        ended = _until_end(session, job, with_logs=with_logs)
    except KeyboardInterrupt:
        note(f"\n{job} goes on. Follow it: `xl logs -f {job}`. End it: `xl stop {job}`.")
        return INTERRUPTED
    if session.json:
        print_json(ended)
    return exit_code(ended)


def _until_end(session: Session, job: str, *, with_logs: bool) -> Json:
    reader = LogReader(session.client, job) if with_logs else None
    patience, seen = Patience(), ""
    while True:
        try:
            now = session.client.get(f"/v1/jobs/{part(job)}")
            news = reader.read_on() if reader else False
        except CloudUnreachable as lost:
            patience.unanswered(lost)
        else:
            line = state_line(now)
            if line != seen or news:
                patience.news()
            patience.answered()
            if line != seen and not session.json:
                note(line)
            seen = line
            if now["state"] in FINAL:
                if reader:
                    reader.read_on()
                    reader.finish()
                return now
        patience.rest()


def state_line(job: Json) -> str:
    """`hello RUNNING, attempt 2`, with why it waits or how it ended."""
    words = f"{job['name']} {job['state']}"
    if job["state"] == "PENDING" and job.get("wait"):
        return f"{words}: {job['wait']['sentence']}"
    if job["state"] in FINAL:
        return f"{words}{ending(job)}"
    return f"{words}, attempt {job['attempt']}" if job.get("attempt", 0) > 1 else words


def ending(job: Json) -> str:
    """How it ended: `, exit code 3 after 12.0s: message`."""
    how = ""
    if job.get("signal") is not None:
        how = f", signal {job['signal']}"
    elif job.get("exit_code"):
        how = f", exit code {job['exit_code']}"
    ran = show_span(job.get("started_us"), job.get("finished_us"))
    after = f" after {ran}" if ran else ""
    return f"{how}{after}: {job['message']}" if job.get("message") else how + after


def exit_code(job: Json) -> int:
    """The job's own, 128+signal where one ended it; 1 where it did not succeed and has none."""
    if job["state"] == "SUCCEEDED":
        return 0
    if job.get("signal") is not None:
        return 128 + int(job["signal"])
    return int(job.get("exit_code") or 1)
