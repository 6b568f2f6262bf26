"""Check, diff, create, update, read, delete, over a list of targets. No gRPC and no HTTP in here.

The table "when it fires" is :func:`diff` and :func:`cloudretry.run.decide.decide`: the first says what a change means
before it happens, the second who is fired when it does. Both compare new inputs with what the outputs recorded.
"""

from __future__ import annotations

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Protocol

from cloudretry.actions import Action
from cloudretry.actions.base import ActionInputs
from cloudretry.clock import Clock
from cloudretry.errors import InvalidInput, PinnedPlaceChanged
from cloudretry.inputs import UNKNOWN, check, given, is_unknown, parse, property_path
from cloudretry.model import Cloud, CloudClient, Observation, Place, Result, StateClass, Status, Target, rfc3339
from cloudretry.record import HISTORY_LENGTH, Record, history_entry, verdict
from cloudretry.run import Plan, Ran, Reason, Session, decide, look, run
from cloudretry.run.decide import changed_triggers
from cloudretry.run.wait import settled

__all__ = [
    "DEFAULT_TIMEOUT",
    "NOWHERE",
    "Backend",
    "Change",
    "ChangeKind",
    "Circumstances",
    "Difference",
    "Outcome",
    "check",
    "create",
    "diff",
    "not_fired",
    "preview_outputs",
    "read",
    "recorded_inputs",
    "update",
]

DEFAULT_TIMEOUT = 1800.0
"""Seconds that a create or an update may take when ``customTimeouts`` says nothing."""

NOWHERE = Place("")
"""For a diff that is to compare no inherited place."""

LONGEST_ID = 200
NAMED_IN_FAILURE = 5


class Backend(Protocol):
    """What the provider's configuration gives to a run."""

    clock: Clock
    executor: Executor
    poll_interval: float | None

    def connect(self, cloud: Cloud, *, region: str | None, project_id: str | None) -> CloudClient:
        """A client for this place; values that are ``None`` come from the configuration. May ask the cloud.

        :raises ConfigurationError: something is missing; the text says how to give it.
        """

    def inherited(self, cloud: Cloud) -> Place:
        """The region and project that the configuration names, empty where it names none. Asks nobody."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How one call may proceed. ``timeout`` is in seconds."""

    timeout: float = DEFAULT_TIMEOUT
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    progress: Callable[[str], None] = lambda _line: None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a create, update or read leaves behind. ``failure`` is what fails the ``up``; the outputs stay valid."""

    resource_id: str
    outputs: dict[str, Any]
    failure: str = ""


class ChangeKind(StrEnum):
    """How one property differs; the words of Pulumi's detailed diff."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, by path. ``of_output`` marks an output that calls for work, not an input."""

    path: str
    kind: ChangeKind
    of_output: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """What an ``up`` would do."""

    changes: tuple[Change, ...]

    @property
    def replaces(self) -> tuple[str, ...]:
        return tuple(change.path for change in self.changes if change.kind is ChangeKind.REPLACE)


# --- diff -------------------------------------------------------------------------------------------------------------


def diff(action: Action[Any], outputs: Mapping[str, Any], news: Mapping[str, Any], inherited: Place) -> Difference:
    """How the new inputs differ from what was recorded, and whether there is work left. Calls nothing.

    :raises PinnedPlaceChanged: an inherited project or region is not the recorded one.
    """
    record = Record.from_outputs(action, outputs)
    values = given(news)
    changes = _identity_changes(action, record, values)
    if not changes:
        check_pinned(record.place, values, inherited)
    changes += _trigger_changes(record, values)
    changes += _target_changes(action, record, values)
    changes += _setting_changes(action, record, values)
    if record.unfinished:
        changes.append(Change("status", ChangeKind.UPDATE, of_output=True))
    if not record.adopted:
        # The first update after an import adopts what the program says, even where it says the same.
        changes.append(Change("history", ChangeKind.UPDATE, of_output=True))
    return Difference(tuple(changes))


def check_pinned(place: Place, values: Mapping[str, Any], inherited: Place) -> None:
    """Refuse an inherited project or region that is not the one the resource was created in.

    :raises PinnedPlaceChanged: names both.
    """
    for name, pinned, configured in (
        ("region", place.region, inherited.region),
        ("projectId", place.project_id, inherited.project_id),
    ):
        if name not in values and pinned and configured and pinned != configured:
            raise PinnedPlaceChanged(
                f"{name}: the resource was created in {pinned!r}, and the provider is now configured for "
                f"{configured!r}. Set {name}: {pinned} on the resource to keep it there, or {name}: {configured} to "
                "replace it, which fires in the new place"
            )


def _identity_changes(action: Action[Any], record: Record, values: Mapping[str, Any]) -> list[Change]:
    recorded = {**record.inputs, "region": record.place.region, "projectId": record.place.project_id}
    return [
        Change(name, ChangeKind.REPLACE)
        for name in ("region", "projectId", *action.identity)
        if name in values and values[name] != recorded.get(name)
    ]


def _trigger_changes(record: Record, values: Mapping[str, Any]) -> list[Change]:
    new = values.get("triggers", {})
    if not isinstance(new, Mapping):
        return [Change("triggers", ChangeKind.UPDATE)]
    return [
        Change(property_path(["triggers", name]), _kind(name in record.triggers, name in new))
        for name in changed_triggers(record.triggers, new)
    ]


def _kind(was: bool, is_now: bool) -> ChangeKind:
    if was and is_now:
        return ChangeKind.UPDATE
    return ChangeKind.ADD if is_now else ChangeKind.DELETE


def _target_changes(action: Action[Any], record: Record, values: Mapping[str, Any]) -> list[Change]:
    if action.target_list is None:
        return []
    name, key = action.target_list
    items = values[name]
    if is_unknown(items):
        return [Change(name, ChangeKind.UPDATE)]
    old, new = _keyed(record.inputs[name], key), _keyed(items, key)

    def path(index: int) -> str:
        return property_path([name, index] if key is None else [name, index, key])

    changes = [Change(path(index), ChangeKind.ADD) for target, (index, _) in new.items() if target not in old]
    changes += [Change(path(index), ChangeKind.DELETE) for target, (index, _) in old.items() if target not in new]
    changes += [
        Change(property_path([name, index]), ChangeKind.UPDATE)
        for target, (index, item) in new.items()
        if target in old and old[target][1] != item
    ]
    return changes


def _keyed(items: Any, key: str | None) -> dict[str, tuple[int, Any]]:
    return {(item if key is None else item[key]): (index, item) for index, item in enumerate(items)}


def _setting_changes(action: Action[Any], record: Record, values: Mapping[str, Any]) -> list[Change]:
    apart = {"region", "projectId", "triggers", *action.identity, *(action.target_list or ())[:1]}
    names = [name for name in dict.fromkeys((*record.inputs, *values)) if name not in apart]
    return [
        Change(name, _kind(name in record.inputs, name in values))
        for name in names
        if record.inputs.get(name) != values.get(name)
    ]


# --- create and update ------------------------------------------------------------------------------------------------


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
    return await _carry_out(action, record, given(values), inputs, backend, circumstances, resource_id=identifier)


def not_fired(action: Action[Any], values: Mapping[str, Any], why: str) -> Outcome:
    """The outcome of a create that could not even start, for an engine that cannot keep state and fail as well.

    The next update fires all targets: none has had an attempt.
    """
    inputs = parse(action, values)
    place = Place(inputs.region or "", getattr(inputs, "project_id", None) or "", action.container(inputs))
    results = [
        Result(target.key, Status.FAILED, error_message=f"not fired: {why}") for target in action.targets(inputs)
    ]
    record = Record(
        inputs={**given(values), "triggers": given(values).get("triggers", {})},
        place=place,
        status=Status.FAILED,
        generation=1,
        results={result.target: result for result in results},
    )
    return Outcome(_new_id(action, record), record.to_outputs(action), why)


async def _carry_out(
    action: Action[Any],
    record: Record | None,
    values: Mapping[str, Any],
    inputs: ActionInputs,
    backend: Backend,
    circumstances: Circumstances,
    *,
    resource_id: str,
) -> Outcome:
    started = backend.clock.now()
    plan = decide(action, record, inputs, started)
    if plan.idle and record is not None:
        place, emulator, ran = record.place, record.emulator, Ran(dict(plan.results))
    else:
        session = await _session(action, record, inputs, backend, circumstances)
        place, emulator = session.place, session.client.emulator
        ran = await run(session, plan)
    done = _recorded(action, record, values, inputs, place, plan, ran, started)
    done = replace(done, emulator=emulator)
    return Outcome(
        resource_id or _new_id(action, done),
        done.to_outputs(action),
        failure_text(action, done, inputs, plan.blocked, ran.remedies),
    )


async def _session(
    action: Action[Any],
    record: Record | None,
    inputs: ActionInputs,
    backend: Backend,
    circumstances: Circumstances,
) -> Session:
    deadline = backend.clock.monotonic() + circumstances.timeout
    region = inputs.region or (record.place.region if record else None)
    project_id = getattr(inputs, "project_id", None) or (record.place.project_id if record else None)
    client = await asyncio.get_running_loop().run_in_executor(
        backend.executor, lambda: backend.connect(action.cloud, region=region or None, project_id=project_id or None)
    )
    return Session(
        action=action,
        inputs=inputs,
        place=Place(client.region, client.project_id, action.container(inputs)),
        client=client,
        clock=backend.clock,
        executor=backend.executor,
        deadline=deadline,
        cancelled=circumstances.cancelled,
        progress=circumstances.progress,
        jitter=random.SystemRandom().random,
        poll_interval=backend.poll_interval,
    )


def _recorded(
    action: Action[Any],
    record: Record | None,
    values: Mapping[str, Any],
    inputs: ActionInputs,
    place: Place,
    plan: Plan,
    ran: Ran,
    started: float,
) -> Record:
    order = [target.key for target in action.targets(inputs)]
    results = {key: ran.results[key] for key in order}
    status = verdict(results.values(), inputs.success_policy)
    history = record.history if record else ()
    if not plan.idle or plan.reason is Reason.ADOPTED:
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
    last = max((one.at for one in ran.fires), default=None)
    kept = record or Record({}, place, status, 0, {})
    return Record(
        inputs={**values, "triggers": values.get("triggers", {})},
        place=place,
        status=status,
        generation=plan.generation,
        results=results,
        fired_at=rfc3339(last) if last is not None else kept.fired_at,
        fire_ids=ran.fire_ids or kept.fire_ids,
        request_ids=ran.request_ids or kept.request_ids,
        history=history,
    )


def failure_text(
    action: Action[Any],
    record: Record,
    inputs: ActionInputs,
    blocked: Mapping[str, str] | None = None,
    remedies: Mapping[str, str] | None = None,
) -> str:
    """Why the ``up`` fails, for people; empty if it does not."""
    if not record.unfinished:
        return ""
    bad = [result for result in record.results.values() if result.status in (Status.FAILED, *_OPEN)]
    lines = [
        f"{action.title}: {_counted(record)} (status {record.status.value})",
        *(_sentence(result, blocked or {}, remedies or {}) for result in bad[:NAMED_IN_FAILURE]),
    ]
    if len(bad) > NAMED_IN_FAILURE:
        lines.append(f"and {len(bad) - NAMED_IN_FAILURE} more; all are in the output `results`")
    lines.append(_next_step(record, inputs, blocked or {}))
    return "\n".join(lines)


_OPEN = (Status.IN_PROGRESS, Status.UNKNOWN)


def _counted(record: Record) -> str:
    total = len(record.results)
    words = {
        Status.FAILED: "failed",
        Status.IN_PROGRESS: "still in progress",
        Status.UNKNOWN: "with an unknown outcome",
    }
    parts = [
        f"{count} {words[status]}"
        for status in words
        if (count := sum(result.status is status for result in record.results.values()))
    ]
    return f"of {total} target{'s' if total != 1 else ''}, {' and '.join(parts)}"


def _sentence(result: Result, blocked: Mapping[str, str], remedies: Mapping[str, str]) -> str:
    words = ": ".join(filter(None, (result.error_code, result.error_message))) or f"it is {result.cloud_status}"
    line = f"- {result.target}: {words.rstrip('.')}."
    if remedy := remedies.get(result.target):
        line += f" {remedy}"
    if why := blocked.get(result.target):
        line += f" It is not fired now: {why}."
    return line


def _next_step(record: Record, inputs: ActionInputs, blocked: Mapping[str, str]) -> str:
    statuses = {result.status for result in record.results.values()}
    if Status.IN_PROGRESS in statuses:
        return "The next `pulumi up` goes on waiting and fires nothing."
    if Status.UNKNOWN in statuses:
        if inputs.on_unknown == "fire":
            return "The next `pulumi up` looks again, and fires what is still unknown (onUnknown: fire)."
        return (
            "The next `pulumi up` looks again and fires nothing that may have been fired already. When you know that "
            "it was not, set onUnknown: fire."
        )
    left = [
        inputs.max_attempts - result.attempts
        for key, result in record.results.items()
        if result.status is Status.FAILED and key not in blocked and result.attempts < inputs.max_attempts
    ]
    if left:
        return f"The next `pulumi up` fires the failed targets again, and only those ({max(left)} attempts left)."
    if blocked and any("cools down" in why for why in blocked.values()):
        return "The next `pulumi up` after that fires them again."
    return "No attempts are left: change a trigger or raise maxAttempts to fire again."


# --- preview ----------------------------------------------------------------------------------------------------------


def preview_outputs(
    action: Action[Any], values: Mapping[str, Any], outputs: Mapping[str, Any] | None, now: float
) -> dict[str, Any]:
    """The outputs as far as a preview knows them: what a run decides is unknown, the rest stands. Calls nothing."""
    known = given(values)
    if outputs is not None and not is_unknown(known):
        record = Record.from_outputs(action, outputs)
        if decide(action, record, parse(action, values), now).idle:
            return {**outputs, **known}
    decided = ("status", "firedAt", "fireIds", "requestIds", "results", "history", "emulator", "generation")
    names = {model_field.alias for model_field in action.inputs.model_fields.values()}
    place: dict[str, Any] = {
        name: (outputs or {}).get(name, UNKNOWN) for name in ("region", "projectId") if name in names
    }
    extra = dict.fromkeys(action.outputs([]), UNKNOWN)
    return {**place, **known, **dict.fromkeys(decided, UNKNOWN), **extra}


# --- read -------------------------------------------------------------------------------------------------------------


async def read(
    action: Action[Any], identifier: str, outputs: Mapping[str, Any], backend: Backend, circumstances: Circumstances
) -> Outcome:
    """Look at the targets and note what was seen. Fires nothing, whatever it sees.

    A target that was still in progress may be settled when it has succeeded. Only with ``reconcile`` is a settled
    target marked failed.

    :raises CloudRetryError: the cloud could not be asked.
    """
    if not outputs.get("status"):
        return await _import(action, identifier, backend, circumstances)
    record = Record.from_outputs(action, outputs)
    inputs = action.inputs.model_validate(dict(record.inputs))
    session = await _session(action, record, inputs, backend, circumstances)
    targets = [
        replace(target, handle=record.results[target.key].handle)
        for target in action.targets(inputs)
        if target.key in record.results
    ]
    seen = await look(session, targets)
    results = {
        key: _noted(action, result, seen[key], reconcile=inputs.reconcile) for key, result in record.results.items()
    }
    status = record.status
    if any(results[key].status is not result.status for key, result in record.results.items()):
        status = verdict(results.values(), inputs.success_policy)
    return Outcome(identifier, replace(record, results=results, status=status).to_outputs(action))


def _noted(action: Action[Any], result: Result, seen: Observation, *, reconcile: bool) -> Result:
    if seen.missing:
        return replace(result, cloud_status="NotFound")
    if result.pending and _took_hold(action, result, seen):
        return settled(result, Status.SUCCEEDED, seen)
    noted = replace(result, cloud_status=seen.cloud_status)
    closed = result.status in (Status.SUCCEEDED, Status.SKIPPED)
    if reconcile and closed and seen.means is StateClass.FAILED and seen.retryable:
        words = f"it has failed since{f': {seen.message}' if seen.message else ''}"
        return replace(noted, status=Status.FAILED, error_code=seen.error_code, error_message=words, skipped_reason="")
    return noted


def _took_hold(action: Action[Any], result: Result, seen: Observation) -> bool:
    if action.stamped:
        return seen.stamp != result.before
    return seen.means is StateClass.SUCCEEDED and not seen.retryable


async def _import(action: Action[Any], identifier: str, backend: Backend, circumstances: Circumstances) -> Outcome:
    place, container, keys = split_id(action, identifier)
    values = action.imported(container, keys)
    if place:
        values |= dict(zip(("region", "projectId"), place, strict=False))
    problems = check(action, values)
    if problems:
        raise problems[0]
    inputs = parse(action, values)
    session = await _session(action, None, inputs, backend, circumstances)
    targets: tuple[Target, ...] = action.targets(inputs)
    seen = await look(session, targets)
    missing = [key for key, observation in seen.items() if observation.missing]
    if missing:
        raise InvalidInput("id", f"{seen[missing[0]].message}; nothing was imported")
    results = {
        key: Result(key, Status.SKIPPED, cloud_status=observation.cloud_status, skipped_reason="Imported")
        for key, observation in seen.items()
    }
    record = Record(
        inputs=values,
        place=session.place,
        status=Status.SKIPPED,
        generation=0,
        results={target.key: results[target.key] for target in targets},
        emulator=session.client.emulator,
    )
    return Outcome(identifier, record.to_outputs(action))


def recorded_inputs(action: Action[Any], outputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that an import found, for the program that is to declare it."""
    return dict(Record.from_outputs(action, outputs).inputs)


# --- ids --------------------------------------------------------------------------------------------------------------


def _new_id(action: Action[Any], record: Record) -> str:
    """The id that an import would take, or a short one of its own where that would be too long."""
    place = (
        [record.place.region, record.place.project_id] if action.cloud is Cloud.HUAWEICLOUD else [record.place.region]
    )
    keys = list(record.results)
    prefix = f"{record.place.container}:" if record.place.container else ""
    identifier = "/".join([*place, prefix + ",".join(keys)])
    if len(identifier) <= LONGEST_ID:
        return identifier
    return "/".join([*place, f"{prefix}{keys[0]}+{len(keys) - 1}-{secrets.token_hex(4)}"])


def split_id(action: Action[Any], identifier: str) -> tuple[list[str], str, list[str]]:
    """Place, container and targets of an import id ``[region/project/]target[,target...]``.

    A pool is ``name:Scope`` and an E-HPC job ``cluster:job``; Alibaba Cloud has no project.

    :raises InvalidInput: it has another form.
    """
    *place, last = identifier.split("/")
    wanted = 2 if action.cloud is Cloud.HUAWEICLOUD else 1
    form = "[region/project/]" if wanted == 2 else "[region/]"
    container, colon, keys = last.rpartition(":")
    targets = [key.strip() for key in keys.split(",")]
    if len(place) not in (0, wanted) or not all(targets) or not all(place) or (colon and not container):
        raise InvalidInput("id", f"{identifier!r} does not have the form {form}target[,target...]")
    try:
        action.imported(container, targets)
    except ValueError as error:
        raise InvalidInput("id", f"{identifier!r}: {error}, with {form} before it where needed") from None
    return place, container, targets
