"""E-HPC: rerun jobs of a cluster (RerunJobs)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar
from urllib.parse import quote

from pydantic import Field

from cloudretry.actions.base import (
    Action,
    AlicloudInputs,
    Permission,
    answered,
    name_of,
    pages,
    read_object,
    unlike,
)
from cloudretry.bounds import LONGEST_REQUEST_LINE, MOST_TARGETS
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

__all__ = ["EhpcJobRerun", "EhpcJobRerunInputs"]

_REFERENCE = "Elastic High Performance Computing API reference 2018-04-12"

PAGE_SIZE = 50
"""The most that ListJobs takes."""


class EhpcJobRerunInputs(AlicloudInputs):
    """Inputs of an E-HPC rerun."""

    cluster_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_*-]{1,64}$")] = Field(
        description="Id of the cluster, such as `ehpc-sh-3VeFyR12`."
    )
    job_ids: Annotated[
        list[Annotated[str, Field(pattern=r"^[^\s,:/\"]{1,128}$")]], Field(min_length=1, max_length=MOST_TARGETS)
    ] = Field(
        description="Ids of the jobs, such as `1.scheduler`, each once, up to 10,000. They are sent in requests of 100."
    )
    run_async: bool | None = Field(
        None, description="Rerun over an asynchronous link (`Async`). The API's default is false."
    )


class EhpcJobRerun(Action[EhpcJobRerunInputs]):
    """Rerun jobs of an E-HPC cluster. Only RUNNING and QUEUED jobs can be rerun, not failed or finished ones.

    The answer holds no result per job, and no state tells a failed job from a finished one. A rerun is recognized
    by the job's times (submit, start, last change), which are read before and after the fire.

    Where the sources differ: both official clients send the parameters in the query of a GET; it is a POST here, with
    the same query, because a GET may be sent again by anything between here and the cloud. ListJobs' state filter is
    documented in two ways and so not used. PartFailure says nothing of the single job, so jobs whose times did not
    change are recorded as ``Unknown``; so are those of AgentResponseTimeout and of AgentError, which do not say how far
    the request came.
    """

    token = "cloudretry:ehpc:JobRerun"  # noqa: S105
    title = "E-HPC job rerun"
    cloud = Cloud.ALICLOUD
    source = f"{_REFERENCE}, RerunJobs"
    inputs = EhpcJobRerunInputs
    fires = Operation("RerunJobs", "ehpc", "POST", "/")
    looks = Operation("ListJobs", "ehpc", "GET", "/")
    permissions: ClassVar[Mapping[str, Permission]] = {
        "RerunJobs": Permission("ehpc:RerunJobs", f"{_REFERENCE}, RerunJobs", "1"),
        "ListJobs": Permission("ehpc:ListJobs", f"{_REFERENCE}, ListJobs", "1"),
    }
    identity = ("clusterId",)
    target_list = ("jobIds", None)
    container_property = "clusterId"
    fire_size = 100
    # ListJobs is paged through once for all of them.
    look_size = 1_000_000
    stamped = True
    nothing = ("ehpc-cloudretry-nothing", "0.scheduler")
    done_when = "the job is QUEUED or RUNNING with changed times, or FINISHED"
    unclear_errors = frozenset({"PartFailure", "AgentResponseTimeout", "AgentError", "UnknownError"})
    states: ClassVar[Mapping[str, State]] = {
        "QUEUED": State(StateClass.IDLE, retryable=True, text="queued; a rerun shows in its times"),
        "RUNNING": State(StateClass.IDLE, retryable=True, text="running; a rerun shows in its times"),
        "FINISHED": State(StateClass.SUCCEEDED, retryable=False, text="ended, well or not: the API does not tell"),
    }
    errors: ClassVar[Mapping[str, Meaning]] = {
        "InvalidParams": Meaning("A parameter is not valid.", "Check clusterId and jobIds."),
        "NotEnabled": Meaning("E-HPC is not enabled for this account.", "Enable the service."),
        "InDebt": Meaning("The account has overdue payments.", "Settle them."),
        "InvalidClusterStatus": Meaning(
            "The cluster's status does not allow the operation.", "Wait until the cluster is running."
        ),
        "ConflictOpt": Meaning("A conflicting operation runs.", "Run `pulumi up` again when it has ended."),
        "UsernameExist": Meaning("The user name exists already.", "Choose another."),
        "IncorrectCredential": Meaning("User name or password is wrong.", "Check the cluster's credentials."),
        "ClusterNotFound": Meaning("There is no such cluster.", "Check clusterId and region."),
        "ManagerNotFound": Meaning(
            "The manager nodes do not exist or are in an abnormal state.",
            "Look at the cluster's manager nodes.",
        ),
        "AgentError.Job.RerunFailure": Meaning(
            "The job could not be run again.", "Only RUNNING and QUEUED jobs can be rerun."
        ),
        "AliyunError": Meaning("An error of another Alibaba Cloud product.", "See the message."),
        "AgentResponseTimeout": Meaning(
            "The cluster's agent did not answer in time, so the rerun may have happened.",
            "Look at the jobs' times.",
        ),
        "AgentError": Meaning(
            "The request to the cluster's agent failed; the rerun may have happened.",
            "Look at the jobs' times and at the cluster's manager nodes.",
        ),
        "NotAuthorized": Meaning("RAM does not allow the request.", "Grant ehpc:RerunJobs and ehpc:ListJobs."),
        "PartFailure": Meaning(
            "A part of the jobs could not be rerun; the API does not say which.", "Look at the jobs' times."
        ),
        "UnknownError": Meaning("An unknown error; the rerun may have happened.", "Look at the jobs' times."),
        "ServiceUnavailable": Meaning("The service is not available for the moment."),
    }

    def targets(self, inputs: EhpcJobRerunInputs) -> tuple[Target, ...]:
        return tuple(Target(job_id) for job_id in inputs.job_ids)

    def imported(self, container: str, keys: Sequence[str]) -> dict[str, Any]:
        if not container:
            raise ValueError("the id of an E-HPC rerun is clusterId:jobId[,jobId...], such as ehpc-sh-1:1.scheduler")
        return {"clusterId": container, "jobIds": list(keys)}

    def request(self, place: Place, targets: Sequence[Target], inputs: EhpcJobRerunInputs) -> Request:
        query = {
            "ClusterId": place.container,
            "Jobs": json.dumps([{"Id": target.key} for target in targets], separators=(",", ":")),
        }
        if inputs.run_async is not None:
            query["Async"] = "true" if inputs.run_async else "false"
        return Request(self.fires, query=query)

    def groups(self, targets: Sequence[Target]) -> list[Sequence[Target]]:
        """As many as the API takes, and as fit into a request line: the parameters stand in the query."""
        groups: list[list[Target]] = []
        left = 0
        for target in targets:
            length = len(quote(json.dumps({"Id": target.key}, separators=(",", ":")) + ","))
            if not groups or length > left or len(groups[-1]) == self.fire_size:
                groups.append([])
                left = LONGEST_REQUEST_LINE
            groups[-1].append(target)
            left -= length
        return [*groups]

    def read_reply(self, reply: Reply, targets: Sequence[Target]) -> dict[str, Answer]:
        if not name_of(read_object(reply), "RequestId"):
            raise unlike(reply, "without a RequestId")
        return {target.key: Answer(FireOutcome.ACCEPTED) for target in targets}

    def observe(self, call: Call, place: Place, targets: Sequence[Target]) -> dict[str, Observation]:
        wanted = {target.key for target in targets}
        found: dict[str, Observation] = {}
        listed: set[str] = set()
        read = 0
        for page in pages(PAGE_SIZE):
            query = {"ClusterId": place.container, "PageNumber": str(page), "PageSize": str(PAGE_SIZE)}
            jobs, total = self._page(answered(call(Request(self.looks, query=query))))
            names = {name_of(job, "Id") for job in jobs}
            if jobs and names <= listed:
                raise NoAnswer("ListJobs gives the same jobs again on another page")
            listed |= names
            found |= {name: self._read(job) for job in jobs if (name := name_of(job, "Id")) in wanted}
            read += len(jobs)
            if not jobs or read >= total or wanted <= found.keys():
                break
        return {key: found.get(key) or self.absent(f"the cluster {place.container} has no job {key}") for key in wanted}

    @staticmethod
    def _page(reply: Mapping[str, Any] | None) -> tuple[list[Mapping[str, Any]], int]:
        jobs = (reply or {}).get("Jobs")
        items = jobs.get("JobInfo") if isinstance(jobs, Mapping) else jobs
        total = (reply or {}).get("TotalCount")
        if not isinstance(items, list) or not isinstance(total, int) or isinstance(total, bool):
            raise NoAnswer("the answer to ListJobs has no Jobs.JobInfo or no TotalCount")
        return [job for job in items if isinstance(job, Mapping)], total

    def _read(self, job: Mapping[str, Any]) -> Observation:
        stamp = "/".join(name_of(job, name) for name in ("SubmitTime", "StartTime", "LastModifyTime"))
        return self.observation(name_of(job, "State"), stamp=stamp)
