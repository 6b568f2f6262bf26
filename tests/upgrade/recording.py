"""What a recorded state is of: the same five retries in every recording, and the clouds before and after them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from support.pulumi_cli import Stack

RECORDED = Path(__file__).with_name("recorded")

PROGRAM = '''"""The five retries, with every kind of trigger and some settings."""

import pulumi
import pulumi_cloudretry as cloudretry

triggers = {"release": "1", "count": 2, "nested": {"list": [1, True, "a"]}, "hidden": pulumi.Output.secret("value")}

cloudretry.modelarts.PoolScopeRetry("pool", pool_name="pool-a", scope="Infer", triggers=triggers)
cloudretry.modelarts.VisualizationJobRestart("visualization", job_id="10", triggers=triggers, cooldown="1m")
cloudretry.workspace.JobRetry("desktop", job_id="task-1", triggers=triggers, fire_when="retryable")
cloudretry.drs.JobBatchRetry(
    "replication", jobs=[{"job_id": "jb1"}, {"job_id": "jb2"}], language="en-us", success_policy="any"
)
cloudretry.ehpc.JobRerun("simulation", cluster_id="ehpc-1", job_ids=["1.scheduler", "2.scheduler"], max_attempts=5)
'''


def scenario(*, retried: bool) -> Mapping[str, Any]:
    """The clouds before the retries, or as they left them."""

    def job(failed: str, good: str) -> dict[str, Any]:
        return {"state": good if retried else failed, "afterRetry": [[good, 0]]}

    workspace = [{"id": "task-1", "newJobId": "task-2", **job("FAILED", "SUCCESS")}]
    return {
        "pools": [{"name": "pool-a", "scopes": [{"scope": "Infer", **job("EnableFailed", "Enabled")}]}],
        "visualizationJobs": [{"id": "10", **job("FAILED", "RUNNING")}],
        "workspaceJobs": [*workspace, *([{"id": "task-2", "state": "SUCCESS"}] if retried else [])],
        "drsJobs": [{"count": 2, "idFormat": "jb{n}", **job("FULL_TRANSFER_FAILED", "FULL_TRANSFER_STARTED")}],
        "clusters": [{"id": "ehpc-1", "jobs": [{"count": 2, **job("RUNNING", "RUNNING")}]}],
    }


def stack(folder: Path, program: str, emulator_url: str) -> Stack:
    """A stack of the program. The emulator is named by the environment, so that no address gets into the state."""
    project = folder / "program"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: recorded\nruntime: python\n", encoding="utf-8")
    (project / "__main__.py").write_text(program, encoding="utf-8")
    made = Stack(folder, project)
    made.environment["CLOUDRETRY_EMULATOR"] = emulator_url
    return made


def redacted(exported: Mapping[str, Any]) -> dict[str, Any]:
    """The state without what tells of the machine that it was recorded on."""
    deployment = dict(exported["deployment"])
    deployment["manifest"] = {"time": deployment["manifest"]["time"], "magic": "", "version": ""}
    deployment.pop("secrets_providers", None)
    dropped = ("sourcePosition", "stackTrace", "created", "modified")
    deployment["resources"] = [
        {name: value for name, value in resource.items() if name not in dropped} for resource in deployment["resources"]
    ]
    return {"version": exported["version"], "deployment": deployment}


def machine_paths(text: str) -> list[str]:
    """What looks like the path of a file on a machine."""
    return re.findall(r'"(?:file://)?/[^"/]+/[^"]*"', text)
