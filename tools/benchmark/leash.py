"""Every process of the benchmark ends with it, however it ends, and its folder goes with them.

Each command gets a session of its own, in which all that it starts stays. A small watcher is told of them and reads a
pipe: when that closes, the benchmark is gone.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from chaosmatrix.processes import Session

__all__ = ["Leash"]


class Leash:
    """The sessions that were started, and the folder that they work in."""

    def __init__(self, folder: Path) -> None:
        self._watcher = subprocess.Popen(
            [sys.executable, "-m", "benchmark.leash", str(folder)],
            cwd=Path(__file__).parents[1],
            stdin=subprocess.PIPE,
            start_new_session=True,
            text=True,
        )

    def close(self) -> None:
        """End what still runs and remove the folder."""
        assert self._watcher.stdin is not None
        self._watcher.stdin.close()
        self._watcher.wait()

    @contextmanager
    def started(
        self, command: Sequence[str | Path], *, env: Mapping[str, str], **streams: Any
    ) -> Iterator[subprocess.Popen[str]]:
        """A process that is gone after the block, with all that it started."""
        streams = {"stdin": subprocess.DEVNULL, **streams}
        process = subprocess.Popen(list(map(str, command)), env=dict(env), start_new_session=True, text=True, **streams)
        self._tell("+", process.pid)
        try:
            yield process
        finally:
            Session(process.pid).end()
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()
            self._tell("-", process.pid)

    def _tell(self, word: str, pid: int) -> None:
        assert self._watcher.stdin is not None
        self._watcher.stdin.write(f"{word} {pid}\n")
        self._watcher.stdin.flush()


def _watch(lines: IO[str], folder: Path) -> None:
    """Follow what is told; at its end, end what was not told to be over."""
    running: set[int] = set()
    for line in lines:
        word, pid = line.split()
        (running.add if word == "+" else running.discard)(int(pid))
    for leader in running:
        Session(leader).end()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    _watch(sys.stdin, Path(sys.argv[1]))
