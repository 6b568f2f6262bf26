"""What Windows does not have, taken away from our modules: the nearest that these tests come to a real one.

Other packages keep what they need of the system that they really run on.
"""

from __future__ import annotations

import asyncio
import builtins
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from types import ModuleType
from typing import Any

__all__ = ["COMMAND_LINE", "PLUGIN", "pretend"]

# Without the package above, which imports some of ours.
_START = f"import sys; sys.path.insert(0, {os.path.dirname(__file__)!r}); from windows import pretend; pretend(); "
COMMAND_LINE = (sys.executable, "-c", f"{_START}from cloudretry.__main__ import main; main()")
PLUGIN = (sys.executable, "-c", f"{_START}from cloudretry.plugin.main import main; main()")

_MODULES = frozenset({"fcntl", "grp", "pty", "pwd", "resource", "termios", "tty"})
_THERE: Mapping[str, Mapping[str, Any]] = {
    "sys": {"platform": "win32"},
    "os": {"name": "nt"},
    # It stands for the other one, and can be sent here.
    "signal": {"SIGBREAK": signal.SIGUSR1},
}
"""What is otherwise in a module."""

_NOT_THERE = frozenset(
    {"O_DIRECTORY", "O_NOFOLLOW", "SIGPIPE", "fchmod", "fork", "geteuid", "getpgid", "getuid", "killpg"}
)


class _Elsewhere(ModuleType):
    """A module as it is there."""

    def __init__(self, here: ModuleType) -> None:
        super().__init__(here.__name__)
        self._here = here
        self.__dict__.update(_THERE[here.__name__])

    def __getattr__(self, name: str) -> Any:
        if name in _NOT_THERE:
            raise AttributeError(f"there is no {name} on Windows")
        return getattr(self._here, name)


def pretend() -> None:
    """Be on Windows from now on, as far as our modules can see."""
    elsewhere = {module.__name__: _Elsewhere(module) for module in (sys, os, signal)}
    imported = builtins.__import__

    def guarded(
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the names that Python calls it with
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> ModuleType:
        if str((globals or {}).get("__name__")).partition(".")[0] in ("cloudretry", "pulumi_cloudretry"):
            if name in elsewhere:
                return elsewhere[name]
            if name.partition(".")[0] in _MODULES:
                raise ImportError(f"there is no {name} on Windows")
        return imported(name, globals, locals, fromlist or (), level)

    def unheard(*_: object) -> None:
        raise NotImplementedError

    builtins.__import__ = guarded
    asyncio.SelectorEventLoop.add_signal_handler = unheard  # type: ignore[method-assign,assignment]
    console = ModuleType("msvcrt")
    console.kbhit = lambda: False  # type: ignore[attr-defined]
    sys.modules["msvcrt"] = console
