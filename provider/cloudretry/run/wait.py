"""Waiting until a retry has taken hold.

Waiting is data: an action's state table says what each word means, and one judge reads it. Right after a fire a status
call may still show the old state, so a state from which a retry can start counts as a verdict only when the target
was seen moving since, or when :data:`STALE_GRACE` has passed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from typing import Any

from cloudretry.actions import Action
from cloudretry.errors import CloudRefused, CloudRetryError, Defect, NoAnswer
from cloudretry.ledger import Word
from cloudretry.model import Observation, Result, StateClass, Status, Target
from cloudretry.run.looker import Seen
from cloudretry.run.pace import Pace, pauses
from cloudretry.run.progress import Progress
from cloudretry.run.session import Session

__all__ = [
    "STALE_GRACE",
    "Watched",
    "judge",
    "look",
    "settled",
    "taken_up",
    "took_hold",
    "was_moving",
    "watch",
    "watched",
]

STALE_GRACE = 30.0
"""Seconds after a fire in which the old state may still be shown."""

REFUSED_POLLS = 3
"""So many refused status calls in a row end the waiting for the targets that were asked for."""


_SINCE = " Since then: "


@dataclass(slots=True)
class Watched:
    """A target that was fired and has no verdict yet.

    ``accepted`` is false where no answer told what became of the fire; ``result`` is what is recorded should the
    waiting end now. ``fired`` is when its fire ended, in the clock's monotonic seconds: neither a slow answer nor what
    the wall clock does in the meantime may turn an old state into a verdict.
    """

    target: Target
    result: Result
    accepted: bool
    fired: float
    moved: bool = False
    seen: Observation | None = None
    refused: int = 0
    problem: str = ""

    def is_fresh(self, now: float) -> bool:
        """Whether the grace is not over."""
        return now < self.fired + STALE_GRACE


def watched(session: Session, target: Target, result: Result, *, accepted: bool, fired: float | None = None) -> Watched:
    """A target to wait for, from when its fire ended: as far as that is known, and not before its result says that it
    was sent, which the wall clock may have told wrongly.
    """
    sent = session.clock.monotonic() - max(0.0, session.clock.now() - (result.fired_at or 0.0))
    fired = sent if fired is None else max(fired, sent)
    return Watched(target, result, accepted, fired, moved=was_moving(session.action, result))


def was_moving(action: Action[Any], result: Result) -> bool:
    """Whether an earlier run saw the target in progress after its fire: what it shows now is no old state."""
    state = action.states.get(result.cloud_status)
    return state is not None and state.means is StateClass.IN_PROGRESS


def took_hold(action: Action[Any], before: str, seen: Observation) -> bool:
    """Whether this alone, without what was seen before it, shows that a retry has taken hold."""
    if seen.missing:
        return False
    if action.stamped:
        return seen.stamp != before
    return seen.means is StateClass.SUCCEEDED and not seen.retryable


def taken_up(action: Action[Any], before: str, seen: Observation) -> bool:
    """Whether a target whose fire was refused is being retried all the same."""
    if action.stamped:
        return took_hold(action, before, seen)
    return seen.means is StateClass.IN_PROGRESS


def judge(action: Action[Any], item: Watched, seen: Observation, *, fresh: bool) -> Result | None:
    """The verdict on a target, or ``None`` while there is none. ``fresh`` says that the grace is not over."""
    item.seen = seen
    if took_hold(action, item.result.before, seen):
        return settled(item.result, Status.SUCCEEDED, seen)
    if action.stamped:
        return _judge_by_times(item, seen, fresh=fresh)
    if seen.means is StateClass.IN_PROGRESS:
        item.moved = item.accepted = True
        return None
    if (seen.retryable or seen.missing) and fresh and not item.moved:
        return None
    if seen.means is StateClass.SUCCEEDED and item.moved:
        return settled(item.result, Status.SUCCEEDED, seen)
    if action.returns_handle and not item.accepted and seen.retryable:
        return _still_unknown(item, seen, "its retry may go on under an id that the lost answer held")
    return _failed(action, item, seen)


def _judge_by_times(item: Watched, seen: Observation, *, fresh: bool) -> Result | None:
    if item.accepted:
        if seen.means is StateClass.SUCCEEDED:
            return settled(item.result, Status.SUCCEEDED, seen)
        return settled(item.result, Status.FAILED, seen, message=seen.message) if seen.missing and not fresh else None
    if fresh:
        return None
    return _still_unknown(item, seen, seen.message or "the job's times have not changed")


def _still_unknown(item: Watched, seen: Observation, found: str) -> Result:
    return replace(
        item.result,
        status=Status.UNKNOWN,
        cloud_status=seen.cloud_status,
        error_message=_since(item.result, found),
    )


def _failed(action: Action[Any], item: Watched, seen: Observation) -> Result:
    if seen.missing:
        message = seen.message
    else:
        meaning = action.states[seen.cloud_status].text if seen.cloud_status in action.states else seen.means.value
        message = f"it is {seen.cloud_status} ({meaning})"
        if seen.message:
            message += f": {seen.message}"
    result = settled(item.result, Status.FAILED, seen, message=message)
    if item.accepted:
        return result
    code = seen.error_code or item.result.error_code
    return replace(result, error_code=code, error_message=_since(item.result, message))


def _since(result: Result, found: str) -> str:
    """How the fire ended, and what was found out about it since: the newest finding only."""
    return f"{result.error_message.partition(_SINCE)[0]}{_SINCE}{found}"


def settled(result: Result, status: Status, seen: Observation, *, message: str = "") -> Result:
    """The result once the verdict is known; what was kept only to go on is dropped."""
    return replace(
        result,
        status=status,
        cloud_status=seen.cloud_status,
        error_code=seen.error_code if status is Status.FAILED else "",
        error_message=message,
        skipped_reason="",
        before="",
    )


async def look(session: Session, targets: Sequence[Target], *, within: float = 0.0) -> dict[str, Observation]:
    """Look at the targets once, in as few status calls as the API allows. Others who look ``within`` these seconds
    share them.

    :raises CloudRetryError: a status call failed.
    """
    try:
        seen = await asyncio.wait_for(_look_within(session, targets, within), session.allowed)
    except TimeoutError:
        raise NoAnswer("the time was over before the status call was answered") from None
    for answer in seen.values():
        if isinstance(answer, CloudRetryError):
            raise answer
    return {key: answer for key, answer in seen.items() if isinstance(answer, Observation)}


async def _look_within(session: Session, targets: Sequence[Target], seconds: float) -> Seen:
    async def observe(group: Sequence[Target]) -> Mapping[str, Observation]:
        try:
            return await session.blocking(session.action.observe, session.client.send, session.place, group)
        except CloudRefused as refused:
            raise CloudRefused(session.action.explain(refused.error), throttled=refused.throttled) from None

    place = (session.client, session.action.token, session.place)
    size = session.action.look_size
    return await session.looker.look(place, session.clock, observe, size, targets, within=seconds)


async def watch(session: Session, targets: Sequence[Watched]) -> list[Result]:
    """Wait for a verdict on each target, or for the end of the time.

    Never raises for a status call that fails: the fire has happened, and its record must not be lost.
    """
    waiting = {item.target.key: item for item in targets}
    results: dict[str, Result] = {}
    progress = Progress(session)
    pace = session.looker.pace((session.client, session.action.token))
    next_pause = _pauses(session, waiting, pace)
    while waiting and not session.over:
        seen = await _next_look(session, waiting, min(next(next_pause), max(session.remaining, 0.0)))
        now = session.clock.monotonic()
        for key, answer in seen.items():
            was_seen = waiting[key].seen is not None
            result = _verdict(session, waiting[key], answer, now)
            if result is not None:
                results[key] = result
                # Of one that is well at the first look nobody knows for how long.
                if was_seen and result.status is Status.SUCCEEDED:
                    pace.took(now - waiting[key].fired)
                del waiting[key]
        if waiting:
            progress.tell(_waiting_for(waiting, len(targets)))
    results |= {key: _unsettled(session, item) for key, item in waiting.items()}
    return [results[item.target.key] for item in targets]


async def _next_look(session: Session, waiting: Mapping[str, Watched], seconds: float) -> Seen:
    """What is seen within this time; nothing once the run is cancelled, or its time is over."""
    looking = asyncio.ensure_future(_look_within(session, [item.target for item in waiting.values()], seconds))
    cancelling = asyncio.ensure_future(session.cancelled.wait())
    either: set[asyncio.Future[Any]] = {looking, cancelling}
    try:
        await asyncio.wait(either, timeout=session.allowed, return_when=asyncio.FIRST_COMPLETED)
        return looking.result() if looking.done() else {}
    finally:
        for task in either:
            task.cancel()
        await asyncio.gather(*either, return_exceptions=True)


def _verdict(session: Session, item: Watched, answer: Observation | CloudRetryError, now: float) -> Result | None:
    """What an answer makes of a target; ``None`` while it is to be waited for."""
    if isinstance(answer, CloudRetryError):
        item.problem = str(answer)
        item.refused = item.refused + 1 if _is_final(answer) else 0
        return _unsettled(session, item) if item.refused >= REFUSED_POLLS else None
    item.problem, item.refused = "", 0
    result = judge(session.action, item, answer, fresh=item.is_fresh(now))
    if result is not None:
        _tell(session, result)
    return result


_WORDS = {Status.FAILED: Word.VOID, Status.UNKNOWN: Word.UNKNOWN}


def _tell(session: Session, result: Result) -> None:
    """Let the ledger know what was found out, should no answer have told it."""
    if session.asker is not None:
        session.asker.judge(result.target, _WORDS.get(result.status, Word.HELD))


def _pauses(session: Session, waiting: Mapping[str, Watched], pace: Pace) -> Iterator[float]:
    if session.poll_interval is not None:
        return repeat(session.poll_interval)
    return pauses(session.clock, max((item.fired for item in waiting.values()), default=0.0), pace)


def _is_final(error: CloudRetryError) -> bool:
    """Whether the same status call will come to the same the next time."""
    if isinstance(error, Defect):
        return True
    return isinstance(error, CloudRefused) and not error.throttled and 400 <= error.error.http_status < 500


def _waiting_for(waiting: dict[str, Watched], total: int) -> str:
    first = next(iter(waiting.values()))
    state = first.seen.cloud_status if first.seen and first.seen.cloud_status else "not seen yet"
    return f"{total - len(waiting)} of {total} done, waiting for {first.target.key}: {state}"


def _unsettled(session: Session, item: Watched) -> Result:
    """What is recorded when the waiting ends without a verdict: the next run goes on from there."""
    seen = item.seen
    last = f"last seen {seen.cloud_status or seen.message}" if seen else "never seen"
    if item.refused >= REFUSED_POLLS:
        why = f"its status cannot be read; {last}"
    elif session.cancelled.is_set():
        why = f"cancelled while waiting; {last}"
    else:
        why = f"timed out while waiting until {session.action.done_when}; {last}"
    if item.problem:
        why = f"{why}; {item.problem}"
    if not item.accepted:
        why = _since(item.result, why)
    result = replace(
        item.result,
        status=Status.IN_PROGRESS if item.accepted else Status.UNKNOWN,
        cloud_status=seen.cloud_status if seen else item.result.cloud_status,
        error_code="" if item.accepted else item.result.error_code,
        error_message=why,
    )
    if item.accepted:
        _tell(session, result)
    return result
