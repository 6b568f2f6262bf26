from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from cloudretry.actions import ACTIONS
from cloudretry.errors import CredentialsError, NoAnswer, RequestNotSent
from cloudretry.model import CloudError, Reply, Request
from support.clock import FakeClock

Timeline = Sequence[tuple[str, float]]
"""States and the seconds after a fire at which each begins."""

BY_OPERATION = {
    operation.name: (action, operation is action.fires)
    for action in ACTIONS.values()
    for operation in action.operations
}


@dataclass
class Thing:
    """A target in the cloud. Each fire takes the next timeline; the last one is taken again and again."""

    state: str
    timelines: Sequence[Timeline]
    lag: float = 0.0
    """Seconds for which status calls still show the state before a fire."""
    message: str = ""
    effects: int = 0
    fired_at: float = 0.0
    before: str = ""
    times: str = "2026-01-01T00:00:00Z"
    """What E-HPC shows as the time of the last change."""
    new_id: str = ""
    """The job id that a Workspace retry returns."""
    details: dict[str, Any] = field(default_factory=dict)

    def shown(self, now: float) -> str:
        if not self.effects:
            return self.state
        age = now - self.fired_at
        if age < self.lag:
            return self.before
        timeline = self.timelines[min(self.effects, len(self.timelines)) - 1]
        return [state for state, after in timeline if after <= age][-1]

    def fire(self, now: float) -> None:
        self.before = self.shown(now)
        self.effects += 1
        self.fired_at = now

    def set(self, state: str) -> None:
        """Let the target get into a state by itself."""
        self.state, self.timelines = state, [[(state, 0.0)]]


@dataclass
class Broken:
    """A fault. It meets as many requests as it says, after it has let some pass."""

    how: str = "answer"
    """``not sent``, ``no credentials``, ``lost before``, ``lost after`` the effect, or ``answer``."""
    looks: bool = False
    times: float = 1
    skip: int = 0
    status: int = 500
    code: str = ""
    message: str = "broken"
    body: Any = None
    throttled: bool = False
    retry_after: float | None = None
    effect: bool = False
    only: Callable[[Request], bool] = lambda _request: True


class FakeCloud:
    """A cloud that answers in the forms of the five APIs, counts the effects of fires and breaks on demand."""

    region = "eu-de"
    emulator = False

    def __init__(self, clock: FakeClock, project_id: str = "p1") -> None:
        self.clock = clock
        self.project_id = project_id
        self.things: dict[str, Thing] = {}
        self.requests: list[Request] = []
        self.faults: list[Broken] = []
        self.legal = True
        """Whether the cloud refuses to retry what is in no state for it."""
        self.rules: Callable[[str, Thing], str] = lambda _key, _thing: ""
        self._request_ids = count(1)

    # --- what a test says and asks ---

    def add(self, key: str, state: str, *timelines: Timeline, **fields: Any) -> Thing:
        self.things[key] = Thing(state, timelines or [[(state, 0.0)]], **fields)
        return self.things[key]

    def breaks(self, how: str = "answer", **fields: Any) -> Broken:
        fault = Broken(how, **fields)
        self.faults.append(fault)
        return fault

    @property
    def effects(self) -> Counter[str]:
        return Counter({key: thing.effects for key, thing in self.things.items() if thing.effects})

    @property
    def fires(self) -> list[Request]:
        return [request for request in self.requests if BY_OPERATION[request.operation.name][1]]

    @property
    def looks(self) -> list[Request]:
        return [request for request in self.requests if not BY_OPERATION[request.operation.name][1]]

    # --- the client's side ---

    def send(self, request: Request, leaving: Callable[[], None] | None = None) -> Reply:
        if leaving is not None:
            leaving()
        self.requests.append(request)
        fires = BY_OPERATION[request.operation.name][1]
        for fault in self.faults:
            if fault.looks is not fires and fault.times and fault.only(request):
                if fault.skip:
                    fault.skip -= 1
                    break
                fault.times -= 1
                return self._broken(fault, request)
        return self._answer(request)

    def _broken(self, fault: Broken, request: Request) -> Reply:
        if fault.how == "not sent":
            raise RequestNotSent("no connection to the cloud")
        if fault.how == "no credentials":
            raise CredentialsError("the password is wrong")
        if fault.how == "lost after" or fault.effect:
            self._answer(request)
        if fault.how.startswith("lost"):
            raise NoAnswer("the answer did not come within 60s")
        request_id = self._request_id()
        failed = not 200 <= fault.status < 300 or fault.code
        error = CloudError(fault.code, fault.message, fault.status, request_id) if failed else None
        return Reply(
            fault.status,
            fault.body,
            json.dumps(fault.body),
            request_id,
            fault.retry_after,
            error,
            fault.throttled,
        )

    def _request_id(self) -> str:
        return f"req-{next(self._request_ids)}"

    def _answer(self, request: Request) -> Reply:
        request_id = self._request_id()
        status, body = getattr(self, f"_{request.operation.name}")(request, request_id)
        error = None
        code = body.get("error_code") or body.get("Code")
        if status >= 300 or code:
            message = body.get("error_msg") or body.get("error_message") or body.get("Message")
            error = CloudError(str(code), str(message), status, request_id)
        return Reply(status, body, json.dumps(body), request_id, None, error)

    def _fired(self, action_token: str, key: str, word: str) -> bool:
        """Whether the cloud takes up the retry, which it then does."""
        thing = self.things[key]
        state = ACTIONS[action_token].states[word]
        if self.legal and not state.retryable:
            return False
        thing.fire(self.clock.now())
        return True

    def _state(self, key: str) -> str:
        return self.things[key].shown(self.clock.now())

    # --- ModelArts ---

    def _RetryPoolScope(self, request: Request, _id: str) -> tuple[int, dict[str, Any]]:  # noqa: N802 - the API's name
        scope = request.body["scope"]
        if self._fired("cloudretry:modelarts:PoolScopeRetry", scope, self._state(scope)):
            return 200, {}
        return 400, {
            "error_code": "ModelArts.50004000",
            "error_msg": f"Bad request. The pool {request.path['pool_name']} scope {scope} cannot be enabled.",
        }

    def _ShowPool(self, _request: Request, _id: str) -> tuple[int, dict[str, Any]]:  # noqa: N802
        scopes = [
            {"scopeType": key, "state": self._state(key), "message": thing.message}
            for key, thing in self.things.items()
        ]
        return 200, {"kind": "Pool", "status": {"phase": "Running", "scope": scopes}}

    def _RestartVisualizationJob(self, request: Request, _id: str) -> tuple[int, dict[str, Any]]:  # noqa: N802
        key = request.path["job_id"]
        word = self._state(key)
        if self._fired("cloudretry:modelarts:VisualizationJobRestart", key, word):
            return 200, {"is_success": True}
        number = list(ACTIONS["cloudretry:modelarts:VisualizationJobRestart"].states).index(word)
        return 400, {
            "is_success": False,
            "error_code": "ModelArts.0105",
            "error_message": f"This job can't be resubmit. job status: {number}",
        }

    def _ShowVisualizationJob(self, request: Request, _id: str) -> tuple[int, dict[str, Any]]:  # noqa: N802
        key = request.path["job_id"]
        if key not in self.things:
            return 404, {"error_code": "ModelArts.0102", "error_msg": "not found"}
        return 200, self._visualization_job(key)

    def _ListVisualizationJobs(self, request: Request, _id: str) -> tuple[int, dict[str, Any]]:  # noqa: N802
        page, size = int(request.query["page"]), int(request.query["per_page"])
        keys = sorted(self.things, key=int)
        jobs = [self._visualization_job(key) for key in keys[(page - 1) * size : page * size]]
        return 200, {"is_success": True, "job_total_count": len(keys), "jobs": jobs}

    def _visualization_job(self, key: str) -> dict[str, Any]:
        names = list(ACTIONS["cloudretry:modelarts:VisualizationJobRestart"].states)
        return {"job_id": int(key), "status": names.index(self._state(key))}

    # --- Workspace ---

    def _RunActionsOnWorkspaceJob(self, request: Request, _id: str) -> tuple[int, dict[str, Any]]:  # noqa: N802
        key = request.path["job_id"]
        if self._fired("cloudretry:workspace:JobRetry", key, self._state(key)):
            return 200, {"job_id": self.things[key].new_id or key}
        return 400, {"error_code": "WKS.0100", "error_msg": "The task has not failed."}

    def _ShowJob(self, request: Request, _id: str) -> tuple[int, dict[str, Any]]:  # noqa: N802
        job_id = request.path["job_id"]
        found = [thing for key, thing in self.things.items() if job_id in (key, thing.new_id)]
        if not found:
            return 404, {"error_code": "WKS.0404", "error_msg": "not found"}
        thing = found[0]
        word = thing.shown(self.clock.now())
        return 200, {"id": job_id, "job_type": "applyWorkspace", "status": word, **thing.details}

    # --- DRS ---

    def _BatchRestoreTask(self, request: Request, _id: str) -> tuple[int, dict[str, Any]]:  # noqa: N802
        results = []
        for job in request.body["jobs"]:
            key = job["job_id"]
            if self._fired("cloudretry:drs:JobBatchRetry", key, self._state(key)):
                results.append({"id": key, "status": "success"})
            else:
                results.append(
                    {
                        "id": key,
                        "status": "failed",
                        "error_code": "DRS.M00304",
                        "error_msg": f"The task is {self._state(key)}.",
                    }
                )
        return 200, {"results": results, "count": len(results)}

    def _BatchListJobStatus(self, request: Request, _id: str) -> tuple[int, dict[str, Any]]:  # noqa: N802
        page: Mapping[str, int] = request.body.get("page_req", {"cur_page": 1, "per_page": 5})
        keys = [key for key in request.body["jobs"] if key in self.things][: page["per_page"]]
        results = [{"id": key, "status": self._state(key), "error_message": self.things[key].message} for key in keys]
        return 200, {"results": results, "count": len(results)}

    # --- E-HPC ---

    def _RerunJobs(self, request: Request, request_id: str) -> tuple[int, dict[str, Any]]:  # noqa: N802
        keys = [job["Id"] for job in json.loads(request.query["Jobs"])]
        states = ACTIONS["cloudretry:ehpc:JobRerun"].states
        for key in keys:
            if self.legal and not states[self._state(key)].retryable:
                return 406, {
                    "Code": "AgentError.Job.RerunFailure",
                    "Message": f"Failed to run the job again: {key}",
                    "RequestId": request_id,
                }
        for key in keys:
            self.things[key].fire(self.clock.now())
        return 200, {"RequestId": request_id}

    def _ListJobs(self, request: Request, request_id: str) -> tuple[int, dict[str, Any]]:  # noqa: N802
        page, size = int(request.query["PageNumber"]), int(request.query["PageSize"])
        now = self.clock.now()
        jobs = [
            {
                "Id": key,
                "State": thing.shown(now),
                "SubmitTime": "2026-01-01T00:00:00Z",
                "StartTime": "",
                "LastModifyTime": f"+{thing.effects}" if thing.effects and now - thing.fired_at >= thing.lag else "",
            }
            for key, thing in self.things.items()
        ]
        shown = jobs[(page - 1) * size : page * size]
        return 200, {"RequestId": request_id, "TotalCount": len(jobs), "Jobs": {"JobInfo": shown}}
