"""The made-up action of docs/adding-an-action.md, put into a copy of the provider as the page says, and driven."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import requests
from driver import ROOT, Plugin, failures, init_failed, outputs

PAGE = (ROOT / "docs/adding-an-action.md").read_text(encoding="utf-8")
FILE = "provider/cloudretry/actions/workspace_image_build.py"
TOKEN = "cloudretry:workspace:ImageBuildRetry"


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the provider with what the page adds to it."""
    folder = tmp_path_factory.mktemp("provider")
    shutil.copytree(
        ROOT / "provider/cloudretry", folder / "provider/cloudretry", ignore=shutil.ignore_patterns("__pycache__")
    )
    action, handlers, _test = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert f"`{FILE}`" in PAGE
    (folder / FILE).write_text(action, encoding="utf-8")
    imported = "from cloudretry.actions.workspace_image_build import ImageBuildRetry"
    insert(
        folder / "provider/cloudretry/actions/__init__.py",
        {
            "from cloudretry.actions.workspace_job": imported,
            "        EhpcJobRerun(),": f"        {quoted('ImageBuildRetry()')},",
        },
    )
    rows = "".join(f"    {quoted(row)},\n" for row in re.findall(r'`("\w+Build": \w+)`', PAGE))
    insert(
        folder / "provider/cloudretry/emulator/workspace.py",
        {"HANDLERS: Mapping": f"{handlers}\n", '    "ShowJob": show_job,': rows.rstrip()},
    )
    return folder


def insert(file: Path, before: Mapping[str, str]) -> None:
    text = file.read_text(encoding="utf-8")
    for place, addition in before.items():
        assert text.count(place) == 1, place
        text = text.replace(place, f"{addition}\n{place}")
    file.write_text(text, encoding="utf-8")


def quoted(words: str) -> str:
    """The words, which the page has as code."""
    assert f"`{words}`" in PAGE
    return words


@pytest.fixture
def environment(provider: Path) -> Mapping[str, str]:
    return {**os.environ, "PYTHONPATH": str(provider / "provider")}


@pytest.fixture
def cloud(environment: Mapping[str, str], tmp_path: Path) -> Iterator[str]:
    """The emulator of the copy, with a build that has failed and one that fails again."""
    builds = [
        {"id": "img-1", "state": "BROKEN", "afterRetry": [["BUILDING", 0], ["READY", 0.2]]},
        {"id": "img-2", "state": "BROKEN", "failReason": "The disk is full.", "afterRetry": BROKEN_AGAIN},
    ]
    scenario = tmp_path / "scenario.json"
    scenario.write_text(json.dumps({"unknownStates": True, "workspaceJobs": builds}), encoding="utf-8")
    command = [sys.executable, "-m", "cloudretry.cli", "emulator", "--port", "0", "--scenario", scenario]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        yield running.stdout.readline().removeprefix("listening on ").strip()
        running.terminate()


BROKEN_AGAIN = [["BUILDING", 0], ["BROKEN", 0.2]]


@pytest.fixture
def plugin(environment: Mapping[str, str], cloud: str, tmp_path: Path) -> Iterator[Plugin]:
    plugin = Plugin(tmp_path, environment=environment)
    plugin.configure(cloud, journalEnabled=True)
    yield plugin
    plugin.stop()
    assert plugin.printed() == ("", "")


def fired(cloud: str) -> dict[str, int]:
    listed = requests.get(f"{cloud}/_emulator/targets", timeout=10).json()["targets"]
    return {target["id"]: target["timesFired"] for target in listed}


def test_it_is_checked_fired_once_waited_for_and_recorded(plugin: Plugin, cloud: str) -> None:
    assert failures(plugin.check({"buildId": "IMG 1"}, TOKEN)) != {}
    assert failures(plugin.check({"buildID": "img-1"}, TOKEN)) != {}
    news: dict[str, Any] = {"buildId": "img-1", "triggers": {"release": "1"}}
    assert failures(plugin.check(news, TOKEN)) == {}

    made = outputs(plugin.create(news, TOKEN))

    assert made["status"] == "Succeeded"
    (result,) = made["results"]
    assert (result["target"], result["cloudStatus"], result["attempts"]) == ("img-1", "READY", 1)
    assert fired(cloud) == {"img-1": 1, "img-2": 0}
    assert list(plugin.diff(made, news, TOKEN).detailedDiff) == []
    assert list(plugin.diff(made, {**news, "triggers": {"release": "2"}}, TOKEN).detailedDiff) == ["triggers.release"]
    assert plugin.diff(made, {**news, "buildId": "img-2"}, TOKEN).replaces == ["buildId"]


def test_its_failures_are_in_the_cloud_s_words_with_a_remedy(plugin: Plugin, cloud: str) -> None:
    broken = init_failed(lambda: plugin.create({"buildId": "img-2"}, TOKEN))
    assert broken.outputs["status"] == "Failed"
    assert "it is BROKEN (could not be built): The disk is full." in broken.reasons[0]

    absent = init_failed(lambda: plugin.create({"buildId": "img-9"}, TOKEN))
    assert "There is no such build. Check buildId, region and project." in absent.reasons[0]

    plugin.create({"buildId": "img-1"}, TOKEN)
    again = outputs(plugin.create({"buildId": "img-1", "triggers": {"again": True}}, TOKEN))
    assert again["results"][0]["skippedReason"] == "AlreadyRunning"
    assert fired(cloud) == {"img-1": 1, "img-2": 1}


def test_the_schema_takes_it_up(environment: Mapping[str, str]) -> None:
    command = [sys.executable, "-m", "cloudretry.schema"]
    printed = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    resource = json.loads(printed)["resources"][TOKEN]
    assert resource["inputProperties"]["buildId"]["description"] == "Id of the broken build."
    assert resource["description"].startswith("Retry the build of a desktop image.")


def test_the_emulator_does_not_start_without_its_handlers(provider: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(provider / "provider", copy)
    shutil.copyfile(ROOT / "provider/cloudretry/emulator/workspace.py", copy / "cloudretry/emulator/workspace.py")
    command = [sys.executable, "-m", "cloudretry.cli", "emulator", "--port", "0"]
    ended = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(copy)}, capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode != 0
    assert "no handler for workspace:RetryImageBuild, workspace:ShowImageBuild" in ended.stderr


def test_its_own_tests_pass(environment: Mapping[str, str], tmp_path: Path) -> None:
    *_, test = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    (tmp_path / "test_image_build.py").write_text(test, encoding="utf-8")
    plain = {name: value for name, value in environment.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "test_image_build.py"]
    ended = subprocess.run(command, cwd=tmp_path, env=plain, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout
    assert "3 passed" in ended.stdout


def test_there_is_no_other_code_on_the_page() -> None:
    assert re.findall(r"^```(\w*)$", PAGE, re.MULTILINE) == ["python", ""] * 3


def test_the_code_keeps_the_rules_of_lint(provider: Path) -> None:
    ruff = Path(sys.executable).with_name("ruff")
    files = (FILE, "provider/cloudretry/emulator/workspace.py", "provider/cloudretry/actions/__init__.py")
    for order in (("check",), ("format", "--check")):
        ended = subprocess.run(
            [ruff, *order, "--config", ROOT / "pyproject.toml", *(provider / file for file in files)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout
