from __future__ import annotations

import pytest

JOB_ID = "6783cecb-0e5c-4521-a3ea-825f551c1ba9"
JOB = f"/v2/{{project}}/workspace-jobs/{JOB_ID}"
RETRY = {"op_type": "retry"}


def job(**changes):
    return {"workspaceJobs": [{"id": JOB_ID, "state": "FAILED"} | changes]}


def test_a_retry_goes_on_under_a_new_id_and_the_old_task_stays_failed(emulator, huaweicloud, clock):
    answer = huaweicloud.post(f"{JOB}/actions", RETRY)
    new_id = answer.json()["job_id"]

    assert answer.status_code == 200
    assert new_id != JOB_ID
    clock.advance(1.5)
    assert huaweicloud.get(f"/v2/{{project}}/workspace-jobs/{new_id}").json()["status"] == "SUCCESS"
    old = huaweicloud.get(JOB).json()
    assert (old["status"], old["fail_reason"]) == ("FAILED", "The directory service did not answer.")
    assert emulator.target(JOB_ID).times_fired == 1
    assert emulator.target(new_id).times_fired == 0


def test_each_retry_of_a_task_has_an_id_of_its_own(huaweicloud):
    ids = [huaweicloud.post(f"{JOB}/actions", RETRY).json()["job_id"] for _ in range(3)]
    assert len(set(ids)) == 3


def test_a_scenario_can_name_the_new_id(emulator, huaweicloud):
    emulator.set_scenario(job(newJobId="0e2dae94-23ff-449a-bb9c-1b808cf2106d"))
    assert huaweicloud.post(f"{JOB}/actions", RETRY).json() == {"job_id": "0e2dae94-23ff-449a-bb9c-1b808cf2106d"}


def test_a_retry_can_also_keep_its_id(emulator, huaweicloud, clock):
    emulator.set_scenario(job(newJobId=False, afterRetry=[["INIT", 0], ["RUNNING", 1], ["SUCCESS", 2]]))

    assert huaweicloud.post(f"{JOB}/actions", RETRY).json() == {"job_id": JOB_ID}

    seen = []
    for _ in range(3):
        seen.append(huaweicloud.get(JOB).json()["status"])
        clock.advance(1)
    assert seen == ["INIT", "RUNNING", "SUCCESS"]
    assert "end_time" in huaweicloud.get(JOB).json()


@pytest.mark.parametrize("state", ["INIT", "WAITING", "RUNNING", "SUCCESS", "COMPLETE"])
def test_a_task_that_has_not_failed_cannot_be_retried(emulator, huaweicloud, state):
    emulator.set_scenario(job(state=state))
    answer = huaweicloud.post(f"{JOB}/actions", RETRY)
    assert answer.status_code == 400
    assert answer.json()["error_code"].startswith("WKS.")
    assert emulator.target(JOB_ID).times_fired == 0


@pytest.mark.parametrize("state", ["FAIL", "FAILED"])
@pytest.mark.parametrize("job_type", ["applyWorkspace", "cancelWorkspace"])
def test_registration_and_deregistration_can_be_retried(emulator, huaweicloud, state, job_type):
    emulator.set_scenario(job(state=state, jobType=job_type))
    assert huaweicloud.post(f"{JOB}/actions", RETRY).status_code == 200


def test_no_other_type_of_task_can_be_retried(emulator, huaweicloud):
    emulator.set_scenario(job(jobType="createDesktops"))
    answer = huaweicloud.post(f"{JOB}/actions", RETRY)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "WKS.0003")


def test_a_denied_retry_carries_the_encoded_reason(emulator, huaweicloud):
    refuse = {
        "code": "WKS.0403",
        "message": "Not authorized.",
        "http": 403,
        "encodedAuthorizationMessage": "XXXencoded",
    }
    emulator.set_scenario(job(refuse=refuse))
    answer = huaweicloud.post(f"{JOB}/actions", RETRY)
    assert answer.status_code == 403
    assert answer.json() == {
        "error_code": "WKS.0403",
        "error_msg": "Not authorized.",
        "encoded_authorization_message": "XXXencoded",
    }


@pytest.mark.parametrize(
    ("request_options", "code"),
    [
        ({"data": b""}, "WKS.0001"),
        ({"data": b"{", "headers": {"Content-Type": "application/json"}}, "WKS.0002"),
        ({"json": {"op_type": "restart"}}, "WKS.0002"),
        ({"json": {}}, "WKS.0002"),
        ({"data": b'{"op_type": "retry"}'}, "WKS.0002"),
    ],
    ids=["empty", "not JSON", "another operation", "no operation", "no content type"],
)
def test_a_malformed_retry_is_refused(huaweicloud, request_options, code):
    answer = huaweicloud.session.post(huaweicloud.url(f"{JOB}/actions"), **request_options)
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)


def test_an_unknown_task_is_not_found(huaweicloud):
    for answer in (
        huaweicloud.get("/v2/{project}/workspace-jobs/none"),
        huaweicloud.post("/v2/{project}/workspace-jobs/none/actions", RETRY),
    ):
        assert (answer.status_code, answer.json()["error_code"]) == (404, "WKS.0404")


def test_sub_tasks_are_listed_by_status_job_and_type(emulator, huaweicloud):
    emulator.set_scenario(
        {
            "workspaceJobs": [
                {"id": "a", "state": "FAIL", "subJobs": 2},
                {"id": "b", "state": "SUCCESS", "subJobs": 1, "jobType": "createDesktops"},
                {"id": "c", "state": "RUNNING"},
            ]
        }
    )

    def listed(query=""):
        answer = huaweicloud.get(f"/v2/{{project}}/workspace-sub-jobs{query}").json()
        return answer["total_count"], [sub_job["id"] for sub_job in answer["jobs"]]

    assert listed() == (3, ["a-1", "a-2", "b-1"])
    assert listed("?status=FAILED") == (2, ["a-1", "a-2"])
    assert listed("?job_id=b") == (1, ["b-1"])
    assert listed("?job_type=createDesktops") == (1, ["b-1"])
    assert listed("?limit=1&offset=1") == (3, ["a-2"])
    for wrong in ("?status=ODD", "?limit=1001", "?offset=-1"):
        assert huaweicloud.get(f"/v2/{{project}}/workspace-sub-jobs{wrong}").status_code == 400
    assert [s["status"] for s in huaweicloud.get("/v2/{project}/workspace-jobs/a").json()["sub_jobs"]] == ["FAILED"] * 2
