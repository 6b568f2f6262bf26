"""The files of the pipelines by themselves: what the tools of their kind say of them, and what they promise."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from team import EXAMPLES, ROOT

from cloudretry import config
from cloudretry.actions import ACTIONS
from cloudretry.durations import parse as seconds
from cloudretry.inputs import check
from cloudretry.schema import REPOSITORY
from cloudretry.version import __version__

WORKFLOWS = sorted((EXAMPLES / "github-actions").glob("*.yml"))
OURS = sorted((ROOT / ".github/workflows").glob("*.yml"))
"""The workflows of this repository itself; the others are examples."""
SCRIPTS = sorted((EXAMPLES / "scripts").iterdir())
GITLAB = EXAMPLES / "gitlab-ci/.gitlab-ci.yml"
DOCKERFILE = EXAMPLES / "docker/Dockerfile"
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
AS_THE_ENGINE = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false"}
"""Flags of the engine's own build: Go's cache then has most of what this needs."""

JOURNAL = "/var/lib/cloudretry"


def tool(name: str, *arguments: str | Path, **environment: str) -> tuple[int, str]:
    """Run a tool of the test's own environment: its exit code, and what it said."""
    command = [str(Path(sys.executable).with_name(name)) if name != "go" else "go", *map(str, arguments)]
    ended = subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=280, env={**os.environ, **environment}
    )
    return ended.returncode, ended.stdout + ended.stderr


def workflow(path: Path) -> dict[str, Any]:
    document = yaml.safe_load(path.read_text(encoding="utf-8"))
    # YAML 1.1 reads the key `on` as true.
    document["on"] = document.pop(True)
    return dict(document)


def steps(path: Path) -> Iterator[dict[str, Any]]:
    for job in workflow(path)["jobs"].values():
        yield from job["steps"]


each_workflow = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.name)
each_of_ours = pytest.mark.parametrize("path", OURS, ids=lambda path: path.name)


# --- what the tools say ---


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_shellcheck_has_nothing_against_a_script(path: Path) -> None:
    assert tool("shellcheck", path) == (0, "")
    assert path.stat().st_mode & 0o111 == 0o111


def test_hadolint_has_nothing_against_the_dockerfile() -> None:
    assert tool("hadolint", "--failure-threshold", "style", DOCKERFILE) == (0, "")


@pytest.mark.parametrize("path", WORKFLOWS + OURS, ids=lambda path: path.name)
def test_a_workflow_fits_githubs_schema(path: Path) -> None:
    for schema in ("vendor.github-workflows", "custom.github-workflows-require-timeout"):
        code, said = tool("check-jsonschema", "--builtin-schema", schema, path)
        assert code == 0, said


@pytest.mark.skipif(shutil.which("go") is None, reason="needs Go, which builds actionlint")
@pytest.mark.timeout(600)
def test_actionlint_has_nothing_against_the_workflows(tmp_path: Path) -> None:
    labels = tmp_path / "actionlint.yaml"
    labels.write_text("self-hosted-runner:\n  labels: [cloudretry]\n", encoding="utf-8")
    shellcheck = Path(sys.executable).with_name("shellcheck")
    options = ("-config-file", labels, "-shellcheck", shellcheck, "-pyflakes", "", "-no-color")
    assert tool("go", "run", ACTIONLINT, *options, *WORKFLOWS, *OURS, **AS_THE_ENGINE) == (0, "")


def test_the_gitlab_pipeline_fits_gitlabs_schema() -> None:
    options = ("--builtin-schema", "vendor.gitlab-ci", "--data-transform", "gitlab-ci")
    code, said = tool("check-jsonschema", *options, GITLAB)
    assert code == 0, said


def test_the_tools_do_find_what_is_wrong(tmp_path: Path) -> None:
    (tmp_path / "Dockerfile").write_text("FROM python:latest\nRUN cd /x && pip install x\n", encoding="utf-8")
    assert tool("hadolint", tmp_path / "Dockerfile")[0] != 0
    (tmp_path / "x.sh").write_text("#!/bin/bash\necho $1\n", encoding="utf-8")
    assert tool("shellcheck", tmp_path / "x.sh")[0] != 0
    (tmp_path / "w.yml").write_text(WORKFLOWS[0].read_text(encoding="utf-8").replace("runs-on", "run-on"), "utf-8")
    assert tool("check-jsonschema", "--builtin-schema", "vendor.github-workflows", tmp_path / "w.yml")[0] != 0


# --- what the workflows promise ---


@each_workflow
def test_a_workflow_may_do_no_more_than_it_needs(path: Path) -> None:
    document = workflow(path)
    assert document["permissions"] == {"contents": "read"}
    allowed = [job["permissions"] for job in document["jobs"].values() if "permissions" in job]
    assert allowed in ([], [{"contents": "read", "pull-requests": "write"}])
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


@pytest.mark.parametrize("path", WORKFLOWS + OURS, ids=lambda path: path.name)
def test_every_action_is_pinned_and_no_expression_is_pasted_into_a_script(path: Path) -> None:
    for step in steps(path):
        if "uses" in step:
            assert re.fullmatch(r"[\w./-]+@(v\d+|[0-9a-f]{40})", step["uses"])
        else:
            assert "${{" not in step["run"]


@each_of_ours
def test_our_own_workflows_take_each_action_at_a_commit_and_name_its_release(path: Path) -> None:
    used = re.findall(r"uses: (.*)", path.read_text(encoding="utf-8"))
    assert [line for line in used if not re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", line)] == []


@each_of_ours
def test_our_own_workflows_read_alone_and_only_what_publishes_may_do_more(path: Path) -> None:
    document = workflow(path)
    assert document["permissions"] == {"contents": "read"}
    allowed = {name: set(job["permissions"]) for name, job in document["jobs"].items() if "permissions" in job}
    publishing = {"pypi": {"id-token"}, "npm": {"id-token"}, "github": {"contents"}, "deploy": {"pages", "id-token"}}
    assert allowed.items() <= publishing.items()
    for step in steps(path):
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


def test_what_is_released_is_what_make_dist_builds() -> None:
    (release,) = [path for path in OURS if path.name == "release.yml"]
    ran = "\n".join(step.get("run", "") for step in steps(release))
    assert "make dist\n" in ran
    assert "dist/*" in ran
    manifest = json.loads((ROOT / "sdk/nodejs/package.json").read_text(encoding="utf-8"))
    packed = manifest["name"].removeprefix("@").replace("/", "-")
    assert f"./dist/{packed}-*.tgz" in ran
    assert (ROOT / "sdk/go.mod").read_text(encoding="utf-8").startswith(f"module {REPOSITORY.partition('//')[2]}/sdk\n")
    assert "refs/tags/sdk/$GITHUB_REF_NAME" in ran


@each_workflow
def test_a_secret_is_given_only_to_the_step_that_needs_it(path: Path) -> None:
    document = workflow(path)
    assert "env" not in document
    for job in document["jobs"].values():
        assert "env" not in job
    for step in steps(path):
        credentials = {name for name in step.get("env", {}) if name.startswith("HW_")}
        assert bool(credentials) == (step.get("name") in ("Preview", "Up"))


def test_two_runs_of_a_stack_never_overlap_and_none_is_cut_off_by_the_next() -> None:
    for path in WORKFLOWS:
        if "pull_request" not in workflow(path)["on"]:
            assert workflow(path)["concurrency"] == {"group": "retries-prod", "cancel-in-progress": False}
    job = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))["up"]
    assert job["resource_group"] == "retries-prod"
    assert job["interruptible"] is False


def test_a_job_lasts_longer_than_what_it_waits_for() -> None:
    program = (EXAMPLES / "project/__main__.py").read_text(encoding="utf-8")
    longest = max(seconds(text) for text in re.findall(r'(?:create|update)="(\w+)"', program))
    allowed = [workflow(path)["jobs"]["up"]["timeout-minutes"] for path in WORKFLOWS if path.name != "preview.yml"]
    allowed.append(int(yaml.safe_load(GITLAB.read_text(encoding="utf-8"))["up"]["timeout"].removesuffix(" minutes")))
    assert min(allowed) * 60 >= longest + 600


def test_an_up_is_the_last_word_of_its_shell_and_the_report_comes_however_it_ended() -> None:
    for path in WORKFLOWS:
        named = {step.get("name"): step for step in steps(path)}
        if "Up" in named:
            assert named["Up"]["run"] == "exec scripts/up.sh prod"
            assert named["Report"]["if"] == "always()"
    job = yaml.safe_load(GITLAB.read_text(encoding="utf-8"))["up"]
    assert job["script"][-1] == "exec scripts/up.sh prod"
    assert job["artifacts"]["when"] == "always"
    assert job["artifacts"]["reports"]["junit"] in job["after_script"][0].split()
    last = [line for line in (EXAMPLES / "scripts/up.sh").read_text(encoding="utf-8").splitlines() if line][-2]
    assert last.startswith("exec pulumi up ")


def test_on_a_hosted_runner_only_the_journal_is_kept_another_way() -> None:
    own, hosted = (workflow(EXAMPLES / "github-actions" / name) for name in ("up.yml", "up-on-hosted-runner.yml"))
    steps_of = {name: document["jobs"]["up"].pop("steps") for name, document in (("own", own), ("hosted", hosted))}
    assert own["jobs"]["up"].pop("runs-on") == ["self-hosted", "cloudretry"]
    assert hosted["jobs"]["up"].pop("runs-on") == "ubuntu-latest"
    assert own == hosted
    journal = [step for step in steps_of["hosted"] if step not in steps_of["own"]]
    assert [step for step in steps_of["hosted"] if step in steps_of["own"]] == steps_of["own"]
    room, restore, save = journal
    assert room["run"].endswith(JOURNAL)
    assert restore["uses"].startswith("actions/cache/restore@")
    assert save["uses"].startswith("actions/cache/save@")
    # The cache action itself saves only after a job that has ended well.
    assert save["if"] == "always()"
    assert restore["with"]["path"] == save["with"]["path"] == JOURNAL
    assert save["with"]["key"] == restore["with"]["key"]
    assert save["with"]["key"].startswith(restore["with"]["restore-keys"])


# --- what the files say of each other ---


def test_the_journal_is_on_the_volume_wherever_the_program_runs() -> None:
    settings = yaml.safe_load((EXAMPLES / "project/Pulumi.prod.yaml").read_text(encoding="utf-8"))["config"]
    ours = {key.removeprefix("cloudretry:"): value for key, value in settings.items()}
    assert config.problems(ours) == []
    assert ours["journalDir"] == f"{JOURNAL}/journal"
    assert f"VOLUME {JOURNAL}\n" in DOCKERFILE.read_text(encoding="utf-8")


def test_the_retries_of_the_example_are_what_the_provider_takes() -> None:
    retries = yaml.safe_load((EXAMPLES / "project/retries.yaml").read_text(encoding="utf-8"))
    assert retries
    for retry in retries.values():
        assert check(ACTIONS[f"cloudretry:{retry['type'].replace('.', ':')}"], camel(retry["inputs"])) == []


def camel(value: Any) -> Any:
    """Inputs as Pulumi writes them, from those of the Python package."""
    if isinstance(value, dict):
        return {re.sub(r"_(\w)", lambda found: found[1].upper(), name): camel(item) for name, item in value.items()}
    return [camel(item) for item in value] if isinstance(value, list) else value


def test_every_file_names_the_versions_that_the_tests_run_with() -> None:
    go = (ROOT / "tools/engine/cli/go.mod").read_text(encoding="utf-8")
    (engine,) = re.findall(r"pulumi/pkg/v3 v([\d.]+)", go)
    named = [
        step["with"]["pulumi-version"]
        for path in WORKFLOWS
        for step in steps(path)
        if step.get("uses", "").startswith("pulumi/actions@")
    ]
    text = DOCKERFILE.read_text(encoding="utf-8")
    assert {*named, *re.findall(r"PULUMI_VERSION=([\d.]+)", text)} == {engine}
    tags = re.findall(r"cloudretry-runner:([\d.]+)", GITLAB.read_text(encoding="utf-8"))
    tags += re.findall(r"cloudretry-runner:([\d.]+)", (EXAMPLES / "kubernetes-operator/stack.yaml").read_text("utf-8"))
    assert {*tags, *re.findall(r"CLOUDRETRY_VERSION=([\d.]+)", text)} == {__version__}
    assert len(tags) == 2


def test_the_image_runs_as_nobody_and_hands_signals_to_the_engine() -> None:
    instructions = dict(
        found.groups() for found in re.finditer(r"^(USER|ENTRYPOINT|CMD) (.+)$", DOCKERFILE.read_text("utf-8"), re.M)
    )
    # A number, so that Kubernetes sees that it is not root.
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", instructions["USER"])
    assert json.loads(instructions["ENTRYPOINT"]) == ["pulumi"]
    script = (EXAMPLES / "scripts/up.sh").read_text(encoding="utf-8")
    assert all(word in script for word in json.loads(instructions["CMD"]))
