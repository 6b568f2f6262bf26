"""When a fire leaves: what is on disk by then, from when on the old state counts, and what may still keep it here.

A request may wait long for its turn, at a cloud that is slow or where `requestsPerSecond` is low.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cloudretry.ledger import Asker, Fire, Journal
from cloudretry.model import Reply, Request
from support import World
from support.clock import FakeClock
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
    return Journal(tmp_path / "journal", FakeClock())


def journalled(world: World, journal: Journal) -> World:
    """The world on the journal, whose clock is the world's."""
    world.resource, world.backend.journal = RESOURCE, journal
    journal._clock = world.clock
    return world


def fires(journal: Journal) -> list[Fire]:
    """What another process would read."""
    return [fire for ledger in Journal(journal.folder).places() for fire in ledger.look(lambda books: [*books.fires()])]


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


def test_before_its_turn_the_intent_is_on_disk(journal: Journal) -> None:
    world = journalled(drs(jb1=[GOOD]), journal)
    found: list[list[Fire]] = []
    Behind(world).in_turn = lambda: found.append(fires(journal))
    world.up()
    ((fire,),) = found
    assert (fire.keys, fire.unclear) == (("jb1",), ("jb1",))


@pytest.mark.parametrize("late", ["queue", "throttled"])
def test_what_leaves_later_than_its_intent_said_is_intended_anew(journal: Journal, late: str) -> None:
    world = journalled(drs(jb1=[GOOD]), journal)
    if late == "queue":
        Behind(world, queue=61)
    else:
        world.cloud.breaks(status=429, throttled=True, retry_after=77.0)
    world.up()
    (fire,) = fires(journal)
    assert fire.began.at + 20 < world.cloud.things["jb1"].fired_at <= fire.leaves_by.at
    assert world.result("jb1")["attempts"] == 1


def test_what_another_run_has_taken_over_does_not_leave_any_more(journal: Journal, tmp_path: Path) -> None:
    world = journalled(drs(jb1=[GOOD]), journal)
    taker = Journal(journal.folder, world.clock)
    taker.sessions.lives = lambda _session: False  # type: ignore[method-assign]

    def take_over() -> None:
        (ledger,) = taker.places()
        Asker(ledger, world.clock, lambda _key: False).take_over(fires(journal))

    Behind(world, queue=61).in_turn = take_over
    step = world.up()
    assert (step.posts, world.result("jb1")["attempts"]) == (0, 0)
    assert "another run has taken this fire over" in step.failure
    taker.close()


def test_a_turn_that_comes_after_the_end_of_the_run_fires_nothing(sample: Sample, journal: Journal) -> None:
    world = journalled(sample.world(), journal)
    Behind(world, queue=61)
    step = world.up(timeout=60)
    assert (step.posts, world.result(sample.key)["status"], world.result(sample.key)["attempts"]) == (0, "Failed", 0)
    assert "not sent: the run ended before its turn" in step.failure
    assert all(fire.had_no_effect for fire in fires(journal))
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
    assert all(fire.had_no_effect for fire in fires(journal))
    world.cloud.send, world.backend.executor = real, Inline()  # type: ignore[method-assign]
    assert world.up().fired == [sample.key]
