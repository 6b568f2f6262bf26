"""Create and update: carry out a plan, and record what came of it. And what a preview can say of it beforehand."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cloudretry.actions import Action
from cloudretry.actions.base import ActionInputs
from cloudretry.inputs import UNKNOWN, given, is_unknown, parse
from cloudretry.ledger import Ask, TriggerMark
from cloudretry.lifecycle.circumstances import Backend, Circumstances, Outcome, open_session
from cloudretry.lifecycle.difference import check_cloud, check_pinned
from cloudretry.lifecycle.failure import failure_text
from cloudretry.lifecycle.identifier import new_id
from cloudretry.lifecycle.journaling import asker_at, note_saved, take_up
from cloudretry.lifecycle.reading import looked_at
from cloudretry.model import Cloud, Place, Result, Status, rfc3339
from cloudretry.record import HISTORY_LENGTH, LIFE, PLACE, Record, history_entry, verdict
from cloudretry.run import Plan, Ran, Reason, decide, run
from cloudretry.run.recover import Recovered, Wanted, recover

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
    check_cloud(record, emulated=backend.emulated)
    await note_saved(backend, action, outputs, circumstances.resource)
    if record.unseen and inputs.reconcile:
        record = await looked_at(action, record, backend, circumstances)
    return await _carry_out(action, record, given(values), inputs, backend, circumstances, resource_id=identifier)


def not_fired(action: Action[Any], values: Mapping[str, Any], why: str, *, emulated: bool) -> Outcome:
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
    life = secrets.token_hex(8)
    record = Record(_own_inputs(given(values)), place, Status.FAILED, 1, results, emulator=emulated, life=life)
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
        if plan.idle and not record.unseen:
            done = _recorded(action, record, known, inputs, plan, Ran(dict(plan.results)), record.place, now)
            dated = {} if plan.reason is Reason.SETTINGS else {"history": UNKNOWN}
            return {**done.to_outputs(action), **dated}
    decided = (LIFE, "status", "firedAt", "fireIds", "requestIds", "results", "history", "emulator", "generation")
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
    session = None
    if saved is None or not _is_placed(action, saved.place):
        session = await open_session(action, saved, inputs, backend, circumstances)
        place, emulator = session.place, session.client.emulator
    else:
        place, emulator = saved.place, saved.emulator
    asker = asker_at(backend, action, place, circumstances)
    found, left = Recovered(saved), _NOTHING_LEFT
    if asker is not None:
        keys = [target.key for target in action.targets(inputs)]
        wanted = Wanted(
            circumstances.resource, saved, keys, inputs.triggers, asker.session, backend.state, backend.deployment
        )
        mine, left = await take_up(asker, wanted, backend, circumstances)
        found = recover(saved, mine, inputs)
    if found.words:
        circumstances.notice(found.words)
    plan = decide(action, found.record, inputs, started)
    if found.fire_ids and plan.reason is Reason.SETTINGS:
        plan = replace(plan, reason=Reason.RESUME)
    if plan.reason is Reason.ADOPTED:
        circumstances.progress("adopted as imported: nothing is fired until a trigger changes")
    life, last_run = _life(found.record)
    ran = Ran(dict(plan.results), dict(plan.blocked))
    if not plan.idle or saved is None:
        session = session or await open_session(action, saved, inputs, backend, circumstances)
        place, emulator = session.place, session.client.emulator
        if asker is not None:
            mark, asker.triggers = TriggerMark.of(inputs.triggers), inputs.triggers
            asker.ask = Ask(
                owner=circumstances.resource,
                life=life,
                run=last_run + 1,
                generation=plan.generation,
                creating=saved is None,
                triggers=mark,
                state=backend.state,
                deployment=backend.deployment,
            )
            session = replace(session, asker=asker)
        ran = await run(session, plan, left)
    done = _recorded(action, found.record, values, inputs, plan, ran, place, started, emulator=emulator)
    done = replace(
        done,
        fire_ids=tuple(dict.fromkeys((*found.fire_ids, *done.fire_ids))),
        life=life,
        run=last_run + bool(ran.fires),
    )
    return Outcome(
        resource_id or new_id(action, done),
        done.to_outputs(action),
        failure_text(action, done, inputs, ran, backend.clock.now()),
        asker,
    )


_NOTHING_LEFT: Mapping[str, float] = {}


def _is_placed(action: Action[Any], place: Place) -> bool:
    """Whether the record says where its fires are, as that of a create that could not start may not."""
    return bool(place.region and (action.cloud is Cloud.ALICLOUD or place.project_id))


def _life(record: Record | None) -> tuple[str, int]:
    """The life of the resource, minted where it begins, and how often it has fired."""
    return (record.life, record.run) if record is not None and record.life else (secrets.token_hex(8), 0)


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
        life=kept.life,
        run=kept.run,
    )


def _own_inputs(values: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs as a record keeps them: triggers always, region and project never, for they are the place."""
    return {"triggers": {}, **{name: value for name, value in values.items() if name not in PLACE}}
