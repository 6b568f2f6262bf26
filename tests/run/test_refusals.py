"""A refusal is looked at once, and what the cloud's state says decides."""

from __future__ import annotations

import pytest

from support import Broken, World
from support.samples import BAD, EHPC, GOOD, POOL, STUCK, Sample, drs


@pytest.mark.parametrize("state", ["STARTJOBING", "CHILD_TRANSFER_STARTED"])
def test_a_target_that_is_being_retried_already_is_adopted_and_waited_for(state: str) -> None:
    world = drs(jb1=[GOOD])
    world.cloud.things["jb1"].state = state
    world.clock.after(20, lambda: world.cloud.things["jb1"].set("INCRE_TRANSFER_STARTED"))
    step = world.up()
    assert (step.posts, step.fired, step.failure, world["status"]) == (1, [], "", "Succeeded")
    assert f"jb1 is being retried already ({state}); nothing more is fired at it" in step.lines


def test_without_wait_it_is_adopted_and_accepted() -> None:
    world = drs(jb1=[GOOD])
    world.cloud.things["jb1"].state = "STARTJOBING"
    world.up(wait=False)
    assert (world["status"], world.result("jb1")["cloudStatus"]) == ("Accepted", "STARTJOBING")
    assert "errorMessage" not in world.result("jb1")


@pytest.mark.parametrize(
    ("token", "inputs", "key", "state"),
    [
        ("cloudretry:drs:JobBatchRetry", {"jobs": [{"jobId": "jb1"}]}, "jb1", "INCRE_TRANSFER_STARTED"),
        ("cloudretry:modelarts:PoolScopeRetry", {"poolName": "p", "scope": "Infer"}, "Infer", "Enabled"),
        ("cloudretry:modelarts:VisualizationJobRestart", {"jobId": "10"}, "10", "RUNNING"),
        ("cloudretry:workspace:JobRetry", {"jobId": "ws-1"}, "ws-1", "SUCCESS"),
    ],
)
def test_a_healthy_target_is_skipped(token: str, inputs: dict[str, object], key: str, state: str) -> None:
    world = World(token, **inputs)
    world.cloud.add(key, state)
    step = world.up()
    assert (step.fired, step.failure, world["status"]) == ([], "", "Skipped")
    assert world.result(key)["skippedReason"] == "AlreadyRunning"
    assert "errorMessage" not in world.result(key)
    assert world.up().kind == "same"


def test_anything_else_has_failed_in_the_clouds_words() -> None:
    world = drs(jb1=[GOOD])
    world.cloud.things["jb1"].state = "RELEASE_RESOURCE_COMPLETE"
    step = world.up()
    assert (step.fired, world["status"]) == ([], "Failed")
    assert world.result("jb1")["errorCode"] == "DRS.M00304"
    assert world.result("jb1")["cloudStatus"] == "RELEASE_RESOURCE_COMPLETE"
    assert "- jb1: DRS.M00304: The task is RELEASE_RESOURCE_COMPLETE (HTTP 200, request id req-1)." in step.failure
    assert "The task does not allow this in its present state." in step.failure


def test_a_refusal_counts_as_an_attempt_and_is_looked_at_once(sample: Sample) -> None:
    world = sample.world()
    world.cloud.breaks(status=400, code="X.1", message="no")
    before = 1 if world.action.stamped else 0
    step = world.up()
    assert (step.posts, step.looks - before, world["status"]) == (1, 1, "Failed")
    assert world.result(sample.key)["attempts"] == 1


def test_a_refusal_that_cannot_be_looked_at_stays_a_refusal() -> None:
    world = World(POOL, poolName="p", scope="Infer")
    world.cloud.add("Infer", "Enabled")
    world.cloud.breaks("lost before", looks=True)
    step = world.up()
    assert "ModelArts.50004000" in step.failure
    assert world["status"] == "Failed"


def test_one_refused_target_of_a_batch_leaves_the_others_alone() -> None:
    world = drs(jb1=[GOOD], jb2=[GOOD], jb3=[GOOD])
    world.cloud.things["jb2"].state = "CREATE_FAILED"
    step = world.up()
    assert (step.fired, world["status"]) == (["jb1", "jb3"], "PartiallyFailed")


def test_a_cloud_that_is_too_busy_for_one_of_two_requests_leaves_the_other_alone() -> None:
    world = drs(**{f"job{number}": [GOOD] for number in range(20)})
    world.cloud.breaks(
        status=429, throttled=True, times=99, only=lambda request: request.body["jobs"][0]["job_id"] == "job10"
    )
    step = world.up()
    assert step.fired == sorted(f"job{number}" for number in range(10))
    assert world["status"] == "PartiallyFailed"
    world.cloud.faults.clear()
    assert len(world.up().fired) == 10
    assert world["status"] == "Succeeded"


# --- E-HPC: no state tells, only the times do ---


def ehpc(*keys: str, **inputs: object) -> World:
    world = World(EHPC, clusterId="ehpc-1", jobIds=list(keys), **inputs)
    for key in keys:
        world.cloud.add(key, "RUNNING", [("QUEUED", 0)])
    return world


def test_after_a_part_failure_jobs_with_changed_times_succeeded_and_the_others_are_unknown() -> None:
    world = ehpc("1.s", "2.s")
    world.cloud.breaks(status=409, code="PartFailure", message="Part of the batch operation failed.")
    world.clock.after(1, lambda: world.cloud.things["1.s"].fire(world.clock.now()))
    step = world.up()
    assert step.posts == 1
    assert (world.result("1.s")["status"], world.result("2.s")["status"]) == ("Succeeded", "Unknown")
    assert world["status"] == "Unknown"
    assert "- 2.s: PartFailure: no clear answer: Part of the batch operation failed (HTTP 409" in step.failure
    assert "the job's times have not changed" in step.failure
    assert "set onUnknown: fire" in step.failure


def test_what_is_unknown_is_looked_at_again_and_never_fired_blindly() -> None:
    world = ehpc("1.s")
    world.cloud.breaks("lost before")
    world.up()
    for _ in range(5):
        step = world.up()
        assert (step.posts, world["status"]) == (0, "Unknown")
    assert world.state is not None
    assert len(str(world.state["results"])) < 400
    world.cloud.things["1.s"].fire(world.clock.now())
    step = world.up()
    assert (step.posts, world["status"]) == (0, "Succeeded")


def test_on_unknown_fire_fires_what_is_still_unknown_while_attempts_are_left() -> None:
    world = ehpc("1.s", onUnknown="fire")
    world.cloud.breaks("lost before", times=99)
    posts = [world.up().posts for _ in range(6)]
    assert posts == [1, 1, 1, 0, 0, 0]
    step = world.up()
    assert "It is not fired now: its 3 attempts are spent." in step.failure
    assert "change a trigger or raise maxAttempts" in step.failure
    world.cloud.faults.clear()
    assert world.up(maxAttempts=4).fired == ["1.s"]
    assert world["status"] == "Succeeded"


def test_on_unknown_fire_looks_before_it_fires() -> None:
    world = ehpc("1.s", onUnknown="fire")
    world.cloud.breaks("lost before")
    world.up()
    world.cloud.things["1.s"].fire(world.clock.now())
    assert world.up().posts == 0
    assert world["status"] == "Succeeded"


def test_what_stays_unknown_does_not_hold_up_what_failed() -> None:
    world = ehpc(*(f"{number}.s" for number in range(150)))
    world.cloud.breaks("lost before")
    world.cloud.breaks(status=403, code="ConflictOpt", message="A conflicting operation is running.")
    step = world.up()
    assert "100 with an unknown outcome" in step.failure
    step = world.up()
    assert step.posts == 1
    assert len(step.fired) == 50
    assert world["status"] == "Unknown"


def test_a_conflict_is_adopted_when_the_times_changed_meanwhile() -> None:
    world = ehpc("1.s")
    world.cloud.breaks(status=403, code="ConflictOpt", message="A conflicting operation is running.", effect=True)
    step = world.up()
    assert (step.posts, step.failure, world["status"]) == (1, "", "Succeeded")


def test_a_finished_job_that_was_refused_has_failed_and_is_not_called_healthy() -> None:
    world = ehpc("1.s")
    world.cloud.things["1.s"].state = "FINISHED"
    step = world.up()
    assert (world["status"], world.result("1.s")["cloudStatus"]) == ("Failed", "FINISHED")
    assert "AgentError.Job.RerunFailure: Failed to run the job again: 1.s" in step.failure


def test_a_job_that_the_cluster_does_not_have_is_not_fired_and_spoils_no_batch() -> None:
    world = ehpc("1.s", "2.s")
    del world.cloud.things["2.s"]
    step = world.up()
    assert (step.fired, world["status"]) == (["1.s"], "PartiallyFailed")
    assert "2.s: not fired: the cluster ehpc-1 has no job 2.s." in step.failure


def test_when_the_times_cannot_be_read_first_nothing_is_fired_and_nothing_is_recorded() -> None:
    world = ehpc("1.s")
    world.cloud.breaks(looks=True, status=404, code="ClusterNotFound", message="The specified cluster does not exist.")
    step = world.up()
    assert (step.posts, world.state) == (0, None)
    assert "ClusterNotFound: The specified cluster does not exist (HTTP 404" in str(world.error)
    assert "Check clusterId and region." in str(world.error)


def test_more_than_a_hundred_jobs_are_sent_in_turn_never_at_once() -> None:
    world = ehpc(*(f"{number}.s" for number in range(250)))
    step = world.up()
    assert (step.posts, len(step.fired), step.failure) == (3, 250, "")
    assert world.action.fires_at_once == 1


def test_a_stuck_rerun_is_waited_for_by_the_next_up() -> None:
    world = ehpc("1.s")
    world.cloud.things["1.s"].lag = 100
    step = world.up(timeout=60)
    assert "timed out while waiting until the job is QUEUED or RUNNING with changed times" in step.failure
    world.clock.advance(60)
    assert world.up().posts == 0
    assert world["status"] == "Succeeded"


# --- nothing is lost ---


def test_whatever_breaks_after_the_fire_the_fire_is_recorded(sample: Sample) -> None:
    for fault in (Broken("lost before"), Broken(status=500), Broken(status=401), Broken(status=200, body=[])):
        world = sample.world()
        fault.looks, fault.skip, fault.times = True, 1 if world.action.stamped else 0, 10**6
        world.cloud.faults.append(fault)
        step = world.up(timeout=100)
        assert (step.kind, world["status"], world.result(sample.key)["attempts"]) == ("create", "InProgress", 1)
        assert len(world["requestIds"]) == len(world["fireIds"]) == 1
        world.cloud.faults.clear()
        assert world.up().posts == 0
        assert world["status"] == "Succeeded"


def test_a_batch_is_recorded_whole_when_it_is_cancelled_half_way() -> None:
    world = drs(**{f"job{number:02}": [GOOD] for number in range(60)})
    sent = world.cloud.send
    calls = []

    def send(request: object, leaving: object = None) -> object:
        calls.append(request)
        if len(calls) == 3:
            world.cancel()
        return sent(request, leaving)  # type: ignore[arg-type]

    world.cloud.send = send  # type: ignore[method-assign, assignment]
    world.up()
    fired = set(world.cloud.effects)
    assert 30 <= len(fired) < 60
    for result in world["results"]:
        if result["target"] in fired:
            assert (result["status"], result["attempts"]) == ("InProgress", 1)
        else:
            assert (result["status"], result["attempts"]) == ("Failed", 0)
            assert result["errorMessage"] == "not sent: the run ended before its turn"
    world.cloud.send = sent  # type: ignore[method-assign]
    world.up()
    world.up()
    assert world["status"] == "Succeeded"
    assert set(world.cloud.effects.values()) == {1}


def test_a_run_that_is_over_before_its_first_fire_fires_nothing() -> None:
    world = drs(jb1=[GOOD])
    step = world.up(cancel_after=0)
    assert (step.posts, world["status"]) == (0, "Failed")
    assert world.up().fired == ["jb1"]
    step = world.up(triggers={"release": "2"}, timeout=0)
    assert (step.posts, world["generation"]) == (0, 2)


def test_a_failed_and_a_stuck_target_are_both_told() -> None:
    world = drs(jb1=[STUCK], jb2=[BAD])
    step = world.up(timeout=60)
    assert "of 2 targets, 1 failed and 1 still in progress (status InProgress)" in step.failure
