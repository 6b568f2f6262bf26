"""A secret shows up in clear nowhere: not in state, outputs or events, nor in the most verbose log."""

from __future__ import annotations

import pytest
from real_engine import FIVE, PROJECT_ID, Project, with_inputs

from cloudretry.emulator import CREDENTIALS

pytestmark = pytest.mark.engine

TRIGGER = "planted-trigger-60c1"
OTHER_TRIGGER = "planted-trigger-94fe"
ALL_OF_IT = ("--logflow", "-v=9", "--debug")
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


def test_what_is_wrong_is_told_without_a_secret_that_stands_in_it_or_beside_it(project: Project) -> None:
    planted = {"$secret": "planted secret 7Zq"}
    wrong = {
        "all of it": with_inputs(
            {"r": FIVE["replication"]},
            jobs=[{"jobId": planted}, {"jobId": planted}],
            triggers=planted,
            cooldown=planted,
            wait=planted,
            maxAttempts=planted,
        )["r"],
        "beside it": with_inputs(SIMULATION, triggers={"key": planted}, maxAttempts=0)["simulation"],
        "no list": {"type": "ehpc:JobRerun", "inputs": {"clusterId": planted, "jobIds": planted}},
    }
    said = {
        "all of it": (
            "jobs[1].jobId: ",
            "triggers: must be a map",
            "cooldown: is not a duration",
            "wait: ",
            "maxAttempts: ",
        ),
        "beside it": ("maxAttempts: must be at least 1",),
        "no list": ("clusterId: does not have the form", "jobIds: must be a list"),
    }
    for name, resource in wrong.items():
        # A check that fails ends the program: each one has a program of its own.
        project.declare({name: resource})

        refused = project.preview(fails=True)

        assert [words for words in said[name] if words not in refused.errors(name)] == []
    project.up(fails=True)
    assert project.newly_called() == []
    assert project.places_of("planted secret 7Zq") == []


@pytest.mark.plugin_only("all dynamic resources of a program have the one provider of the stack's configuration")
def test_a_slip_beside_a_secret_of_an_explicit_provider_prints_no_secret(project: Project) -> None:
    declared = {"simulation": {**FIVE["simulation"], "opts": {"provider": "own"}}}
    marked, in_clear = {"$secret": "planted secret 7Zq"}, "planted secret 7Zq"
    for key, slip in (
        (marked, {"region": "EU-DE"}),
        (in_clear, {"regoin": "eu-de"}),
        (in_clear, {"password": 12345678}),
    ):
        section = {"accessKey": "AK", "secretKey": key, **slip}
        project.declare(declared, providers={"own": {"huaweicloud": section}})

        refused = project.preview(fails=True)

        assert f"huaweicloud.{next(iter(slip))}: " in refused.text
    project.up(fails=True)
    assert project.places_of("planted secret 7Zq") == []
    assert project.places_of("12345678") == []


@pytest.mark.parametrize("front", ["dynamic"], indirect=True)
def test_a_dynamic_class_refuses_a_secret_target_which_it_could_not_keep(project: Project) -> None:
    targets = {
        "type": "drs:JobBatchRetry",
        "inputs": {"jobs": [{"jobId": "jb1"}, {"jobId": {"$secret": "planted-job"}}]},
    }
    project.declare({"replication": targets})

    refused = project.up(fails=True)

    assert "jobs: is secret, and a dynamic class would write it in clear" in refused.errors("replication")
    assert project.resources == {}
    assert project.newly_called() == []
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
