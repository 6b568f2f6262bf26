"""A run: decide who fires, fire, wait, and say what came of it. The cloud is changed from here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from cloudretry.actions.base import FireWhen, OnUnknown
from cloudretry.clock import pause
from cloudretry.errors import CloudRetryError
from cloudretry.model import Answer, CloudError, FireOutcome, Observation, Result, StateClass, Status, Target, chunked
from cloudretry.run.decide import Plan, Reason, decide, why_not
from cloudretry.run.fire import Fired, fire
from cloudretry.run.session import Session
from cloudretry.run.wait import Watched, judge, look, settled, watch

__all__ = ["Plan", "Ran", "Reason", "Session", "decide", "look", "run"]

RETRY_PAUSE = 10.0
"""Bound of the random pause before a failed target is fired again in the same run, in seconds."""


@dataclass(slots=True)
class Ran:
    """What a run did: the result of each target, and its fires."""

    results: dict[str, Result]
    fires: list[Fired] = field(default_factory=list)
    remedies: dict[str, str] = field(default_factory=dict)

    @property
    def fired(self) -> int:
        """Targets whose request left this machine."""
        return sum(answer.outcome is not FireOutcome.NOT_SENT for one in self.fires for answer in one.answers.values())

    @property
    def fire_ids(self) -> tuple[str, ...]:
        return tuple(one.fire_id for one in self.fires)

    @property
    def request_ids(self) -> tuple[str, ...]:
        return tuple(one.request_id for one in self.fires if one.request_id)


async def run(session: Session, plan: Plan) -> Ran:
    """Carry out a plan.

    :raises CloudRetryError: a look that had to come before the first fire failed; nothing was fired.
    """
    ran = Ran(dict(plan.results))
    pending = [_resumed(target, plan.results[target.key]) for target in plan.watch]
    unclear = [item for item in pending if not item.accepted]
    to_fire = list(plan.fire)
    if unclear:
        to_fire += await _resolve(session, ran, unclear)
    pending = [item for item in pending if item.accepted and ran.results[item.target.key].pending]

    while True:
        pending += await _fire_all(session, ran, to_fire)
        for result in await watch(session, pending):
            ran.results[result.target] = result
        again = _again(session, ran, plan)
        if not again:
            return ran
        seconds = max(RETRY_PAUSE * session.jitter(), _cooldown_left(session, ran, again))
        if session.remaining <= seconds:
            return ran
        session.progress(f"{len(again)} failed; fired again in {seconds:.0f} s")
        await pause(session.clock, seconds, session.cancelled)
        if session.cancelled.is_set():
            return ran
        to_fire, pending = again, []


def _resumed(target: Target, result: Result) -> Watched:
    return Watched(target, result, accepted=result.status is not Status.UNKNOWN)


async def _resolve(session: Session, ran: Ran, unclear: list[Watched]) -> list[Target]:
    """Find out what became of fires without an answer; returns the targets that are to be fired again."""
    session.progress(f"looking for what became of {len(unclear)} fires that got no answer")
    by_key = {item.target.key: item for item in unclear}
    again: list[Target] = []
    for result in await watch(session, unclear):
        ran.results[result.target] = result
        retry = result.status is Status.FAILED or (
            result.status is Status.UNKNOWN and session.inputs.on_unknown is OnUnknown.FIRE and not session.over
        )
        if retry and not why_not(session.inputs, result, session.clock.now()):
            again.append(by_key[result.target].target)
    return again


async def _fire_all(session: Session, ran: Ran, targets: Sequence[Target]) -> list[Watched]:
    """Fire the targets in as few requests as the API allows, and judge the answers. Returns what to wait for."""
    if not targets:
        return []
    before: dict[str, Observation] = {}
    if session.action.stamped or session.inputs.fire_when is FireWhen.RETRYABLE:
        try:
            before = await look(session, targets)
        except CloudRetryError as error:
            if not ran.fires:
                raise
            for target in targets:
                ran.results[target.key] = replace(ran.results[target.key], error_message=f"not fired again: {error}")
            return []
    if session.inputs.fire_when is FireWhen.RETRYABLE:
        skipped = {target.key: _unfit(target, before[target.key], ran) for target in targets}
        ran.results |= {key: result for key, result in skipped.items() if result is not None}
        targets = [target for target in targets if skipped[target.key] is None]

    pending: list[Watched] = []
    refused: list[Watched] = []
    groups = chunked([replace(target, handle="") for target in targets], session.action.fire_size)
    for group in groups:
        if session.over and ran.fires:
            for target in group:
                ran.results[target.key] = _never_sent(ran, target, "the run ended before it was fired")
            continue
        session.progress(f"firing {len(group)} of {len(targets)}")
        one = await fire(session, group)
        ran.fires.append(one)
        for target in group:
            item = _record(ran, one, target, before.get(target.key))
            outcome = one.answers[target.key].outcome
            if outcome is FireOutcome.REJECTED:
                refused.append(item)
            elif outcome is FireOutcome.UNKNOWN or (outcome is FireOutcome.ACCEPTED and session.inputs.wait):
                pending.append(item)
    if refused:
        pending += await _look_at_refused(session, ran, refused)
    return pending


def _record(ran: Ran, one: Fired, target: Target, before: Observation | None) -> Watched:
    """Keep what a fire's answer says of a target."""
    answer = one.answers[target.key]
    status = {
        FireOutcome.ACCEPTED: Status.ACCEPTED,
        FireOutcome.UNKNOWN: Status.UNKNOWN,
        FireOutcome.REJECTED: Status.FAILED,
        FireOutcome.NOT_SENT: Status.FAILED,
    }[answer.outcome]
    last = ran.results.get(target.key)
    sent = answer.outcome is not FireOutcome.NOT_SENT
    result = Result(
        target.key,
        status,
        attempts=(last.attempts if last else 0) + sent,
        fired_at=one.at if sent else (last.fired_at if last else None),
        handle=answer.handle if answer.handle != target.key else "",
        before=before.stamp if before and answer.outcome is not FireOutcome.NOT_SENT else "",
        **_words(answer),
    )
    if answer.error and answer.error.remedy:
        ran.remedies[target.key] = answer.error.remedy
    ran.results[target.key] = result
    return Watched(replace(target, handle=result.handle), result, accepted=answer.outcome is FireOutcome.ACCEPTED)


def _words(answer: Answer) -> dict[str, str]:
    if answer.error is None:
        return {}
    prefix = {FireOutcome.NOT_SENT: "not sent: ", FireOutcome.UNKNOWN: "no clear answer: "}.get(answer.outcome, "")
    spoken = CloudError("", answer.error.message, answer.error.http_status, answer.error.request_id)
    return {"error_code": answer.error.code, "error_message": f"{prefix}{spoken}"}


def _never_sent(ran: Ran, target: Target, why: str) -> Result:
    last = ran.results.get(target.key) or Result(target.key, Status.FAILED)
    return replace(last, status=Status.FAILED, error_code="", error_message=f"not sent: {why}")


def _unfit(target: Target, seen: Observation, ran: Ran) -> Result | None:
    """The result of a target that is not fired because it cannot be retried now; ``None`` if it can."""
    if seen.retryable:
        return None
    last = ran.results.get(target.key) or Result(target.key, Status.SKIPPED)
    if seen.missing:
        return settled(last, Status.FAILED, seen, message=f"not fired: {seen.message}")
    reason = {StateClass.SUCCEEDED: "AlreadyRunning", StateClass.IN_PROGRESS: "InProgress"}.get(
        seen.means, "NotRetryable"
    )
    return replace(settled(last, Status.SKIPPED, seen), skipped_reason=reason)


async def _look_at_refused(session: Session, ran: Ran, refused: Sequence[Watched]) -> list[Watched]:
    """A refusal is looked at once: in progress is adopted, healthy is skipped, anything else has failed."""
    try:
        seen = await look(session, [item.target for item in refused])
    except CloudRetryError as error:
        session.progress(f"the refused targets cannot be looked at: {error}")
        return []
    adopted: list[Watched] = []
    for item in refused:
        key, now = item.target.key, seen[item.target.key]
        if session.action.stamped:
            taken_up = not now.missing and now.stamp != item.result.before
        else:
            taken_up = now.means is StateClass.IN_PROGRESS
        if taken_up:
            session.progress(f"{key} is being retried already ({now.cloud_status}); waiting for it")
            item.result = replace(item.result, status=Status.ACCEPTED, error_code="", error_message="")
            item.accepted = True
            ran.results[key] = replace(item.result, cloud_status=now.cloud_status)
            if session.inputs.wait:
                judged = judge(session.action, item, now, session.clock.now())
                if judged is None:
                    adopted.append(item)
                else:
                    ran.results[key] = judged
        elif not session.action.stamped and now.means is StateClass.SUCCEEDED and not now.retryable:
            ran.results[key] = replace(settled(item.result, Status.SKIPPED, now), skipped_reason="AlreadyRunning")
        else:
            ran.results[key] = replace(item.result, cloud_status=now.cloud_status, before="")
    return adopted


def _again(session: Session, ran: Ran, plan: Plan) -> list[Target]:
    """The targets that are fired once more in this run."""
    if not session.inputs.retry_in_run or session.over:
        return []
    fired = {target.key: target for one in ran.fires for target in one.targets}
    return [
        target
        for key, target in fired.items()
        if key not in plan.blocked
        and ran.results[key].status is Status.FAILED
        and ran.results[key].attempts < session.inputs.max_attempts
    ]


def _cooldown_left(session: Session, ran: Ran, targets: Iterable[Target]) -> float:
    last = max((ran.results[target.key].fired_at or 0.0 for target in targets), default=0.0)
    return max(0.0, last + session.inputs.cooldown_seconds - session.clock.now())
