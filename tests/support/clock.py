from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from cloudretry.clock import Moment

START = 1_800_000_000.0


class FakeClock:
    """Time that passes only when somebody sleeps, and then at once."""

    boot = "boot-1"
    """The boot of the machine; another one is another machine, or the same after a restart."""

    def __init__(self) -> None:
        self._monotonic = 1000.0
        self._ahead = START - 1000.0
        self._slept = 0.0
        self._due: list[tuple[float, Callable[[], None]]] = []

    def now(self) -> float:
        return self._monotonic + self._ahead

    def monotonic(self) -> float:
        return self._monotonic

    def moment(self) -> Moment:
        return Moment(self.now(), self.boot, self.monotonic() + self._slept)

    async def sleep(self, seconds: float) -> None:
        self.advance(seconds)
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        # A pause too short for the float still passes some time, as it does on a real clock.
        end = max(self._monotonic + seconds, math.nextafter(self._monotonic, math.inf) if seconds > 0 else 0.0)
        for at, event in sorted((due for due in self._due if due[0] <= end), key=lambda due: due[0]):
            self._monotonic = max(at, self._monotonic)
            event()
        self._due = [due for due in self._due if due[0] > end]
        self._monotonic = max(end, self._monotonic)

    def jump(self, seconds: float) -> None:
        """Set the wall clock forward or back; no time passes."""
        self._ahead += seconds

    def suspend(self, seconds: float) -> None:
        """Let the machine sleep: its monotonic clock stands still meanwhile, as Linux' does."""
        self._ahead += seconds
        self._slept += seconds

    def after(self, seconds: float, event: Callable[[], None]) -> None:
        """Let something happen while somebody sleeps."""
        self._due.append((self._monotonic + seconds, event))
