"""Fires that a run of 0.1.0 left open in its journal: the upgrade fires none of them again and swallows none.

`recorded/0.1.0/journal.json` has, for each case, the files of that journal, the state that the run had begun with, and
the cloud as it was left. It was recorded with the code of 0.1.0 and its own stand-ins.
"""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from recording import RECORDED

from cloudretry.ledger import Fire, Journal
from cloudretry.ledger.fires import conceal
from cloudretry.lifecycle import forecast
from support.cloud import Thing
from support.engine import World

RECORDING = json.loads((RECORDED / "0.1.0/journal.json").read_text(encoding="utf-8"))
CASES: dict[str, dict[str, Any]] = RECORDING["cases"]


class Upgraded:
    """A resource whose last run died with 0.1.0, and the machine that it ran on."""

    def __init__(self, case: dict[str, Any], folder: Path) -> None:
        self.folder = folder / "journal"
        self.world = World(case["token"], **case["program"])
        self.world.resource, self.world.backend.state = case["owner"], RECORDING["backend"]
        self.world.state, self.world.id = case["state"], case["id"]
        self.world.clock.advance(case["now"] - self.world.clock.now())
        self.thing = self.world.cloud.things[case["key"]] = Thing(**case["thing"])
        for name, text in case["files"].items():
            path = self.folder / name
            path.parent.mkdir(mode=0o700, parents=True)
            path.write_text(text, encoding="utf-8")
        self.folder.chmod(0o700)
        self.begins()

    def begins(self) -> None:
        """Another process of this version."""
        if self.world.backend.journal is not None:
            self.world.backend.journal.close()
        self.world.backend.journal = Journal(self.folder, self.world.clock)

    @property
    def old(self) -> list[Path]:
        return list(self.folder.glob("*/*.fire"))

    @property
    def fires(self) -> list[Fire]:
        return [
            fire for ledger in Journal(self.folder).places() for fire in ledger.look(lambda books: [*books.fires()])
        ]

    def ends_well_without_a_fire(self) -> None:
        for _ in range(3):
            self.begins()
            step = self.world.up()
            assert step.posts == 0
            if not step.failure:
                break
            self.world.clock.advance(60)
        assert step.failure == ""
        assert self.thing.effects == 1
        assert self.world["status"] == "Succeeded"
        assert self.world["triggers"] == self.world.program["triggers"]


@pytest.fixture(params=CASES)
def upgraded(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upgraded:
    monkeypatch.setenv("PULUMI_BACKEND_URL", RECORDING["backend"])
    return Upgraded(CASES[request.param], tmp_path)


@pytest.fixture
def a_create(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Upgraded:
    monkeypatch.setenv("PULUMI_BACKEND_URL", RECORDING["backend"])
    return Upgraded(CASES["plugin JobBatchRetry create after the effect"], tmp_path)


def test_a_fire_that_was_left_open_is_taken_up_and_not_fired_again(upgraded: Upgraded) -> None:
    upgraded.ends_well_without_a_fire()
    assert upgraded.old == []
    assert [fire.is_settled for fire in upgraded.fires] == [True]
    upgraded.begins()
    assert upgraded.world.up().kind == "same"


def _line(world: World) -> str:
    interrupted = asyncio.run(world.interrupted(world.program))
    return forecast(world.action, world.program, world.state, world.clock.now(), interrupted=interrupted).line


def test_the_preview_says_so_and_writes_nothing(upgraded: Upgraded) -> None:
    before = {path: path.stat().st_mtime_ns for path in upgraded.folder.rglob("*")}
    line = _line(upgraded.world)
    assert "would take up a fire that was interrupted, of 1 target" in line
    assert "would fire" not in line
    assert {path: path.stat().st_mtime_ns for path in upgraded.folder.rglob("*")} == before


def test_a_run_that_dies_after_it_has_taken_it_up_is_followed_by_one_that_does_too(upgraded: Upgraded) -> None:
    state, identifier = upgraded.world.state, upgraded.world.id
    upgraded.world.dies = True
    upgraded.world.up()
    upgraded.world.dies = False
    upgraded.world.state, upgraded.world.id = state, identifier
    assert upgraded.old == []
    upgraded.ends_well_without_a_fire()


def test_a_death_between_the_ledger_and_the_removal_takes_nothing_up_twice(
    upgraded: Upgraded, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("cloudretry.ledger.OldRecords.remove", lambda *_: None)
        upgraded.world.up()
    assert len(upgraded.old) == 1
    upgraded.ends_well_without_a_fire()
    assert len(upgraded.fires) == 1


@pytest.mark.parametrize("how", ["replace", "destroy"])
def test_what_is_asked_for_anew_after_that_is_fired(upgraded: Upgraded, how: str) -> None:
    upgraded.ends_well_without_a_fire()
    upgraded.begins()
    if how == "destroy":
        upgraded.world.destroy()
    assert upgraded.world.up(replace=how == "replace").posts == 1


def test_a_fire_whose_resource_was_destroyed_is_forgotten(a_create: Upgraded) -> None:
    """As after a `--replace` that died: its record is a create's, and the state still holds what was before."""
    case = CASES["plugin JobBatchRetry update after the effect"]
    a_create.world.state, a_create.world.id = case["state"], case["id"]
    a_create.world.destroy()
    assert a_create.old == []
    a_create.begins()
    assert a_create.world.up().posts == 1


def test_a_fire_that_the_state_shows_is_settled(a_create: Upgraded) -> None:
    """As after a Ctrl-C: the state was saved, and 0.1.0 could not know."""
    (path,) = a_create.old
    state = json.loads(json.dumps(CASES["plugin JobBatchRetry update after the effect"]["state"]))
    a_create.world.state = {**state, "fireIds": [path.stem]}
    a_create.world.refresh()
    assert a_create.old == []


@pytest.mark.parametrize("what", ["other triggers", "another resource", "older than a day"])
def test_a_fire_that_is_not_this_runs_is_left_alone(a_create: Upgraded, what: str) -> None:
    a_create.thing.effects = 0
    if what == "other triggers":
        a_create.world.program["triggers"] = {"release": "9"}
    elif what == "another resource":
        a_create.world.resource = "urn:another"
    else:
        a_create.world.clock.advance(25 * 3600)
    assert a_create.world.up().posts == 1
    assert len(a_create.old) == 1


def test_a_process_of_0_1_0_that_is_at_work_on_it_is_waited_for(a_create: Upgraded) -> None:
    (path,) = a_create.old
    with FileLock(path.with_name("lock")):
        step = a_create.world.up(timeout=5.0)
        assert step.posts == 0
        assert "another run works on this resource (of version 0.1.0)" in step.failure
        assert path.exists()
    a_create.ends_well_without_a_fire()


def test_half_an_answer_leaves_the_intent_standing(a_create: Upgraded) -> None:
    (path,) = a_create.old
    path.write_text(path.read_text(encoding="utf-8") + '{"answers": {"jb', encoding="utf-8")
    a_create.ends_well_without_a_fire()


@pytest.mark.parametrize("content", ["", "{", "[]\n", "null\n", '{"version": 1}\n', '{"version": 2}\n'])
def test_what_cannot_be_read_is_not_trusted_and_kept(a_create: Upgraded, content: str) -> None:
    (path,) = a_create.old
    path.write_text(content, encoding="utf-8")
    a_create.thing.effects = 0
    assert a_create.world.up().posts == 1
    assert path.read_text(encoding="utf-8") == content


@pytest.mark.skipif(os.name != "posix", reason="modes")
def test_a_folder_that_others_can_write_to_is_not_believed(a_create: Upgraded) -> None:
    (path,) = a_create.old
    path.parent.chmod(0o777)
    step = a_create.world.up()
    assert "can be written by other users" in step.failure
    assert step.posts == 0


def test_a_secret_target_is_taken_up_by_its_digest(a_create: Upgraded) -> None:
    (path,) = a_create.old
    said = json.loads(path.read_text(encoding="utf-8"))
    said["targets"][0]["key"] = conceal(said["triggers"]["salt"], "jb1")
    path.write_text(json.dumps(said) + "\n", encoding="utf-8")
    a_create.world.is_secret = "jb1".__eq__
    a_create.ends_well_without_a_fire()
    assert all("jb1" not in entry.read_text() for entry in a_create.folder.glob("places/*/0*"))
