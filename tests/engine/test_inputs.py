"""What a program may say: unknown values, wrong values, resource options, providers of its own."""

from __future__ import annotations

import pytest
from real_engine import FIVE, PROJECT_ID, SCENARIO, Project, with_inputs, with_triggers

from cloudretry.emulator import Emulator

pytestmark = pytest.mark.engine

SIMULATION = {"simulation": FIVE["simulation"]}
REPLICATION = {"replication": FIVE["replication"]}


def test_a_preview_of_unknown_triggers_and_targets_looks_at_nothing_and_the_up_fires(project: Project) -> None:
    # At the one that is known; the dynamic provider has no part in a preview.
    looks = ["ShowJob"] if project.front == "plugin" else []
    declared = {
        "desktop": FIVE["desktop"],
        # Known only after the first has fired.
        "chained": {
            "type": "workspace:JobRetry",
            "inputs": {"jobId": {"$later": "task-2"}, "triggers": {"after": {"$output": ["desktop", "status"]}}},
        },
        "replication": {
            "type": "drs:JobBatchRetry",
            "inputs": {"jobs": {"$later": [{"jobId": "jb1"}]}, "triggers": {"$later": {"release": "1"}}},
        },
        "simulation": with_inputs(SIMULATION, jobIds=["1.scheduler", {"$later": "2.scheduler"}])["simulation"],
    }
    project.declare(declared)

    preview = project.preview()

    assert set(preview.ops) > set(declared)
    assert set(preview.ops.values()) == {"create"}
    assert project.newly_called() == looks

    project.up()

    assert project.newly_fired() == {"task-1": 1, "task-2": 1, "jb1": 1, "1.scheduler": 1, "2.scheduler": 1}
    assert project.outputs("chained")["triggers"] == {"after": "Succeeded"}
    project.newly_called()

    project.declare(declared | with_triggers({"desktop": FIVE["desktop"]}, again="yes"))
    update = project.preview()

    # The status of the first is decided by its run; so may be the trigger of the second.
    assert update.ops["desktop"] == "update"
    assert update.ops["chained"] == "update"
    assert update.ops["replication"] == "same"
    assert project.newly_called() == looks

    project.up()

    # It was healthy, so its refusal is skipped; that is another status, and so a trigger.
    assert project.outputs("chained")["triggers"] == {"after": "Skipped"}
    assert project.outputs("chained")["generation"] == 2


def test_all_that_is_wrong_is_named_at_once_and_nothing_is_sent(project: Project) -> None:
    jobs = [{"jobId": "jb1"}, {"jobId": "jb1"}, {"jobId": "jb2", "isSyncReedit": True}, {"jobId": "a job"}]
    wrong = with_inputs(REPLICATION, jobs=jobs, maxAttempts=0, cooldown="soon", fireWhen="never")
    project.declare(wrong)

    for command in (project.preview, project.up):
        refused = command(fails=True)

        for words in (
            "'replication' has a problem: fireWhen: must be one of 'always' or 'retryable'",
            "'replication' has a problem: maxAttempts: must be at least 1",
            "'replication' has a problem: cooldown: is not a duration",
            "'replication' has a problem: jobs[1].jobId: ",
            " is listed before; name each target once",
            "did you mean isSyncReEdit?",
            "'replication' has a problem: jobs[3].jobId: ",
        ):
            assert words in refused.text
    assert project.newly_called() == []
    assert project.resources == {}


def test_a_wrong_configuration_is_an_error_that_names_the_key(project: Project) -> None:
    project.configure({"cloudretry:pollInterval": "soon", "cloudretry:huaweicloud": '{"regoin": "eu-de"}'})
    project.declare(REPLICATION)

    refused = project.up(fails=True)

    assert "pollInterval: is not a duration" in refused.text
    assert "huaweicloud.regoin: is not a key of the configuration; did you mean region?" in refused.text
    assert project.resources == {}


def test_what_cannot_be_sent_loses_nothing_and_fires_later(project: Project) -> None:
    declared = {"replication": {**FIVE["replication"], "opts": {"customTimeouts": {"create": "2s", "update": "2s"}}}}
    fired = {"jb1": 1, "jb2": 1}
    nowhere, somewhere = "http://127.0.0.1:9", project.emulator.url
    project.configure({"cloudretry:emulator": nowhere})
    project.declare(declared)

    refused = project.up(fails=True)

    assert "not sent: No connection to 127.0.0.1:9 could be made" in project.said_of(refused, "replication")
    assert project.result("replication", "jb1")["attempts"] == 0

    project.configure({"cloudretry:emulator": somewhere})
    project.up()

    assert project.newly_fired() == fired
    before = project.outputs("replication")

    project.configure({"cloudretry:emulator": nowhere})
    project.fail_again()
    project.declare(with_triggers(declared, release="2"))
    project.up(fails=True)

    assert project.outputs("replication")["generation"] == 2
    assert project.outputs("replication")["history"][0] == before["history"][0]

    project.configure({"cloudretry:emulator": somewhere})
    project.up()

    assert project.newly_fired() == fired
    assert project.outputs("replication")["status"] == "Succeeded"


def test_a_refresh_that_gets_no_answer_changes_nothing(project: Project) -> None:
    project.declare(REPLICATION)
    project.up()
    before = project.outputs("replication")

    project.emulator.add_fault("*", drop="before", times=None)
    # Whatever goes wrong in a dynamic provider's refresh is shown as a traceback by the engine.
    refused = project.refresh(fails=True, traceback=project.front == "dynamic")

    assert "gave no answer that can be read: it closed the connection" in refused.text
    assert project.outputs("replication") == before


def test_another_inherited_region_is_an_error_that_names_both(project: Project) -> None:
    project.configure(
        {"cloudretry:huaweicloud": '{"region": "eu-de"}', "cloudretry:alicloud": '{"region": "cn-shanghai"}'}
    )
    project.declare(FIVE)
    project.up()
    assert project.outputs("replication")["region"] == "eu-de"
    assert project.outputs("simulation")["region"] == "cn-shanghai"
    project.newly_called()

    project.configure({"cloudretry:huaweicloud": '{"region": "eu-nl"}'})
    # The dynamic provider has no way to say so where nothing else has changed: an error in its diff is a traceback.
    project.declare(with_triggers(FIVE, release="2") if project.front == "dynamic" else FIVE)
    mismatch = project.up("--continue-on-error", "--target", project.urn("replication"), fails=True)

    assert "region: the resource was created in 'eu-de'" in mismatch.text
    assert "configured for 'eu-nl'" in mismatch.text
    assert "replace" not in {step.op for step in mismatch.steps.values()}
    assert project.newly_called() == []

    project.declare(with_inputs(FIVE, region="eu-de") | SIMULATION)
    project.up()

    assert project.newly_called() == []


def test_resource_options_mean_what_they_say(project: Project) -> None:
    def declare(release: str, protect: bool = True) -> None:
        def retry(job: str, **opts: object) -> dict[str, object]:
            inputs = {"jobIds": [job], "clusterId": "ehpc-1", "triggers": {"release": release}}
            return {"type": "ehpc:JobRerun", "inputs": inputs, "opts": opts}

        project.declare(
            {
                "ignoring": retry("1.scheduler", ignoreChanges=["triggers"]),
                "replacing": retry("2.scheduler", replaceOnChanges=["triggers"]),
                "protected": retry("3.scheduler", protect=protect, parent="group"),
                "targeted": retry("4.scheduler"),
            },
            components=("group",),
        )

    declare("1")
    project.up()
    project.newly_fired()

    declare("2")
    project.up("--target", project.urn("targeted"))

    assert project.newly_fired() == {"4.scheduler": 1}

    up = project.up()

    assert {name: step.op for name, step in up.steps.items() if name != "group"} == {
        "ignoring": "same",
        # A dynamic provider cannot tell the engine which properties differ, so nothing on that list is found.
        "replacing": "replace" if project.front == "plugin" else "update",
        "protected": "update",
        "targeted": "same",
    }
    assert project.newly_fired() == {"2.scheduler": 1, "3.scheduler": 1}
    project.newly_called()

    refused = project.destroy(fails=True)

    assert "protect" in refused.text
    assert "protected" in project.resources
    assert project.newly_called() == []


def test_ignored_triggers_stay_ignored_after_a_failure(project: Project) -> None:
    declared = {
        "replication": {
            **FIVE["replication"],
            "opts": {"ignoreChanges": ["triggers"]},
        }
    }
    project.emulator.set_scenario(
        {
            "drsJobs": [
                {"id": "jb1", "state": "FULL_TRANSFER_FAILED", "afterRetry": [["FULL_TRANSFER_STARTED", 0]]},
                {
                    "id": "jb2",
                    "state": "FULL_TRANSFER_FAILED",
                    "afterRetry": [["FULL_TRANSFER_STARTED", 0]],
                    "refuse": {"code": "DRS.M01504", "times": 1},
                },
            ]
        }
    )
    project.declare(with_triggers(declared, release="1"))
    project.up(fails=True)
    project.newly_fired()

    project.declare(with_triggers(declared, release="2"))
    project.up()

    assert project.newly_fired() == {"jb2": 1}
    assert project.outputs("replication")["triggers"] == {"release": "1"}


def test_another_provider_configuration_replaces_nothing(project: Project) -> None:
    project.declare(FIVE)
    project.up()
    project.newly_called()

    project.configure({"cloudretry:pollInterval": "200ms", "cloudretry:maxConcurrentRequests": "2"})
    up = project.up()

    assert up.ops == dict.fromkeys(FIVE, "same")
    assert project.newly_called() == []


@pytest.mark.plugin_only("all dynamic resources of a program have the one provider of the stack's configuration")
def test_providers_of_the_programs_own_have_their_own_clouds(project: Project) -> None:
    with Emulator(SCENARIO) as elsewhere:
        providers = {
            "here": {
                "emulator": project.emulator.url,
                "huaweicloud": {"region": "eu-de", "projectId": PROJECT_ID},
                "pollInterval": "100ms",
            },
            "there": {"emulator": elsewhere.url, "huaweicloud": {"region": "eu-nl"}, "pollInterval": "100ms"},
        }
        declared = {
            "here-1": {**FIVE["replication"], "opts": {"provider": "here"}},
            "there-1": {**FIVE["replication"], "opts": {"provider": "there"}},
        }
        project.configure({"cloudretry:emulator": None, "cloudretry:pollInterval": None})
        project.declare(declared, providers=providers)
        project.up()

        assert project.newly_fired() == {"jb1": 1, "jb2": 1}
        assert [elsewhere.target(job).times_fired for job in ("jb1", "jb2", "jb3")] == [1, 1, 0]
        assert {name: project.outputs(name)["region"] for name in declared} == {"here-1": "eu-de", "there-1": "eu-nl"}

        providers["there"]["pollInterval"] = "300ms"
        project.declare(declared, providers=providers)
        up = project.up()

        assert up.ops == dict.fromkeys(declared, "same")
        assert [elsewhere.target(job).times_fired for job in ("jb1", "jb2")] == [1, 1]


@pytest.mark.parametrize("front", ["dynamic"], indirect=True)
def test_state_handed_over_to_the_plugin_by_an_alias_fires_nothing(project: Project) -> None:
    """The way from the dynamic classes to the plugin's: the class is exchanged, and the old URN is its alias."""
    project.declare(with_triggers(FIVE, release="1"))
    project.up()
    project.newly_fired()
    project.newly_called()

    aliased = {
        name: {**resource, "opts": {"aliases": [project.urn(name)]}}
        for name, resource in with_triggers(FIVE, release="1").items()
    }
    project.front = "plugin"
    project.declare(aliased)
    project.up()

    assert project.newly_called() == []
    assert {project.outputs(name)["generation"] for name in FIVE} == {1}
    assert {project.resources[name]["type"] for name in FIVE} == {f"cloudretry:{r['type']}" for r in FIVE.values()}

    project.up("--expect-no-changes")
    project.declare(with_triggers(FIVE, release="1") | with_triggers(SIMULATION, release="2"))
    project.up()

    assert project.newly_fired() == {"1.scheduler": 1, "2.scheduler": 1}
    assert "__provider" not in project.outputs("simulation")
