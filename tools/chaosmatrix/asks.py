"""What was asked for: kept by the player, who knows nothing of the provider's journal and state."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass

from chaosmatrix.cloud import Cloud

__all__ = ["Ask", "Asks"]


@dataclass(slots=True)
class Ask:
    """One fire of one target that somebody asked for.

    ``before`` and ``after`` are the effects on the target that were counted when it was asked, and when an `up` or a
    command said that it is done; ``None``: nobody said so. ``shared``: what another one fires at that time will do.
    ``since`` is when it was asked, in seconds since the epoch, and ``request`` the number of the cloud's last request
    before it.
    """

    target: str
    why: str
    before: int
    since: float
    request: int
    shared: bool = False
    after: int | None = None


class Asks:
    """All asks of a run, in order."""

    def __init__(self) -> None:
        self.all: list[Ask] = []
        self._clouds: dict[str, Cloud] = {}

    def add(self, cloud: Cloud, targets: Iterable[str], why: str, *, shared: bool = False) -> list[Ask]:
        """Ask for a fire of each, once every earlier request has come to its end."""
        cloud.wait_until_quiet()
        request, made = cloud.last_request(), []
        for target in targets:
            name = f"{cloud.name}{target}"
            self._clouds[name] = cloud
            made.append(Ask(name, why, cloud.count(target), time.time(), request, shared))
        self.all += made
        return made

    def unmet(self, cloud: Cloud, target: str) -> bool:
        """Whether the last ask for a target has had no effect yet."""
        last = self._last(cloud, target)
        return last is not None and cloud.count(target) == last.before

    def is_due(self, cloud: Cloud, target: str) -> bool:
        """Whether the last ask for a target is open."""
        last = self._last(cloud, target)
        return last is not None and last.after is None

    def done(self, cloud: Cloud, targets: Iterable[str]) -> None:
        """It was said that the last asks for these are done."""
        for target in targets:
            if (last := self._last(cloud, target)) is not None and last.after is None:
                last.after = cloud.count(target)

    def counted(self) -> dict[str, int]:
        """The effects on each target by now."""
        return {name: cloud.count(name.removeprefix(cloud.name)) for name, cloud in self._clouds.items()}

    def _last(self, cloud: Cloud, target: str) -> Ask | None:
        return next((ask for ask in reversed(self.all) if ask.target == f"{cloud.name}{target}"), None)
