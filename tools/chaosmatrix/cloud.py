"""The cloud of one run: an emulator with the targets of one action, and what it counted."""

from __future__ import annotations

import json
import re
import time
import urllib.request
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudretry.actions import ACTIONS
from cloudretry.emulator import Emulator

__all__ = ["RESOURCES", "Cloud", "Kind", "Targets", "key_of"]

QUICK = 0.15
"""Seconds from a fire until its target is well, where nothing holds it."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One action as the matrix uses it: what the program declares, and the words of its states."""

    token: str
    inputs: Mapping[str, Any]
    targets: tuple[str, ...]
    at_first: str
    moving: str
    well: str
    container: str = ""
    """The property that names the pool or cluster."""
    containers: tuple[str, ...] = ("",)
    """Two of these that each have the same targets."""
    listed: str = ""
    """The property that lists the targets, where it takes several."""

    def inputs_for(self, container: str, keys: Sequence[str]) -> dict[str, Any]:
        """The inputs for these targets there."""
        inputs = dict(self.inputs)
        if self.container:
            inputs[self.container] = container
        if self.listed:
            inputs[self.listed] = [{"jobId": key} for key in keys] if self.listed == "jobs" else list(keys)
        return inputs

    def id_of(self, container: str, key: str) -> str:
        """A target as the emulator names it."""
        return f"{container}{':' if self.container == 'poolName' else '/'}{key}" if container else key

    @property
    def fires(self) -> str:
        return ACTIONS[self.token].fires.name

    @property
    def looks(self) -> str:
        return ACTIONS[self.token].looks.name

    @property
    def stamped(self) -> bool:
        """Only a job's times tell that a retry took hold."""
        return ACTIONS[self.token].stamped

    @property
    def may_stay_unknown(self) -> bool:
        """Whether its state may not tell what became of a fire without an answer."""
        return self.stamped or ACTIONS[self.token].returns_handle


RESOURCES: Mapping[str, Kind] = {
    "pool": Kind(
        "cloudretry:modelarts:PoolScopeRetry",
        {"poolName": "pool-a", "scope": "Infer"},
        ("Infer",),
        "EnableFailed",
        "Enabling",
        "Enabled",
        "poolName",
        ("pool-a", "pool-b"),
    ),
    "visualization": Kind("cloudretry:modelarts:VisualizationJobRestart", {"jobId": "10"}, ("10",), "11", "4", "8"),
    "desktop": Kind("cloudretry:workspace:JobRetry", {"jobId": "task-1"}, ("task-1",), "FAILED", "RUNNING", "SUCCESS"),
    "replication": Kind(
        "cloudretry:drs:JobBatchRetry",
        {"jobs": [{"jobId": "jb1"}, {"jobId": "jb2"}]},
        ("jb1", "jb2"),
        "FULL_TRANSFER_FAILED",
        "STARTJOBING",
        "FULL_TRANSFER_STARTED",
        listed="jobs",
    ),
    "simulation": Kind(
        "cloudretry:ehpc:JobRerun",
        {"clusterId": "ehpc-1", "jobIds": ["1.scheduler", "2.scheduler"]},
        ("1.scheduler", "2.scheduler"),
        "RUNNING",
        "QUEUED",
        "RUNNING",
        "clusterId",
        ("ehpc-1", "ehpc-2"),
        "jobIds",
    ),
}


@dataclass(frozen=True, slots=True)
class Targets:
    """How the targets behave. ``quick_first`` fires are soon well; later ones too, unless they are ``held``.

    ``stale`` is how many seconds a status call lags behind. ``refused`` names a target that is refused once.
    """

    quick_first: int = 0
    held: bool = False
    stale: float = 0.0
    new_id: bool = False
    refused: str = ""


def key_of(identifier: str) -> str:
    """A target as the state names it, from the emulator's id: without its pool or cluster."""
    return re.split("[/:]", identifier)[-1]


class Cloud:
    """An emulator that runs until :meth:`close`. Counts begin anew at each :meth:`mark`."""

    def __init__(self, action: str, behave: Targets, name: str = "") -> None:
        self.name = name
        self.kind = RESOURCES[action]
        self.behave = behave
        self.emulator = Emulator(_scenario(action, self.kind, behave))
        self.emulator.start()
        self._marked = 0
        self._counted: Counter[str] = Counter()

    def close(self) -> None:
        self.emulator.stop()

    def mark(self) -> None:
        """Count from here."""
        self._marked = max((request.number for request in self.emulator.requests()), default=0)
        self._counted = self._all_effects()

    def count(self, target: str) -> int:
        """How often a retry took hold on a target, from the beginning."""
        return next(seen.times_fired for seen in self.emulator.targets() if seen.id == target)

    def last_request(self) -> int:
        """The number of the last request."""
        return max((request.number for request in self.emulator.requests()), default=0)

    def wait_until_quiet(self) -> None:
        """Let the requests that fire and are on their way come to their end."""
        deadline = time.monotonic() + 10.0
        while self.flying() > 0 and time.monotonic() < deadline:
            time.sleep(0.05)

    def flying(self) -> int:
        """How many requests that fire have met a fault and are not dealt with yet."""
        return self.fire_hits() - sum(fire.fault for fire in self.emulator.requests(self.kind.fires))

    def effects(self) -> Counter[str]:
        """How often a retry took hold on each target since the mark."""
        newly = self._all_effects() - self._counted
        return Counter({target: newly[target] for target in self.kind.targets})

    def fires(self) -> list[Any]:
        """The requests that fire since the mark, as far as the emulator has dealt with them."""
        return [request for request in self.emulator.requests(self.kind.fires) if request.number > self._marked]

    def looks(self) -> int:
        """How many status calls it has answered since the mark."""
        return sum(request.number > self._marked for request in self.emulator.requests(self.kind.looks))

    def new_id(self, target: str) -> str:
        """The id under which the retry of a target goes on, if it is another one."""
        others = [seen.id for seen in self.emulator.targets() if key_of(seen.id) not in self.kind.targets]
        return others[-1] if self.behave.new_id and others else target

    def hits(self) -> dict[int, int]:
        """How many requests each fault has met, those among them that still wait."""
        return {fault["number"]: fault["hits"] for fault in self._faults()}

    def fire_hits(self) -> int:
        """How many requests that fire have met a fault."""
        return sum(fault["hits"] for fault in self._faults() if fault["operation"] == self.kind.fires)

    def _faults(self) -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.emulator.url}/_emulator/faults", timeout=30) as answer:
            faults: list[dict[str, Any]] = json.load(answer)["faults"]
        return faults

    def release(self) -> None:
        """Let what is in progress be well."""
        for target in self.emulator.targets():
            if not self.kind.stamped and target.state == self.kind.moving:
                self.emulator.set_state(target.id, self.kind.well, kind=target.kind)

    def fail_again(self, targets: Collection[str] = ()) -> None:
        """Put these targets, or all, back into a state from which they can be retried."""
        for target in self.emulator.targets():
            if not targets or target.id in targets:
                self.emulator.set_state(target.id, self.kind.at_first, kind=target.kind)

    def _all_effects(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for seen in self.emulator.targets():
            found[key_of(seen.id)] += seen.times_fired
        return found


def _scenario(action: str, kind: Kind, behave: Targets) -> dict[str, Any]:
    quick = [[kind.moving, 0], [kind.well, QUICK]]
    last = [[kind.moving, 0]] if behave.held and not kind.stamped else quick
    common: dict[str, Any] = {
        "state": kind.at_first,
        "afterRetry": [*[quick] * behave.quick_first, last],
        "staleSeconds": behave.stale,
    }

    def target(name: str, **fields: Any) -> dict[str, Any]:
        refuse = {"refuse": {"code": "Chaos.Refused", "message": "Not now.", "http": 400, "times": 1}}
        return {**common, **fields, **(refuse if behave.refused == key_of(name) else {})}

    if action == "pool":
        scopes = [target("pool-a:Infer", scope="Infer")]
        return {"pools": [{"name": name, "scopes": scopes} for name in kind.containers]}
    jobs = [target(name, id=name) for name in kind.targets]
    if action == "desktop":
        return {"workspaceJobs": [{**job, "newJobId": behave.new_id} for job in jobs]}
    if action == "simulation":
        return {"clusters": [{"id": name, "jobs": jobs} for name in kind.containers]}
    return {{"visualization": "visualizationJobs", "replication": "drsJobs"}[action]: jobs}
