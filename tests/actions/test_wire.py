"""What leaves for each cloud, byte for byte, and what its documented answers come to, through the real clients."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from cloudretry import lifecycle
from cloudretry.actions import ACTIONS
from cloudretry.clouds import connect
from cloudretry.config import load
from cloudretry.http import HttpAnswer, Transport
from cloudretry.lifecycle import Circumstances, Outcome
from cloudretry.model import Cloud, CloudClient
from support.clock import FakeClock
from support.cloud import FakeCloud
from support.engine import FakeBackend
from support.samples import DRS, EHPC, POOL, VISUALIZATION, WORKSPACE

PROJECT = "054babbbde80d4602f5cc0043a40ed8c"
POOL_NAME = "pool-dly-op-0c2098ebae80d3e22f31c011e23a97cd"
JOB = "140b5236-88ad-43c8-811c-1268453jb101"
TASK = "6783cecb-0e5c-4521-a3ea-825f551c1ba9"

INPUTS: dict[str, dict[str, Any]] = {
    POOL: {"poolName": POOL_NAME, "scope": "Infer"},
    VISUALIZATION: {"jobId": "10"},
    WORKSPACE: {"jobId": TASK},
    DRS: {"jobs": [{"jobId": JOB}]},
    EHPC: {"clusterId": "ehpc-sh-3VeFyR12", "jobIds": ["1.scheduler"]},
}

LOOKED: dict[str, Any] = {
    POOL: {"status": {"scope": [{"scopeType": "Infer", "state": "EnableFailed"}]}},
    VISUALIZATION: {"job_id": 10, "status": 11},
    WORKSPACE: {"id": TASK, "job_type": "applyWorkspace", "status": "FAILED"},
    DRS: {"results": [{"id": JOB, "status": "FULL_TRANSFER_FAILED"}], "count": 1},
    EHPC: {
        "RequestId": "look",
        "TotalCount": 1,
        "PageNumber": 1,
        "PageSize": 50,
        "Jobs": {"JobInfo": [{"Id": "1.scheduler", "State": "RUNNING", "SubmitTime": "a", "LastModifyTime": "b"}]},
    },
}


class Backend(FakeBackend):
    def connect(self, cloud: Cloud, *, region: str | None, project_id: str | None) -> CloudClient:
        return connect(
            cloud,
            load({}, {}),
            region=region or "eu-de",
            project_id=project_id or PROJECT,
            emulator_url="http://127.0.0.1:9",
            clock=self.clock.now,
        )


class Wire:
    """In the transport's place: keeps what would leave, and answers."""

    def __init__(self, token: str) -> None:
        self.action = ACTIONS[token]
        self.sent: list[tuple[str, str, dict[str, str], bytes | None]] = []
        self.answer: Callable[[], HttpAnswer] = lambda: HttpAnswer(200, {}, b"{}")

    def send(
        self, _transport: Transport, method: str, url: str, headers: dict[str, str], body: bytes | None = None
    ) -> HttpAnswer:
        lower = {name.lower(): value for name, value in headers.items()}
        if self._is_look(method, url, lower):
            return HttpAnswer(200, {}, json.dumps(LOOKED[self.action.token]).encode())
        self.sent.append((method, url, lower, body))
        return self.answer()

    def _is_look(self, method: str, url: str, headers: dict[str, str]) -> bool:
        looks = self.action.looks
        return headers.get("x-acs-action") == looks.name or method == "GET" or url.endswith("/jobs/batch-status")

    def create(self, **inputs: Any) -> Outcome:
        clock = FakeClock()
        return asyncio.run(
            lifecycle.create(
                self.action,
                INPUTS[self.action.token] | inputs,
                Backend(clock, FakeCloud(clock)),
                Circumstances(timeout=100, jitter=lambda: 0.0),
            )
        )


@pytest.fixture
def wire(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Wire]:
    def open_wire(token: str) -> Wire:
        made = Wire(token)
        monkeypatch.setattr(
            Transport,
            "send",
            lambda self, method, url, headers, body=None, **_: made.send(self, method, url, headers, body),
        )
        return made

    return open_wire


Open = Callable[[str], Wire]

# --- requests ---


@pytest.mark.parametrize(
    ("token", "inputs", "path", "body"),
    [
        (POOL, {}, f"/v2/{PROJECT}/pools/{POOL_NAME}/retry-scope", b'{"scope":"Infer"}'),
        (POOL, {"scope": "Train"}, f"/v2/{PROJECT}/pools/{POOL_NAME}/retry-scope", b'{"scope":"Train"}'),
        (VISUALIZATION, {}, f"/v1/{PROJECT}/visualization-jobs/10/restart", None),
        (WORKSPACE, {}, f"/v2/{PROJECT}/workspace-jobs/{TASK}/actions", b'{"op_type":"retry"}'),
        (
            DRS,
            {},
            f"/v3/{PROJECT}/jobs/batch-retry-task",
            b'{"jobs":[{"job_id":"140b5236-88ad-43c8-811c-1268453jb101"}]}',
        ),
        (
            DRS,
            {"jobs": [{"jobId": "jb1", "isSyncReEdit": True}, {"jobId": "jb2", "isSyncReEdit": False}]},
            f"/v3/{PROJECT}/jobs/batch-retry-task",
            b'{"jobs":[{"job_id":"jb1","is_sync_re_edit":true},{"job_id":"jb2","is_sync_re_edit":false}]}',
        ),
    ],
)
def test_a_request_to_huawei_cloud_is_the_documented_one(
    wire: Open, token: str, inputs: dict[str, Any], path: str, body: bytes | None
) -> None:
    line = wire(token)
    line.create(wait=False, **inputs)
    ((method, url, headers, sent),) = line.sent
    assert (method, url, sent) == ("POST", f"http://127.0.0.1:9{path}", body)
    assert headers["content-type"] == "application/json"
    assert headers["authorization"].startswith("SDK-HMAC-SHA256 ")
    assert "x-language" not in headers


@pytest.mark.parametrize("language", ["en-us", "zh-cn"])
def test_the_language_is_a_header(wire: Open, language: str) -> None:
    line = wire(DRS)
    line.create(wait=False, language=language)
    assert line.sent[0][2]["x-language"] == language


@pytest.mark.parametrize(("run_async", "sent"), [(None, None), (True, "true"), (False, "false")])
def test_a_request_to_e_hpc_is_the_documented_one(wire: Open, run_async: bool | None, sent: str | None) -> None:
    line = wire(EHPC)
    inputs = {} if run_async is None else {"runAsync": run_async}
    line.create(wait=False, **inputs)
    ((method, url, headers, body),) = line.sent
    parts = urlsplit(url)
    expected = {"ClusterId": "ehpc-sh-3VeFyR12", "Jobs": '[{"Id":"1.scheduler"}]'}
    if sent is not None:
        expected["Async"] = sent
    assert (method, parts.path, body) == ("POST", "/", None)
    assert dict(parse_qsl(parts.query, strict_parsing=True)) == expected
    assert "Jobs=%5B%7B%22Id%22%3A%221.scheduler%22%7D%5D" in parts.query
    assert (headers["x-acs-action"], headers["x-acs-version"]) == ("RerunJobs", "2018-04-12")


def test_drs_jobs_are_sent_ten_at_a_time_and_ehpc_jobs_a_hundred(wire: Open) -> None:
    line = wire(DRS)
    line.create(wait=False, jobs=[{"jobId": f"jb{number}"} for number in range(25)])
    sizes = [len(json.loads(body or b"")["jobs"]) for _, _, _, body in line.sent]
    assert sizes == [10, 10, 5]
    LOOKED_JOBS = [{"Id": f"{number}.s", "State": "RUNNING"} for number in range(101)]  # noqa: N806
    line = wire(EHPC)
    line.answer = lambda: HttpAnswer(200, {}, b'{"RequestId":"r"}')
    original = LOOKED[EHPC]
    LOOKED[EHPC] = {**original, "TotalCount": 101, "Jobs": {"JobInfo": LOOKED_JOBS}}
    try:
        line.create(wait=False, jobIds=[f"{number}.s" for number in range(101)])
    finally:
        LOOKED[EHPC] = original
    sizes = [len(json.loads(dict(parse_qsl(urlsplit(url).query))["Jobs"])) for _, url, _, _ in line.sent]
    assert sizes == [100, 1]


# --- replies ---


@pytest.mark.parametrize(
    ("token", "body", "outputs"),
    [
        (POOL, b"{ }", {}),
        (VISUALIZATION, b'{\n    "is_success": true\n}', {}),
        (
            WORKSPACE,
            b'{\n  "job_id" : "0e2dae94-23ff-449a-bb9c-1b808cf2106d"\n}',
            {"retryJobId": "0e2dae94-23ff-449a-bb9c-1b808cf2106d"},
        ),
        (
            DRS,
            b'{"results" : [ {"id" : "140b5236-88ad-43c8-811c-1268453jb101", "status" : "success"} ], "count" : 1}',
            {},
        ),
        (EHPC, b'{"RequestId": "04F0F334-1335-436C-A1D7-6C044FE7****"}', {}),
    ],
)
def test_the_documented_success_is_accepted(wire: Open, token: str, body: bytes, outputs: dict[str, str]) -> None:
    line = wire(token)
    line.answer = lambda: HttpAnswer(200, {"X-Request-Id": "04F0F334-1335-436C-A1D7-6C044FE7****"}, body)
    done = line.create(wait=False)
    assert (done.outputs["status"], done.failure) == ("Accepted", "")
    assert done.outputs["requestIds"] == ["04F0F334-1335-436C-A1D7-6C044FE7****"]
    assert outputs.items() <= done.outputs.items()


def test_a_per_job_failure_under_200_is_told_with_its_code(wire: Open) -> None:
    line = wire(DRS)
    results = [
        {"id": "jb1", "status": "success"},
        {"id": "jb2", "status": "failed", "error_code": "DRS.M00304", "error_msg": "not in this state"},
    ]
    line.answer = lambda: HttpAnswer(
        200, {"X-Request-Id": "r-7"}, json.dumps({"results": results, "count": 2}).encode()
    )
    done = line.create(wait=False, jobs=[{"jobId": "jb1"}, {"jobId": "jb2"}])
    assert [result["status"] for result in done.outputs["results"]] == ["Accepted", "Failed"]
    assert "- jb2: DRS.M00304: not in this state (HTTP 200, request id r-7)." in done.failure


@pytest.mark.parametrize("status", [200, 202, 400, 409])
def test_is_success_false_is_a_refusal_whatever_the_status_says(wire: Open, status: int) -> None:
    line = wire(VISUALIZATION)
    body = {
        "is_success": False,
        "error_message": "This job can't be resubmit. job status: 8",
        "error_code": "ModelArts.0105",
    }
    line.answer = lambda: HttpAnswer(status, {}, json.dumps(body).encode())
    done = line.create(wait=False)
    assert "ModelArts.0105: " in done.failure
    assert "This job can't be resubmit. job status: 8 (HTTP" in done.failure
    assert len(line.sent) == 1


CODES: list[tuple[str, int, str, str]] = [
    (POOL, 400, "ModelArts.50004000", f"Bad request. The pool {POOL_NAME} scope Train cannot be enabled."),
    (POOL, 404, "ModelArts.50015001", "pool not found"),
    (VISUALIZATION, 400, "ModelArts.0105", "This job can't be resubmit. job status: 8"),
    (VISUALIZATION, 400, "ModelArts.0101", "The request is invalid."),
    (VISUALIZATION, 400, "ModelArts.0104", "Parameter error."),
    (VISUALIZATION, 401, "ModelArts.5001", "The token cannot be blank."),
    (VISUALIZATION, 401, "ModelArts.5002", "Invalid token."),
    (VISUALIZATION, 500, "ModelArts.5000", "Internal error."),
    (WORKSPACE, 400, "WKS.0001", "The request body is empty."),
    (WORKSPACE, 400, "WKS.9999", "Malformed."),
    (WORKSPACE, 401, "WKS.9998", "Authentication failed."),
    (WORKSPACE, 403, "WKS.9997", "No permission."),
    (WORKSPACE, 404, "WKS.9996", "No such task."),
    (WORKSPACE, 500, "WKS.9995", "Internal error."),
    *(
        (DRS, status, f"DRS.{code}", f"words of {code}")
        for status, codes in {
            200: ("M05066",),
            202: ("M01504",),
            400: ["M00201", "M00202", "M00301", "M00304", "M00307", "M00308", "M00401", "M01503", "M05003", "M05004"],
            401: ("M00103",),
            403: ("M00100", "M00102", "M00261"),
            422: ("M00002", "M01501"),
            500: ("M00004",),
        }.items()
        for code in codes
    ),
    (EHPC, 400, "InvalidParams", "The specified parameter Jobs is invalid."),
    (EHPC, 400, "NotEnabled", "You have not enabled this service"),
    (EHPC, 400, "InDebt", "Your account has overdue payments."),
    (EHPC, 403, "InvalidClusterStatus", "The operation failed due to invalid cluster status."),
    (EHPC, 403, "ConflictOpt", "A conflicting operation is running."),
    (EHPC, 403, "UsernameExist", "The username already exists."),
    (EHPC, 403, "IncorrectCredential", "The username or password is incorrect."),
    (EHPC, 404, "ClusterNotFound", "The specified cluster does not exist."),
    (EHPC, 404, "ManagerNotFound", "The manager nodes do not exist or their status is abnormal."),
    (EHPC, 406, "AgentError.Job.RerunFailure", "Failed to run the job again: 1.scheduler."),
    (EHPC, 406, "AliyunError", "An Alibaba Cloud product error occurred."),
    (EHPC, 406, "AgentResponseTimeout", "Agent response timeout: 30"),
    (EHPC, 406, "AgentError", "The agent service request failed: x"),
    (EHPC, 407, "NotAuthorized", "You are not authorized by RAM for this request."),
    (EHPC, 409, "PartFailure", "Part of the batch operation failed."),
    (EHPC, 500, "UnknownError", "An unknown error occurred."),
    (EHPC, 503, "ServiceUnavailable", "The request has failed due to a temporary failure of the server"),
]


@pytest.mark.parametrize(("token", "status", "code", "message"), CODES, ids=[f"{c[2]}-{c[1]}" for c in CODES])
def test_a_documented_error_reaches_the_user_with_code_message_request_id_and_meaning(
    wire: Open, token: str, status: int, code: str, message: str
) -> None:
    line = wire(token)
    if token == EHPC:
        body = {"RequestId": "req-9", "HostId": "ehpc.aliyuncs.com", "Code": code, "Message": message}
    elif token == VISUALIZATION:
        body = {"is_success": False, "error_code": code, "error_message": message}
    else:
        body = {"error_code": code, "error_msg": message}
    line.answer = lambda: HttpAnswer(status, {"X-Request-Id": "req-9"}, json.dumps(body).encode())
    done = line.create()
    meaning = line.action.errors.get(code) or line.action.errors[str(status)]
    assert f": {code}: " in done.failure
    assert f"{message.rstrip('.')} (HTTP {status}, request id req-9)" in done.failure
    assert meaning.text in done.failure
    assert meaning.remedy in done.failure
    (result,) = done.outputs["results"]
    assert result["errorCode"] == code or result["status"] == "Failed"
    assert done.outputs["requestIds"] == ["req-9"]
    throttled = code in ("DRS.M01503", "ServiceUnavailable")
    assert len(line.sent) == (8 if throttled else 1)


def test_every_code_of_the_tables_is_tried() -> None:
    for token, action in ACTIONS.items():
        tried = {code for where, status, code, _ in CODES if where == token} | {
            str(status) for where, status, _, _ in CODES if where == token
        }
        assert set(action.errors) <= tried


def test_the_encoded_reason_of_a_403_reaches_the_user(wire: Open) -> None:
    line = wire(WORKSPACE)
    body = {"error_code": "WKS.0403", "error_msg": "No permission.", "encoded_authorization_message": "XXENCODEDXX"}
    line.answer = lambda: HttpAnswer(403, {}, json.dumps(body).encode())
    assert "XXENCODEDXX" in line.create().failure


def test_an_api_that_is_not_published_is_told_in_the_gateways_words(wire: Open) -> None:
    line = wire(VISUALIZATION)
    body = {"error_code": "APIGW.0101", "error_msg": "The API does not exist", "request_id": "r-1"}
    line.answer = lambda: HttpAnswer(404, {}, json.dumps(body).encode())
    failure = line.create().failure
    assert "APIGW.0101: The API does not exist (HTTP 404, request id r-1)" in failure
