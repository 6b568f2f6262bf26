"""A cancelled job: the signal reaches the engine, which saves its state; and the next run fires nothing."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable

import pytest
from ci import (
    GitHubJob,
    GitLabJob,
    Running,
    cancelled_by_github,
    cancelled_by_gitlab_in_a_container,
    cancelled_by_gitlab_on_a_shell,
    descendants,
)
from team import EXAMPLES, LONGEST_COMMAND, STACK, Team

pytestmark = pytest.mark.engine

SLOW = {
    "id": "slow",
    "state": "FULL_TRANSFER_FAILED",
    "afterRetry": [["STARTJOBING", 0], ["FULL_TRANSFER_STARTED", 3600]],
}

NEW_NAMESPACE = ("unshare", "--pid", "--fork", "--mount-proc", "--kill-child")
MAY_UNSHARE = (
    shutil.which("unshare") is not None
    and subprocess.run([*NEW_NAMESPACE, "true"], capture_output=True, check=False).returncode == 0
)


def on_github(team: Team, commit: str) -> Running:
    return GitHubJob(team, "up.yml", "up", commit).started("Up")


def on_gitlab(team: Team, commit: str) -> Running:
    return GitLabJob(team, "up", commit).started()


def impatiently(running: Running) -> None:
    """Send the second signal before the first has done its work."""
    running.process.send_signal(signal.SIGINT)
    running.process.send_signal(signal.SIGTERM)


@pytest.mark.parametrize(
    ("started", "cancelled"),
    [
        pytest.param(on_github, cancelled_by_github, id="GitHub"),
        pytest.param(on_gitlab, cancelled_by_gitlab_on_a_shell, id="GitLab-shell"),
        pytest.param(on_gitlab, cancelled_by_gitlab_in_a_container, id="GitLab-Docker"),
    ],
)
def test_a_cancelled_job_keeps_what_it_knows_and_the_next_one_goes_on_waiting(
    team: Team, started: Callable[[Team, str], Running], cancelled: Callable[[Running], None]
) -> None:
    commit = waiting(team)
    with started(team, commit) as running:
        running.wait_until(lambda: "waiting for slow: STARTJOBING" in running.text)
        cancelled(running)
        step = running.ended()
    assert step.code > 0, step.text
    assert "cancelled while waiting; last seen STARTJOBING" in step.text
    assert team.outputs("orders")["status"] == "InProgress"

    the_next_run_goes_on_and_fires_nothing(team, started, commit)


def test_a_second_signal_before_the_state_is_saved_costs_no_second_fire(team: Team) -> None:
    commit = waiting(team)
    with on_github(team, commit) as running:
        running.wait_until(lambda: "waiting for slow: STARTJOBING" in running.text)
        impatiently(running)
        assert running.ended().code != 0

    for fire in team.open_fires():
        if fire.handed:
            # The engine was given the outcome between the signals: that it was not saved, only a word can tell.
            word = ("journal", "resolve", fire.fire_id, "--taken-up", "--yes", "--journal-dir", team.volume / "journal")
            subprocess.run([sys.executable, "-m", "cloudretry.cli", *word], check=True, capture_output=True)

    the_next_run_goes_on_and_fires_nothing(team, on_github, commit)


@pytest.mark.skipif(not MAY_UNSHARE, reason="needs the right to make a PID namespace, as a container has")
def test_the_first_process_of_a_container_heeds_the_signal_of_its_end(team: Team) -> None:
    commit = waiting(team)
    job = GitHubJob(team, "up.yml", "up", commit)
    told = dict(
        re.findall(r"^(ENTRYPOINT|CMD) (.+)$", (EXAMPLES / "docker/Dockerfile").read_text("utf-8"), re.MULTILINE)
    )
    command = [*json.loads(told["ENTRYPOINT"]), *json.loads(told["CMD"]), "--stack", STACK]
    job.steps = [
        {**step, "run": shlex.join(["exec", *NEW_NAMESPACE, *command])} if step.get("name") == "Up" else step
        for step in job.steps
    ]
    with job.started("Up") as running:
        running.wait_until(lambda: "waiting for slow: STARTJOBING" in running.text)
        first = descendants(running.process.pid)[0]
        os.kill(first, signal.SIGTERM)
        step = running.ended()
    assert step.code != 0
    assert "cancelled while waiting; last seen STARTJOBING" in step.text
    assert team.outputs("orders")["status"] == "InProgress"


def test_a_shell_that_does_not_exec_keeps_the_signal_to_itself(team: Team) -> None:
    workflow = team.desk / ".github/workflows/up.yml"
    workflow.write_text(
        workflow.read_text(encoding="utf-8").replace("run: exec scripts/up.sh", "run: scripts/up.sh"), encoding="utf-8"
    )
    commit = waiting(team)
    with on_github(team, commit) as running:
        running.wait_until(lambda: "waiting for slow: STARTJOBING" in running.text)

        os.kill(running.process.pid, signal.SIGINT)
        goes_on(team)
        assert running.process.poll() is None

        os.kill(running.process.pid, signal.SIGTERM)
        assert running.ended().code == -signal.SIGTERM
        goes_on(team)

    assert "^C received" not in running.text
    assert "cancelled while waiting" not in running.text


def waiting(team: Team) -> str:
    team.emulator.set_scenario({"drsJobs": [SLOW]})
    team.declare(orders={"jobs": [{"job_id": "slow"}], "triggers": {"ticket": "1"}})
    return team.push("Retry the slow one")


def goes_on(team: Team) -> None:
    """Wait until an `up`, which knows of no cancel, has looked at its job some more times."""
    looked = len(team.emulator.requests())
    deadline = time.monotonic() + LONGEST_COMMAND
    while len(team.emulator.requests()) < looked + 5:
        assert time.monotonic() < deadline, "nobody looks"
        time.sleep(0.02)


def the_next_run_goes_on_and_fires_nothing(team: Team, started: Callable[[Team, str], Running], commit: str) -> None:
    with started(team, commit) as resumed:
        resumed.wait_until(lambda: "waiting for slow: STARTJOBING" in resumed.text)
        team.emulator.set_state("slow", "FULL_TRANSFER_STARTED")
        step = resumed.ended()
    assert step.code == 0, step.text
    assert team.newly_fired() == {"slow": 1}
    assert len(team.emulator.requests("BatchRestoreTask")) == 1
    assert team.outputs("orders")["status"] == "Succeeded"
    assert team.open_fires() == []
