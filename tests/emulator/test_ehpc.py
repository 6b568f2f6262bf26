from __future__ import annotations

import json
from xml.etree import ElementTree

import pytest

CLUSTER = "ehpc-sh-3VeFyR7kQm"


def cluster(*jobs, **changes):
    return {"clusters": [{"id": CLUSTER, "jobs": list(jobs)} | changes]}


def ids(*job_ids):
    return json.dumps([{"Id": job_id} for job_id in job_ids])


def states(alicloud):
    answer = alicloud("ListJobs", ClusterId=CLUSTER, PageSize="50").json()
    return {job["Id"]: job["State"] for job in answer["Jobs"]["JobInfo"]}


def times(alicloud):
    job = alicloud("ListJobs", ClusterId=CLUSTER).json()["Jobs"]["JobInfo"][0]
    return job["SubmitTime"], job["StartTime"], job["LastModifyTime"]


def test_a_rerun_job_is_queued_and_runs_again_with_new_times(emulator, alicloud, clock):
    before = times(alicloud)

    answer = alicloud("RerunJobs", ClusterId=CLUSTER, Jobs=ids("1.scheduler"))

    assert answer.status_code == 200
    assert list(answer.json()) == ["RequestId"]
    assert answer.headers["x-acs-request-id"] == answer.json()["RequestId"]
    assert states(alicloud) == {"1.scheduler": "QUEUED", "2.scheduler": "RUNNING"}
    queued = times(alicloud)
    assert queued[1] == ""
    clock.advance(2)
    running = times(alicloud)
    assert states(alicloud)["1.scheduler"] == "RUNNING"
    assert all(earlier != later for earlier, later in zip(before, running, strict=True))
    assert emulator.target(f"{CLUSTER}/1.scheduler").times_fired == 1


def test_two_reruns_at_one_moment_still_differ_in_their_times(alicloud):
    seen = []
    for _ in range(3):
        assert alicloud("RerunJobs", ClusterId=CLUSTER, Jobs=ids("1.scheduler")).ok
        seen.append(times(alicloud)[0])
    assert len(set(seen)) == 3


def test_a_rerun_works_as_a_form_too(emulator, alicloud):
    assert alicloud.post_form("RerunJobs", ClusterId=CLUSTER, Jobs=ids("1.scheduler")).status_code == 200
    assert emulator.target(f"{CLUSTER}/1.scheduler").times_fired == 1


@pytest.mark.parametrize("job_id", ["3.scheduler", "9.scheduler"])
def test_a_finished_or_unknown_job_cannot_be_rerun(emulator, alicloud, job_id):
    emulator.set_scenario(cluster({"id": "3.scheduler", "state": "FINISHED"}))
    answer = alicloud("RerunJobs", ClusterId=CLUSTER, Jobs=ids(job_id))
    assert (answer.status_code, answer.json()["Code"]) == (406, "AgentError.Job.RerunFailure")
    assert answer.json().keys() == {"RequestId", "HostId", "Code", "Message", "Recommend"}


def test_a_batch_that_partly_fails_does_the_rest_and_says_only_that(emulator, alicloud):
    emulator.set_scenario(
        cluster({"id": "1.s", "state": "RUNNING"}, {"id": "2.s", "state": "QUEUED"}, {"id": "3.s", "state": "FINISHED"})
    )
    answer = alicloud("RerunJobs", ClusterId=CLUSTER, Jobs=ids("1.s", "2.s", "3.s"))
    assert (answer.status_code, answer.json()["Code"]) == (409, "PartFailure")
    assert [target.times_fired for target in emulator.targets()] == [1, 1, 0]
    assert emulator.requests("RerunJobs")[0].effects == 2


def test_a_scenario_can_refuse_a_job_or_a_cluster(emulator, alicloud):
    refuse = {"code": "AgentResponseTimeout", "message": "Agent response timeout: 30s", "http": 406}
    emulator.set_scenario(cluster({"id": "1.s", "state": "RUNNING", "refuse": refuse}))
    answer = alicloud("RerunJobs", ClusterId=CLUSTER, Jobs=ids("1.s"))
    assert (answer.status_code, answer.json()["Code"]) == (406, "AgentResponseTimeout")

    emulator.set_scenario(cluster(refuse={"code": "NotAuthorized", "http": 407}))
    for action in ("RerunJobs", "ListJobs"):
        answer = alicloud(action, ClusterId=CLUSTER, Jobs=ids("1.s"))
        assert (answer.status_code, answer.json()["Code"]) == (407, "NotAuthorized")

    emulator.set_scenario(cluster(status="stopped"))
    answer = alicloud("ListJobs", ClusterId=CLUSTER)
    assert (answer.status_code, answer.json()["Code"]) == (403, "InvalidClusterStatus")


@pytest.mark.parametrize("action", ["RerunJobs", "ListJobs", "ListJobsWithFilters", "DescribeJob"])
def test_an_unknown_cluster_is_not_found(alicloud, action):
    answer = alicloud(action, ClusterId="ehpc-none", Jobs=ids("1.s"), JobId="1.s")
    assert (answer.status_code, answer.json()["Code"]) == (404, "ClusterNotFound")


@pytest.mark.parametrize(
    "jobs",
    [
        "1.scheduler",
        "[]",
        "{}",
        '[{"Id": ""}]',
        '[{"id": "1.scheduler"}]',
        '["1.scheduler"]',
        ids(*map(str, range(101))),
    ],
)
def test_jobs_must_be_a_json_list_of_one_to_a_hundred_ids(alicloud, jobs):
    answer = alicloud("RerunJobs", ClusterId=CLUSTER, Jobs=jobs)
    assert (answer.status_code, answer.json()["Code"]) == (400, "InvalidParams")
    assert answer.json()["Message"] == "The specified parameter Jobs is invalid."


def test_a_hundred_jobs_can_be_rerun_at_once(emulator, alicloud):
    emulator.set_scenario(cluster({"count": 100, "state": "RUNNING"}))
    jobs = ids(*(f"{n}.scheduler" for n in range(1, 101)))
    assert alicloud("RerunJobs", ClusterId=CLUSTER, Jobs=jobs).status_code == 200
    assert {target.times_fired for target in emulator.targets()} == {1}


@pytest.mark.parametrize("flag", ["true", "True", "FALSE", "false"])
def test_async_is_read_without_regard_to_case(alicloud, flag):
    assert alicloud("RerunJobs", ClusterId=CLUSTER, Jobs=ids("1.scheduler"), Async=flag).status_code == 200


def test_async_must_be_a_boolean(alicloud):
    answer = alicloud("RerunJobs", ClusterId=CLUSTER, Jobs=ids("1.scheduler"), Async="yes")
    assert answer.json()["Code"] == "InvalidParams"


@pytest.mark.parametrize("missing", ["ClusterId", "Jobs"])
def test_a_missing_parameter_is_named(alicloud, missing):
    parameters = {"ClusterId": CLUSTER, "Jobs": ids("1.scheduler")}
    del parameters[missing]
    answer = alicloud("RerunJobs", **parameters)
    assert (answer.status_code, answer.json()["Code"]) == (400, "MissingParameter")
    assert f'"{missing}"' in answer.json()["Message"]


def test_jobs_are_listed_ten_to_a_page_and_fifty_at_most(emulator, alicloud):
    emulator.set_scenario(cluster({"count": 60, "state": "RUNNING"}, {"id": "done", "state": "FINISHED"}))

    def page(**parameters):
        answer = alicloud("ListJobs", ClusterId=CLUSTER, **parameters).json()
        return answer["TotalCount"], answer["PageNumber"], len(answer["Jobs"]["JobInfo"])

    assert page() == (61, 1, 10)
    assert page(PageSize="50", PageNumber="2") == (61, 2, 11)
    assert page(State="finished") == (1, 1, 1)
    assert page(State="RUNNING", PageSize="50") == (60, 1, 50)
    assert page(Owner="nobody") == (0, 1, 0)
    for wrong in ({"PageSize": "51"}, {"PageSize": "0"}, {"PageNumber": "x"}, {"State": "odd"}):
        assert alicloud("ListJobs", ClusterId=CLUSTER, **wrong).json()["Code"] == "InvalidParams"


def test_a_list_with_filters_is_flat(emulator, alicloud):
    emulator.set_scenario(
        cluster({"id": "1.s", "state": "RUNNING", "name": "mesh"}, {"id": "2.s", "state": "FINISHED", "name": "solve"})
    )
    answer = alicloud("ListJobsWithFilters", ClusterId=CLUSTER, JobName="mes").json()
    assert answer["Success"] is True
    assert [job["Id"] for job in answer["Jobs"]] == ["1.s"]
    assert answer["Jobs"][0]["Rerunable"] is True
    answer = alicloud("ListJobsWithFilters", ClusterId=CLUSTER, JobStatus="finished").json()
    assert [job["Id"] for job in answer["Jobs"]] == ["2.s"]


def test_describe_job_gives_the_schedulers_own_json_in_a_string(alicloud):
    answer = alicloud("DescribeJob", ClusterId=CLUSTER, JobId="1.scheduler").json()
    assert json.loads(answer["Message"]["JobInfo"])["1.scheduler"]["job_state"] == "R"


def test_without_a_format_the_answer_is_xml(alicloud):
    def xml(**parameters):
        wanted = alicloud.parameters("ListJobs", **parameters)
        del wanted["Format"]
        answer = alicloud.send(alicloud.sign(wanted))
        assert answer.headers["Content-Type"].startswith("text/xml")
        return ElementTree.fromstring(answer.text)

    listed = xml(ClusterId=CLUSTER)
    assert listed.tag == "ListJobsResponse"
    assert [job.findtext("Id") for job in listed.findall("Jobs/JobInfo")] == ["1.scheduler", "2.scheduler"]
    refused = xml(ClusterId="none")
    assert (refused.tag, refused.findtext("Code")) == ("Error", "ClusterNotFound")
    assert refused.findtext("RequestId")
    assert alicloud("ListJobs", ClusterId=CLUSTER, Format="XML").text.startswith("<?xml")


@pytest.mark.parametrize(
    ("action", "version", "status", "code"),
    [
        ("DropJobs", "2018-04-12", 404, "InvalidAction.NotFound"),
        ("", "2018-04-12", 400, "MissingParameter"),
        ("RerunJobs", "2024-07-30", 404, "InvalidVersion"),
    ],
)
def test_only_the_actions_of_this_version_exist(alicloud, action, version, status, code):
    answer = alicloud(action, version=version)
    assert (answer.status_code, answer.json()["Code"]) == (status, code)
