"""The Go example: compiled against the SDK of this checkout, and run inline through the Automation API."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pulumi_cloudretry.testing import EmulatedClouds, StackFactory

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.engine,
    pytest.mark.usefixtures("engine_on_path"),
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
    example: Path, tmp_path: Path, cloudretry_emulator: EmulatedClouds, cloudretry_stack: StackFactory
) -> None:
    environment = {**os.environ, **cloudretry_stack.environment()}

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
    fired = cloudretry_emulator.fired()
    assert (len(fired), set(fired.values())) == (7, {1})

    replications = [target.id for target in cloudretry_emulator.targets("drsJob")]
    for job in replications:
        cloudretry_emulator.set_state(job, "FULL_TRANSFER_FAILED")
    assert up("2")["replicationGeneration"] == 2
    assert cloudretry_emulator.fired() - fired == dict.fromkeys(replications, 1)
