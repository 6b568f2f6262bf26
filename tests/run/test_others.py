"""Targets that somebody else has fired: never fired at the same time, and never swallowed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cloudretry.errors import JournalError
from cloudretry.ledger import Ask, Asker, EntryTarget, Granted, Journal, TriggerMark, Word
from cloudretry.model import Answer, CloudError, FireOutcome
from support import World
from support.samples import EHPC, GOOD, drs

ACCEPTED = Answer(FireOutcome.ACCEPTED)
REJECTED = Answer(FireOutcome.REJECTED, error=CloudError("X.1", "no"))


class Other:
    """Another process on the same machine, which has fired targets of this world's place."""

    def __init__(
        self,
        world: World,
        folder: Path,
        *keys: str,
        owner: str = "urn:other",
        deployment: str = "",
        before: str = "",
    ) -> None:
        self.world = world
        self.journal = Journal(folder, world.clock)
        place = world.backend.ledger(world.action, _place(world)).place  # type: ignore[union-attr]
        self.asker = Asker(self.journal.at(place), world.clock, lambda _key: False)
        self.asker.ask = Ask(owner, "other-life", 1, 1, True, TriggerMark.of({"its": "own"}), deployment=deployment)
        granted, blocked = self.asker.intend([[EntryTarget(key, 1, before) for key in keys]])
        assert not blocked
        self.fire: Granted = granted[0]

    def has_effect(self) -> None:
        for target in self.fire.targets:
            self.world.cloud.things[target.key].fire(self.world.clock.now())

    def answers(self, answer: Answer) -> None:
        self.asker.answered(self.fire.fire_id, {target.key: answer for target in self.fire.targets}, "r-1")

    def is_over(self) -> None:
        self.asker.end(handed=True)

    def dies(self) -> None:
        self.journal.close()


def _place(world: World) -> Any:
    from cloudretry.model import Place

    return Place("eu-de", "p1" if world.action.token != EHPC else "", world.program.get("clusterId", ""))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "journal"


@pytest.fixture
def world(folder: Path) -> Iterator[World]:
    world = drs(jb1=[GOOD], jb2=[GOOD])
    world.resource = "urn:mine"
    world.backend.journal = Journal(folder, world.clock)
    yield world
    world.backend.journal.close()


def test_a_fire_that_takes_hold_meanwhile_is_adopted_and_the_others_are_fired(world: World, folder: Path) -> None:
    other = Other(world, folder, "jb1")
    world.clock.after(3.0, lambda: (other.has_effect(), other.answers(ACCEPTED)))
    step = world.up()
    assert (step.failure, world["status"]) == ("", "Succeeded")
    assert (step.posts, step.fired) == (1, ["jb1", "jb2"])
    assert world.result("jb1")["attempts"] == 0
    assert world.result("jb2")["attempts"] == 1
    assert any("jb1 is fired for urn:other since 2027-" in line and "adopted" in line for line in step.lines)


def test_while_it_is_waited_for_it_is_said_who_has_it_since_when(world: World, folder: Path) -> None:
    other = Other(world, folder, "jb1")
    world.clock.after(10.0, lambda: (other.has_effect(), other.answers(ACCEPTED)))
    lines = world.up().lines
    assert any(
        line.startswith("waiting for 1: jb1 is fired for urn:other since 2027-01-15T08:00:00Z by process")
        for line in lines
    )


@pytest.mark.parametrize("answer", [REJECTED, Answer(FireOutcome.NOT_SENT)])
def test_what_came_to_nothing_is_fired(world: World, folder: Path, answer: Answer) -> None:
    other = Other(world, folder, "jb1")
    world.clock.after(3.0, lambda: other.answers(answer))
    step = world.up()
    assert step.failure == ""
    assert step.effects == {"jb1": 1, "jb2": 1}


def test_what_is_accepted_stays_its_asker_s_until_that_run_is_over(world: World, folder: Path) -> None:
    other = Other(world, folder, "jb1")
    other.has_effect()
    other.answers(ACCEPTED)
    step = world.up()
    assert step.effects == {"jb2": 1}
    assert world.result("jb1")["status"] == "Succeeded"


def test_what_was_over_before_this_run_looked_is_nothing_to_it(world: World, folder: Path) -> None:
    other = Other(world, folder, "jb1")
    other.has_effect()
    other.answers(ACCEPTED)
    other.is_over()
    world.cloud.legal = False
    assert world.up().effects == {"jb1": 1, "jb2": 1}


@pytest.mark.parametrize("how", ["dead", "over"])
@pytest.mark.parametrize("effect", [True, False])
def test_what_nobody_is_at_work_on_is_taken_over_and_looked_at(
    world: World, folder: Path, how: str, effect: bool
) -> None:
    other = Other(world, folder, "jb1")
    if effect:
        other.has_effect()
    other.dies() if how == "dead" else other.is_over()
    step = world.up()
    assert (step.failure, world["status"]) == ("", "Succeeded")
    assert world.cloud.effects == {"jb1": 1, "jb2": 1}
    assert any("has ended: looking for what became of it" in line for line in step.lines)


def test_before_the_effect_can_show_nothing_is_concluded(world: World, folder: Path) -> None:
    other = Other(world, folder, "jb1")
    world.cloud.things["jb1"].lag = 25.0
    other.has_effect()
    other.dies()
    assert world.up().effects == {"jb2": 1}
    assert world["status"] == "Succeeded"


def test_where_the_cloud_cannot_tell_the_run_says_so_and_fires_nothing(folder: Path) -> None:
    world = World(EHPC, clusterId="c1", jobIds=["1"])
    world.cloud.add("1", "RUNNING", [("RUNNING", 0.0)])
    world.resource, world.backend.journal = "urn:mine", Journal(folder, world.clock)
    other = Other(world, folder, "1", before="2026-01-01T00:00:00Z//")
    other.dies()
    step = world.up()
    assert step.posts == 0
    assert world.result("1")["status"] == "Unknown"
    assert "urn:other" in step.failure
    assert "onUnknown: fire" in step.failure


def test_the_time_that_is_allowed_ends_the_waiting_in_words(world: World, folder: Path) -> None:
    other = Other(world, folder, "jb1")
    step = world.up(timeout=30.0)
    other.dies()
    assert world.result("jb1")["status"] == "Failed"
    assert world.result("jb2")["status"] == "Succeeded"
    assert "jb1: not fired: it is fired for urn:other" in step.failure
    assert step.effects == {"jb2": 1}


def test_another_resource_of_the_same_deployment_is_an_error_that_names_both(world: World, folder: Path) -> None:
    world.backend.deployment = "127.0.0.1:1"
    other = Other(world, folder, "jb1", deployment="127.0.0.1:1")
    other.has_effect()
    other.answers(ACCEPTED)
    other.is_over()
    step = world.up()
    assert step.effects == {"jb2": 1}
    assert "jb1: not fired: it was fired for urn:other, of which it is a target as well" in step.failure


def test_what_the_same_resource_asked_for_before_is_waited_for_and_fired_anew(world: World, folder: Path) -> None:
    world.cloud.legal = False
    other = Other(world, folder, "jb1", owner="urn:mine")
    other.has_effect()
    other.dies()
    step = world.up()
    assert step.effects == {"jb1": 1, "jb2": 1}


def test_a_journal_that_is_lost_while_waiting_loses_no_outcome(
    world: World, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Other(world, folder, "jb1")

    def broken(*_arguments: object) -> None:
        raise JournalError("the journal at x cannot be read")

    monkeypatch.setattr(Asker, "standing", broken)
    step = world.up()
    other.dies()
    assert world.result("jb2")["status"] == "Succeeded"
    assert "the journal at x cannot be read" in step.failure


def test_what_gets_free_and_cannot_be_looked_at_then_loses_no_outcome(folder: Path) -> None:
    world = World(EHPC, clusterId="c1", jobIds=["1", "2"])
    for key in ("1", "2"):
        world.cloud.add(key, "RUNNING", [("QUEUED", 0.0), ("RUNNING", 5.0)])
    world.resource, world.backend.journal = "urn:mine", Journal(folder, world.clock)
    other = Other(world, folder, "1")

    def comes_to_nothing() -> None:
        other.answers(REJECTED)
        world.cloud.breaks(looks=True, status=403, code="Denied", times=float("inf"))

    world.clock.after(60.0, comes_to_nothing)
    step = world.up()
    assert step.effects == {"2": 1}
    assert world.result("2")["status"] == "Succeeded"
    assert world.result("1")["status"] == "Failed"
    assert "not fired" in step.failure


def test_a_word_on_what_the_state_held_is_none_on_what_was_taken_over_since(world: World, folder: Path) -> None:
    """The journal knew nothing of the fire that this resource has in its state."""
    journal, world.backend.journal = world.backend.journal, None
    world.cloud.breaks("lost before", times=float("inf"))
    world.up(timeout=5.0, jobs=[{"jobId": "jb1"}])
    world.cloud.faults.clear()
    world.backend.journal = journal
    world.clock.advance(60)
    other = Other(world, folder, "jb1")
    other.dies()
    world.clock.after(3.0, lambda: world.cloud.breaks(looks=True, status=503, times=float("inf")))
    world.up(timeout=10.0)
    (fire,) = [fire for fire in _fires(folder) if fire.ask.owner == "urn:other"]
    assert fire.words == {}


def test_a_word_of_what_was_found_closes_the_target_for_everybody(world: World, folder: Path) -> None:
    other = Other(world, folder, "jb1")
    other.has_effect()
    other.dies()
    world.up()
    (fire,) = [fire for fire in _fires(folder) if fire.ask.owner == "urn:other"]
    assert fire.words == {"jb1": Word.HELD}
    assert not fire.unclear


def _fires(folder: Path) -> list[Any]:
    return [fire for ledger in Journal(folder).places() for fire in ledger.look(lambda books: [*books.fires()])]
