"""The quickstart in the root: five retries, once each, and then the one whose trigger was changed."""

from __future__ import annotations

from pathlib import Path

from pulumi_cloudretry.testing import EmulatedClouds, StackFactory

ROOT = Path(__file__).parents[1]


def test_each_retry_fires_once_and_then_the_one_whose_trigger_was_changed(
    cloudretry_emulator: EmulatedClouds, cloudretry_stack: StackFactory
) -> None:
    replications = [target.id for target in cloudretry_emulator.targets("drsJob")]

    outputs = {name: output.value for name, output in cloudretry_stack(ROOT).up().outputs.items()}

    assert outputs["pool"] == outputs["visualization"] == outputs["desktop"]["status"] == "Succeeded"
    assert {job: state[-8:] for job, state in outputs["replication"].items()} == dict.fromkeys(replications, "_STARTED")
    assert outputs["simulation"] == {"1.scheduler": "Succeeded", "2.scheduler": "Succeeded"}
    fired = cloudretry_emulator.fired()
    assert (len(fired), set(fired.values())) == (7, {1})

    for job in replications:
        cloudretry_emulator.set_state(job, "FULL_TRANSFER_FAILED")
    cloudretry_stack(ROOT, config={"triggers.drs": "tuesday"}).up()

    assert cloudretry_emulator.fired() - fired == dict.fromkeys(replications, 1)
