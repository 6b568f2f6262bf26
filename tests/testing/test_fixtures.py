"""The pytest fixtures, as a project that has the package uses them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from pulumi import automation

import pulumi_cloudretry as cloudretry
from cloudretry.version import __version__
from pulumi_cloudretry.testing import EmulatedClouds, Scenario, ScenarioError, StackFactory, recorded

pytestmark = pytest.mark.usefixtures("engine_on_path")

ONE_JOB: Scenario = {
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
def test_a_project_is_run_where_it_lies_with_what_it_names_by_path_and_nothing_is_written_there(
    cloudretry_emulator: EmulatedClouds, cloudretry_stack: StackFactory, tmp_path: Path
) -> None:
    (tmp_path / "jobs.txt").write_text("jb1", encoding="utf-8")
    project = tmp_path / "orders"
    project.mkdir()
    (project / "Pulumi.yaml").write_text(
        "name: orders\nruntime: python\nconfig: {cloudretry:emulator: embedded}\n", encoding="utf-8"
    )
    (project / "Pulumi.dev.yaml").write_text(
        "encryptionsalt: v1:of-another-passphrase\n"
        "config:\n"
        "  orders:release: '7'\n"
        "  cloudretry:huaweicloud: {region: eu-de, secretKey: {secure: AAAA}}\n",
        encoding="utf-8",
    )
    (project / "__main__.py").write_text(
        "import pathlib, pulumi\n"
        "from pulumi_cloudretry import drs\n"
        "orders = drs.JobBatchRetry(\n"
        "    'orders',\n"
        "    jobs=[{'job_id': pathlib.Path('../jobs.txt').read_text()}],\n"
        "    triggers={\n"
        "        'release': pulumi.Config().require('release'),\n"
        "        'password': pulumi.Config().require_secret('password'),\n"
        "    },\n"
        ")\n",
        encoding="utf-8",
    )
    before = {path: path.read_bytes() for path in project.iterdir()}
    cloudretry_emulator.load(ONE_JOB)

    config = {
        "cloudretry:huaweicloud.accessKey": "given",
        "password": automation.ConfigValue("planted", secret=True),
    }
    stack = cloudretry_stack(project, stack="dev", config=config)
    stack.up()

    assert cloudretry_emulator.fired() == {"jb1": 1}
    assert recorded(stack)["orders"]["triggers"] == {"release": "7", "password": "planted"}
    settings = stack.get_all_config()
    assert json.loads(settings["cloudretry:huaweicloud"].value) == {"region": "eu-de", "accessKey": "given"}
    assert {path: path.read_bytes() for path in project.iterdir()} == before


@pytest.mark.engine
def test_stacks_of_one_test_share_the_clouds_and_nothing_else(
    cloudretry_emulator: EmulatedClouds, cloudretry_stack: StackFactory
) -> None:
    def program_of(job: str) -> Callable[[], None]:
        return lambda: cloudretry.drs.JobBatchRetry("retry", jobs=[{"job_id": job}]) and None

    cloudretry_emulator.load({"drsJobs": [{"count": 2, "idFormat": "jb{n}", "state": "FULL_TRANSFER_FAILED"}]})
    first = cloudretry_stack(program_of("jb1"), stack="first")
    second = cloudretry_stack(program_of("jb2"), project="another")
    with ThreadPoolExecutor() as threads:
        for running in [threads.submit(stack.up) for stack in (first, second)]:
            running.result()

    assert cloudretry_emulator.fired() == {"jb1": 1, "jb2": 1}
    assert [recorded(stack)["retry"]["jobs"] for stack in (first, second)] == [[{"jobId": "jb1"}], [{"jobId": "jb2"}]]


@pytest.mark.engine
def test_plugins_of_other_providers_are_lent_to_the_stacks(
    cloudretry_emulator: EmulatedClouds, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    persons = tmp_path / "persons-own"
    for name in ("resource-another-v1.2.3", "resource-cloudretry-v0.0.1"):
        (persons / "plugins" / name).mkdir(parents=True)
        (persons / "plugins" / name / name.rpartition("-v")[0]).write_text("")
    monkeypatch.setenv("PULUMI_HOME", str(persons))

    factory = StackFactory(tmp_path / "pulumi", cloudretry_emulator)

    listed = subprocess.run(
        ["pulumi", "plugin", "ls", "--json"],
        env={**os.environ, **factory.environment()},
        capture_output=True,
        check=True,
    )
    assert {(plugin["name"], plugin["version"]) for plugin in json.loads(listed.stdout)} == {
        ("another", "1.2.3"),
        ("cloudretry", __version__),
    }


@pytest.mark.engine
def test_a_folder_without_a_project_is_an_error_that_says_so(cloudretry_stack: StackFactory, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"no Pulumi\.yaml in here; name the folder of a Pulumi project"):
        cloudretry_stack(tmp_path)


def test_programs_that_run_in_threads_find_the_sdk_loaded(tmp_path: Path) -> None:
    code = (
        "import pathlib, sys\n"
        "from pulumi_cloudretry.testing import EmulatedClouds, StackFactory\n"
        "modules = [sys.modules[f'pulumi_cloudretry.{name}'] for name in ('drs', 'ehpc', 'modelarts', 'workspace')]\n"
        "print({type(module).__name__ for module in modules})\n"
        f"with EmulatedClouds() as clouds, StackFactory(pathlib.Path({str(tmp_path)!r}), clouds):\n"
        "    print({type(module).__name__ for module in modules})\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "{'_LazyModule'}\n{'module'}\n"


# --- the plugin, in a project of its own ---


def run_pytest(folder: Path, test: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (folder / "test_project.py").write_text(test, encoding="utf-8")
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-rs", "-q", "-W", "error", *options],
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


def test_workers_that_run_tests_at_the_same_time_have_emulators_of_their_own(tmp_path: Path) -> None:
    test = (
        "import pytest, requests\n"
        "@pytest.mark.parametrize('number', range(4))\n"
        "def test_a_retry(number, cloudretry_emulator):\n"
        "    cloudretry_emulator.load({'drsJobs': [{'id': 'jb1', 'state': 'FULL_TRANSFER_FAILED'}]})\n"
        "    place = cloudretry_emulator.environment()\n"
        "    requests.post(\n"
        "        f\"{cloudretry_emulator.url}/v3/{place['HW_PROJECT_ID']}/jobs/batch-retry-task\",\n"
        "        headers={'X-Auth-Token': place['HW_AUTH_TOKEN']},\n"
        "        json={'jobs': [{'job_id': 'jb1'}]},\n"
        "    ).raise_for_status()\n"
        "    assert cloudretry_emulator.fired() == {'jb1': 1}\n"
    )
    done = run_pytest(tmp_path, test, "-n", "2")
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout


SIDE_BY_SIDE = """
import gc
import inspect

import pulumi
import pytest
from pulumi import automation

from pulumi_cloudretry import drs


class Mocks(pulumi.runtime.Mocks):
    def new_resource(self, args):
        return "an-id", {**args.inputs, "status": "Skipped"}

    def call(self, args):
        return {}


def program():
    pulumi.export("status", drs.JobBatchRetry("orders", jobs=[{"job_id": "jb1"}]).status)


def mocked():
    pulumi.runtime.set_mocks(Mocks())
    seen = []

    @pulumi.runtime.test
    def run():
        return drs.JobBatchRetry("orders", jobs=[{"job_id": "jb1"}]).status.apply(seen.append)

    run()
    return seen


def unfinished_programs():
    coroutines = [thing for thing in gc.get_objects() if inspect.iscoroutine(thing)]
    programs = [coroutine for coroutine in coroutines if coroutine.__name__ == "run_in_stack"]
    return [program for program in programs if inspect.getcoroutinestate(program) != "CORO_CLOSED"]


def test_before():
    assert mocked() == ["Skipped"]


def test_a_failed_stack(cloudretry_emulator, cloudretry_stack):
    cloudretry_emulator.load({"drsJobs": [{"id": "jb1", "state": "DELETED"}]})
    with pytest.raises(automation.CommandError):
        cloudretry_stack(program).up()


def test_after():
    assert unfinished_programs() == []
    assert mocked() == ["Skipped"]
"""


@pytest.mark.engine
def test_mocks_and_stacks_live_side_by_side_and_leave_nothing_behind(tmp_path: Path) -> None:
    done = run_pytest(tmp_path, SIDE_BY_SIDE, "-p", "no:xdist")
    assert done.returncode == 0, done.stdout
    assert "3 passed" in done.stdout
