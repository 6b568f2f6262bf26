"""``cloudretry status``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloudretry.cli.commands import run
from cloudretry.cli.configuration import configuration_options, configured
from cloudretry.cli.output import Board, print_json, print_table
from cloudretry.cli.parameters import DURATION, read_inputs, target_arguments

if TYPE_CHECKING:
    import asyncio

    from cloudretry.actions import Action
    from cloudretry.cli.looking import Lookout, Sight

__all__ = ["status"]

LOOK_TIMEOUT = 120.0
"""Seconds for finding the way to the cloud."""

TRIES = 3
"""Looks that may fail in a row while watching."""


@click.command()
@target_arguments
@configuration_options
@click.option("--watch", is_flag=True, help="Look again and again, until no target is in progress.")
@click.option("--interval", type=DURATION, default="5s", show_default=True, help="Time between two looks.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object; with --watch, one a line.")
def status(
    action: Action[Any],
    targets: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    inputs: Path | None,
    stack: str | None,
    file: Path | None,
    watch: bool,
    interval: float,
    as_json: bool,
) -> None:
    """Look at targets. Fires nothing.

    Ends with 0 if all is well, 1 if a target has failed or is not found, 3 if one is in progress, and 2 if the cloud
    could not be asked.
    """
    import asyncio

    from cloudretry.backend import ConfiguredBackend
    from cloudretry.cli.looking import Lookout, require_inputs

    values, _ = read_inputs(action, targets, inputs, settings)
    require_inputs(action, values)
    backend = ConfiguredBackend(configured(stack, file))

    def lookout(cancelled: asyncio.Event) -> Lookout:
        return Lookout(action, values, backend, cancelled, LOOK_TIMEOUT)

    async def watched(cancelled: asyncio.Event) -> Sight:
        return await _watch(lookout(cancelled), cancelled, interval, as_json=as_json)

    try:
        if watch:
            sight = run(watched, otherwise="interrupted before anything was seen")
        else:
            sight = asyncio.run(lookout(asyncio.Event()).look())
            _show(sight, as_json=as_json)
    finally:
        backend.close()
    sys.exit(3 if not sight.settled else 1 if sight.failed else 0)


def _show(sight: Sight, *, as_json: bool) -> None:
    from cloudretry.cli.looking import HEADS

    if as_json:
        print_json(sight.to_json())
        return
    click.echo(sight.where, err=not sys.stdout.isatty())
    print_table(HEADS, sight.rows())


async def _watch(lookout: Lookout, cancelled: asyncio.Event, interval: float, *, as_json: bool) -> Sight:
    """Look until every target is settled or somebody interrupts; returns what was seen last.

    :raises CloudRetryError: nothing was seen at all, or the cloud could not be asked several times in a row.
    """
    from cloudretry.cli.looking import HEADS
    from cloudretry.clock import SystemClock, pause

    sight, clock = await lookout.look(), SystemClock()
    if as_json:
        print_json(sight.to_json(), in_one_line=True)
        while not sight.settled and not cancelled.is_set():
            await pause(clock, interval, cancelled)
            before, sight = sight, await _again(lookout, sight, cancelled, interval)
            if sight != before:
                print_json(sight.to_json(), in_one_line=True)
        return sight
    with Board(HEADS, err=False) as board:
        board.notice(sight.where)
        while True:
            board.rows(sight.rows())
            if sight.settled or cancelled.is_set():
                return sight
            await pause(clock, interval, cancelled)
            sight = await _again(lookout, sight, cancelled, interval)


async def _again(lookout: Lookout, last: Sight, cancelled: asyncio.Event, interval: float) -> Sight:
    from cloudretry.clock import SystemClock, pause
    from cloudretry.errors import CloudRetryError

    for tries in range(1, TRIES + 1):
        if cancelled.is_set():
            break
        try:
            return await lookout.look()
        except CloudRetryError as error:
            if cancelled.is_set():
                break
            if tries == TRIES:
                raise
            click.echo(f"cannot look now: {error}", err=True)
            await pause(SystemClock(), interval, cancelled)
    return last
