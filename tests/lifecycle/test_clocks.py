"""Clocks that are set, of another boot, or that stand still in a suspended machine: nothing changes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from test_never_twice import DEATHS, Mortal, _dies, _until_green, refail

from cloudretry.ledger import Asker, Granted
from support.clock import FakeClock
from support.samples import EHPC, SAMPLES, WORKSPACE, Sample

HOUR, YEAR = 3600.0, 365 * 24 * 3600.0
DRS = "cloudretry:drs:JobBatchRetry"

CHANGES: dict[str, Callable[[FakeClock], None]] = {
    "set back an hour": lambda clock: clock.jump(-HOUR),
    "set forward an hour": lambda clock: clock.jump(HOUR),
    "set back a year": lambda clock: clock.jump(-YEAR),
    "set forward a year": lambda clock: clock.jump(YEAR),
    "suspended": lambda clock: clock.suspend(HOUR),
}


def reboot(clock: FakeClock, ahead: float) -> None:
    clock.boot = "boot-2"
    clock.jump(ahead)


BETWEEN = {
    **CHANGES,
    "another boot": lambda clock: reboot(clock, 0.0),
    "another boot, set back": lambda clock: reboot(clock, -YEAR),
    "another boot, set forward": lambda clock: reboot(clock, HOUR),
}


class TrueTime(FakeClock):
    """The cloud's clock, which nobody sets."""

    def __init__(self, machine: FakeClock) -> None:
        super().__init__()
        self.machine = machine

    def now(self) -> float:
        return self.machine.moment().uptime


def on_this_machine(sample: Sample, folder: Path) -> Mortal:
    mortal = Mortal(sample.world(), folder)
    mortal.world.cloud.clock = TrueTime(mortal.world.clock)
    return mortal


@pytest.fixture
def mortal(sample: Sample, tmp_path: Path) -> Mortal:
    return on_this_machine(sample, tmp_path)


@pytest.fixture
def replication(tmp_path: Path) -> Mortal:
    """A resource whose cloud tells what became of a fire, and shows the state before it for a while."""
    (sample,) = (sample for sample in SAMPLES if sample.token == DRS)
    mortal = on_this_machine(sample, tmp_path)
    mortal.world.cloud.things[sample.key].lag = 25.0
    return mortal


@pytest.mark.parametrize("change", BETWEEN)
@pytest.mark.parametrize("when", DEATHS)
def test_between_a_death_and_the_next_run(
    mortal: Mortal, sample: Sample, when: str, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    _dies(mortal, when, monkeypatch)
    BETWEEN[change](mortal.world.clock)
    step = _until_green(mortal)
    if sample.token in (EHPC, WORKSPACE) and when == "before the effect":
        assert "onUnknown" in step.failure
        assert mortal.effects == 0
        return
    assert step.failure == ""
    assert mortal.effects == 1
    assert mortal.is_settled


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("after", [0.5, 10.0])
def test_while_a_run_waits(mortal: Mortal, after: float, change: str) -> None:
    clock = mortal.world.clock
    clock.after(after, lambda: CHANGES[change](clock))
    step = mortal.up()
    assert (step.posts, step.failure) == (1, "")
    assert mortal.world["status"] == "Succeeded"
    assert mortal.is_settled
    mortal.begins()
    assert mortal.world.up().kind == "same"


@pytest.mark.parametrize("change", BETWEEN)
def test_between_two_runs_that_are_asked_for(mortal: Mortal, sample: Sample, change: str) -> None:
    refail(mortal, sample)
    mortal.up()
    mortal.world.clock.advance(60)
    BETWEEN[change](mortal.world.clock)
    assert mortal.up().kind == "same"
    assert mortal.up(triggers={"release": "2"}).posts == 1
    assert mortal.effects == 2


@pytest.mark.parametrize("change", BETWEEN)
@pytest.mark.parametrize("is_saved", [False, True])
def test_a_state_of_before_the_fire_is_no_verdict_on_it(replication: Mortal, is_saved: bool, change: str) -> None:
    replication.world.dies = not is_saved
    replication.up(wait=False)
    replication.world.dies = False
    BETWEEN[change](replication.world.clock)
    step = replication.up(wait=True)
    assert (step.posts, step.failure) == (0, "")
    assert replication.effects == 1


@pytest.mark.parametrize("change", CHANGES)
def test_between_an_intent_and_its_request(mortal: Mortal, change: str, monkeypatch: pytest.MonkeyPatch) -> None:
    leave = Asker.leave

    def late(asker: Asker, granted: Granted) -> Granted:
        CHANGES[change](mortal.world.clock)
        return leave(asker, granted)

    with monkeypatch.context() as patch:
        patch.setattr(Asker, "leave", late)
        mortal.dies("after the effect")
    (fire,) = mortal.fires
    assert (fire.leaves_by.age(mortal.world.clock.moment()) or 0.0) <= 0
    assert _until_green(mortal).failure == ""
    assert mortal.effects == 1
