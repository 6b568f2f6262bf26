"""The life of a resource, as docs/concepts.md tells it, played against the emulator."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from doc_pages import Page

from cloudretry import lifecycle
from cloudretry.actions import ACTIONS
from cloudretry.backend import ConfiguredBackend
from cloudretry.config import ProviderConfig
from cloudretry.emulator import Emulator

PAGE = Page(Path("docs/concepts.md"))
ACTION = ACTIONS["cloudretry:drs:JobBatchRetry"]
RECOVERS = [["STARTJOBING", 0], ["FULL_TRANSFER_STARTED", 0.3]]
FAILS = [["STARTJOBING", 0], ["FULL_TRANSFER_FAILED", 0.3]]
SCENARIO = {
    "drsJobs": [
        {"id": "jb1", "state": "FULL_TRANSFER_FAILED", "afterRetry": RECOVERS},
        {"id": "jb2", "state": "FULL_TRANSFER_FAILED", "afterRetry": [FAILS, RECOVERS]},
        {"id": "jb3", "state": "FULL_TRANSFER_FAILED", "afterRetry": RECOVERS},
    ]
}
PROGRAMS: list[tuple[list[str], str, dict[str, Any]]] = [
    (["jb1", "jb2"], "1", {}),
    (["jb1", "jb2"], "1", {}),
    (["jb1", "jb2"], "1", {}),
    (["jb1", "jb2"], "2", {}),
    (["jb1", "jb2", "jb3"], "2", {}),
    (["jb1", "jb2", "jb3"], "2", {"maxAttempts": 5}),
    (["jb2", "jb3"], "2", {"maxAttempts": 5}),
]
"""Targets, the trigger `release` and other inputs of each row of the table."""


class Life:
    """One resource over many runs, as the engine would have it."""

    def __init__(self, emulator: Emulator) -> None:
        self.emulator = emulator
        settings = {"emulator": emulator.url, "journalEnabled": False, "pollInterval": "100ms"}
        self.backend = ConfiguredBackend(ProviderConfig.model_validate(settings))
        self.identifier = ""
        self.outputs: dict[str, Any] | None = None
        self._counted: dict[str, int] = {}

    def up(self, jobs: list[str], release: str, more: dict[str, Any]) -> bool:
        """Run the program. Whether the `up` succeeds."""
        values = {"jobs": [{"jobId": job} for job in jobs], "triggers": {"release": release}, **more}
        for target in self.emulator.targets("drsJob"):
            if release == "2" and self.outputs and self.outputs["generation"] == 1:
                self.emulator.set_state(target.id, "FULL_TRANSFER_FAILED")
        done = asyncio.run(self._run(values))
        if done is None:
            return True
        self.identifier, self.outputs = done.resource_id, json.loads(json.dumps(done.outputs))
        return not done.failure

    async def _run(self, values: dict[str, Any]) -> lifecycle.Outcome | None:
        circumstances = lifecycle.Circumstances(timeout=60)
        if self.outputs is None:
            return await lifecycle.create(ACTION, values, self.backend, circumstances)
        if not lifecycle.diff(ACTION, self.outputs, values, self.backend.inherited(ACTION.cloud)).changes:
            return None
        return await lifecycle.update(ACTION, self.identifier, self.outputs, values, self.backend, circumstances)

    def newly_fired(self) -> list[str]:
        fired = {target.id: target.times_fired for target in self.emulator.targets("drsJob")}
        new = [key for key, times in fired.items() if times > self._counted.get(key, 0)]
        self._counted = fired
        return new


@pytest.fixture
def life() -> Iterator[Life]:
    with Emulator(SCENARIO) as emulator:
        playing = Life(emulator)
        yield playing
        playing.backend.close()


def rows() -> list[list[str]]:
    _, _, story = PAGE.text.partition("## The life of a resource")
    table = re.findall(r"^\| (\d.*) \|$", story, re.MULTILINE)
    return [[cell.strip() for cell in row.split("|")] for row in table]


def test_the_story_is_what_happens(life: Life) -> None:
    told = rows()
    assert len(told) == len(PROGRAMS)
    for (number, _, fires, status, generation, attempts), program in zip(told, PROGRAMS, strict=True):
        succeeded = life.up(*program)
        assert life.outputs is not None
        assert succeeded == (number != "1")
        assert life.newly_fired() == re.findall(r"`(\w+)`", fires), number
        assert f"`{life.outputs['status']}`" == status, number
        assert str(life.outputs["generation"]) == generation, number
        assert ", ".join(str(result["attempts"]) for result in life.outputs["results"]) == attempts, number


def test_the_outputs_on_the_page_are_those_after_the_second_up(life: Life) -> None:
    (block,) = (block for block in PAGE.blocks if block.language == "json")
    for program in PROGRAMS[:2]:
        life.up(*program)
    assert shape(json.loads(block.text)) == shape(life.outputs)


def shape(value: Any) -> Any:
    """The value without what is another at each run, times and random ids, and without what is not shown."""
    if isinstance(value, dict):
        return {key: shape(item) for key, item in value.items() if not key.startswith("__")}
    if isinstance(value, list):
        return [shape(item) for item in value]
    if isinstance(value, str):
        return re.sub(r"^([0-9a-f]{16}|[0-9a-f]{32})$", "id", re.sub(r"^\d{4}-\d\d-\d\dT[\d:]+Z$", "time", value))
    return value
