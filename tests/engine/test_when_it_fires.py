"""Each row of "When it fires", on the real engine, counted by the emulator."""

from __future__ import annotations

import base64
from collections import Counter

import pytest
from real_engine import FIRED_ONCE, FIVE, Project, with_inputs, with_triggers

pytestmark = pytest.mark.engine

NAMES = set(FIVE)
SIMULATION = {"simulation": FIVE["simulation"]}
REPLICATION = {"replication": FIVE["replication"]}


@pytest.mark.also_on_the_oldest_engine
def test_a_create_fires_once_and_a_second_up_nothing(project: Project) -> None:
    project.declare(FIVE)

    first = project.up()

    assert first.ops == dict.fromkeys(NAMES, "create")
    assert project.newly_fired() == FIRED_ONCE
    assert len(project.newly_asked()) == len(FIVE)
    assert project.statuses() == dict.fromkeys(NAMES, "Succeeded")
    if project.front == "plugin":
        # A dynamic provider has no way to say anything.
        assert first.words("info", "replication")[-1] == "2 fired: 2 Succeeded"
    assert first.words("warning") == [f"cloudretry:emulator is set ({project.emulator.url}): no real cloud is called."]

    second = project.up("--expect-no-changes")

    assert second.ops == dict.fromkeys(NAMES, "same")
    assert project.newly_called() == []


@pytest.mark.also_on_the_oldest_engine
def test_a_changed_trigger_fires_its_resource_once_and_the_preview_names_the_trigger(project: Project) -> None:
    project.declare(with_triggers(FIVE, release="1", site="a"))
    project.up()
    project.newly_fired()
    project.newly_asked()
    project.fail_again()

    project.declare(with_triggers(FIVE, release="1", site="a") | with_triggers(REPLICATION, release="2", site="a"))
    preview = project.preview()

    assert preview.ops == dict.fromkeys(NAMES, "same") | {"replication": "update"}
    assert 'release: "1" => "2"' in preview.text
    if project.front == "plugin":
        # A dynamic provider has no detailed diff to give; the engine compares the inputs by itself.
        assert preview.steps["replication"].diff == {"triggers.release": "update"}
    assert project.newly_asked() == []

    project.up()

    assert project.newly_fired() == {"jb1": 1, "jb2": 1}
    assert project.newly_asked() == ["BatchRestoreTask"]
    assert project.outputs("replication")["generation"] == 2

    project.declare(with_triggers(FIVE, release="2", site="a"))
    project.fail_again("jb1", "jb2")
    project.up()

    assert project.newly_fired() == FIRED_ONCE - Counter(["jb1", "jb2"])


@pytest.mark.also_on_the_oldest_engine
def test_whatever_the_user_asks_for_fires(project: Project) -> None:
    fires = Counter({"1.scheduler": 1, "2.scheduler": 1})
    for trigger in ("a", "b", "a"):
        project.declare(with_triggers(SIMULATION, it=trigger))
        project.up()
        assert project.newly_fired() == fires
    assert project.outputs("simulation")["generation"] == 3

    project.up("--replace", project.urn("simulation"))
    assert project.newly_fired() == fires
    assert project.outputs("simulation")["generation"] == 1

    project.taint("simulation")
    project.up()
    assert project.newly_fired() == fires
    assert len(project.newly_asked()) == 5


@pytest.mark.also_on_the_oldest_engine
def test_neither_a_refresh_nor_the_up_after_it_fires(project: Project) -> None:
    project.declare(FIVE)
    project.up()
    project.newly_fired()
    project.newly_asked()
    project.fail_again()

    project.refresh()

    assert project.newly_asked() == []
    assert project.outputs("desktop")["results"][0]["cloudStatus"] == "FAILED"
    assert project.statuses() == dict.fromkeys(NAMES, "Succeeded")

    up = project.up("--refresh")

    assert project.newly_asked() == []
    assert up.ops == dict.fromkeys(NAMES, "same")


@pytest.mark.also_on_the_oldest_engine
def test_a_destroy_calls_nothing_and_the_up_after_it_fires(project: Project) -> None:
    project.declare(FIVE)
    project.up()
    project.newly_fired()
    project.newly_called()

    project.destroy()

    assert project.newly_called() == []
    assert project.resources == {}

    project.fail_again()
    project.up()

    assert project.newly_fired() == FIRED_ONCE


@pytest.mark.also_on_the_oldest_engine
def test_an_added_target_fires_alone_and_a_removed_one_calls_nothing(project: Project) -> None:
    def declare(jobs: list[str], **inputs: object) -> None:
        replication = with_inputs(REPLICATION, jobs=[{"jobId": job} for job in jobs], **inputs)
        project.declare(with_inputs(SIMULATION, jobIds=[f"{job[2:]}.scheduler" for job in jobs]) | replication)

    declare(["jb1", "jb2"])
    project.up()
    assert project.newly_fired() == {"jb1": 1, "jb2": 1, "1.scheduler": 1, "2.scheduler": 1}

    declare(["jb3", "jb1", "jb2"])
    added = project.up()
    assert project.newly_fired() == {"jb3": 1, "3.scheduler": 1}
    if project.front == "plugin":
        assert added.steps["replication"].diff == {"jobs[0].jobId": "add"}
        assert added.steps["simulation"].diff == {"jobIds[0]": "add"}
    assert [result["target"] for result in project.outputs("replication")["results"]] == ["jb3", "jb1", "jb2"]
    project.newly_called()

    declare(["jb3", "jb2"], maxAttempts=5)
    project.up()
    assert project.newly_called() == []
    assert [result["target"] for result in project.outputs("replication")["results"]] == ["jb3", "jb2"]
    assert project.outputs("replication")["generation"] == 1


@pytest.mark.also_on_the_oldest_engine
def test_another_identity_replaces_and_the_preview_says_so(project: Project) -> None:
    declared = {name: FIVE[name] for name in ("pool", "desktop")}
    project.declare(declared)
    project.up()
    project.newly_fired()
    project.newly_called()

    desktop = with_inputs({"desktop": FIVE["desktop"]}, jobId="task-2")
    project.declare(with_inputs({"pool": FIVE["pool"]}, scope="Train") | desktop)
    preview = project.preview()

    assert preview.ops == {"pool": "replace", "desktop": "replace"}
    assert preview.steps["pool"].keys == ("scope",)
    assert preview.steps["desktop"].keys == ("jobId",)
    assert "replace" in preview.text
    assert project.newly_asked() == []

    project.up()

    assert project.newly_fired() == {"pool-a:Train": 1, "task-2": 1}
    assert set(project.newly_asked()) == {"RetryPoolScope", "RunActionsOnWorkspaceJob"}


def test_a_moved_program_and_renamed_resources_fire_nothing(project: Project) -> None:
    project.declare(FIVE)
    project.up()
    project.newly_fired()
    project.newly_called()

    project.move("elsewhere")
    renamed = {f"new-{name}": {**resource, "opts": {"aliases": [{"name": name}]}} for name, resource in FIVE.items()}
    renamed["new-pool"]["opts"] = {"parent": "group", "aliases": [{"name": "pool", "parent": None}]}
    project.declare(renamed, components=("group",))
    up = project.up()

    assert up.ops == {"group": "create"} | dict.fromkeys(renamed, "same")
    assert project.newly_called() == []


@pytest.mark.parametrize("front", ["dynamic"], indirect=True)
def test_the_state_of_a_dynamic_resource_holds_no_code(project: Project) -> None:
    project.declare(SIMULATION)
    project.up()

    pickled = base64.b64decode(project.resources["simulation"]["inputs"]["__provider"])

    assert b"pulumi_cloudretry.dynamic.provider" in pickled
    assert b"ActionProvider" in pickled
    assert b"cloudretry:ehpc:JobRerun" in pickled
    assert len(pickled) < 200
