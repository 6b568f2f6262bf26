from __future__ import annotations

import pytest

POOL = "pool-dly-op-0c2098ebae80d3e22f31c011e23a97cd"
POOL_PATH = f"/v2/{{project}}/pools/{POOL}"
RETRY = f"{POOL_PATH}/retry-scope"
JOB = "/v1/{project}/visualization-jobs/10"


def scope_states(huaweicloud):
    return {scope["scopeType"]: scope["state"] for scope in huaweicloud.get(POOL_PATH).json()["status"]["scope"]}


def test_a_retried_scope_goes_through_enabling_to_enabled(emulator, huaweicloud, clock):
    answer = huaweicloud.post(RETRY, {"scope": "Infer"})

    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["X-Request-Id"]
    assert scope_states(huaweicloud) == {"Train": "Enabled", "Infer": "Enabling"}
    clock.advance(1.5)
    assert scope_states(huaweicloud)["Infer"] == "Enabled"
    assert emulator.target(f"{POOL}:Infer").times_fired == 1


def test_only_a_scope_that_failed_can_be_retried(emulator, huaweicloud):
    answer = huaweicloud.post(RETRY, {"scope": "Train"})

    assert answer.status_code == 400
    assert answer.json() == {
        "error_code": "ModelArts.50004000",
        "error_msg": f"Bad request. The pool {POOL} scope Train cannot be enabled.",
    }
    assert emulator.target(f"{POOL}:Train").times_fired == 0


def test_a_second_retry_while_the_first_runs_is_refused(emulator, huaweicloud):
    assert huaweicloud.post(RETRY, {"scope": "Infer"}).ok
    assert huaweicloud.post(RETRY, {"scope": "Infer"}).status_code == 400
    assert emulator.target(f"{POOL}:Infer").times_fired == 1


@pytest.mark.parametrize("body", [None, {}, {"scope": 7}, {"scope": ["Infer"]}, {"scope": ""}, ["Infer"]])
def test_a_retry_without_a_scope_is_a_bad_request(huaweicloud, body):
    answer = huaweicloud.post(RETRY, body)
    assert (answer.status_code, answer.json()["error_code"]) == (400, "ModelArts.50004000")


def test_a_scope_that_the_pool_does_not_have_cannot_be_enabled(huaweicloud):
    answer = huaweicloud.post(RETRY, {"scope": "Notebook"})
    assert answer.status_code == 400
    assert "scope Notebook cannot be enabled" in answer.json()["error_msg"]


def test_scopes_can_be_changed_only_while_the_pool_runs(emulator, huaweicloud):
    scope = {"scope": "Infer", "state": "EnableFailed"}
    emulator.set_scenario({"pools": [{"name": POOL, "phase": "Abnormal", "scopes": [scope]}]})
    assert huaweicloud.post(RETRY, {"scope": "Infer"}).status_code == 400


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_unknown_pool_is_not_found(huaweicloud, method):
    path = "/v2/{project}/pools/pool-none" + ("/retry-scope" if method == "post" else "")
    answer = (
        getattr(huaweicloud, method)(path, json={"scope": "Infer"})
        if method == "get"
        else huaweicloud.post(path, {"scope": "Infer"})
    )
    assert answer.status_code == 404
    assert answer.json() == {"error_code": "ModelArts.50015001", "error_msg": "pool not found"}


def test_a_pool_shows_its_scopes_and_why_one_failed(huaweicloud):
    pool = huaweicloud.get(POOL_PATH).json()
    assert (pool["kind"], pool["apiVersion"], pool["metadata"]["name"]) == ("Pool", "v2", POOL)
    assert pool["metadata"]["labels"]["os.modelarts/name"] == "pool-dly-op"
    assert pool["status"]["phase"] == "Running"
    assert pool["status"]["scope"][1]["message"] == "The plugin of the Infer job type could not be installed."


def test_pools_are_listed_by_how_they_fared(emulator, huaweicloud):
    emulator.set_scenario({"pools": [{"name": "pool-a"}, {"name": "pool-b", "phase": "Error"}]})

    def names(query):
        items = huaweicloud.get("/v2/{project}/pools" + query).json()["items"]
        return [item["metadata"]["name"] for item in items]

    assert names("") == ["pool-a"]
    assert names("?status=failed") == ["pool-b"]
    assert huaweicloud.get("/v2/{project}/pools?status=odd").status_code == 400


def test_a_restarted_visualization_job_runs_again(emulator, huaweicloud, clock):
    assert huaweicloud.get(JOB).json()["status"] == 11
    assert "error_code" in huaweicloud.get(JOB).json()

    answer = huaweicloud.post(f"{JOB}/restart")

    assert (answer.status_code, answer.json()) == (200, {"is_success": True})
    seen = [huaweicloud.get(JOB).json()["status"]]
    for seconds in (0.5, 1.0):
        clock.advance(seconds)
        seen.append(huaweicloud.get(JOB).json()["status"])
    assert seen == [4, 7, 8]
    clock.advance(10)
    running = huaweicloud.get(JOB).json()
    assert running["duration"] == 10_000
    assert "error_code" not in running
    assert emulator.target("10").times_fired == 1


@pytest.mark.parametrize("status", [200, 400])
def test_a_running_job_cannot_be_restarted_whatever_the_http_status_says(emulator, huaweicloud, status):
    jobs = [{"id": 10, "state": "RUNNING"}]
    emulator.set_scenario({"visualizationJobs": jobs, "visualizationRefusalStatus": status})

    answer = huaweicloud.post(f"{JOB}/restart")

    assert answer.status_code == status
    assert answer.json() == {
        "is_success": False,
        "error_message": "This job can't be resubmit. job status: 8",
        "error_code": "ModelArts.0105",
    }
    assert emulator.target("10").times_fired == 0


@pytest.mark.parametrize(("job_id", "status"), [("11", 404), ("ten", 400)])
def test_a_visualization_job_that_is_not_there_cannot_be_restarted(huaweicloud, job_id, status):
    answer = huaweicloud.post(f"/v1/{{project}}/visualization-jobs/{job_id}/restart")
    assert (answer.status_code, answer.json()["is_success"]) == (status, False)


def test_visualization_jobs_are_listed_ten_to_a_page(emulator, huaweicloud):
    jobs = [{"count": 12, "state": "FAILED"}, {"id": 50, "state": "RUNNING", "name": "other"}]
    emulator.set_scenario({"visualizationJobs": jobs})

    def listed(query=""):
        answer = huaweicloud.get(f"/v1/{{project}}/visualization-jobs{query}").json()
        return answer["job_total_count"], [job["job_id"] for job in answer["jobs"]]

    assert listed() == (13, [50, *range(12, 3, -1)])
    assert listed("?page=2&order=asc") == (13, [11, 12, 50])
    assert listed("?status=8") == (1, [50])
    assert listed("?search_content=other") == (1, [50])
    for wrong in ("?per_page=0", "?per_page=1001", "?page=none", "?sortBy=colour"):
        assert huaweicloud.get(f"/v1/{{project}}/visualization-jobs{wrong}").status_code == 400


def test_a_scenario_can_refuse_the_first_retries_of_a_target(emulator, huaweicloud):
    refuse = {"code": "ModelArts.5000", "message": "Internal error.", "http": 500, "times": 2}
    scope = {"scope": "Infer", "state": "EnableFailed", "refuse": refuse}
    job = {"id": 10, "state": 11, "refuse": refuse}
    emulator.set_scenario({"pools": [{"name": POOL, "scopes": [scope]}], "visualizationJobs": [job]})

    scope_answers = [huaweicloud.post(RETRY, {"scope": "Infer"}) for _ in range(3)]
    job_answers = [huaweicloud.post(f"{JOB}/restart") for _ in range(3)]

    assert [answer.status_code for answer in scope_answers] == [500, 500, 200]
    assert scope_answers[0].json() == {"error_code": "ModelArts.5000", "error_msg": "Internal error."}
    assert [answer.status_code for answer in job_answers] == [500, 500, 200]
    assert [target.times_fired for target in emulator.targets()] == [1, 1]
