"""What an `up` would do with a resource, in one line for the preview. Calls nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudretry.actions import Action
from cloudretry.actions.base import FireWhen
from cloudretry.inputs import given, is_unknown, parse
from cloudretry.ledger import Fire
from cloudretry.lifecycle.reading import is_failed_since
from cloudretry.model import Target
from cloudretry.record import Record
from cloudretry.run import Plan, Reason, decide
from cloudretry.run.recover import recover

__all__ = ["NAMED", "Forecast", "forecast"]

NAMED = 3
"""How many targets or triggers are named; the others are counted."""

SHOWN = 40
"""Characters of a trigger's value that are shown."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """The line, such as "would fire 2 targets: trigger release 1 -> 2", and the targets that would be fired.

    The line is empty if nothing would be fired or awaited.
    """

    line: str = ""
    fire: tuple[Target, ...] = ()


def forecast(
    action: Action[Any],
    values: Mapping[str, Any],
    outputs: Mapping[str, Any] | None,
    now: float,
    *,
    interrupted: Sequence[Fire] = (),
    is_secret: Callable[[str], bool] = lambda _trigger: False,
) -> Forecast:
    """What these inputs would make of the recorded outputs.

    ``interrupted`` are the fires of the journal that the outputs do not know and that the run would take up. ``now`` is
    seconds since the epoch. ``is_secret`` tells a trigger whose values must not be shown.
    """
    if outputs is None and any(fire.handed for fire in interrupted):
        return Forecast("would stop: whether an earlier fire was saved is not known; see: cloudretry journal list")
    if is_unknown(given(values)):
        if interrupted:
            return Forecast("would take up a fire that was interrupted")
        return Forecast(
            "would fire" if outputs is None else "would fire if a trigger or a target turns out to have changed"
        )
    inputs = parse(action, values)
    record = recover(None if outputs is None else Record.from_outputs(action, outputs), interrupted, inputs).record
    plan = decide(action, record, inputs, now)
    said = []
    if interrupted:
        taken = {key for fire in interrupted for key in fire.keys}
        what = f"{len(interrupted)} fires" if len(interrupted) > 1 else "a fire"
        said.append(
            f"would take up {what} that {'were' if len(interrupted) > 1 else 'was'} interrupted, of "
            f"{_targets(len(taken))}"
        )
    if plan.fire:
        looks = " that can be retried" if inputs.fire_when is FireWhen.RETRYABLE else ""
        why = {Reason.TARGETS: ": added", Reason.FAILED: ": failed in the last run"}.get(plan.reason, "")
        if plan.reason is Reason.FAILED and all(is_failed_since(plan.results[target.key]) for target in plan.fire):
            why = ": failed since the last run"
        if record is not None and plan.reason is Reason.TRIGGERS:
            why = f": {_changed(plan, record.triggers, inputs.triggers, is_secret)}"
        said.append(f"would fire {_targets(len(plan.fire))}{looks}{why}")
    if record is not None and record.unseen and inputs.reconcile:
        said.append("would look at its targets, which could not be done before, and fire those that have failed")
    if plan.watch:
        said.append(f"would go on waiting for {_targets(len(plan.watch))}")
    said += [f"would not fire {key}: {why}" for key, why in list(plan.blocked.items())[:NAMED]]
    if len(plan.blocked) > NAMED:
        said.append(f"nor {len(plan.blocked) - NAMED} more")
    if plan.reason is Reason.ADOPTED:
        said.append("would adopt what was imported and fire nothing")
    return Forecast("; ".join(said), plan.fire)


def _targets(count: int) -> str:
    return f"{count} target{'s' if count != 1 else ''}"


def _changed(plan: Plan, old: Mapping[str, Any], new: Mapping[str, Any], is_secret: Callable[[str], bool]) -> str:
    def change(name: str) -> str:
        if is_secret(name):
            return f"{name} [secret]"
        before, after = (_shown(values[name]) if name in values else "none" for values in (old, new))
        return f"{name} {before} -> {after}"

    named = [change(name) for name in plan.triggers[:NAMED]]
    if len(plan.triggers) > NAMED:
        named.append(f"{len(plan.triggers) - NAMED} more")
    return f"trigger{'s' if len(plan.triggers) > 1 else ''} {', '.join(named)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, sort_keys=True)
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 3]}..."
