"""A refused retry is looked at once: in progress is adopted, healthy is skipped, anything else has failed."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from real_engine import Project, Template

from cloudretry.emulator import Emulator

pytestmark = pytest.mark.engine


def test_every_refusal_is_looked_at_once_and_judged(project: Project) -> None:
    project.emulator.set_scenario(
        {
            "pools": [
                {
                    "name": "pool-a",
                    "scopes": [
                        {"scope": "Infer", "state": "Enabled"},
                        {"scope": "Train", "state": "Disabled"},
                        {"scope": "Notebook", "state": "Enabling", "drift": [["Enabled", 12]]},
                    ],
                }
            ],
            "visualizationJobs": [{"id": "10", "state": "RUNNING"}, {"id": "11", "state": "KILLING"}],
            "workspaceJobs": [
                {
                    "id": "task-1",
                    "state": "FAILED",
                    "refuse": {
                        "http": 403,
                        "code": "WKS.0403",
                        "message": "No permission.",
                        "encodedAuthorizationMessage": "ENCODED0123",
                    },
                }
            ],
            "drsJobs": [
                {"id": "healthy", "state": "INCRE_TRANSFER_STARTED"},
                {"id": "starting", "state": "STARTJOBING", "drift": [["FULL_TRANSFER_STARTED", 12]]},
                {"id": "stopped", "state": "RELEASE_RESOURCE_COMPLETE"},
                {"id": "good", "state": "PAUSING", "afterRetry": [["FULL_TRANSFER_STARTED", 0]]},
            ],
            "clusters": [
                {
                    "id": "ehpc-1",
                    "jobs": [{"id": "1.scheduler", "state": "RUNNING"}, {"id": "2.scheduler", "state": "FINISHED"}],
                }
            ],
        }
    )
    jobs = [{"jobId": job} for job in ("healthy", "starting", "stopped", "good")]
    project.declare(
        {
            "infer": {"type": "modelarts:PoolScopeRetry", "inputs": {"poolName": "pool-a", "scope": "Infer"}},
            "train": {"type": "modelarts:PoolScopeRetry", "inputs": {"poolName": "pool-a", "scope": "Train"}},
            "notebook": {"type": "modelarts:PoolScopeRetry", "inputs": {"poolName": "pool-a", "scope": "Notebook"}},
            "running": {"type": "modelarts:VisualizationJobRestart", "inputs": {"jobId": "10"}},
            "ending": {"type": "modelarts:VisualizationJobRestart", "inputs": {"jobId": "11"}},
            "desktop": {"type": "workspace:JobRetry", "inputs": {"jobId": "task-1"}},
            "replication": {"type": "drs:JobBatchRetry", "inputs": {"jobs": jobs}},
            "simulation": {
                "type": "ehpc:JobRerun",
                "inputs": {"clusterId": "ehpc-1", "jobIds": ["1.scheduler", "2.scheduler"]},
                # Without it the times of a job that was not rerun are watched for half a minute.
                "opts": {"customTimeouts": {"create": "5s"}},
            },
        }
    )

    ran = project.up("--continue-on-error", fails=True)

    assert project.statuses() == {
        "infer": "Skipped",
        "train": "Failed",
        "notebook": "Succeeded",
        "running": "Skipped",
        "ending": "Failed",
        "desktop": "Failed",
        "replication": "PartiallyFailed",
        "simulation": "Unknown",
    }
    assert project.newly_fired() == {"good": 1, "1.scheduler": 1}
    called = Counter(project.newly_called())
    assert called["ShowVisualizationJob"] == 2
    assert called["ShowJob"] == 1

    assert project.result("infer", "Infer")["skippedReason"] == "AlreadyRunning"
    assert project.result("running", "10")["skippedReason"] == "AlreadyRunning"
    assert project.result("train", "Train")["cloudStatus"] == "Disabled"
    assert {result["target"]: result["status"] for result in project.outputs("replication")["results"]} == {
        "healthy": "Skipped",
        "starting": "Succeeded",
        "stopped": "Failed",
        "good": "Succeeded",
    }
    assert {result["target"]: result["status"] for result in project.outputs("simulation")["results"]} == {
        "1.scheduler": "Succeeded",
        "2.scheduler": "Unknown",
    }
    for name, words in {
        "train": ("ModelArts.50004000", "scope Train cannot be enabled", "HTTP 400", "request id "),
        "ending": ("ModelArts.0105", "job status: 9", "Restart a job that failed, was stopped or has ended."),
        "desktop": ("WKS.0403", "No permission", "HTTP 403", "decode-authorization-message", "ENCODED0123"),
        "replication": ("DRS.M00304", "RELEASE_RESOURCE_COMPLETE", "stopped"),
        "simulation": ("2.scheduler: PartFailure", "Part of the batch operation failed", "HTTP 409", "FINISHED"),
    }.items():
        # The program of the dynamic front ends with the first that failed; the words of all are in state.
        said = project.said_of(ran, name) if project.front == "plugin" else project.outputs(name)["failure"]
        assert [word for word in words if word not in said] == [], said


@pytest.mark.parametrize("http_status", [200, 400])
def test_a_refused_restart_is_understood_whatever_its_http_status(project: Project, http_status: int) -> None:
    project.emulator.set_scenario(
        {
            "visualizationJobs": [{"id": "10", "state": "RUNNING"}, {"id": "11", "state": "KILLING"}],
            "visualizationRefusalStatus": http_status,
        }
    )
    project.declare(
        {
            "running": {"type": "modelarts:VisualizationJobRestart", "inputs": {"jobId": "10"}},
            "ending": {"type": "modelarts:VisualizationJobRestart", "inputs": {"jobId": "11"}},
        }
    )

    ran = project.up("--continue-on-error", fails=True)

    assert project.statuses() == {"running": "Skipped", "ending": "Failed"}
    said = project.said_of(ran, "ending")
    assert f"ModelArts.0105: This job can't be resubmit. job status: 9 (HTTP {http_status}" in said


def test_two_runners_with_homes_of_their_own_retry_a_job_once(
    tmp_path: Path, template: Template, front: str, emulator: Emulator
) -> None:
    emulator.set_scenario(
        {
            "drsJobs": [
                {
                    "id": "jb1",
                    "state": "FULL_TRANSFER_FAILED",
                    "afterRetry": [["STARTJOBING", 0], ["FULL_TRANSFER_STARTED", 120]],
                }
            ]
        }
    )
    one, other = (Project(tmp_path / name, template, front, emulator) for name in ("one", "other"))
    for project in (one, other):
        project.declare({"orders": {"type": "drs:JobBatchRetry", "inputs": {"jobs": [{"jobId": "jb1"}]}}})

    def fires() -> list[int]:
        return [request.effects for request in emulator.requests("BatchRestoreTask")]

    with one.started("up", "--yes", "--skip-preview") as first:
        first.wait_until(lambda: fires() == [1])
        with other.started("up", "--yes", "--skip-preview") as second:
            second.wait_until(lambda: fires() == [1, 0])
            emulator.set_state("jb1", "FULL_TRANSFER_STARTED")
            adopted = second.ended()
        ran = first.ended()

    assert (ran.code, adopted.code) == (0, 0), ran.text + adopted.text
    assert one.result("orders", "jb1")["status"] == "Succeeded"
    assert other.result("orders", "jb1")["status"] in ("Succeeded", "Skipped")
    assert emulator.target("jb1").times_fired == 1
