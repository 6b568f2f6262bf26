"""All who wait share their status calls."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from math import ceil
from typing import Any

import pytest

from cloudretry.errors import CloudRetryError, Defect, NoAnswer
from cloudretry.model import Observation, StateClass, Target
from cloudretry.run.looker import Looker, Seen
from support.clock import FakeClock

PAGE = 100


class Cloud:
    """Counts its status calls and what each asked for."""

    def __init__(self) -> None:
        self.calls: list[list[str]] = []
        self.broken: set[str] = set()

    async def observe(self, targets: Sequence[Target]) -> Mapping[str, Observation]:
        self.calls.append([target.watched for target in targets])
        await asyncio.sleep(0)
        if self.broken.intersection(target.key for target in targets):
            raise NoAnswer("the answer did not come")
        return {target.key: Observation(StateClass.SUCCEEDED, target.watched, retryable=False) for target in targets}


def waiting(
    cloud: Cloud, looker: Looker, clock: FakeClock, *keys: str, within: float = 1.0, place: object = "p"
) -> Any:
    targets = [Target(key) for key in keys]
    return looker.look(place, clock, cloud.observe, PAGE, targets, within=within)


def run(*waits: Any) -> list[Seen]:
    async def gather() -> list[Seen]:
        return list(await asyncio.wait_for(asyncio.gather(*waits), 10))

    return asyncio.run(gather())


def test_a_thousand_waiters_share_as_many_calls_as_there_are_pages() -> None:
    cloud, looker, clock = Cloud(), Looker(), FakeClock()
    seen = run(*(waiting(cloud, looker, clock, f"jb{number}") for number in range(1000)))
    assert len(cloud.calls) == ceil(1000 / PAGE)
    assert [next(iter(one)) for one in seen] == [f"jb{number}" for number in range(1000)]


def test_who_asks_for_nothing_hastens_nobody() -> None:
    cloud, looker, clock = Cloud(), Looker(), FakeClock()
    began = clock.monotonic()
    seen = run(waiting(cloud, looker, clock, "jb1", within=10), waiting(cloud, looker, clock, within=0))
    assert [len(one) for one in seen] == [1, 0]
    assert clock.monotonic() == began + 10


def test_waiters_that_began_at_different_times_come_into_step() -> None:
    cloud, looker, clock = Cloud(), Looker(), FakeClock()

    async def poll(number: int) -> None:
        within = 10 + number / 100
        for _ in range(5):
            await waiting(cloud, looker, clock, f"jb{number}", within=within)

    async def everybody() -> None:
        await asyncio.gather(*(poll(number) for number in range(300)))

    asyncio.run(everybody())
    # Five intervals of three pages, and some more until all are in step.
    assert len(cloud.calls) <= 5 * (ceil(300 / PAGE) + 1)


def test_a_waiter_is_answered_within_the_time_that_it_allows() -> None:
    cloud, looker, clock = Cloud(), Looker(), FakeClock()
    began = clock.monotonic()
    run(waiting(cloud, looker, clock, "slow", within=60.0), waiting(cloud, looker, clock, "quick", within=1.0))
    assert cloud.calls == [["quick"], ["slow"]]
    assert clock.monotonic() == began + 60


def test_places_are_not_mixed() -> None:
    cloud, looker, clock = Cloud(), Looker(), FakeClock()
    run(waiting(cloud, looker, clock, "jb1", place="a"), waiting(cloud, looker, clock, "jb1", place="b"))
    assert cloud.calls == [["jb1"], ["jb1"]]


def test_a_target_that_two_wait_for_is_asked_for_once() -> None:
    cloud, looker, clock = Cloud(), Looker(), FakeClock()
    run(waiting(cloud, looker, clock, "jb1", "jb2"), waiting(cloud, looker, clock, "jb2"))
    assert cloud.calls == [["jb1", "jb2"]]


def test_a_job_that_is_watched_by_two_handles_is_asked_for_by_both() -> None:
    cloud, looker, clock = Cloud(), Looker(), FakeClock()
    asks = [looker.look("p", clock, cloud.observe, PAGE, [Target("job", handle)], within=1.0) for handle in ("new", "")]
    first, second = run(*asks)
    assert cloud.calls == [["new"], ["job"]]
    assert first["job"] != second["job"]


def test_a_call_that_fails_fails_those_alone_who_asked_for_its_targets() -> None:
    cloud, looker, clock = Cloud(), Looker(), FakeClock()
    cloud.broken.add("jb0")
    seen = run(*(waiting(cloud, looker, clock, f"jb{number}") for number in range(PAGE + 5)))
    failed = [key for one in seen for key, answer in one.items() if isinstance(answer, CloudRetryError)]
    assert failed == [f"jb{number}" for number in range(PAGE)]


@pytest.mark.parametrize("how", ["raises", "leaves one out"])
def test_a_defect_is_the_answer_to_that_look_and_to_no_other(how: str) -> None:
    cloud, looker, clock = Cloud(), Looker(), FakeClock()

    async def observe(targets: Sequence[Target]) -> Mapping[str, Observation]:
        seen = await cloud.observe(targets)
        if targets[0].key != "jb0":
            return seen
        if how == "raises":
            raise ZeroDivisionError("what a cloud may have said")
        return {key: observation for key, observation in seen.items() if key != "jb0"}

    targets = [Target(f"jb{number}") for number in range(PAGE + 1)]
    (seen,) = run(looker.look("p", clock, observe, PAGE, targets, within=1.0))
    assert {key for key, answer in seen.items() if isinstance(answer, Defect)} == {f"jb{n}" for n in range(PAGE)}
    words = str(seen["jb0"])
    assert words.startswith("a defect of cloudretry ")
    assert "Report it with this line at https://" in words
    assert "what a cloud may have said" not in words


def test_a_waiter_that_gives_up_holds_nobody_up() -> None:
    cloud, looker, clock = Cloud(), Looker(), FakeClock()

    async def scene() -> Seen:
        gone = asyncio.create_task(waiting(cloud, looker, clock, "gone", within=50.0))
        await asyncio.sleep(0)
        stays = asyncio.create_task(waiting(cloud, looker, clock, "stays", within=100.0))
        gone.cancel()
        found: Seen = await stays
        return found

    assert list(asyncio.run(scene())) == ["stays"]
    assert ["gone"] not in cloud.calls


def test_nothing_is_kept_while_nobody_waits() -> None:
    cloud, looker, clock = Cloud(), Looker(), FakeClock()

    async def twice() -> None:
        for _ in range(2):
            await waiting(cloud, looker, clock, "jb1")
            await asyncio.sleep(0)
            assert not looker._groups

    asyncio.run(twice())
    assert len(cloud.calls) == 2
