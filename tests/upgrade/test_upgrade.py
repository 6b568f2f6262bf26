"""State that an earlier version of the plugin left: the present one sees no change in it, and fires nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from recording import RECORDED, machine_paths, scenario, stack

from cloudretry.actions import ACTIONS
from cloudretry.emulator import Emulator
from cloudretry.plugin.install import install
from cloudretry.record import LIFE
from cloudretry.version import __version__
from support.pulumi_cli import Stack

VERSIONS = sorted(path.name for path in RECORDED.iterdir())
FIRES = {action.fires.name for action in ACTIONS.values()}


def test_this_version_is_recorded_and_every_action_with_it() -> None:
    assert __version__ in VERSIONS, "run `python tests/upgrade/record.py`"
    for version in VERSIONS:
        text = (RECORDED / version / "state.json").read_text(encoding="utf-8")
        types = {resource["type"] for resource in json.loads(text)["deployment"]["resources"]}
        assert set(ACTIONS) <= types if version == __version__ else types & set(ACTIONS)
        assert not machine_paths(text)


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(scenario(retried=True)) as running:
        yield running


@pytest.fixture(params=VERSIONS)
def upgraded(request: pytest.FixtureRequest, tmp_path: Path, emulator: Emulator) -> Stack:
    """A stack with the recorded state, and the present plugin."""
    recorded = RECORDED / request.param
    made = stack(tmp_path, (recorded / "program.py").read_text(encoding="utf-8"), emulator.url)
    install(made.home)
    state = json.loads((recorded / "state.json").read_text(encoding="utf-8"))
    settings = yaml.safe_load((made.program / "Pulumi.dev.yaml").read_text(encoding="utf-8"))
    # The recording holds its secrets in clear; this stack encrypts them for itself.
    own = {"type": "passphrase", "state": {"salt": settings["encryptionsalt"]}}
    state["deployment"]["secrets_providers"] = own
    (tmp_path / "state.json").write_text(json.dumps(state), encoding="utf-8")
    made.run("stack", "import", "--file", str(tmp_path / "state.json"))
    return made


@pytest.mark.engine
def test_an_upgrade_changes_nothing_and_fires_nothing(upgraded: Stack, emulator: Emulator) -> None:
    before = upgraded.resources()
    assert len(before) == len(ACTIONS)
    # A provider of another version is another provider to the engine; the resources are what counts.
    assert [step for step in upgraded.preview() if "::cloudretry:" in step["urn"]] == []
    upgraded.run("refresh", "--yes", "--skip-preview", "--expect-no-changes")
    after = upgraded.resources()
    for name, item in before.items():
        # Which life of the resource this is, a version that did not know of it has not recorded.
        life = after[name]["outputs"].pop(LIFE)
        assert life.endswith("/0")
        assert after[name]["outputs"] == item["outputs"]
    upgraded.up()
    assert {name: item["outputs"]["generation"] for name, item in upgraded.resources().items()} == dict.fromkeys(
        before, 1
    )
    assert not [request for request in emulator.requests() if request.operation in FIRES]
    assert emulator.requests(), "the refresh has not looked"
