"""Workspace: retry a failed registration or deregistration task."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from cloudretry.actions.base import (
    Action,
    HuaweicloudInputs,
    Permission,
    answered,
    message_of,
    name_of,
    read_object,
    unlike,
)
from cloudretry.errors import NoAnswer
from cloudretry.model import (
    Answer,
    Call,
    Cloud,
    FireOutcome,
    Meaning,
    Observation,
    Place,
    Reply,
    Request,
    State,
    StateClass,
    Target,
)
from cloudretry.operation import Operation

__all__ = ["WorkspaceJobRetry", "WorkspaceJobRetryInputs"]

_REFERENCE = "Workspace API reference"

JOB_ID = "[A-Za-z0-9_-]{1,64}"

RETRYABLE_TYPES = frozenset({"applyWorkspace", "cancelWorkspace"})


class WorkspaceJobRetryInputs(HuaweicloudInputs):
    """Inputs of a Workspace task retry."""

    job_id: Annotated[str, Field(pattern=f"^{JOB_ID}$")] = Field(description="Id of the failed task.")


class WorkspaceJobRetry(Action[WorkspaceJobRetryInputs]):
    """Retry a failed Workspace task. Only registration and deregistration tasks can be retried.

    Where the sources differ: the example of the API text answers with another job id than it was asked for, so the
    returned id is watched (``retryJobId``), and the requested one where the returned one is not known. When the answer
    is lost, a requested task that is still failed tells nothing, so the target stays ``Unknown``. The states of
    a task are not enumerated: ``FAIL`` and ``FAILED`` are both taken for failed, ``SUCCESS`` for succeeded,
    ``COMPLETE`` for succeeded when no sub-task failed, anything else for in progress. The task itself is asked, not
    its sub-tasks: registration tasks may have none.
    """

    token = "cloudretry:workspace:JobRetry"  # noqa: S105
    title = "Workspace task retry"
    cloud = Cloud.HUAWEICLOUD
    source = f"{_REFERENCE}, Retrying a Task (RunActionsOnWorkspaceJob)"
    inputs = WorkspaceJobRetryInputs
    fires = Operation(
        "RunActionsOnWorkspaceJob", "workspace", "POST", "/v2/{project_id}/workspace-jobs/{job_id}/actions"
    )
    looks = Operation("ShowJob", "workspace", "GET", "/v2/{project_id}/workspace-jobs/{job_id}")
    permissions: ClassVar[Mapping[str, Permission]] = {
        "RunActionsOnWorkspaceJob": Permission("workspace:jobs:retry", f"{_REFERENCE}, Retrying a Task", "5.0"),
        "ShowJob": Permission("workspace:jobs:get", f"{_REFERENCE}, Querying a Task (ShowJob)", "5.0"),
    }
    identity = ("jobId",)
    returns_handle = True
    nothing = ("", "00000000-0000-0000-0000-000000000000")
    done_when = "the task has succeeded"
    states: ClassVar[Mapping[str, State]] = {
        "INIT": State(StateClass.IN_PROGRESS, retryable=False, text="being initialized"),
        "WAITING": State(StateClass.IN_PROGRESS, retryable=False, text="waiting"),
        "RUNNING": State(StateClass.IN_PROGRESS, retryable=False, text="running"),
        "SUCCESS": State(StateClass.SUCCEEDED, retryable=False, text="succeeded"),
        "COMPLETE": State(StateClass.SUCCEEDED, retryable=False, text="complete, and no sub-task failed"),
        "FAIL": State(StateClass.FAILED, retryable=True, text="failed"),
        "FAILED": State(StateClass.FAILED, retryable=True, text="failed"),
    }
    errors: ClassVar[Mapping[str, Meaning]] = {
        "WKS.0001": Meaning("The request body is empty.", "Report this as a defect of the provider."),
        "400": Meaning("The request cannot be understood.", "Check jobId."),
        "401": Meaning("Authentication failed.", "Check the credentials."),
        "403": Meaning(
            "No permission for the operation.",
            "Grant workspace:jobs:retry and workspace:jobs:get.",
        ),
        "404": Meaning("There is no such task.", "Check jobId, region and project."),
        "500": Meaning("An internal error of Workspace.", "Look at the task before another fire."),
    }

    def targets(self, inputs: WorkspaceJobRetryInputs) -> tuple[Target, ...]:
        return (Target(inputs.job_id),)

    def imported(self, container: str, keys: Sequence[str]) -> dict[str, Any]:
        if container or len(keys) != 1:
            raise ValueError("the id of a Workspace task retry is one job id")
        return {"jobId": keys[0]}

    def request(
        self,
        place: Place,  # noqa: ARG002
        targets: Sequence[Target],
        inputs: WorkspaceJobRetryInputs,  # noqa: ARG002
    ) -> Request:
        (target,) = targets
        return Request(self.fires, path={"job_id": target.key}, body={"op_type": "retry"})

    def read_reply(self, reply: Reply, targets: Sequence[Target]) -> dict[str, Answer]:
        (target,) = targets
        job_id = read_object(reply).get("job_id")
        if not isinstance(job_id, str) or not re.fullmatch(JOB_ID, job_id):
            raise unlike(reply, "without a job_id")
        return {target.key: Answer(FireOutcome.ACCEPTED, handle=job_id)}

    def observe(self, call: Call, place: Place, targets: Sequence[Target]) -> dict[str, Observation]:  # noqa: ARG002
        (target,) = targets
        for job_id in dict.fromkeys((target.watched, target.key)):
            job = answered(call(Request(self.looks, path={"job_id": job_id})), missing={404})
            if job is not None:
                return {target.key: self._read(job)}
        return {target.key: self.absent(f"the task {target.key} does not exist")}

    def _read(self, job: Mapping[str, Any]) -> Observation:
        word = name_of(job, "status")
        if not word:
            raise NoAnswer("the task's details have no status")
        reason = message_of(job, "fail_reason")
        code = name_of(job, "job_error_code")
        if word == "COMPLETE":
            failed = [sub for sub in _sub_jobs(job) if name_of(sub, "status") in ("FAIL", "FAILED")]
            if failed:
                sub_reason = message_of(failed[0], "fail_reason")
                count = f"{len(failed)} sub-task{'s' if len(failed) > 1 else ''}"
                word, reason = "FAILED", reason or f"{count} failed: {sub_reason}"
        seen = self.observation(word, message=reason, error_code=code)
        job_type = name_of(job, "job_type")
        if seen.retryable and job_type and job_type not in RETRYABLE_TYPES:
            return Observation(
                seen.means,
                word,
                retryable=False,
                message=f"tasks of type {job_type} cannot be retried. {reason}".strip(),
            )
        return seen

    def outputs(self, results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        return {"retryJobId": next((result["handle"] for result in results if result.get("handle")), None)}


def _sub_jobs(job: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    listed = job.get("sub_jobs")
    return [sub for sub in listed if isinstance(sub, Mapping)] if isinstance(listed, list) else []
