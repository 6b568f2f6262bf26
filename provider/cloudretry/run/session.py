"""What one run works with: the action, the cloud, the clock and how long it may take."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, TypeVar

from cloudretry.actions import Action
from cloudretry.actions.base import ActionInputs
from cloudretry.clock import Clock
from cloudretry.errors import NoAnswer
from cloudretry.ledger import Asker
from cloudretry.model import CloudClient, Place
from cloudretry.run.looker import Looker

__all__ = ["Session"]

T = TypeVar("T")

LAST = 1.0
"""Seconds after the end of a run's time in which its last call may still end."""


@dataclass(frozen=True, slots=True)
class Session:
    """One run of one resource.

    ``deadline`` is a time of the clock's monotonic seconds. ``jitter`` gives a number from 0 to 1. ``poll_interval``
    fixes the pause between two looks, in seconds; without it the pause adapts.
    """

    action: Action[Any]
    inputs: ActionInputs
    place: Place
    client: CloudClient
    clock: Clock
    executor: Executor
    deadline: float
    cancelled: asyncio.Event
    progress: Callable[[str], None]
    notice: Callable[[str], None]
    jitter: Callable[[], float]
    looker: Looker
    poll_interval: float | None = None
    asker: Asker | None = None

    @property
    def remaining(self) -> float:
        return self.deadline - self.clock.monotonic()

    @property
    def over(self) -> bool:
        return self.cancelled.is_set() or self.remaining <= 0

    async def noting(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a call of the ledger, off the event loop and away from the threads that wait for the network."""
        executor = self.asker.ledger.executor if self.asker is not None else self.executor
        return await asyncio.get_running_loop().run_in_executor(executor, function, *arguments)

    @property
    def allowed(self) -> float:
        """Seconds that a call may still take: the last one begins when the time is over."""
        return max(self.remaining, 0.0) + LAST

    async def blocking(
        self, function: Callable[..., T], *arguments: Any, patience: Callable[[], float] | None = None
    ) -> T:
        """Run a call that blocks on the network, off the event loop.

        Once the run is cancelled the call has the seconds that ``patience`` says then; after that it is left to itself.
        With ``patience``, the call belongs to this run alone, and the end of its time counts as well.

        :raises NoAnswer: the run had ended before the call did.
        """
        work = self.executor.submit(function, *arguments)
        calling = asyncio.wrap_future(work)
        cancelling = asyncio.ensure_future(self.cancelled.wait())
        try:
            either: set[asyncio.Future[Any]] = {calling, cancelling}
            ends = max(self.remaining, 0.0) if patience else None
            await asyncio.wait(either, timeout=ends, return_when=asyncio.FIRST_COMPLETED)
            if not work.done() and patience is not None:
                seconds = patience()
                await asyncio.wait({calling}, timeout=seconds if self.cancelled.is_set() else min(seconds, LAST))
        finally:
            cancelling.cancel()
        if not work.done():
            calling.add_done_callback(lambda call: call.cancelled() or call.exception())
            work.cancel()
            if self.cancelled.is_set():
                raise NoAnswer("cancelled before the answer came")
            raise NoAnswer("the time was over before the answer came")
        return await calling
