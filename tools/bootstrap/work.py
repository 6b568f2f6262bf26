"""Running programs, saying what goes on, and letting one set-up at a time do a thing."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from pathlib import Path
from typing import TextIO

_HEARTBEAT = 20.0  # seconds between two lines about a program that says nothing by itself
_POLL = 0.2  # seconds between two looks at what other threads and processes do
_KEPT_LINES = 15  # of the output of a program that failed


class SetupError(Exception):
    """What is missing or went wrong, and the remedy, in one line for people."""


class Cancelled(Exception):
    """The set-up is being ended: another part of it has failed, or somebody pressed Ctrl-C."""


class ProgramError(SetupError):
    """A program ended with an error; `output` is all that it wrote."""

    def __init__(self, what: str, output: str) -> None:
        self.output = output
        tail = output.strip().splitlines()[-_KEPT_LINES:]
        super().__init__("\n".join([f"{what} failed. Its last words:", *(f"    {line}" for line in tail)]))


class Work:
    """The running programs of one set-up: started, reported on with the time so far, ended together."""

    def __init__(self, out: TextIO = sys.stderr) -> None:
        self._out = out
        self._start = time.monotonic()
        self._lock = threading.Lock()
        self._programs: set[subprocess.Popen[str]] = set()
        self._cancelled = threading.Event()

    def say(self, line: str) -> None:
        """Print one line with the seconds since the start."""
        seconds = int(time.monotonic() - self._start)
        print(f"[{seconds // 60}:{seconds % 60:02}] {line}", file=self._out, flush=True)

    def run(
        self,
        what: str,
        command: Sequence[str | Path],
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float | None = None,
        progress: Callable[[int], str] | None = None,
    ) -> str:
        """Run a program to its end and return its output.

        progress turns the number of lines seen so far into words for the line that is printed now and then.
        Raises ProgramError, with `what` as the name of the thing, if it fails or outlives timeout (seconds).
        """
        with self._lock:
            if self._cancelled.is_set():
                raise Cancelled
            program = subprocess.Popen(
                [str(part) for part in command],
                cwd=cwd,
                env=None if env is None else dict(env),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
            self._programs.add(program)
        lines: list[str] = []

        def read() -> None:
            assert program.stdout is not None
            with program.stdout:
                lines.extend(program.stdout)

        reader = threading.Thread(target=read, daemon=True)
        reader.start()
        started = time.monotonic()
        try:
            while True:
                patience = _HEARTBEAT if timeout is None else min(_HEARTBEAT, timeout)
                try:
                    code = program.wait(patience)
                    break
                except subprocess.TimeoutExpired:
                    elapsed = time.monotonic() - started
                    if timeout is not None and elapsed >= timeout:
                        raise ProgramError(what, f"no end after {elapsed:.0f} s") from None
                    if progress is not None:
                        self.say(f"{what}: {progress(len(lines))}")
        finally:
            if program.poll() is None:
                program.kill()
                program.wait()
            with self._lock:
                self._programs.discard(program)
            reader.join()
        if self._cancelled.is_set():
            raise Cancelled
        if code != 0:
            raise ProgramError(what, "".join(lines))
        return "".join(lines)

    def cancel(self) -> None:
        """End all running programs and start no more."""
        with self._lock:
            self._cancelled.set()
            for program in self._programs:
                program.terminate()

    @contextlib.contextmanager
    def alone(self, lock: Path, waiting: str) -> Iterator[None]:
        """Hold a lock file; while another process holds it, say `waiting` once and wait.

        The lock goes when its holder dies, however that dies.
        """
        lock.parent.mkdir(parents=True, exist_ok=True)
        with lock.open("w") as file:
            said = False
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if not said:
                        self.say(waiting)
                        said = True
                if self._cancelled.wait(_POLL):
                    raise Cancelled
            yield

    def wait_for(self, event: threading.Event) -> None:
        """Wait until another part of the set-up sets event. Raises Cancelled when that part has failed."""
        while not event.wait(_POLL):
            if self._cancelled.is_set():
                raise Cancelled

    def together(self, *parts: Callable[[], object]) -> None:
        """Run parts at the same time; when one fails, end the others and raise its error."""
        with ThreadPoolExecutor(len(parts)) as pool:
            futures = [pool.submit(part) for part in parts]
            try:
                _, unfinished = wait(futures, return_when=FIRST_EXCEPTION)
            except BaseException:
                self.cancel()
                raise
            if unfinished:
                self.cancel()
        errors = [error for future in futures if (error := future.exception()) is not None]
        for error in sorted(errors, key=lambda error: isinstance(error, Cancelled)):
            raise error


def replace_text(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    new.write_text(text, encoding="utf-8")
    new.replace(path)
