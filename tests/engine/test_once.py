"""Once, whatever is renamed, replaced or corrected: what only the engine can show of it."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
from real_engine import PROJECT_ID, ROOT, Project
from test_cancel import children

from cloudretry.ledger import Fire, Journal

pytestmark = pytest.mark.engine

JOB: dict[str, Any] = {"type": "drs:JobBatchRetry", "inputs": {"jobs": [{"jobId": "jb1"}]}}
RERUN: dict[str, Any] = {"type": "ehpc:JobRerun", "inputs": {"clusterId": "ehpc-1", "jobIds": ["1.scheduler"]}}


def folder_of(project: Project) -> Path:
    return project.folder.parent / "home/pulumi/cloudretry/journal"


def open_fires(project: Project) -> list[Fire]:
    """The fires that the next run or a word has to settle."""
    ledgers = Journal(folder_of(project)).places()
    return [fire for ledger in ledgers for fire in ledger.look(lambda books: [*books.fires()]) if not fire.is_settled]


def killed_in_flight(project: Project, operation: str) -> None:
    """An `up` that is killed, with its plugin, after its request had its effect and before its answer came."""
    project.emulator.add_fault(operation, delay=60, after=True)
    fired = len(project.emulator.requests(operation))
    with project.started("up", "--yes", "--skip-preview") as running:
        running.wait_until(lambda: len(project.emulator.requests(operation)) > fired)
        plugins = children(running.process.pid)
        running.process.kill()
        for pid in plugins:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        running.process.wait()
    project.emulator.clear_faults()
    project.cancel()


def test_asked_anew_in_every_way_fires_each_time_and_leaves_nothing_open(project: Project) -> None:
    project.declare({"it": JOB})
    project.up()
    assert open_fires(project) == []
    for number, ask in enumerate((_replace, _taint, _forget, _destroy), 2):
        project.fail_again()
        ask(project)
        assert project.emulator.target("jb1").times_fired == number, ask.__name__
        assert open_fires(project) == [], ask.__name__
    assert project.up().ops == {"it": "same"}
    assert project.emulator.target("jb1").times_fired == 5


def _replace(project: Project) -> None:
    project.up("--replace", project.urn("it"))


def _taint(project: Project) -> None:
    project.taint("it")
    project.up()


def _forget(project: Project) -> None:
    project.forget("it")
    project.up()


def _destroy(project: Project) -> None:
    project.destroy()
    project.up()


def test_a_create_that_died_at_another_cluster_is_no_fire_of_the_right_one(project: Project) -> None:
    project.emulator.set_scenario(
        {"clusters": [{"id": f"ehpc-{one}", "jobs": [{"id": "1.scheduler", "state": "RUNNING"}]} for one in ("1", "2")]}
    )
    project.declare({"it": RERUN})
    killed_in_flight(project, "RerunJobs")
    project.declare({"it": {**RERUN, "inputs": {**RERUN["inputs"], "clusterId": "ehpc-2"}}})

    if project.front == "plugin":
        assert "would fire 1 target" in project.preview().text
    project.up()

    assert {target.id: target.times_fired for target in project.emulator.targets()} == {
        "ehpc-1/1.scheduler": 1,
        "ehpc-2/1.scheduler": 1,
    }
    (left,) = open_fires(project)
    assert left.keys == ("1.scheduler",)


def test_what_died_is_taken_up_though_stack_resource_and_backend_have_other_names(project: Project) -> None:
    project.declare({"it": JOB})
    project.up()
    project.fail_again()
    project.declare({"it": {**JOB, "inputs": {**JOB["inputs"], "triggers": {"release": "2"}}}})
    killed_in_flight(project, "BatchRestoreTask")
    assert project.emulator.target("jb1").times_fired == 2

    project.environment["PULUMI_BACKEND_URL"] += "/"
    renamed = {**JOB, "inputs": {**JOB["inputs"], "triggers": {"release": "2"}}, "opts": {"aliases": [{"name": "it"}]}}
    project.declare({"renamed": renamed})
    taken_up = project.up()

    assert "taken up again, not fired again" in taken_up.text or project.front == "dynamic"
    assert project.emulator.target("jb1").times_fired == 2
    assert project.outputs("renamed")["generation"] == 2
    if project.front == "dynamic":
        # It asks on its own, and an engine that ends at once is sooner: the next command shows the state.
        project.up()
    assert open_fires(project) == []


def test_a_create_that_died_is_taken_up_under_another_name(project: Project) -> None:
    project.declare({"it": JOB})
    killed_in_flight(project, "BatchRestoreTask")
    project.declare({"another": JOB})
    project.up()
    assert project.emulator.target("jb1").times_fired == 1
    assert project.outputs("another")["status"] == "Succeeded"
    assert open_fires(project) == []


def test_a_replacement_that_died_is_an_update_and_a_later_one_fires(project: Project) -> None:
    project.declare({"it": JOB})
    project.up()
    project.fail_again()
    project.taint("it")
    killed_in_flight(project, "BatchRestoreTask")
    assert project.emulator.target("jb1").times_fired == 2
    untaint(project)

    assert project.up().ops == {"it": "update"}
    assert project.emulator.target("jb1").times_fired == 2
    assert open_fires(project) == []

    project.fail_again()
    _replace(project)
    assert project.emulator.target("jb1").times_fired == 3


def untaint(project: Project) -> None:
    """A plain `up` is what is played: the state is as it was."""
    project._plainly("state", "untaint", project.urn("it"), "--yes")


@pytest.mark.plugin_only("it has no explicit providers")
@pytest.mark.parametrize("arguments", [("--skip-preview",), ()], ids=["without a preview", "with one"])
def test_two_resources_on_one_target_through_two_providers_fire_it_once(
    project: Project, arguments: tuple[str, ...]
) -> None:
    other = {**JOB, "opts": {"provider": "explicit", "dependsOn": ["it"]}}
    config = {"emulator": project.emulator.url, "pollInterval": "100ms"}
    project.declare({"it": JOB, "other": other}, providers={"explicit": config})

    ran = project.run("up", "--yes", *arguments, fails=True)

    assert project.emulator.target("jb1").times_fired == 1
    assert "is a target" in ran.text
    assert "::it" in ran.text
    assert "other" in ran.text


def test_after_one_ctrl_c_a_fire_that_is_asked_for_is_never_swallowed(project: Project) -> None:
    project.emulator.set_scenario(
        {"drsJobs": [{"id": "jb1", "state": "FULL_TRANSFER_FAILED", "afterRetry": [["STARTJOBING", 0]]}]}
    )
    project.declare({"it": JOB})
    with project.started("up", "--yes", "--skip-preview") as running:
        running.wait_until(lambda: bool(project.emulator.requests("BatchListJobStatus")))
        running.process.send_signal(signal.SIGINT)
        if project.front == "dynamic":
            # Its wait does not hear of it.
            project.emulator.set_state("jb1", "FULL_TRANSFER_STARTED")
        running.ended()
    project.emulator.set_scenario(
        {"drsJobs": [{"id": "jb1", "state": "FULL_TRANSFER_FAILED", "afterRetry": [["FULL_TRANSFER_STARTED", 0]]}]}
    )

    with project.started("up", "--yes", "--skip-preview", "--replace", project.urn("it")) as running:
        ran = running.ended()
    fired = project.emulator.target("jb1").times_fired
    assert fired == 1 if ran.code == 0 else "--fire" in ran.text

    if ran.code:
        (doubtful,) = open_fires(project)
        said = journal(project, "resolve", doubtful.fire_id, "--fire", "--yes", "--json")
        assert json.loads(said)["ok"]
        project.up("--replace", project.urn("it"))
    assert project.emulator.target("jb1").times_fired == 1


def journal(project: Project, *arguments: str) -> str:
    command = [ROOT / ".venv/bin/cloudretry", "journal", *arguments, "--journal-dir", folder_of(project)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_on_the_emulator_is_not_on_the_cloud(project: Project) -> None:
    project.declare({"it": JOB})
    project.up()
    cloud = {"region": "eu-de", "projectId": PROJECT_ID, "accessKey": "a", "secretKey": "b"}
    endpoints = {"endpoints": {"drs": "http://127.0.0.1:9"}}
    project.configure({"cloudretry:emulator": None, "cloudretry:huaweicloud": json.dumps({**cloud, **endpoints})})
    ran = project.run("up", "--yes", "--skip-preview", fails=True)
    assert "fired on the emulator" in ran.text
    assert "--replace" in ran.text
