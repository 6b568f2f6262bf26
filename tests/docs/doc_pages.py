"""The pages of this repository, as they are read: headings, links and blocks of code."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).parents[2]

_FENCE = re.compile(r"^( *)(`{3,})([^\n`]*)\n(.*?)^\1\2 *$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(?<!!)\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^()\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *#*$", re.MULTILINE)


@dataclass(frozen=True)
class Block:
    """A fenced block of code. ``line`` is where its fence stands."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def quoted(block: Block, folder: Path) -> Path | None:
    """The file below a folder that a block is an excerpt of, line by line; its indentation may differ."""
    wanted = block.text.splitlines()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix not in (".pyc", ".md"):
            lines = path.read_text(encoding="utf-8").splitlines()
            for start in range(len(lines) - len(wanted) + 1):
                excerpt = lines[start : start + len(wanted)]
                if textwrap.dedent("\n".join(excerpt)) == textwrap.dedent("\n".join(wanted)):
                    return path
    return None


@dataclass(frozen=True)
class Page:
    path: Path

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    @property
    def prose(self) -> str:
        """The text without its blocks of code."""
        return _FENCE.sub("", self.text)

    @property
    def blocks(self) -> Iterator[Block]:
        for found in _FENCE.finditer(self.text):
            indent, _, language, text = found.groups()
            yield Block(
                self.path,
                self.text.count("\n", 0, found.start()) + 1,
                language.strip(),
                re.sub(f"^{indent}", "", text, flags=re.MULTILINE),
            )

    @property
    def links(self) -> list[str]:
        return _LINK.findall(re.sub(r"`[^`\n]*`", "``", self.prose)) + _LINK.findall(self.prose)

    @property
    def anchors(self) -> set[str]:
        """The anchors that GitHub gives to the headings."""
        taken: dict[str, int] = {}
        anchors = set()
        for heading in _HEADING.findall(self.prose):
            words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
            slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
            anchors.add(f"{slug}-{taken[slug]}" if slug in taken else slug)
            taken[slug] = taken.get(slug, 0) + 1
        return anchors


PAGES = [
    Page(path.relative_to(ROOT))
    for path in (ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md")))
]

BLOCKS = [block for page in PAGES for block in page.blocks]


def blocks(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]
