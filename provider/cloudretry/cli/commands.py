"""What all commands have in common: how they fail, and how they are interrupted."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, NoReturn, TypeVar

import click

from cloudretry.errors import CloudRetryError

__all__ = ["Commands", "Refused", "confirm", "end", "refusing", "require_terminal", "run"]

T = TypeVar("T")

LINGER = 2.0
"""Seconds that requests which nobody waits for any more have to end in, when a command has done its work."""


class Refused(click.ClickException):
    """Nothing was done, and this is why."""

    exit_code = 2


@contextlib.contextmanager
def refusing() -> Iterator[None]:
    """What goes wrong in here kept the command from doing anything."""
    try:
        yield
    except CloudRetryError as error:
        raise Refused(str(error)) from error


class Commands(click.Group):
    """The commands. With ``--json`` an error is one JSON object on standard output."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CloudRetryError as error:
            raise click.ClickException(str(error)) from error

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        words = list(sys.argv[1:] if args is None else args)
        if "--json" not in words or not standalone_mode:
            return super().main(words, prog_name, complete_var, standalone_mode, **extra)
        try:
            code = super().main(words, prog_name, complete_var, standalone_mode=False, **extra)
        except click.ClickException as error:
            _fail(error.format_message(), error.exit_code)
        except click.Abort:
            _fail("interrupted", 1)
        sys.exit(code if isinstance(code, int) else 0)


def _fail(problem: str, code: int) -> NoReturn:
    click.echo(json.dumps({"ok": False, "problem": problem}, ensure_ascii=False))
    sys.exit(code)


def confirm(question: str, *, yes: bool, otherwise: str) -> None:
    """Go on only if somebody says so. Asks on standard error, so that standard output holds the outcome alone.

    :raises Refused: nobody said so; ``otherwise`` tells what has not happened.
    """
    if yes:
        return
    require_terminal(yes=yes, otherwise=otherwise)
    try:
        agreed = click.confirm(question, err=True)
    except click.Abort:
        click.echo(err=True)
        agreed = False
    if not agreed:
        raise Refused(otherwise)


def require_terminal(*, yes: bool, otherwise: str) -> None:
    """See that there is somebody to ask.

    :raises Refused: there is not.
    """
    if not yes and not sys.stdin.isatty():
        raise Refused(f"standard input is not a terminal, so nobody can be asked: {otherwise}. Give --yes to go ahead")


def run(main: Callable[[asyncio.Event], Awaitable[T]]) -> T:
    """Run a coroutine; SIGINT and SIGTERM set the event that it is given. A second signal ends the process at once."""

    async def with_signals() -> T:
        loop, cancelled = asyncio.get_running_loop(), asyncio.Event()

        def cancel() -> None:
            cancelled.set()
            for number in (signal.SIGINT, signal.SIGTERM):
                loop.remove_signal_handler(number)
                signal.signal(number, signal.SIG_DFL)

        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, cancel)
        return await main(cancelled)

    return asyncio.run(with_signals())


def end(code: int) -> NoReturn:
    """End the process with this code, and do not wait long for requests that were given up."""
    deadline = time.monotonic() + LINGER
    for thread in threading.enumerate():
        if thread.name.startswith("cloudretry"):
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
    sys.exit(code)
