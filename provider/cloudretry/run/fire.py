"""The one place where a fire can happen.

Every fire ends as one of :class:`cloudretry.model.FireOutcome`, and only two kinds are ever sent again:

============  ===============================================================  ==========
outcome       how it comes about                                               sent again
============  ===============================================================  ==========
not sent      no connection                                                    yes
not sent      no credentials, no address, no journal                           no
rejected      429: the limit is before the API (RFC 6585)                      yes
rejected      a documented code for "too busy", under any status               yes
rejected      503 with the API's own code, or with ``Retry-After``: it was     yes
              turned away (RFC 9110, 15.6.4)
rejected      any other answer that says no, a redirect                        no
accepted                                                                       no
unknown       no answer, a 2xx that is not what the API says, a code that the  no
              action calls unclear
unknown       500, 502, 504, a bare 503: a load balancer says so as well whose  no
              connection broke after it had passed the request on
unknown       408, 499: who waited for whom is not said, and the request left  no
              whole; 425: nothing was sent early, so it is not the API's word
============  ===============================================================  ==========

Whatever may have had an effect is never sent again from here; the cloud's state decides.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from cloudretry.actions import Action
from cloudretry.clock import pause
from cloudretry.errors import ConfigurationError, Defect, JournalError, NoAnswer, RequestNotSent
from cloudretry.ledger import Granted
from cloudretry.model import Answer, CloudError, FireOutcome, Reply, Target
from cloudretry.run.session import Session

__all__ = ["Fired", "fire"]

NEVER_SENT_TRIES, MOST_TRIES = 5, 8
"""How often one fire is tried when it cannot be sent, and in all."""

UNCLEAR_STATUSES = frozenset({408, 425, 499})
"""Below 500, the statuses that leave open what happened."""

SHORTEST_PAUSE, LONGEST_PAUSE = 0.5, 20.0
"""Bounds of the random pause before it is sent again, in seconds."""

CANCEL_PATIENCE = 5.0
"""Seconds that an answer may still take once the run is cancelled."""


@dataclass(frozen=True, slots=True)
class Fired:
    """One fire: its id, its targets, and the answer on each of them by key.

    ``at`` is when it was sent, in seconds since the epoch; ``ended`` when it was answered or given up, in the clock's
    monotonic seconds.
    """

    fire_id: str
    targets: tuple[Target, ...]
    answers: dict[str, Answer]
    at: float
    ended: float
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class _Sent:
    """How one try to send ended."""

    outcome: FireOutcome
    error: CloudError | None
    reply: Reply | None = None
    may_connect_later: bool = False
    noted: Fired | None = None
    """What it came to, once the answer is on disk."""

    @property
    def throttled(self) -> bool:
        return self.outcome is FireOutcome.REJECTED and self.reply is not None and self.reply.throttled


async def fire(session: Session, granted: Granted, targets: Sequence[Target], *, rides: bool = False) -> Fired:
    """Ask the cloud once to retry these targets, whose intent is in the ledger.

    The answer is noted there when this returns, or, if it ``rides``, with what is noted next. Never raises for what the
    network or the cloud does: each target has an answer.
    """
    one = _Fire(session, granted, tuple(targets), rides=rides)
    unconnected = tries = 0
    while True:
        try:
            sent = await session.blocking(one.attempt, patience=one.patience)
        except NoAnswer as abandoned:
            sent = _Sent(FireOutcome.UNKNOWN, CloudError("", str(abandoned)))
            if one.is_stopped:
                sent = _Sent(FireOutcome.NOT_SENT, CloudError("", "cancelled before it was sent"))
        unconnected += sent.may_connect_later
        tries += 1
        may_go_again = sent.throttled or (sent.may_connect_later and unconnected < NEVER_SENT_TRIES)
        if not may_go_again or tries == MOST_TRIES:
            break
        seconds = _backoff(session, tries, sent.reply.retry_after if sent.reply else None)
        if session.remaining <= seconds:
            break
        await pause(session.clock, seconds, session.cancelled)
        if session.cancelled.is_set():
            break
    fired = sent.noted
    if fired is None:
        fired = one.fired(sent)
        if session.asker is not None:
            await session.noting(one.note, fired)
    return fired


class _Fire:
    """One fire and what the ledger knows of it. ``attempt`` runs in a thread, with the disk and the network."""

    def __init__(self, session: Session, granted: Granted, targets: tuple[Target, ...], *, rides: bool) -> None:
        self._session = session
        self._granted = granted
        self._targets = targets
        self._rides = rides
        self._lock = threading.Lock()
        self._has_left = False
        self.is_stopped = False
        self._sent_at = session.clock.now()

    def attempt(self) -> _Sent:
        """Send, and put the answer on disk if it is final."""
        sent = self._send()
        if sent.may_connect_later or sent.throttled:
            self._has_left = False
            return sent
        fired = self.fired(sent)
        self.note(fired)
        return replace(sent, noted=fired)

    def fired(self, sent: _Sent) -> Fired:
        """What this try, which ended now, came to."""
        answers = _answers(self._session.action, self._targets, sent)
        request_id = sent.reply.request_id if sent.reply else ""
        return Fired(
            self._granted.fire_id, self._targets, answers, self._sent_at, self._session.clock.monotonic(), request_id
        )

    def patience(self) -> float:
        """The run is cancelled: the seconds that the answer may still take. What has not left stays here."""
        with self._lock:
            self.is_stopped = not self._has_left
        return 0.0 if self.is_stopped else CANCEL_PATIENCE

    def note(self, fired: Fired) -> None:
        """Note the answer. Where that cannot be done the intent stands, and the next run asks the cloud."""
        if self._session.asker is not None:
            with contextlib.suppress(JournalError):
                self._session.asker.answered(fired.fire_id, fired.answers, fired.request_id, rides=self._rides)

    def _send(self) -> _Sent:
        session = self._session
        try:
            reply = session.client.send(
                session.action.request(session.place, self._targets, session.inputs), self._leave
            )
        except (RequestNotSent, ConfigurationError, JournalError) as error:
            # Wrong credentials do not heal, and clouds lock an account after a few tries.
            later = isinstance(error, RequestNotSent)
            return _Sent(FireOutcome.NOT_SENT, CloudError("", str(error)), may_connect_later=later)
        except NoAnswer as error:
            return _Sent(FireOutcome.UNKNOWN, CloudError("", str(error)))
        except Exception as unforeseen:  # noqa: BLE001 - it is the outcome of this fire, and of no other
            outcome = FireOutcome.UNKNOWN if self._has_left else FireOutcome.NOT_SENT
            return _Sent(outcome, CloudError("", str(Defect(unforeseen))))
        error_of_reply = session.action.explain(reply.error) if reply.error else None
        return _Sent(_outcome(session.action, reply), error_of_reply, reply)

    def _leave(self) -> None:
        """The request leaves now, however long it has waited for its turn: see that it still may.

        :raises RequestNotSent: the run has ended meanwhile, or another one has taken the fire over.
        :raises JournalError: the ledger cannot be written.
        """
        session = self._session
        if session.asker is not None:
            self._granted = session.asker.leave(self._granted)
        with self._lock:
            if self.is_stopped or session.over:
                raise RequestNotSent("the run ended before its turn")
            self._has_left = True
        self._sent_at = session.clock.now()


def _outcome(action: Action[Any], reply: Reply) -> FireOutcome:
    """What an answer says of the whole request, before its body is read target by target."""
    if reply.error is not None and reply.error.code in action.unclear_errors:
        return FireOutcome.UNKNOWN
    if reply.throttled:
        return FireOutcome.REJECTED
    if not 200 <= reply.status < 500 or reply.status in UNCLEAR_STATUSES:
        return FireOutcome.UNKNOWN
    return FireOutcome.ACCEPTED if reply.ok else FireOutcome.REJECTED


def _answers(action: Action[Any], targets: Sequence[Target], sent: _Sent) -> dict[str, Answer]:
    outcome, error, reply = sent.outcome, sent.error, sent.reply
    if outcome is FireOutcome.ACCEPTED and reply is not None:
        try:
            answers = action.read_reply(reply, targets)
            return {
                key: replace(answer, error=action.explain(answer.error)) if answer.error else answer
                for key, answer in ((target.key, answers[target.key]) for target in targets)
            }
        except NoAnswer as unlike:
            outcome, error = FireOutcome.UNKNOWN, CloudError("", str(unlike), reply.status, reply.request_id)
        except Exception as unforeseen:  # noqa: BLE001 - whatever is raised, the request has left
            words = str(Defect(unforeseen))
            outcome, error = FireOutcome.UNKNOWN, CloudError("", words, reply.status, reply.request_id)
    return {target.key: Answer(outcome, error=error) for target in targets}


def _backoff(session: Session, attempt: int, wanted: float | None) -> float:
    """Full jitter between nothing and a doubling bound; never less than what the cloud asked for."""
    bound: float = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2**attempt)
    return max(bound * session.jitter(), wanted or 0.0)
