"""The report as Markdown, for the summary of a CI job and for a comment on a pull request.

What comes from elsewhere, names and the clouds' words, is text here and never markup, whatever is in it: no table,
diagram, link, mention or HTML comes of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from cloudretry.model import Status
from cloudretry.report import timeline
from cloudretry.report.summary import Report, Retry, headline, said, time_text
from cloudretry.text import shortened

__all__ = ["LONGEST", "code", "markdown", "words"]

LONGEST = 60_000
"""Characters. GitHub takes 65,536 in a comment and 1 MiB in a summary; what a bot adds must fit as well."""

_SPARE = 1_500
"""Characters for what is always there: headings, and the lines that say what was left out."""

_SMALLEST = 4_000
"""Characters without which the details of a stack are not begun."""

_MARKER = 300
_NAME = 100
_WORDS = 400
_NAMED = 5
"""Names in a sentence."""

_SIGNS = {
    Status.SUCCEEDED: "✅",
    Status.ACCEPTED: "✅",
    Status.SKIPPED: "⏭️",
    Status.FAILED: "❌",
    Status.PARTIALLY_FAILED: "❌",
    Status.UNKNOWN: "❔",
    Status.IN_PROGRESS: "⏳",
}

_STACKS = ("stack", "verdict", "state of")
_RESOURCES = ("resource", "status", "targets", "generation", "last run (UTC)", "why")
_TARGETS = ("resource", "target", "status", "attempts", "what the cloud said", "next step")

_PLAIN = re.compile(r"[\w./:@,+=()\[\]#…-]+( [\w./:@,+=()\[\]#…-]+)*", re.ASCII)
"""What can stand between backticks as it is."""

_CALLS = re.compile(r"(&#(?:33|35|36|37|64|126);)(?=\w)")
"""What makes GitHub or GitLab notify somebody, or link something, when a word follows: ``!#$%@~``."""

_LINKS = re.compile(r"(?<=www)\.|:(?=//)", re.IGNORECASE)
"""What GitHub makes a link of without being asked."""


def markdown(reports: Sequence[Report]) -> str:
    """One document of all the stacks, those with failures first if there are several."""
    names = " ".join(re.sub(r"[^\w./-]", "_", report.name) for report in reports)
    marker = f"<!-- cloudretry-report {shortened(names, _MARKER)} -->\n"
    if len(reports) == 1:
        (report,) = reports
        heading = f"## {_sign(reports)} {code(report.name)}: {headline(reports)}\n\n"
        return marker + heading + "\n".join(_stack(report, LONGEST - _SPARE)) + "\n"
    ordered = sorted(reports, key=lambda report: not report.has_failed)
    rows = [(code(report.name), f"{_sign([report])} {headline([report])}", report.at or "-") for report in ordered]
    text = f"{marker}## {_sign(reports)} {len(reports)} stacks: {headline(reports)}\n\n"
    text += "\n".join(_table(_STACKS, rows, "stacks", LONGEST // 3)) + "\n"
    for place, report in enumerate(ordered):
        room = LONGEST - _SPARE - len(text)
        if room < _SMALLEST:
            text += f"The details of {len(ordered) - place} more stacks are left out: they would not fit here.\n"
            break
        text += f"### {code(report.name)}: {headline([report])}\n\n" + "\n".join(_stack(report, room - _SPARE)) + "\n"
    return text


def code(text: str, longest: int = _NAME) -> str:
    """A name as code, fit for a table's cell."""
    cut = shortened(text, longest)
    return f"`{cut}`" if _PLAIN.fullmatch(cut) else f"<code>{words(cut, longest)}</code>"


def words(text: str, longest: int = _WORDS) -> str:
    """Text that is text, fit for a table's cell: all that Markdown or HTML could take for its own is an entity."""
    escaped = "".join(
        mark if not mark.isascii() or mark.isalnum() or mark in " .,;:()'/+=?-" else f"&#{ord(mark)};"
        for mark in shortened(text, longest)
    )
    # A mark that nobody sees, so that no name is called.
    uncalled = _CALLS.sub(r"\1&#8203;", escaped)
    return _LINKS.sub(lambda mark: f"&#{ord(mark[0])};", uncalled)


def _own(text: str) -> str:
    """Words of this provider: what they have between backticks is code."""
    parts = text.split("`")
    return "".join(code(part) if place % 2 else words(part) for place, part in enumerate(parts))


def _sign(reports: Sequence[Report]) -> str:
    found = {retry.status for report in reports for retry in report.retries}
    for status in (Status.FAILED, Status.PARTIALLY_FAILED, Status.UNKNOWN, Status.IN_PROGRESS):
        if status in found:
            return _SIGNS[status]
    return _SIGNS[Status.UNKNOWN if any(report.has_failed for report in reports) else Status.SUCCEEDED]


def _stack(report: Report, room: int) -> Iterator[str]:
    """The lines of one stack, in at most so many characters and what :data:`_SPARE` is for."""
    drawing, undrawn = timeline.diagram(report)
    notes = list(_notes(report, room // 4))
    left = room - len(drawing) - sum(len(line) + 1 for line in notes)
    if report.at:
        yield from (f"State of {report.at}.", "")
    ordered = report.worst_first()
    targets = [row for retry in ordered for row in _target_rows(retry)]
    wanted = sum(len(" | ".join(row)) + 5 for row in targets)
    yield from _table(
        _RESOURCES, [_resource_row(retry) for retry in ordered], "resources", left - min(left // 2, wanted)
    )
    if targets:
        yield from ("**Targets that failed or are not settled**", "")
        yield from _table(_TARGETS, targets, "targets", left // 2)
    yield from notes
    if drawing:
        yield from ("```mermaid", drawing, "```", "")
        older = f" {undrawn} older run{'s are' if undrawn != 1 else ' is'} not drawn." if undrawn else ""
        yield from (f"A diamond is a run, where it began; a red one failed, or its outcome is not known.{older}", "")


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]], what: str, room: int) -> Iterator[str]:
    """As many rows as fit into so many characters, and how many did not."""
    if not rows:
        return
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for place, row in enumerate(rows):
        line = f"| {' | '.join(row)} |"
        room -= len(line) + 1
        if room < 0:
            yield from ("", f"{len(rows) - place} more {what} are left out: they would not fit here.")
            break
        yield line
    yield ""


def _resource_row(retry: Retry) -> tuple[str, ...]:
    return (
        f"{code(retry.name)}<br>{words(retry.token.removeprefix('cloudretry:'))}",
        f"{_SIGNS[retry.status]} {retry.status.value}",
        words(retry.targets),
        str(retry.generation),
        time_text(retry.last_run.at, "%Y-%m-%d %H:%M:%S") if retry.last_run else "never",
        words(retry.why, _NAME),
    )


def _target_rows(retry: Retry) -> Iterator[tuple[str, ...]]:
    for result, step in retry.open_results:
        parts = [code(result.error_code)] if result.error_code else []
        parts += [words(said(result))] if said(result) else []
        yield (
            code(retry.name),
            code(result.target),
            f"{_SIGNS[result.status]} {result.status.value}",
            str(result.attempts),
            ": ".join(parts) or "nothing",
            _own(step) or "none: the run is a success without it",
        )


def _notes(report: Report, room: int) -> Iterator[str]:
    """What no table has a place for, a paragraph each."""
    for place, note in enumerate(report.notes):
        more = f" and {len(note.names) - _NAMED} more" if len(note.names) > _NAMED else ""
        names = ", ".join(map(code, note.names[:_NAMED]))
        line = f"{words(note.before)}{names}{more}{words(note.after)}"
        room -= len(line) + 2
        if room < 0:
            yield from (f"{len(report.notes) - place} more notes are left out: they would not fit here.", "")
            break
        yield from (line, "")
