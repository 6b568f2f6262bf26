"""The measured part of docs/comparison.md: this provider and the page's own programs, on the emulator."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import pytest
from real_engine import PROJECT_ID, ROOT, Project

from cloudretry.emulator import CREDENTIALS, Emulator

pytestmark = pytest.mark.engine

PAGE = (ROOT / "docs/comparison.md").read_text(encoding="utf-8")
RECOVERS = [["STARTJOBING", 0], ["FULL_TRANSFER_STARTED", 0.5]]
FAILS = [["STARTJOBING", 0], ["FULL_TRANSFER_FAILED", 0.5]]


@pytest.fixture
def front() -> str:
    return "plugin"


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    return str(found)


def job(name: str, *after_retry: object) -> dict[str, Any]:
    return {"id": name, "state": "FULL_TRANSFER_FAILED", "afterRetry": list(after_retry)}


class Way(Protocol):
    """A way to retry the jobs."""

    def run(self) -> None:
        """Run it to its end, good or bad."""

    def kill(self, when: Callable[[], bool]) -> None:
        """Start it, and kill it once something is so."""


class OnTheEngine:
    def __init__(self, project: Project, jobs: list[str], program: str = "") -> None:
        self._project = project
        if program:
            project.environment |= {
                "CLOUD": cloud(project.emulator),
                "TOKEN": CREDENTIALS.token,
                "JOBS": " ".join(jobs),
            }
            (project.folder / "__main__.py").write_text(program, encoding="utf-8")
        else:
            inputs = {"jobs": [{"jobId": job} for job in jobs], "triggers": {"release": "1"}}
            project.declare({"replication": {"type": "drs:JobBatchRetry", "inputs": inputs}})

    def run(self) -> None:
        with self._project.started("up", "--yes", "--skip-preview") as running:
            running.ended()

    def kill(self, when: Callable[[], bool]) -> None:
        with self._project.started("up", "--yes", "--skip-preview") as running:
            running.wait_until(when)
            os.killpg(running.process.pid, signal.SIGKILL)
            running.process.wait()
        self._project.cancel()


class Script:
    def __init__(self, folder: Path, emulator: Emulator, jobs: list[str]) -> None:
        script = folder / "retry.sh"
        script.write_text(block("sh"), encoding="utf-8")
        self._command = ["sh", script, *jobs]
        self._environment = {"PATH": os.environ["PATH"], "CLOUD": cloud(emulator), "TOKEN": CREDENTIALS.token}

    def run(self) -> None:
        subprocess.run(self._command, env=self._environment, capture_output=True, timeout=60, check=False)

    def kill(self, when: Callable[[], bool]) -> None:
        with subprocess.Popen(
            self._command, env=self._environment, stdout=subprocess.DEVNULL, start_new_session=True
        ) as running:
            deadline = time.monotonic() + 30
            while not when():
                assert time.monotonic() < deadline
                time.sleep(0.02)
            os.killpg(running.pid, signal.SIGKILL)


def cloud(emulator: Emulator) -> str:
    return f"{emulator.url}/v3/{PROJECT_ID}"


def way(name: str, project: Project, jobs: list[str]) -> Way:
    if name == "a script":
        return Script(project.folder, project.emulator, jobs)
    return OnTheEngine(project, jobs, block("python") if name == "plain `pulumi.dynamic`" else "")


def two_runs(it: Way, _clouds: Emulator) -> None:
    it.run()
    it.run()


def a_lost_answer(it: Way, clouds: Emulator) -> None:
    clouds.add_fault("BatchRestoreTask", drop="after")
    it.run()
    it.run()


def a_kill(it: Way, clouds: Emulator) -> None:
    clouds.add_fault("BatchRestoreTask", delay=20, after=True)
    it.kill(lambda: clouds.target("jb1").times_fired > 0)
    it.run()


def a_504(it: Way, clouds: Emulator) -> None:
    clouds.add_fault("BatchRestoreTask", status=504, after=True)
    it.run()


def a_429(it: Way, clouds: Emulator) -> None:
    clouds.add_fault("BatchRestoreTask", status=429, headers={"Retry-After": "0"})
    it.run()


def a_part_fails(it: Way, _clouds: Emulator) -> None:
    it.run()
    it.run()


ROWS: dict[str, tuple[Callable[[Way, Emulator], None], list[dict[str, Any]]]] = {
    "two runs, nothing changed between them": (two_runs, [job("jb1", RECOVERS)]),
    "the answer is lost on its way, then a second run": (a_lost_answer, [job("jb1", RECOVERS)]),
    "killed between request and answer, then a second run": (a_kill, [job("jb1", RECOVERS)]),
    "a 504 although the retry had begun, in one run": (a_504, [job("jb1", RECOVERS)]),
    "a 429, in one run": (a_429, [job("jb1", RECOVERS)]),
    "one task of three fails, then a second run: tasks asked for in all": (
        a_part_fails,
        [job("jb1", RECOVERS), job("jb2", FAILS, RECOVERS), job("jb3", RECOVERS)],
    ),
}


def told() -> dict[str, dict[str, int]]:
    """The measurements on the page: by row, then by way."""
    _, _, measured = PAGE.partition("## Measured")
    lines = re.findall(r"^\| (.*) \|$", measured, re.MULTILINE)
    head, _, *rows = ([cell.strip() for cell in line.split(" | ")] for line in lines)
    names = [name.removeprefix("| ") for name in head[-3:]]
    return {row[0]: dict(zip(names, map(int, row[1:]), strict=True)) for row in rows}


TOLD = told()


def test_the_page_has_every_row_and_no_other_block() -> None:
    assert TOLD.keys() == ROWS.keys()
    assert re.findall(r"^```(\w+)$", PAGE, re.MULTILINE) == ["sh", "python"]


def test_the_script_is_in_order(tmp_path: Path) -> None:
    script = tmp_path / "retry.sh"
    script.write_text(block("sh"), encoding="utf-8")
    linted = subprocess.run(
        [Path(sys.executable).with_name("shellcheck"), script], capture_output=True, text=True, check=False
    )
    assert linted.stdout == ""


@pytest.mark.parametrize("row", ROWS)
@pytest.mark.parametrize("name", ["this provider", "plain `pulumi.dynamic`", "a script"])
def test_what_is_measured_is_on_the_page(name: str, row: str, project: Project) -> None:
    play, jobs = ROWS[row]
    clouds = project.emulator
    clouds.set_scenario({"drsJobs": jobs})
    play(way(name, project, [job["id"] for job in jobs]), clouds)
    requests = clouds.requests("BatchRestoreTask")
    count = sum(len(request.targets) for request in requests) if "tasks" in row else len(requests)
    assert count == TOLD[row][name]
