"""ModelArts: restart a visualization job."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar

from pydantic import Field

from cloudretry.actions.base import (
    Action,
    HuaweicloudInputs,
    answered,
    message_of,
    name_of,
    pages,
    read_object,
    unlike,
)
from cloudretry.errors import CloudRefused, NoAnswer
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

__all__ = ["VisualizationJobRestart", "VisualizationJobRestartInputs"]

FEW = 4
"""So many jobs are asked for one by one; more of them by the list, which may be longer."""

PAGE_SIZE = 1000
"""The most that the API lists in one page."""


class VisualizationJobRestartInputs(HuaweicloudInputs):
    """Inputs of a visualization job restart."""

    job_id: Annotated[str, Field(pattern=r"^[0-9]{1,19}$")] = Field(
        description="Id of the visualization job: digits, written as a string."
    )


class VisualizationJobRestart(Action[VisualizationJobRestartInputs]):
    """Restart a ModelArts visualization job that failed, was stopped or has ended.

    Where the sources differ: this API reports its errors as ``error_message`` (others say ``error_msg``), and the
    HTTP status of a refusal is not documented, so ``is_success: false`` is a refusal under 2xx as under 4xx (a 5xx
    leaves open what happened, whatever it says). Which states may be restarted is documented only by a refusal of
    status 8 (RUNNING); the others are inferred from the state's names.
    """

    token = "cloudretry:modelarts:VisualizationJobRestart"  # noqa: S105
    title = "ModelArts visualization job restart"
    cloud = Cloud.HUAWEICLOUD
    source = "ModelArts API reference, Restarting a Visualization Job"
    deprecation = (
        "Huawei Cloud retired the visualization jobs of the old training management on 2023-06-30; its regions answer "
        "APIGW.0101. Other sites of the same stack may still serve them."
    )
    inputs = VisualizationJobRestartInputs
    fires = Operation(
        "RestartVisualizationJob", "modelarts", "POST", "/v1/{project_id}/visualization-jobs/{job_id}/restart"
    )
    looks = Operation("ShowVisualizationJob", "modelarts", "GET", "/v1/{project_id}/visualization-jobs/{job_id}")
    looks_at_many = Operation("ListVisualizationJobs", "modelarts", "GET", "/v1/{project_id}/visualization-jobs")
    identity = ("jobId",)
    look_size = PAGE_SIZE
    nothing = ("", "999999999999999999")
    done_when = "the job is RUNNING"
    # In the order of the numbers 0 to 21 that the API answers with.
    states: ClassVar[Mapping[str, State]] = {
        "UNKNOWN": State(StateClass.IN_PROGRESS, retryable=False, text="not known yet"),
        "INIT": State(StateClass.IN_PROGRESS, retryable=False, text="being initialized"),
        "IMAGE_CREATING": State(StateClass.IN_PROGRESS, retryable=False, text="its image is being created"),
        "IMAGE_FAILED": State(StateClass.FAILED, retryable=True, text="its image could not be created"),
        "SUBMIT_TRYING": State(StateClass.IN_PROGRESS, retryable=False, text="being submitted"),
        "SUBMIT_FAILED": State(StateClass.FAILED, retryable=True, text="could not be submitted"),
        "DELETE_FAILED": State(StateClass.FAILED, retryable=False, text="could not be deleted"),
        "WAITING": State(StateClass.IN_PROGRESS, retryable=False, text="queued"),
        "RUNNING": State(StateClass.SUCCEEDED, retryable=False, text="running"),
        "KILLING": State(StateClass.IDLE, retryable=False, text="being stopped"),
        "COMPLETED": State(StateClass.SUCCEEDED, retryable=True, text="ended by itself"),
        "FAILED": State(StateClass.FAILED, retryable=True, text="failed"),
        "KILLED": State(StateClass.IDLE, retryable=True, text="stopped"),
        "CANCELED": State(StateClass.IDLE, retryable=True, text="cancelled"),
        "LOST": State(StateClass.FAILED, retryable=True, text="lost"),
        "SCALING": State(StateClass.IN_PROGRESS, retryable=False, text="being scaled"),
        "SUBMIT_MODEL_FAILED": State(StateClass.FAILED, retryable=False, text="its model could not be submitted"),
        "DEPLOY_SERVICE_FAILED": State(StateClass.FAILED, retryable=False, text="its service could not be deployed"),
        "CHECK_INIT": State(StateClass.IN_PROGRESS, retryable=False, text="its check is being prepared"),
        "CHECK_RUNNING": State(StateClass.IN_PROGRESS, retryable=False, text="being checked"),
        "CHECK_RUNNING_COMPLETED": State(StateClass.IN_PROGRESS, retryable=False, text="checked"),
        "CHECK_FAILED": State(StateClass.FAILED, retryable=False, text="its check failed"),
    }
    errors: ClassVar[Mapping[str, Meaning]] = {
        "ModelArts.0105": Meaning(
            "The job cannot be restarted in its present state; its number stands in the message (8 is RUNNING).",
            "Restart a job that failed, was stopped or has ended.",
        ),
        "ModelArts.0101": Meaning("An argument is not valid.", "Check jobId, region and project."),
        "ModelArts.0104": Meaning("A parameter is wrong.", "Check jobId, region and project."),
        "ModelArts.5000": Meaning("An internal error of ModelArts.", "Look at the job before another fire."),
        "ModelArts.5001": Meaning("The token is blank.", "Check the credentials."),
        "ModelArts.5002": Meaning("The token is not valid.", "Check the credentials."),
    }

    def targets(self, inputs: VisualizationJobRestartInputs) -> tuple[Target, ...]:
        return (Target(inputs.job_id),)

    def imported(self, container: str, keys: Sequence[str]) -> dict[str, Any]:
        if container or len(keys) != 1:
            raise ValueError("the id of a visualization job is its number, such as 10")
        return {"jobId": keys[0]}

    def request(
        self,
        place: Place,  # noqa: ARG002
        targets: Sequence[Target],
        inputs: VisualizationJobRestartInputs,  # noqa: ARG002
    ) -> Request:
        (target,) = targets
        return Request(self.fires, path={"job_id": target.key})

    def read_reply(self, reply: Reply, targets: Sequence[Target]) -> dict[str, Answer]:
        body = read_object(reply)
        if body.get("is_success") is not True:
            raise unlike(reply, "without is_success")
        return {target.key: Answer(FireOutcome.ACCEPTED) for target in targets}

    def observe(self, call: Call, place: Place, targets: Sequence[Target]) -> dict[str, Observation]:  # noqa: ARG002
        if len(targets) > FEW:
            try:
                return self._observe_many(call, targets)
            except CloudRefused as refused:
                # Whoever may look at a job may not always list them.
                if refused.throttled or refused.error.http_status >= 500:
                    raise
        return {target.key: self._observe_one(call, target) for target in targets}

    def _observe_one(self, call: Call, target: Target) -> Observation:
        job = answered(call(Request(self.looks, path={"job_id": target.watched})), missing={404})
        return self._read(target, job)

    def _observe_many(self, call: Call, targets: Sequence[Target]) -> dict[str, Observation]:
        """Page through the list, which is in the order of the ids, so that a new job moves no other one."""
        wanted = {target.watched for target in targets}
        found: dict[str, Mapping[str, Any]] = {}
        listed: set[str] = set()
        for page in pages(PAGE_SIZE):
            query = {"page": str(page), "per_page": str(PAGE_SIZE), "sortBy": "job_id", "order": "asc"}
            reply = answered(call(Request(self.looks_at_many, query=query)))
            jobs = (reply or {}).get("jobs")
            if not isinstance(jobs, list):
                raise NoAnswer("the answer to the list of visualization jobs has no jobs")
            by_id = {name_of(job, "job_id"): job for job in jobs if isinstance(job, Mapping)}
            if jobs and by_id.keys() <= listed:
                raise NoAnswer("the list of visualization jobs gives the same jobs again on another page")
            listed |= by_id.keys()
            found |= {job_id: job for job_id, job in by_id.items() if job_id in wanted}
            if len(found) == len(wanted) or len(jobs) < PAGE_SIZE:
                break
        return {target.key: self._read(target, found.get(target.watched)) for target in targets}

    def _read(self, target: Target, job: Mapping[str, Any] | None) -> Observation:
        if job is None:
            return self.absent(f"the visualization job {target.key} does not exist")
        number = job.get("status")
        if not isinstance(number, int) or isinstance(number, bool):
            raise NoAnswer(f"the details of visualization job {target.key} have no status number")
        names = tuple(self.states)
        word = names[number] if 0 <= number < len(names) else name_of(job, "status")
        return self.observation(word, message=message_of(job, "error_message"))
