"""The five retries without the plugin: each is fired once."""

from __future__ import annotations

from pathlib import Path

from pulumi_cloudretry.testing import EmulatedClouds, StackFactory, recorded

PROJECT = Path(__file__).parent


def test_each_retry_fires_once_and_takes_hold(
    cloudretry_emulator: EmulatedClouds, cloudretry_stack: StackFactory
) -> None:
    replications = [target.id for target in cloudretry_emulator.targets("drsJob")]
    stack = cloudretry_stack(PROJECT)

    outputs = {name: output.value for name, output in stack.up().outputs.items()}

    assert {job: state[-8:] for job, state in outputs["replication"].items()} == dict.fromkeys(replications, "_STARTED")
    assert {retry["status"] for retry in recorded(stack).values()} == {"Succeeded"}
    fired = cloudretry_emulator.fired()
    assert (len(fired), set(fired.values())) == (7, {1})
