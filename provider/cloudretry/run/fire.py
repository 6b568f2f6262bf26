"""The one place where a fire can happen.

Every fire ends as one of :class:`cloudretry.model.FireOutcome`, and only two kinds are ever sent again:

============  =============================================================  ==========
outcome       how it comes about                                             sent again
============  =============================================================  ==========
not sent      no connection                                                  yes
not sent      no credentials, no address, no journal                         no
rejected      429, 503, a documented code for "too busy"                     yes
rejected      any other answer that says no, a redirect                      no
accepted                                                                     no
unknown       no answer, 500, 502, 504, a 2xx that is not what the API says  no
============  =============================================================  ==========

Whatever may have had an effect is never sent again from here; the cloud's state decides.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cloudretry.actions import Action
from cloudretry.clock import pause
from cloudretry.errors import ConfigurationError, JournalError, NoAnswer, RequestNotSent
from cloudretry.model import Answer, CloudError, FireOutcome, Reply, Request, Target
from cloudretry.run.journal import EntryTarget
from cloudretry.run.session import Session

__all__ = ["Fired", "fire"]

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


@dataclass(frozen=True, slots=True)
class _Sent:
    """How one try to send ended."""

    outcome: FireOutcome
    error: CloudError | None
    reply: Reply | None = None
    may_connect_later: bool = False
    is_noted: bool = False
    """The answer is on disk."""

    @property
    def throttled(self) -> bool:
        return self.reply is not None and self.reply.throttled


async def fire(session: Session, targets: Sequence[Target], intended: tuple[EntryTarget, ...]) -> Fired:
    """Ask the cloud once to retry these targets. What is ``intended`` is in the journal before the request leaves.

    Never raises for what the network or the cloud does: each target has an answer.
    """
    one = _Fire(session, secrets.token_hex(8), tuple(targets), intended)
    unconnected = throttled = 0
    while True:
        at = session.clock.now()
        is_first = not (unconnected or throttled)
        try:
            sent = await session.blocking(one.attempt, at, is_first, patience=CANCEL_PATIENCE)
        except NoAnswer as abandoned:
            sent = _Sent(FireOutcome.UNKNOWN, CloudError("", str(abandoned)))
        except RequestNotSent as prevented:
            sent = _Sent(FireOutcome.NOT_SENT, CloudError("", str(prevented)))
        unconnected += sent.may_connect_later
        throttled += sent.throttled
        may_go_again = (sent.may_connect_later and unconnected < NEVER_SENT_TRIES) or (
            sent.throttled and throttled < THROTTLED_TRIES
        )
        if not may_go_again:
            break
        seconds = _backoff(session, unconnected + throttled, sent.reply.retry_after if sent.reply else None)
        if session.remaining <= seconds:
            break
        await pause(session.clock, seconds, session.cancelled)
        if session.cancelled.is_set():
            break
    fired = one.fired(sent, at)
    if session.journal is not None and not sent.is_noted:
        await asyncio.get_running_loop().run_in_executor(session.executor, one.note, fired)
    return fired


@dataclass(frozen=True, slots=True)
class _Fire:
    """One fire and its record in the journal. ``attempt`` runs in a thread, with the disk and the network."""

    session: Session
    fire_id: str
    targets: tuple[Target, ...]
    intended: tuple[EntryTarget, ...]

    def attempt(self, at: float, is_first: bool) -> _Sent:
        """Put the intent on disk, send, and put the answer on disk if it is final."""
        journal = self.session.journal
        if journal is not None and is_first:
            try:
                journal.intend(self.fire_id, at, self.intended)
            except JournalError as error:
                return _Sent(FireOutcome.NOT_SENT, CloudError("", str(error)))
        if self.session.cancelled.is_set():
            return _Sent(FireOutcome.NOT_SENT, CloudError("", "cancelled before it was sent"))
        sent = _send(self.session, self._request)
        if journal is None or sent.may_connect_later or sent.throttled:
            return sent
        self.note(self.fired(sent, at))
        return replace(sent, is_noted=True)

    @property
    def _request(self) -> Request:
        return self.session.action.request(self.session.place, self.targets, self.session.inputs)

    def fired(self, sent: _Sent, at: float) -> Fired:
        answers = _answers(self.session.action, self.targets, sent)
        return Fired(self.fire_id, self.targets, answers, at, sent.reply.request_id if sent.reply else "")

    def note(self, fired: Fired) -> None:
        """Put the answer on disk."""
        if self.session.journal is not None:
            self.session.journal.answered(fired.fire_id, fired.answers, fired.request_id)


def _send(session: Session, request: Request) -> _Sent:
    try:
        reply = session.client.send(request)
    except (RequestNotSent, ConfigurationError) as error:
        # Wrong credentials do not heal, and clouds lock an account after a few tries.
        later = isinstance(error, RequestNotSent)
        return _Sent(FireOutcome.NOT_SENT, CloudError("", str(error)), may_connect_later=later)
    except NoAnswer as error:
        return _Sent(FireOutcome.UNKNOWN, CloudError("", str(error)))
    error_of_reply = reply.error
    if error_of_reply is None and not reply.ok:
        error_of_reply = CloudError("", f"an answer that is not the API's: {reply.text[:120]!r}", reply.status)
    if error_of_reply is not None:
        error_of_reply = session.action.explain(error_of_reply)
    return _Sent(_outcome(session.action, reply), error_of_reply, reply)


def _outcome(action: Action[Any], reply: Reply) -> FireOutcome:
    """What an answer says of the whole request, before its body is read target by target."""
    if reply.throttled:
        return FireOutcome.REJECTED
    if reply.error is not None and reply.error.code in action.unclear_errors:
        return FireOutcome.UNKNOWN
    if reply.status >= 500 and reply.status != 503:
        return FireOutcome.UNKNOWN
    return FireOutcome.ACCEPTED if reply.ok else FireOutcome.REJECTED


def _answers(action: Action[Any], targets: Sequence[Target], sent: _Sent) -> dict[str, Answer]:
    outcome, error, reply = sent.outcome, sent.error, sent.reply
    if outcome is FireOutcome.ACCEPTED and reply is not None:
        try:
            answers = action.read_reply(reply, targets)
        except NoAnswer as unreadable:
            outcome, error = FireOutcome.UNKNOWN, CloudError("", str(unreadable), reply.status, reply.request_id)
        else:
            return {
                key: replace(answer, error=action.explain(answer.error)) if answer.error else answer
                for key, answer in answers.items()
            }
    return {target.key: Answer(outcome, error=error) for target in targets}


def _backoff(session: Session, attempt: int, wanted: float | None) -> float:
    """Full jitter between nothing and a doubling bound; never less than what the cloud asked for."""
    bound: float = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2**attempt)
    return max(bound * session.jitter(), wanted or 0.0)
