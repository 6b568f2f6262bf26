"""What the ledger adds to the recorded state: fires of a run that died before its state was saved. Pure.

An interrupted fire is never repeated and never forgotten. It is put into the record as if its run had saved it: with
the cloud's answer where that was written, as unknown where it was not. What follows is what follows any such record:
waiting, looking at the cloud, firing what failed.

===================  ================================================================================================
the next call        takes up
===================  ================================================================================================
an update            the fires of this life of the resource that came after those which the state holds, whatever was
                     renamed; and an unsaved create under this name: a replacement that died
a create             an unsaved create of these targets with these triggers, under any name, whose outcome was not given
                     to the engine. Was it given, nobody can tell whether it was saved: see :func:`in_doubt`
===================  ================================================================================================

What is older than a day is not taken up any more, and that is said.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cloudretry.actions.base import ActionInputs
from cloudretry.clock import Moment
from cloudretry.ledger import KEPT, Ask, Books, EntryTarget, Fire, Word
from cloudretry.model import Answer, FireOutcome, Place, Result, Status, rfc3339
from cloudretry.record import Record, verdict

__all__ = [
    "BY_HAND",
    "Recovered",
    "Wanted",
    "in_doubt",
    "is_alike",
    "is_lapsed",
    "is_named",
    "of_old",
    "open_fires",
    "recover",
]


BY_HAND = "cli/cloudretry:"
"""What the names of fires by hand begin with, in the place of a resource's."""


class _Other:
    """A trigger value that equals nothing: of the interrupted fire only a digest is known."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who asks, and for what. ``record`` is what the state holds; ``None`` for a create.

    ``awaited`` are the lives for which another run was still at work when this one came: their fires cannot have been
    asked for before this run's, saved or not.
    """

    owner: str
    record: Record | None
    keys: Collection[str]
    triggers: Mapping[str, Any]
    session: str = ""
    state: str = ""
    deployment: str = ""
    awaited: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Recovered:
    """The record with the interrupted fires in it, and what to tell the user."""

    record: Record | None
    fire_ids: tuple[str, ...] = ()
    words: str = ""


def open_fires(books: Books, wanted: Wanted) -> list[Fire]:
    """The fires that belong to what is wanted and that its state does not hold, oldest first, targets by name."""
    if wanted.record is not None:
        candidates = [*books.of_life(wanted.record.life), *_creates(books, wanted)]
    else:
        candidates = _creates(books, wanted)
    found = [fire for fire in candidates if _belongs(fire, wanted) and not fire.had_no_effect]
    named = {fire.fire_id: fire.revealed(wanted.keys) for fire in found}
    return sorted(named.values(), key=lambda fire: fire.number)


def _creates(books: Books, wanted: Wanted) -> list[Fire]:
    return [
        fire
        for key in wanted.keys
        for fire in books.at(key)
        if fire.ask.creating and (not fire.saved or fire.ask.life in wanted.awaited)
    ]


def _belongs(fire: Fire, wanted: Wanted) -> bool:
    ask, record = fire.ask, wanted.record
    if record is not None and ask.life == record.life:
        return ask.run > record.run
    if _is_of_this_program(fire, wanted) and (record is not None or ask.owner != wanted.owner):
        return False  # Of another resource.
    if record is not None:
        fits = ask.triggers.fits(wanted.triggers) or ask.triggers.fits(record.triggers)
        return is_named(fire, wanted) and fits
    return is_alike(ask, wanted.owner, wanted.triggers)


def is_alike(ask: Ask, owner: str, triggers: Mapping[str, Any]) -> bool:
    """Whether it asked for the same, if under another name. What was fired by hand is not what a resource asked for."""
    return ask.owner.startswith(BY_HAND) == owner.startswith(BY_HAND) and ask.triggers.fits(triggers)


def is_named(fire: Fire, wanted: Wanted) -> bool:
    """Whether it was asked for under the name that the resource has now."""
    return (fire.ask.owner, fire.ask.state) == (wanted.owner, wanted.state)


def _is_of_this_program(fire: Fire, wanted: Wanted) -> bool:
    return fire.session == wanted.session or bool(fire.ask.deployment and fire.ask.deployment == wanted.deployment)


def of_old(fires: Sequence[Fire], wanted: Wanted) -> list[Fire]:
    """Those of the fires that 0.1.0 left open which belong to what is wanted, as it saw them, in terms of a ledger."""
    record = wanted.record
    if record is None:
        return [
            replace(fire, ask=replace(fire.ask, state=wanted.state))
            for fire in fires
            if fire.ask.creating and fire.ask.triggers.fits(wanted.triggers)
        ]
    return [
        replace(fire, ask=replace(fire.ask, life=record.life, run=record.run + 1, state=wanted.state))
        for fire in fires
        if not fire.ask.creating and fire.ask.generation >= record.generation and fire.fire_id not in record.fire_ids
    ]


def in_doubt(fire: Fire, wanted: Wanted) -> bool:
    """Whether nobody can tell if a saved state held this fire, so that it was asked for anew, or its run died.

    A create that the engine repeats in one step, as an error hook may want it, goes on from the first.
    """
    asked_before = wanted.record is None and fire.handed and fire.ask.life not in wanted.awaited
    return asked_before and not _is_of_this_program(fire, wanted)


def is_lapsed(fire: Fire, now: Moment) -> bool:
    """Whether it is too old to be taken up."""
    return fire.age(now) > KEPT


def recover(record: Record | None, mine: Sequence[Fire], inputs: ActionInputs) -> Recovered:
    """Put the interrupted fires into the record."""
    if not mine:
        return Recovered(record)
    last = mine[-1].ask
    generation = _generation(record, mine[-1])
    mine = [fire for fire in mine if _generation(record, fire) == generation]
    base = record or Record({}, Place(""), Status.UNKNOWN, 0, {})
    results = dict(base.results) if generation == base.generation else {}
    for fire in mine:
        results |= {target.key: _result(fire, target) for target in fire.targets}
    triggers: Mapping[str, Any] = base.triggers
    if generation > base.generation:
        fits = mine[-1].ask.triggers.fits(inputs.triggers)
        triggers = inputs.triggers if fits else dict.fromkeys(inputs.triggers or ("(interrupted)",), _Other())
    fire_ids = tuple(fire.fire_id for fire in mine)
    recovered = replace(
        base,
        inputs={**base.inputs, "triggers": triggers},
        status=verdict(results.values(), inputs.success_policy, wait=inputs.wait),
        generation=generation,
        results=results,
        fired_at=rfc3339(mine[-1].began.at),
        fire_ids=fire_ids,
        request_ids=tuple(fire.request_id for fire in mine if fire.request_id),
        life=last.life,
        run=max(fire.ask.run for fire in mine if fire.ask.life == last.life),
    )
    return Recovered(recovered, fire_ids, _words(mine))


def _generation(record: Record | None, fire: Fire) -> int:
    """The generation that a fire is of, as the record counts them: a replacement begins to count anew."""
    if record is None or fire.ask.life == record.life:
        return fire.ask.generation
    return record.generation + (not fire.ask.triggers.fits(record.triggers))


def _result(fire: Fire, target: EntryTarget) -> Result:
    at = rfc3339(fire.began.at)
    fired = Result(
        target.key,
        Status.UNKNOWN,
        attempts=target.attempts,
        fired_at=fire.began.at,
        before=target.before,
        error_message=f"the run that fired it at {at} was interrupted before an answer was recorded",
    )
    word = fire.words.get(target.key)
    if word is Word.HELD:
        return replace(fired, status=Status.ACCEPTED, error_message="")
    if word is Word.VOID:
        return replace(fired, status=Status.FAILED, error_message="the cloud showed no effect of its fire", before="")
    if target.key not in fire.answers:
        return fired
    return _answered(fired, fire.answers[target.key])


def _answered(fired: Result, answer: Answer) -> Result:
    code, message = (answer.error.code, answer.error.message) if answer.error else ("", "")
    if answer.outcome is FireOutcome.ACCEPTED:
        return replace(fired, status=Status.ACCEPTED, handle=answer.handle, error_message="")
    if answer.outcome is FireOutcome.UNKNOWN:
        return replace(fired, error_code=code, error_message=message or fired.error_message)
    failed = replace(fired, status=Status.FAILED, error_code=code, error_message=message, before="")
    if answer.outcome is FireOutcome.NOT_SENT:
        return replace(failed, attempts=fired.attempts - 1, fired_at=None)
    return failed


def _words(fires: Sequence[Fire]) -> str:
    targets = sum(len(fire.targets) for fire in fires)
    answered = sum(bool(fire.answers) for fire in fires)
    what = f"{len(fires)} fire{'s' if len(fires) > 1 else ''} of {targets} target{'s' if targets > 1 else ''}"
    return (
        f"the last run was interrupted after {what} ({answered} answered), the first at {rfc3339(fires[0].began.at)}: "
        "taken up again, not fired again"
    )
