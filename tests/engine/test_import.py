"""Imports: nothing fires, the first `up` adopts, and what comes later is judged against what it adopted."""

from __future__ import annotations

import pytest
from real_engine import FIRED_ONCE, FIVE, PROJECT_ID, Project, with_triggers

pytestmark = [
    pytest.mark.engine,
    pytest.mark.plugin_only("the engine imports by a plugin's type token and schema, and a dynamic resource has none"),
]

IDS = {
    "pool": ("modelarts:PoolScopeRetry", "pool-a:Infer"),
    "visualization": ("modelarts:VisualizationJobRestart", f"eu-de/{PROJECT_ID}/10"),
    "desktop": ("workspace:JobRetry", "task-1"),
    "replication": ("drs:JobBatchRetry", f"eu-de/{PROJECT_ID}/jb1,jb2"),
    "simulation": ("ehpc:JobRerun", "ehpc-1:1.scheduler,2.scheduler"),
}


@pytest.mark.also_on_the_oldest_engine
def test_an_import_fires_nothing_the_first_up_adopts_and_a_later_trigger_fires(project: Project) -> None:
    project.declare({})
    imported = project.import_(IDS)

    assert imported.ops == dict.fromkeys(FIVE, "import")
    assert project.newly_asked() == []
    assert {project.outputs(name)["generation"] for name in FIVE} == {0}
    assert project.result("replication", "jb1") == {
        "target": "jb1",
        "status": "Skipped",
        "skippedReason": "Imported",
        "cloudStatus": "FULL_TRANSFER_FAILED",
        "attempts": 0,
    }

    project.declare(with_triggers(FIVE, release="1"))
    project.up()
    project.up("--expect-no-changes")

    assert project.newly_asked() == []
    assert {project.outputs(name)["generation"] for name in FIVE} == {0}

    project.declare(with_triggers(FIVE, release="2"))
    project.up()

    assert project.newly_fired() == FIRED_ONCE
    assert {project.outputs(name)["generation"] for name in FIVE} == {1}


def test_an_import_of_what_is_not_there_says_what_is_missing(project: Project) -> None:
    project.declare({})
    missing = project.import_(
        {"replication": ("drs:JobBatchRetry", "jb1,jb9"), "desktop": ("workspace:JobRetry", "a/b")}, fails=True
    )

    assert "the task jb9 does not exist" in missing.text
    assert "'a/b' does not have the form [region/project/]target[,target...]" in missing.text
    assert project.resources == {}
