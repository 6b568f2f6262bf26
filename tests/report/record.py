"""Record the exports that the tests and docs/report.md tell of: `python tests/report/record.py`.

Two stacks of one project on the real engine and the emulator: `prod` with the plugin, where some retries fail, and
`staging` with the dynamic classes. Needs what `make setup` makes.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

sys.path += [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "upgrade")]

from recording import machine_paths, redacted

from cloudretry.emulator import Emulator
from cloudretry.plugin.install import install
from support.pulumi_cli import Stack

RECORDED = Path(__file__).with_name("recorded")

PROD = """
import pulumi
import pulumi_cloudretry as cloudretry

config = pulumi.Config()
triggers = {"release": config.require("release"), "ticket": config.require_secret("ticket")}
task = config.require_secret("task")

cloudretry.drs.JobBatchRetry("orders", jobs=[{"job_id": f"jb{n}"} for n in (101, 102, 103)], triggers=triggers)
cloudretry.workspace.JobRetry("desktop", job_id=task, triggers=triggers, max_attempts=2)
cloudretry.modelarts.PoolScopeRetry("inference", pool_name="pool-a", scope="Infer", triggers=triggers)
cloudretry.modelarts.VisualizationJobRestart("board", job_id="10", triggers=triggers)
cloudretry.ehpc.JobRerun("simulation", cluster_id="ehpc-1", job_ids=["1.scheduler", "2.scheduler"])
"""

STAGING = """
import pulumi
from pulumi_cloudretry import dynamic as cloudretry

config = pulumi.Config()
triggers = {"release": config.require("release"), "ticket": config.require_secret("ticket")}

cloudretry.JobBatchRetry("orders", jobs=[{"job_id": "jb201"}], triggers=triggers)
cloudretry.JobRetry("desktop", job_id=config.require_secret("task"), triggers=triggers)
"""


def drs_job(name: str, *ends: str) -> Mapping[str, Any]:
    """A job that ends in one state after the other, one after each retry."""
    return {
        "id": name,
        "state": "FULL_TRANSFER_FAILED",
        "failedReason": "The source database closed the connection.",
        "afterRetry": [[["STARTJOBING", 0], [end, 0.5]] for end in ends],
    }


GOOD, BAD = "FULL_TRANSFER_STARTED", "FULL_TRANSFER_FAILED"

SCENARIO: Mapping[str, Any] = {
    "drsJobs": [
        drs_job("jb101", GOOD),
        drs_job("jb102", BAD, GOOD, BAD),
        drs_job("jb103", GOOD),
        drs_job("jb201", GOOD),
    ],
    "workspaceJobs": [
        {
            "id": "task-7",
            "state": "FAILED",
            "errorCode": "WKS.0500",
            "failReason": "The directory service did not answer.",
            "afterRetry": [["RUNNING", 0], ["FAILED", 0.5]],
        },
        {"id": "task-8", "state": "FAILED", "afterRetry": [["RUNNING", 0], ["SUCCESS", 0.5]]},
    ],
    "pools": [
        {
            "name": "pool-a",
            "scopes": [{"scope": "Infer", "state": "EnableFailed", "afterRetry": [["Enabling", 0], ["Enabled", 0.5]]}],
        }
    ],
    "visualizationJobs": [{"id": 10, "state": "RUNNING"}],
    "clusters": [
        {"id": "ehpc-1", "jobs": [{"count": 2, "state": "RUNNING", "afterRetry": [["QUEUED", 0], ["RUNNING", 0.5]]}]}
    ],
}


def stack(folder: Path, name: str, program: str, task: str, emulator: Emulator) -> Stack:
    project = folder / "program"
    project.mkdir(parents=True)
    (project / "Pulumi.yaml").write_text("name: shop\nruntime: python\n", encoding="utf-8")
    (project / "__main__.py").write_text(program, encoding="utf-8")
    made = Stack(folder, project)
    made.environment["CLOUDRETRY_EMULATOR"] = emulator.url
    install(made.home)
    made.run("stack", "init", name)
    made.run("config", "set", "--secret", "ticket", "OPS-7741")
    made.run("config", "set", "--secret", "task", task)
    made.run("config", "set", "release", "2026.11")
    return made


def prod(folder: Path, emulator: Emulator) -> Stack:
    """A create that fails in part, a repair that does not repair all, and a new release that fails in part."""
    made = stack(folder, "prod", PROD, "task-7", emulator)
    made.up("--continue-on-error", fails=True)
    made.up("--continue-on-error", fails=True)
    for target in emulator.targets("drsJob"):
        emulator.set_state(target.id, BAD)
    made.run("config", "set", "release", "2026.12")
    made.up("--continue-on-error", fails=True)
    return made


def staging(folder: Path, emulator: Emulator) -> Stack:
    made = stack(folder, "staging", STAGING, "task-8", emulator)
    made.up()
    return made


def record(name: str, play: Callable[[Path, Emulator], Stack]) -> None:
    with tempfile.TemporaryDirectory() as place, Emulator(SCENARIO) as emulator:
        exported = json.loads(play(Path(place), emulator).run("stack", "export"))
    text = json.dumps(redacted(exported), indent=2) + "\n"
    assert not machine_paths(text), machine_paths(text)
    assert "task-7" not in text
    RECORDED.mkdir(exist_ok=True)
    (RECORDED / f"{name}.json").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    record("prod", prod)
    record("staging", staging)
