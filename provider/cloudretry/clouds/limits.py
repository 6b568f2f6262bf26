"""How many requests may be under way, and how often one may start: first come, first served."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

__all__ = ["Limits", "ServiceLimits"]


class ServiceLimits:
    """The limits of one account: each service has its own, so that a busy one does not hold up the others."""

    def __init__(self, concurrent: int, per_second: float | None = None) -> None:
        self._make = partial(Limits, concurrent, per_second)
        self._lock = threading.Lock()
        self._limits: dict[str, Limits] = {}

    def of(self, service: str) -> Limits:
        """The limits that all requests to this service share."""
        with self._lock:
            return self._limits.setdefault(service, self._make())


class Limits:
    """The limits of one service. Safe to use from many threads; nobody is overtaken.

    ``per_second`` paces the starts evenly, without bursts: a cloud counts per second or minute, and a burst after
    an idle time is just what it refuses.
    """

    def __init__(
        self,
        concurrent: int,
        per_second: float | None = None,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._lock = threading.Lock()
        self._free = concurrent
        self._waiting: deque[threading.Event] = deque()
        self._interval = 1 / per_second if per_second else 0.0
        self._next_start = float("-inf")
        self._monotonic = monotonic
        self._sleep = sleep

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a turn and hold it."""
        self._acquire()
        try:
            self._pace()
            yield
        finally:
            self._release()

    def _acquire(self) -> None:
        with self._lock:
            if self._free:
                self._free -= 1
                return
            turn = threading.Event()
            self._waiting.append(turn)
        given = False
        try:
            given = turn.wait()
        finally:
            if not given:
                self._give_up(turn)

    def _give_up(self, turn: threading.Event) -> None:
        with self._lock:
            if turn in self._waiting:
                self._waiting.remove(turn)
                return
        self._release()

    def _release(self) -> None:
        with self._lock:
            if self._waiting:
                self._waiting.popleft().set()
            else:
                self._free += 1

    def _pace(self) -> None:
        if not self._interval:
            return
        with self._lock:
            now = self._monotonic()
            start = max(now, self._next_start)
            self._next_start = start + self._interval
        if start > now:
            self._sleep(start - now)
