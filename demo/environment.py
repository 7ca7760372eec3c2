"""The virtual environment that torch lives in: apart from Xingliu's own, its size said before it is fetched.

Ctrl-C at any moment is safe: files that had arrived are in pip's cache, and the next call goes on with the rest.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent.parent / ".venv-torch"
WANTED = ("torch==2.13.0", "numpy==2.4.6")
USUAL_SIZE = "about 200 MB as a CPU build, up to 3 GB where pip's default build brings CUDA along"
ANSWER_S = 20
MB = 10**6


class CannotInstall(Exception):
    """pip could not install torch; what it said is the message."""


def python(home: Path = HERE) -> Path:
    return home / "bin" / "python"


def fingerprint(home: Path) -> str:
    """What the environment depends on; another fingerprint means: make it again."""
    return hashlib.sha256("\0".join([*WANTED, sys.version, str(home)]).encode()).hexdigest()


def is_installed(home: Path = HERE) -> bool:
    with contextlib.suppress(OSError, ValueError):
        return bool(json.loads((home / "installed.json").read_text())["fingerprint"] == fingerprint(home))
    return False


def ensure_torch(say: Callable[[str], None], *, home: Path = HERE) -> Path:
    """The interpreter that has torch, installed now where it was not. Raises CannotInstall.

    `say` gets one line at a time. Processes that ask at once wait for the first of them.
    """
    if is_installed(home):
        return python(home)
    home.mkdir(exist_ok=True, mode=0o755)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not is_installed(home):
            _install(home, say)
    return python(home)


def _install(home: Path, say: Callable[[str], None]) -> None:
    scratch = home / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    env = {**os.environ, "TMPDIR": str(scratch), "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PYTHONNOUSERSITE": "1"}
    if not _pip_answers(home):
        subprocess.run([sys.executable, "-m", "venv", str(home)], check=True)
    total = size_bytes(home, env)
    stated = f"{total / MB:,.0f} MB to fetch" if total else USUAL_SIZE
    say(f"torch goes into a virtual environment of its own, {home.name}: {stated}; four to five times that on disk.")
    command = [str(python(home)), "-m", "pip", "install", "--quiet", *WANTED]
    with (scratch / "said").open("w+") as said, _told(home, say):
        ended = subprocess.run(command, env=env, stdout=said, stderr=said, check=False)
        said.seek(0)
        if ended.returncode:
            raise CannotInstall(said.read().strip()[-2000:])
    shutil.rmtree(scratch, ignore_errors=True)
    written = home / "installed.new"
    written.write_text(json.dumps({"fingerprint": fingerprint(home)}))
    written.replace(home / "installed.json")


def _pip_answers(home: Path) -> bool:
    ask = [str(python(home)), "-m", "pip", "--version"]
    return python(home).exists() and subprocess.run(ask, capture_output=True, check=False).returncode == 0


def size_bytes(home: Path, env: dict[str, str]) -> int | None:
    """What pip would fetch, None where it cannot be told beforehand."""
    report = home / "tmp" / "report.json"
    plan = [str(python(home)), "-m", "pip", "install", "--quiet", "--dry-run", "--report", str(report), *WANTED]
    if subprocess.run(plan, env=env, capture_output=True, check=False).returncode:
        return None
    urls = [item["download_info"]["url"] for item in json.loads(report.read_text())["install"]]
    sizes = [_file_bytes(url) for url in urls]
    known = [size for size in sizes if size is not None]
    return sum(known) if len(known) == len(sizes) else None


def _file_bytes(url: str) -> int | None:
    with contextlib.suppress(OSError, ValueError):
        request = urllib.request.Request(url, method="HEAD")
        with urllib.request.urlopen(request, timeout=ANSWER_S) as answer:
            return int(answer.headers["Content-Length"] or 0) or None
    return None


@contextlib.contextmanager
def _told(home: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Say every few seconds how far pip is, as what lies on the disk shows it."""
    done = threading.Event()

    def tell() -> None:
        began = time.monotonic()
        while not done.wait(3):
            fetched, unpacked = _folder_bytes(home / "tmp"), _folder_bytes(home / "lib")
            passed_s = time.monotonic() - began
            say(f"installing torch: {passed_s:.0f} s, {fetched / MB:,.0f} MB fetched, {unpacked / MB:,.0f} MB on disk")

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        done.set()
        teller.join()


def _folder_bytes(folder: Path) -> int:
    total, front = 0, [folder]
    while front:
        with contextlib.suppress(OSError), os.scandir(front.pop()) as entries:
            for entry in entries:
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        front.append(Path(entry.path))
                    else:
                        total += entry.stat(follow_symlinks=False).st_size
    return total


def main(_arguments: Sequence[str]) -> int:
    """`python demo/environment.py` makes it and prints its interpreter."""
    try:
        sys.stdout.write(f"{ensure_torch(lambda line: print(line, file=sys.stderr))}\n")
    except CannotInstall as error:
        sys.stderr.write(f"pip could not install torch:\n{error}\nRun the same command again to go on from here.\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("\nInterrupted. The same command goes on from here.\n")
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
