"""The short form of the chaos matrix; `make chaos` is the long one."""

from __future__ import annotations

import sys
from itertools import product
from pathlib import Path

import pytest
from real_engine import Template

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from chaosmatrix.cases import LANES, Case, Trouble, case_named, cases
from chaosmatrix.changes import CHANGES
from chaosmatrix.judge import judge
from chaosmatrix.play import play


def killed(victim: str, instant: str) -> Trouble:
    return Trouble("kill", f"kill -9 of {victim}, {instant}", victim, instant)


# With these seeds nothing has to wait for the end of the grace of an unknown outcome.
SHORT = (
    ("wire", "plugin", "pool", "create", killed("both", "before the intent"), "a"),
    ("wire", "plugin", "replication", "update", killed("plugin", "effect"), "a"),
    ("wire", "plugin", "desktop", "create", killed("engine", "before the save"), "a"),
    ("wire", "plugin", "desktop", "update", Trouble("fire fault", "fire: 429"), "i"),
    ("wire", "plugin", "pool", "create", killed("both", "answered"), "a", "another place"),
    ("wire", "plugin", "simulation", "update", killed("both", "effect"), "a", "--replace"),
    ("wire", "plugin", "pool", "create", Trouble("full disk", "full disk, before the intent"), "a"),
    ("engine", "plugin", "simulation", "create", killed("engine", "effect"), "a"),
    ("engine", "dynamic", "replication", "create", killed("plugin", "answered"), "a"),
    (
        "wire",
        "plugin",
        "visualization",
        "create",
        Trouble("ctrl-c", "Ctrl-C twice, answered", "Ctrl-C twice", "answered"),
        "a",
        "nothing",
    ),
    (
        "engine",
        "dynamic",
        "simulation",
        "create",
        Trouble("orphan", "kill -9 of engine, SIGINT to the provider once it is answered"),
        "a",
    ),
)


def case(driver: str, front: str, action: str, operation: str, trouble: Trouble, seed: str, change: str = "") -> Case:
    return Case("short", f"short/{seed}", driver, front, action, operation, trouble, change)


@pytest.mark.engine
@pytest.mark.parametrize("chosen", [case(*row) for row in SHORT], ids=str)
def test_a_run_in_trouble_ends_green_with_one_effect_each(chosen: Case, tmp_path: Path, template: Template) -> None:
    played = play(chosen, tmp_path / "chaos", template)

    verdict = judge(played)

    assert verdict.good, "\n".join((str(verdict), *played.story))
    assert verdict.ended == "green"
    assert sum(played.counted.values()) == len(played.asks) >= len(played.targets)
    assert played.kills or played.faults or played.disk_full or chosen.trouble.kind == "ctrl-c"


@pytest.mark.engine
def test_without_the_journal_the_matrix_finds_jobs_that_were_fired_twice(tmp_path: Path, template: Template) -> None:
    chosen = case("wire", "plugin", "simulation", "update", killed("plugin", "effect"), "a")

    verdict = judge(play(chosen, tmp_path / "chaos", template, with_journal=False))

    assert any("2 effects where 1 was asked" in words for words in verdict.duplicates)


def test_the_seed_alone_decides_what_is_tried() -> None:
    assert cases("7", 200) == cases("7", 200)
    assert cases("7", 200) != cases("8", 200)
    assert set(cases("7", 50)) <= set(cases("7", 200))
    assert [case_named("7", chosen.name) for chosen in cases("7", 20)] == cases("7", 20)


def test_a_thousand_runs_are_balanced() -> None:
    chosen = cases("1", 1000)

    assert len(chosen) == len(set(chosen)) == 1000
    assert sum(LANES[one.name.partition("-")[0]][0] == "engine" for one in chosen) == 300
    actions, operations = ({getattr(one, name) for one in chosen} for name in ("action", "operation"))
    tried = {(one.action, one.operation, one.trouble.kind) for one in chosen}
    assert tried >= set(product(actions, operations, ("kill", "look fault")))
    assert tried >= set(product(actions, operations - {"resume"}, ("fire fault", "clock jump")))
    unchanged = [one for one in chosen if not one.change]
    assert {one.trouble for one in unchanged} == {one.trouble for one in cases("1", 5000) if not one.change}


def test_each_change_is_made_in_each_front_and_after_each_kind_of_trouble() -> None:
    chosen = cases("1", 1000)

    assert {one.change for one in chosen if one.driver == "wire"} == {"", *CHANGES}
    assert {one.change for one in chosen if one.front == "plugin" and one.driver == "engine"} == {"", *CHANGES}
    assert {one.change for one in chosen if one.front == "dynamic"} == {"", *CHANGES}
    assert {one.trouble.kind for one in chosen if one.change} == {"none", "kill", "ctrl-c", "stopped"}
