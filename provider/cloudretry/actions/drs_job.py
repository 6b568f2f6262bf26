"""DRS: retry failed data replication tasks, or resume paused ones, in batches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

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
from cloudretry.bounds import MOST_TARGETS
from cloudretry.errors import NoAnswer
from cloudretry.model import (
    Answer,
    Call,
    Cloud,
    CloudError,
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

__all__ = ["DrsJob", "DrsJobBatchRetry", "DrsJobBatchRetryInputs", "Language"]


class Language(StrEnum):
    """The language of the API's messages."""

    EN_US = "en-us"
    ZH_CN = "zh-cn"


class DrsJob(BaseModel):
    """A task to retry."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", strict=True, frozen=True)

    job_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")] = Field(description="Id of the task.")
    is_sync_re_edit: bool | None = Field(
        None,
        description="Set to true when the task is started after its objects were edited again; else leave it out.",
    )


class DrsJobBatchRetryInputs(HuaweicloudInputs):
    """Inputs of a DRS batch retry."""

    jobs: Annotated[list[DrsJob], Field(min_length=1, max_length=MOST_TARGETS)] = Field(
        description="The tasks to retry, each once, up to 10,000. They are sent in requests of ten."
    )
    language: Language | None = Field(
        None, strict=False, description="Language of the messages: `en-us` (the API's default) or `zh-cn`."
    )


class DrsJobBatchRetry(Action[DrsJobBatchRetryInputs]):
    """Retry failed DRS tasks, or resume paused ones.

    An answer of 200 carries a result per task, and ``success`` there says only that the command was accepted.

    Where the sources differ: the API text speaks of failed tasks only, the SDK and the product's pages also of paused
    ones, so ``PAUSING`` (also spelt ``PAUSEING``; it means "is paused") can be retried. The text calls
    ``is_sync_re_edit`` mandatory in one place and optional in another, and leaves it out of its example: it is sent
    when it is set. A retry result says ``error_msg`` where a status says ``error_message``. The text sets no limit on
    the number of tasks; the product advises ten in a call. An error code may come under HTTP 200 and 202.
    """

    token = "cloudretry:drs:JobBatchRetry"  # noqa: S105
    title = "DRS batch retry"
    cloud = Cloud.HUAWEICLOUD
    source = "Data Replication Service API reference, Resuming or Retrying Tasks in Batches (BatchRestoreTask)"
    deprecation = (
        "Huawei Cloud no longer promotes this v3 call. Its successor is POST /v5/{project_id}/jobs/{job_id}/action "
        "with the action restart."
    )
    inputs = DrsJobBatchRetryInputs
    fires = Operation("BatchRestoreTask", "drs", "POST", "/v3/{project_id}/jobs/batch-retry-task")
    looks = Operation("BatchListJobStatus", "drs", "POST", "/v3/{project_id}/jobs/batch-status", looks=True)
    permissions: ClassVar[Mapping[str, Permission]] = {
        "BatchRestoreTask": Permission(
            "drs:migrationJob:action", "Data Replication Service API reference, DRS Actions", "1.1"
        )
    }
    identity = ()
    target_list = ("jobs", "jobId")
    fire_size = 10
    fires_at_once = 4
    look_size = 100
    nothing = ("", "00000000-0000-0000-0000-0000000jb101")
    done_when = "the transfer runs or is complete"
    states: ClassVar[Mapping[str, State]] = {
        "CREATING": State(StateClass.IN_PROGRESS, retryable=False, text="being created"),
        "CREATE_FAILED": State(StateClass.FAILED, retryable=False, text="could not be created"),
        "CONFIGURATION": State(StateClass.IN_PROGRESS, retryable=False, text="being configured"),
        "STARTJOBING": State(StateClass.IN_PROGRESS, retryable=False, text="starting"),
        "WAITING_FOR_START": State(StateClass.IN_PROGRESS, retryable=False, text="waiting for its scheduled start"),
        "START_JOB_FAILED": State(StateClass.FAILED, retryable=True, text="could not be started"),
        "PAUSING": State(StateClass.IDLE, retryable=True, text="paused"),
        "PAUSEING": State(StateClass.IDLE, retryable=True, text="paused"),
        "FULL_TRANSFER_STARTED": State(StateClass.SUCCEEDED, retryable=False, text="full transfer runs"),
        "FULL_TRANSFER_FAILED": State(StateClass.FAILED, retryable=True, text="full transfer failed"),
        "FULL_TRANSFER_COMPLETE": State(StateClass.SUCCEEDED, retryable=False, text="full transfer is complete"),
        "INCRE_TRANSFER_STARTED": State(StateClass.SUCCEEDED, retryable=False, text="incremental transfer runs"),
        "INCRE_TRANSFER_FAILED": State(StateClass.FAILED, retryable=True, text="incremental transfer failed"),
        "RELEASE_RESOURCE_STARTED": State(StateClass.IDLE, retryable=False, text="being stopped"),
        "RELEASE_RESOURCE_FAILED": State(StateClass.FAILED, retryable=False, text="could not be stopped"),
        "RELEASE_RESOURCE_COMPLETE": State(StateClass.IDLE, retryable=False, text="stopped"),
        "REBUILD_NODE_STARTED": State(StateClass.IN_PROGRESS, retryable=False, text="its node is being rebuilt"),
        "REBUILD_NODE_FAILED": State(StateClass.FAILED, retryable=False, text="its node could not be rebuilt"),
        "CHANGE_JOB_STARTED": State(StateClass.IN_PROGRESS, retryable=False, text="being changed"),
        "CHANGE_JOB_FAILED": State(StateClass.FAILED, retryable=False, text="could not be changed"),
        "DELETED": State(StateClass.IDLE, retryable=False, text="deleted"),
        "CHILD_TRANSFER_STARTING": State(StateClass.IN_PROGRESS, retryable=False, text="its re-edit is starting"),
        "CHILD_TRANSFER_STARTED": State(StateClass.IN_PROGRESS, retryable=False, text="its re-edit runs"),
        "CHILD_TRANSFER_COMPLETE": State(StateClass.IN_PROGRESS, retryable=False, text="its re-edit is being merged"),
        "CHILD_TRANSFER_FAILED": State(StateClass.FAILED, retryable=True, text="its re-edit failed"),
        "RELEASE_CHILD_TRANSFER_STARTED": State(StateClass.IN_PROGRESS, retryable=False, text="its re-edit is ending"),
        "RELEASE_CHILD_TRANSFER_COMPLETE": State(StateClass.SUCCEEDED, retryable=False, text="its re-edit has ended"),
        "NODE_UPGRADE_START": State(StateClass.IN_PROGRESS, retryable=False, text="its node is being upgraded"),
        "NODE_UPGRADE_COMPLETE": State(StateClass.IDLE, retryable=False, text="its node was upgraded"),
        "NODE_UPGRADE_FAILED": State(StateClass.FAILED, retryable=False, text="its node could not be upgraded"),
    }
    errors: ClassVar[Mapping[str, Meaning]] = {
        "DRS.M00002": Meaning("The request cannot be processed.", "Check the request's values."),
        "DRS.M00004": Meaning("An internal error of DRS.", "Look at the tasks before another fire."),
        "DRS.M00100": Meaning("The token is not valid.", "Check the credentials."),
        "DRS.M00102": Meaning("No permission.", "Grant the user the rights to operate DRS tasks."),
        "DRS.M00103": Meaning("Not authenticated.", "Check the credentials."),
        "DRS.M00201": Meaning("A parameter is empty.", "Check the job ids."),
        "DRS.M00202": Meaning("A parameter's value is not valid.", "Check the job ids."),
        "DRS.M00261": Meaning("The project id is wrong.", "Check projectId."),
        "DRS.M00301": Meaning("The request names a task twice.", "Name each task once."),
        "DRS.M00304": Meaning(
            "The task does not allow this in its present state.",
            "Only failed and paused tasks can be retried; look at cloudStatus.",
        ),
        "DRS.M00307": Meaning("Only child tasks allow this.", "Name the child task."),
        "DRS.M00308": Meaning(
            "Only parent tasks allow this.", "Name the parent task; in dual-active DR, name the child tasks."
        ),
        "DRS.M00401": Meaning("The task cannot be edited again.", "Leave isSyncReEdit out."),
        "DRS.M01501": Meaning("The request cannot be processed.", "Look at the task in the console."),
        "DRS.M01503": Meaning("Too many requests.", "It is sent again after a pause; lower requestsPerSecond."),
        "DRS.M01504": Meaning("Another operation runs on the task, or the task is abnormal.", "Wait for it to end."),
        "DRS.M05003": Meaning("There is no such task.", "Check jobId, region and project."),
        "DRS.M05004": Meaning("The task was deleted or released.", "Take it out of jobs."),
        "DRS.M05066": Meaning("The operation failed.", "Look at the task in the console."),
    }

    def targets(self, inputs: DrsJobBatchRetryInputs) -> tuple[Target, ...]:
        return tuple(
            Target(
                job.job_id,
                options={} if job.is_sync_re_edit is None else {"is_sync_re_edit": job.is_sync_re_edit},
            )
            for job in inputs.jobs
        )

    def imported(self, container: str, keys: Sequence[str]) -> dict[str, Any]:
        if container:
            raise ValueError("the id of a DRS batch retry is a list of task ids, such as jb1,jb2")
        return {"jobs": [{"jobId": key} for key in keys]}

    def request(self, place: Place, targets: Sequence[Target], inputs: DrsJobBatchRetryInputs) -> Request:  # noqa: ARG002
        return Request(
            self.fires,
            headers={"X-Language": inputs.language.value} if inputs.language else {},
            body={"jobs": [{"job_id": target.key, **target.options} for target in targets]},
        )

    def read_reply(self, reply: Reply, targets: Sequence[Target]) -> dict[str, Answer]:
        results = read_object(reply).get("results")
        if not isinstance(results, list):
            raise unlike(reply, "without results")
        by_id = _by_id(results)
        return {target.key: self._answer(target, by_id.get(target.key), reply) for target in targets}

    @staticmethod
    def _answer(target: Target, item: Mapping[str, Any] | None, reply: Reply) -> Answer:
        if item is None:
            error = CloudError("", f"the answer says nothing of task {target.key}", reply.status, reply.request_id)
            return Answer(FireOutcome.UNKNOWN, error=error)
        status, code = name_of(item, "status").lower(), name_of(item, "error_code")
        if status == "success":
            return Answer(FireOutcome.ACCEPTED)
        message = message_of(item, "error_msg", "error_message") or f"status {status!r}"
        error = CloudError(code, message, reply.status, reply.request_id)
        return Answer(FireOutcome.REJECTED if status == "failed" or code else FireOutcome.UNKNOWN, error=error)

    def observe(self, call: Call, place: Place, targets: Sequence[Target]) -> dict[str, Observation]:  # noqa: ARG002
        # Without page_req the API answers for five tasks only.
        body = {
            "jobs": [target.key for target in targets],
            "page_req": {"cur_page": 1, "per_page": len(targets)},
        }
        reply = answered(call(Request(self.looks, body=body)))
        results = reply.get("results") if reply is not None else None
        if not isinstance(results, list):
            raise NoAnswer("the answer to batch-status has no results")
        by_id = _by_id(results)
        return {target.key: self._read(target, by_id.get(target.key)) for target in targets}

    def _read(self, target: Target, item: Mapping[str, Any] | None) -> Observation:
        if item is None:
            return self.absent(f"the task {target.key} does not exist")
        status, code = name_of(item, "status"), name_of(item, "error_code")
        message = message_of(item, "error_message", "error_msg")
        if not status:
            return self.absent(f"the task {target.key} does not exist: {code} {message}".rstrip(": "))
        return self.observation(status, message=message, error_code=code)


def _by_id(results: Sequence[Any]) -> dict[str, Mapping[str, Any]]:
    return {name_of(item, "id"): item for item in results if isinstance(item, Mapping)}
