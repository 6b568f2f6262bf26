from __future__ import annotations

import pytest

RETRY = "/v3/{project}/jobs/batch-retry-task"
STATUS = "/v3/{project}/jobs/batch-status"


def jobs(**states):
    return {"drsJobs": [{"id": job_id, "state": state} for job_id, state in states.items()]}


def test_a_retry_answers_for_each_job_and_http_says_nothing_of_them(emulator, huaweicloud, clock):
    emulator.set_scenario(jobs(jb1="FULL_TRANSFER_FAILED", jb2="FULL_TRANSFER_STARTED"))

    answer = huaweicloud.retry_drs("jb1", "jb2", "jb3")

    assert answer.status_code == 200
    assert answer.json() == {
        "results": [
            {"id": "jb1", "status": "success"},
            {
                "id": "jb2",
                "status": "failed",
                "error_code": "DRS.M00304",
                "error_msg": "This operation is not allowed in the current task status FULL_TRANSFER_STARTED.",
            },
            {
                "id": "jb3",
                "status": "failed",
                "error_code": "DRS.M05003",
                "error_msg": "The task jb3 does not exist.",
            },
        ],
        "count": 3,
    }
    assert [(target.id, target.times_fired) for target in emulator.targets()] == [("jb1", 1), ("jb2", 0)]
    assert emulator.requests("BatchRestoreTask")[0].effects == 1


@pytest.mark.parametrize(
    ("state", "status"),
    [
        ("START_JOB_FAILED", "success"),
        ("PAUSING", "success"),
        ("PAUSEING", "success"),
        ("FULL_TRANSFER_FAILED", "success"),
        ("INCRE_TRANSFER_FAILED", "success"),
        ("CREATE_FAILED", "failed"),
        ("RELEASE_RESOURCE_FAILED", "failed"),
        ("RELEASE_RESOURCE_COMPLETE", "failed"),
        ("INCRE_TRANSFER_STARTED", "failed"),
        ("STARTJOBING", "failed"),
    ],
)
def test_failed_and_paused_tasks_can_be_retried_and_no_others(emulator, huaweicloud, state, status):
    emulator.set_scenario(jobs(jb1=state))
    assert huaweicloud.retry_drs("jb1").json()["results"][0]["status"] == status


def test_messages_come_in_chinese_when_asked_for(emulator, huaweicloud):
    emulator.set_scenario(jobs(jb1="CREATING"))
    body = {"jobs": [{"job_id": "jb1"}]}
    answer = huaweicloud.post(RETRY, body, headers={"X-Language": "zh-cn"}).json()
    assert answer["results"][0]["error_msg"] == "任务当前状态CREATING不允许执行该操作。"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "DRS.M00201"),
        ({"jobs": []}, "DRS.M00201"),
        ({"jobs": [{}]}, "DRS.M00201"),
        ({"jobs": [{"job_id": ""}]}, "DRS.M00201"),
        ({"jobs": "jb1"}, "DRS.M00202"),
        ({"jobs": [{"job_id": 1}]}, "DRS.M00202"),
        ({"jobs": [{"job_id": "jb1", "is_sync_re_edit": "true"}]}, "DRS.M00202"),
        ({"jobs": [{"job_id": "jb1"}, {"job_id": "jb1"}]}, "DRS.M00301"),
        ([], "DRS.M00202"),
    ],
)
def test_a_malformed_retry_is_refused_as_a_whole(emulator, huaweicloud, body, code):
    emulator.set_scenario(jobs(jb1="FULL_TRANSFER_FAILED"))
    answer = huaweicloud.post(RETRY, body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, code)
    assert emulator.target("jb1").times_fired == 0


def test_a_retry_needs_a_content_type(huaweicloud):
    answer = huaweicloud.session.post(huaweicloud.url(RETRY), data=b'{"jobs": [{"job_id": "jb1"}]}')
    assert (answer.status_code, answer.json()["error_code"]) == (400, "DRS.M00202")


@pytest.mark.parametrize(
    ("job", "re_edit", "code"),
    [
        ({"state": "CHILD_TRANSFER_FAILED"}, True, None),
        ({"state": "CHILD_TRANSFER_FAILED"}, None, "DRS.M00202"),
        ({"state": "CHILD_TRANSFER_FAILED"}, False, "DRS.M00202"),
        ({"state": "FULL_TRANSFER_FAILED"}, True, None),
        ({"state": "FULL_TRANSFER_FAILED", "dbUseType": "migration"}, True, "DRS.M00401"),
        ({"state": "FULL_TRANSFER_FAILED", "dbUseType": "migration"}, None, None),
        ({"state": "FULL_TRANSFER_FAILED", "dualActiveParent": True}, None, "DRS.M00307"),
    ],
)
def test_re_edited_and_dual_active_tasks_have_rules_of_their_own(emulator, huaweicloud, job, re_edit, code):
    emulator.set_scenario({"drsJobs": [{"id": "jb1"} | job]})
    item = {"job_id": "jb1"} | ({} if re_edit is None else {"is_sync_re_edit": re_edit})
    assert huaweicloud.post(RETRY, {"jobs": [item]}).json()["results"][0].get("error_code") == code


def test_a_scenario_can_refuse_one_job_of_a_batch(emulator, huaweicloud):
    refuse = {"code": "DRS.M01504", "message": "Another operation runs."}
    emulator.set_scenario(
        {
            "drsJobs": [
                {"id": "jb1", "state": "FULL_TRANSFER_FAILED"},
                {"id": "jb2", "state": "FULL_TRANSFER_FAILED", "refuse": refuse},
            ]
        }
    )
    results = huaweicloud.retry_drs("jb1", "jb2").json()["results"]
    assert [result["status"] for result in results] == ["success", "failed"]
    assert results[1]["error_code"] == "DRS.M01504"


def test_a_refusal_with_an_http_status_refuses_the_batch_before_any_job_is_fired(emulator, huaweicloud):
    refuse = {"code": "DRS.M01503", "message": "Too frequent.", "http": 400, "times": 1}
    emulator.set_scenario(
        {
            "drsJobs": [
                {"id": "jb1", "state": "FULL_TRANSFER_FAILED"},
                {"id": "jb2", "state": "FULL_TRANSFER_FAILED", "refuse": refuse},
            ]
        }
    )
    assert huaweicloud.retry_drs("jb1", "jb2").json() == {"error_code": "DRS.M01503", "error_msg": "Too frequent."}
    assert [target.times_fired for target in emulator.targets()] == [0, 0]
    assert huaweicloud.retry_drs("jb1", "jb2").json()["count"] == 2
    assert [target.times_fired for target in emulator.targets()] == [1, 1]


def test_a_status_query_shows_five_tasks_unless_told_otherwise(emulator, huaweicloud):
    emulator.set_scenario({"drsJobs": [{"count": 150, "idFormat": "jb{n}", "state": "FULL_TRANSFER_STARTED"}]})
    ids = [f"jb{n}" for n in range(1, 151)]

    def page(**page_req):
        body = {"jobs": ids} | ({"page_req": page_req} if page_req else {})
        answer = huaweicloud.post(STATUS, body).json()
        return answer["count"], [result["id"] for result in answer["results"]]

    assert page() == (150, ids[:5])
    assert page(cur_page=2) == (150, ids[5:10])
    assert page(per_page=100) == (150, ids[:100])
    assert page(per_page=100, cur_page=2) == (150, ids[100:])
    assert page(per_page=0) == (150, ids)
    assert page(per_page=0, cur_page=0) == (150, ids)
    for wrong in (
        {"per_page": 101},
        {"per_page": -1},
        {"cur_page": 0},
        {"per_page": 0, "cur_page": 2},
        {"per_page": "5"},
    ):
        assert huaweicloud.post(STATUS, {"jobs": ids, "page_req": wrong}).json()["error_code"] == "DRS.M00202"


def test_a_status_query_says_error_message_where_a_retry_says_error_msg(emulator, huaweicloud):
    emulator.set_scenario({"drsJobs": [{"id": "jb1", "state": "FULL_TRANSFER_FAILED", "failedReason": "Disk full."}]})
    assert huaweicloud.post(STATUS, {"jobs": ["jb1", "jb9"]}).json()["results"] == [
        {"id": "jb1", "status": "FULL_TRANSFER_FAILED", "error_message": "Disk full."},
        {"id": "jb9", "error_code": "DRS.M05003", "error_message": "The task jb9 does not exist."},
    ]


def test_details_and_lists_describe_tasks(huaweicloud):
    job_id = "140b5236-88ad-43c8-811c-1268453jb101"
    detail = huaweicloud.post("/v3/{project}/jobs/batch-detail", {"jobs": [job_id]}).json()
    assert detail["count"] == 1
    assert detail["results"][0]["name"] == "DRS-orders"
    assert detail["results"][0]["failed_reason"] == "The source database closed the connection."

    listed = huaweicloud.post("/v3/{project}/jobs", {"cur_page": 1, "per_page": 10, "db_use_type": "sync"}).json()
    assert listed["total_record"] == 2
    assert listed["jobs"][0]["id"] == job_id
    assert huaweicloud.post("/v3/{project}/jobs", {}).json()["error_code"] == "DRS.M00201"
