"""The report as rows of two tables, for a terminal or plain columns."""

from __future__ import annotations

from collections.abc import Iterator

from cloudretry.model import rfc3339
from cloudretry.report.summary import Report, headline, said

__all__ = ["RESOURCES", "TARGETS", "heading", "note_lines", "resource_rows", "target_rows"]

RESOURCES = ("resource", "action", "status", "targets", "generation", "when", "why")
TARGETS = ("resource", "target", "status", "attempts", "code", "words")


def heading(report: Report) -> str:
    """The stack, the moment and the verdict."""
    at = f", state of {report.at}" if report.at else ""
    return f"{report.name}{at}: {headline([report])}"


def resource_rows(report: Report) -> Iterator[tuple[object, ...]]:
    """A row under :data:`RESOURCES` for each resource, the worst first."""
    for retry in report.worst_first():
        yield (
            retry.name,
            retry.token.removeprefix("cloudretry:"),
            retry.status.value,
            retry.targets,
            retry.generation,
            rfc3339(retry.last_run.at) if retry.last_run else "never",
            retry.why,
        )


def target_rows(report: Report) -> Iterator[tuple[object, ...]]:
    """A row under :data:`TARGETS` for each target that failed, is still in progress or is not known."""
    for retry in report.worst_first():
        for result, _ in retry.open_results:
            yield (
                retry.name,
                result.target,
                result.status.value,
                result.attempts,
                result.error_code or "-",
                said(result) or "-",
            )


def note_lines(report: Report) -> Iterator[str]:
    """What no table has a place for, a line each."""
    for note in report.notes:
        yield f"{note.before}{', '.join(note.names)}{note.after}"
