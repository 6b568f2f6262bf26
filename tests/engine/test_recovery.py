"""docs/recovery.md, played: what the next run says and does after the engine, the plugin or the machine was lost."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from real_engine import ROOT, Project, Running
from test_cancel import children, command_of, waiting

pytestmark = [pytest.mark.engine, pytest.mark.plugin_only("the page tells what the plugin says")]

PAGE = (ROOT / "docs/recovery.md").read_text(encoding="utf-8")


def told(words: str, screen: str) -> bool:
    """Whether the words stand on the page, and on the screen with something for each ellipsis."""
    assert words in PAGE
    return re.search("[^\n]*".join(map(re.escape, words.split("…"))), screen) is not None


def journal_folder(project: Project) -> Path:
    return project.folder.parent / "home/pulumi/cloudretry/journal"


def journal(project: Project, *arguments: str) -> str:
    command = [ROOT / ".venv/bin/cloudretry", "journal", *arguments, "--journal-dir", journal_folder(project)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def kill_the_engine(running: Running) -> None:
    """Kill it, and wait until its plugins have ended by themselves."""
    plugins = [pid for pid in children(running.process.pid) if b"cloudretry.plugin.main" in command_of(pid)]
    assert plugins
    running.process.kill()
    deadline = time.monotonic() + 30
    while any(map(command_of, plugins)):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def killed_while_waiting(project: Project) -> None:
    """An `up` whose engine is killed while it waits, and a retry that then takes hold."""
    waiting(project)
    with project.started("up", "--yes", "--skip-preview") as running:
        running.wait_until(lambda: "waiting for slow: STARTJOBING" in running.text)
        kill_the_engine(running)
    project.emulator.set_state("slow", "FULL_TRANSFER_STARTED")


@pytest.mark.also_on_the_oldest_engine
def test_after_the_engine_was_killed(project: Project) -> None:
    killed_while_waiting(project)

    locked = project.up(fails=True)

    assert told("error: the stack is currently locked by 1 lock(s). …", locked.text)
    fire, *_ = re.findall(r"^[0-9a-f]{16}", journal(project, "list"), re.MULTILINE)
    assert told("the next run goes on from the answer", journal(project, "show", fire[:4]))

    project.cancel()
    preview = project.preview()

    assert told("would take up a fire that was interrupted", preview.text)

    resumed = project.up()

    assert told(
        "the last run was interrupted after … (… answered), the first at …: taken up again, not fired again",
        resumed.text,
    )
    pending = "warning: Attempting to deploy or update resources with 1 pending operations from previous deployment."
    assert told(pending, resumed.text)
    assert journal(project, "list").startswith("no fire is open")

    assert told(pending, project.up("--expect-no-changes").text)
    project.refresh("--clear-pending-creates")

    assert pending not in project.up("--expect-no-changes").text
    assert project.newly_fired() == {"slow": 1}


def test_after_the_engine_was_killed_while_it_wrote_the_attributes(project: Project) -> None:
    killed_while_waiting(project)
    project.cancel()
    backend = project.folder.parent / "backend"
    (attributes,) = (backend / ".pulumi/stacks").glob("*/*.json.attrs")
    attributes.write_bytes(b"")

    assert told("error: failed to load checkpoint: EOF", project.up(fails=True).text)

    (command,) = re.findall(r"^\$ (find .*)$", PAGE, re.MULTILINE)
    subprocess.run(command, shell=True, cwd=backend, check=True)

    assert "taken up again, not fired again" in project.up().text
    assert not attributes.exists() or attributes.stat().st_size
    assert project.newly_fired() == {"slow": 1}
    assert project.newly_asked() == ["BatchRestoreTask"]


@pytest.mark.also_on_the_oldest_engine
def test_after_the_plugin_was_killed(project: Project) -> None:
    waiting(project)
    with project.started("up", "--yes", "--skip-preview") as running:
        running.wait_until(lambda: "waiting for slow: STARTJOBING" in running.text)
        for pid in children(running.process.pid):
            if b"cloudretry.plugin.main" in command_of(pid):
                os.kill(pid, signal.SIGKILL)
        ended = running.ended()
    project.emulator.set_state("slow", "FULL_TRANSFER_STARTED")

    assert ended.code != 0
    assert told("error reading from server: EOF", ended.text)
    assert told("exited prematurely", ended.text)
    assert told("taken up again, not fired again", project.up().text)
    assert project.newly_fired() == {"slow": 1}
    assert project.newly_asked() == ["BatchRestoreTask"]


def test_after_the_machine_was_lost_the_cloud_refuses_what_is_being_retried(project: Project) -> None:
    waiting(project)
    with project.started("up", "--yes", "--skip-preview") as running:
        running.wait_until(lambda: "waiting for slow: STARTJOBING" in running.text)
        kill_the_engine(running)
    shutil.rmtree(journal_folder(project))
    project.cancel()

    with project.started("up", "--yes", "--skip-preview") as resumed:
        resumed.wait_until(lambda: "waiting for slow: STARTJOBING" in resumed.text)
        project.emulator.set_state("slow", "FULL_TRANSFER_STARTED")
        ended = resumed.ended()

    assert ended.code == 0
    assert told("… is being retried already (…); nothing more is fired at it", ended.text)
    assert project.newly_fired() == {"slow": 1}
    assert project.newly_asked() == ["BatchRestoreTask"] * 2


def test_a_state_that_was_lost_is_imported_and_fires_nothing(project: Project) -> None:
    job = {"id": "jb1", "state": "FULL_TRANSFER_FAILED", "afterRetry": [["FULL_TRANSFER_STARTED", 0]]}
    project.emulator.set_scenario({"drsJobs": [job]})
    inputs = {"jobs": [{"jobId": "jb1"}], "triggers": {"release": "1"}}
    project.declare({"replication": {"type": "drs:JobBatchRetry", "inputs": inputs}})
    project.up()
    project.forget("replication")

    assert told("would fire …", project.preview().text)

    project.import_({"replication": ("drs:JobBatchRetry", "jb1")})
    project.up()
    project.up("--expect-no-changes")

    assert project.newly_fired() == {"jb1": 1}
    assert project.newly_asked() == ["BatchRestoreTask"]
