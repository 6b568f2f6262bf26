"""Workspace: tasks, their sub-tasks, and the retry of failed registration and deregistration tasks."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cloudretry.emulator import targets
from cloudretry.emulator.exchange import Answer, Call, Handler, Refusal, whole_number
from cloudretry.emulator.store import Transaction
from cloudretry.emulator.targets import WORKSPACE_JOB, Target
from cloudretry.operation import Operation

__all__ = ["HANDLERS", "ROUTES"]

_FAILED = frozenset({"FAIL", "FAILED"})
_ENDED = _FAILED | {"SUCCESS", "COMPLETE"}
_RETRYABLE_TYPES = frozenset({"applyWorkspace", "cancelWorkspace"})
_SUB_JOB_STATES = frozenset({"SUCCESS", "RUNNING", "FAILED", "WAITING"})
_SUB_JOB_STATE_OF = {"FAIL": "FAILED", "COMPLETE": "SUCCESS", "INIT": "WAITING"}


def _refusal(status: int, code: str, message: str, encoded_authorization_message: str | None = None) -> Refusal:
    body = {"error_code": code, "error_msg": message}
    if encoded_authorization_message is not None:
        body["encoded_authorization_message"] = encoded_authorization_message
    return Refusal(status, body)


def _job(call: Call, tx: Transaction) -> Target:
    job_id = call.path["job_id"]
    call.targets.append(job_id)
    target = targets.find(tx, WORKSPACE_JOB, call.path["project_id"], job_id)
    if target is None:
        raise _refusal(404, "WKS.0404", f"The task {job_id} does not exist.")
    return target


def run_actions_on_workspace_job(call: Call, tx: Transaction) -> Answer:
    _check_body(call)
    target = _job(call, tx)
    if told := targets.told_to_refuse(tx, target):
        raise _refusal(told.http or 400, told.code, told.message, told.encoded_authorization_message)
    details = target.details()
    if details["jobType"] not in _RETRYABLE_TYPES:
        raise _refusal(400, "WKS.0003", f"A task of the type {details['jobType']} cannot be retried.")
    state = target.state(tx.now)
    if state not in _FAILED:
        raise _refusal(400, "WKS.0003", f"The task {target.id} is {state}; only a failed task can be retried.")
    new_id = _id_of_retry(target, details)
    if new_id == target.id:
        targets.fire(tx, target)
    else:
        targets.start_over(tx, target, under=new_id, state="WAITING")
    call.effects += 1
    return Answer({"job_id": new_id})


def _check_body(call: Call) -> None:
    if not call.body:
        raise _refusal(400, "WKS.0001", "The request body is empty.")
    if not call.header("content-type"):
        raise _refusal(400, "WKS.0002", "The header Content-Type is missing.")
    try:
        body = call.json()
    except ValueError:
        raise _refusal(400, "WKS.0002", "The request body is not JSON.") from None
    operation = body.get("op_type") if isinstance(body, dict) else None
    if operation != "retry":
        raise _refusal(400, "WKS.0002", f"The parameter op_type is {operation}; it must be retry.")


def _id_of_retry(target: Target, details: Mapping[str, Any]) -> str:
    wanted = details["newJobId"]
    if wanted is True:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{target.project}/{target.id}#{target.times_fired + 1}"))
    return wanted if isinstance(wanted, str) else target.id


def show_job(call: Call, tx: Transaction) -> Answer:
    target = _job(call, tx)
    details = target.details()
    seen = target.shown(tx.now)
    state = seen.state(tx.now)
    body: dict[str, Any] = {
        "id": target.id,
        "job_type": details["jobType"],
        "begin_time": _time(seen.stamp),
        "status": state,
        "sub_jobs_total": details["subJobs"],
        "sub_jobs": _sub_jobs(target, tx.now),
    }
    if state in _ENDED:
        body["end_time"] = _time(seen.changed_at(tx.now))
    if state in _FAILED:
        body |= {"job_error_code": details["errorCode"], "fail_reason": details["failReason"]}
    return Answer(body)


def list_sub_jobs(call: Call, tx: Transaction) -> Answer:
    parameters = call.parameters()
    status = parameters.get("status")
    if status is not None and status not in _SUB_JOB_STATES:
        raise _refusal(400, "WKS.0002", f"The parameter status is {status}; it must be a status of sub-tasks.")
    limit = _number(parameters, "limit", default=1000, most=1000)
    offset = _number(parameters, "offset", default=0, most=1_000_000)
    sub_jobs = [
        sub_job
        for job in targets.listing(tx, WORKSPACE_JOB, call.path["project_id"])
        if parameters.get("job_id", job.id) == job.id
        for sub_job in _sub_jobs(job, tx.now)
        if parameters.get("job_type", sub_job["job_type"]) == sub_job["job_type"]
        and status in (None, sub_job["status"])
    ]
    return Answer({"total_count": len(sub_jobs), "jobs": sub_jobs[offset : offset + limit]})


def _sub_jobs(target: Target, now: float) -> list[dict[str, Any]]:
    details = target.details()
    seen = target.shown(now)
    state = seen.state(now)
    status = _SUB_JOB_STATE_OF.get(state, state)
    sub_job = {
        "job_type": details["jobType"],
        "begin_time": _time(seen.stamp),
        "status": status,
        "project_id": target.project,
        "job_id": target.id,
        "process": 100 if status == "SUCCESS" else 0,
        **({"error_code": details["errorCode"], "fail_reason": details["failReason"]} if status == "FAILED" else {}),
    }
    return [{"id": f"{target.id}-{number}", **sub_job} for number in range(1, details["subJobs"] + 1)]


def _number(parameters: Mapping[str, str], name: str, *, default: int, most: int) -> int:
    text = parameters.get(name, str(default))
    number = whole_number(text, most=most)
    if number is None:
        raise _refusal(400, "WKS.0002", f"The parameter {name} is {text}; it must be a number up to {most}.")
    return number


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


HANDLERS: Mapping[str, Handler] = {
    "RunActionsOnWorkspaceJob": run_actions_on_workspace_job,
    "ShowJob": show_job,
    "ListItaSubJobs": list_sub_jobs,
}

ROUTES = (Operation("ListItaSubJobs", "workspace", "GET", "/v2/{project_id}/workspace-sub-jobs"),)
