"""What a target shows over time: after a retry, by itself, and late."""

from __future__ import annotations

import pytest

from cloudretry.emulator import EmulatorError


def job(**changes):
    return {"drsJobs": [{"id": "jb1", "state": "FULL_TRANSFER_FAILED"} | changes]}


def fire(huaweicloud):
    return huaweicloud.retry_drs("jb1").json()["results"][0]["status"]


def test_the_old_state_lasts_until_the_first_step(emulator, huaweicloud, clock):
    emulator.set_scenario(job(afterRetry=[["STARTJOBING", 2], ["FULL_TRANSFER_STARTED", 5]]))
    fire(huaweicloud)
    seen = []
    for seconds in (0, 2, 2.5, 0.5):
        clock.advance(seconds)
        seen += huaweicloud.drs_states("jb1")
    assert seen == ["FULL_TRANSFER_FAILED", "STARTJOBING", "STARTJOBING", "FULL_TRANSFER_STARTED"]


def test_each_retry_has_its_timeline_and_the_last_one_stays(emulator, huaweicloud, clock):
    failing, working = [["FULL_TRANSFER_FAILED", 1]], [["FULL_TRANSFER_STARTED", 1], ["INCRE_TRANSFER_FAILED", 3]]
    emulator.set_scenario(job(afterRetry=[failing, failing, working]))
    seen = []
    for _ in range(4):
        assert fire(huaweicloud) == "success"
        clock.advance(1)
        seen += huaweicloud.drs_states("jb1")
        clock.advance(5)
    assert seen == ["FULL_TRANSFER_FAILED"] * 2 + ["FULL_TRANSFER_STARTED"] * 2
    assert emulator.target("jb1").times_fired == 4


def test_an_empty_timeline_changes_nothing(emulator, huaweicloud, clock):
    emulator.set_scenario(job(afterRetry=[]))
    assert [fire(huaweicloud), fire(huaweicloud)] == ["success", "success"]
    clock.advance(100)
    assert huaweicloud.drs_states("jb1") == ["FULL_TRANSFER_FAILED"]


def test_a_sluggish_status_still_shows_the_failure_while_a_second_retry_is_refused(emulator, huaweicloud, clock):
    emulator.set_scenario(job(staleSeconds=3, afterRetry=[["STARTJOBING", 0], ["FULL_TRANSFER_STARTED", 10]]))

    fire(huaweicloud)

    assert huaweicloud.drs_states("jb1") == ["FULL_TRANSFER_FAILED"]
    target = emulator.target("jb1")
    assert (target.state, target.shown_state) == ("STARTJOBING", "FULL_TRANSFER_FAILED")
    assert fire(huaweicloud) == "failed"
    clock.advance(3)
    assert huaweicloud.drs_states("jb1") == ["STARTJOBING"]


def test_targets_fail_by_themselves_at_the_time_that_was_set(emulator, huaweicloud, clock):
    drift = [["INCRE_TRANSFER_FAILED", 60], ["RELEASE_RESOURCE_COMPLETE", 120]]
    emulator.set_scenario(job(state="INCRE_TRANSFER_STARTED", drift=drift))
    seen = huaweicloud.drs_states("jb1")
    for _ in range(2):
        clock.advance(60)
        seen += huaweicloud.drs_states("jb1")
    assert seen == ["INCRE_TRANSFER_STARTED", "INCRE_TRANSFER_FAILED", "RELEASE_RESOURCE_COMPLETE"]


def test_a_retry_does_not_keep_a_target_from_failing_later(emulator, huaweicloud, clock):
    emulator.set_scenario(job(afterRetry=[["FULL_TRANSFER_STARTED", 1]], drift=[["FULL_TRANSFER_FAILED", 60]]))
    fire(huaweicloud)
    clock.advance(59)
    assert huaweicloud.drs_states("jb1") == ["FULL_TRANSFER_STARTED"]
    clock.advance(1)
    assert huaweicloud.drs_states("jb1") == ["FULL_TRANSFER_FAILED"]
    fire(huaweicloud)
    clock.advance(1000)
    assert huaweicloud.drs_states("jb1") == ["FULL_TRANSFER_STARTED"]


def test_a_test_can_put_a_target_into_a_state(emulator, huaweicloud, clock):
    emulator.set_scenario(job(staleSeconds=5, afterRetry=[["STARTJOBING", 0], ["FULL_TRANSFER_STARTED", 10]]))
    fire(huaweicloud)
    emulator.set_state("jb1", "INCRE_TRANSFER_FAILED")
    assert huaweicloud.drs_states("jb1") == ["INCRE_TRANSFER_FAILED"]
    clock.advance(100)
    assert huaweicloud.drs_states("jb1") == ["INCRE_TRANSFER_FAILED"]
    assert fire(huaweicloud) == "success"
    with pytest.raises(EmulatorError, match="target 'jb9': 0 of this id"):
        emulator.set_state("jb9", "FULL_TRANSFER_FAILED")


def test_the_built_in_targets_recover_and_fail_again_within_the_hour(emulator, huaweicloud, alicloud, clock):
    failing = {target.id: target.state for target in emulator.targets()}
    pool = "pool-dly-op-0c2098ebae80d3e22f31c011e23a97cd"
    huaweicloud.post(f"/v2/{{project}}/pools/{pool}/retry-scope", {"scope": "Infer"})
    huaweicloud.post("/v1/{project}/visualization-jobs/10/restart")
    jobs = [target.id for target in emulator.targets("drsJob")]
    huaweicloud.retry_drs(*jobs)

    clock.advance(2)
    states = {target.id: target.state for target in emulator.targets()}
    assert states[f"{pool}:Infer"] == "Enabled"
    assert states["10"] == "8"
    assert [states[job_id] for job_id in jobs] == ["FULL_TRANSFER_STARTED", "INCRE_TRANSFER_STARTED"]
    clock.advance(3600)
    assert {target.id: target.state for target in emulator.targets()} == failing
