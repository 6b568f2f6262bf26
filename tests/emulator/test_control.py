from __future__ import annotations

import pytest
import requests

from cloudretry.emulator import CREDENTIALS, requestlog

YAML = """
drsJobs:
  - id: jb1
    state: FULL_TRANSFER_FAILED
    afterRetry: [[FULL_TRANSFER_STARTED, 2]]
"""


@pytest.fixture
def control(emulator):
    def ask(method, path, **options):
        return requests.request(method, f"{emulator.url}/_emulator/{path}", timeout=10, **options)

    return ask


def test_health_says_that_it_serves(control):
    assert control("GET", "health").json() == {"status": "ok"}


def test_targets_show_their_state_and_how_often_they_were_fired(control, huaweicloud, clock):
    assert control("PUT", "scenario", data=YAML).status_code == 204
    huaweicloud.retry_drs("jb1")
    clock.advance(2)
    (target,) = control("GET", "targets").json()["targets"]
    assert target.pop("firedAt").endswith("Z")
    assert target == {
        "kind": "drsJob",
        "project": CREDENTIALS.project_id,
        "id": "jb1",
        "state": "FULL_TRANSFER_STARTED",
        "shownState": "FULL_TRANSFER_STARTED",
        "timesFired": 1,
    }
    assert control("GET", "targets?kind=ehpcJob").json() == {"targets": []}


def test_requests_show_everything_but_secrets(control, huaweicloud):
    control("PUT", "scenario", data=YAML)
    huaweicloud.retry_drs("jb1", "jb2")
    huaweicloud.drs_states("jb1")

    first, second = control("GET", "requests").json()["requests"]

    assert first.pop("time").endswith("Z")
    headers = first.pop("headers")
    assert headers["x-auth-token"] == "[redacted]"
    assert headers["content-type"] == "application/json"
    assert first == {
        "number": 1,
        "operation": "BatchRestoreTask",
        "method": "POST",
        "path": f"/v3/{CREDENTIALS.project_id}/jobs/batch-retry-task",
        "query": {},
        "body": '{"jobs": [{"job_id": "jb1"}, {"job_id": "jb2"}]}',
        "targets": ["jb1", "jb2"],
        "status": 200,
        "effects": 1,
        "hadEffect": True,
        "fault": False,
    }
    assert (second["operation"], second["hadEffect"]) == ("BatchListJobStatus", False)
    named = control("GET", "requests?operation=BatchListJobStatus").json()["requests"]
    assert [request["number"] for request in named] == [2]


def test_no_secret_is_ever_shown(emulator, control, huaweicloud, alicloud):
    user = {"name": "x", "password": CREDENTIALS.password, "domain": {"name": "x"}}
    identity = {"methods": ["password"], "password": {"user": user}}
    huaweicloud.post("/v3/auth/tokens", {"auth": {"identity": identity}})
    signed = alicloud.sign(alicloud.parameters("ListJobs", SecurityToken=CREDENTIALS.alicloud_security_token))
    alicloud.send(signed)
    requests.post(emulator.url, data=signed, headers={"Authorization": "Bearer hidden"}, timeout=10)

    shown = control("GET", "requests").text

    assert shown.count('"operation":"ListJobs"') == 2
    for secret in (
        CREDENTIALS.password,
        CREDENTIALS.token,
        CREDENTIALS.alicloud_security_token,
        signed["Signature"],
        "Bearer hidden",
    ):
        assert secret not in shown


def test_a_refused_request_has_no_effect(emulator, control):
    requests.post(f"{emulator.url}/v1/{CREDENTIALS.project_id}/visualization-jobs/10/restart", timeout=10)
    (request,) = control("GET", "requests").json()["requests"]
    assert (request["status"], request["effects"]) == (401, 0)


def test_a_reset_starts_the_present_scenario_again(control, huaweicloud):
    control("PUT", "scenario", data=YAML)
    huaweicloud.retry_drs("jb1")
    control("POST", "faults", json={"operation": "*", "status": 500})

    assert control("POST", "reset").status_code == 204

    (target,) = control("GET", "targets").json()["targets"]
    assert (target["id"], target["state"], target["timesFired"]) == ("jb1", "FULL_TRANSFER_FAILED", 0)
    assert control("GET", "requests").json() == {"requests": []}
    assert control("GET", "faults").json() == {"faults": []}


def test_a_scenario_may_be_json(control):
    assert control("PUT", "scenario", json={"drsJobs": [{"id": "a", "state": "CREATING"}]}).status_code == 204
    assert [target["id"] for target in control("GET", "targets").json()["targets"]] == ["a"]


def test_a_wrong_scenario_changes_nothing_and_says_why(control):
    before = control("GET", "targets").json()
    answer = control("PUT", "scenario", data="drsJobs: [{id: a, state: ODD}]")
    assert answer.status_code == 400
    assert answer.json()["error"].startswith("scenario: drsJobs[0].state: 'ODD' is not a documented state")
    assert control("PUT", "scenario", data=b"\xff").status_code == 400
    assert control("GET", "targets").json() == before


def test_faults_are_set_shown_and_cleared(control, huaweicloud):
    fault = {"operation": "BatchListJobStatus", "skip": 1, "times": 2, "status": 503}
    answer = control("POST", "faults", json=fault)
    assert answer.status_code == 201
    assert answer.json() == fault | {"number": 1, "hits": 0}
    assert huaweicloud.drs_states("jb1")
    assert huaweicloud.post("/v3/{project}/jobs/batch-status", {"jobs": ["jb1"]}).status_code == 503
    assert control("GET", "faults").json() == {"faults": [fault | {"number": 1, "skip": 0, "times": 1, "hits": 1}]}
    assert control("DELETE", "faults").status_code == 204
    assert control("GET", "faults").json() == {"faults": []}
    assert huaweicloud.drs_states("jb1")
    assert control("POST", "faults", json={"operation": "x"}).json()["error"].startswith("fault: says nothing to do")
    assert control("POST", "faults", data="{").status_code == 400


def test_a_target_can_be_put_into_a_state(control):
    job = "140b5236-88ad-43c8-811c-1268453jb101"
    assert control("POST", "targets", json={"id": job, "state": "PAUSING"}).status_code == 204
    (state,) = [target["state"] for target in control("GET", "targets").json()["targets"] if target["id"] == job]
    assert state == "PAUSING"
    assert "0 of this id" in control("POST", "targets", json={"id": "none", "state": "x"}).json()["error"]
    assert control("POST", "targets", json={"id": job}).status_code == 400


def test_the_log_forgets_the_oldest_requests_and_the_end_of_long_bodies(emulator, huaweicloud, monkeypatch):
    monkeypatch.setattr(requestlog, "_KEPT", 3)
    for n in range(5):
        huaweicloud.drs_states(f"jb{n}", "x" * 70_000)
    assert [record.targets[0] for record in emulator.requests()] == ["jb2", "jb3", "jb4"]
    assert len(emulator.requests()[0].body) == 65_536
