"""What a CI does with the example files: the steps of a job in their order, each as the CI starts and cancels it.

How the runners of GitHub and GitLab start, signal and end a step is taken from their sources: that is what the examples
have to get along with. What is not shell (`uses:` of GitHub) is played as far as the steps after it need it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from team import LONGEST_COMMAND, Team, git

from cloudretry.plugin.install import install

__all__ = [
    "GitHubJob",
    "GitLabJob",
    "Running",
    "Step",
    "cancelled_by_github",
    "cancelled_by_gitlab_in_a_container",
    "cancelled_by_gitlab_on_a_shell",
    "descendants",
]

NOT_SHELL = frozenset(
    {
        "actions/cache/restore",
        "actions/cache/save",
        "actions/checkout",
        "actions/setup-python",
        "actions/upload-artifact",
        "pulumi/actions",
    }
)
"""The actions that the examples may use. Only the checkout is played: the rest is on the runner, or comes after."""


@dataclass(frozen=True)
class Step:
    """A step that has ended."""

    code: int
    text: str


class Running:
    """A step on its way, in a process group of its own; its standard output is a file."""

    def __init__(self, script: str, folder: Path, environment: Mapping[str, str], *shell: str) -> None:
        file = folder / f".step-{time.monotonic_ns()}.sh"
        file.write_text(script, encoding="utf-8")
        self._screen = file.with_suffix(".txt").open("w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [*shell, str(file)],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._screen,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_heed_ctrl_c,
        )

    def __enter__(self) -> Running:
        return self

    def __exit__(self, *_: object) -> None:
        self.lose()
        self._screen.close()

    @property
    def text(self) -> str:
        """What stands on the screen by now."""
        return Path(self._screen.name).read_text(encoding="utf-8")

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Wait for something to be so while the step runs."""
        deadline = time.monotonic() + LONGEST_COMMAND
        while not condition():
            assert self.process.poll() is None, f"it has ended before:\n{self.text}"
            assert time.monotonic() < deadline, f"waited in vain:\n{self.text}"
            time.sleep(0.02)

    def ends_within(self, seconds: float) -> bool:
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def ended(self) -> Step:
        """Wait for its end."""
        return Step(self.process.wait(LONGEST_COMMAND), self.text)

    def lose(self) -> None:
        """What happens to the step when its machine is lost: every process of it is gone at once."""
        for pid in [self.process.pid, *descendants(self.process.pid)]:
            _kill(pid, signal.SIGKILL)
        # And those whose parent has ended before.
        _kill(-self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class GitHubJob:
    """A job of a workflow, for a commit: its steps with their environment, in a work folder of its own."""

    team: Team
    workflow: str
    job: str
    commit: str
    pull_request: int = 0

    def __post_init__(self) -> None:
        self.folder = self.team.folder / "github" / f"{self.job}-{time.monotonic_ns()}"
        self.folder.parent.mkdir(exist_ok=True)
        document = yaml.safe_load((self.team.desk / ".github/workflows" / self.workflow).read_text(encoding="utf-8"))
        self.steps: list[Mapping[str, Any]] = document["jobs"][self.job]["steps"]
        self.summary = self.folder.with_name(f"{self.folder.name}-summary.md")

    def run(self) -> dict[str, Step]:
        """Run the job to its end: a step that fails ends it, but for those that are `always()` run."""
        done: dict[str, Step] = {}
        failed = False
        for step in self.steps:
            condition = step.get("if")
            assert condition in (None, "always()"), condition
            if failed and condition is None:
                continue
            if self._is_played(step):
                continue
            with self._start(step) as running:
                done[step["name"]] = running.ended()
            failed = failed or done[step["name"]].code != 0
        return done

    def started(self, name: str) -> Running:
        """Run the steps before this one, and start it."""
        for step in self.steps:
            if step.get("name") == name:
                return self._start(step)
            if self._is_played(step):
                continue
            with self._start(step) as running:
                before = running.ended()
            assert before.code == 0, before.text
        raise LookupError(name)

    def _is_played(self, step: Mapping[str, Any]) -> bool:
        """Whether a step is done without its shell. A runner that is kept is installed once."""
        if step.get("name") == "Install":
            installed = self.team.is_installed
            self.team.is_installed = True
            return installed
        if "uses" not in step:
            return False
        action, _, _version = step["uses"].partition("@")
        assert action in NOT_SHELL, action
        if action == "actions/checkout":
            git(self.team.folder, "clone", "--quiet", "origin.git", str(self.folder))
            git(self.folder, "checkout", "--quiet", "--detach", f"origin/{ref}" if (ref := _ref(step)) else self.commit)
        return True

    def _start(self, step: Mapping[str, Any]) -> Running:
        given = {name: self._evaluated(value) for name, value in step.get("env", {}).items()}
        environment = {**self.team.environment, "GITHUB_STEP_SUMMARY": str(self.summary), **given}
        return Running(step["run"], self.folder, environment, "bash", "-e")

    def _evaluated(self, value: str) -> str:
        return re.sub(r"\$\{\{ *([\w.]+) *\}\}", lambda found: self._looked_up(found[1]), value)

    def _looked_up(self, name: str) -> str:
        context, _, rest = name.partition(".")
        if context in ("secrets", "vars"):
            return self.team.variables[rest]
        known = {"token": "token", "repository": "team/retries", "event.pull_request.number": str(self.pull_request)}
        assert context == "github", name
        return known[rest]


def _ref(step: Mapping[str, Any]) -> str:
    ref: str = step.get("with", {}).get("ref", "")
    return ref


def cancelled_by_github(running: Running) -> None:
    """Cancel a step: the runner signals the step's own process, and at last kills all that is left."""
    os.kill(running.process.pid, signal.SIGINT)
    if not running.ends_within(7.5):
        os.kill(running.process.pid, signal.SIGTERM)
        if not running.ends_within(2.5):
            running.lose()


@dataclass
class GitLabJob:
    """A job of a pipeline, for a commit, in a work folder of its own."""

    team: Team
    job: str
    commit: str

    def __post_init__(self) -> None:
        self.folder = self.team.folder / "gitlab" / f"{self.job}-{time.monotonic_ns()}"
        self.folder.parent.mkdir(exist_ok=True)
        # In the image of the job, this has been done.
        install(self.team.folder / "home/.pulumi")
        document = yaml.safe_load((self.team.desk / ".gitlab-ci.yml").read_text(encoding="utf-8"))
        self.defined: Mapping[str, Any] = document[self.job]
        git(self.team.folder, "clone", "--quiet", "origin.git", str(self.folder))
        git(self.folder, "checkout", "--quiet", "--detach", self.commit)

    def run(self) -> dict[str, Step]:
        """Run the job to its end: the script, and what comes after it however it ended."""
        done = {}
        for part in ("script", "after_script"):
            if part in self.defined:
                with self._start(part) as running:
                    done[part] = running.ended()
        return done

    def started(self) -> Running:
        return self._start("script")

    def _start(self, part: str) -> Running:
        lines = "\n".join(self.defined[part])
        # As the runner writes it: one shell waits for another, which has the lines.
        script = (
            "trap 'exit 1' TERM\nset -o pipefail; set -o errexit\n"
            f"(trap 'exit 1' TERM; eval {shlex.quote(lines)}) < /dev/null\nexit 0\n"
        )
        return Running(script, self.folder, {**self.team.environment, **self.team.variables}, "bash")


def cancelled_by_gitlab_on_a_shell(running: Running) -> None:
    """Cancel a job of the shell executor: all processes of its group are signalled, and have ten minutes."""
    os.killpg(running.process.pid, signal.SIGTERM)


def cancelled_by_gitlab_in_a_container(running: Running) -> None:
    """Cancel a job of the Docker executor: every process but the container's first is signalled, the youngest first.

    The next one has its turn when the one before has ended, or some seconds later. When the first one ends, so does the
    container, with all that is left in it.
    """
    for pid in sorted(descendants(running.process.pid), reverse=True):
        _kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 6
        while _is_alive(pid) and time.monotonic() < deadline:
            time.sleep(0.05)
    running.process.wait(LONGEST_COMMAND)
    running.lose()


def descendants(parent: int) -> list[int]:
    """The processes below one, on Linux."""
    try:
        tasks = list(Path(f"/proc/{parent}/task").glob("*/children"))
        children = [int(pid) for task in tasks for pid in task.read_text(encoding="utf-8").split()]
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [pid for child in children for pid in (child, *descendants(child))]


def _is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(") ")[2][:1]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def _kill(pid: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _heed_ctrl_c() -> None:
    # A job in the background of a script hands on to its children that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
