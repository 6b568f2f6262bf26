from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from support.cloud import Timeline
from support.engine import World

DRS = "cloudretry:drs:JobBatchRetry"
EHPC = "cloudretry:ehpc:JobRerun"
POOL = "cloudretry:modelarts:PoolScopeRetry"
VISUALIZATION = "cloudretry:modelarts:VisualizationJobRestart"
WORKSPACE = "cloudretry:workspace:JobRetry"


@dataclass(frozen=True)
class Sample:
    """One resource of an action with one target, and how its retry goes well and badly."""

    token: str
    inputs: dict[str, Any]
    key: str
    failed: str
    good: Timeline
    bad: Timeline | None
    elsewhere: dict[str, Any]
    import_id: str

    @property
    def tells(self) -> bool:
        """Whether its state tells in the end that a fire without an answer had no effect."""
        return self.token not in (EHPC, WORKSPACE)

    def world(self, *timelines: Timeline, **inputs: Any) -> World:
        world = World(self.token, triggers={"release": "1"}, **self.inputs)
        world.program |= inputs
        world.cloud.add(self.key, self.failed, *(timelines or [self.good]))
        return world


SAMPLES = [
    Sample(
        POOL,
        {"poolName": "pool-a1b2", "scope": "Infer"},
        "Infer",
        "EnableFailed",
        [("Enabling", 0), ("Enabled", 20)],
        [("Enabling", 0), ("EnableFailed", 20)],
        {"scope": "Train"},
        "pool-a1b2:Infer",
    ),
    Sample(
        VISUALIZATION,
        {"jobId": "10"},
        "10",
        "FAILED",
        [("WAITING", 0), ("RUNNING", 20)],
        [("WAITING", 0), ("FAILED", 20)],
        {"jobId": "11"},
        "10",
    ),
    Sample(
        WORKSPACE,
        {"jobId": "ws-1"},
        "ws-1",
        "FAILED",
        [("RUNNING", 0), ("SUCCESS", 20)],
        [("RUNNING", 0), ("FAILED", 20)],
        {"jobId": "ws-2"},
        "ws-1",
    ),
    Sample(
        DRS,
        {"jobs": [{"jobId": "jb1"}]},
        "jb1",
        "FULL_TRANSFER_FAILED",
        [("STARTJOBING", 0), ("FULL_TRANSFER_STARTED", 20)],
        [("STARTJOBING", 0), ("START_JOB_FAILED", 20)],
        {"region": "eu-nl"},
        "jb1",
    ),
    Sample(
        EHPC,
        {"clusterId": "ehpc-1", "jobIds": ["1.sched"]},
        "1.sched",
        "RUNNING",
        [("QUEUED", 0), ("RUNNING", 20)],
        None,
        {"clusterId": "ehpc-2"},
        "ehpc-1:1.sched",
    ),
]

GOOD: Timeline = [("STARTJOBING", 0), ("INCRE_TRANSFER_STARTED", 5)]
BAD: Timeline = [("STARTJOBING", 0), ("INCRE_TRANSFER_FAILED", 5)]
STUCK: Timeline = [("STARTJOBING", 0)]


def drs(**jobs: list[Timeline]) -> World:
    """A DRS batch of failed tasks, by the timelines of their retries."""
    world = World(DRS, jobs=[{"jobId": key} for key in jobs], triggers={"release": "1"})
    for key, timelines in jobs.items():
        world.cloud.add(key, "FULL_TRANSFER_FAILED", *timelines)
    return world
