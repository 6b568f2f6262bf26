"""Lines of progress on a cadence of their own, not on that of the work."""

from __future__ import annotations

from cloudretry import durations
from cloudretry.run.session import Session

__all__ = ["PROGRESS_AFTER", "PROGRESS_EVERY", "Progress"]

PROGRESS_AFTER, PROGRESS_EVERY = 1.0, 2.0
"""Seconds before the first line, for what is done sooner needs none; and least seconds between two."""


class Progress:
    """Shows a line when it says something new and the last one is old enough."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._started = session.clock.monotonic()
        self._last, self._next_at = "", PROGRESS_AFTER

    def tell(self, line: str) -> None:
        """Show the line with the time since the beginning."""
        elapsed = self._session.clock.monotonic() - self._started
        if line == self._last or elapsed < self._next_at:
            return
        self._session.progress(f"{line} ({durations.show(round(elapsed))})" if round(elapsed) else line)
        self._last, self._next_at = line, elapsed + PROGRESS_EVERY
