"""Each row of "When it fires", on the real engine, counted by the emulator."""

from __future__ import annotations

from collections import Counter

import pytest
from real_engine import FIRED_ONCE, FIVE, Project, with_triggers

pytestmark = pytest.mark.engine

NAMES = set(FIVE)


def test_a_create_fires_once_and_a_second_up_nothing(project: Project) -> None:
    project.declare(FIVE)

    first = project.up()

    assert first.ops == dict.fromkeys(NAMES, "create")
    assert project.newly_fired() == FIRED_ONCE
    assert len(project.newly_asked()) == len(FIVE)
    assert project.statuses() == dict.fromkeys(NAMES, "Succeeded")

    second = project.up("--expect-no-changes")

    assert second.ops == dict.fromkeys(NAMES, "same")
    assert project.newly_called() == []


def test_a_changed_trigger_fires_its_resource_once_and_the_preview_names_the_trigger(project: Project) -> None:
    project.declare(with_triggers(FIVE, release="1", site="a"))
    project.up()
    project.newly_fired()
    project.newly_asked()
    project.fail_again()

    project.declare({**with_triggers(FIVE, release="1", site="a"), **with_triggers(ONE, release="2", site="a")})
    preview = project.preview()

    assert preview.ops == {**dict.fromkeys(NAMES, "same"), "replication": "update"}
    if project.front == "plugin":
        assert preview.steps["replication"].diff == {"triggers.release": "update"}
    assert 'release: "1" => "2"' in preview.text
    assert project.newly_called() == []

    project.up()

    assert project.newly_fired() == {"jb1": 1, "jb2": 1}
    assert project.newly_asked() == ["BatchRestoreTask"]
    assert project.outputs("replication")["generation"] == 2

    project.declare(with_triggers(FIVE, release="2", site="a"))
    project.fail_again("jb1", "jb2")
    project.up()

    assert project.newly_fired() == FIRED_ONCE - Counter(["jb1", "jb2"])


ONE = {"replication": FIVE["replication"]}


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
