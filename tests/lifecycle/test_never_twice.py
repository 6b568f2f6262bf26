"""A run dies at some point; the next one fires what was asked for, and nothing twice.

The death is that of a process: whatever was not on disk is gone, the state that the engine would have saved with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any

import pytest

from cloudretry import lifecycle
from cloudretry.ledger import Asker, EntryTarget, Fire, Journal
from cloudretry.ledger import books as write
from cloudretry.model import Reply, Request
from support.cloud import BY_OPERATION
from support.engine import Step, World
from support.samples import EHPC, SAMPLES, WORKSPACE, Sample

DEATHS = ["before the request", "before the effect", "after the effect", "after the answer"]


class Death(BaseException):
    """The process is gone."""


class Mortal:
    """A resource whose runs can die, with the journal of its machine."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world = world
        self.folder = folder / "journal"
        self.journal = Journal(self.folder, world.clock)
        world.resource = "urn:r"
        self.begins()

    def begins(self) -> None:
        """Another process, which knows only what is on disk; the one before has ended."""
        self.journal.close()
        self.journal = Journal(self.folder, self.world.clock)
        self.world.backend.journal = self.journal

    def up(self, **changes: Any) -> Step:
        """A run that ends in an orderly way."""
        self.begins()
        return self.world.up(**changes)

    def dies(self, when: str, **changes: Any) -> None:
        """A run that dies; its state is never saved."""
        self.begins()
        saved, identifier, send = self.world.state, self.world.id, self.world.cloud.send
        self.world.dies = when == "after the answer"
        with _mortal(self.world, send, when), contextlib.suppress(Death):
            self.world.up(**changes)
        self.world.dies = False
        self.world.state, self.world.id = saved, identifier

    @property
    def effects(self) -> int:
        return sum(self.world.cloud.effects.values())

    @property
    def fires(self) -> list[Fire]:
        """What the journal knows, oldest first."""
        found = [
            fire for ledger in Journal(self.folder).places() for fire in ledger.look(lambda books: [*books.fires()])
        ]
        return sorted(found, key=lambda fire: fire.number)

    @property
    def is_settled(self) -> bool:
        return all(fire.is_settled for fire in self.fires)

    def up_on_an_old_state(self, state: dict[str, Any] | None) -> Step:
        """A run that was shown an older state than the last one saved."""
        self.world.state = state
        return self.up()


class _mortal:  # noqa: N801 - reads as a statement
    def __init__(self, world: World, send: Callable[[Request], Reply], when: str) -> None:
        self.world, self.send, self.when = world, send, when

    def __enter__(self) -> None:
        self.world.cloud.send = self._send  # type: ignore[method-assign]

    def __exit__(self, *_error: object) -> None:
        del self.world.cloud.send

    def _send(self, request: Request, leaving: Callable[[], None] | None = None) -> Reply:
        fires = BY_OPERATION[request.operation.name][1]
        if leaving is not None:
            leaving()
        if fires and self.when == "before the effect":
            raise Death
        reply = self.send(request)
        if fires and self.when == "after the effect":
            raise Death
        return reply


@pytest.fixture
def mortal(sample: Sample, tmp_path: Path) -> Mortal:
    return Mortal(sample.world(), tmp_path)


def _prevent_intents(monkeypatch: pytest.MonkeyPatch) -> None:
    def die(*_arguments: object) -> None:
        raise Death

    monkeypatch.setattr("cloudretry.ledger.Asker.intend", die)


def _dies(mortal: Mortal, when: str, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> None:
    with monkeypatch.context() as patch:
        if when == "before the request":
            _prevent_intents(patch)
        mortal.dies(when, **changes)


def _until_green(mortal: Mortal) -> Step:
    for _ in range(3):
        step = mortal.up()
        if not step.failure:
            return step
        mortal.world.clock.advance(60)
    return step


@pytest.mark.parametrize("when", DEATHS)
def test_a_create_that_dies_fires_once(
    mortal: Mortal, sample: Sample, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _dies(mortal, when, monkeypatch)
    step = _until_green(mortal)
    if sample.token in (EHPC, WORKSPACE) and when == "before the effect":
        # Its state cannot tell that nothing happened, and onUnknown is `fail`.
        assert "onUnknown" in step.failure
        assert mortal.effects == 0
        return
    assert step.failure == ""
    assert mortal.effects == 1
    assert mortal.world["status"] == "Succeeded"
    assert mortal.world["generation"] == 1
    assert mortal.is_settled


@pytest.mark.parametrize("when", DEATHS)
def test_a_trigger_change_that_dies_fires_once(
    mortal: Mortal, sample: Sample, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mortal.up()
    mortal.world.cloud.things[sample.key].state = sample.failed
    mortal.world.cloud.things[sample.key].timelines = [sample.good]
    mortal.world.cloud.things[sample.key].effects = 0
    _dies(mortal, when, monkeypatch, triggers={"release": "2"})
    step = _until_green(mortal)
    if sample.token in (EHPC, WORKSPACE) and when == "before the effect":
        assert "onUnknown" in step.failure
        assert mortal.effects == 0
        return
    assert step.failure == ""
    assert mortal.effects == 1
    assert mortal.world["generation"] == 2
    assert mortal.world["triggers"] == {"release": "2"}
    assert mortal.is_settled


def test_a_lost_reply_that_the_cloud_cannot_tell_of_fires_again_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = next(sample for sample in SAMPLES if sample.token == EHPC)
    mortal = Mortal(sample.world(onUnknown="fire"), tmp_path)
    _dies(mortal, "before the effect", monkeypatch)
    assert _until_green(mortal).failure == ""
    assert mortal.effects == 1


def test_what_was_taken_up_is_said(mortal: Mortal, monkeypatch: pytest.MonkeyPatch) -> None:
    _dies(mortal, "after the answer", monkeypatch)
    assert any("interrupted" in line and "taken up" in line for line in mortal.up().lines)


def test_the_preview_after_a_death_shows_that_there_is_work(mortal: Mortal, monkeypatch: pytest.MonkeyPatch) -> None:
    mortal.up()
    _dies(mortal, "after the effect", monkeypatch, triggers={"release": "2"})
    paths = [change.path for change in mortal.world.preview().changes]
    assert "fireIds" in paths


def refail(mortal: Mortal, sample: Sample) -> None:
    """The target fails again by itself, so that every fire that is asked for has an effect."""
    thing = mortal.world.cloud.things[sample.key]
    mortal.world.clock.advance(60)
    thing.timelines = [[*sample.good, (sample.failed, 40)]]


def test_back_to_the_old_trigger_after_a_death_fires_both(
    mortal: Mortal, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    refail(mortal, sample)
    mortal.up()
    mortal.world.clock.advance(60)
    _dies(mortal, "after the effect", monkeypatch, triggers={"release": "2"})
    mortal.world.clock.advance(60)
    step = mortal.up(triggers={"release": "1"})
    assert step.posts == 1
    assert mortal.effects == 3
    assert mortal.world["generation"] == 3


@pytest.mark.parametrize("death", [False, True], ids=["", "after a death"])
@pytest.mark.parametrize("how", ["replace", "destroy", "state delete"])
def test_a_fire_that_was_asked_for_is_never_swallowed(
    mortal: Mortal, sample: Sample, how: str, death: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    refail(mortal, sample)
    mortal.up()
    mortal.world.clock.advance(60)
    if death:
        _dies(mortal, "after the effect", monkeypatch, triggers={"release": "2"})
        mortal.world.clock.advance(60)
    if how == "destroy":
        mortal.world.destroy()
    if how == "state delete":
        mortal.world.state = None
    step = mortal.up(replace=how == "replace")
    assert step.posts == 1
    assert mortal.effects == 2 + death


def test_a_replacement_that_dies_fires_once(mortal: Mortal, sample: Sample, monkeypatch: pytest.MonkeyPatch) -> None:
    refail(mortal, sample)
    mortal.up()
    mortal.world.clock.advance(60)
    _dies(mortal, "after the effect", monkeypatch, replace=True)
    assert mortal.up(replace=True).posts == 0
    assert mortal.effects == 2


def test_what_followed_a_replacement_that_died_is_not_undone_by_it(
    mortal: Mortal, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    refail(mortal, sample)
    mortal.up()
    mortal.world.clock.advance(60)
    _dies(mortal, "after the answer", monkeypatch, replace=True, triggers={"release": "2"})
    mortal.world.clock.advance(60)
    assert mortal.up(triggers={"release": "3"}).posts == 1
    mortal.world.clock.advance(60)
    assert mortal.up(triggers={"release": "2"}).posts == 1
    mortal.world.clock.advance(60)
    assert mortal.up(replace=True).posts == 1


def test_a_create_after_a_destroy_takes_up_no_replacement_that_died(
    mortal: Mortal, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    refail(mortal, sample)
    mortal.up()
    mortal.world.clock.advance(60)
    _dies(mortal, "after the answer", monkeypatch, replace=True)
    mortal.world.clock.advance(60)
    mortal.begins()
    mortal.world.destroy()
    assert mortal.up().posts == 1


def test_the_end_of_the_old_half_leaves_the_replacement_that_was_taken_up(
    mortal: Mortal, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    refail(mortal, sample)
    mortal.up()
    old = mortal.world.state
    mortal.world.clock.advance(60)
    _dies(mortal, "after the answer", monkeypatch, replace=True)
    _dies(mortal, "after the answer", monkeypatch, replace=True)
    mortal.world.state = old
    mortal.world.destroy()
    assert not all(fire.saved for fire in mortal.fires)


def test_a_journal_that_cannot_be_written_fires_nothing_and_the_next_up_does(mortal: Mortal, tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("in the way")
    step = mortal.up()
    assert step.posts == 0
    assert "journalEnabled: false" in step.failure
    (tmp_path / "journal").unlink()
    assert mortal.up().posts == 1
    assert mortal.effects == 1


def test_an_entry_that_cannot_be_read_keeps_everything_from_being_fired(
    mortal: Mortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    _dies(mortal, "after the effect", monkeypatch)
    entry = sorted(mortal.folder.glob("places/*/0*"))[-1]
    entry.write_text("{")
    step = mortal.up()
    assert str(entry) in step.failure
    assert step.posts == 0
    assert entry.read_text() == "{"


def test_a_run_waits_for_another_one_on_the_same_resource(mortal: Mortal, monkeypatch: pytest.MonkeyPatch) -> None:
    _dies(mortal, "after the effect", monkeypatch)
    alive, mortal.journal = mortal.journal, Journal(mortal.folder, mortal.world.clock)
    step = mortal.up(timeout=5.0)
    assert step.posts == 0
    assert "another run works on this resource" in step.failure
    alive.close()
    assert _until_green(mortal).posts == 0
    assert mortal.effects == 1


def test_the_journal_holds_no_trigger_value(mortal: Mortal, monkeypatch: pytest.MonkeyPatch) -> None:
    _dies(mortal, "after the effect", monkeypatch, triggers={"password": "planted-secret"})
    text = "".join(path.read_text() for path in mortal.folder.rglob("*") if path.is_file())
    assert "urn:r" in text
    assert "planted-secret" not in text


@pytest.mark.parametrize("death", ["after the effect", "after the answer"])
def test_a_run_that_was_overtaken_by_another_one_takes_up_what_that_one_fired(
    mortal: Mortal, sample: Sample, death: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    refail(mortal, sample)
    mortal.up()
    mortal.world.clock.advance(60)
    _dies(mortal, death, monkeypatch, triggers={"release": "2"})
    old = mortal.world.state
    _until_green(mortal)
    effects, newest = mortal.effects, mortal.world.state
    step = mortal.up_on_an_old_state(old)
    assert step.posts == 0
    assert any("taken up" in line for line in step.lines)
    assert newest is not None
    for name in ("generation", "triggers", "fireIds"):
        assert mortal.world[name] == newest[name]
    assert mortal.effects == effects


def test_a_create_whose_outcome_was_handed_over_and_never_acknowledged_asks_for_a_word(mortal: Mortal) -> None:
    mortal.world.acknowledges = False
    mortal.up()
    mortal.world.state = None
    step = mortal.up()
    assert step.posts == 0
    assert "--taken-up" in step.failure
    assert "--fire" in step.failure
    assert mortal.effects == 1


@pytest.mark.parametrize("when", ["after the effect", "after the answer"])
def test_a_secret_target_is_taken_up_though_it_is_not_written_down(
    mortal: Mortal, sample: Sample, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mortal.world.is_secret = lambda key: key == sample.key
    _dies(mortal, when, monkeypatch)
    written = "".join(path.read_text() for path in mortal.folder.glob("places/*/0*"))
    assert written
    assert f'"{sample.key}"' not in written
    assert _until_green(mortal).failure == ""
    assert mortal.effects == 1


def test_a_create_that_waits_for_nothing_is_taken_up_with_its_history(
    mortal: Mortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    mortal.world.program["wait"] = False
    _dies(mortal, "after the answer", monkeypatch)
    step = mortal.up()
    assert (step.posts, step.failure) == (0, "")
    assert [run["reason"] for run in mortal.world["history"]] == ["resume"]
    assert mortal.effects == 1


def test_what_another_resource_has_looked_at_is_still_taken_up_by_its_own(
    mortal: Mortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    _dies(mortal, "after the effect", monkeypatch)
    mortal.world.resource = "urn:other"
    other = mortal.up(triggers={"ticket": "7"})
    assert any("looking for what became of it" in line for line in other.lines)
    assert mortal.effects == 1
    mortal.world.resource, mortal.world.state = "urn:r", None
    again = mortal.up(triggers={"release": "1"})
    assert any("taken up" in line for line in again.lines)
    assert again.posts == 0
    assert mortal.effects == 1
    assert mortal.is_settled


# --- two runs of one ask at the same time ---


def _meanwhile(mortal: Mortal, monkeypatch: pytest.MonkeyPatch, sample: Sample, *, dies: bool) -> World:
    """Just before the next intent is written another process carries out the same program on the same state."""
    other = sample.world(**mortal.world.program)
    other.clock, other.cloud, other.backend = mortal.world.clock, mortal.world.cloud, copy(mortal.world.backend)
    other.resource, other.state, other.id, other.dies = "urn:r", mortal.world.state, mortal.world.id, dies
    intend = Asker.intend

    def overtaken(asker: Asker, groups: Sequence[Sequence[EntryTarget]]) -> Any:
        monkeypatch.setattr(Asker, "intend", intend)
        other.backend.journal = Journal(mortal.folder, mortal.world.clock)
        other.up()
        other.backend.journal.close()
        return asker.intend(groups)

    monkeypatch.setattr(Asker, "intend", overtaken)
    return other


@pytest.mark.parametrize("dies", [False, True], ids=["", "and dies"])
@pytest.mark.parametrize("changes", [{}, {"triggers": {"release": "2"}}], ids=["create", "update"])
def test_what_another_run_fired_for_the_same_ask_since_this_one_began_is_not_fired_again(
    mortal: Mortal, sample: Sample, changes: dict[str, Any], dies: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    refail(mortal, sample)
    if changes:
        mortal.up()
        mortal.world.clock.advance(60)
    before = mortal.effects
    mortal.world.program |= changes
    other = _meanwhile(mortal, monkeypatch, sample, dies=dies)
    step = mortal.up()
    assert other.state is None or other["status"] == "Succeeded" or dies
    assert (step.posts, step.failure) == (1, "")
    assert mortal.effects == before + 1
    assert mortal.world["status"] == "Succeeded"
    assert _until_green(mortal).posts == 0


def test_a_run_of_another_ask_that_was_overtaken_fires_its_own(
    mortal: Mortal, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    refail(mortal, sample)
    mortal.up()
    mortal.world.clock.advance(60)
    other = _meanwhile(mortal, monkeypatch, sample, dies=False)
    other.program["triggers"] = {"release": "2"}
    step = mortal.up(triggers={"release": "3"})
    assert step.failure == ""
    assert step.posts == 2


@pytest.mark.parametrize("is_saved", [False, True])
def test_a_create_that_has_waited_for_another_run_of_it_takes_up_what_that_one_fired(
    mortal: Mortal, is_saved: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _dies(mortal, "after the answer", monkeypatch)
    alive, mortal.journal = mortal.journal, Journal(mortal.folder, mortal.world.clock)
    (ledger,) = alive.places()
    session, fires = alive.sessions.holder.session, [fire.fire_id for fire in mortal.fires]

    def ends() -> None:
        records = [write.over(fires, session, handed=True), *([write.saved(fires)] if is_saved else [])]
        ledger.write(lambda _books, _listed: (records, None))
        alive.close()

    mortal.world.clock.after(2.0, ends)
    step = mortal.up()
    assert (step.posts, step.failure) == (0, "")
    assert any("waiting for it" in line for line in step.lines)
    assert mortal.effects == 1


def test_a_create_that_could_not_even_start_hides_no_fire_of_the_one_that_died(
    mortal: Mortal, monkeypatch: pytest.MonkeyPatch
) -> None:
    _dies(mortal, "after the answer", monkeypatch)
    unfired = lifecycle.not_fired(mortal.world.action, mortal.world.program, "no credentials", emulated=False)
    mortal.world.state, mortal.world.id = unfired.outputs, unfired.resource_id
    step = mortal.up()
    assert (step.posts, step.failure) == (0, "")
    assert mortal.is_settled


def _stranger(mortal: Mortal, sample: Sample) -> World:
    """Another program's resource with the same target and the same triggers, in a process of its own."""
    other = sample.world(**mortal.world.program)
    other.clock, other.cloud, other.backend = mortal.world.clock, mortal.world.cloud, copy(mortal.world.backend)
    other.resource, other.backend.journal = "urn:other", Journal(mortal.folder, mortal.world.clock)
    return other


def test_two_resources_that_create_at_the_same_time_do_not_become_one(
    mortal: Mortal, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    refail(mortal, sample)
    other = _stranger(mortal, sample)
    other.acknowledges = False
    done: list[Any] = []
    hand_over = lifecycle.hand_over

    async def later(outcome: Any) -> None:
        if not done:
            done.append(outcome)
        else:
            await hand_over(outcome)

    monkeypatch.setattr(lifecycle, "hand_over", later)
    other.up()

    def is_saved() -> None:
        asyncio.run(hand_over(done[0]))
        asyncio.run(lifecycle.settle(done[0]))

    mortal.world.clock.after(2.0, lambda: _in_a_thread(is_saved))
    step = mortal.up()
    assert (step.posts, step.failure) == (0, "")
    mortal.world.clock.advance(60)
    monkeypatch.undo()
    other.acknowledges = True
    assert other.up(triggers={"release": "2"}).posts == 1
    other.backend.journal.close()  # type: ignore[union-attr]
    assert mortal.up().kind == "same"


def _in_a_thread(work: Callable[[], None]) -> None:
    thread = threading.Thread(target=work)
    thread.start()
    thread.join()


def test_of_two_that_would_take_up_one_fire_the_second_waits_for_the_first(
    mortal: Mortal, sample: Sample, monkeypatch: pytest.MonkeyPatch
) -> None:
    _dies(mortal, "after the answer", monkeypatch)
    rival = Journal(mortal.folder, mortal.world.clock)
    take_over = Asker.take_over

    def overtaken(asker: Asker, fires: Any) -> Any:
        monkeypatch.setattr(Asker, "take_over", take_over)
        wanted = list(fires)
        (ledger,) = rival.places()
        Asker(ledger, mortal.world.clock, lambda _key: False).take_over(wanted)
        return asker.take_over(wanted)

    monkeypatch.setattr(Asker, "take_over", overtaken)
    mortal.world.clock.after(5.0, rival.close)
    step = mortal.up()
    assert any("another run works on this resource" in line for line in step.lines)
    assert (step.posts, step.failure) == (0, "")
    assert mortal.is_settled


def test_a_create_that_is_repeated_in_the_same_step_goes_on_from_the_first(mortal: Mortal, sample: Sample) -> None:
    refail(mortal, sample)
    mortal.world.acknowledges = False
    assert mortal.world.up(timeout=5.0).posts == 1
    mortal.world.state = None
    mortal.world.acknowledges = True
    step = mortal.world.up()
    assert (step.posts, step.failure) == (0, "")
    assert mortal.effects == 1
