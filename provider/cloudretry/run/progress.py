"""Lines of progress on a cadence of their own, not on that of the work."""

from __future__ import annotations

from cloudretry import durations
from cloudretry.run.session import Session

__all__ = ["PROGRESS_EVERY", "Progress"]

PROGRESS_EVERY = 2.0
"""Least seconds between two lines."""


class Progress:
    """Shows a line when it says something new and the last one is :data:`PROGRESS_EVERY` old."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._started = session.clock.monotonic()
        self._last, self._last_at = "", float("-inf")

    def tell(self, line: str) -> None:
        """Show the line with the time since the beginning."""
        elapsed = self._session.clock.monotonic() - self._started
        if line == self._last or elapsed - self._last_at < PROGRESS_EVERY:
            return
        self._session.progress(f"{line} ({durations.show(round(elapsed))})" if round(elapsed) else line)
        self._last, self._last_at = line, elapsed
