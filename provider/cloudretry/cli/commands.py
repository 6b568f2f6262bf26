"""What all commands have in common: how they fail, how they are interrupted, and how they ask.

======  ==============================================================================================================
code    what it says
======  ==============================================================================================================
0       all is well
1       a bad outcome: a retry failed, a target has failed, something is wrong
2       nothing was done: wrong usage, a configuration or a cloud that cannot be used, a "no" to a question
3       still open: a target is in progress, or what became of it is not known
141     nobody reads standard output any more
130     interrupted before anything was done; 143 when it was SIGTERM
======  ==============================================================================================================
"""

from __future__ import annotations

import contextlib
import errno
import io
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from types import FrameType
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import click

from cloudretry.cli.output import json_text
from cloudretry.errors import CloudRetryError

if TYPE_CHECKING:
    import asyncio

__all__ = ["SIGNALS", "Commands", "Refused", "Untold", "confirm", "interruptible", "require_terminal", "run"]

T = TypeVar("T")

LINGER = 2.0
"""Seconds that requests which nobody waits for any more have to end in, when a command has done its work."""

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name))
"""What asks a command to end. Windows has SIGBREAK, for Ctrl-Break and for who ends a group of processes."""

_NOBODY_READS = 141
"""The code of a process that SIGPIPE has ended."""

_SHOW_CURSOR = b"\x1b[?25h"


class Refused(click.ClickException):
    """Nothing was done, and this is why."""

    exit_code = 2


class Untold(click.ClickException):
    """Something was done, and the outcome could not be told."""

    exit_code = 3


class Commands(click.Group):
    """The commands. With ``--json`` an error is one JSON object on standard output."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CloudRetryError as error:
            raise Refused(str(error)) from error
        except Untold:
            _give_up_output()
            raise
        except OSError as error:
            # What is read and written elsewhere has errors of its own.
            _give_up_output()
            if error.errno == errno.EPIPE:
                # Nobody reads on, as in `cloudretry actions | head`.
                raise click.exceptions.Exit(_NOBODY_READS) from error
            raise Refused(f"{error.filename or 'standard output'}: {error.strerror}") from error

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        if not standalone_mode:
            return super().main(args, prog_name, complete_var, standalone_mode, **extra)
        _ready_streams()
        words = list(sys.argv[1:] if args is None else args)
        before = threading.enumerate()
        try:
            with interruptible():
                code = super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as error:
            code = error.exit_code
            with contextlib.suppress(OSError):
                if "--json" in words:
                    click.echo(_problem(error.format_message()))
                else:
                    error.show()
        except SystemExit as ending:
            code = ending.code
        return _end(code if isinstance(code, int) else 0, before)


def _ready_streams() -> None:
    """See that every word can be written: a character that a stream cannot show is written as its number.

    Streams that are closed lead nowhere from now on, lest what is opened next gets their place.
    """
    if None in (sys.stdin, sys.stdout, sys.stderr):
        while (nowhere := os.open(os.devnull, os.O_RDWR)) <= 2:
            pass
        os.close(nowhere)
        for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
            if getattr(sys, name) is None:
                setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115 - it stays open
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _give_up_output() -> None:
    """Let what could not be written not be tried again when the process ends."""
    with contextlib.suppress(OSError), open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), sys.stdout.fileno())


def _problem(words: str) -> str:
    return json_text({"ok": False, "problem": words})


def _end(code: int, before: Iterable[threading.Thread]) -> NoReturn:
    """End the process with this code, and do not wait long for requests that were given up."""
    deadline = time.monotonic() + LINGER
    for thread in set(threading.enumerate()).difference(before):
        if not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
        if not thread.daemon and thread.is_alive():
            with contextlib.suppress(OSError):
                sys.stdout.flush()
            os._exit(code)
    sys.exit(code)


# --- asking ---


def confirm(question: str, *, yes: bool, otherwise: str) -> None:
    """Go on only if somebody says so. Asks on standard error, so that standard output holds the outcome alone.

    :raises Refused: nobody said so; ``otherwise`` tells what has not happened.
    """
    if yes:
        return
    require_terminal(yes=yes, otherwise=otherwise)
    _forget_typed()
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        agreed = False
    if not agreed:
        raise Refused(otherwise)


def _forget_typed() -> None:
    """What was typed before a question was shown is no answer to it."""
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
        return
    import termios

    with contextlib.suppress(termios.error):
        termios.tcflush(sys.stdin, termios.TCIFLUSH)


def require_terminal(*, yes: bool, otherwise: str) -> None:
    """See that there is somebody to ask.

    :raises Refused: there is not.
    """
    for name, stream in (("input", sys.stdin), ("error", sys.stderr)):
        if not yes and not stream.isatty():
            raise Refused(
                f"standard {name} is not a terminal, so nobody can be asked: {otherwise}. Give --yes to go ahead"
            )


# --- being interrupted ---


@contextlib.contextmanager
def interruptible(words: str = "interrupted") -> Iterator[None]:
    """SIGINT and SIGTERM end the process at once in here, with these words: there is nothing to be put in order."""

    def leave(number: int, _frame: FrameType | None) -> None:
        _leave(number, words)

    outside = {number: signal.signal(number, leave) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in outside.items():
            signal.signal(number, handler)


def _leave(number: int, words: str) -> None:
    """End as who is interrupted ends: by the signal itself, so that a script in a shell stops as well."""
    context = click.get_current_context(silent=True)
    if context and context.params.get("as_json"):
        os.write(1, f"{_problem(words)}\n".encode())
    else:
        # A terminal shows the Ctrl-C on the line before, and may have its cursor hidden.
        shown = _SHOW_CURSOR + b"\n" if sys.stderr.isatty() else b""
        os.write(2, shown + f"Error: {words}\n".encode())
    if sys.platform == "win32":
        # Signals end nothing there.
        os._exit(143 if number == signal.SIGTERM else 130)
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def run(main: Callable[[asyncio.Event], Awaitable[T]], *, otherwise: str) -> T:
    """Run a coroutine that SIGINT and SIGTERM ask to end: they set the event that it is given.

    A second signal ends the process at once, and so does the first if the coroutine then fails; ``otherwise`` tells
    what has not happened by then.

    :raises CloudRetryError: the coroutine failed.
    """
    import asyncio

    received: list[int] = []

    async def with_signals() -> T:
        loop, cancelled = asyncio.get_running_loop(), asyncio.Event()

        def cancel(number: int, _frame: FrameType | None) -> None:
            received.append(number)
            loop.call_soon_threadsafe(cancelled.set)
            for each in SIGNALS:
                signal.signal(each, lambda number, _: _leave(number, "interrupted twice"))

        for number in SIGNALS:
            signal.signal(number, cancel)
        return await main(cancelled)

    try:
        return asyncio.run(with_signals())
    except CloudRetryError:
        if received:
            _leave(received[0], otherwise)
        raise
    finally:
        for number in SIGNALS:
            signal.signal(number, lambda number, _: _leave(number, "interrupted"))
