"""What differs between systems for a process that the engine starts: how it is told to end, and whether that lives."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable

__all__ = ["ORDERLY", "on_signal", "starter"]

ORDERLY = tuple(getattr(signal, name) for name in ("SIGINT", "SIGBREAK") if hasattr(signal, name))
"""What the engine sends when it has saved the state: an interrupt, on Windows Ctrl-Break to the process's group."""


def on_signal(number: int, act: Callable[[], None]) -> None:
    """Do this in the running event loop when the signal comes. Windows' loops have no handlers of their own."""
    loop = asyncio.get_running_loop()

    def pass_on(*_: object) -> None:
        # When the loop has ended, so has all that the signal asks for.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(act)

    signal.signal(number, pass_on)


def starter() -> Callable[[], bool]:
    """Tells, whenever it is asked, whether the process that has started this one still lives."""
    if sys.platform == "win32":
        # There a process keeps the number of its parent when that has ended, and the number is given away again.
        import psutil

        started_by = psutil.Process().parents()[:2]
        if started_by and started_by[0].name().lower() != "cmd.exe":
            # A command file is run by a shell, which waits for this process: the engine is the one before.
            del started_by[1:]
        return lambda: bool(started_by) and all(process.is_running() for process in started_by)
    parent = os.getppid()
    return lambda: os.getppid() == parent
