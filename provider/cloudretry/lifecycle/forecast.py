"""What an `up` would do with a resource, in one line for the preview. Calls nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cloudretry.actions import Action
from cloudretry.actions.base import FireWhen
from cloudretry.inputs import given, is_unknown, parse
from cloudretry.record import Record
from cloudretry.run import Plan, Reason, decide

__all__ = ["forecast"]

NAMED = 3


def forecast(
    action: Action[Any], values: Mapping[str, Any], outputs: Mapping[str, Any] | None, now: float, *, interrupted: bool
) -> str:
    """The line, such as "would fire 2 targets: trigger release changed"; empty if nothing would be fired or awaited.

    ``interrupted`` says that the journal has a fire that the outputs do not know: what becomes of it is for the run to
    find out. ``now`` is seconds since the epoch.
    """
    if interrupted:
        return "would take up a fire that was interrupted"
    if is_unknown(given(values)):
        return "would fire" if outputs is None else "would fire if a trigger or a target turns out to have changed"
    record = None if outputs is None else Record.from_outputs(action, outputs)
    inputs = parse(action, values)
    plan = decide(action, record, inputs, now)
    said = []
    if plan.fire:
        looks = " that can be retried" if inputs.fire_when is FireWhen.RETRYABLE else ""
        said.append(f"would fire {_targets(len(plan.fire))}{looks}{_why(plan)}")
    if plan.watch:
        said.append(f"would go on waiting for {_targets(len(plan.watch))}")
    for key, why in list(plan.blocked.items())[:NAMED]:
        said.append(f"would not fire {key}: {why}")
    if plan.reason is Reason.ADOPTED:
        said.append("would adopt what was imported and fire nothing")
    return "; ".join(said)


def _targets(count: int) -> str:
    return f"{count} target{'s' if count != 1 else ''}"


def _why(plan: Plan) -> str:
    if plan.reason is Reason.TRIGGERS:
        names = ", ".join(plan.triggers)
        return f": trigger{'s' if len(plan.triggers) != 1 else ''} {names} changed"
    return {Reason.TARGETS: ": added", Reason.FAILED: ": failed in the last run"}.get(plan.reason, "")
