"""From a scenario to rows in the store, and the settings that handlers read back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from cloudretry.emulator import targets
from cloudretry.emulator.scenario import (
    ClusterSpec,
    DrsJobSpec,
    EhpcJobSpec,
    PoolSpec,
    Scenario,
    ScopeSpec,
    TargetSpec,
    VisualizationJobSpec,
    WorkspaceJobSpec,
)
from cloudretry.emulator.store import Transaction

__all__ = ["Options", "is_loaded", "load", "loaded", "options"]

_KINDS: dict[type[TargetSpec], str] = {
    ScopeSpec: targets.POOL_SCOPE,
    VisualizationJobSpec: targets.VISUALIZATION_JOB,
    WorkspaceJobSpec: targets.WORKSPACE_JOB,
    DrsJobSpec: targets.DRS_JOB,
    EhpcJobSpec: targets.EHPC_JOB,
}


@dataclass(frozen=True, slots=True)
class Options:
    """The scenario's settings. ``token_seconds`` is the lifetime of issued tokens."""

    visualization_refusal_status: int
    token_seconds: float


def load(tx: Transaction, scenario: Scenario) -> None:
    """Replace every target, and forget requests and faults. Issued tokens and keys stay good."""
    for table in ("targets", "containers", "projects", "requests", "faults"):
        tx.execute(f"DELETE FROM {table}")  # noqa: S608 - the names above
    tx.set_setting("scenario", scenario.model_dump_json(by_alias=True, exclude_defaults=True))
    tx.set_setting(
        "options",
        json.dumps([scenario.visualization_refusal_status, scenario.token_seconds]),
    )
    tx.executemany("INSERT INTO projects VALUES (?, ?)", iter(scenario.all_projects().items()))
    tx.executemany("INSERT INTO containers VALUES (?, ?, ?, ?, ?)", _containers(scenario))
    targets.add(tx, _targets(scenario, tx.now))


def is_loaded(tx: Transaction) -> bool:
    """Whether the store has ever held a scenario; an empty one counts."""
    return tx.has_setting("scenario")


def loaded(tx: Transaction) -> Scenario:
    """The scenario that was loaded last."""
    return Scenario.model_validate_json(tx.setting("scenario"))


def options(tx: Transaction) -> Options:
    return Options(*json.loads(tx.setting("options")))


def _containers(scenario: Scenario) -> Iterator[tuple[Any, ...]]:
    specs: list[tuple[str, str, str, PoolSpec | ClusterSpec]] = [
        ("pool", scenario.project_id(pool.project), pool.name, pool) for pool in scenario.pools
    ]
    specs += [("cluster", "", cluster.id, cluster) for cluster in scenario.clusters]
    for position, (kind, project, name, spec) in enumerate(specs):
        details = spec.model_dump_json(by_alias=True, exclude_none=True, exclude={"scopes", "jobs", "project"})
        yield kind, project, name, position, details


def _targets(scenario: Scenario, now: float) -> Iterator[tuple[Any, ...]]:
    position = 0
    for _, project, spec, ids in scenario.groups():
        kind = _KINDS[type(spec)]
        is_ehpc = kind == targets.EHPC_JOB
        project_id = "" if is_ehpc else scenario.project_id(project)
        details = spec.details()
        events = json.dumps([(now + after, state) for state, after in details.get("drift", ())])
        details_text = json.dumps(details)
        for target_id in ids:
            position += 1
            container = _container_of(kind, target_id)
            yield kind, project_id, target_id, container, position, spec.word(spec.state), events, details_text


def _container_of(kind: str, target_id: str) -> str:
    if kind == targets.POOL_SCOPE:
        return target_id.rpartition(":")[0]
    return target_id.partition("/")[0] if kind == targets.EHPC_JOB else ""
