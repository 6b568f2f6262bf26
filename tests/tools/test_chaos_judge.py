"""Each verdict of the chaos matrix can be bad: plays that are doctored, one fact in each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from chaosmatrix.asks import Ask
from chaosmatrix.cases import Case, Trouble
from chaosmatrix.judge import judge
from chaosmatrix.play import Played, Said

CASE = Case("doctored", "1", "wire", "plugin", "desktop", "create", Trouble("refusal", "refused once"), "--replace")
WORDS = "The next `pulumi up` goes on waiting and fires nothing."


def up(code: int | None = 0, text: str = "created", *, killed: bool = False) -> Said:
    return Said(code, text, killed, 0, 1.0)


def ask(why: str = "create", before: int = 0, after: int | None = 1, *, shared: bool = False) -> Ask:
    return Ask("task-1", why, before, 0.0, 0, shared, after)


def played(**doctored: Any) -> Played:
    """A good run: created, and replaced."""
    made = Played(CASE, asked=1, wait=True)
    result = {"target": "task-1", "status": "Succeeded", "attempts": 1, "firedAt": "2026-11-28T00:00:00Z"}
    made.green = True
    made.ups = [up(1, WORDS), up()]
    made.asks = [ask(), ask("--replace", 1, 2)]
    made.counted = {"task-1": 2}
    made.targets = ("task-1",)
    made.triggers = {"release": "1"}
    made.outputs = {"status": "Succeeded", "triggers": {"release": "1"}, "results": [result], "fireIds": ["a"]}
    made.idle_posts = 0
    for name, value in doctored.items():
        setattr(made, name, value)
    return made


def outputs(**doctored: Any) -> Mapping[str, Any]:
    good = played().outputs
    assert good is not None
    return {**good, **doctored}


def test_a_good_run_is_good() -> None:
    assert judge(played()).good


@pytest.mark.parametrize(
    "doctored",
    [
        {"counted": {"task-1": 3}},
        {"asks": [ask()], "counted": {"task-1": 2}},
        # One that was asked for is missing, so the sum is right.
        {"asks": [ask(), ask("--replace", 2, 2)], "counted": {"task-1": 2}},
        {"asks": [ask(shared=True), ask("by hand", 2, 2, shared=True)], "counted": {"task-1": 2}},
        {"idle_posts": 1},
    ],
)
def test_more_effects_than_asks_are_duplicates(doctored: Mapping[str, Any]) -> None:
    assert judge(played(**doctored)).duplicates


@pytest.mark.parametrize(
    "doctored",
    [
        {"asks": [ask(), ask("--replace", 1, 1)], "counted": {"task-1": 1}},
        {"asks": [ask(after=0)], "counted": {"task-1": 0}},
        # It took hold after it had been called done.
        {"asks": [ask(after=0)], "counted": {"task-1": 1}},
        {"asks": [ask(after=0, shared=True), ask("second stack", 0, 0, shared=True)], "counted": {"task-1": 0}},
    ],
)
def test_what_was_called_done_without_an_effect_was_swallowed(doctored: Mapping[str, Any]) -> None:
    assert judge(played(**doctored)).swallowed


def test_what_another_one_fired_at_the_same_time_is_adopted() -> None:
    adopted = played(asks=[ask(), ask("second stack", 1, 1, shared=True)], counted={"task-1": 1})

    assert judge(adopted).good


def test_what_nobody_called_done_is_not_swallowed() -> None:
    given_up = played(asks=[ask(after=None), ask("another place", 0, 1)], counted={"task-1": 1})

    assert judge(given_up).good


@pytest.mark.parametrize(
    "doctored",
    [
        {"outputs": None},
        {"outputs": outputs(results=[])},
        {"outputs": outputs(triggers={"release": "2"})},
        {"outputs": outputs(fireIds=[])},
        {"outputs": outputs(results=[{"target": "task-1", "status": "Skipped"}])},
        {"outputs": outputs(results=[{"target": "task-1", "status": "Unknown"}])},
    ],
)
def test_an_outcome_that_the_state_does_not_hold_is_lost(doctored: Mapping[str, Any]) -> None:
    assert judge(played(**doctored)).lost


@pytest.mark.parametrize(
    "doctored",
    [
        {"green": False},
        {"ups": [up(1, "error: no")]},
        {"ups": [up(None, "waiting")]},
        {"ups": [up(1, f"{WORDS} Traceback (most recent call last)")]},
        {"green": False, "told_unknown": True, "case": replace(CASE, action="replication")},
        {"ups": [up(1, "of 1 target, 1 failed (status Failed). The next `pulumi up` fires it"), up()]},
        {"ups": [up(-9, "RuntimeWarning: coroutine 'watch' was never awaited", killed=True), up()]},
        {"wrong": ["two resources on one target: 0"]},
        {"left_open": ["a"]},
        {"idle_code": 1},
        {"orphans": 1},
        {"fired_on_full_disk": 1},
        {"reached": "the first, untroubled up failed"},
    ],
)
def test_what_has_no_words_is_unexplained(doctored: Mapping[str, Any]) -> None:
    assert judge(played(**doctored)).unexplained


def test_a_run_that_was_killed_owes_no_words() -> None:
    assert judge(played(ups=[up(-9, "", killed=True), up()])).good


@pytest.mark.parametrize(
    ("doctored", "kind"),
    [
        ({}, ""),
        ({"fires": 2}, "duplicates"),
        ({"asked": 2}, "lost"),
        ({"attempts": 2}, "lost"),
        ({"handle": "task-2"}, "lost"),
    ],
)
def test_an_unchanged_program_is_held_to_every_number(doctored: Mapping[str, Any], kind: str) -> None:
    case = replace(CASE, change="", trouble=Trouble("none", "no trouble"))
    result = {
        "target": "task-1",
        "status": "Succeeded",
        "attempts": doctored.get("attempts", 1),
        "firedAt": "2026-11-28T00:00:00Z",
        "handle": "task-1",
    }
    history = [{"generation": 1, "status": "Succeeded"}]
    known = outputs(results=[result], generation=1, history=history)
    fire = SimpleNamespace(number=1, effects=1, status=200, body="", query={})
    verdict = judge(
        played(
            case=case,
            asks=[ask()],
            counted={"task-1": 1},
            effects={"task-1": 1},
            new_ids={"task-1": doctored.get("handle", "task-1")},
            fires=[fire] * doctored.get("fires", 1),
            asked=doctored.get("asked", 1),
            outputs=known,
        )
    )

    assert [name for name in ("duplicates", "swallowed", "lost", "unexplained") if getattr(verdict, name)][:1] == (
        [kind] if kind else []
    ), verdict
