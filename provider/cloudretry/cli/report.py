"""``cloudretry report``."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from cloudretry.cli.commands import Refused
from cloudretry.cli.output import print_json, print_table
from cloudretry.cli.parameters import DURATION

if TYPE_CHECKING:
    from cloudretry.report.summary import Report

__all__ = ["report"]

_FILE = click.Path(dir_okay=False, allow_dash=True, path_type=Path)
_DASH = Path("-")


@click.command()
@click.option("--stack", help="Report of this stack of the project in the current folder. Default: the selected one.")
@click.option(
    "--file",
    "files",
    type=_FILE,
    multiple=True,
    help="Report of what `pulumi stack export` put into this file; - is standard input. May be given several times.",
)
@click.option("--markdown", type=_FILE, help="Write Markdown to this file; - prints it instead of the table.")
@click.option("--junit", type=_FILE, help="Write JUnit XML to this file; - prints it instead of the table.")
@click.option("--since", type=DURATION, help="Only what ran in this time up to now, such as 1h.")
@click.option("--fail", is_flag=True, help="End with 1 if a retry failed, is still in progress or is not known.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def report(
    stack: str | None,
    files: tuple[Path, ...],
    markdown: Path | None,
    junit: Path | None,
    since: float | None,
    fail: bool,
    as_json: bool,
) -> None:
    """Tell what was retried, and with what outcome.

    When and why as well, from the state of a stack: no cloud is asked. Values that are secret in the state are shown as
    [secret]; nothing is decrypted.

    Ends with 0 if the report could be made, whatever it says, and with 2 if it could not. With --fail it ends with 1 if
    a retry failed, is still in progress or is not known.
    """
    _require_one_output(markdown, junit, as_json=as_json)
    reports = _read(stack, files)
    if since is not None:
        reports = [one.since(time.time() - since) for one in reports]
    if markdown is not None:
        from cloudretry.report.markdown import markdown as as_markdown

        _write(markdown, as_markdown(reports).encode(), appends=_is_summary(markdown))
    if junit is not None:
        from cloudretry.report.junit import junit as as_junit

        _write(junit, as_junit(reports))
    has_failed = any(one.has_failed for one in reports)
    if as_json:
        print_json({"ok": not has_failed, "stacks": [one.to_json() for one in reports]})
    elif _DASH not in (markdown, junit):
        _show(reports)
    sys.exit(1 if fail and has_failed else 0)


def _require_one_output(markdown: Path | None, junit: Path | None, *, as_json: bool) -> None:
    given = {"--markdown -": markdown == _DASH, "--junit -": junit == _DASH, "--json": as_json}
    printed = [name for name, is_printed in given.items() if is_printed]
    if len(printed) > 1:
        raise click.UsageError(f"{' and '.join(printed)} both print to standard output; name a file for one of them")


def _read(stack: str | None, files: Sequence[Path]) -> list[Report]:
    if stack and files:
        raise click.UsageError("give --stack or --file, not both")
    if list(files).count(_DASH) > 1:
        raise click.UsageError("standard input can be read once only: give --file - once")
    from cloudretry.report.reading import from_file, from_stack

    return [from_file(file) for file in files] if files else [from_stack(stack)]


def _is_summary(file: Path) -> bool:
    """Whether this is the summary of a GitHub job, which the steps of the job append to."""
    summary = os.environ.get("GITHUB_STEP_SUMMARY")
    return bool(summary) and file != _DASH and file.resolve() == Path(summary or "").resolve()


def _write(file: Path, content: bytes, *, appends: bool = False) -> None:
    if file == _DASH:
        click.echo(content, nl=False)
        return
    try:
        if appends and file.exists():
            # A blank line before it: what a step wrote last may be a paragraph or a table.
            with file.open("ab") as opened:
                opened.write((b"\n" if file.stat().st_size else b"") + content)
        else:
            file.write_bytes(content)
    except OSError as error:
        raise Refused(f"{file} cannot be written: {error.strerror}") from None


def _show(reports: Sequence[Report]) -> None:
    from cloudretry.report import table

    for place, one in enumerate(reports):
        if place:
            click.echo()
        click.echo(table.heading(one))
        if one.retries:
            print_table(table.RESOURCES, table.resource_rows(one))
        if targets := list(table.target_rows(one)):
            click.echo()
            print_table(table.TARGETS, targets)
        if notes := list(table.note_lines(one)):
            click.echo()
            click.echo("\n".join(notes))
