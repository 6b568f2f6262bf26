"""Read: look at the targets and note what was seen, and import. Nothing in here can fire."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cloudretry.actions import Action
from cloudretry.errors import CloudRetryError, InvalidInput
from cloudretry.inputs import check, parse
from cloudretry.lifecycle.circumstances import Backend, Circumstances, Outcome, open_session
from cloudretry.lifecycle.identifier import split_id
from cloudretry.lifecycle.journaling import note_saved
from cloudretry.model import Observation, Result, StateClass, Status, Target
from cloudretry.record import PLACE, Record, verdict
from cloudretry.run import look
from cloudretry.run.wait import STALE_GRACE, settled, took_hold, was_moving

__all__ = ["is_failed_since", "looked_at", "read", "recorded_inputs"]


async def read(
    action: Action[Any], identifier: str, outputs: Mapping[str, Any], backend: Backend, circumstances: Circumstances
) -> Outcome:
    """Look at the targets and note what was seen. Fires nothing, whatever it sees.

    A target that was still in progress may be settled when it has succeeded. Only with ``reconcile`` is a settled
    target marked failed. With it the engine looks before each ``up`` and ``destroy``, with the configuration of the
    last ``up``, which is not to be told from a refresh: a look that cannot be made fails nothing, and the next update
    makes it.

    :raises CloudRetryError: the cloud could not be asked.
    """
    if not outputs.get("status"):
        return await _import(action, identifier, backend, circumstances)
    record = Record.from_outputs(action, outputs)
    await note_saved(backend, action, outputs, circumstances.resource)
    try:
        record = await looked_at(action, record, backend, circumstances)
    except CloudRetryError as error:
        if outputs.get("reconcile") is not True:
            raise
        circumstances.notice(f"its targets could not be looked at, which an update will do: {error}")
        record = replace(record, unseen=True)
    return Outcome(identifier, record.to_outputs(action))


async def looked_at(action: Action[Any], record: Record, backend: Backend, circumstances: Circumstances) -> Record:
    """The record with what its targets show now.

    :raises CloudRetryError: the cloud could not be asked.
    """
    inputs = parse(action, record.inputs)
    session = await open_session(action, record, inputs, backend, circumstances)
    targets = [
        replace(target, handle=record.results[target.key].handle)
        for target in action.targets(inputs)
        if target.key in record.results
    ]
    seen = await look(session, targets)
    now = backend.clock.now()
    results = {
        key: _noted(action, result, seen[key], now, reconcile=inputs.reconcile)
        for key, result in record.results.items()
    }
    status = record.status
    if any(results[key].status is not result.status for key, result in record.results.items()):
        status = verdict(results.values(), inputs.success_policy, wait=inputs.wait)
    return replace(record, results=results, status=status, unseen=False)


def recorded_inputs(action: Action[Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that an import found, for the program that is to declare it, its place among them."""
    record = Record.from_outputs(action, outputs)
    place = dict(zip(PLACE, (record.place.region, record.place.project_id), strict=True))
    return {**{name: value for name, value in place.items() if value}, **record.inputs}


_SINCE = "it has failed since"


def is_failed_since(result: Result) -> bool:
    """Whether a refresh has found the target failed, after a run that ended well."""
    return result.status is Status.FAILED and result.error_message.startswith(_SINCE)


def _noted(action: Action[Any], result: Result, seen: Observation, now: float, *, reconcile: bool) -> Result:
    if seen.missing:
        return replace(result, cloud_status="NotFound")
    ended_well = seen.means is StateClass.SUCCEEDED and was_moving(action, result)
    if result.pending and (took_hold(action, result.before, seen) or ended_well):
        return settled(result, Status.SUCCEEDED, seen)
    noted = replace(result, cloud_status=seen.cloud_status)
    failed_since = reconcile and seen.means is StateClass.FAILED and seen.retryable
    if failed_since and _is_closed(result, now):
        words = f"{_SINCE}{f': {seen.message}' if seen.message else ''}"
        return replace(noted, status=Status.FAILED, error_code=seen.error_code, error_message=words, skipped_reason="")
    return noted


def _is_closed(result: Result, now: float) -> bool:
    """Whether nobody waits for the target any more."""
    if result.status is Status.ACCEPTED:
        return now >= (result.fired_at or 0.0) + STALE_GRACE
    return result.status in (Status.SUCCEEDED, Status.SKIPPED)


async def _import(action: Action[Any], identifier: str, backend: Backend, circumstances: Circumstances) -> Outcome:
    place, container, keys = split_id(action, identifier)
    values = action.imported(container, keys)
    located = values | dict(zip(PLACE, place, strict=False))
    problems = check(action, located)
    if problems:
        raise problems[0]
    inputs = parse(action, located)
    session = await open_session(action, None, inputs, backend, circumstances)
    targets: tuple[Target, ...] = action.targets(inputs)
    seen = await look(session, targets)
    missing = [key for key, observation in seen.items() if observation.missing]
    if missing:
        raise InvalidInput("id", f"{seen[missing[0]].message.rstrip('.')}; nothing was imported")
    record = Record(
        inputs=values,
        place=session.place,
        status=Status.SKIPPED,
        generation=0,
        results={
            target.key: Result(
                target.key, Status.SKIPPED, cloud_status=seen[target.key].cloud_status, skipped_reason="Imported"
            )
            for target in targets
        },
        emulator=session.client.emulator,
        life=secrets.token_hex(8),
    )
    return Outcome(identifier, record.to_outputs(action))
