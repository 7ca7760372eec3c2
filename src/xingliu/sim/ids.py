"""Names from a seed."""

from random import Random

from xingliu.kernel.ids import Ids, JobId


class SimIds(Ids):
    """Ids that sort by creation: a number, so that people can say them."""

    def __init__(self, dice: Random) -> None:
        self._dice = dice
        self._jobs = 0

    def job(self, now_us: int) -> JobId:
        self._jobs += 1
        return JobId(f"j{self._jobs:04d}")

    def secret(self) -> str:
        return f"{self._dice.getrandbits(256):064x}"

    def short(self) -> str:
        return f"{self._dice.getrandbits(40):010x}"
