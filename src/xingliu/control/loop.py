"""The thread that keeps the cycle turning: at once when woken, at least each second otherwise."""

import logging
from collections.abc import Callable
from threading import Event, Thread

from xingliu.control.errors import NotInControl
from xingliu.control.health import Health
from xingliu.control.scheduling import Scheduling
from xingliu.kernel.clock import SECOND_US, Clock
from xingliu.kernel.errors import XingliuError

log = logging.getLogger(__name__)
LONGEST_WAIT_S = 1.0
SHORTEST_GAP_S = 0.005
HEALTH_EVERY_US = 5 * SECOND_US


class Loop:
    """Runs cycles and checks of nodes, one after the other, in a thread of its own."""

    def __init__(self, scheduling: Scheduling, health: Health, clock: Clock, *, on_lost: Callable[[], None]) -> None:
        """`on_lost` is called once, from the thread, when another control plane has taken over."""
        self._scheduling, self._health, self._clock, self._on_lost = scheduling, health, clock, on_lost
        self._woken, self._ended = Event(), Event()
        self._first: Callable[[], None] = lambda: None
        self._checked_us = 0
        self._thread = Thread(target=self._run, name="cycle", daemon=True)

    def begin_with(self, step: Callable[[], None]) -> None:
        """What each turn does before its cycle."""
        self._first = step

    def start(self) -> None:
        self._thread.start()

    def wake(self) -> None:
        """Something changed: do not wait for the second to pass."""
        self._woken.set()

    def stop(self) -> None:
        """Let the cycle under way finish and run no other."""
        self._ended.set()
        self._woken.set()
        if self._thread.is_alive():
            self._thread.join()

    def _run(self) -> None:
        while not self._ended.is_set():
            self._woken.clear()
            try:
                self._turn()
            except NotInControl as error:
                log.error("%s", error)
                self._on_lost()
                return
            except XingliuError as error:
                log.warning("cycle %d: %s", self._scheduling.cycle, error)
                self._ended.wait(LONGEST_WAIT_S)
            except Exception:
                log.exception("cycle %d failed", self._scheduling.cycle)
                self._ended.wait(LONGEST_WAIT_S)
            self._woken.wait(LONGEST_WAIT_S)
            self._ended.wait(SHORTEST_GAP_S)

    def _turn(self) -> None:
        now_us = self._clock.now_us()
        if now_us - self._checked_us >= HEALTH_EVERY_US or self._health.is_awaited():
            self._health.run()
            self._checked_us = now_us
        self._first()
        plan = self._scheduling.run_cycle()
        if plan is None or plan.placements:
            self._woken.set()
