"""The quickstart in the root: five retries, each fired once."""

from __future__ import annotations

from pathlib import Path

from pulumi_cloudretry.testing import EmulatedClouds, StackFactory

ROOT = Path(__file__).parents[1]


def test_each_retry_fires_once_and_takes_hold(
    cloudretry_emulator: EmulatedClouds, cloudretry_stack: StackFactory
) -> None:
    replications = [target.id for target in cloudretry_emulator.targets("drsJob")]

    outputs = {name: output.value for name, output in cloudretry_stack(ROOT).up().outputs.items()}

    assert outputs["pool"] == outputs["visualization"] == outputs["desktop"]["status"] == "Succeeded"
    assert {job: state[-8:] for job, state in outputs["replication"].items()} == dict.fromkeys(replications, "_STARTED")
    assert outputs["simulation"] == {"1.scheduler": "Succeeded", "2.scheduler": "Succeeded"}
    fired = cloudretry_emulator.fired()
    assert (len(fired), set(fired.values())) == (7, {1})
