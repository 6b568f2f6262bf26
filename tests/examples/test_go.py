"""The Go example: compiled against the SDK of this checkout, and run inline through the Automation API."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pulumi_cli import ROOT, Stack

from cloudretry.emulator import Emulator
from cloudretry.plugin.install import install

pytestmark = [
    pytest.mark.engine,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(shutil.which("go") is None, reason="needs Go"),
]

AS_THE_ENGINE = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false"}
"""Flags of the engine's own build: Go's cache then has most of what this needs."""


@pytest.fixture
def example(tmp_path: Path) -> Path:
    """The example, built by Go's own cache."""
    built = tmp_path / "example"
    ended = subprocess.run(
        ["go", "build", "-o", built, "."],
        cwd=ROOT / "examples/go",
        env={**os.environ, **AS_THE_ENGINE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return built


def test_the_example_fires_each_retry_once_and_then_what_was_triggered(
    example: Path, tmp_path: Path, emulator: Emulator
) -> None:
    elsewhere = tmp_path / "any"
    elsewhere.mkdir()
    (elsewhere / "Pulumi.yaml").write_text("name: any\nruntime: python\n", encoding="utf-8")
    stack = Stack(tmp_path, elsewhere)
    install(stack.home)
    environment = {**stack.environment, "CLOUDRETRY_EMULATOR": emulator.url}

    def up(release: str) -> dict[str, Any]:
        ended = subprocess.run(
            [example, release], cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=240
        )
        assert ended.returncode == 0, ended.stderr
        outputs: dict[str, Any] = json.loads(ended.stdout)
        return outputs

    names = ("pool", "visualization", "desktop", "replication", "simulation")
    first = up("1")
    assert {name: first[name] for name in names} == dict.fromkeys(names, "Succeeded")
    fired = {target.id: target.times_fired for target in emulator.targets() if target.times_fired}
    assert len(fired) == 7
    assert set(fired.values()) == {1}

    drs = [target.id for target in emulator.targets("drsJob")]
    for target in drs:
        emulator.set_state(target, "FULL_TRANSFER_FAILED")
    assert up("2")["replicationGeneration"] == 2
    again = {target.id: target.times_fired for target in emulator.targets() if target.times_fired}
    assert again == fired | dict.fromkeys(drs, 2)
