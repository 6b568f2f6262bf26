"""The fleet on the emulator: what is fired, what is left, and how it ends."""

from __future__ import annotations

import os
import re
import runpy
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from pulumi_cloudretry.testing import EmulatedClouds, Scenario, StackFactory, recorded

PROGRAM = Path(__file__).with_name("fleet.py")
TEAM = "7c1a1f2d9a0b4d3f8e5b6a7c8d9e0f10"

SCENARIO: Scenario = {
    "projects": [{"id": TEAM, "name": "eu-de_team"}],
    "drsJobs": [
        {
            "id": "weak",
            "project": "eu-de_team",
            "state": "FULL_TRANSFER_FAILED",
            "afterRetry": [["FULL_TRANSFER_STARTED", 0.1]],
        },
        {"id": "good", "state": "FULL_TRANSFER_FAILED", "afterRetry": [["FULL_TRANSFER_STARTED", 0.1]]},
        {"id": "broken", "state": "FULL_TRANSFER_FAILED", "refuse": {"code": "DRS.M00304", "message": "It is broken."}},
        {
            "id": "slow",
            "state": "FULL_TRANSFER_FAILED",
            "afterRetry": [["STARTJOBING", 0], ["FULL_TRANSFER_STARTED", 3600]],
        },
    ],
}


def drs(job: str, **knobs: Any) -> dict[str, Any]:
    return {"retries": {"retry": {"type": "drs.JobBatchRetry", "jobs": [{"job_id": job}], **knobs}}}


class Fleet:
    """The program as a process, on one file and one backend."""

    def __init__(self, folder: Path, environment: Mapping[str, str]) -> None:
        self._file = folder / "fleet.yaml"
        self._environment = {**os.environ, **environment}

    def declare(self, **stacks: Any) -> None:
        knobs, config = {"reconcile": True, "max_attempts": 2}, {"cloudretry:pollInterval": "200ms"}
        document = {"defaults": {"knobs": knobs, "config": config}, "stacks": stacks}
        self._file.write_text(yaml.safe_dump(document), encoding="utf-8")

    @contextmanager
    def started(self, *options: str) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            [sys.executable, PROGRAM, "--file", self._file, *options],
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.terminate()

    def run(self, *options: str) -> tuple[int, dict[str, str]]:
        with self.started(*options) as process:
            return ended(process)


def ended(process: subprocess.Popen[str]) -> tuple[int, dict[str, str]]:
    """Its exit code, and what it said of each stack."""
    output, _ = process.communicate()
    # Pulumi's SDK shows a traceback of its own for a program that is cancelled.
    assert not re.search(r'File "[^"]*/(?:cloudretry|pulumi_cloudretry|examples)/', output)
    return process.returncode, {said.split(maxsplit=1)[0]: said for said in re.split(r"\n(?=\w)", output)}


def words(said: Mapping[str, str]) -> dict[str, str]:
    """What became of each stack, in a word."""
    return {name: text.split()[1] for name, text in said.items() if not name.isdecimal()}


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def fleet(cloudretry_emulator: EmulatedClouds, cloudretry_stack: StackFactory, tmp_path: Path) -> Fleet:
    cloudretry_emulator.load(SCENARIO)
    return Fleet(tmp_path, cloudretry_stack.environment())


def test_each_stack_is_healed_or_fails_by_itself_and_a_second_run_fires_what_is_left(
    fleet: Fleet, cloudretry_emulator: EmulatedClouds
) -> None:
    def asked_for(job: str) -> int:
        return sum(job in request.targets for request in cloudretry_emulator.requests("BatchRestoreTask"))

    stacks = {
        "broken": drs("broken"),
        "orders": {**drs("weak"), "config": {"cloudretry:huaweicloud": {"projectId": TEAM}}},
    }
    fleet.declare(**stacks, misspelt=drs("weak", fireWhen="always"))
    code, said = fleet.run("--preview", "--only", "misspelt", "--only", "orders")

    assert (code, words(said)) == (1, {"misspelt": "failed", "orders": "due"})
    assert "unexpected keyword argument 'fireWhen'" in said["misspelt"]
    assert "retry: would fire 1 target" in said["orders"]
    assert cloudretry_emulator.fired() == {}

    fleet.declare(**stacks, stuck={**drs("slow"), "timeout": 5})
    code, said = fleet.run()

    assert (code, words(said)) == (1, {"broken": "failed", "orders": "healed", "stuck": "left"})
    assert "broken: DRS.M00304: It is broken" in said["broken"]
    assert "its time is over" in said["stuck"]
    assert "3 stacks: 1 failed, 1 healed, 1 left; " in said["3"]
    assert (cloudretry_emulator.fired()["weak"], asked_for("broken")) == (1, 1)

    cloudretry_emulator.set_state("weak", "FULL_TRANSFER_FAILED")
    cloudretry_emulator.set_state("slow", "FULL_TRANSFER_STARTED")
    fleet.declare(**stacks, stuck=drs("slow"))
    code, said = fleet.run()

    found = words(said)
    # On a slow machine the first run had no time to fire at it.
    assert found.pop("stuck") in ("well", "healed")
    assert (code, found) == (1, {"broken": "failed", "orders": "healed"})
    assert (cloudretry_emulator.fired()["weak"], asked_for("broken")) == (2, 2)
    assert cloudretry_emulator.fired()["slow"] <= 1

    code, said = fleet.run("--only", "broken")

    assert (code, words(said)) == (1, {"broken": "failed"})
    assert "No attempts are left, so nothing is fired" in said["broken"]
    assert asked_for("broken") == 2


def test_when_it_is_told_to_end_the_running_stack_is_recorded_and_no_other_one_begins(
    fleet: Fleet, cloudretry_emulator: EmulatedClouds, cloudretry_stack: StackFactory
) -> None:
    fleet.declare(first=drs("slow"), second=drs("good"))
    with fleet.started("--at-once", "1") as process:
        wait_until(lambda: cloudretry_emulator.fired()["slow"] == 1)
        process.send_signal(signal.SIGTERM)
        code, said = ended(process)

    assert (code, words(said)) == (1, {"first": "left", "second": "left"})
    assert "the fleet was told to end (SIGTERM)" in said["first"]
    assert "The next `pulumi up` goes on waiting and fires nothing." in said["first"]
    assert "not begun: the fleet was told to end (SIGTERM)" in said["second"]
    assert recorded(cloudretry_stack(lambda: None, stack="first", project="fleet"))["retry"]["status"] == "InProgress"

    cloudretry_emulator.set_state("slow", "FULL_TRANSFER_STARTED")
    code, said = fleet.run()

    assert (code, words(said)) == (0, {"first": "well", "second": "healed"})
    assert cloudretry_emulator.fired() == {"slow": 1, "good": 1}


def test_when_it_is_killed_the_engine_goes_on_to_its_end(fleet: Fleet, cloudretry_emulator: EmulatedClouds) -> None:
    fleet.declare(first=drs("slow"))
    with fleet.started() as process:
        wait_until(lambda: cloudretry_emulator.fired()["slow"] == 1)
        process.kill()
        process.wait()

    code, said = fleet.run()
    assert (code, words(said)) == (1, {"first": "left"})

    cloudretry_emulator.set_state("slow", "FULL_TRANSFER_STARTED")
    wait_until(lambda: words(fleet.run()[1]) == {"first": "well"})
    assert cloudretry_emulator.fired() == {"slow": 1}


def test_of_two_runs_at_the_same_time_only_one_works_on_a_stack(
    fleet: Fleet, cloudretry_emulator: EmulatedClouds
) -> None:
    fleet.declare(first=drs("slow"), second=drs("good"))
    with fleet.started("--at-once", "1") as one:
        wait_until(lambda: cloudretry_emulator.fired()["slow"] == 1)
        code, said = fleet.run()

        assert (code, words(said)) == (1, {"first": "left", "second": "healed"})
        assert "another run is at work on it" in said["first"]

        cloudretry_emulator.set_state("slow", "FULL_TRANSFER_STARTED")
        code, said = ended(one)

    assert (code, words(said)) == (0, {"first": "healed", "second": "well"})
    assert cloudretry_emulator.fired() == {"slow": 1, "good": 1}


def test_the_example_names_what_the_built_in_emulator_holds(
    cloudretry_emulator: EmulatedClouds, cloudretry_stack: StackFactory
) -> None:
    done = subprocess.run(
        [sys.executable, PROGRAM],
        env={**os.environ, **cloudretry_stack.environment()},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert len(cloudretry_emulator.fired()) == 5
    assert set(cloudretry_emulator.fired().values()) == {1}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("stacks: {a: {}}", "is not the file of a fleet: KeyError: 'retries'"),
        ("stacks: [", "is not the file of a fleet: ParserError"),
        ("stacks: {a: {retries: {b: {type: drs.Retry}}}}", "module 'pulumi_cloudretry.drs' has no attribute 'Retry'"),
        ("stacks: {a: {retries: {}}}", "has no stack b"),
    ],
)
def test_what_cannot_be_begun_is_said_in_one_line(tmp_path: Path, text: str, words: str) -> None:
    file = tmp_path / "fleet.yaml"
    file.write_text(text, encoding="utf-8")
    main = runpy.run_path(str(PROGRAM))["main"]
    done = CliRunner().invoke(main, ["--file", str(file), "--only", "b"])
    assert (done.exit_code, done.stderr.count("\n")) == (1, 1)
    assert words in done.stderr
