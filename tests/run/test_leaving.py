"""When a fire leaves: what is on disk by then, from when on the old state counts, and what may still keep it here.

A request may wait long for its turn, at a cloud that is slow or where `requestsPerSecond` is low.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudretry.model import Reply, Request
from cloudretry.run.journal import Entry, Journal
from support import World
from support.engine import Inline
from support.samples import GOOD, Sample, drs

RESOURCE = "urn:r"


class Behind:
    """A cloud with a queue before it: a fire waits for its turn, and its answer takes time as well."""

    def __init__(self, world: World, *, queue: float = 0.0, answer: float = 0.0) -> None:
        self.world, self.queue, self.answer = world, queue, answer
        self.real = world.cloud.send
        self.in_turn: Callable[[], None] = lambda: None
        """Called when the turn has come."""
        world.cloud.send = self  # type: ignore[method-assign, assignment]

    def __call__(self, request: Request, leaving: Callable[[], None] | None = None) -> Reply:
        if request.operation is not self.world.action.fires:
            return self.real(request, leaving)
        self.world.clock.advance(self.queue)
        self.in_turn()
        reply = self.real(request, leaving)
        self.world.clock.advance(self.answer)
        return reply


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "journal")


def journalled(world: World, journal: Journal) -> World:
    world.resource, world.backend.journal = RESOURCE, journal
    return world


def only_record(journal: Journal) -> Entry:
    (entry,) = journal.of(RESOURCE).entries()
    return entry


@pytest.mark.parametrize("slow", ["queue", "answer"])
def test_the_old_state_counts_from_the_answer_on_however_long_that_took(sample: Sample, slow: str) -> None:
    world = sample.world()
    world.cloud.things[sample.key].lag = 90 if slow == "answer" else 25
    Behind(world, **{slow: 70})
    step = world.up()
    assert (step.posts, step.failure, world["status"]) == (1, "", "Succeeded")


def test_what_is_recorded_is_when_it_left_not_when_it_was_wanted(journal: Journal) -> None:
    world = journalled(drs(jb1=[GOOD]), journal)
    Behind(world, queue=61)
    world.up()
    assert world["firedAt"] == world.result("jb1")["firedAt"] == "2027-01-15T08:01:01Z"
    assert only_record(journal).at == pytest.approx(world.cloud.things["jb1"].fired_at)


def test_each_try_is_put_on_disk_anew(journal: Journal) -> None:
    world = journalled(drs(jb1=[GOOD]), journal)
    world.cloud.breaks(status=429, throttled=True, retry_after=77.0)
    world.up()
    assert only_record(journal).at == pytest.approx(world.cloud.things["jb1"].fired_at)
    assert world.result("jb1")["attempts"] == 1


def test_before_its_turn_nothing_is_on_disk(journal: Journal) -> None:
    world = journalled(drs(jb1=[GOOD]), journal)
    found: list[list[Entry]] = []
    Behind(world).in_turn = lambda: found.append(journal.of(RESOURCE).entries())
    world.up()
    assert found == [[]]


def test_a_turn_that_comes_after_the_end_of_the_run_fires_nothing(sample: Sample, journal: Journal) -> None:
    world = journalled(sample.world(), journal)
    Behind(world, queue=61)
    step = world.up(timeout=60)
    assert (step.posts, world.result(sample.key)["status"], world.result(sample.key)["attempts"]) == (0, "Failed", 0)
    assert "not sent: the run ended before its turn" in step.failure
    assert journal.of(RESOURCE).is_empty
    assert world.up().fired == [sample.key]


def test_a_cancelled_fire_that_waits_for_its_turn_is_known_not_to_have_left(sample: Sample, journal: Journal) -> None:
    world = journalled(sample.world(), journal)
    real, go_on = world.cloud.send, threading.Event()

    def send(request: Request, leaving: Callable[[], None] | None = None) -> Reply:
        if request.operation is world.action.fires:
            world.cancel()
            assert go_on.wait(30)
        return real(request, leaving)

    world.cloud.send = send  # type: ignore[method-assign]
    with ThreadPoolExecutor(2) as executor:
        world.backend.executor = executor
        step = world.up()
        assert (world.result(sample.key)["status"], world.result(sample.key)["attempts"]) == ("Failed", 0)
        assert "not sent: cancelled before it was sent" in step.failure
        go_on.set()
    assert not world.cloud.effects
    assert journal.of(RESOURCE).is_empty
    world.cloud.send, world.backend.executor = real, Inline()  # type: ignore[method-assign]
    assert world.up().fired == [sample.key]
