"""When the next look is due."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from cloudretry.run.pace import LONGEST, SHORTEST, Pace, pauses
from support.clock import FakeClock


def looks(clock: FakeClock, pace: Pace, *, fired: float, until: float) -> list[float]:
    """The times of the looks, in seconds since the fire."""

    def times() -> Iterator[float]:
        for seconds in pauses(clock, fired, pace):
            clock.advance(seconds)
            if clock.monotonic() - fired > until:
                return
            yield clock.monotonic() - fired

    return list(times())


def learnt(*seconds: float) -> Pace:
    pace = Pace()
    for took in seconds:
        pace.took(took)
    return pace


def test_the_first_look_comes_at_once_and_an_end_is_seen_when_half_as_much_time_again_has_passed_at_the_latest() -> (
    None
):
    clock = FakeClock()
    times = looks(clock, Pace(), fired=clock.monotonic(), until=1800)
    assert times[0] == pytest.approx(SHORTEST)
    assert all(later - one <= max(SHORTEST, one / 2) + 1e-6 for one, later in itertools.pairwise(times))
    assert max(later - one for one, later in itertools.pairwise(times)) <= LONGEST + 1e-6
    assert len(times) < 140


def test_near_the_end_that_others_took_the_looks_come_closer() -> None:
    clock = FakeClock()
    times = looks(clock, learnt(100, 100, 100), fired=clock.monotonic(), until=200)
    assert any(abs(at - 100) < 1e-6 for at in times)
    assert len([at for at in times if 100 < at <= 150]) >= 4
    assert len([at for at in times if 150 < at <= 200]) <= 4


def test_what_was_fired_long_ago_is_looked_at_at_once_all_the_same() -> None:
    clock = FakeClock()
    times = looks(clock, learnt(5, 5, 5), fired=clock.monotonic() - 3600, until=3601)
    assert times[0] == pytest.approx(3600 + SHORTEST)


def test_one_end_is_not_taken_for_a_rule_and_an_odd_one_does_not_spoil_it() -> None:
    assert learnt(10, 10).expected is None
    assert learnt(10, 11, 500).expected == 11
