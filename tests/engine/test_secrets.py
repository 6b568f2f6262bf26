"""A secret shows up in clear nowhere: not in state, outputs or events, nor in the most verbose log."""

from __future__ import annotations

import pytest
from real_engine import FIVE, PROJECT_ID, Project, with_inputs

from cloudretry.emulator import CREDENTIALS

pytestmark = pytest.mark.engine

TRIGGER = "planted-trigger-60c1"
OTHER_TRIGGER = "planted-trigger-94fe"
ALL_OF_IT = ("--logtostderr", "--logflow", "-v=9", "--debug")
SIMULATION = {"simulation": FIVE["simulation"]}


def test_a_secret_trigger_stays_secret_and_still_fires_when_it_changes(project: Project) -> None:
    def declare(value: str) -> None:
        triggers = {"password": {"$secret": value}, "nested": {"deep": [{"$secret": value}]}, "plain": "open"}
        declared = with_inputs(SIMULATION, triggers=triggers)
        declared["simulation"]["exports"] = ["triggers", "history"]
        project.declare(declared)

    declare(TRIGGER)
    runs = [project.up(*ALL_OF_IT)]
    project.newly_fired()
    declare(OTHER_TRIGGER)
    runs += [project.preview(), project.up(*ALL_OF_IT), project.refresh(*ALL_OF_IT)]

    assert project.newly_fired() == {"1.scheduler": 1, "2.scheduler": 1}
    if project.front == "plugin":
        assert runs[1].steps["simulation"].diff.keys() == {"triggers.password", "triggers.nested"}
    assert set(project.outputs("simulation")["history"][-1]["triggers"]) == {"password", "nested"}
    assert project.outputs("simulation")["triggers"]["plain"] == "open"
    for planted in (TRIGGER, OTHER_TRIGGER):
        assert project.places_of(planted) == []


@pytest.mark.plugin_only("its process is handed plain values, so an id of a target is known there to be no secret")
def test_a_secret_target_stays_secret(project: Project) -> None:
    project.declare(
        {
            "desktop": {"type": "workspace:JobRetry", "inputs": {"jobId": {"$secret": "task-1"}}},
            "absent": {"type": "drs:JobBatchRetry", "inputs": {"jobs": [{"jobId": {"$secret": "planted-job"}}]}},
        }
    )

    refused = project.up("--continue-on-error", fails=True)

    assert project.newly_fired() == {"task-1": 1}
    assert project.resources["desktop"]["id"].startswith("secret-")
    assert "DRS.M05003" in project.said_of(refused, "absent")
    assert project.places_of("planted-job") == []


def test_a_secret_key_of_the_configuration_stays_secret(project: Project) -> None:
    url = project.emulator.url
    endpoints = dict.fromkeys(("modelarts", "workspace", "drs"), url) | {"iam": f"{url}/v3"}
    settings = {"region": "eu-de", "projectId": PROJECT_ID, "accessKey": CREDENTIALS.access_key, "endpoints": endpoints}
    project.configure({"cloudretry:emulator": None, "cloudretry:huaweicloud": settings})
    project.set_secret("cloudretry:huaweicloud.secretKey", CREDENTIALS.secret_key)
    project.declare({"replication": FIVE["replication"]})

    project.up(*ALL_OF_IT)

    assert project.newly_fired() == {"jb1": 1, "jb2": 1}
    assert project.outputs("replication")["emulator"] is False
    project.set_secret("cloudretry:huaweicloud.regoin", "eu-nl")
    wrong = project.up(*ALL_OF_IT, fails=True)

    assert "regoin: is not a key of the configuration; did you mean region?" in wrong.text
    assert project.places_of(CREDENTIALS.secret_key) == []
