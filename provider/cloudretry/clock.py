"""The clock, as a parameter of everything that waits."""

from __future__ import annotations

import asyncio
import sys
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

__all__ = ["Clock", "Moment", "SystemClock", "pause"]


@dataclass(frozen=True, slots=True)
class Moment:
    """A time by the wall clock, and by the uptime of one boot of a machine, which nobody sets. In seconds.

    ``boot`` names the boot; it is empty where that cannot be told.
    """

    at: float
    boot: str
    uptime: float

    def after(self, seconds: float) -> Moment:
        """So many seconds later."""
        return Moment(self.at + seconds, self.boot, self.uptime + seconds)

    def age(self, now: Moment) -> float | None:
        """Seconds from then to now, negative before it; ``None`` if it was on another machine or in another boot."""
        return now.uptime - self.uptime if self.boot and self.boot == now.boot else None


class Clock(Protocol):
    """Time, in seconds."""

    def now(self) -> float:
        """Seconds since the epoch, for what is recorded."""

    def monotonic(self) -> float:
        """Seconds that never jump, for time-outs."""

    def moment(self) -> Moment:
        """Now, as it can be compared by another process and after the clock was set or the machine has slept."""

    async def sleep(self, seconds: float) -> None:
        """Let this much time pass."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    def moment(self) -> Moment:
        return Moment(time.time(), _boot(), _uptime())

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@cache
def _boot() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _uptime() -> float:
    # Linux stops its monotonic clock while the machine sleeps; others do not.
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


async def pause(clock: Clock, seconds: float, cancelled: asyncio.Event) -> None:
    """Sleep, or return at once when the run is cancelled."""
    if cancelled.is_set():
        return
    sleeping = asyncio.ensure_future(clock.sleep(seconds))
    waking = asyncio.ensure_future(cancelled.wait())
    try:
        await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (sleeping, waking):
            task.cancel()
        await asyncio.gather(sleeping, waking, return_exceptions=True)
