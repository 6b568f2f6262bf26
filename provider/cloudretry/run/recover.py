"""What the journal adds to the recorded state: fires of a run that died before its state was saved. Pure.

An interrupted fire is never repeated and never forgotten. It is put into the record as if its run had saved it: with
the cloud's answer where that was written, as unknown where it was not. What follows is what follows any such record:
waiting, looking at the cloud, firing what failed.

=====================  ==============================================================================================
the interrupted fire   is taken up
=====================  ==============================================================================================
of a create            by a create with the same triggers; any other create was asked for anew, and fires
of an update           by an update. Was it for the triggers that the program has now, they count as fired; was it for
                       others, they were fired too, and the program's triggers are a further change
older than a day       never
=====================  ==============================================================================================
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cloudretry.actions.base import ActionInputs
from cloudretry.model import Answer, FireOutcome, Place, Result, Status, rfc3339
from cloudretry.record import Record, verdict
from cloudretry.run.journal import Entry, EntryTarget

__all__ = ["Recovered", "concerns", "recover"]


class _Other:
    """A trigger value that equals nothing: of the interrupted fire only a digest is known."""


@dataclass(frozen=True, slots=True)
class Recovered:
    """The record with the interrupted fires in it, and what to tell the user."""

    record: Record | None
    fire_ids: tuple[str, ...] = ()
    words: str = ""


def concerns(record: Record | None, entry: Entry, triggers: Mapping[str, Any]) -> bool:
    """Whether an open fire belongs to the resource as recorded (``None``: as it is to be created)."""
    if record is None:
        return entry.creating and entry.triggers.fits(triggers)
    return not entry.creating and entry.generation >= record.generation and entry.fire_id not in record.fire_ids


def recover(record: Record | None, entries: Sequence[Entry], inputs: ActionInputs) -> Recovered:
    """Put the interrupted fires into the record."""
    mine = [entry for entry in entries if concerns(record, entry, inputs.triggers)]
    if not mine:
        return Recovered(record)
    generation = max(entry.generation for entry in mine)
    mine = [entry for entry in mine if entry.generation == generation]
    base = record or Record({}, Place(""), Status.UNKNOWN, 0, {})
    results = dict(base.results) if generation == base.generation else {}
    for entry in mine:
        results |= {target.key: _result(entry, target) for target in entry.targets}
    triggers: Mapping[str, Any] = base.triggers
    if generation > base.generation:
        fits = mine[-1].triggers.fits(inputs.triggers)
        triggers = inputs.triggers if fits else dict.fromkeys(inputs.triggers or ("(interrupted)",), _Other())
    fire_ids = tuple(entry.fire_id for entry in mine)
    recovered = replace(
        base,
        inputs={**base.inputs, "triggers": triggers},
        status=verdict(results.values(), inputs.success_policy, wait=inputs.wait),
        generation=generation,
        results=results,
        fired_at=rfc3339(mine[-1].at),
        fire_ids=fire_ids,
        request_ids=tuple(entry.request_id for entry in mine if entry.request_id),
    )
    return Recovered(recovered, fire_ids, _words(mine))


def _result(entry: Entry, target: EntryTarget) -> Result:
    fired = Result(
        target.key,
        Status.UNKNOWN,
        attempts=target.attempts,
        fired_at=entry.at,
        before=target.before,
        error_message=f"the run that fired it at {rfc3339(entry.at)} was interrupted before an answer was recorded",
    )
    if entry.answers is None or target.key not in entry.answers:
        return fired
    return _answered(fired, entry.answers[target.key])


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


def _words(entries: Sequence[Entry]) -> str:
    targets = sum(len(entry.targets) for entry in entries)
    answered = sum(entry.answers is not None for entry in entries)
    what = f"{len(entries)} fire{'s' if len(entries) > 1 else ''} of {targets} target{'s' if targets > 1 else ''}"
    return (
        f"the last run was interrupted after {what} ({answered} answered), the first at {rfc3339(entries[0].at)}: "
        "taken up again, not fired again"
    )
