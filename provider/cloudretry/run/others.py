"""Targets that somebody else has fired and is not done with: waited for, never fired at the same time.

=====================================================  ======================================================
the other's fire                                       here
=====================================================  ======================================================
has no answer yet, or is waited for by a living run    waited for; who has it since when is said
took hold in the meantime                              adopted: the target is watched, nothing is fired
is what this run asks for itself, by another run at    adopted as well, also when it is over; if nobody can tell
the same time                                          what became of it, nor can this run
came to nothing                                        the target is free, and fired
its run has ended and left it open                     taken over: the cloud is looked at until it is clear
was asked for by this resource itself, before          waited for, and then fired anew
is of another resource of the same deployment          an error that names both
=====================================================  ======================================================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import partial

from cloudretry.clock import Moment, pause
from cloudretry.errors import JournalError
from cloudretry.ledger import Asker, Fire, can_be_taken_over, is_of_another_resource
from cloudretry.model import Result, Status, Target, rfc3339
from cloudretry.run.progress import Progress
from cloudretry.run.recover import is_alike
from cloudretry.run.session import Session
from cloudretry.run.wait import Watched, watch

__all__ = ["LEDGER_CHECK", "OthersDone", "left_by", "wait_for_others"]

LEDGER_CHECK = 0.5
"""Seconds between two looks into the ledger."""


@dataclass(slots=True)
class OthersDone:
    """What became of the targets that others had: results, what is to be watched, and what is free."""

    results: dict[str, Result] = field(default_factory=dict)
    adopted: list[Watched] = field(default_factory=list)
    free: list[Target] = field(default_factory=list)


def left_by(fire: Fire, monotonic: float, now: Moment) -> float:
    """By when the last request of a fire can have left, in the clock's monotonic seconds.

    Its process has ended by ``now``. Of another machine or boot nothing else is known.
    """
    age = fire.leaves_by.age(now)
    return monotonic - max(0.0, age or 0.0)


async def wait_for_others(session: Session, blocked: Mapping[str, tuple[Target, Fire]]) -> OthersDone:
    """Wait until no target is in others' hands, or the run is over. Never raises for want of the ledger."""
    done = OthersDone()
    if not blocked or session.asker is None:
        return done
    waiting = dict(blocked)
    why = "that had not ended in time"
    try:
        await _wait(session, session.asker, waiting, done)
    except JournalError as error:
        why = str(error)
    for key, (_, fire) in waiting.items():
        words = f"not fired: it is {_whose(fire)}; {why}"
        done.results[key] = Result(key, Status.FAILED, error_message=words)
    return done


async def _wait(session: Session, asker: Asker, waiting: dict[str, tuple[Target, Fire]], done: OthersDone) -> None:
    """Take out of ``waiting`` what is done, until nothing is left or the run is over.

    :raises JournalError: the ledger cannot be read or written.
    """
    progress = Progress(session)
    while waiting:
        _sort_out(session, asker, waiting, done)
        orphans = {
            key: (target, fire)
            for key, (target, fire) in waiting.items()
            if fire.fire_id in asker.held or can_be_taken_over(fire, asker.ledger.sessions)
        }
        if orphans and not session.over:
            await _take_over(session, asker, orphans, done)
            for key in orphans:
                waiting.pop(key)
            continue
        if not waiting or session.over:
            return
        target, fire = next(iter(waiting.values()))
        progress.tell(f"waiting for {len(waiting)}: {target.key} is {_whose(fire)}")
        await pause(session.clock, LEDGER_CHECK, session.cancelled)
        standing = await session.noting(asker.standing, list(waiting))
        for key, (target, fire) in list(waiting.items()):
            now = standing.get(key) or await session.noting(asker.now, fire.fire_id) or fire
            waiting[key] = (target, now.revealed([key]))


def _sort_out(session: Session, asker: Asker, waiting: dict[str, tuple[Target, Fire]], done: OthersDone) -> None:
    """Take those out of ``waiting`` of which it is clear what is to be done."""
    for key, (target, fire) in list(waiting.items()):
        if is_of_another_resource(fire, asker.ask):
            why = (
                f"not fired: it was fired for {fire.ask.owner}, of which it is a target as well; name it in one of them"
            )
            done.results[key] = Result(key, Status.FAILED, error_message=why)
        elif fire.is_held(key) and not _is_earlier(fire, asker):
            session.notice(f"{key} is {_whose(fire)}: not fired again, but adopted")
            done.adopted.append(_adopted(session, target, fire))
            done.results[key] = done.adopted[-1].result
        elif fire.may_have_had_effect(key) and asker.is_of_this_ask(fire):
            done.results[key] = _adopted(session, target, fire, accepted=False).result
        elif fire.is_closed(key) and (not fire.is_held(key) or can_be_taken_over(fire, asker.ledger.sessions)):
            done.free.append(target)
        else:
            continue
        del waiting[key]


async def _take_over(
    session: Session, asker: Asker, orphans: Mapping[str, tuple[Target, Fire]], done: OthersDone
) -> None:
    """Find out what became of fires that nobody is at work on."""
    fires = {fire.fire_id: fire for _, fire in orphans.values()}
    for of_others in (False, True):
        if some := [fire for fire in fires.values() if _might_be_ours(fire, asker) is not of_others]:
            await session.noting(partial(asker.take_over, some, of_others=of_others))
    unclear = []
    for key, (target, fire) in orphans.items():
        session.notice(f"{key} is {_whose(fire)}, which has ended: looking for what became of it")
        unclear.append(_adopted(session, target, fire, accepted=False))
    for result in await watch(session, unclear):
        target, fire = orphans[result.target]
        if not session.over and (result.status is Status.FAILED or _is_earlier(fire, asker)):
            done.free.append(target)
        else:
            done.results[result.target] = result


def _might_be_ours(fire: Fire, asker: Asker) -> bool:
    """Whether it is this resource's, or that of a create which may have been this one under another name."""
    if asker.is_of_this_resource(fire):
        return True
    are_creates = fire.ask.creating and asker.ask.creating
    return are_creates and is_alike(fire.ask, asker.ask.owner, asker.triggers)


def _is_earlier(fire: Fire, asker: Asker) -> bool:
    """Whether this resource itself has asked for it before: that has no say in what it asks for now."""
    return asker.is_of_this_resource(fire) and not asker.is_of_this_ask(fire)


def _adopted(session: Session, target: Target, fire: Fire, *, accepted: bool = True) -> Watched:
    """Another's fire as something to watch. It is no attempt of this resource."""
    key = target.key
    answer = fire.answers.get(key)
    handle = answer.handle if answer and accepted else ""
    result = Result(
        key,
        Status.ACCEPTED if accepted else Status.UNKNOWN,
        fired_at=fire.began.at,
        handle=handle,
        before=next((one.before for one in fire.targets if one.key == key), ""),
        error_message="" if accepted else f"it was {_whose(fire)}, and no answer was recorded",
    )
    now = session.clock.moment()
    left = left_by(fire, session.clock.monotonic(), now)
    return Watched(replace(target, handle=handle) if handle else target, result, accepted, left)


def _whose(fire: Fire) -> str:
    return f"fired for {fire.ask.owner} since {rfc3339(fire.began.at)} by {fire.holder.where or fire.holder.session}"
