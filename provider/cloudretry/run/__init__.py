"""A run: decide who fires, fire, wait, and say what came of it. The cloud is changed from here and nowhere else."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from cloudretry.actions.base import FireWhen, OnUnknown
from cloudretry.clock import pause
from cloudretry.errors import CloudRetryError, JournalError
from cloudretry.ledger import EntryTarget, Fire
from cloudretry.model import Answer, CloudError, FireOutcome, Observation, Result, StateClass, Status, Target
from cloudretry.record import ALREADY_RUNNING, is_satisfied
from cloudretry.run.decide import Plan, Reason, cool_at, decide, why_not
from cloudretry.run.fire import Fired, fire
from cloudretry.run.others import wait_for_others
from cloudretry.run.progress import Progress
from cloudretry.run.session import Session
from cloudretry.run.turns import Turns
from cloudretry.run.wait import Watched, judge, look, settled, taken_up, took_hold, watch, watched

__all__ = ["Plan", "Ran", "Reason", "Session", "decide", "look", "run"]

RETRY_PAUSE = 10.0
"""Bound of the random pause before a failed target is fired again in the same run, in seconds."""


_NONE: Mapping[str, float] = {}


@dataclass(slots=True)
class Ran:
    """What a run did: the result of each target, and its fires.

    ``blocked`` says, by key, why a target that would need a fire got none; ``remedies`` what the cloud's errors mean.
    """

    results: dict[str, Result]
    blocked: dict[str, str] = field(default_factory=dict)
    fires: list[Fired] = field(default_factory=list)
    remedies: dict[str, str] = field(default_factory=dict)

    @property
    def fired(self) -> int:
        """Targets whose request left this machine."""
        return sum(answer.outcome is not FireOutcome.NOT_SENT for one in self.fires for answer in one.answers.values())

    @property
    def fired_at(self) -> float | None:
        """When the last request that left this machine was sent."""
        sent = [
            one.at
            for one in self.fires
            if any(answer.outcome is not FireOutcome.NOT_SENT for answer in one.answers.values())
        ]
        return max(sent, default=None)

    @property
    def fire_ids(self) -> tuple[str, ...]:
        return tuple(one.fire_id for one in self.fires)

    @property
    def request_ids(self) -> tuple[str, ...]:
        return tuple(one.request_id for one in self.fires if one.request_id)


async def run(session: Session, plan: Plan, left: Mapping[str, float] = _NONE) -> Ran:
    """Carry out a plan.

    ``left`` says by when the last request for a target can have left this machine or another one, by key, in the
    clock's monotonic seconds, as far as that is known better than from the time that its result has.

    :raises CloudRetryError: a look that had to come before the first fire failed, or no intent could be written;
        nothing was fired.
    """
    ran = Ran(dict(plan.results), dict(plan.blocked))
    resumed = [
        watched(session, target, result, accepted=result.status is not Status.UNKNOWN, fired=left.get(result.target))
        for target in plan.watch
        for result in (plan.results[target.key],)
    ]
    to_fire = [*plan.fire, *await _resolve(session, ran, [item for item in resumed if not item.accepted])]
    pending = [item for item in resumed if item.accepted and ran.results[item.target.key].pending]
    while True:
        try:
            fired, blocked = await _fire_all(session, ran, to_fire)
        except CloudRetryError as error:
            if not ran.fires:
                raise
            session.progress(f"nothing more is fired: {error}")
            for target in to_fire:
                # One that another run had until now has no result yet.
                failed = Result(target.key, Status.FAILED, error_message=f"not fired: {error}")
                ran.results.setdefault(target.key, failed)
            return ran
        results, found = await asyncio.gather(watch(session, pending + fired), wait_for_others(session, blocked))
        ran.results |= {result.target: result for result in results} | found.results
        if found.free or found.adopted:
            to_fire, pending = found.free, found.adopted if session.inputs.wait else []
            continue
        again = _again(session, ran)
        if not again:
            return ran
        seconds = max(RETRY_PAUSE * session.jitter(), _cooldown_left(session, ran, again))
        if session.remaining <= seconds:
            return ran
        session.progress(f"{len(again)} failed; fired again in {seconds:.0f} s")
        await pause(session.clock, seconds, session.cancelled)
        to_fire, pending = again, []


async def _resolve(session: Session, ran: Ran, unclear: Sequence[Watched]) -> list[Target]:
    """Find out what became of fires without an answer; returns the targets that are to be fired again."""
    if not unclear:
        return []
    session.progress(f"looking for what became of {len(unclear)} fires that got no answer")
    by_key = {item.target.key: item.target for item in unclear}
    again: list[Target] = []
    for result in await watch(session, unclear):
        key = result.target
        ran.results[key] = result
        fires = result.status is Status.FAILED or (
            result.status is Status.UNKNOWN and session.inputs.on_unknown is OnUnknown.FIRE and not session.over
        )
        if fires and (why := why_not(session.inputs, result, session.clock.now())):
            ran.blocked[key] = why
        elif fires:
            again.append(by_key[key])
    return again


async def _fire_all(
    session: Session, ran: Ran, targets: Sequence[Target]
) -> tuple[list[Watched], dict[str, tuple[Target, Fire]]]:
    """Fire the targets in as few requests as the API allows, and judge the answers.

    Returns what to wait for, and by key the targets that others are at work on.

    :raises CloudRetryError: a look that has to come first failed, or the ledger cannot be written; none was fired.
    """
    before: Mapping[str, Observation] = {}
    if targets and not session.over and (session.action.stamped or session.inputs.fire_when is FireWhen.RETRYABLE):
        before = await look(session, targets)
        targets = [target for target in targets if _is_fit(session, ran, target, before[target.key])]

    groups = session.action.groups([_by_its_key(target) for target in targets])
    turns = Turns(session, groups, lambda target: _intended(ran, target, before))
    progress, begun = Progress(session), 0
    # One write for many answers, where the cloud's state tells as well what became of a fire.
    rides = len(groups) > 1 and not session.action.stamped
    pending: list[Watched] = []
    refused: list[Watched] = []

    async def fire_in_turn() -> None:
        nonlocal begun
        while (turn := await turns.next()) is not None:
            granted, group = turn
            begun += len(group)
            progress.tell(f"firing {begun} of {len(targets)}")
            one = await fire(session, granted, group, rides=rides)
            ran.fires.append(one)
            for target in group:
                item = _noted(session, ran, one, target, before.get(target.key))
                outcome = one.answers[target.key].outcome
                if outcome is FireOutcome.REJECTED:
                    refused.append(item)
                elif outcome is FireOutcome.UNKNOWN or (outcome is FireOutcome.ACCEPTED and session.inputs.wait):
                    pending.append(item)

    firing = [fire_in_turn() for _ in range(min(session.action.fires_at_once, len(groups)))]
    ends = await asyncio.gather(*firing, return_exceptions=True)
    errors = [end for end in ends if end is not None]
    why = "the run ended before its turn"
    for error in errors:
        if not isinstance(error, CloudRetryError) or not ran.fires:
            raise error
        why = str(error)
    await _leave_out(session, ran, targets, turns, f"not sent: {why}")
    if rides and session.asker is not None:
        with contextlib.suppress(JournalError):
            await session.noting(session.asker.flush)
    by_key = {target.key: target for target in targets}
    blocked = {key: (by_key[key], fire) for key, fire in turns.blocked.items()}
    return pending + await _look_at_refused(session, ran, refused), blocked


async def _leave_out(session: Session, ran: Ran, targets: Sequence[Target], turns: Turns, why: str) -> None:
    """Those of the targets whose turn did not come were not sent."""
    not_sent = Answer(FireOutcome.NOT_SENT, error=CloudError("", why))
    for granted in turns.unused():
        if session.asker is not None:
            with contextlib.suppress(JournalError):
                answers = {target.key: not_sent for target in granted.targets}
                await session.noting(session.asker.answered, granted.fire_id, answers, "")
    fired = {target.key for one in ran.fires for target in one.targets}
    for target in targets:
        if target.key not in fired and target.key not in turns.blocked:
            ran.results.setdefault(target.key, Result(target.key, Status.FAILED, error_message=why))


def _by_its_key(target: Target) -> Target:
    """The target as a fire names it: not by what an earlier fire returned."""
    return replace(target, handle="") if target.handle else target


def _intended(ran: Ran, target: Target, before: Mapping[str, Observation]) -> EntryTarget:
    last, seen = ran.results.get(target.key), before.get(target.key)
    return EntryTarget(target.key, (last.attempts if last else 0) + 1, seen.stamp if seen else "")


def _noted(session: Session, ran: Ran, one: Fired, target: Target, before: Observation | None) -> Watched:
    """Keep what a fire's answer says of a target."""
    answer = one.answers[target.key]
    last = ran.results.get(target.key) or Result(target.key, Status.FAILED)
    sent = answer.outcome is not FireOutcome.NOT_SENT
    result = Result(
        target.key,
        _STATUS[answer.outcome],
        attempts=last.attempts + sent,
        fired_at=one.at if sent else last.fired_at,
        handle=answer.handle,
        before=before.stamp if before and sent else "",
        **_words(answer),
    )
    ran.remedies.pop(target.key, None)
    if answer.error and answer.error.remedy:
        ran.remedies[target.key] = answer.error.remedy
    ran.results[target.key] = result
    accepted = answer.outcome is FireOutcome.ACCEPTED
    to_watch = replace(target, handle=result.handle) if result.handle else target
    return watched(session, to_watch, result, accepted=accepted, fired=one.ended)


_STATUS = {
    FireOutcome.ACCEPTED: Status.ACCEPTED,
    FireOutcome.UNKNOWN: Status.UNKNOWN,
    FireOutcome.REJECTED: Status.FAILED,
    FireOutcome.NOT_SENT: Status.FAILED,
}


def _words(answer: Answer) -> dict[str, str]:
    if answer.error is None:
        return {}
    prefix = {FireOutcome.NOT_SENT: "not sent: ", FireOutcome.UNKNOWN: "no clear answer: "}.get(answer.outcome, "")
    spoken = CloudError("", answer.error.message, answer.error.http_status, answer.error.request_id)
    return {"error_code": answer.error.code, "error_message": f"{prefix}{spoken}"}


def _is_fit(session: Session, ran: Ran, target: Target, seen: Observation) -> bool:
    """Whether a target that was looked at first is to be fired; if not, its result says why."""
    last = ran.results.get(target.key) or Result(target.key, Status.SKIPPED)
    if seen.missing:
        ran.results[target.key] = settled(last, Status.FAILED, seen, message=f"not fired: {seen.message}")
        return False
    if seen.retryable or session.inputs.fire_when is FireWhen.ALWAYS:
        return True
    reason = "NotRetryable"
    if seen.means is StateClass.IN_PROGRESS:
        reason = "InProgress"
    elif seen.means is StateClass.SUCCEEDED and not session.action.stamped:
        reason = ALREADY_RUNNING
    ran.results[target.key] = replace(settled(last, Status.SKIPPED, seen), skipped_reason=reason)
    return False


async def _look_at_refused(session: Session, ran: Ran, refused: Sequence[Watched]) -> list[Watched]:
    """A refusal is looked at once: in progress is adopted, healthy is skipped, anything else has failed."""
    try:
        seen = await look(session, [item.target for item in refused])
    except CloudRetryError as error:
        session.progress(f"the refused targets cannot be looked at: {error}")
        return []
    adopted: list[Watched] = []
    action = session.action
    for item in refused:
        key, now = item.target.key, seen[item.target.key]
        if taken_up(action, item.result.before, now):
            session.progress(f"{key} is being retried already ({now.cloud_status}); nothing more is fired at it")
            item.result = replace(item.result, status=Status.ACCEPTED, error_code="", error_message="")
            item.accepted = True
            judged = judge(action, item, now, fresh=True)
            ran.results[key] = judged or replace(item.result, cloud_status=now.cloud_status)
            if judged is None and session.inputs.wait:
                adopted.append(item)
        elif not action.stamped and took_hold(action, "", now):
            ran.results[key] = replace(settled(item.result, Status.SKIPPED, now), skipped_reason=ALREADY_RUNNING)
        else:
            ran.results[key] = replace(item.result, cloud_status=now.cloud_status, before="")
    return adopted


def _again(session: Session, ran: Ran) -> list[Target]:
    """The targets that are fired once more in this run: those that were fired, failed and have attempts left."""
    if not session.inputs.retry_in_run or session.over:
        return []
    if is_satisfied(ran.results.values(), session.inputs.success_policy):
        return []
    # A target whose last fire could not be sent would be tried without end: it has no attempt to its name.
    fired = {target.key: (target, one.answers[target.key]) for one in ran.fires for target in one.targets}
    return [
        target
        for key, (target, answer) in fired.items()
        if answer.outcome is not FireOutcome.NOT_SENT
        and ran.results[key].status is Status.FAILED
        and ran.results[key].attempts < session.inputs.max_attempts
    ]


def _cooldown_left(session: Session, ran: Ran, targets: Iterable[Target]) -> float:
    ends = max((cool_at(session.inputs, ran.results[target.key]) for target in targets), default=0.0)
    return min(max(0.0, ends - session.clock.now()), session.inputs.cooldown_seconds)
