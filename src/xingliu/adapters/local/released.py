"""Records and logs of replicas whose leases are released, kept within a stated room: the oldest go first."""

import contextlib
import shutil
import threading
from pathlib import Path

KEPT_MAX = 50_000
KEPT_BYTES_MAX = 20 * 10**9
KEPT_DISK_PERCENT_MAX = 5
_SWEEP_EVERY = 500


class Released:
    """The folder `ended` of a home."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._since_sweep = _SWEEP_EVERY - 1
        self._sweeping = threading.Lock()

    def take(self, folder: Path) -> None:
        """Move a replica's folder here, without what only its life needed."""
        shutil.rmtree(folder / "scratch", ignore_errors=True)
        with contextlib.suppress(FileNotFoundError):
            folder.rename(self._folder / folder.name)
        self._since_sweep += 1
        if self._since_sweep >= _SWEEP_EVERY:
            self._since_sweep = 0
            threading.Thread(target=self.sweep, name="log-sweep", daemon=True).start()

    def sweep(self) -> None:
        """Delete the oldest beyond the bounds."""
        with self._sweeping:
            room = min(KEPT_BYTES_MAX, shutil.disk_usage(self._folder).total * KEPT_DISK_PERCENT_MAX // 100)
            total = 0
            for count, (_, bytes_, folder) in enumerate(sorted(map(_weigh, self._folder.iterdir()), reverse=True), start=1):
                total += bytes_
                if count > KEPT_MAX or total > room:
                    shutil.rmtree(folder, ignore_errors=True)


def _weigh(folder: Path) -> tuple[float, int, Path]:
    """(when it ended, how much it takes, the folder)"""
    try:
        return folder.stat().st_mtime, sum(path.stat().st_size for path in folder.iterdir()), folder
    except OSError:
        return 0.0, 0, folder
