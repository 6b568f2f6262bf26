"""Where waiting ends, what it takes for a verdict, and what it says."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cloudretry.model import Reply, Request
from support import World
from support.samples import BAD, EHPC, GOOD, STUCK, VISUALIZATION, WORKSPACE, Sample, drs


def test_the_old_state_right_after_a_fire_is_not_taken_for_a_failure(sample: Sample) -> None:
    world = sample.world()
    world.cloud.things[sample.key].lag = 25
    step = world.up()
    assert (step.posts, step.failure, world["status"]) == (1, "", "Succeeded")


def test_the_old_state_is_a_failure_once_the_grace_is_over() -> None:
    world = drs(jb1=[[("FULL_TRANSFER_FAILED", 0)]])
    started = world.clock.now()
    step = world.up()
    assert "it is FULL_TRANSFER_FAILED (full transfer failed)" in step.failure
    assert 30 <= world.clock.now() - started < 60


def test_a_wait_that_the_engine_gives_up_leaves_nothing_half_begun() -> None:
    world = drs(jb1=[STUCK])

    async def gone(_seconds: float) -> None:
        for task in asyncio.all_tasks():
            task.cancel()
        await asyncio.Event().wait()

    world.clock.sleep = gone  # type: ignore[method-assign]
    with pytest.raises(asyncio.CancelledError):
        world.up()
    # What was begun and never awaited is told here, as an error.
    gc.collect()


def test_a_failure_that_was_seen_to_come_is_told_at_once() -> None:
    world = drs(jb1=[[("STARTJOBING", 0), ("START_JOB_FAILED", 2)]])
    started = world.clock.now()
    world.up()
    assert world["status"] == "Failed"
    assert world.clock.now() - started < 10


fire_module = sys.modules["cloudretry.run.fire"]


@pytest.mark.parametrize("seconds", [-7200, 7200])
def test_a_jump_of_the_clock_does_not_end_or_stretch_the_grace(seconds: float) -> None:
    world = drs(jb1=[GOOD])
    world.cloud.things["jb1"].lag = 20
    world.clock.after(5, lambda: world.clock.jump(seconds))
    world.cloud.things["jb1"].timelines = [[("STARTJOBING", 0), ("INCRE_TRANSFER_STARTED", 0)]]
    original = world.cloud.things["jb1"].shown
    born = world.clock.monotonic()
    world.cloud.things["jb1"].shown = lambda _now: original(  # type: ignore[method-assign]
        world.cloud.things["jb1"].fired_at + world.clock.monotonic() - born
    )
    step = world.up()
    assert (step.failure, world["status"]) == ("", "Succeeded")


def test_an_end_that_is_no_retry_is_told_at_once() -> None:
    world = drs(jb1=[[("RELEASE_RESOURCE_STARTED", 0)]])
    step = world.up()
    assert "it is RELEASE_RESOURCE_STARTED (being stopped)" in step.failure


def test_a_job_that_ran_and_ended_has_succeeded() -> None:
    world = World(VISUALIZATION, jobId="10")
    world.cloud.add("10", "COMPLETED", [("INIT", 0), ("COMPLETED", 2)])
    step = world.up()
    assert (step.fired, world["status"]) == (["10"], "Succeeded")


def test_a_job_that_ended_before_and_does_not_move_has_not() -> None:
    world = World(VISUALIZATION, jobId="10")
    world.cloud.add("10", "COMPLETED", [("COMPLETED", 0)])
    step = world.up()
    assert (step.fired, world["status"]) == (["10"], "Failed")


def test_a_state_that_this_version_does_not_know_is_waited_for() -> None:
    world = drs(jb1=[[("BRAND_NEW_STATE", 0), ("INCRE_TRANSFER_STARTED", 100)]])
    assert world.up().failure == ""


def test_the_word_of_the_cloud_says_why_it_failed() -> None:
    world = drs(jb1=[BAD])
    world.cloud.things["jb1"].message = "the source is unreachable"
    step = world.up()
    assert "it is INCRE_TRANSFER_FAILED (incremental transfer failed): the source is unreachable." in step.failure


def test_the_task_that_the_retry_returned_is_watched_and_is_an_output() -> None:
    world = World(WORKSPACE, jobId="ws-1")
    world.cloud.add("ws-1", "FAILED", [("RUNNING", 0), ("SUCCESS", 5)], new_id="ws-new")
    step = world.up()
    assert (step.failure, world["retryJobId"]) == ("", "ws-new")
    assert {request.path["job_id"] for request in world.cloud.looks} == {"ws-new"}


def test_a_task_that_keeps_its_id_is_an_output_all_the_same() -> None:
    world = World(WORKSPACE, jobId="ws-1")
    world.cloud.add("ws-1", "FAILED", [("SUCCESS", 0)])
    world.up()
    assert world["retryJobId"] == "ws-1"


def test_a_retry_of_a_retried_task_asks_for_the_task_itself_again() -> None:
    world = World(WORKSPACE, jobId="ws-1")
    world.cloud.add("ws-1", "FAILED", [("RUNNING", 0), ("FAILED", 5)], [("SUCCESS", 0)], new_id="ws-new")
    world.up()
    world.cloud.things["ws-1"].new_id = "ws-newer"
    assert world.up().fired == ["ws-1"]
    assert [request.path["job_id"] for request in world.cloud.fires] == ["ws-1", "ws-1"]
    assert world["retryJobId"] == "ws-newer"


def test_where_the_returned_task_is_not_known_the_requested_one_is_watched() -> None:
    world = World(WORKSPACE, jobId="ws-1")
    thing = world.cloud.add("ws-1", "FAILED", [("RUNNING", 0), ("SUCCESS", 5)], new_id="ws-new")
    world.cloud.breaks(looks=True, status=404, times=100, only=lambda request: request.path["job_id"] == "ws-new")
    assert world.up().failure == ""
    assert thing.effects == 1


def test_without_wait_nothing_is_asked_and_the_status_is_accepted(sample: Sample) -> None:
    world = sample.world(wait=False)
    step = world.up()
    looks_before_the_fire = 1 if world.action.stamped else 0
    assert (step.fired, step.looks, world["status"]) == ([sample.key], looks_before_the_fire, "Accepted")
    assert world.up().kind == "same"


def test_wait_switched_on_later_waits_and_fires_nothing(sample: Sample) -> None:
    world = sample.world(wait=False)
    world.up()
    step = world.up(wait=True)
    assert (step.posts, step.changes, world["status"]) == (0, ["wait"], "Succeeded")


def test_without_wait_an_unknown_outcome_is_looked_at_all_the_same() -> None:
    world = drs(jb1=[GOOD])
    world.cloud.breaks("lost after")
    world.up(wait=False)
    assert world["status"] == "Succeeded"


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 429, "throttled": True}, {"how": "lost before"}])
def test_a_failing_poll_does_not_fail_the_waiting(fault: dict[str, Any]) -> None:
    world = drs(jb1=[GOOD])
    world.cloud.breaks(looks=True, times=20, **fault)
    step = world.up()
    assert (step.failure, world["status"]) == ("", "Succeeded")


def test_throttling_under_http_400_does_not_end_the_waiting() -> None:
    world = World(EHPC, clusterId="c", jobIds=["1.s"])
    world.cloud.add("1.s", "RUNNING")
    world.cloud.breaks(looks=True, skip=1, times=9, status=400, code="Throttling.User", throttled=True)
    assert world.up().failure == ""


def test_a_nonsense_answer_to_a_poll_does_not_fail_the_waiting(sample: Sample) -> None:
    world = sample.world()
    skip = 1 if world.action.stamped else 0
    for body in (None, [], {"status": None}, {"results": None}, {"Jobs": None}, {"status": {"scope": None}}):
        world.cloud.breaks(looks=True, status=200, body=body, skip=skip)
        skip = 0
    assert world.up().failure == ""


def test_three_refused_polls_in_a_row_end_the_waiting_and_nothing_is_lost() -> None:
    world = drs(jb1=[GOOD])
    world.cloud.breaks(looks=True, times=1000, status=403, code="DRS.M00102", message="no rights")
    step = world.up()
    assert (step.fired, step.looks, world["status"]) == (["jb1"], 3, "InProgress")
    assert "its status cannot be read; never seen; DRS.M00102: no rights" in step.failure
    assert world.result("jb1")["attempts"] == 1
    world.cloud.faults.clear()
    step = world.up()
    assert (step.posts, world["status"]) == (0, "Succeeded")


def test_two_refused_polls_are_forgotten_after_a_good_one() -> None:
    world = drs(jb1=[[("STARTJOBING", 0), ("INCRE_TRANSFER_STARTED", 60)]])
    for _ in range(4):
        world.cloud.breaks(looks=True, times=2, status=403)
        world.cloud.breaks(looks=True, status=200, body={"results": [{"id": "jb1", "status": "STARTJOBING"}]})
    assert world.up().failure == ""


def test_one_group_that_cannot_be_read_does_not_hide_the_others() -> None:
    jobs = {f"job{number}": [GOOD] for number in range(150)}
    world = drs(**jobs)
    world.cloud.breaks(looks=True, times=1000, status=400, only=lambda request: "job149" in request.body["jobs"])
    world.up()
    statuses = [result["status"] for result in world["results"]]
    assert statuses.count("Succeeded") == 100
    assert statuses.count("InProgress") == 50


def test_a_time_out_says_what_was_last_seen() -> None:
    world = drs(jb1=[STUCK])
    started = world.clock.now()
    step = world.up(timeout=300)
    assert world.clock.now() - started == pytest.approx(300)
    assert "timed out while waiting until the transfer runs or is complete; last seen STARTJOBING" in step.failure


def test_a_time_out_that_saw_nothing_says_what_the_problem_was() -> None:
    world = drs(jb1=[STUCK])
    world.cloud.breaks("lost before", looks=True, times=1000)
    step = world.up(timeout=60)
    assert "never seen; the answer did not come within 60s" in step.failure


def test_a_target_that_is_gone_after_the_grace_has_failed() -> None:
    world = drs(jb1=[GOOD])
    world.cloud.breaks(looks=True, times=1000, status=200, body={"results": []})
    step = world.up()
    assert "the task jb1 does not exist" in step.failure
    assert world["status"] == "Failed"


def test_polls_start_quick_and_slow_down() -> None:
    world = drs(jb1=[STUCK])
    assert world.up(timeout=10).looks == 14
    assert 120 < world.up(timeout=1800).looks < 140


def test_the_configured_interval_fixes_the_pause() -> None:
    world = drs(jb1=[STUCK])
    world.backend.poll_interval = 10.0
    assert world.up(timeout=100).looks == 10


def test_progress_is_told_on_its_own_cadence_and_never_twice_the_same() -> None:
    world = drs(jb1=[[("CREATING", 0), ("STARTJOBING", 100), ("INCRE_TRANSFER_STARTED", 200)]])
    lines = world.up().lines
    assert [line.split(" (")[0] for line in lines] == [
        "0 of 1 done, waiting for jb1: CREATING",
        "0 of 1 done, waiting for jb1: STARTJOBING",
    ]


def test_what_is_quickly_done_tells_no_progress() -> None:
    assert drs(jb1=[[("STARTJOBING", 0), ("INCRE_TRANSFER_STARTED", 0.5)]]).up().lines == []


def test_a_fire_that_is_cancelled_in_flight_waits_a_moment_for_its_answer() -> None:
    world = drs(jb1=[GOOD])
    with ThreadPoolExecutor(2) as executor:
        world.backend.executor = executor
        world.cloud.send = Slowly(world, answers=True)  # type: ignore[method-assign]
        step = world.up()
    assert (step.posts, step.fired, world["status"]) == (1, ["jb1"], "InProgress")
    assert "cancelled while waiting; never seen" in step.failure


def test_a_fire_that_is_cancelled_and_gets_no_answer_is_unknown_and_not_fired_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fire_module, "CANCEL_PATIENCE", 0.01)
    world = drs(jb1=[GOOD])
    with ThreadPoolExecutor(2) as executor:
        world.backend.executor = executor
        world.cloud.send = slowly = Slowly(world, answers=False)  # type: ignore[method-assign]
        step = world.up()
        assert world["status"] == "Unknown"
        assert "no clear answer: cancelled before the answer came" in step.failure
        slowly.released.set()
        step = world.up()
    assert (step.posts, world["status"], world.cloud.effects["jb1"]) == (0, "Succeeded", 1)


class Slowly:
    """A cloud that takes up a fire and answers late; the run is cancelled in between."""

    def __init__(self, world: World, *, answers: bool) -> None:
        self.world, self.answers, self.released = world, answers, threading.Event()
        self.real = world.cloud.send

    def __call__(self, request: Request, leaving: Callable[[], None] | None = None) -> Reply:
        reply = self.real(request, leaving)
        if request.operation is self.world.action.fires:
            self.world.cancel()
            assert self.answers or self.released.wait(30)
        return reply
