"""Waiting until a retry has taken hold.

Waiting is data: an action's state table says what each word means, and one judge reads it. Right after a fire a status
call may still show the old state, so a state from which a retry can start counts as a verdict only when the target
was seen moving since, or when :data:`STALE_GRACE` has passed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cloudretry import durations
from cloudretry.actions import Action
from cloudretry.clock import pause
from cloudretry.errors import CloudRefused, CloudRetryError
from cloudretry.model import CloudError, Observation, Result, StateClass, Status, Target, chunked
from cloudretry.run.session import Session

__all__ = ["STALE_GRACE", "Watched", "judge", "look", "watch"]

STALE_GRACE = 30.0
"""Seconds after a fire in which the old state may still be shown."""

FIRST_POLL, SLOWEST_POLL, POLL_GROWTH = 0.5, 15.0, 1.5
"""Seconds to the first look, the longest pause between two, and how the pause grows."""

REFUSED_POLLS = 3
"""So many refused status calls in a row end the waiting."""

PROGRESS_EVERY = 2.0
"""Least seconds between two lines of progress."""


@dataclass(slots=True)
class Watched:
    """A target that was fired and has no verdict yet.

    ``accepted`` is false where no answer told what became of the fire; ``result`` is what is recorded should the
    waiting end now.
    """

    target: Target
    result: Result
    accepted: bool = True
    moved: bool = False
    seen: Observation | None = None

    @property
    def fired_at(self) -> float:
        return self.result.fired_at or 0.0


def judge(action: Action[Any], watched: Watched, seen: Observation, now: float) -> Result | None:
    """The verdict on a target, or ``None`` while there is none."""
    watched.seen = seen
    fresh = now < watched.fired_at + STALE_GRACE
    if action.stamped:
        return _judge_by_times(watched, seen, fresh=fresh)
    if seen.means is StateClass.IN_PROGRESS:
        watched.moved = watched.accepted = True
        return None
    may_be_old = seen.retryable or seen.missing
    if may_be_old and fresh and not watched.moved:
        return None
    if seen.means is StateClass.SUCCEEDED and (watched.moved or not seen.retryable):
        return settled(watched.result, Status.SUCCEEDED, seen)
    return _failed(action, watched, seen)


def _judge_by_times(watched: Watched, seen: Observation, *, fresh: bool) -> Result | None:
    if seen.missing:
        return None if fresh else _lost(watched, seen)
    if seen.stamp != watched.result.before or (watched.accepted and seen.means is StateClass.SUCCEEDED):
        return settled(watched.result, Status.SUCCEEDED, seen)
    if watched.accepted or fresh:
        return None
    why = watched.result.error_message or "no answer came"
    return replace(
        watched.result,
        status=Status.UNKNOWN,
        cloud_status=seen.cloud_status,
        error_message=why if "times have not changed" in why else f"{why}; the job's times have not changed",
    )


def _lost(watched: Watched, seen: Observation) -> Result:
    if watched.accepted:
        return settled(watched.result, Status.FAILED, seen, message=seen.message)
    return replace(watched.result, status=Status.UNKNOWN, error_message=seen.message)


def _failed(action: Action[Any], watched: Watched, seen: Observation) -> Result:
    if seen.missing:
        message = seen.message
    else:
        meaning = action.states[seen.cloud_status].text if seen.cloud_status in action.states else seen.means.value
        message = f"it is {seen.cloud_status} ({meaning})"
        if seen.message:
            message += f": {seen.message}"
    if not watched.accepted and watched.result.error_message:
        message = f"{watched.result.error_message}; {message}"
    return settled(watched.result, Status.FAILED, seen, message=message)


def settled(result: Result, status: Status, seen: Observation, *, message: str = "") -> Result:
    """The result once the verdict is known; what was kept only to go on is dropped."""
    return replace(
        result,
        status=status,
        cloud_status=seen.cloud_status,
        error_code=seen.error_code if status is Status.FAILED else "",
        error_message=message,
        before="",
    )


async def look(session: Session, targets: Sequence[Target]) -> dict[str, Observation]:
    """Look at the targets once, in as few status calls as the API allows.

    :raises CloudRetryError: a status call failed.
    """
    seen: dict[str, Observation] = {}
    for group in chunked(targets, session.action.look_size):
        seen |= await session.blocking(session.action.observe, session.client.send, session.place, group)
    return seen


async def watch(session: Session, targets: Sequence[Watched]) -> list[Result]:
    """Wait for a verdict on each target, or for the end of the time.

    Never raises for a status call that fails: the fire has happened, and its record must not be lost.
    """
    waiting = {item.target.key: item for item in targets}
    results: dict[str, Result] = {}
    pauses = _pauses(session)
    refused, problem = 0, ""
    started, told_at, told = session.clock.monotonic(), float("-inf"), ""
    while waiting and not session.over:
        await pause(session.clock, min(next(pauses), max(session.remaining, 0.0)), session.cancelled)
        try:
            seen = await look(session, [item.target for item in waiting.values()])
        except CloudRetryError as error:
            problem = str(error)
            refused = refused + 1 if isinstance(error, CloudRefused) and _is_final(error.error) else 0
            if refused >= REFUSED_POLLS:
                break
            continue
        refused, problem = 0, ""
        now = session.clock.now()
        for key, item in list(waiting.items()):
            result = judge(session.action, item, seen[key], now)
            if result is not None:
                results[key] = result
                del waiting[key]
        elapsed = session.clock.monotonic() - started
        if waiting and elapsed - told_at >= PROGRESS_EVERY:
            line = _progress(waiting, len(targets))
            if line != told:
                session.progress(f"{line} ({durations.show(round(elapsed))})")
                told, told_at = line, elapsed
    for key, item in waiting.items():
        results[key] = _unsettled(session, item, problem)
    return [results[item.target.key] for item in targets]


def _pauses(session: Session) -> Iterator[float]:
    if session.poll_interval is not None:
        while True:
            yield session.poll_interval
    seconds = FIRST_POLL
    while True:
        yield seconds
        seconds = min(seconds * POLL_GROWTH, SLOWEST_POLL)


def _is_final(error: CloudError) -> bool:
    return 400 <= error.http_status < 500 and error.http_status != 429


def _progress(waiting: dict[str, Watched], total: int) -> str:
    slowest = next(iter(waiting.values()))
    state = slowest.seen.cloud_status if slowest.seen and slowest.seen.cloud_status else "not seen yet"
    return f"{total - len(waiting)} of {total} done, waiting for {slowest.target.key}: {state}"


def _unsettled(session: Session, item: Watched, problem: str) -> Result:
    """What is recorded when the waiting ends without a verdict: the next run goes on from there."""
    seen = item.seen
    last = f"last seen {seen.cloud_status or seen.message}" if seen else "never seen"
    if session.cancelled.is_set():
        why = f"cancelled while waiting; {last}"
    elif session.remaining <= 0:
        why = f"timed out while waiting until {session.action.done_when}; {last}"
    else:
        why = f"its status cannot be read; {last}"
    if problem:
        why = f"{why}; {problem}"
    if not item.accepted and item.result.error_message:
        why = f"{item.result.error_message}; {why}"
    return replace(
        item.result,
        status=Status.IN_PROGRESS if item.accepted else Status.UNKNOWN,
        cloud_status=seen.cloud_status if seen else item.result.cloud_status,
        error_message=why,
    )
