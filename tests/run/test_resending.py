"""What is sent again, by the class of the outcome. The only place with such rules is `run/fire.py`."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cloudretry import lifecycle
from cloudretry.actions import ACTIONS
from cloudretry.clock import SystemClock
from cloudretry.errors import CredentialsError
from cloudretry.lifecycle import Circumstances
from cloudretry.model import Answer, Reply, Request, Target
from support import FakeCloud, World
from support.engine import FakeBackend
from support.samples import DRS, EHPC, GOOD, SAMPLES, Sample, drs


def fire_with(how: str = "answer", **fault: Any) -> tuple[World, Any]:
    world = drs(jb1=[GOOD])
    world.cloud.breaks(how, **fault)
    return world, world.up()


def test_what_was_not_sent_is_sent_again(sample: Sample) -> None:
    world = sample.world()
    world.cloud.breaks("not sent", times=4)
    step = world.up()
    assert (step.posts, step.fired, step.failure) == (5, [sample.key], "")
    assert world.result(sample.key)["attempts"] == 1


def test_what_cannot_be_sent_is_given_up_after_five_tries() -> None:
    world, step = fire_with("not sent", times=1000)
    assert (step.posts, step.fired, world["status"]) == (5, [], "Failed")


def test_without_credentials_it_is_tried_once_because_clouds_lock_accounts() -> None:
    world, step = fire_with("no credentials", times=1000)
    assert (step.posts, world["status"], world.result("jb1")["attempts"]) == (1, "Failed", 0)
    assert "not sent: the password is wrong" in step.failure


@pytest.mark.parametrize(
    ("status", "code"), [(429, "APIGW.0308"), (503, "APIGW.0613"), (400, "DRS.M01503"), (400, "Throttling.User")]
)
def test_a_cloud_that_is_too_busy_is_asked_again(sample: Sample, status: int, code: str) -> None:
    world = sample.world()
    world.cloud.breaks(status=status, code=code, throttled=True, times=7)
    step = world.up()
    assert (step.posts, step.fired, step.failure) == (8, [sample.key], "")
    assert world.result(sample.key)["attempts"] == 1


def test_a_cloud_that_stays_too_busy_is_given_up_after_eight_tries() -> None:
    world, step = fire_with(status=429, code="APIGW.0308", message="limit:200", throttled=True, times=1000)
    assert (step.posts, step.fired, world["status"]) == (8, [], "Failed")
    assert "APIGW.0308: limit:200 (HTTP 429, request id" in step.failure


def test_one_fire_is_tried_eight_times_in_all() -> None:
    world = drs(jb1=[GOOD])
    for _ in range(4):
        world.cloud.breaks(status=503, code="DRS.M00001", throttled=True)
        world.cloud.breaks("not sent")
    world.cloud.breaks(status=429, throttled=True, times=1000)
    step = world.up()
    assert (step.posts, step.fired, world["status"]) == (8, [], "Failed")


@pytest.mark.parametrize("status", [400, 406, 429, 503])
def test_a_code_that_leaves_open_what_happened_counts_more_than_a_status_that_says_too_busy(status: int) -> None:
    world = next(one for one in SAMPLES if one.token == EHPC).world()
    world.cloud.breaks(status=status, code="AgentResponseTimeout", throttled=status in (429, 503))
    step = world.up()
    assert (step.posts, world["status"]) == (1, "Unknown")


def test_an_answer_whose_reading_is_a_defect_is_unknown_and_loses_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    world = drs(**{f"jb{number}": [GOOD] for number in range(25)})
    action, read = type(world.action), type(world.action).read_reply

    def read_reply(self: Any, reply: Reply, targets: Sequence[Target]) -> dict[str, Answer]:
        if targets[0].key == "jb10":
            raise RecursionError(reply.body)
        return read(self, reply, targets)

    monkeypatch.setattr(action, "read_reply", read_reply)
    world.cloud.breaks(status=200, body={"results": []}, only=lambda one: "jb10" in str(one.body))
    step = world.up(wait=False)
    assert step.posts == 3
    told = {key: world.result(key).get("errorMessage", "") for key in ("jb0", "jb10", "jb19", "jb24")}
    assert "a defect of cloudretry" in told["jb10"]
    assert "a defect of cloudretry" in told["jb19"]
    assert (told["jb0"], told["jb24"]) == ("", "")


def test_a_client_that_breaks_after_the_request_left_leaves_it_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    world = drs(jb1=[GOOD])
    send = world.cloud.send

    def broken(request: Request, leaving: Callable[[], None] | None = None) -> Reply:
        reply = send(request, leaving)
        if leaving is not None:
            raise ZeroDivisionError
        return reply

    monkeypatch.setattr(world.cloud, "send", broken)
    step = world.up(wait=False)
    assert (step.posts, world["status"]) == (1, "Succeeded")


def test_the_cloud_says_how_long_to_wait() -> None:
    world = drs(jb1=[GOOD])
    world.jitter = lambda: 0.0
    world.cloud.breaks(status=429, throttled=True, retry_after=77.0)
    started = world.clock.now()
    world.up()
    assert world["firedAt"] == "2027-01-15T08:01:17Z"
    assert world.clock.now() - started < 100


def test_pauses_double_up_to_a_bound_and_are_random_from_nothing() -> None:
    def seconds(jitter: float) -> float:
        world = drs(jb1=[GOOD])
        world.jitter = lambda: jitter
        world.cloud.breaks(status=429, throttled=True, times=7)
        started = world.clock.now()
        world.up(wait=False)
        return world.clock.now() - started

    assert seconds(0.0) == 0
    assert seconds(1.0) == pytest.approx(1 + 2 + 4 + 8 + 16 + 20 + 20)


@pytest.mark.parametrize("status", [101, 408, 425, 499, 500, 501, 502, 503, 504, 520, 600, 999])
@pytest.mark.parametrize("effect", [False, True])
def test_a_status_that_leaves_open_what_happened_is_never_sent_again_and_the_state_decides(
    sample: Sample, status: int, effect: bool
) -> None:
    world = sample.world()
    world.cloud.breaks(status=status, effect=effect)
    step = world.up()
    assert step.posts == 1
    if effect:
        assert (world["status"], step.failure) == ("Succeeded", "")
    else:
        assert world["status"] == ("Failed" if sample.tells else "Unknown")
        assert f"no clear answer: broken (HTTP {status}, request id req-" in step.failure
        assert "Since then:" in step.failure


@pytest.mark.parametrize("how", ["lost before", "lost after"])
def test_without_an_answer_it_is_never_sent_again_and_the_state_decides(sample: Sample, how: str) -> None:
    world = sample.world()
    world.cloud.breaks(how)
    step = world.up()
    assert (step.posts, world.result(sample.key)["attempts"]) == (1, 1)
    good = "Succeeded" if how == "lost after" else ("Failed" if sample.tells else "Unknown")
    assert world["status"] == good


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_not_followed_and_not_sent_again(status: int) -> None:
    world, step = fire_with(status=status, message="a redirect")
    assert (step.posts, step.fired, world["status"]) == (1, [], "Failed")


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 407, 409, 422])
def test_a_no_is_not_sent_again(sample: Sample, status: int) -> None:
    world = sample.world()
    world.cloud.breaks(status=status, code="X.1", message="no")
    step = world.up()
    assert (step.posts, step.fired, world["status"]) == (1, [], "Failed")
    assert f"X.1: no (HTTP {status}, request id req-" in step.failure


@pytest.mark.parametrize("status", [200, 202])
@pytest.mark.parametrize("body", [None, [], "fine", {"something": "else"}, {"results": "x"}, {"is_success": "yes"}])
def test_a_2xx_that_is_not_what_the_api_says_is_unknown(sample: Sample, status: int, body: Any) -> None:
    if sample.token.endswith("PoolScopeRetry") and isinstance(body, dict):
        return  # its documented answer is an empty object, and what else may be in it is not said
    world = sample.world()
    world.cloud.breaks(status=status, body=body)
    step = world.up()
    assert step.posts == 1
    assert world["status"] == ("Failed" if sample.tells else "Unknown")
    assert "no clear answer: HTTP" in step.failure


def test_a_2xx_with_an_error_in_it_is_a_no() -> None:
    world, step = fire_with(status=202, code="DRS.M01504", message="another operation")
    assert (step.posts, world["status"]) == (1, "Failed")
    assert "DRS.M01504: another operation (HTTP 202" in step.failure


def test_a_batch_that_leaves_a_target_out_of_its_answer_leaves_it_unknown() -> None:
    world = drs(jb1=[GOOD], jb2=[GOOD])
    world.cloud.breaks(status=200, effect=True, body={"results": [{"id": "jb1", "status": "success"}]})
    step = world.up()
    assert (step.posts, step.fired, world["status"]) == (1, ["jb1", "jb2"], "Succeeded")
    world = drs(jb1=[GOOD], jb2=[GOOD])
    world.cloud.breaks(status=200, body={"results": [{"id": "jb1", "status": "success"}, {"id": "jb2"}]})
    world.up()
    assert world.result("jb2")["errorMessage"].startswith("no clear answer: status '' (HTTP 200")


def test_after_a_pause_an_unanswered_try_ends_the_sending() -> None:
    world = drs(jb1=[GOOD])
    world.cloud.breaks(status=429, throttled=True)
    world.cloud.breaks("not sent")
    world.cloud.breaks("lost after")
    step = world.up()
    assert (step.posts, step.fired, world["status"]) == (3, ["jb1"], "Succeeded")


def test_the_time_allowed_ends_the_pauses_too() -> None:
    world = drs(jb1=[GOOD])
    world.cloud.breaks(status=429, throttled=True, retry_after=100.0, message="slow down")
    step = world.up(timeout=50)
    assert (step.posts, world["status"]) == (1, "Failed")
    assert "slow down" in step.failure
    assert world.up().fired == ["jb1"]


@pytest.mark.parametrize("what", ["fire", "look"])
def test_the_time_allowed_ends_a_call_that_is_not_answered(what: str) -> None:
    released = threading.Event()

    class Slow(FakeCloud):
        def send(self, request: Request, leaving: Callable[[], None] | None = None) -> Reply:
            reply = super().send(request, leaving)
            if (leaving is not None) is (what == "fire"):
                released.wait(20)
            return reply

    clock = SystemClock()
    cloud = Slow(clock)
    cloud.add("jb1", "FULL_TRANSFER_FAILED", [("STARTJOBING", 0)])
    action, circumstances = ACTIONS[DRS], Circumstances(timeout=0.4, jitter=lambda: 0.0)
    with ThreadPoolExecutor() as executor:
        began = clock.monotonic()
        backend = FakeBackend(clock, cloud, executor)
        done = asyncio.run(lifecycle.create(action, {"jobs": [{"jobId": "jb1"}]}, backend, circumstances))
        took = clock.monotonic() - began
        released.set()
    assert took < 5
    (result,) = done.outputs["results"]
    assert (len(cloud.fires), result["attempts"]) == (1, 1)
    assert result["status"] == ("Unknown" if what == "fire" else "InProgress")
    assert done.failure


def test_a_cancel_ends_the_pauses_too() -> None:
    world = drs(jb1=[GOOD])
    world.cloud.breaks(status=429, throttled=True, retry_after=100.0, times=9)
    assert world.up(cancel_after=50).posts == 1
    world.cloud.faults.clear()
    assert world.up().fired == ["jb1"]


def test_a_create_that_finds_no_way_to_the_cloud_leaves_nothing_behind() -> None:
    world = drs(jb1=[GOOD])
    world.backend.failure = CredentialsError("no credentials were found")
    step = world.up()
    assert (step.kind, step.posts, world.state) == ("error", 0, None)
    world.backend.failure = None
    world.up()
    before = world.state
    world.backend.failure = CredentialsError("no credentials were found")
    world.up(triggers={"release": "2"})
    assert world.state == before
    world.backend.failure = None
    world.cloud.legal = False
    assert world.up().fired == ["jb1"]
