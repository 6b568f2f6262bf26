"""The TypeScript example: compiled against the SDK of this checkout, and run by the Node language host."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from pulumi_cli import ROOT, Stack

from cloudretry.emulator import Emulator
from cloudretry.plugin.install import install
from support.typescript import node_modules, wrong_with

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js with npm"),
]

EXAMPLE = ROOT / "examples/typescript"


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
    program: Path, tmp_path: Path, emulator: Emulator
) -> None:
    stack = Stack(tmp_path, program)
    install(stack.home)
    stack.configure(emulator=emulator.url)
    screen = stack.up()
    assert "error" not in screen.lower()
    assert set(stack.statuses().values()) == {"Succeeded"}
    fired = {target.id: target.times_fired for target in emulator.targets() if target.times_fired}
    assert len(fired) == 7
    assert set(fired.values()) == {1}

    stack.run("config", "set", "--path", "triggers.drs", "tuesday")
    (step,) = stack.preview()
    assert list(step["detailedDiff"]) == ["triggers.drs"]
    stack.run("config", "rm", "--path", "triggers.drs")
    stack.up("--expect-no-changes")
