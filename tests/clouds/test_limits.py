from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from cloudretry.actions import OPERATIONS
from cloudretry.clouds import connect
from cloudretry.clouds.limits import Limits, ServiceLimits
from cloudretry.config import load
from cloudretry.errors import RequestNotSent
from cloudretry.model import Cloud, Request


class Pacing:
    """A clock that moves only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(round(seconds, 6))
        self.now += seconds


def wait_for(count: Callable[[], int], at_least: int) -> None:
    for _ in range(5000):
        if count() >= at_least:
            return
        threading.Event().wait(0.001)
    raise AssertionError("it did not come so within five seconds")


def test_starts_are_paced_evenly_and_an_idle_time_saves_nothing_up() -> None:
    pacing = Pacing()
    limits = Limits(8, 4.0, monotonic=pacing.monotonic, sleep=pacing.sleep)
    for _ in range(3):
        with limits.slot():
            pass
    assert pacing.slept == [0.25, 0.25]
    pacing.now += 60
    for _ in range(2):
        with limits.slot():
            pass
    assert pacing.slept == [0.25, 0.25, 0.25]


def test_without_a_rate_nobody_sleeps() -> None:
    pacing = Pacing()
    limits = Limits(1, monotonic=pacing.monotonic, sleep=pacing.sleep)
    for _ in range(100):
        with limits.slot():
            pass
    assert pacing.slept == []


def test_no_more_than_the_limit_are_under_way_and_turns_come_in_order() -> None:
    limits = Limits(2)
    order: list[int] = []
    under_way: list[int] = []
    most: list[int] = []
    go_on = threading.Semaphore(0)

    def work(number: int) -> None:
        with limits.slot():
            order.append(number)
            under_way.append(number)
            most.append(len(under_way))
            go_on.acquire()
            under_way.remove(number)

    threads = []
    for number in range(6):
        threads.append(threading.Thread(target=work, args=(number,)))
        threads[-1].start()
        # The next one may come only when this one holds a slot or stands in the queue.
        wait_for(lambda: len(order) + len(limits._waiting), number + 1)
    for released in range(6):
        go_on.release()
        wait_for(lambda: len(order), min(6, 3 + released))
    for thread in threads:
        thread.join(5)
    assert order == [0, 1, 2, 3, 4, 5]
    assert max(most) == 2


def test_a_slot_is_given_back_when_the_request_fails() -> None:
    limits = Limits(1)
    with pytest.raises(OSError, match="broken"), limits.slot():
        raise OSError("broken")
    with limits.slot():
        pass


def test_who_is_interrupted_while_waiting_gives_the_turn_on(monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(1)
    with limits.slot(), monkeypatch.context() as patched:

        def interrupted(_event: threading.Event, timeout: float | None = None) -> bool:
            raise KeyboardInterrupt

        patched.setattr(threading.Event, "wait", interrupted)
        with pytest.raises(KeyboardInterrupt), limits.slot():
            pass
    with limits.slot():
        pass


def test_each_service_has_limits_of_its_own() -> None:
    limits = ServiceLimits(1)
    with limits.of("drs").slot(), limits.of("modelarts").slot():
        assert limits.of("drs") is limits.of("drs")
        assert limits.of("drs") is not limits.of("modelarts")


def test_a_service_that_is_slow_does_not_hold_up_another(cloudlike: Any) -> None:
    endpoints = dict.fromkeys(("modelarts", "workspace", "drs", "iam"), cloudlike.url)
    given = {"region": "eu-de", "projectId": "p1", "token": "t1", "endpoints": endpoints}
    client = connect(Cloud.HUAWEICLOUD, load({"maxConcurrentRequests": 1, "huaweicloud": given}, {}))
    slow, arrived = threading.Event(), threading.Event()
    usual = cloudlike.script

    def script(request: Any) -> Any:
        if "batch-status" in request.target:
            arrived.set()
            assert slow.wait(10)
        return usual(request)

    cloudlike.script = script
    waiting = threading.Thread(target=client.send, args=(Request(OPERATIONS["BatchListJobStatus"], body={}),))
    waiting.start()
    assert arrived.wait(10)
    assert client.send(Request(OPERATIONS["ShowPool"], path={"pool_name": "p"})).ok
    slow.set()
    waiting.join(10)
    client.close()


def test_clients_may_share_their_limits() -> None:
    limits = ServiceLimits(8)
    config = load({"huaweicloud": {"region": "eu-de", "token": "t1"}}, {})
    clients: list[Any] = [
        connect(Cloud.HUAWEICLOUD, config, project_id=project, limits=limits) for project in ("p1", "p2")
    ]
    assert [client._limits for client in clients] == [limits, limits]


@pytest.mark.parametrize("cloud", list(Cloud))
def test_a_request_is_signed_and_leaves_in_its_turn(cloudlike: Any, cloud: Cloud) -> None:
    time = [1.8e9]
    client, request = one_at_a_time(cloud, cloudlike.url, lambda: time[0])
    limits = client._limits.of(request.operation.service)
    left = threading.Event()
    sending = threading.Thread(target=client.send, args=(request, left.set))
    with limits.slot():
        sending.start()
        wait_for(lambda: len(limits._waiting), 1)
        time[0] = 2e9
        assert not left.is_set()
    sending.join(10)
    assert left.is_set()
    (seen,) = cloudlike.seen
    signed_at = seen.headers["x-sdk-date" if cloud is Cloud.HUAWEICLOUD else "x-acs-date"]
    assert signed_at.replace("-", "").replace(":", "") == "20330518T033320Z"


@pytest.mark.parametrize("cloud", list(Cloud))
def test_what_keeps_a_request_from_leaving_gives_its_turn_back(cloudlike: Any, cloud: Cloud) -> None:
    client, request = one_at_a_time(cloud, cloudlike.url, lambda: 1.8e9)

    def stay() -> None:
        raise RequestNotSent("not now")

    for _ in range(2):
        with pytest.raises(RequestNotSent, match="not now"):
            client.send(request, stay)
    assert not cloudlike.seen
    assert client.send(request).ok


def one_at_a_time(cloud: Cloud, url: str, clock: Callable[[], float]) -> tuple[Any, Request]:
    """A client with one slot, and a request that fires."""
    keys = {"accessKey": "AK", "secretKey": "planted"}
    given: dict[str, Any] = {
        "huaweicloud": {"region": "eu-de", "projectId": "p1", "endpoints": {"drs": url}, **keys},
        "alicloud": {"region": "cn-shanghai", "endpoint": url, **keys},
    }
    client = connect(cloud, load({"maxConcurrentRequests": 1, **given}, {}), clock=clock)
    if cloud is Cloud.HUAWEICLOUD:
        return client, Request(OPERATIONS["BatchRestoreTask"], body={})
    return client, Request(OPERATIONS["RerunJobs"], query={"ClusterId": "ehpc-hz-1"})
