"""Data Replication Service: batch retry, and the status and details of tasks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudretry.emulator import targets
from cloudretry.emulator.exchange import Answer, Call, Handler, Refusal
from cloudretry.emulator.store import Transaction
from cloudretry.emulator.targets import DRS_JOB, Target
from cloudretry.operation import Operation

__all__ = ["HANDLERS", "ROUTES"]

_RETRYABLE = frozenset(
    {
        "START_JOB_FAILED",
        "PAUSING",
        "PAUSEING",
        "FULL_TRANSFER_FAILED",
        "INCRE_TRANSFER_FAILED",
        "CHILD_TRANSFER_FAILED",
    }
)
_FAILED_AFTER_RE_EDIT = "CHILD_TRANSFER_FAILED"
_MESSAGES = {
    "DRS.M00201": ("The parameter {} cannot be empty.", "参数{}不能为空。"),
    "DRS.M00202": ("The value of the parameter {} is invalid.", "参数{}的值无效。"),
    "DRS.M00301": ("The request contains duplicates: {}.", "请求中存在重复项：{}。"),
    "DRS.M00304": (
        "This operation is not allowed in the current task status {}.",
        "任务当前状态{}不允许执行该操作。",
    ),
    "DRS.M00307": ("Only child tasks can perform this operation.", "仅子任务可以执行该操作。"),
    "DRS.M00401": ("The task {} does not support re-editing.", "任务{}不支持再编辑。"),
    "DRS.M05003": ("The task {} does not exist.", "任务{}不存在。"),
}


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One job of a retry request."""

    job_id: str
    is_sync_re_edit: bool


def _words(call: Call, code: str, detail: str) -> str:
    english, chinese = _MESSAGES[code]
    return (chinese if call.header("x-language").lower() == "zh-cn" else english).format(detail)


def _refusal(call: Call, code: str, detail: str) -> Refusal:
    return Refusal(400, {"error_code": code, "error_msg": _words(call, code, detail)})


def _body(call: Call) -> dict[str, Any]:
    if not call.header("content-type"):
        raise _refusal(call, "DRS.M00202", "Content-Type")
    try:
        body = call.json()
    except ValueError:
        raise _refusal(call, "DRS.M00202", "body") from None
    if not isinstance(body, dict):
        raise _refusal(call, "DRS.M00202", "body")
    return body


def _jobs(call: Call, body: Mapping[str, Any]) -> list[Any]:
    jobs = body.get("jobs")
    if jobs is None or jobs == []:
        raise _refusal(call, "DRS.M00201", "jobs")
    if not isinstance(jobs, list):
        raise _refusal(call, "DRS.M00202", "jobs")
    return jobs


def _check_unique(call: Call, ids: Sequence[str]) -> None:
    repeated = sorted(job_id for job_id, times in Counter(ids).items() if times > 1)
    if repeated:
        raise _refusal(call, "DRS.M00301", ", ".join(repeated))


def batch_restore_task(call: Call, tx: Transaction) -> Answer:
    wanted = [_wanted(call, item) for item in _jobs(call, _body(call))]
    ids = [job.job_id for job in wanted]
    call.targets += ids
    _check_unique(call, ids)
    found = targets.find_many(tx, DRS_JOB, call.path["project_id"], ids)
    told = {target.id: refusal for target in found.values() if (refusal := targets.told_to_refuse(tx, target))}
    for refusal in told.values():
        if refusal.http is not None:
            raise Refusal(refusal.http, {"error_code": refusal.code, "error_msg": refusal.message})
    results = [_retry(call, tx, job, found.get(job.job_id), told.get(job.job_id)) for job in wanted]
    return Answer({"results": results, "count": len(results)})


def _wanted(call: Call, item: Any) -> _Wanted:
    job_id = item.get("job_id") if isinstance(item, dict) else None
    if job_id is None or job_id == "":
        raise _refusal(call, "DRS.M00201", "job_id")
    re_edit = item.get("is_sync_re_edit")
    if not isinstance(job_id, str) or not isinstance(re_edit, bool | None):
        raise _refusal(call, "DRS.M00202", "jobs")
    return _Wanted(job_id, re_edit is True)


def _retry(
    call: Call, tx: Transaction, wanted: _Wanted, target: Target | None, told: targets.Told | None
) -> dict[str, Any]:
    if target is None:
        return _failed(call, wanted.job_id, "DRS.M05003", wanted.job_id)
    if told is not None:
        return {"id": target.id, "status": "failed", "error_code": told.code, "error_msg": told.message}
    details = target.details()
    state = target.state(tx.now)
    if details["dualActiveParent"]:
        return _failed(call, target.id, "DRS.M00307", "")
    if state not in _RETRYABLE:
        return _failed(call, target.id, "DRS.M00304", state)
    if state == _FAILED_AFTER_RE_EDIT and not wanted.is_sync_re_edit:
        return _failed(call, target.id, "DRS.M00202", "is_sync_re_edit")
    if wanted.is_sync_re_edit and details["dbUseType"] != "sync":
        return _failed(call, target.id, "DRS.M00401", target.id)
    targets.fire(tx, target)
    call.effects += 1
    return {"id": target.id, "status": "success"}


def _failed(call: Call, job_id: str, code: str, detail: str) -> dict[str, Any]:
    return {"id": job_id, "status": "failed", "error_code": code, "error_msg": _words(call, code, detail)}


def batch_list_job_status(call: Call, tx: Transaction) -> Answer:
    total, page = _page_of_jobs(call, tx)
    return Answer({"results": [_status(call, tx, job_id, target) for job_id, target in page], "count": total})


def batch_list_job_details(call: Call, tx: Transaction) -> Answer:
    total, page = _page_of_jobs(call, tx)
    results = [
        _status(call, tx, job_id, target) if target is None else _detail(call, tx, target) for job_id, target in page
    ]
    return Answer({"count": total, "results": results})


def list_jobs(call: Call, tx: Transaction) -> Answer:
    body = _body(call)
    use = body.get("db_use_type")
    if not use:
        raise _refusal(call, "DRS.M00201", "db_use_type")
    number, size = _page(call, {"cur_page": body.get("cur_page", 1), "per_page": body.get("per_page", 5)})
    jobs = [job for job in targets.listing(tx, DRS_JOB, call.path["project_id"]) if job.details()["dbUseType"] == use]
    chosen = jobs if size == 0 else jobs[(number - 1) * size : number * size]
    return Answer({"total_record": len(jobs), "jobs": [_detail(call, tx, job) for job in chosen]})


def _page_of_jobs(call: Call, tx: Transaction) -> tuple[int, list[tuple[str, Target | None]]]:
    body = _body(call)
    ids = _jobs(call, body)
    if not all(isinstance(job_id, str) and job_id for job_id in ids):
        raise _refusal(call, "DRS.M00202", "jobs")
    call.targets += ids
    _check_unique(call, ids)
    number, size = _page(call, body.get("page_req") or {})
    chosen = ids if size == 0 else ids[(number - 1) * size : number * size]
    found = targets.find_many(tx, DRS_JOB, call.path["project_id"], chosen)
    return len(ids), [(job_id, found.get(job_id)) for job_id in chosen]


def _page(call: Call, page: Any) -> tuple[int, int]:
    """The page's number from 1, and its size; 0 is all of them."""
    if not isinstance(page, dict):
        raise _refusal(call, "DRS.M00202", "page_req")
    number, size = page.get("cur_page", 1), page.get("per_page", 5)
    if type(size) is not int or not 0 <= size <= 100:
        raise _refusal(call, "DRS.M00202", "per_page")
    if type(number) is not int or not (number in (0, 1) if size == 0 else number >= 1):
        raise _refusal(call, "DRS.M00202", "cur_page")
    return number, size


def _status(call: Call, tx: Transaction, job_id: str, target: Target | None) -> dict[str, Any]:
    if target is None:
        code = "DRS.M05003"
        return {"id": job_id, "error_code": code, "error_message": _words(call, code, job_id)}
    state = target.shown(tx.now).state(tx.now)
    reason = {"error_message": target.details()["failedReason"]} if state.endswith("_FAILED") else {}
    return {"id": job_id, "status": state, **reason}


def _detail(call: Call, tx: Transaction, target: Target) -> dict[str, Any]:
    details = target.details()
    status = _status(call, tx, target.id, target)
    created = round((target.loaded_at - 86_400) * 1000)
    body = {
        **status,
        "parent_id": "",
        "name": details.get("name", f"DRS-{target.id[-9:]}"),
        "description": "",
        "create_time": str(created),
        "actual_start_time": str(created + 60_000),
        "update_time": str(round(target.shown(tx.now).changed_at(tx.now) * 1000)),
        "task_type": details["taskType"],
        "db_use_type": details["dbUseType"],
        "job_direction": "up",
        "net_type": "vpc",
        "multi_write": details["dualActiveParent"],
        "master_job_id": "",
    }
    if "error_message" in status:
        body["failed_reason"] = status["error_message"]
    return body


HANDLERS: Mapping[str, Handler] = {
    "BatchRestoreTask": batch_restore_task,
    "BatchListJobStatus": batch_list_job_status,
    "BatchListJobDetails": batch_list_job_details,
    "ListDrsJobs": list_jobs,
}

ROUTES = (
    Operation("BatchListJobDetails", "drs", "POST", "/v3/{project_id}/jobs/batch-detail"),
    Operation("ListDrsJobs", "drs", "POST", "/v3/{project_id}/jobs"),
)
