"""What 0.1.0 left open is found under the name that each front gave a resource then."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from driver import DRS, SCENARIO, Plugin, outputs, urn
from pulumi.runtime.proto import provider_pb2

from cloudretry.backend import ConfiguredBackend
from cloudretry.config import load
from cloudretry.emulator import Emulator
from pulumi_cloudretry.dynamic.provider import ActionProvider

Start = Callable[..., Plugin]

RECORDED = Path(__file__).parents[1] / "upgrade/recorded/0.1.0/journal.json"
BACKEND = "file://state?with=a-query"
INPUTS: dict[str, Any] = {"jobs": [{"jobId": "jb1"}], "triggers": {"release": "1"}}
KEY = "organization/project/dev/cloudretry:drs:JobBatchRetry/it"


def left_open(journal: Path, owner: str) -> Path:
    """The record of a create of this resource that died a moment ago, after its fire had its effect."""
    case = json.loads(RECORDED.read_text(encoding="utf-8"))["cases"]["plugin JobBatchRetry create after the effect"]
    assert case["program"] == INPUTS
    (text,) = case["files"].values()
    resource = f"{BACKEND} {owner}"
    record = {**json.loads(text), "resource": resource, "at": time.time() - 1}
    path = journal / hashlib.sha256(resource.encode()).hexdigest()[:32] / f"{record['fire']}.fire"
    path.parent.mkdir(mode=0o700, parents=True)
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def emulator(emulator: Emulator) -> Emulator:
    """The cloud as that fire left it."""
    emulator.set_scenario({**SCENARIO, "drsJobs": [{"id": "jb1", "state": "FULL_TRANSFER_STARTED"}]})
    return emulator


@pytest.fixture
def upgraded(start: Start, emulator: Emulator) -> Plugin:
    plugin = start(environment={"PULUMI_BACKEND_URL": BACKEND})
    plugin.configure(emulator, journalEnabled=True)
    return plugin


def test_the_plugin_takes_it_up(upgraded: Plugin, emulator: Emulator) -> None:
    path = left_open(upgraded.folder / "home/cloudretry/journal", urn())
    assert outputs(upgraded.create(INPUTS))["status"] == "Succeeded"
    assert not path.exists()
    assert emulator.requests("BatchRestoreTask") == []


def test_the_plugin_forgets_it_with_its_resource(upgraded: Plugin, emulator: Emulator) -> None:
    created = upgraded.create(INPUTS)
    path = left_open(upgraded.folder / "home/cloudretry/journal", urn())
    assert upgraded.diff(outputs(created), INPUTS).changes == provider_pb2.DiffResponse.DIFF_NONE
    assert path.exists()
    upgraded.stub.Delete(provider_pb2.DeleteRequest(id=created.id, urn=urn(), properties=created.properties))
    assert not path.exists()


@pytest.fixture
def provider(tmp_path: Path, emulator: Emulator, monkeypatch: pytest.MonkeyPatch) -> ActionProvider:
    """A dynamic class's provider, in this process."""
    monkeypatch.setenv("PULUMI_BACKEND_URL", BACKEND)
    config = {"emulator": emulator.url, "journalDir": str(tmp_path / "journal"), "pollInterval": "50ms"}
    backend = ConfiguredBackend(load(config, {}))
    monkeypatch.setattr("pulumi_cloudretry.dynamic.provider._backend", lambda _config: backend)
    one = ActionProvider(DRS)
    one._config = "{}"
    return one


def test_the_dynamic_class_takes_it_up(provider: ActionProvider, tmp_path: Path, emulator: Emulator) -> None:
    path = left_open(tmp_path / "journal", KEY)
    created = provider.create({**INPUTS, "__journalKey": KEY})
    assert created.outs is not None
    assert created.outs["status"] == "Succeeded"
    assert not path.exists()
    assert emulator.requests("BatchRestoreTask") == []


def test_the_dynamic_class_forgets_it_with_its_resource(provider: ActionProvider, tmp_path: Path) -> None:
    created = provider.create({**INPUTS, "__journalKey": KEY})
    path = left_open(tmp_path / "journal", KEY)
    assert created.outs is not None
    provider.delete(created.id or "", created.outs)
    assert not path.exists()
