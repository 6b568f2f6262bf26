"""The runs of a stack as a Mermaid diagram that GitHub and GitLab draw.

A Gantt chart with a milestone for each run: it is the one diagram with a true axis of time that both have had for
years, and a milestone claims no end, which a history does not hold. GitLab draws up to 2000 characters without asking.
"""

from __future__ import annotations

from collections.abc import Sequence

from cloudretry.model import Status
from cloudretry.report.summary import Report, Retry, Run, time_text
from cloudretry.text import shortened

__all__ = ["LONGEST", "MOST_RUNS", "diagram", "label"]

LONGEST = 1_990
"""Characters of a diagram. One that has more is not drawn by GitLab until somebody asks for it."""

MOST_RUNS = 20
"""Runs that fit on a screen."""

_NAME = 24
_WHY = 36

_TAGS = {
    Status.FAILED: "crit, ",
    Status.PARTIALLY_FAILED: "crit, ",
    Status.UNKNOWN: "crit, ",
    Status.IN_PROGRESS: "active, ",
    Status.ACCEPTED: "active, ",
    Status.SKIPPED: "done, ",
    Status.SUCCEEDED: "",
}

_DAY = 86_400.0


def diagram(report: Report) -> tuple[str, int]:
    """The text of the diagram, empty if nothing has run; and how many of the oldest runs are not in it."""
    runs = sorted(((run, retry) for retry in report.retries for run in retry.runs), key=lambda item: item[0].at)
    for count in range(min(len(runs), MOST_RUNS), 0, -1):
        text = _drawn(report, runs[-count:])
        if len(text) <= LONGEST:
            return text, len(runs) - count
    return "", len(runs)


def _drawn(report: Report, runs: Sequence[tuple[Run, Retry]]) -> str:
    first, last = runs[0][0].at, runs[-1][0].at
    # In the order in which they last ran, so that the newest is at the bottom, as in each section.
    retries = list({id(retry): retry for _, retry in reversed(runs)}.values())[::-1]
    lines = [
        f"%%{{init: {{'gantt': {{'leftPadding': {_left_padding(retries)}}}}}}}%%",
        "gantt",
        f"  title Runs of {_escaped(shortened(report.name, 2 * _NAME))} (UTC)",
        "  dateFormat YYYY-MM-DDTHH:mm:ss",
        f"  axisFormat {_axis(last - first)}",
        "  todayMarker off",
    ]
    for retry in retries:
        lines.append(f"  section {_escaped(shortened(retry.name, _NAME))}")
        for run in (run for run, its in runs if its is retry):
            began = time_text(run.at, "%Y-%m-%dT%H:%M:%S")
            lines.append(f"  {_escaped(label(run, last - first))} :milestone, {_TAGS[run.status]}{began}, 0d")
    return "\n".join(lines)


def label(run: Run, span: float) -> str:
    """What stands beside a run: ``10:15 triggers: release - Succeeded, 3 fired``. The span is that of all runs drawn.

    It begins with a number, so that no word of Mermaid's own can be at its head.
    """
    fired = f", {run.fired} fired" if run.fired else ""
    form = "%H:%M:%S" if span < _DAY else "%m-%d %H:%M"
    return f"{time_text(run.at, form)} {shortened(run.why, _WHY)} - {run.status.value}{fired}"


def _axis(span: float) -> str:
    if span < 600:
        return "%H:%M:%S"
    if span < 2 * _DAY:
        return "%H:%M"
    return "%m-%d" if span < 300 * _DAY else "%Y-%m"


def _left_padding(retries: Sequence[Retry]) -> int:
    """Pixels for the names of the sections, which would run into the chart."""
    return max(75, 20 + 7 * max(len(shortened(retry.name, _NAME)) for retry in retries))


def _escaped(text: str) -> str:
    """The text with Mermaid's entities for all that could mean something to it, or to what it writes them as."""
    return "".join(mark if _is_plain(mark) else f"#{ord(mark)};" for mark in text)


def _is_plain(mark: str) -> bool:
    # Mermaid writes an entity as ﬂ°…¶ß until the picture is done.
    return (mark.isalnum() and mark not in "ﬂß") or mark in " .,()/_+-"
