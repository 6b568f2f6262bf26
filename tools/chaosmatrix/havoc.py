"""Trouble that is not the cloud's: a disk that is full, and a clock that jumps."""

from __future__ import annotations

import contextlib
import resource
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path

__all__ = ["Clock", "Disk", "fill_for"]

_SHIFTED = """\
import os, sys, time
_true = time.time
def _shifted():
    if sys._getframe(1).f_globals.get("__name__", "").startswith("grpc"):
        return _true()
    with open(os.environ["CHAOS_CLOCK"], encoding="utf-8") as file:
        return _true() + float(file.read() or 0)
if {"cloudretry.plugin.main", "pulumi.dynamic"} & set(sys.orig_argv):
    time.time = _shifted
"""


class Clock:
    """The wall clock of the provider processes that are started with its environment; the monotonic one goes on.

    Nobody but root can set a machine's clock, and nobody should. So ``time.time``, where the provider takes the time
    from, is moved in its process by a ``sitecustomize`` that reads the offset from a file each time. gRPC alone keeps
    the true time: its core would, and the two must agree.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True)
        self._offset = folder / "offset"
        (folder / "sitecustomize.py").write_text(_SHIFTED, encoding="utf-8")
        self.environment: Mapping[str, str] = {"PYTHONPATH": str(folder), "CHAOS_CLOCK": str(self._offset)}
        self.jump(0.0)

    def jump(self, seconds: float) -> None:
        """Set it apart from the true time."""
        draft = self._offset.with_suffix(".new")
        draft.write_text(str(seconds), encoding="utf-8")
        draft.replace(self._offset)


class Disk:
    """A file system of 64 KiB without a free byte in it, until :meth:`free`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=64k", "chaos", str(folder)], check=True, capture_output=True
        )
        self._ballast = folder / "ballast"
        with contextlib.suppress(OSError), self._ballast.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(4096))

    @staticmethod
    def is_possible(folder: Path) -> bool:
        """Whether this process may mount."""
        try:
            Disk(folder).close()
        except (OSError, subprocess.CalledProcessError):
            shutil.rmtree(folder, ignore_errors=True)
            return False
        return True

    def free(self) -> None:
        self._ballast.unlink(missing_ok=True)

    def close(self) -> None:
        subprocess.run(["umount", "-l", str(self.folder)], check=True, capture_output=True)
        self.folder.rmdir()


def fill_for(pids: Iterable[int]) -> None:
    """Let no write of these processes make a file longer: a full disk that needs no privilege."""
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, 0))
