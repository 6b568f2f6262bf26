"""Where the engine looks for plugins: put this one there, or take it away.

The engine runs ``$PULUMI_HOME/plugins/resource-cloudretry-v<version>/pulumi-resource-cloudretry``, on Windows with
``.cmd`` at its end. What is put there is a few lines of shell that run the interpreter which this package is installed
in; nothing is copied.
"""

from __future__ import annotations

import os
import re
import secrets
import shlex
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from cloudretry.errors import ConfigurationError
from cloudretry.version import __version__

__all__ = ["EXECUTABLE", "FLAGS", "Installed", "ambient", "folder_of", "install", "launcher", "uninstall"]

EXECUTABLE = "pulumi-resource-cloudretry"

FLAGS = "-E -P"
"""Of the interpreter: what lies in the folder of the user's program or on PYTHONPATH is no module of ours. Packages
that are installed for the user alone still count, which ``-I`` would leave out.
"""
_FOLDER = re.compile(r"resource-cloudretry-v(\d.*)")


@dataclass(frozen=True, slots=True)
class Installed:
    """Where the plugin is, and whether anything had to be done for it."""

    executable: Path
    changed: bool


def folder_of(home: Path, version: str = __version__) -> Path:
    """The folder of a version of this plugin below the folder of the Pulumi CLI."""
    return home / "plugins" / f"resource-cloudretry-v{version}"


def install(home: Path, *, force: bool = False, interpreter: str = sys.executable) -> Installed:
    """Let the engine run the plugin with this interpreter. The executable is there whole or not at all.

    :raises ConfigurationError: another plugin of this version is there and ``force`` is not set, or the folder cannot
        be written.
    """
    folder = folder_of(home)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        # The engine's own installer holds the same lock.
        with FileLock(folder.with_name(f"{folder.name}.lock")):
            return _install(folder, *launcher(interpreter), force=force)
    except OSError as error:
        raise ConfigurationError(
            f"{folder.parent}: the plugin cannot be put there ({error.strerror}); mend that, or name another folder "
            "with PULUMI_HOME"
        ) from error


def _install(folder: Path, name: str, text: str, *, force: bool) -> Installed:
    executable = folder / name
    if _is_complete(folder) and _text(executable) == text and os.access(executable, os.X_OK):
        return Installed(executable, changed=False)
    if _is_complete(folder) and not force:
        raise ConfigurationError(
            f"{folder} holds this version already, installed from elsewhere. Run it again with --force to have this "
            "Python run instead"
        )
    # A name that the engine does not take for a plugin.
    draft = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
    draft.mkdir()
    (draft / name).write_text(text, encoding="utf-8", newline="")
    (draft / name).chmod(0o755)
    _remove(folder)
    draft.rename(folder)
    return Installed(executable, changed=True)


def uninstall(home: Path, *, every_version: bool = False) -> list[Path]:
    """Take the plugin away, with the installer's lock beside it. Returns the folders that were removed.

    :raises ConfigurationError: a folder cannot be removed.
    """
    folders = [folder_of(home)]
    if every_version:
        folders = sorted(path for path in (home / "plugins").glob("resource-cloudretry-v*") if _is_folder(path))
    removed = [folder for folder in folders if folder.is_dir()]
    try:
        for folder in removed:
            _remove(folder)
            folder.with_name(f"{folder.name}.lock").unlink(missing_ok=True)
    except OSError as error:
        raise ConfigurationError(f"{error.filename}: it cannot be removed ({error.strerror})") from error
    return removed


def ambient() -> Path | None:
    """An executable of this name on PATH: the engine prefers it to any installed one, and warns of it."""
    found = shutil.which(EXECUTABLE)
    return Path(found) if found else None


def launcher(interpreter: str, platform: str = sys.platform) -> tuple[str, str]:
    """The executable that runs the plugin with this interpreter: its name and its text."""
    head = f"cloudretry {__version__}, put here by `cloudretry plugin install`."
    gone = (
        f"cloudretry: {interpreter} is not there any more, and the plugin runs with it. Run "
        "'cloudretry plugin install --force' where pulumi-cloudretry is installed now"
    )
    if platform == "win32":
        python = interpreter.replace("%", "%%")
        # Without blocks in parentheses, which a path with one would end.
        lines = (
            "@echo off",
            # Only where it has to be: it is the console's, and stays.
            *(() if interpreter.isascii() else ("chcp 65001 >nul",)),
            f"rem {head}",
            f'if exist "{python}" goto run',
            f'echo "{gone.replace("%", "%%")}" 1>&2',
            "exit /b 1",
            ":run",
            f'"{python}" {FLAGS} -m cloudretry.plugin.main %*',
            "exit /b %errorlevel%",
        )
        return f"{EXECUTABLE}.cmd", "".join(f"{line}\r\n" for line in lines)
    python = shlex.quote(interpreter)
    lines = (
        "#!/bin/sh",
        f"# {head}",
        f"[ -x {python} ] || {{ printf '%s\\n' {shlex.quote(gone)} >&2; exit 1; }}",
        f'exec {python} {FLAGS} -m cloudretry.plugin.main "$@"',
    )
    return EXECUTABLE, "".join(f"{line}\n" for line in lines)


def _is_complete(folder: Path) -> bool:
    return folder.is_dir() and not _partial(folder).exists()


def _partial(folder: Path) -> Path:
    """What the engine's installer puts beside a folder that is not complete yet."""
    return folder.with_name(f"{folder.name}.partial")


def _is_folder(path: Path) -> bool:
    return path.is_dir() and _FOLDER.fullmatch(path.name) is not None


def _text(path: Path) -> str | None:
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError):
        return None


def _remove(folder: Path) -> None:
    if folder.exists():
        # Renamed first, so that nobody finds half of it.
        aside = folder.with_name(f".{folder.name}-{secrets.token_hex(4)}")
        folder.rename(aside)
        shutil.rmtree(aside)
    _partial(folder).unlink(missing_ok=True)
