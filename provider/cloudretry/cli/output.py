"""How a command shows what it has: JSON, a table for a terminal, or plain columns anywhere else."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any

import click

from cloudretry.text import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.live import Live

__all__ = ["Board", "json_text", "print_json", "print_table"]

Row = Sequence[object]

_WITHOUT_CURSOR = ("dumb", "unknown")
"""Terminals on which nothing can be drawn anew, by their names in TERM."""

_COLORS: Mapping[str, str] = {
    "Succeeded": "green",
    "Failed": "red",
    "PartiallyFailed": "red",
    "NotFound": "red",
    "InProgress": "cyan",
    "Accepted": "cyan",
    "Unknown": "yellow",
}


def print_json(value: Any, *, in_one_line: bool = False) -> None:
    """Print one JSON value, on one line if there are others to come."""
    click.echo(json_text(value, indent=None if in_one_line else 2))


def json_text(value: Any, *, indent: int | None = None) -> str:
    """A value as JSON that standard output can hold, whatever its encoding."""
    return json.dumps(value, indent=indent, ensure_ascii=not sys.stdout.encoding.lower().startswith("utf"))


def print_table(heads: Sequence[str], rows: Iterable[Row], *, err: bool = False) -> None:
    """Print rows under heads; cells hold one line each."""
    listed = [[one_line(cell) for cell in row] for row in rows]
    if (sys.stderr if err else sys.stdout).isatty():
        _console(err=err).print(_table(heads, listed))
        return
    heads = [head.upper() for head in heads]
    widths = [max(len(row[at]) for row in (heads, *listed)) for at in range(len(heads))]
    for row in (heads, *listed):
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip(), err=err)


class Board:
    """A table that is kept up to date on a terminal. Elsewhere, a line for each row that has changed.

    It is on standard error, or with ``err=False`` on standard output; there the last table stays.
    """

    def __init__(self, heads: Sequence[str], *, err: bool) -> None:
        self.is_live = (sys.stderr if err else sys.stdout).isatty() and os.environ.get("TERM") not in _WITHOUT_CURSOR
        self._heads = heads
        self._err = err
        self._rows: list[list[str]] = []
        self._status = ""
        self._live: Live | None = None
        self._stack = ExitStack()

    def __enter__(self) -> Board:
        if self.is_live:
            from rich.live import Live

            self._live = self._stack.enter_context(
                Live(console=_console(err=self._err), transient=self._err, refresh_per_second=8)
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._status = ""
        self._draw()
        self._stack.close()

    def rows(self, rows: Iterable[Row], tell: Callable[[list[str]], str] = "  ".join) -> None:
        """Show these rows. ``tell`` puts a row that has changed into words, where there is no terminal."""
        listed = [[one_line(cell) for cell in row] for row in rows]
        changed = [row for row in listed if row not in self._rows]
        self._rows = listed
        if self._live is not None:
            self._draw()
            return
        for row in changed:
            click.echo(tell(row).rstrip(), err=self._err)

    def status(self, line: str) -> None:
        """Say what is going on; the next line takes this one's place on a terminal."""
        if self._live is None:
            click.echo(one_line(line), err=self._err)
        self._status = one_line(line)
        self._draw()

    def notice(self, line: str) -> None:
        """Say something that stays."""
        if self._live is not None:
            self._live.console.print(one_line(line))
        else:
            click.echo(one_line(line), err=self._err)

    def _draw(self) -> None:
        if self._live is not None:
            self._live.update(self._drawn(self._live.console.encoding), refresh=True)

    def _drawn(self, encoding: str) -> RenderableType:
        from rich.console import Group
        from rich.spinner import Spinner
        from rich.text import Text

        parts: list[RenderableType] = [_table(self._heads, self._rows)] if self._rows else []
        if self._status:
            # The dots are not in every encoding.
            kind = "dots" if encoding.startswith("utf") else "line"
            parts.append(Spinner(kind, Text(self._status)))
        return Group(*parts)


def _console(*, err: bool) -> Console:
    from rich.console import Console

    # The words are the clouds': no markup, no emoji and no highlighting is to be found in them.
    return Console(stderr=err, markup=False, emoji=False, highlight=False)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    # The first column names what a row is about, for people to copy: it stays whole if that leaves room for the others.
    longest = max((len(row[0]) for row in rows), default=0)
    for at, head in enumerate(heads):
        is_whole = at == 0 and 2 * longest <= shutil.get_terminal_size().columns
        table.add_column(head, overflow="fold", no_wrap=is_whole)
    for row in rows:
        table.add_row(*(Text(cell, style=_COLORS.get(cell, "")) for cell in row))
    return table
