"""Why an ``up`` fails, for people."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cloudretry.actions import Action
from cloudretry.actions.base import ActionInputs, OnUnknown
from cloudretry.model import Result, Status, rfc3339
from cloudretry.record import Record
from cloudretry.run import Ran
from cloudretry.run.decide import cool_at

__all__ = ["failure_text", "next_step", "remedy"]

NAMED = 5
"""So many targets are named; the others are in the outputs."""

_BAD = {
    Status.FAILED: "failed",
    Status.IN_PROGRESS: "still in progress",
    Status.UNKNOWN: "with an unknown outcome",
}


def failure_text(action: Action[Any], record: Record, inputs: ActionInputs, ran: Ran, now: float) -> str:
    """What was wrong with each target and what to do next; empty if the ``up`` does not fail.

    ``now`` is seconds since the epoch.
    """
    if not record.unfinished:
        return ""
    bad = [result for result in record.results.values() if result.status in _BAD]
    lines = [
        f"{action.title}: {_counted(record)} (status {record.status.value})",
        *(_sentence(action, result, ran) for result in bad[:NAMED]),
    ]
    if len(bad) > NAMED:
        lines.append(f"and {len(bad) - NAMED} more; all are in the output `results`")
    lines.append(next_step(bad, inputs, now))
    return "\n".join(lines)


def _counted(record: Record) -> str:
    total = len(record.results)
    parts = [
        f"{count} {words}"
        for status, words in _BAD.items()
        if (count := sum(result.status is status for result in record.results.values()))
    ]
    return f"of {total} target{'s' if total != 1 else ''}, {' and '.join(parts)}"


def _sentence(action: Action[Any], result: Result, ran: Ran) -> str:
    words = ": ".join(filter(None, (result.error_code, result.error_message))) or f"it is {result.cloud_status}"
    line = f"- {result.target}: {words.rstrip('.')}."
    if hint := ran.remedies.get(result.target) or remedy(action, result):
        line += f" {hint}"
    if why := ran.blocked.get(result.target):
        line += f" It is not fired now: {why}."
    return line


def remedy(action: Action[Any], result: Result) -> str:
    """What the action's table says of the result's error code; empty if it does not know it."""
    meaning = action.errors.get(result.error_code)
    return f"{meaning.text} {meaning.remedy}".strip() if meaning else ""


def next_step(bad: Sequence[Result], inputs: ActionInputs, now: float) -> str:
    """What the next ``up`` does about these targets, and what the user can do. ``now`` is seconds since the epoch."""
    if any(result.status is Status.IN_PROGRESS for result in bad):
        return "The next `pulumi up` goes on waiting and fires nothing."
    failed = [result for result in bad if result.status is Status.FAILED]
    unknown = [result for result in bad if result.status is Status.UNKNOWN]
    fires_unknown = inputs.on_unknown is OnUnknown.FIRE
    may_fire = [result for result in failed + unknown * fires_unknown if result.attempts < inputs.max_attempts]
    steps = []
    if unknown and not fires_unknown:
        steps.append(
            "The next `pulumi up` looks again and fires nothing that may have been fired already. When you know that "
            "it was not, set onUnknown: fire."
        )
    if may_fire:
        left = max(inputs.max_attempts - result.attempts for result in may_fire)
        which = "what is still unknown" if not failed else "the failed targets again, and only those"
        cool = min(cool_at(inputs, result) for result in may_fire)
        when = f" after {rfc3339(cool)}" if cool > now else ""
        steps.append(f"The next `pulumi up`{when} fires {which} ({left} attempt{'s' if left > 1 else ''} left).")
    elif failed or not steps:
        steps.append("No attempts are left, so nothing is fired: change a trigger or raise maxAttempts to fire again.")
    return " ".join(steps)
