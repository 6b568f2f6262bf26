"""Create and update: carry out a plan, and record what came of it. And what a preview can say of it beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cloudretry.actions import Action
from cloudretry.actions.base import ActionInputs
from cloudretry.inputs import UNKNOWN, given, is_unknown, parse
from cloudretry.lifecycle.circumstances import Backend, Circumstances, Outcome, open_session
from cloudretry.lifecycle.difference import check_pinned
from cloudretry.lifecycle.failure import failure_text
from cloudretry.lifecycle.identifier import new_id
from cloudretry.lifecycle.journaling import alone, note_saved, records_of
from cloudretry.model import Place, Result, Status, rfc3339
from cloudretry.record import HISTORY_LENGTH, PLACE, Record, history_entry, verdict
from cloudretry.run import Plan, Ran, Reason, decide, run
from cloudretry.run.journal import RunJournal, TriggerMark, revealed
from cloudretry.run.recover import recover

__all__ = ["create", "not_fired", "preview_outputs", "update"]


async def create(
    action: Action[Any], values: Mapping[str, Any], backend: Backend, circumstances: Circumstances
) -> Outcome:
    """Fire all targets and wait.

    :raises CloudRetryError: nothing was fired, so there is nothing to keep.
    """
    inputs = parse(action, values)
    return await _carry_out(action, None, given(values), inputs, backend, circumstances, resource_id="")


async def update(
    action: Action[Any],
    identifier: str,
    outputs: Mapping[str, Any],
    values: Mapping[str, Any],
    backend: Backend,
    circumstances: Circumstances,
) -> Outcome:
    """Do what the difference calls for: fire all, some or none, or go on waiting.

    :raises CloudRetryError: nothing was fired, and the recorded state stays as it is.
    """
    record = Record.from_outputs(action, outputs)
    inputs = parse(action, values)
    check_pinned(record.place, given(values), backend.inherited(action.cloud))
    note_saved(backend, circumstances.resource, outputs)
    return await _carry_out(action, record, given(values), inputs, backend, circumstances, resource_id=identifier)


def not_fired(action: Action[Any], values: Mapping[str, Any], why: str) -> Outcome:
    """The outcome of a create that could not even start, for an engine that cannot keep state and fail as well.

    The next update fires all targets: none has had an attempt.
    """
    inputs = parse(action, values)
    results = {
        target.key: Result(target.key, Status.FAILED, error_message=f"not fired: {why}")
        for target in action.targets(inputs)
    }
    container = str(values.get(action.container_property, ""))
    place = Place(inputs.region or "", getattr(inputs, "project_id", None) or "", container)
    record = Record(_own_inputs(given(values)), place, Status.FAILED, generation=1, results=results)
    return Outcome(new_id(action, record), record.to_outputs(action), why)


def preview_outputs(
    action: Action[Any], values: Mapping[str, Any], outputs: Mapping[str, Any] | None, now: float
) -> dict[str, Any]:
    """The outputs as far as a preview knows them: what a run decides is unknown, the rest stands. Calls nothing."""
    known = given(values)
    if outputs is not None and not is_unknown(known):
        record = Record.from_outputs(action, outputs)
        inputs = parse(action, values)
        plan = decide(action, record, inputs, now)
        if plan.idle:
            done = _recorded(action, record, known, inputs, plan, Ran(dict(plan.results)), record.place, now)
            dated = {} if plan.reason is Reason.SETTINGS else {"history": UNKNOWN}
            return {**done.to_outputs(action), **dated}
    decided = ("status", "firedAt", "fireIds", "requestIds", "results", "history", "emulator", "generation")
    names = {model_field.alias for model_field in action.inputs.model_fields.values()}
    place: dict[str, Any] = {name: (outputs or {}).get(name, UNKNOWN) for name in PLACE if name in names}
    extra = dict.fromkeys(action.outputs([]), UNKNOWN)
    return {**place, **known, **dict.fromkeys(decided, UNKNOWN), **extra}


async def _carry_out(
    action: Action[Any],
    saved: Record | None,
    values: Mapping[str, Any],
    inputs: ActionInputs,
    backend: Backend,
    circumstances: Circumstances,
    *,
    resource_id: str,
) -> Outcome:
    started = backend.clock.now()
    records = records_of(backend, circumstances.resource)
    async with alone(records, backend, circumstances):
        keys = [target.key for target in action.targets(inputs)]
        open_fires = records.open_entries(started, backend.began) if records is not None else []
        found = recover(saved, [revealed(entry, keys) for entry in open_fires], inputs)
        if found.words:
            circumstances.notice(found.words)
        for path in records.clean(started) if records is not None else []:
            circumstances.notice(f"a journal record that cannot be read was set aside as {path}, and is not trusted")
        plan = decide(action, found.record, inputs, started)
        if found.fire_ids and plan.reason is Reason.SETTINGS:
            plan = replace(plan, reason=Reason.RESUME)
        if plan.reason is Reason.ADOPTED:
            circumstances.progress("adopted as imported: nothing is fired until a trigger changes")
        if plan.idle and saved is not None:
            place, emulator, ran = saved.place, saved.emulator, Ran(dict(plan.results), dict(plan.blocked))
        else:
            session = await open_session(action, saved, inputs, backend, circumstances)
            place, emulator = session.place, session.client.emulator
            if records is not None:
                mark = TriggerMark.of(inputs.triggers)
                session = replace(
                    session, journal=RunJournal(records, saved is None, plan.generation, mark, circumstances.is_secret)
                )
            ran = await run(session, plan)
        done = _recorded(action, found.record, values, inputs, plan, ran, place, started, emulator=emulator)
        done = replace(done, fire_ids=tuple(dict.fromkeys((*found.fire_ids, *done.fire_ids))))
    return Outcome(
        resource_id or new_id(action, done),
        done.to_outputs(action),
        failure_text(action, done, inputs, ran, backend.clock.now()),
    )


def _recorded(
    action: Action[Any],
    record: Record | None,
    values: Mapping[str, Any],
    inputs: ActionInputs,
    plan: Plan,
    ran: Ran,
    place: Place,
    started: float,
    *,
    emulator: bool | None = None,
) -> Record:
    results = {target.key: ran.results[target.key] for target in action.targets(inputs)}
    status = verdict(results.values(), inputs.success_policy, wait=inputs.wait)
    kept = record or Record({}, place, status, 0, {})
    history = kept.history
    if not plan.idle or plan.reason is not Reason.SETTINGS:
        entry = history_entry(
            at=started,
            reason=plan.reason.value,
            generation=plan.generation,
            triggers=plan.triggers,
            fired=ran.fired,
            results=results.values(),
            status=status,
            request_ids=ran.request_ids,
        )
        history = (*history, entry)[-HISTORY_LENGTH:]
    return Record(
        inputs=_own_inputs(values),
        place=place,
        status=status,
        generation=plan.generation,
        results=results,
        fired_at=rfc3339(ran.fired_at) if ran.fired_at is not None else kept.fired_at,
        fire_ids=ran.fire_ids or kept.fire_ids,
        request_ids=ran.request_ids or kept.request_ids,
        emulator=kept.emulator if emulator is None else emulator,
        history=history,
    )


def _own_inputs(values: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as a record keeps them: triggers always, region and project never, for they are the place."""
    return {"triggers": {}, **{name: value for name, value in values.items() if name not in PLACE}}
