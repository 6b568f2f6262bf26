"""What a resource's outputs remember: the one place that knows their form.

A diff compares new inputs with this record, never with the old inputs: after a run that failed in part the engine
keeps the old inputs, though the new triggers were fired.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cloudretry.actions import Action
from cloudretry.actions.base import SuccessPolicy
from cloudretry.errors import CloudRetryError
from cloudretry.model import Place, Result, Status, rfc3339

__all__ = [
    "ALREADY_RUNNING",
    "HISTORY_LENGTH",
    "LIFE",
    "NAMED_FAILURES",
    "OWN_OUTPUTS",
    "UNFINISHED",
    "UNSEEN",
    "Record",
    "history_entry",
    "is_satisfied",
    "verdict",
]

HISTORY_LENGTH = 20
NAMED_FAILURES = 20

ALREADY_RUNNING = "AlreadyRunning"
"""Why a target that is healthy was skipped."""

PLACE = ("region", "projectId")

OWN_OUTPUTS = frozenset({"status", "generation", "firedAt", "fireIds", "requestIds", "emulator", "results", "history"})
"""The outputs that a run makes; the others repeat inputs or are an action's own."""

LIFE = "__life"
"""The hidden output that tells one life of a resource from the next, and how often that has fired."""

UNSEEN = "__unseen"
"""The hidden output of a resource with ``reconcile`` that a refresh could not look at."""

UNFINISHED = frozenset({Status.FAILED, Status.PARTIALLY_FAILED, Status.IN_PROGRESS, Status.UNKNOWN})
"""Verdicts that leave work for the next ``up``."""


@dataclass(frozen=True, slots=True)
class Record:
    """What was fired and what came of it.

    ``inputs`` are the inputs as last recorded, triggers among them: those that were *fired*, or adopted. The region and
    the project are not among them, whether they were set or inherited: they are the ``place``. ``adopted`` is false
    from an import until the first ``up``. ``life`` is this life of the resource, whatever it is called; ``run`` counts
    the runs of it that fired or took a fire up, so that the ledger knows which fires the state cannot hold.
    """

    inputs: Mapping[str, Any]
    place: Place
    status: Status
    generation: int
    results: Mapping[str, Result]
    fired_at: str | None = None
    fire_ids: tuple[str, ...] = ()
    request_ids: tuple[str, ...] = ()
    emulator: bool = False
    history: tuple[Mapping[str, Any], ...] = field(default=())
    life: str = ""
    run: int = 0
    unseen: bool = False

    @property
    def triggers(self) -> Mapping[str, Any]:
        return self.inputs.get("triggers") or {}

    @property
    def adopted(self) -> bool:
        return self.generation > 0 or "triggers" in self.inputs

    @property
    def unfinished(self) -> bool:
        return self.status in UNFINISHED

    def to_outputs(self, action: Action[Any]) -> dict[str, Any]:
        """The outputs of the resource; names that say nothing are left out."""
        results = [result.to_state() for result in self.results.values()]
        place = {"region": self.place.region, "projectId": self.place.project_id}
        outputs = {
            **self.inputs,
            **{name: value for name, value in place.items() if value},
            "status": self.status.value,
            "generation": self.generation,
            "firedAt": self.fired_at,
            "fireIds": list(self.fire_ids),
            "requestIds": list(self.request_ids),
            "emulator": self.emulator,
            "results": results,
            "history": [dict(run) for run in self.history],
            LIFE: f"{self.life}/{self.run}" if self.life else None,
            UNSEEN: True if self.unseen else None,
            **action.outputs(results),
        }
        return {name: value for name, value in outputs.items() if value is not None}

    @classmethod
    def from_outputs(cls, action: Action[Any], outputs: Mapping[str, Any]) -> Record:
        """The record in a resource's outputs.

        :raises CloudRetryError: they are not what :meth:`to_outputs` makes.
        """
        try:
            return cls._read(action, outputs)
        except (AttributeError, KeyError, OverflowError, TypeError, ValueError):
            raise CloudRetryError(
                "the resource's state is not what the provider writes, so it does not say what was fired. If it was "
                "edited, put it right, or remove the resource from the state and import it, which fires nothing"
            ) from None

    @classmethod
    def _read(cls, action: Action[Any], outputs: Mapping[str, Any]) -> Record:
        inputs = {
            name: outputs[name]
            for name in (
                model_field.alias or python_name for python_name, model_field in action.inputs.model_fields.items()
            )
            if name not in PLACE and outputs.get(name) is not None
        }
        if action.target_list is not None:
            name, key = action.target_list
            _items(inputs, name, Mapping if key else str)
        if not isinstance(inputs.get("triggers", {}), Mapping):
            raise TypeError("triggers")
        results = [Result.from_state(item) for item in _items(outputs, "results", Mapping)]
        region, project_id = (str(outputs.get(name) or "") for name in PLACE)
        place = Place(region, project_id, str(inputs.get(action.container_property, "")))
        life, _, run = str(outputs.get(LIFE) or _life_of_old(outputs)).partition("/")
        return cls(
            inputs=inputs,
            place=place,
            status=Status(outputs["status"]),
            generation=int(outputs["generation"]),
            results={result.target: result for result in results},
            fired_at=outputs.get("firedAt"),
            fire_ids=tuple(_items(outputs, "fireIds", str)),
            request_ids=tuple(_items(outputs, "requestIds", str)),
            emulator=bool(outputs.get("emulator")),
            history=tuple(_items(outputs, "history", Mapping)),
            life=life,
            unseen=bool(outputs.get(UNSEEN)),
            run=int(run),
        )


def _items(outputs: Mapping[str, Any], name: str, kind: type) -> Sequence[Any]:
    items = outputs.get(name) or ()
    if not isinstance(items, list | tuple) or not all(isinstance(item, kind) for item in items):
        raise TypeError(name)
    return items


def _life_of_old(outputs: Mapping[str, Any]) -> str:
    """The life of a resource whose state is of a version that did not record one: the same as long as that state is."""
    known = [outputs.get("fireIds") or (), outputs.get("firedAt"), (outputs.get("history") or ())[:1]]
    return f"{hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:16]}/0"


def is_satisfied(results: Iterable[Result], policy: SuccessPolicy, *, wait: bool = True) -> bool:
    """Whether the policy ``any`` has the one target that it wants: one that succeeded or needed no retry.

    Without ``wait``, a target that was accepted is as good as it gets.
    """
    good = {Status.SUCCEEDED} if wait else {Status.SUCCEEDED, Status.ACCEPTED}
    return policy is SuccessPolicy.ANY and any(
        result.status in good or result.skipped_reason == ALREADY_RUNNING for result in results
    )


def verdict(results: Iterable[Result], policy: SuccessPolicy = SuccessPolicy.ALL, *, wait: bool = True) -> Status:
    """The verdict of a run on all its targets: what is still open comes before what failed."""
    known = list(results)
    count = Counter(result.status for result in known)
    good = count[Status.SUCCEEDED] + count[Status.SKIPPED] + count[Status.ACCEPTED]
    if is_satisfied(known, policy, wait=wait):
        return next(status for status in (Status.SUCCEEDED, Status.ACCEPTED, Status.SKIPPED) if count[status])
    for open_status in (Status.IN_PROGRESS, Status.UNKNOWN):
        if count[open_status]:
            return open_status
    if count[Status.FAILED]:
        return Status.PARTIALLY_FAILED if good else Status.FAILED
    for status in (Status.ACCEPTED, Status.SUCCEEDED):
        if count[status]:
            return status
    return Status.SKIPPED


def history_entry(
    *,
    at: float,
    reason: str,
    generation: int,
    triggers: Sequence[str],
    fired: int,
    results: Iterable[Result],
    status: Status,
    request_ids: Sequence[str],
) -> dict[str, Any]:
    """One run, in short. Triggers are named, never valued: a value may be secret."""
    all_results = list(results)
    failed = [result.target for result in all_results if result.status is Status.FAILED]
    entry: dict[str, Any] = {
        "at": rfc3339(at),
        "reason": reason,
        "generation": generation,
        "fired": fired,
        "status": status.value,
        "outcomes": dict(sorted(Counter(result.status.value for result in all_results).items())),
    }
    if triggers:
        entry["triggers"] = list(triggers)
    if failed:
        entry["failedTargets"] = failed[:NAMED_FAILURES]
    if request_ids:
        entry["requestIds"] = list(request_ids[:NAMED_FAILURES])
    return entry
