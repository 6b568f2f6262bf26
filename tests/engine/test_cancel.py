"""Ctrl-C and SIGTERM end the waiting, not the retry; and nothing outlives the engine."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from real_engine import FRAME_OF_OURS, Project

pytestmark = [
    pytest.mark.engine,
    pytest.mark.plugin_only("the engine cannot cancel its provider, which waits on until it is killed"),
]

SLOW = {
    "id": "slow",
    "state": "FULL_TRANSFER_FAILED",
    "afterRetry": [["STARTJOBING", 0], ["FULL_TRANSFER_STARTED", 3600]],
}


@pytest.mark.also_on_the_oldest_engine
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_up_keeps_what_it_knows_and_the_next_up_goes_on_waiting(
    project: Project, number: signal.Signals
) -> None:
    waiting(project)
    with project.started("up", "--yes", "--skip-preview") as running:
        running.wait_until(lambda: "waiting for slow: STARTJOBING" in running.text)

        sent = time.monotonic()
        running.process.send_signal(number)
        cancelled = running.ended()

        assert time.monotonic() - sent < 10

    assert cancelled.code != 0
    assert not FRAME_OF_OURS.search(cancelled.text)
    said = project.said_of(cancelled, "replication")
    assert "cancelled while waiting; last seen STARTJOBING" in said
    assert "The next `pulumi up` goes on waiting and fires nothing." in said
    assert project.outputs("replication")["status"] == "InProgress"

    with project.started("up", "--yes", "--skip-preview") as resumed:
        resumed.wait_until(lambda: "waiting for slow: STARTJOBING" in resumed.text)
        project.emulator.set_state("slow", "FULL_TRANSFER_STARTED")
        assert resumed.ended().code == 0

    assert project.newly_fired() == {"slow": 1}
    assert project.newly_asked() == ["BatchRestoreTask"]
    assert project.outputs("replication")["status"] == "Succeeded"


@pytest.mark.also_on_the_oldest_engine
def test_the_plugin_ends_by_itself_when_the_engine_is_killed(project: Project) -> None:
    waiting(project)
    with project.started("up", "--yes", "--skip-preview") as running:
        running.wait_until(lambda: "waiting for slow: STARTJOBING" in running.text)
        plugins = [pid for pid in children(running.process.pid) if b"cloudretry.plugin.main" in command_of(pid)]
        assert plugins

        running.process.kill()
        running.process.wait()
        deadline = time.monotonic() + 5
        while any(command_of(pid) for pid in plugins) and time.monotonic() < deadline:
            time.sleep(0.05)
        left = [pid for pid in plugins if command_of(pid)]
        for pid in left:
            os.kill(pid, signal.SIGKILL)
        assert left == []


def waiting(project: Project) -> None:
    project.emulator.set_scenario({"drsJobs": [SLOW]})
    project.declare({"replication": {"type": "drs:JobBatchRetry", "inputs": {"jobs": [{"jobId": "slow"}]}}})


def children(parent: int) -> list[int]:
    """The processes that a process has started, on Linux."""
    return [int(pid) for tasks in Path(f"/proc/{parent}/task").glob("*/children") for pid in tasks.read_text().split()]


def command_of(pid: int) -> bytes:
    """The command line of a process; empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""
