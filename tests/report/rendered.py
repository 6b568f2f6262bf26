"""Markdown as two readers that know nothing of each other see it: its tables, its tags and its text."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

import markdown_it
from drawing.studio import html as as_github_has_it

__all__ = ["READERS", "Rendered", "rendered"]

READERS: Mapping[str, Callable[[str], str]] = {
    "github": as_github_has_it,
    "markdown-it": lambda text: markdown_it.MarkdownIt("commonmark", {"html": True}).enable("table").render(text),
}


@dataclass
class Rendered(HTMLParser):
    """What came of a text. Cells hold what a person sees of them."""

    tables: list[list[list[str]]] = field(default_factory=list)
    tags: set[str] = field(default_factory=set)
    attributes: set[str] = field(default_factory=set)
    comments: list[str] = field(default_factory=list)
    diagrams: list[str] = field(default_factory=list)
    headings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        if tag == "br":
            self.handle_data("\n")
            return
        self._open.append(tag)
        if tag == "table":
            self.tables.append([])
        elif tag == "tr":
            self.tables[-1].append([])
        elif tag in ("td", "th"):
            self.tables[-1][-1].append("")
        elif tag == "pre":
            self.diagrams.append("")
        elif tag in ("h2", "h3"):
            self.headings.append("")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "pre" in self._open:
            self.diagrams[-1] += data
        elif self._open and {"td", "th"} & set(self._open):
            self.tables[-1][-1][-1] += data
        elif {"h2", "h3"} & set(self._open):
            self.headings[-1] += data

    def handle_comment(self, data: str) -> None:
        self.comments.append(data.strip())


def rendered(markdown: str, reader: str = "github") -> Rendered:
    seen = Rendered()
    seen.feed(READERS[reader](markdown))
    seen.close()
    return seen
