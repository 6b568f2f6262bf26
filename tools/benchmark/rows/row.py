"""A row of the table: what it measures, how that is judged, and how it is told."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.bench import Attempt, Bench

__all__ = ["Finding", "Measured", "Row", "table", "wrapped"]

Measured = Mapping[str, Any]
"""What a row measured, as JSON: every single measurement."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A line of the table. ``met`` is ``None`` where there is no target; ``others`` is what other contenders take."""

    what: str
    target: str
    figure: str
    met: bool | None = None
    others: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """``about`` says what is measured, as a paragraph of the page, ``scale`` which fields of the scale it goes by.

    ``plan`` gives the attempts, which fill in the measurements as they are carried out; ``findings`` reads them, and
    ``details`` tells them all. Neither minds what is missing because it failed. ``parts`` says that what is measured
    stands in parts, each of which can be measured anew without the others.
    """

    letter: str
    title: str
    about: str
    scale: tuple[str, ...]
    plan: Callable[[Bench, dict[str, Any]], Sequence[Attempt]]
    findings: Callable[[Measured], list[Finding]]
    details: Callable[[Measured], str]
    parts: bool = False


def wrapped(text: str, indent: str = "") -> str:
    """A paragraph in lines of the pages' width."""
    return textwrap.fill(
        " ".join(text.split()),
        120,
        initial_indent=indent,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """A table in Markdown."""
    rows = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)
