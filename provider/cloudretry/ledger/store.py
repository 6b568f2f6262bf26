"""Where a ledger's entries are kept: five calls are all that it asks of a store.

Names are relative paths with ``/``. What :meth:`Store.create` has put there is never changed, and is there as a whole
or not at all, whatever happens to the process or the machine.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

from cloudretry.errors import JournalError
from cloudretry.folders import make_private

__all__ = ["Folder", "Store"]


class Store(Protocol):
    """A place that several processes write to. Blocking; safe to call from many threads."""

    @property
    def where(self) -> str:
        """The store in words, without credentials."""

    def create(self, name: str, data: bytes, *, durable: bool = True) -> bool:
        """Put this there, unless something of that name is there already: then false, and nothing has changed.

        What is not ``durable`` may be gone again after a loss of power.

        :raises JournalError: it cannot be written.
        """

    def read(self, name: str) -> bytes:
        """What is there.

        :raises FileNotFoundError: nothing is.
        :raises JournalError: it cannot be read.
        """

    def names(self, prefix: str) -> dict[str, float]:
        """What is there below the folder ``prefix``, without it, and when it was written by the store's own clock, in
        seconds.

        :raises JournalError: it cannot be listed.
        """

    def remove(self, name: str) -> None:
        """Take it away, if it is there.

        :raises JournalError: it cannot be removed.
        """


class Folder:
    """A store in a folder of this machine.

    Its folders belong to the user who writes there and to nobody else: who could write to them could forge a fire.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @property
    def where(self) -> str:
        return str(self.path)

    def create(self, name: str, data: bytes, *, durable: bool = True) -> bool:
        path = self.path / name
        draft = path.with_name(f".{secrets.token_hex(8)}.draft")
        with self._told("written", _WRITABLE):
            self.own(path.parent)
            try:
                _write(draft, data)
                # Unlike a rename, a link never takes the place of what is there.
                os.link(draft, path)
            except FileExistsError:
                return False
            finally:
                with contextlib.suppress(OSError):
                    draft.unlink(missing_ok=True)
            if durable:
                _sync(path.parent)
        return True

    def read(self, name: str) -> bytes:
        with self._told("read", "Make it readable"):
            descriptor = os.open(self.path / name, os.O_RDONLY | _NO_LINK)
            with open(descriptor, "rb") as file:
                return file.read()

    def names(self, prefix: str) -> dict[str, float]:
        found: dict[str, float] = {}
        with self._told("read", "Make it readable"):
            try:
                with os.scandir(self.path / prefix) as entries:
                    for entry in entries:
                        try:
                            at = entry.stat(follow_symlinks=False).st_mtime
                        except FileNotFoundError:
                            continue  # Another process's draft, or garbage: it went after it was listed.
                        if not entry.name.startswith("."):
                            found[entry.name] = at
                        elif time.time() - at > _LITTER:
                            Path(entry.path).unlink(missing_ok=True)
            except (FileNotFoundError, NotADirectoryError):
                return {}
            self._refuse_strangers(self.path / prefix)
        return found

    def remove(self, name: str) -> None:
        with self._told("written", "Make it writable"):
            (self.path / name).unlink(missing_ok=True)

    def own(self, folder: Path) -> None:
        """See that the folder is there and that nobody else can write to it.

        :raises JournalError: it cannot be made, or is somebody else's.
        """
        with self._told("written", _WRITABLE):
            make_private(folder)
            if not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR))
            self._refuse_strangers(folder)

    def _refuse_strangers(self, folder: Path) -> None:
        """Whoever can write to one of the folders above could put another one in the place of this."""
        for one in (folder, *folder.parents):
            _refuse_strangers(one)
            if one == self.path:
                break

    @contextlib.contextmanager
    def trial(self) -> Iterator[Path]:
        """See that entries could be created, in a folder inside of this one that is gone again afterwards. Where this
        one is not there yet, it is tried where it would be made.

        :raises JournalError: they could not.
        """
        with self._told("written", _WRITABLE):
            nearest = next(path for path in (self.path, *self.path.absolute().parents) if os.path.lexists(path))
            if nearest == self.path:
                _refuse_strangers(nearest)
            with tempfile.TemporaryDirectory(prefix=".trial-", dir=nearest) as name:
                _write(Path(name) / "draft", b"")
                os.link(Path(name) / "draft", Path(name) / "entry")
                yield Path(name)

    @contextlib.contextmanager
    def _told(self, what: str, remedy: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            if isinstance(error, FileNotFoundError) and what == "read":
                raise
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                remedy = "Free some space, point journalDir to another disk"
            elif error.errno in (errno.EPERM, errno.ENOTSUP, errno.EMLINK) and what == "written":
                remedy = "Point journalDir to a folder on a disk with hard links"
            raise JournalError(
                f"the journal at {self.path} cannot be {what} ({error.strerror}), so nothing was fired. "
                f"{remedy}, or set journalEnabled: false to fire without a journal"
            ) from None


_LITTER = 24 * 3600.0
"""Seconds after which a draft is what a process has left that died."""

_WRITABLE = "Point journalDir to a folder that can be written"
_NO_LINK = getattr(os, "O_NOFOLLOW", 0)
_AS_IT_IS = getattr(os, "O_BINARY", 0)
"""Windows would write other line ends."""


def _write(path: Path, data: bytes) -> None:
    """Write and sync. A disk that takes only a part of it is an error."""
    left = memoryview(data)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _AS_IT_IS, 0o600)
    try:
        while left:
            left = left[os.write(descriptor, left) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync(folder: Path) -> None:
    if sys.platform == "win32":
        return  # A folder has nothing to sync there.
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_strangers(folder: Path) -> None:
    """See that the folder is the user's own.

    :raises JournalError: somebody else could write to it.
    """
    found = os.lstat(folder)
    if stat.S_ISLNK(found.st_mode):
        why = "is a link"
    elif sys.platform != "win32" and found.st_uid != os.geteuid():
        why = f"belongs to another user (uid {found.st_uid})"
    elif sys.platform != "win32" and found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        why = "can be written by other users"
    else:
        return
    raise JournalError(
        f"the journal's folder {folder} {why}, so what is in it is not believed and nothing was fired. Remove it, or "
        "point journalDir to a folder of your own"
    )
