"""The clock, as a parameter of everything that waits."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

__all__ = ["Clock", "SystemClock", "pause"]


class Clock(Protocol):
    """Time. All three are in seconds."""

    def now(self) -> float:
        """Seconds since the epoch, for what is recorded."""

    def monotonic(self) -> float:
        """Seconds that never jump, for time-outs."""

    async def sleep(self, seconds: float) -> None:
        """Let this much time pass."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


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
