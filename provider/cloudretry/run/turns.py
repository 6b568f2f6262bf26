"""Which fires of a run may leave: their intents are written to the ledger some at a time, ahead of the requests."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import Callable, Sequence

from cloudretry.clock import Moment
from cloudretry.ledger import EntryTarget, Fire, Granted
from cloudretry.model import Target
from cloudretry.run.session import Session

__all__ = ["WINDOW", "Turns"]

WINDOW = 32
"""So many intents are written at once where the cloud's state tells what became of a fire; else one."""


class Turns:
    """Hands out the fires of these groups, in order, each once its intent is written.

    ``blocked`` fills with the targets that are not free, by key, and what is in their way.
    """

    def __init__(
        self, session: Session, groups: Sequence[Sequence[Target]], intended: Callable[[Target], EntryTarget]
    ) -> None:
        self.blocked: dict[str, Fire] = {}
        self._session = session
        self._intended = intended
        self._targets = {target.key: target for group in groups for target in group}
        self._groups = deque(groups)
        self._granted: deque[Granted] = deque()
        self._window = 1 if session.action.stamped else WINDOW
        self._turn = asyncio.Lock()

    async def next(self) -> tuple[Granted, tuple[Target, ...]] | None:
        """The next fire; ``None`` when there are no more, or the run is over.

        :raises JournalError: an intent cannot be written.
        """
        async with self._turn:
            while not self._granted and self._groups and not self._session.over:
                try:
                    await self._grant()
                except BaseException:
                    # Nothing leaves any more.
                    self._groups.clear()
                    raise
        if not self._granted or self._session.over:
            return None
        granted = self._granted.popleft()
        return granted, tuple(self._targets[target.key] for target in granted.targets)

    def unused(self) -> list[Granted]:
        """The fires that were granted and never begun."""
        return list(self._granted)

    async def _grant(self) -> None:
        groups = [self._groups.popleft() for _ in range(min(self._window, len(self._groups)))]
        entries = [[self._intended(target) for target in group] for group in groups]
        if self._session.asker is None:
            never = Moment(float("inf"), "", float("inf"))
            self._granted.extend(Granted(secrets.token_hex(8), tuple(group), never) for group in entries)
            return
        granted, blocked = await self._session.noting(self._session.asker.intend, entries)
        self._granted.extend(granted)
        self.blocked |= blocked
