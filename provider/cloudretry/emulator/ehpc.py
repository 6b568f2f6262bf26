"""Elastic High Performance Computing, version 2018-04-12: rerun and list the jobs of a cluster."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from cloudretry.emulator import targets
from cloudretry.emulator.auth_alicloud import refusal
from cloudretry.emulator.exchange import Answer, Call, Handler, Refusal, parse_json, whole_number
from cloudretry.emulator.store import Transaction
from cloudretry.emulator.targets import EHPC_JOB, Container, Target
from cloudretry.operation import Operation

__all__ = ["HANDLERS", "ROUTES", "VERSION"]

VERSION = "2018-04-12"

_RERUNNABLE = frozenset({"RUNNING", "QUEUED"})
_MOST_JOBS = 100
_LARGEST_PAGE = 50
_RUNS_AFTER = 60.0
"""Seconds from submission to start of a job that has never been rerun."""

_Listed = TypeVar("_Listed")

_FILTERS: Mapping[str, Callable[[str], bool]] = {
    "all": lambda _: True,
    "finished": lambda state: state == "FINISHED",
    "notfinish": lambda state: state != "FINISHED",
    "FINISHED": lambda state: state == "FINISHED",
    "RUNNING": lambda state: state == "RUNNING",
    "QUEUED": lambda state: state == "QUEUED",
}


@dataclass(frozen=True, slots=True)
class _Times:
    """Moments of a job's present run, in seconds since the epoch."""

    submitted: float
    started: float | None
    modified: float


def _invalid(name: str) -> Refusal:
    return refusal(400, "InvalidParams", f"The specified parameter {name} is invalid.")


def _cluster(call: Call, tx: Transaction) -> Container:
    cluster_id = _required(call, "ClusterId")
    cluster = targets.container(tx, "cluster", "", cluster_id)
    if cluster is None:
        raise refusal(404, "ClusterNotFound", "The specified cluster does not exist.")
    if refuse := cluster.details.get("refuse"):
        told = targets.told(refuse)
        raise refusal(told.http or 403, told.code, told.message)
    if cluster.details["status"] != "running":
        raise refusal(403, "InvalidClusterStatus", "The operation failed due to invalid cluster status.")
    return cluster


def _required(call: Call, name: str) -> str:
    value = call.parameters().get(name)
    if not value:
        raise refusal(
            400,
            "MissingParameter",
            f'The input parameter "{name}" that is mandatory for processing this request is not supplied.',
        )
    return value


def _check_flag(call: Call, name: str) -> None:
    if call.parameters().get(name, "false").lower() not in ("true", "false"):
        raise _invalid(name)


def rerun_jobs(call: Call, tx: Transaction) -> Answer:
    _required(call, "ClusterId")
    ids = _job_ids(_required(call, "Jobs"))
    _check_flag(call, "Async")
    cluster = _cluster(call, tx)
    names = [f"{cluster.id}/{job_id}" for job_id in ids]
    call.targets += names
    found = targets.find_many(tx, EHPC_JOB, "", names)
    refusals = [failed for name in names if (failed := _rerun(call, tx, name, found.get(name)))]
    if refusals and call.effects:
        raise refusal(409, "PartFailure", "Part of the batch operation failed.")
    if refusals:
        raise refusals[0]
    return Answer({})


def _job_ids(text: str) -> list[str]:
    try:
        items = parse_json(text)
    except ValueError:
        raise _invalid("Jobs") from None
    if not isinstance(items, list) or not 1 <= len(items) <= _MOST_JOBS:
        raise _invalid("Jobs")
    ids = [item.get("Id") if isinstance(item, dict) else None for item in items]
    named = [job_id for job_id in ids if isinstance(job_id, str) and job_id]
    if len(named) < len(items):
        raise _invalid("Jobs")
    return list(dict.fromkeys(named))


def _rerun(call: Call, tx: Transaction, name: str, target: Target | None) -> Refusal | None:
    """Rerun one job; what it is refused with, if it is."""
    job_id = name.partition("/")[2]
    if target is None:
        return _rerun_failure(f"unknown job id {job_id}")
    if told := targets.told_to_refuse(tx, target):
        return refusal(told.http or 406, told.code, told.message)
    state = target.state(tx.now)
    if state not in _RERUNNABLE or not target.details()["rerunable"]:
        return _rerun_failure(f"job {job_id} is {state}")
    targets.fire(tx, target)
    call.effects += 1
    return None


def _rerun_failure(reason: str) -> Refusal:
    return refusal(406, "AgentError.Job.RerunFailure", f"Failed to run the job again: {reason}.")


def list_jobs(call: Call, tx: Transaction) -> Answer:
    cluster = _cluster(call, tx)
    parameters = call.parameters()
    jobs = _filtered(tx, cluster, parameters.get("State", "all"), "State")
    if owner := parameters.get("Owner"):
        jobs = [job for job in jobs if job.details()["owner"] == owner]
    if rerunable := parameters.get("Rerunable"):
        jobs = [job for job in jobs if job.details()["rerunable"] is (rerunable.lower() == "true")]
    page, chosen = _paged(call, jobs)
    items = [_job(job, tx.now) for job in chosen]
    hidden = ("Queue", "Rerunable", "VariableList")
    shown = [{name: value for name, value in item.items() if name not in hidden} for item in items]
    return Answer({**page, "Jobs": {"JobInfo": shown}})


def list_jobs_with_filters(call: Call, tx: Transaction) -> Answer:
    cluster = _cluster(call, tx)
    parameters = call.parameters()
    _check_flag(call, "Async")
    found = _filtered(tx, cluster, parameters.get("JobStatus", "all"), "JobStatus")
    jobs = [job for job in (_job(target, tx.now) for target in found) if parameters.get("JobName", "") in job["Name"]]
    for name, key in (("Users", "Owner"), ("Queues", "Queue"), ("Nodes", "NodeList")):
        if wanted := {value for key_, value in parameters.items() if key_.startswith(f"{name}.")}:
            jobs = [job for job in jobs if job[key] in wanted]
    for name, key in (("ExecuteOrder", "StartTime"), ("PendOrder", "SubmitTime"), ("SubmitOrder", "SubmitTime")):
        if order := parameters.get(name):
            jobs.sort(key=lambda job: str(job[key]), reverse=order == "desc")
    page, chosen = _paged(call, jobs)
    return Answer({**page, "Success": True, "Jobs": chosen})


def describe_job(call: Call, tx: Transaction) -> Answer:
    cluster = _cluster(call, tx)
    job_id = _required(call, "JobId")
    _check_flag(call, "Async")
    name = f"{cluster.id}/{job_id}"
    call.targets.append(name)
    target = targets.find(tx, EHPC_JOB, "", name)
    if target is None:
        raise _invalid("JobId")
    job = _job(target, tx.now)
    native = {
        job_id: {
            "Job_Name": job["Name"],
            "Job_Owner": f"{job['Owner']}@{cluster.id}",
            "job_state": job["State"][0],
            "queue": job["Queue"],
            "qtime": job["SubmitTime"],
            "stime": job["StartTime"],
            "mtime": job["LastModifyTime"],
            "Rerunable": str(job["Rerunable"]),
        }
    }
    return Answer({"Message": {"JobInfo": json.dumps(native)}})


def _filtered(tx: Transaction, cluster: Container, wanted: str, name: str) -> list[Target]:
    if wanted not in _FILTERS:
        raise _invalid(name)
    passes = _FILTERS[wanted]
    jobs = targets.listing(tx, EHPC_JOB, "", cluster.id)
    return [job for job in jobs if passes(job.shown(tx.now).state(tx.now))]


def _paged(call: Call, jobs: Sequence[_Listed]) -> tuple[dict[str, Any], Sequence[_Listed]]:
    """The page's particulars, and what is on it."""
    number = _number(call, "PageNumber", default=1, most=1_000_000)
    size = _number(call, "PageSize", default=10, most=_LARGEST_PAGE)
    page = {"PageNumber": number, "PageSize": size, "TotalCount": len(jobs)}
    return page, jobs[(number - 1) * size : number * size]


def _number(call: Call, name: str, *, default: int, most: int) -> int:
    number = whole_number(call.parameters().get(name, str(default)), least=1, most=most)
    if number is None:
        raise _invalid(name)
    return number


def _job(target: Target, now: float) -> dict[str, Any]:
    details = target.details()
    seen = target.shown(now)
    state = seen.state(now)
    times = _times(seen, details, now)
    job_id = target.id.partition("/")[2]
    name = details.get("name", f"job-{job_id.partition('.')[0]}")
    return {
        "Id": job_id,
        "Name": name,
        "Owner": details["owner"],
        "State": state,
        "Priority": "0",
        "Comment": "",
        "ShellPath": f"/home/{details['owner']}/{name}.pbs",
        "Stdout": f"/home/{details['owner']}/{name}.out",
        "Stderr": f"/home/{details['owner']}/{name}.err",
        "NodeList": "compute000" if state == "RUNNING" else "",
        "ArrayRequest": "",
        "SubmitTime": _time(times.submitted),
        "StartTime": _time(times.started),
        "LastModifyTime": _time(times.modified),
        "Resources": {"Cores": 1, "Nodes": 1},
        "Queue": details["queue"],
        "Rerunable": details["rerunable"],
        "VariableList": "",
    }


def _times(target: Target, details: Mapping[str, Any], now: float) -> _Times:
    if target.fired_at is None:
        submitted = target.loaded_at - details["submittedSecondsAgo"]
        started = submitted + _RUNS_AFTER if target.start_state != "QUEUED" else None
        modified = started or submitted
    else:
        submitted = modified = target.stamp
        started = None
    for at, state in target.events:
        if at <= now:
            modified = max(modified, at)
            started = {"RUNNING": max(at, submitted), "QUEUED": None}.get(state, started)
    return _Times(submitted, started, modified)


def _time(seconds: float | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


HANDLERS: Mapping[str, Handler] = {
    "RerunJobs": rerun_jobs,
    "ListJobs": list_jobs,
    "ListJobsWithFilters": list_jobs_with_filters,
    "DescribeJob": describe_job,
}

ROUTES = (
    Operation("ListJobsWithFilters", "ehpc", "GET", "/"),
    Operation("DescribeJob", "ehpc", "GET", "/"),
)
