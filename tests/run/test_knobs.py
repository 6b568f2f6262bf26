"""fireWhen, successPolicy, cooldown, retryInRun and maxAttempts."""

from __future__ import annotations

import pytest

from support import World
from support.samples import BAD, EHPC, GOOD, STUCK, WORKSPACE, Sample, drs

# --- fireWhen: retryable ---


def test_with_fire_when_retryable_what_can_be_retried_is_fired(sample: Sample) -> None:
    world = sample.world(fireWhen="retryable")
    step = world.up()
    assert (step.fired, step.failure, world["status"]) == ([sample.key], "", "Succeeded")


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        ("INCRE_TRANSFER_STARTED", "AlreadyRunning"),
        ("STARTJOBING", "InProgress"),
        ("RELEASE_RESOURCE_COMPLETE", "NotRetryable"),
        ("CREATE_FAILED", "NotRetryable"),
        ("BRAND_NEW_STATE", "InProgress"),
    ],
)
def test_with_fire_when_retryable_the_others_are_skipped_with_the_reason(state: str, reason: str) -> None:
    world = drs(jb1=[GOOD], jb2=[GOOD])
    world.cloud.things["jb2"].state = state
    step = world.up(fireWhen="retryable")
    assert (step.fired, step.posts, step.failure) == (["jb1"], 1, "")
    assert world.result("jb2") == {
        "target": "jb2",
        "status": "Skipped",
        "attempts": 0,
        "cloudStatus": state,
        "skippedReason": reason,
    }
    assert world.up().kind == "same"


def test_with_fire_when_retryable_a_missing_target_is_a_failure() -> None:
    world = drs(jb1=[GOOD])
    step = world.up(fireWhen="retryable", jobs=[{"jobId": "typo"}])
    assert (step.posts, world["status"]) == (0, "Failed")
    assert "typo: not fired: the task typo does not exist." in step.failure


def test_with_fire_when_retryable_nothing_to_fire_is_no_failure() -> None:
    world = drs(jb1=[GOOD])
    world.cloud.things["jb1"].state = "INCRE_TRANSFER_STARTED"
    step = world.up(fireWhen="retryable")
    assert (step.posts, step.failure, world["status"], world["generation"]) == (0, "", "Skipped", 1)


def test_with_fire_when_retryable_a_finished_job_is_not_called_running() -> None:
    world = World(EHPC, clusterId="c", jobIds=["1.s"], fireWhen="retryable")
    world.cloud.add("1.s", "FINISHED")
    assert world.up().posts == 0
    assert world.result("1.s")["skippedReason"] == "NotRetryable"


def test_with_fire_when_retryable_a_task_of_another_type_is_skipped() -> None:
    world = World(WORKSPACE, jobId="ws-1", fireWhen="retryable")
    world.cloud.add("ws-1", "FAILED", details={"job_type": "createDesktops"})
    assert world.up().posts == 0
    assert world.result("ws-1")["skippedReason"] == "NotRetryable"


def test_a_look_that_fails_before_the_first_fire_fires_and_records_nothing() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    before = world.state
    world.cloud.breaks(looks=True, status=500, message="broken")
    step = world.up(fireWhen="retryable", triggers={"release": "2"})
    assert (step.kind, step.posts, world.state) == ("error", 0, before)


# --- successPolicy ---


def test_with_policy_any_one_success_is_enough_and_the_failed_are_not_fired_again() -> None:
    world = drs(jb1=[GOOD], jb2=[BAD])
    step = world.up(successPolicy="any")
    assert (step.failure, world["status"]) == ("", "Succeeded")
    assert world.result("jb2")["status"] == "Failed"
    assert world.up().kind == "same"
    assert world.up(maxAttempts=9).posts == 0


def test_with_policy_any_a_target_that_needed_no_retry_is_enough() -> None:
    world = drs(jb1=[GOOD], jb2=[BAD])
    world.cloud.things["jb1"].state = "INCRE_TRANSFER_STARTED"
    assert world.up(successPolicy="any").failure == ""
    assert world["status"] == "Skipped"


def test_with_policy_any_and_none_successful_it_fails_and_fires_them_again() -> None:
    world = drs(jb1=[BAD], jb2=[BAD, GOOD])
    assert "2 failed" in world.up(successPolicy="any").failure
    assert world.up().fired == ["jb1", "jb2"]
    assert world["status"] == "Succeeded"


def test_with_policy_any_and_no_wait_one_accepted_is_enough() -> None:
    world = drs(jb1=[GOOD], jb2=[GOOD])
    world.cloud.things["jb2"].state = "CREATE_FAILED"
    assert world.up(successPolicy="any", wait=False).failure == ""
    assert world["status"] == "Accepted"
    assert world.up(cooldown="1m").posts == 0


def test_switching_to_policy_any_heals_without_a_fire() -> None:
    world = drs(jb1=[GOOD], jb2=[BAD])
    world.up()
    step = world.up(successPolicy="any")
    assert (step.posts, step.failure, world["status"]) == (0, "", "Succeeded")


def test_with_policy_any_and_one_success_nobody_waits_for_the_rest() -> None:
    world = drs(jb1=[GOOD], jb2=[STUCK])
    world.up(successPolicy="any", timeout=60)
    assert world["status"] == "Succeeded"
    assert world.up(cooldown="1m").looks == 0


# --- cooldown ---


def test_a_failed_target_that_cools_down_is_not_fired_and_the_up_says_until_when() -> None:
    world = drs(jb1=[BAD, GOOD])
    world.up(cooldown="10m")
    step = world.up()
    assert step.posts == 0
    assert "It is not fired now: it cools down until 2027-01-15T08:10:00Z (10m after its last fire)." in step.failure
    assert "The next `pulumi up` after 2027-01-15T08:10:00Z fires the failed targets again" in step.failure
    world.clock.advance(600)
    assert world.up().fired == ["jb1"]


def test_the_first_failure_says_when_the_cooldown_ends() -> None:
    world = drs(jb1=[BAD])
    assert "The next `pulumi up` after 2027-01-15T08:10:00Z fires" in world.up(cooldown="10m").failure


def test_a_trigger_change_does_not_fire_what_cools_down_but_the_next_up_after_it_does() -> None:
    world = drs(jb1=[GOOD], jb2=[GOOD])
    world.cloud.legal = False
    world.up(cooldown="10m")
    world.clock.advance(300)
    step = world.up(triggers={"release": "2"})
    assert (step.posts, world["generation"], world["status"]) == (0, 2, "Failed")
    assert world["history"][-1]["reason"] == "triggers"
    world.clock.advance(400)
    step = world.up()
    assert (step.changes, step.fired) == (["status"], ["jb1", "jb2"])
    assert (world["status"], world["generation"]) == ("Succeeded", 2)


def test_a_cooldown_holds_across_generations_for_each_target_by_itself() -> None:
    world = drs(jb1=[GOOD], jb2=[GOOD])
    world.cloud.legal = False
    world.up(cooldown="10m", jobs=[{"jobId": "jb1"}])
    world.clock.advance(400)
    world.up(jobs=[{"jobId": "jb1"}, {"jobId": "jb2"}])
    world.clock.advance(300)
    assert world.up(triggers={"release": "2"}).fired == ["jb1"]


@pytest.mark.parametrize("knobs", [{}, {"retryInRun": True}])
def test_a_clock_that_is_set_back_holds_up_nothing_where_there_is_no_cooldown(knobs: dict[str, bool]) -> None:
    world = drs(jb1=[BAD, GOOD])
    world.clock.after(4, lambda: world.clock.jump(-7200))
    world.cloud.things["jb1"].timelines = [[("STARTJOBING", -8000), ("INCRE_TRANSFER_FAILED", -7190)], GOOD]
    started = world.clock.monotonic()
    world.up(**knobs)
    world.up()
    assert world["status"] == "Succeeded"
    assert world.cloud.effects["jb1"] == 2
    assert world.clock.monotonic() - started < 100


def test_a_target_that_was_never_sent_does_not_cool_down() -> None:
    world = drs(jb1=[GOOD])
    world.cloud.breaks("not sent", times=5)
    world.up(cooldown="1h")
    assert world.up().fired == ["jb1"]


# --- retryInRun ---


def test_one_run_fires_a_target_once() -> None:
    world = drs(jb1=[BAD])
    assert world.up().posts == 1


def test_with_retry_in_run_failed_targets_are_fired_again_in_the_same_run() -> None:
    world = drs(jb1=[BAD, BAD, GOOD], jb2=[GOOD])
    step = world.up(retryInRun=True)
    assert (step.fired, step.failure) == (["jb1", "jb1", "jb1", "jb2"], "")
    assert world.result("jb1")["attempts"] == 3
    assert world["history"][-1]["fired"] == 4
    assert len(world["fireIds"]) == 3


def test_with_retry_in_run_max_attempts_counts_all_the_same() -> None:
    world = drs(jb1=[BAD])
    assert len(world.up(retryInRun=True).fired) == 3
    assert world.up().posts == 0


def test_with_retry_in_run_the_pause_is_random_up_to_ten_seconds() -> None:
    def seconds(jitter: float) -> float:
        world = drs(jb1=[BAD, GOOD])
        world.jitter = lambda: jitter
        started = world.clock.now()
        world.up(retryInRun=True)
        return world.clock.now() - started

    assert seconds(1.0) - seconds(0.0) == pytest.approx(10)


def test_with_retry_in_run_a_cooldown_is_waited_for() -> None:
    world = drs(jb1=[BAD, GOOD])
    started = world.clock.now()
    assert len(world.up(retryInRun=True, cooldown="5m").fired) == 2
    assert world.clock.now() - started > 300


def test_with_retry_in_run_a_cooldown_that_is_longer_than_the_time_left_ends_the_run() -> None:
    world = drs(jb1=[BAD, GOOD])
    step = world.up(retryInRun=True, cooldown="5m", timeout=200)
    assert len(step.fired) == 1
    assert world.clock.now() - 1_800_000_000 < 60


def test_with_retry_in_run_what_cannot_be_sent_does_not_go_on_for_ever() -> None:
    world = drs(jb1=[GOOD])
    world.cloud.breaks("not sent", times=10**6)
    assert world.up(retryInRun=True).posts == 5


def test_with_retry_in_run_policy_any_is_content_with_one() -> None:
    world = drs(jb1=[GOOD], jb2=[BAD])
    assert world.up(retryInRun=True, successPolicy="any").fired == ["jb1", "jb2"]


def test_with_retry_in_run_a_cancel_ends_the_pause_and_fires_no_more() -> None:
    world = drs(jb1=[BAD])
    world.jitter = lambda: 1.0
    step = world.up(retryInRun=True, cooldown="1h", timeout=10000, cancel_after=100)
    assert len(step.fired) == 1
    assert world["status"] == "Failed"


def test_with_retry_in_run_a_failing_look_ends_the_run_and_keeps_what_is_known() -> None:
    looks_of_one_fire = drs(jb1=[BAD]).up(fireWhen="retryable").looks
    world = drs(jb1=[BAD])
    world.cloud.breaks(looks=True, skip=looks_of_one_fire, status=500, times=99)
    step = world.up(retryInRun=True, fireWhen="retryable")
    assert len(step.fired) == 1
    assert "it is INCRE_TRANSFER_FAILED" in step.failure
