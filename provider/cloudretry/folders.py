"""Folders and files of this machine: the engine's own, what settings name, and what is for one user alone."""

from __future__ import annotations

import codecs
import contextlib
import errno
import os
import stat
import sys
from collections.abc import Mapping
from pathlib import Path

from cloudretry.bounds import LONGEST_SETTINGS
from cloudretry.errors import ConfigurationError

__all__ = [
    "begins_with_mark",
    "expanded",
    "make_private",
    "make_private_file",
    "pulumi_home",
    "read_bytes",
    "read_text",
]

_MARKS = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
"""The byte order marks that editors of Windows put before a text, and what it is encoded in then."""


def pulumi_home(environ: Mapping[str, str] = os.environ) -> Path:
    """The folder of the Pulumi CLI, found as the CLI finds it: ``PULUMI_HOME``, or ``.pulumi`` in the account's home.

    A job in a container often has another ``HOME`` than its account; the CLI asks that only where there is no account.

    :raises ConfigurationError: there is neither.
    """
    if named := environ.get("PULUMI_HOME"):
        return Path(named)
    home = _home_of_account() or environ.get("HOME")
    if not home:
        raise ConfigurationError(
            "There is no folder of the Pulumi CLI: this user has no home. Set PULUMI_HOME to a folder that can be "
            "written, or HOME"
        )
    return Path(home, ".pulumi")


def _home_of_account() -> str:
    """The home of the account that this process runs as; empty if there is no such account."""
    if sys.platform == "win32":
        return os.path.expanduser("~")
    import pwd

    try:
        return pwd.getpwuid(os.getuid()).pw_dir
    except KeyError:
        return ""


def expanded(path: str) -> Path:
    """The path of a setting, with ``~`` and ``~user`` as a shell reads them.

    :raises ConfigurationError: there is no such home. The text does not name the path, for whoever may not.
    """
    try:
        return Path(path).expanduser()
    except RuntimeError:
        own = Path(path).parts[0] == "~"
        words = "this user has no home: set HOME, or write the path in full" if own else "there is no user of that name"
        raise ConfigurationError(words) from None


def read_text(path: Path, limit: int = LONGEST_SETTINGS) -> str:
    """A file of settings: UTF-8, or with a byte order mark what that says. ``-`` is standard input.

    :raises OSError: it cannot be read.
    :raises ValueError: it is not text, or has more than ``limit`` bytes.
    """
    content = read_bytes(path, limit)
    return content.decode(_marked(content) or "utf-8")


def read_bytes(path: Path, limit: int) -> bytes:
    """What is in a file; ``-`` is standard input.

    :raises OSError: it cannot be read.
    :raises ValueError: it has more than ``limit`` bytes.
    """
    with contextlib.nullcontext(sys.stdin.buffer) if str(path) == "-" else path.open("rb") as file:
        content = file.read(limit + 1)
    if len(content) > limit:
        raise ValueError(f"it has more than {limit} bytes")
    return content


def begins_with_mark(path: Path) -> bool:
    """Whether a file begins with a byte order mark. False if it cannot be read."""
    try:
        with path.open("rb") as file:
            return bool(_marked(file.read(4)))
    except OSError:
        return False


def _marked(content: bytes) -> str:
    return next((encoding for mark, encoding in _MARKS.items() if content.startswith(mark)), "")


def make_private(folder: Path) -> None:
    """Make a folder, and what is missing above it, for this user alone. What is there stays as it is.

    :raises OSError: it cannot be made.
    """
    missing = []
    while not folder.is_dir():
        missing.append(folder)
        folder = folder.parent
    for one in reversed(missing):
        with contextlib.suppress(FileExistsError):
            one.mkdir(mode=0o700)


def make_private_file(path: Path) -> None:
    """See that there is a file that is this user's own and that nobody else can read: an empty one, if there is none.

    Windows gives each user's folders to that user alone, and knows no modes.

    :raises OSError: it cannot be made, belongs to somebody else, or is a link, which may lead anywhere.
    """
    try:
        # It is not opened if it is there: to close it would take away the locks that SQLite holds on it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    except FileExistsError:
        found = path.lstat()
        if stat.S_ISLNK(found.st_mode):
            raise OSError(errno.ELOOP, "it is a link; name the file itself", str(path)) from None
        if not stat.S_ISREG(found.st_mode):
            raise OSError(errno.EINVAL, "it is not a file", str(path)) from None
        if sys.platform != "win32":
            if found.st_uid != os.geteuid() != 0:
                raise PermissionError(errno.EPERM, f"it belongs to user {found.st_uid}", str(path)) from None
            if stat.S_IMODE(found.st_mode) & 0o077:
                path.chmod(0o600)
