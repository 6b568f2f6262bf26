"""The `cloudretry` executable as people and scripts run it: a process of its own, with or without a terminal."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import subprocess
import sys
import termios
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyte
from click.testing import CliRunner

from cloudretry.cli import main

EXECUTABLE = Path(sys.executable).with_name("cloudretry")
LONGEST = 60.0
"""Seconds after which a command hangs."""

DRS = "drs:JobBatchRetry"
SCENARIO: Mapping[str, Any] = {
    "pools": [
        {"name": "pool-a", "scopes": [{"scope": "Infer", "state": "EnableFailed", "afterRetry": [["Enabled", 0]]}]}
    ],
    "visualizationJobs": [{"id": "10", "state": "FAILED", "afterRetry": [["RUNNING", 0]]}],
    "workspaceJobs": [{"id": "task-1", "state": "FAILED", "newJobId": True, "afterRetry": [["SUCCESS", 0]]}],
    "drsJobs": [
        {
            "count": 12,
            "idFormat": "jb{n}",
            "state": "FULL_TRANSFER_FAILED",
            "failedReason": "The source database closed the connection.",
            "afterRetry": [["FULL_TRANSFER_STARTED", 0]],
        },
        {"id": "stuck", "state": "FULL_TRANSFER_FAILED", "afterRetry": [["STARTJOBING", 0]]},
        {"id": "lost", "state": "FULL_TRANSFER_FAILED", "afterRetry": [["STARTJOBING", 0], ["START_JOB_FAILED", 0.05]]},
        {"id": "refused", "state": "FULL_TRANSFER_FAILED", "refuse": {"code": "DRS.M00304", "message": "Not so."}},
        {"id": "healthy", "state": "INCRE_TRANSFER_STARTED"},
    ],
    "clusters": [
        {
            "id": "ehpc-1",
            "jobs": [{"count": 2, "idFormat": "{n}.scheduler", "state": "RUNNING", "afterRetry": [["RUNNING", 0]]}],
        }
    ],
}


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Standard output, which must be one JSON value and nothing else."""
        return json.loads(self.out)

    @property
    def problem(self) -> str:
        """The problem that a command with ``--json`` told, as its only output."""
        assert self.json.keys() == {"ok", "problem"}
        assert self.json["ok"] is False
        assert self.err == ""
        words: str = self.json["problem"]
        return words


class CommandLine:
    """Runs commands in a home of their own. All that is still running ends with :meth:`stop`."""

    def __init__(self, folder: Path, emulator: str | None) -> None:
        self.folder = folder
        self.home = folder / "pulumi-home"
        self.environment = {
            "PATH": os.pathsep.join([str(EXECUTABLE.parent), os.defpath]),
            "HOME": str(folder),
            "PULUMI_HOME": str(self.home),
            "LANG": "C.UTF-8",
            "TERM": "xterm-256color",
            "PYTHONWARNINGS": "error",
            "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true",
        }
        if emulator is not None:
            self.environment["CLOUDRETRY_EMULATOR"] = emulator
        self._running: list[subprocess.Popen[str] | subprocess.Popen[bytes]] = []

    @property
    def journal(self) -> Path:
        return self.home / "cloudretry/journal"

    def __call__(self, *arguments: object, stdin: str = "", **environment: str) -> Done:
        """Run a command to its end. Standard input, output and error are pipes."""
        process = self.start(*arguments, **environment)
        out, err = process.communicate(stdin, timeout=LONGEST)
        return Done(process.returncode, out, err)

    def bytes(self, *arguments: object) -> subprocess.CompletedProcess[bytes]:
        """Run a command to its end, and give what it printed as it came."""
        command = [EXECUTABLE, *map(str, arguments)]
        return subprocess.run(command, cwd=self.folder, env=self.environment, capture_output=True, check=False)

    def inside(self, *arguments: object) -> Done:
        """Run a command in this process, which is quicker: for one that ends before it has begun anything."""
        result = CliRunner().invoke(main, [*map(str, arguments)], env=self.environment)
        return Done(result.exit_code, result.stdout, result.stderr)

    def start(self, *arguments: object, program: Path = EXECUTABLE, **environment: str) -> subprocess.Popen[str]:
        """Run a command, or another program. Standard input, output and error are pipes."""
        process = subprocess.Popen(
            [program, *map(str, arguments)],
            cwd=self.folder,
            env={**self.environment, **environment},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._running.append(process)
        return process

    def terminal(
        self, *arguments: object, program: Path = EXECUTABLE, columns: int = 140, stdout: Any = None, **environment: str
    ) -> Terminal:
        """Run a command, or another program, on a terminal of so many columns; ``stdout`` may be elsewhere."""
        terminal = Terminal(
            [str(program), *map(str, arguments)], self.folder, {**self.environment, **environment}, columns, stdout
        )
        self._running.append(terminal.process)
        return terminal

    def stop(self) -> None:
        for process in self._running:
            if process.poll() is None:
                process.kill()
            if process.stdout is not None:
                process.communicate()
            process.wait()


class Terminal:
    """A process on a terminal, and what stands on its screen."""

    def __init__(
        self, command: list[str], folder: Path, environment: Mapping[str, str], columns: int, stdout: Any
    ) -> None:
        self._keyboard, terminal = pty.openpty()
        termios.tcsetwinsize(terminal, (50, columns))
        self._screen = pyte.Screen(columns, 50)
        self._stream = pyte.ByteStream(self._screen)
        self.written = b""
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=terminal,
            stdout=terminal if stdout is None else stdout,
            stderr=terminal,
            start_new_session=True,
            preexec_fn=_take_the_terminal,
        )
        os.close(terminal)

    @property
    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def shows_cursor(self) -> bool:
        return not self._screen.cursor.hidden

    def expect(self, *texts: str) -> None:
        """Wait until all of this stands on the screen at the same time."""
        deadline = time.monotonic() + LONGEST
        while not all(text in self.screen for text in texts):
            assert self._read(deadline), f"the screen never shows {texts}:\n{self.screen}"

    def type(self, keys: str) -> None:
        os.write(self._keyboard, keys.encode())

    def end(self) -> int:
        """Wait for the end of the process, and give its exit code; negative if a signal ended it."""
        deadline = time.monotonic() + LONGEST
        while self._read(deadline):
            pass
        os.close(self._keyboard)
        return self.process.wait(max(0.1, deadline - time.monotonic()))

    def _read(self, deadline: float) -> bool:
        """Take in what is written next; false at the end of it."""
        ready, _, _ = select.select([self._keyboard], [], [], max(0.0, deadline - time.monotonic()))
        assert ready, f"nothing more comes within {LONGEST} seconds:\n{self.screen}"
        try:
            chunk = os.read(self._keyboard, 65536)
        except OSError:
            # So a terminal says that nobody is at it any more.
            return False
        self.written += chunk
        self._stream.feed(chunk)
        return bool(chunk)


def _take_the_terminal() -> None:
    # So that Ctrl-C, typed on it, reaches the process; a job in the background hands on that it is ignored.
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)


__all__ = ["DRS", "EXECUTABLE", "SCENARIO", "CommandLine", "Done", "Terminal"]
