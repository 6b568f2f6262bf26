"""Who is fired, who is only waited for, and who is left alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from cloudretry import durations
from cloudretry.actions import Action
from cloudretry.actions.base import ActionInputs
from cloudretry.model import Result, Status, Target, rfc3339, same_value
from cloudretry.record import Record, is_satisfied

__all__ = ["Plan", "Reason", "changed_triggers", "cool_at", "decide", "why_not"]


class Reason(StrEnum):
    """Why a run happened, as kept in the history. The first that fits is recorded."""

    CREATE = "create"
    TRIGGERS = "triggers"
    TARGETS = "targets added"
    FAILED = "failed targets"
    RESUME = "resume"
    SETTINGS = "settings"
    ADOPTED = "import adopted"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do.

    ``results`` holds what is known of the targets before the run; ``blocked`` says, by key, why a target that needs a
    fire gets none.
    """

    reason: Reason
    generation: int
    results: Mapping[str, Result]
    fire: tuple[Target, ...] = ()
    watch: tuple[Target, ...] = ()
    triggers: tuple[str, ...] = ()
    blocked: Mapping[str, str] = field(default_factory=dict)

    @property
    def idle(self) -> bool:
        """Nothing is fired and nothing is waited for."""
        return not self.fire and not self.watch


def decide(action: Action[Any], record: Record | None, inputs: ActionInputs, now: float) -> Plan:
    """The plan for a create (no record) or an update."""
    targets: tuple[Target, ...] = action.targets(inputs)
    if record is None:
        return Plan(Reason.CREATE, 1, {}, fire=targets, triggers=tuple(sorted(inputs.triggers)))
    if not record.adopted:
        imported = {target.key: record.results.get(target.key, _imported(target)) for target in targets}
        return Plan(Reason.ADOPTED, record.generation, imported)
    known = {
        target.key: replace(target, handle=record.results[target.key].handle)
        for target in targets
        if target.key in record.results
    }
    kept = {key: record.results[key] for key in known}
    changed = changed_triggers(record.triggers, inputs.triggers)
    if changed:
        blocked = {key: why for key, result in kept.items() if (why := _still_cooling(inputs, result, now))}
        fire = tuple(target for target in targets if target.key not in blocked)
        results = {key: _not_fired(kept[key], why) for key, why in blocked.items()}
        return Plan(Reason.TRIGGERS, record.generation + 1, results, fire=fire, triggers=changed, blocked=blocked)

    added = tuple(target for target in targets if target.key not in known)
    watch: tuple[Target, ...] = ()
    again: tuple[Target, ...] = ()
    blocked = {}
    if not is_satisfied(kept.values(), inputs.success_policy, wait=inputs.wait):
        watch = tuple(known[key] for key, result in kept.items() if _is_open(result, inputs))
        # What was cut off is waited for before anything is fired. What is unknown may stay so, and holds up nothing.
        if all(kept[target.key].status is Status.UNKNOWN for target in watch):
            failed = [key for key, result in kept.items() if result.status is Status.FAILED]
            blocked = {key: why for key in failed if (why := why_not(inputs, kept[key], now))}
            again = tuple(known[key] for key in failed if key not in blocked)
    reason = Reason.SETTINGS
    for candidate, found in ((Reason.TARGETS, added), (Reason.FAILED, again), (Reason.RESUME, watch)):
        if found:
            reason = candidate
            break
    return Plan(reason, record.generation, kept, fire=added + again, watch=watch, blocked=blocked)


def changed_triggers(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[str, ...]:
    """The names of the triggers that differ, in order: over the wire a map comes in another one each time."""
    return tuple(
        name
        for name in sorted({*old, *new})
        if name not in old or name not in new or not same_value(old[name], new[name])
    )


def why_not(inputs: ActionInputs, result: Result, now: float) -> str:
    """Why a target that needs a fire may not have one now; empty if it may."""
    if result.attempts >= inputs.max_attempts:
        return f"its {inputs.max_attempts} attempt{'s are' if inputs.max_attempts > 1 else ' is'} spent"
    return _still_cooling(inputs, result, now)


def cool_at(inputs: ActionInputs, result: Result) -> float:
    """When the target may be fired again as far as the cooldown goes, in seconds since the epoch."""
    # Without a cooldown nothing is compared: the clock may have been set back since the fire.
    return result.fired_at + inputs.cooldown_seconds if inputs.cooldown and result.fired_at is not None else 0.0


def _still_cooling(inputs: ActionInputs, result: Result, now: float) -> str:
    ends = cool_at(inputs, result)
    if now >= ends:
        return ""
    return f"it cools down until {rfc3339(ends)} ({durations.show(inputs.cooldown_seconds)} after its last fire)"


def _not_fired(result: Result, why: str) -> Result:
    return Result(result.target, Status.FAILED, fired_at=result.fired_at, error_message=f"not fired: {why}")


def _imported(target: Target) -> Result:
    return Result(target.key, Status.SKIPPED, skipped_reason="Imported")


def _is_open(result: Result, inputs: ActionInputs) -> bool:
    return result.status in (Status.IN_PROGRESS, Status.UNKNOWN) or (result.status is Status.ACCEPTED and inputs.wait)
