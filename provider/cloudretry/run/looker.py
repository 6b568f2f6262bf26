"""One look for all who wait: targets of one place are asked for together, in the largest status calls there are.

Everybody who waits says within which time they want to be answered. A round begins when the first of them is due, and
takes along whoever is due soon, so that waiters that began at different times come into step.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from cloudretry.clock import Clock
from cloudretry.errors import CloudRetryError, Defect
from cloudretry.model import Observation, Target, chunked
from cloudretry.run.pace import Pace

__all__ = ["Looker", "Observe", "Seen"]

Observe = Callable[[Sequence[Target]], Awaitable[Mapping[str, Observation]]]
"""One status call."""

Seen = Mapping[str, Observation | CloudRetryError]
"""What was seen of each target, by key; an error where its status call failed."""

EARLY = 0.6
"""A waiter is taken along when it is due within this part of the time that it allowed. More than half: with less, two
groups that look in turn would never come into step."""


@dataclass(slots=True)
class _Ask:
    targets: Sequence[Target]
    due: float
    soonest: float
    answer: asyncio.Future[Seen]


@dataclass(slots=True)
class _Group:
    """Those who wait for targets of one place."""

    clock: Clock
    observe: Observe
    size: int
    asks: list[_Ask] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)
    serving: asyncio.Task[None] | None = None


class Looker:
    """Shared by all runs of a process. Belongs to one event loop."""

    def __init__(self) -> None:
        self._groups: dict[object, _Group] = {}
        self._paces: defaultdict[object, Pace] = defaultdict(Pace)

    def pace(self, kind: object) -> Pace:
        """What all who wait for one kind of thing have learnt of how long it takes."""
        return self._paces[kind]

    async def look(
        self, place: object, clock: Clock, observe: Observe, size: int, targets: Sequence[Target], *, within: float
    ) -> Seen:
        """What is seen of the targets, after at most ``within`` seconds and the status calls themselves.

        ``place`` tells whose targets may be asked for together, ``size`` how many in one call of ``observe``.
        """
        if not targets:
            # Nobody else is to be looked at sooner for it.
            return {}
        group = self._groups.setdefault(place, _Group(clock, observe, size))
        due = clock.monotonic() + within
        ask = _Ask(targets, due, due - within * EARLY, asyncio.get_running_loop().create_future())
        group.asks.append(ask)
        group.changed.set()
        if group.serving is None:
            group.serving = asyncio.create_task(self._serve(place, group))
        try:
            return await ask.answer
        finally:
            if ask in group.asks:
                group.asks.remove(ask)
                group.changed.set()

    async def _serve(self, place: object, group: _Group) -> None:
        try:
            while group.asks:
                group.changed.clear()
                delay = min(ask.due for ask in group.asks) - group.clock.monotonic()
                if delay > 0 and not await _undisturbed(group, delay):
                    continue
                now = group.clock.monotonic()
                batch = [ask for ask in group.asks if ask.soonest <= now]
                group.asks = [ask for ask in group.asks if ask.soonest > now]
                try:
                    await _answer(group, batch)
                except Exception as defect:  # noqa: BLE001 - it belongs to those who asked
                    for ask in batch:
                        if not ask.answer.done():
                            ask.answer.set_exception(defect)
        finally:
            self._groups.pop(place, None)


async def _undisturbed(group: _Group, seconds: float) -> bool:
    """Sleep; false as soon as somebody comes or goes, who may want it otherwise."""
    sleeping = asyncio.ensure_future(group.clock.sleep(seconds))
    waking = asyncio.ensure_future(group.changed.wait())
    await asyncio.wait({sleeping, waking}, return_when=asyncio.FIRST_COMPLETED)
    undisturbed = sleeping.done()
    for task in (sleeping, waking):
        task.cancel()
    await asyncio.gather(sleeping, waking, return_exceptions=True)
    return undisturbed


async def _answer(group: _Group, batch: Sequence[_Ask]) -> None:
    # Two resources may watch one job by different handles; each handle is asked for on its own.
    wanted = {(target.key, target.watched): target for ask in batch for target in ask.targets}
    layers: list[dict[str, Target]] = []
    for target in wanted.values():
        layer = next((layer for layer in layers if target.key not in layer), None)
        if layer is None:
            layers.append(layer := {})
        layer[target.key] = target
    calls = [call for layer in layers for call in chunked(list(layer.values()), group.size)]
    answers = await asyncio.gather(*(_call(group.observe, call) for call in calls))
    seen = {
        (target.key, target.watched): answer if isinstance(answer, CloudRetryError) else answer[target.key]
        for call, answer in zip(calls, answers, strict=True)
        for target in call
    }
    for ask in batch:
        if not ask.answer.done():
            ask.answer.set_result({target.key: seen[target.key, target.watched] for target in ask.targets})


async def _call(observe: Observe, targets: Sequence[Target]) -> Mapping[str, Observation] | CloudRetryError:
    try:
        seen = await observe(targets)
        return {target.key: seen[target.key] for target in targets}
    except CloudRetryError as error:
        return error
    except Exception as unforeseen:  # noqa: BLE001 - it fails this look, and no other
        return Defect(unforeseen)
