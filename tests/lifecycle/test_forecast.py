"""The line that a preview shows for a resource, and that it costs no call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from cloudretry.inputs import UNKNOWN
from cloudretry.ledger import Ask, EntryTarget, Fire, TriggerMark
from cloudretry.ledger.fires import Holder
from cloudretry.lifecycle import forecast
from support.engine import World
from support.samples import BAD, GOOD, drs


def said(world: World, *, interrupted: Sequence[Fire] = (), secret: str = "", **changes: Any) -> str:
    values = {name: value for name, value in (world.program | changes).items() if value is not None}
    requests = len(world.cloud.requests)
    found = forecast(
        world.action, values, world.state, world.clock.now(), interrupted=interrupted, is_secret=secret.__eq__
    )
    assert len(world.cloud.requests) == requests
    return found.line


def test_a_create_would_fire_all_targets() -> None:
    assert said(drs(jb1=[GOOD], jb2=[GOOD])) == "would fire 2 targets"


def test_no_change_says_nothing() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    assert said(world) == ""


def test_a_trigger_change_tells_the_trigger_and_its_values() -> None:
    world = drs(jb1=[GOOD])
    world.up(triggers={"release": 1, "gone": {"a": [1]}})
    line = said(world, triggers={"release": "1", "new": "x" * 99})
    assert line == (
        f'would fire 1 target: triggers gone {{"a": [1]}} -> none, new none -> "{"x" * 36}..., release 1 -> "1"'
    )


def test_the_values_of_a_secret_trigger_are_not_told() -> None:
    world = drs(jb1=[GOOD])
    world.up(triggers={"release": "planted-1"})
    line = said(world, secret="release", triggers={"release": "planted-2"})
    assert line == "would fire 1 target: trigger release [secret]"


def test_many_changed_triggers_are_counted() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    assert said(world, triggers={f"t{n}": n for n in range(9)}).endswith(", 7 more")


def test_a_failed_target_would_be_fired_again_and_only_that() -> None:
    world = drs(jb1=[BAD], jb2=[GOOD])
    world.up()
    assert said(world) == "would fire 1 target: failed in the last run"


def test_spent_attempts_are_told_before_the_up() -> None:
    world = drs(jb1=[BAD])
    world.up(maxAttempts=1)
    assert said(world) == "would not fire jb1: its 1 attempt is spent"


def test_a_cut_off_run_would_go_on_waiting() -> None:
    world = drs(jb1=[GOOD])
    world.up(timeout=2.0)
    assert said(world) == "would go on waiting for 1 target"


def test_what_is_not_known_yet_is_not_claimed() -> None:
    world = drs(jb1=[GOOD])
    assert said(world, triggers={"release": UNKNOWN}) == "would fire"
    world.up()
    assert said(world, triggers={"release": UNKNOWN}).startswith("would fire if")


def test_an_interrupted_fire_is_told() -> None:
    world = drs(jb1=[GOOD])
    world.up()
    line = said(world, interrupted=[_fire(world, "jb1", run=2)])
    assert line == "would take up a fire that was interrupted, of 1 target; would go on waiting for 1 target"


def test_a_create_that_nobody_knows_to_be_saved_would_stop() -> None:
    world = drs(jb1=[GOOD])
    line = said(world, interrupted=[replace(_fire(world, "jb1", run=1), handed=True)])
    assert line == "would stop: whether an earlier fire was saved is not known; see: cloudretry journal list"
    # An update is told by its outputs.
    world.up()
    assert "would take up" in said(world, interrupted=[replace(_fire(world, "jb1", run=2), handed=True)])


def test_targets_that_were_added_to_an_interrupted_create_are_told_as_well() -> None:
    line = said(drs(jb1=[GOOD], jb2=[GOOD]), interrupted=[_fire(drs(jb1=[GOOD]), "jb1", run=1)])
    assert "would take up a fire that was interrupted, of 1 target; would fire 1 target: added" in line


def _fire(world: World, *keys: str, run: int) -> Fire:
    triggers = TriggerMark.of(world.program.get("triggers", {}))
    life, _, _ = (world.state or {"__life": "L/1"})["__life"].partition("/")
    ask = Ask("urn:r", life, run, 1, world.state is None, triggers)
    then, targets = world.clock.moment(), tuple(EntryTarget(key, 1) for key in keys)
    return Fire(1, "f1", ask, targets, "dead", then, then, Holder("dead"))


def test_look_before_fire_is_told() -> None:
    assert said(drs(jb1=[GOOD]), fireWhen="retryable") == "would fire 1 target that can be retried"
