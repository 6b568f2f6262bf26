"""What a report tells, whatever its form: the retries of a stack, their runs and their targets."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cached_property
from typing import Any

from cloudretry.actions import Action
from cloudretry.model import Result, Status, rfc3339
from cloudretry.record import UNFINISHED

__all__ = ["HIDDEN", "OPEN", "Note", "Report", "Retry", "Run", "Unreadable", "headline", "said", "time_text"]

HIDDEN = "[secret]"
"""What stands for a value that is secret in the state."""

OPEN = (Status.FAILED, Status.UNKNOWN, Status.IN_PROGRESS)
"""What a target can be that wants somebody's eye."""

_VERDICTS = (
    ((Status.FAILED, Status.PARTIALLY_FAILED), "failed"),
    ((Status.UNKNOWN,), "with an unknown outcome"),
    ((Status.IN_PROGRESS,), "still in progress"),
)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a resource, as its history has it. ``at`` is when it began, in seconds since the epoch."""

    at: float
    reason: str
    generation: int
    fired: int
    status: Status
    outcomes: Mapping[str, int]
    triggers: tuple[str, ...] = ()
    failed_targets: tuple[str, ...] = ()
    request_ids: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """The reason, and the triggers if they are it: a create names all that there are."""
        return f"{self.reason}: {', '.join(self.triggers)}" if self.reason == "triggers" else self.reason

    def to_json(self) -> dict[str, Any]:
        return {
            "at": rfc3339(self.at),
            "reason": self.reason,
            "triggers": list(self.triggers),
            "generation": self.generation,
            "fired": self.fired,
            "status": self.status.value,
            "outcomes": dict(self.outcomes),
            "failedTargets": list(self.failed_targets),
            "requestIds": list(self.request_ids),
        }


@dataclass(frozen=True)
class Retry:
    """One resource. ``front`` is ``plugin`` or ``dynamic``.

    ``steps`` says, by the place of a result, what comes next for its target. ``hidden`` says that the whole of its
    results is a secret. ``problem`` is why its last ``up`` did not even begin to fire, where the state keeps that.
    """

    urn: str
    name: str
    action: Action[Any]
    front: str
    status: Status
    generation: int
    results: tuple[Result, ...]
    runs: tuple[Run, ...]
    fired_at: str | None = None
    fire_ids: tuple[str, ...] = ()
    request_ids: tuple[str, ...] = ()
    emulator: bool = False
    steps: Mapping[int, str] = field(default_factory=dict)
    hidden: bool = False
    problem: str = ""

    @property
    def token(self) -> str:
        return self.action.token

    @property
    def is_unfinished(self) -> bool:
        """Whether something failed, is still in progress or is not known."""
        return self.status in UNFINISHED

    @property
    def last_run(self) -> Run | None:
        return self.runs[-1] if self.runs else None

    @property
    def why(self) -> str:
        """Why the last run was."""
        if self.last_run is not None:
            return self.last_run.why
        return "imported, not fired since" if self.generation == 0 else "not known"

    @cached_property
    def outcomes(self) -> dict[str, int]:
        """How many targets ended with which status."""
        return dict(sorted(Counter(result.status.value for result in self.results).items()))

    @property
    def targets(self) -> str:
        """The same in words: ``1 Failed, 2 Succeeded``."""
        counted = ", ".join(f"{count} {status}" for status, count in self.outcomes.items())
        return counted or (HIDDEN if self.hidden else "none")

    @property
    def open_results(self) -> list[tuple[Result, str]]:
        """The results that want somebody's eye, each with what comes next."""
        return [
            (result, self.steps.get(place, "")) for place, result in enumerate(self.results) if result.status in OPEN
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "urn": self.urn,
            "action": self.token,
            "front": self.front,
            "status": self.status.value,
            "generation": self.generation,
            "firedAt": self.fired_at,
            "emulator": self.emulator,
            "fireIds": list(self.fire_ids),
            "requestIds": list(self.request_ids),
            "outcomes": self.outcomes,
            "results": [
                result.to_state() | ({"nextStep": self.steps[place]} if place in self.steps else {})
                for place, result in enumerate(self.results)
            ],
            "history": [run.to_json() for run in self.runs],
            **({"problem": self.problem} if self.problem else {}),
        }


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence that no table has a place for, with the names of resources in it."""

    before: str
    names: tuple[str, ...] = ()
    after: str = ""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A resource whose outputs this version cannot read, and why."""

    name: str
    words: str


@dataclass(frozen=True, slots=True)
class Report:
    """One stack at the moment ``at`` (RFC 3339), as far as its state says when that was.

    ``interrupted`` names the resources that the engine was at work on when it was cut off. ``left_out`` are those that
    did not run in the time that was asked for.
    """

    stack: str
    project: str = ""
    at: str = ""
    retries: tuple[Retry, ...] = ()
    unreadable: tuple[Unreadable, ...] = ()
    interrupted: tuple[str, ...] = ()
    left_out: tuple[Retry, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.project}/{self.stack}" if self.project else self.stack

    @property
    def has_failed(self) -> bool:
        """Whether a retry failed, is still in progress, or what became of it is not known."""
        return bool(self.unreadable or self.interrupted) or any(retry.is_unfinished for retry in self.retries)

    @property
    def notes(self) -> list[Note]:
        """What is to be said beside the tables."""
        notes = [Note("", (one.name,), f" cannot be read: {one.words}.") for one in self.unreadable]
        notes += [
            Note("The last up of ", (retry.name,), f" fired nothing: {retry.problem}")
            for retry in self.retries
            if retry.problem
        ]
        if self.interrupted:
            then = "; what was fired then is in the journal, and the next up takes it up."
            notes.append(Note("The engine was cut off while it worked on ", self.interrupted, then))
        if emulated := tuple(retry.name for retry in self.retries if retry.emulator):
            notes.append(Note("On the emulator, so no cloud was called: ", emulated, "."))
        if self.left_out:
            unfinished = sum(retry.is_unfinished for retry in self.left_out)
            worse = f" ({unfinished} of them failed or not settled)" if unfinished else ""
            names = tuple(retry.name for retry in self.left_out)
            notes.append(Note("Left out, because they did not run in that time: ", names, f"{worse}."))
        return notes

    def worst_first(self) -> list[Retry]:
        """The retries, those that want somebody's eye before the others."""
        return sorted(self.retries, key=lambda retry: not retry.is_unfinished)

    def since(self, moment: float) -> Report:
        """Only what ran at this moment, in seconds since the epoch, or later."""
        kept, left_out = [], []
        for retry in self.retries:
            runs = tuple(run for run in retry.runs if run.at >= moment)
            if runs:
                kept.append(replace(retry, runs=runs))
            else:
                left_out.append(retry)
        return replace(self, retries=tuple(kept), left_out=(*self.left_out, *left_out))

    def to_json(self) -> dict[str, Any]:
        return {
            "stack": self.stack,
            "project": self.project,
            "at": self.at,
            "ok": not self.has_failed,
            "verdict": headline([self]),
            "resources": [retry.to_json() for retry in self.retries],
            "unreadable": [{"name": one.name, "why": one.words} for one in self.unreadable],
            "interrupted": list(self.interrupted),
            "leftOut": [retry.name for retry in self.left_out],
        }


def headline(reports: Sequence[Report]) -> str:
    """The verdict in words: ``of 3 resources, 1 failed``."""
    retries = [retry for report in reports for retry in report.retries]
    known = {(report.name, retry.name) for report in reports for retry in report.retries}
    interrupted = {(report.name, name) for report in reports for name in report.interrupted}
    unreadable = sum(len(report.unreadable) for report in reports)
    total = len(retries) + unreadable + len(interrupted - known)
    if not total:
        return "no retries in that time" if any(report.left_out for report in reports) else "no retries"
    counts = {words: sum(retry.status in statuses for retry in retries) for statuses, words in _VERDICTS}
    counts |= {"cut off": len(interrupted), "that cannot be read": unreadable}
    found = [f"{count} {words}" for words, count in counts.items() if count]
    resources = f"{total} resource{'s' if total != 1 else ''}"
    return f"of {resources}, {', '.join(found)}" if found else f"nothing failed in {resources}"


def said(result: Result) -> str:
    """What the cloud said of a target, or what was last seen of it; empty if there is neither."""
    return result.error_message or (f"it is {result.cloud_status}" if result.cloud_status else "")


def time_text(seconds: float, form: str) -> str:
    """A time in UTC, in a form of ``strftime``."""
    return datetime.fromtimestamp(seconds, UTC).strftime(form)
