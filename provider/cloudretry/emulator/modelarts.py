"""ModelArts: resource pools (v2) and the visualization jobs of the old training management (v1)."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cloudretry.emulator import targets
from cloudretry.emulator.exchange import Answer, Call, Handler, Refusal, whole_number
from cloudretry.emulator.loading import options
from cloudretry.emulator.store import Transaction
from cloudretry.emulator.targets import POOL_SCOPE, VISUALIZATION_JOB, Container, Target
from cloudretry.operation import Operation

__all__ = ["HANDLERS", "ROUTES"]

_RESTARTABLE = frozenset({"3", "5", "10", "11", "12", "13", "14"})
_BAD = frozenset({"3", "5", "6", "11", "14", "16", "17", "21"})
_SORT_KEYS = ("job_id", "job_name", "job_desc", "create_time", "status")


def _bad_request(message: str) -> Refusal:
    return Refusal(400, {"error_code": "ModelArts.50004000", "error_msg": f"Bad request. {message}"})


def _pool(call: Call, tx: Transaction) -> Container:
    pool = targets.container(tx, "pool", call.path["project_id"], call.path["pool_name"])
    if pool is None:
        raise Refusal(404, {"error_code": "ModelArts.50015001", "error_msg": "pool not found"})
    return pool


def retry_pool_scope(call: Call, tx: Transaction) -> Answer:
    pool = _pool(call, tx)
    scope = _scope_in_body(call)
    target = targets.find(tx, POOL_SCOPE, pool.project, f"{pool.id}:{scope}")
    call.targets.append(f"{pool.id}:{scope}")
    refused = _bad_request(f"The pool {pool.id} scope {scope} cannot be enabled.")
    if target is None:
        raise refused
    if told := targets.told_to_refuse(tx, target):
        raise Refusal(told.http or 400, {"error_code": told.code, "error_msg": told.message})
    if target.state(tx.now) != "EnableFailed" or pool.details["phase"] != "Running":
        raise refused
    targets.fire(tx, target)
    call.effects += 1
    return Answer({})


def _scope_in_body(call: Call) -> str:
    try:
        body = call.json()
    except ValueError:
        raise _bad_request("The request body is not JSON.") from None
    scope = body.get("scope") if isinstance(body, dict) else None
    if not isinstance(scope, str) or not scope:
        raise _bad_request("The parameter scope is missing.")
    return scope


def show_pool(call: Call, tx: Transaction) -> Answer:
    return Answer(_pool_body(tx, _pool(call, tx)))


def list_pools(call: Call, tx: Transaction) -> Answer:
    wanted = call.parameters().get("status", "created")
    phases = {"created": ("Running", "Abnormal", "Deleting"), "failed": ("Error",), "creating": ("Creating",)}
    if wanted not in phases:
        raise _bad_request(f"The parameter status {wanted} is not one of created, failed, creating.")
    pools = targets.containers(tx, "pool", call.path["project_id"])
    items = [_pool_body(tx, pool) for pool in pools if pool.details["phase"] in phases[wanted]]
    return Answer({"kind": "PoolList", "apiVersion": "v2", "items": items})


def _pool_body(tx: Transaction, pool: Container) -> dict[str, Any]:
    scopes = list(targets.listing(tx, POOL_SCOPE, pool.project, pool.id))
    created = min((scope.loaded_at for scope in scopes), default=tx.now) - 86_400
    return {
        "kind": "Pool",
        "apiVersion": "v2",
        "metadata": {
            "name": pool.id,
            "creationTimestamp": datetime.fromtimestamp(created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "labels": {"os.modelarts/name": pool.details.get("displayName", pool.id), "os.modelarts/workspace.id": "0"},
            "annotations": {"os.modelarts/description": ""},
        },
        "spec": {
            "type": "Dedicate",
            "scope": [_scope_type(scope) for scope in scopes],
            "resources": [{"flavor": "modelarts.vm.cpu.8ud", "count": 1}],
            "network": {"name": "network-0"},
        },
        "status": {
            "phase": pool.details["phase"],
            "message": pool.details.get("message", ""),
            "resources": {"available": [{"flavor": "modelarts.vm.cpu.8ud", "count": 1}]},
            "scope": [_scope_status(scope, tx.now) for scope in scopes],
            "root": "",
            "parent": "",
        },
    }


def _scope_type(scope: Target) -> str:
    return scope.id.rpartition(":")[2]


def _scope_status(scope: Target, now: float) -> dict[str, Any]:
    state = scope.shown(now).state(now)
    status: dict[str, Any] = {"scopeType": _scope_type(scope), "state": state, "plugins": []}
    if state == "EnableFailed":
        status["message"] = scope.details()["message"]
    return status


def restart_visualization_job(call: Call, tx: Transaction) -> Answer:
    target = _visualization_job(call, tx)
    if told := targets.told_to_refuse(tx, target):
        raise _unsuccessful(told.http or 400, told.code, told.message)
    state = target.state(tx.now)
    if state not in _RESTARTABLE:
        status = options(tx).visualization_refusal_status
        raise _unsuccessful(status, "ModelArts.0105", f"This job can't be resubmit. job status: {state}")
    targets.fire(tx, target)
    call.effects += 1
    return Answer({"is_success": True})


def show_visualization_job(call: Call, tx: Transaction) -> Answer:
    return Answer(_visualization_body(_visualization_job(call, tx), tx.now))


def list_visualization_jobs(call: Call, tx: Transaction) -> Answer:
    parameters = call.parameters()
    page = _number(parameters, "page", default=1, least=1, most=1_000_000)
    per_page = _number(parameters, "per_page", default=10, least=1, most=1000)
    sort_by = parameters.get("sortBy", "job_id")
    order = parameters.get("order", "desc")
    if sort_by not in _SORT_KEYS or order not in ("asc", "desc"):
        raise _unsuccessful(400, "ModelArts.0104", f"Parameter error: sortBy {sort_by}, order {order}.")
    jobs = [_visualization_body(job, tx.now) for job in targets.listing(tx, VISUALIZATION_JOB, call.path["project_id"])]
    wanted = parameters.get("status", "")
    text = parameters.get("search_content", "")
    chosen = [
        job for job in jobs if (not wanted or str(job["status"]) in wanted.split(",")) and text in job["job_name"]
    ]
    chosen.sort(key=lambda job: job[sort_by], reverse=order == "desc")
    return Answer(
        {
            "is_success": True,
            "job_total_count": len(chosen),
            "job_count_limit": 10,
            "quotas": 10,
            "jobs": chosen[(page - 1) * per_page : page * per_page],
        }
    )


def _unsuccessful(status: int, code: str, message: str) -> Refusal:
    return Refusal(status, {"is_success": False, "error_message": message, "error_code": code})


def _visualization_job(call: Call, tx: Transaction) -> Target:
    job_id = call.path["job_id"]
    if not re.fullmatch(r"[0-9]{1,18}", job_id):
        raise _unsuccessful(400, "ModelArts.0104", f"Parameter error: job_id {job_id}.")
    call.targets.append(job_id)
    target = targets.find(tx, VISUALIZATION_JOB, call.path["project_id"], job_id)
    if target is None:
        raise _unsuccessful(404, "ModelArts.0101", f"Invalid argument: the job {job_id} does not exist.")
    return target


def _number(parameters: Mapping[str, str], name: str, *, default: int, least: int, most: int) -> int:
    text = parameters.get(name, str(default))
    number = whole_number(text, least=least, most=most)
    if number is None:
        raise _unsuccessful(400, "ModelArts.0104", f"Parameter error: {name} {text}.")
    return number


def _visualization_body(target: Target, now: float) -> dict[str, Any]:
    details = target.details()
    seen = target.shown(now)
    state = seen.state(now)
    body = {
        "job_id": int(target.id),
        "job_name": details.get("name", f"visualization-{target.id}"),
        "status": int(state),
        "service_url": f"https://tensorboard.example.com/{target.id}",
        "resource_id": f"resource-{target.id}",
        "job_desc": details["description"],
        "duration": round((now - seen.changed_at(now)) * 1000) if state == "8" else 0,
        "create_time": round((target.loaded_at - 86_400) * 1000),
        "train_url": details["trainUrl"],
    }
    if state in _BAD:
        body["error_code"] = "ModelArts.0105"
        body["error_message"] = "The visualization job has failed."
    return body


HANDLERS: Mapping[str, Handler] = {
    "RetryPoolScope": retry_pool_scope,
    "ShowPool": show_pool,
    "ListPools": list_pools,
    "RestartVisualizationJob": restart_visualization_job,
    "ShowVisualizationJob": show_visualization_job,
    "ListVisualizationJobs": list_visualization_jobs,
}

ROUTES = (Operation("ListPools", "modelarts", "GET", "/v2/{project_id}/pools"),)
