from __future__ import annotations

import time

import pytest
import requests

from cloudretry.emulator import CREDENTIALS, ScenarioError

RETRY = "BatchRestoreTask"
SCENARIO = {"drsJobs": [{"id": "jb1", "state": "FULL_TRANSFER_FAILED", "afterRetry": []}]}


@pytest.fixture
def emulator(start):
    return start(SCENARIO)


def fired(emulator):
    return emulator.target("jb1").times_fired


def test_an_answer_takes_the_effects_place(emulator, huaweicloud):
    body = {"error_code": "APIGW.0308", "error_msg": "policy user over ratelimit,limit:1,time:1 second"}
    emulator.add_fault(RETRY, status=429, body=body, headers={"Retry-After": "3"})

    answer = huaweicloud.retry_drs("jb1")

    assert (answer.status_code, answer.json(), answer.headers["Retry-After"]) == (429, body, "3")
    assert answer.headers["X-Request-Id"]
    assert fired(emulator) == 0
    assert huaweicloud.retry_drs("jb1").json()["results"][0]["status"] == "success"


def test_an_answer_can_follow_the_effect(emulator, huaweicloud):
    emulator.add_fault(RETRY, status=504, body="<html>gateway time-out</html>", after=True)
    answer = huaweicloud.retry_drs("jb1")
    assert (answer.status_code, answer.text) == (504, "<html>gateway time-out</html>")
    assert answer.headers["Content-Type"].startswith("text/plain")
    assert fired(emulator) == 1


@pytest.mark.parametrize(("when", "effects"), [("before", 0), ("after", 1)])
def test_a_dropped_connection_is_one_that_a_real_client_sees_end(emulator, huaweicloud, when, effects):
    huaweicloud.get("/v3/projects")
    emulator.add_fault(RETRY, drop=when)

    with pytest.raises(requests.ConnectionError, match=r"RemoteDisconnected|ConnectionReset"):
        huaweicloud.retry_drs("jb1")

    assert fired(emulator) == effects
    record = emulator.requests(RETRY)[0]
    assert (record.status, record.effects, record.fault) == (None, effects, True)
    assert huaweicloud.retry_drs("jb1").ok


def test_a_truncated_answer_is_no_json(emulator, huaweicloud):
    emulator.add_fault(RETRY, truncate=True)
    answer = huaweicloud.retry_drs("jb1")
    assert answer.status_code == 200
    with pytest.raises(requests.exceptions.JSONDecodeError):
        answer.json()
    assert fired(emulator) == 1


@pytest.mark.parametrize(("after", "effects"), [(False, 0), (True, 1)])
def test_a_delay_comes_before_or_behind_the_effect(emulator, huaweicloud, after, effects):
    emulator.add_fault(RETRY, delay=30, after=after)
    with pytest.raises(requests.ReadTimeout):
        huaweicloud.post("/v3/{project}/jobs/batch-retry-task", {"jobs": [{"job_id": "jb1"}]}, timeout=0.2)
    assert fired(emulator) == effects


def test_a_short_delay_only_delays(emulator, huaweicloud):
    emulator.add_fault(RETRY, delay=0.2)
    started = time.monotonic()
    assert huaweicloud.retry_drs("jb1").json()["results"][0]["status"] == "success"
    assert time.monotonic() - started >= 0.2


def test_a_delay_does_not_hold_up_other_requests_or_the_end(start, emulator, huaweicloud):
    emulator.add_fault(RETRY, delay=60)
    with pytest.raises(requests.ReadTimeout):
        huaweicloud.post("/v3/{project}/jobs/batch-retry-task", {"jobs": [{"job_id": "jb1"}]}, timeout=0.1)
    assert huaweicloud.drs_states("jb1") == ["FULL_TRANSFER_FAILED"]
    started = time.monotonic()
    emulator.stop()
    assert time.monotonic() - started < 5


def test_a_fault_counts_its_requests(emulator, huaweicloud):
    emulator.add_fault(RETRY, skip=1, times=2, status=503)
    statuses = [huaweicloud.retry_drs("jb1").status_code for _ in range(4)]
    assert statuses == [200, 503, 503, 200]
    assert [(record.status, record.fault) for record in emulator.requests(RETRY)] == [
        (200, False),
        (503, True),
        (503, True),
        (200, False),
    ]


def test_a_fault_without_a_count_lasts_until_it_is_cleared(emulator, huaweicloud):
    emulator.add_fault(RETRY, times=None, status=500)
    assert [huaweicloud.retry_drs("jb1").status_code for _ in range(5)] == [500] * 5
    emulator.clear_faults()
    assert huaweicloud.retry_drs("jb1").status_code == 200


def test_a_fault_hits_its_operation_and_a_star_any(emulator, huaweicloud):
    emulator.add_fault("ListJobs", status=500)
    assert huaweicloud.retry_drs("jb1").status_code == 200
    emulator.add_fault("*", status=502)
    emulator.add_fault(RETRY, status=503)
    assert [huaweicloud.retry_drs("jb1").status_code for _ in range(3)] == [502, 503, 200]


def test_a_fault_can_hit_the_sign_in(emulator, huaweicloud):
    emulator.add_fault("KeystoneCreateToken", status=503)
    assert huaweicloud.post("/v3/auth/tokens", {}).status_code == 503
    assert huaweicloud.post("/v3/auth/tokens", {}).status_code == 400


def test_a_fault_can_hit_an_rpc_call(start, alicloud, emulator):
    emulator.add_fault("ListJobs", status=400, body={"Code": "Throttling.User"}, headers={"x-acs-retry-after": "1"})
    answer = alicloud("ListJobs", ClusterId="none")
    assert (answer.status_code, answer.json()["Code"]) == (400, "Throttling.User")
    assert alicloud("ListJobs", ClusterId="none").status_code == 404


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ({}, "says nothing to do"),
        ({"status": 500, "drop": "before"}, "status and drop exclude each other"),
        ({"drop": "before", "body": {}}, "body and headers go with status"),
        ({"drop": "never"}, "Input should be 'before' or 'after'"),
        ({"status": 99}, "fault: status: Input should be greater than or equal to 200"),
        ({"status": 500, "times": 0}, "fault: times:"),
        ({"status": 500, "operations": []}, "fault: operations: Extra inputs"),
    ],
)
def test_a_wrong_fault_is_explained(emulator, fault, words):
    with pytest.raises(ScenarioError) as caught:
        emulator.add_fault(RETRY, **fault)
    assert words in str(caught.value)


def test_a_fault_of_an_operation_that_is_not_served_is_refused_as_it_would_hit_nothing(emulator):
    with pytest.raises(ScenarioError, match=r"'BatchRestoreTasks' is no call of the clouds; use one of .*\bListJobs\b"):
        emulator.add_fault("BatchRestoreTasks", status=500)
    assert emulator.faults() == []


def test_it_can_be_asked_which_faults_have_hit(emulator, huaweicloud):
    emulator.add_fault(RETRY, status=429, times=2)
    huaweicloud.retry_drs("jb1")
    (fault,) = emulator.faults()
    assert (fault.fault["operation"], fault.hits, fault.times) == (RETRY, 1, 1)


def test_the_control_routes_are_never_hit(emulator):
    emulator.add_fault("*", times=None, status=500)
    assert requests.get(f"{emulator.url}/_emulator/health", timeout=10).status_code == 200
    url = f"{emulator.url}/v3/{CREDENTIALS.project_id}/jobs/batch-status"
    assert requests.post(url, timeout=10).status_code == 500
