"""The one place where a fire can happen.

Every fire ends as one of :class:`cloudretry.model.FireOutcome`, and only two kinds are ever sent again: a request
that could not be sent, and one that the cloud turned away because it is too busy. Whatever may have had an effect is
never sent again from here; the cloud's state decides.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cloudretry.actions import Action
from cloudretry.clock import pause
from cloudretry.errors import ConfigurationError, NoAnswer, RequestNotSent
from cloudretry.model import Answer, CloudError, FireOutcome, Reply, Request, Target
from cloudretry.run.session import Session

__all__ = ["Fired", "explain", "fire"]

NEVER_SENT_TRIES, THROTTLED_TRIES = 5, 8
"""How often one fire is tried when it cannot be sent, and when the cloud is too busy."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 20.0
"""Bounds of the random pause before it is sent again, in seconds."""

CANCEL_PATIENCE = 5.0
"""Seconds that an answer may still take once the run is cancelled."""


@dataclass(frozen=True, slots=True)
class Fired:
    """One fire: its id, its targets, and the answer on each of them by key. ``at`` is when it was sent."""

    fire_id: str
    targets: tuple[Target, ...]
    answers: dict[str, Answer]
    at: float
    request_id: str = ""


async def fire(session: Session, targets: Sequence[Target]) -> Fired:
    """Ask the cloud once to retry these targets.

    Never raises for what the network or the cloud does: each target has an answer.
    """
    action = session.action
    request = action.request(session.place, targets, session.inputs)
    fire_id = secrets.token_hex(8)
    at = session.clock.now()
    never_sent = throttled = 0
    while True:
        try:
            outcome, error, reply = await session.blocking(_send, session, request, patience=CANCEL_PATIENCE)
        except NoAnswer as abandoned:
            outcome, error, reply = FireOutcome.UNKNOWN, CloudError("", str(abandoned)), None
        if outcome is FireOutcome.NOT_SENT and (never_sent := never_sent + 1) < NEVER_SENT_TRIES:
            wanted = None
        elif reply is not None and reply.throttled and (throttled := throttled + 1) < THROTTLED_TRIES:
            wanted = reply.retry_after
        else:
            break
        seconds = _backoff(session, never_sent + throttled, wanted)
        if session.remaining <= seconds or session.cancelled.is_set():
            break
        await pause(session.clock, seconds, session.cancelled)
        if session.cancelled.is_set():
            break
        at = session.clock.now()
    answers = _answers(action, targets, outcome, error, reply)
    return Fired(fire_id, tuple(targets), answers, at, reply.request_id if reply else "")


def _send(session: Session, request: Request) -> tuple[FireOutcome, CloudError | None, Reply | None]:
    try:
        reply = session.client.send(request)
    except (RequestNotSent, ConfigurationError) as error:
        return FireOutcome.NOT_SENT, CloudError("", str(error)), None
    except NoAnswer as error:
        return FireOutcome.UNKNOWN, CloudError("", str(error)), None
    outcome = classify(session.action, reply)
    error_of_reply = reply.error
    if error_of_reply is None and not reply.ok:
        error_of_reply = CloudError("", f"an answer that is not the API's: {reply.text[:120]!r}", reply.status)
    return outcome, explain(session.action, error_of_reply), reply


def classify(action: Action[Any], reply: Reply) -> FireOutcome:
    """What an answer says of the whole request, before its body is read target by target."""
    if reply.throttled:
        return FireOutcome.REJECTED
    if reply.error is not None and reply.error.code in action.unclear_errors:
        return FireOutcome.UNKNOWN
    if reply.status >= 500 and reply.status != 503:
        return FireOutcome.UNKNOWN
    return FireOutcome.ACCEPTED if reply.ok else FireOutcome.REJECTED


def explain(action: Action[Any], error: CloudError | None) -> CloudError | None:
    """The error with its documented meaning and remedy, where the action's table has one."""
    if error is None:
        return None
    meaning = action.errors.get(error.code) or action.errors.get(str(error.http_status))
    if meaning is None:
        return error
    return replace(error, remedy=" ".join(filter(None, (meaning.text, meaning.remedy, error.remedy))))


def _answers(
    action: Action[Any], targets: Sequence[Target], outcome: FireOutcome, error: CloudError | None, reply: Reply | None
) -> dict[str, Answer]:
    if outcome is FireOutcome.ACCEPTED and reply is not None:
        try:
            answers = action.read_reply(reply, targets)
        except NoAnswer as unreadable:
            outcome, error = FireOutcome.UNKNOWN, CloudError("", str(unreadable), reply.status, reply.request_id)
        else:
            return {key: replace(answer, error=explain(action, answer.error)) for key, answer in answers.items()}
    return {target.key: Answer(outcome, error=error) for target in targets}


def _backoff(session: Session, attempt: int, wanted: float | None) -> float:
    """Full jitter between nothing and a doubling bound; never less than what the cloud asked for."""
    bound: float = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2**attempt)
    return max(bound * session.jitter(), wanted or 0.0)
