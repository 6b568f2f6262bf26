"""Whether a process that holds a fire still lives. On this machine a lock tells, which ends with the process."""

from __future__ import annotations

import contextlib
import os
import secrets
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path

from filelock import FileLock, Timeout

from cloudretry.errors import JournalError
from cloudretry.ledger.fires import Holder
from cloudretry.ledger.store import Folder

__all__ = ["LockedSessions"]

_DAY = 24 * 3600.0


class LockedSessions:
    """One session for each process, begun with its first entry: a file that the process holds locked."""

    def __init__(self, folder: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._folder = folder
        self._mutex = threading.Lock()
        self._lock: FileLock | None = None
        self.holder = Holder(secrets.token_hex(8), _where(environ))

    def begin(self) -> None:
        """Be known to live, from the first entry until :meth:`end`.

        :raises JournalError: no lock can be had.
        """
        with self._mutex:
            if self._lock is not None:
                return
            Folder(self._folder.parent).own(self._folder)
            self._sweep()
            try:
                lock = self._of(self.holder.session)
                lock.acquire(timeout=0)
            except (OSError, Timeout, NotImplementedError) as error:
                why = getattr(error, "strerror", None) or "the file system has no locks"
                raise JournalError(
                    f"no lock can be had in the journal's folder {self._folder} ({why}), so it cannot be known who is "
                    "at work, and nothing was fired. Point journalDir to a folder on a local disk"
                ) from None
            self._lock = lock

    def lives(self, session: str) -> bool:
        """Whether the process of this session is known to live."""
        if session == self.holder.session:
            return True
        path = self._folder / f"{session}.lock"
        if not path.exists():
            return False
        lock = self._of(session)
        try:
            lock.acquire(timeout=0)
        except (OSError, Timeout, NotImplementedError):
            return True
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        lock.release()
        return False

    def end(self) -> None:
        """Everything that this process has sent is back."""
        with self._mutex:
            if self._lock is not None:
                with contextlib.suppress(OSError):
                    (self._folder / f"{self.holder.session}.lock").unlink(missing_ok=True)
                self._lock.release()
                self._lock = None

    def _of(self, session: str) -> FileLock:
        return FileLock(self._folder / f"{session}.lock", thread_local=False, mode=0o600, fallback_to_soft=False)

    def _sweep(self) -> None:
        """Remove what dead processes left. One that has just made its file and not locked it yet is not so old."""
        for path in self._folder.glob("*.lock"):
            with contextlib.suppress(OSError):
                if time.time() - path.stat().st_mtime > _DAY:
                    self.lives(path.stem)


def _where(environ: Mapping[str, str]) -> str:
    """Where this process runs, for people: the machine, the process, and the job of the pipeline."""
    server, repository, run = (environ.get(f"GITHUB_{name}") for name in ("SERVER_URL", "REPOSITORY", "RUN_ID"))
    github = f"{server}/{repository}/actions/runs/{run}" if server and repository and run else ""
    job = github or environ.get("CI_JOB_URL") or environ.get("BUILD_URL") or ""
    return " ".join(filter(None, (f"process {os.getpid()} on {socket.gethostname()}", job and f"({job})")))
