"""How long to wait between two looks: short at first, longer the longer it takes, short again near an expected end."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from statistics import median

from cloudretry.clock import Clock

__all__ = ["Pace", "pauses"]

SHORTEST, LONGEST = 0.05, 15.0
"""Bounds of a pause, in seconds."""

GROWTH = 0.5
"""A pause is this part of the time that was waited already."""

NEAR = 0.1
"""Around an expected end a pause is this part of the time that it was expected to take..."""

LATE = 0.5
"""... until it is late by this part."""

ENOUGH, KEPT = 3, 64
"""Ends that have to be known before one is expected, and how many of them are kept."""


@dataclass(slots=True)
class Pace:
    """How long retries of one kind have taken to take hold, as far as this process has seen."""

    _took: deque[float] = field(default_factory=lambda: deque(maxlen=KEPT))

    def took(self, seconds: float) -> None:
        """A retry took hold so many seconds after its fire."""
        self._took.append(seconds)

    @property
    def expected(self) -> float | None:
        """Seconds from a fire to its end, as far as that can be told."""
        return median(self._took) if len(self._took) >= ENOUGH else None


def pauses(clock: Clock, fired: float, pace: Pace) -> Iterator[float]:
    """Seconds to the next look, again and again, for what was ``fired`` then (in the clock's monotonic seconds)."""
    began = clock.monotonic()
    while True:
        now = clock.monotonic()
        seconds = (now - began) * GROWTH
        if (expected := pace.expected) is not None:
            left = expected - (now - fired)
            if left > 0:
                seconds = min(seconds, max(left, expected * NEAR))
            elif -left < expected * LATE:
                seconds = min(seconds, expected * NEAR)
        yield min(max(seconds, SHORTEST), LONGEST)
