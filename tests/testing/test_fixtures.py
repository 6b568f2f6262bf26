"""The pytest fixtures, as a project that has the package uses them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pulumi
import pytest
import requests

import pulumi_cloudretry as cloudretry
from cloudretry.emulator import ScenarioError
from pulumi_cloudretry.testing import EmulatedClouds, StackFactory

ONE_JOB = {
    "drsJobs": [
        {
            "id": "jb1",
            "state": "FULL_TRANSFER_FAILED",
            "afterRetry": [["STARTJOBING", 0], ["FULL_TRANSFER_STARTED", 0.1]],
        }
    ]
}


def retry(clouds: EmulatedClouds, job: str) -> requests.Response:
    environment = clouds.environment()
    return requests.post(
        f"{environment['CLOUDRETRY_EMULATOR']}/v3/{environment['HW_PROJECT_ID']}/jobs/batch-retry-task",
        headers={"X-Auth-Token": environment["HW_AUTH_TOKEN"]},
        json={"jobs": [{"job_id": job}]},
        timeout=10,
    )


def program() -> None:
    orders = cloudretry.drs.JobBatchRetry(
        "orders", jobs=[{"job_id": "jb1"}], triggers={"release": pulumi.Config().get("release") or "1"}
    )
    pulumi.export("status", orders.status)


# --- the emulator ---


def test_the_emulator_counts_what_was_fired_and_starts_afresh_on_request(cloudretry_emulator: EmulatedClouds) -> None:
    cloudretry_emulator.load(ONE_JOB)
    assert cloudretry_emulator.fired() == {}

    assert retry(cloudretry_emulator, "jb1").ok

    assert cloudretry_emulator.fired() == {"jb1": 1}
    assert [request.operation for request in cloudretry_emulator.requests()] == ["BatchRestoreTask"]
    cloudretry_emulator.reset()
    assert cloudretry_emulator.fired() == {}
    assert cloudretry_emulator.requests() == []


def test_a_fault_hits_the_request_that_it_names(cloudretry_emulator: EmulatedClouds) -> None:
    cloudretry_emulator.load(ONE_JOB)
    cloudretry_emulator.add_fault("BatchRestoreTask", status=429)

    assert [retry(cloudretry_emulator, "jb1").status_code for _ in range(2)] == [429, 200]
    assert cloudretry_emulator.fired() == {"jb1": 1}


def test_a_scenario_is_read_from_a_file(cloudretry_emulator: EmulatedClouds, tmp_path: Path) -> None:
    file = tmp_path / "scenario.yaml"
    file.write_text("drsJobs: [{id: jb7, state: FULL_TRANSFER_FAILED}]\n", encoding="utf-8")
    cloudretry_emulator.load(file)
    assert [target.id for target in cloudretry_emulator.targets()] == ["jb7"]
    with pytest.raises(ScenarioError, match=r"nothing\.yaml: cannot be read"):
        cloudretry_emulator.load(str(tmp_path / "nothing.yaml"))


@pytest.fixture
def persons_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HW_ACCESS_KEY", "a-persons-own")
    monkeypatch.setenv("OS_TOKEN", "a-persons-own")
    monkeypatch.setenv("ALICLOUD_SECRET_KEY", "a-persons-own")


@pytest.mark.usefixtures("persons_own")
def test_a_persons_own_credentials_are_out_of_reach_and_the_emulators_are_there(
    request: pytest.FixtureRequest,
) -> None:
    clouds: EmulatedClouds = request.getfixturevalue("cloudretry_emulator")
    assert "a-persons-own" not in os.environ.values()
    assert os.environ["CLOUDRETRY_EMULATOR"] == clouds.url
    assert {name: os.environ[name] for name in clouds.environment()} == clouds.environment()


# --- programs on the engine ---


@pytest.mark.engine
def test_a_function_is_run_as_a_program_and_fires_again_for_another_trigger(
    cloudretry_emulator: EmulatedClouds, cloudretry_stack: StackFactory
) -> None:
    cloudretry_emulator.load(ONE_JOB)
    stack = cloudretry_stack(program)

    assert stack.up().outputs["status"].value == "Succeeded"
    assert cloudretry_emulator.fired() == {"jb1": 1}

    cloudretry_emulator.set_state("jb1", "FULL_TRANSFER_FAILED")
    cloudretry_stack(program, config={"release": "2"}).up()
    assert cloudretry_emulator.fired() == {"jb1": 2}


@pytest.mark.engine
def test_a_project_is_run_from_a_copy(
    cloudretry_emulator: EmulatedClouds, cloudretry_stack: StackFactory, tmp_path: Path
) -> None:
    project = tmp_path / "orders"
    project.mkdir()
    (project / "Pulumi.yaml").write_text("name: orders\nruntime: python\n", encoding="utf-8")
    (project / "__main__.py").write_text(
        "from pulumi_cloudretry import drs\ndrs.JobBatchRetry('orders', jobs=[{'job_id': 'jb1'}])\n",
        encoding="utf-8",
    )
    cloudretry_emulator.load(ONE_JOB)

    stack = cloudretry_stack(project)
    preview = stack.preview()
    assert preview.change_summary["create"] == 2
    assert cloudretry_emulator.fired() == {}
    stack.up()

    assert cloudretry_emulator.fired() == {"jb1": 1}
    assert sorted(path.name for path in project.iterdir()) == ["Pulumi.yaml", "__main__.py"]


@pytest.mark.engine
def test_a_folder_without_a_project_is_an_error_that_says_so(cloudretry_stack: StackFactory, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no Pulumi\.yaml in here; name the folder of a Pulumi project"):
        cloudretry_stack(tmp_path)


# --- the plugin, in a project of its own ---


def run_pytest(folder: Path, test: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_project.py").write_text(test, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "-q", "-W", "error", "--strict-markers"],
        cwd=folder,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")} | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_project_that_does_not_use_the_fixtures_pays_nothing_for_them(tmp_path: Path) -> None:
    test = (
        "import sys\n"
        "def test_nothing_heavy_was_imported():\n"
        "    assert not {'pulumi', 'grpc', 'pydantic', 'starlette', 'requests'} & sys.modules.keys()\n"
        "    assert 'cloudretry.pytest_plugin' in sys.modules\n"
    )
    done = run_pytest(tmp_path, test)
    assert done.returncode == 0, done.stdout


def test_without_a_pulumi_cli_the_test_is_skipped_with_the_reason(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, "def test_a_stack(cloudretry_stack):\n    raise AssertionError\n", PATH="/nonexistent")
    assert done.returncode == 0, done.stdout
    assert "1 skipped" in done.stdout
    assert "the Pulumi CLI is not on PATH; install it" in done.stdout
