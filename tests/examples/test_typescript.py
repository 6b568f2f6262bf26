"""The TypeScript example: compiled against the SDK of this checkout, and run by the Node language host."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pulumi import automation

from pulumi_cloudretry.testing import EmulatedClouds, StackFactory, recorded
from support.typescript import node_modules, wrong_with

pytestmark = [
    pytest.mark.engine,
    pytest.mark.usefixtures("engine_on_path"),
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js with npm"),
]

EXAMPLE = Path(__file__).parents[2] / "examples/typescript"


@pytest.fixture(scope="module")
def modules() -> Path:
    return node_modules()


@pytest.fixture
def program(modules: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "program"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "node_modules").symlink_to(modules)
    return folder


def test_the_types_of_the_sdk_fit_the_example_and_refuse_what_is_wrong(program: Path) -> None:
    assert wrong_with(program) == ""
    source = (program / "index.ts").read_text(encoding="utf-8")
    (program / "index.ts").write_text(source.replace("scope:", "scop:"), encoding="utf-8")
    assert "scop" in wrong_with(program)


def test_the_example_fires_each_retry_once_and_then_what_was_triggered(
    program: Path, cloudretry_emulator: EmulatedClouds, cloudretry_stack: StackFactory
) -> None:
    stack = cloudretry_stack(program)
    assert "error" not in stack.up().stdout.lower()
    assert {retry["status"] for retry in recorded(stack).values()} == {"Succeeded"}
    fired = cloudretry_emulator.fired()
    assert (len(fired), set(fired.values())) == (7, {1})

    differences: list[list[str]] = []

    def note(event: automation.EngineEvent) -> None:
        if event.resource_pre_event and event.resource_pre_event.metadata.detailed_diff:
            differences.append(list(event.resource_pre_event.metadata.detailed_diff))

    cloudretry_stack(program, config={"triggers.drs": "tuesday"}).preview(on_event=note)
    assert differences == [["triggers.drs"]]
    stack.remove_config("triggers.drs", path=True)
    stack.up(expect_no_changes=True)
