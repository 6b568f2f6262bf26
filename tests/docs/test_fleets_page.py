"""The page on fleets: its file is one that the example reads, and its screen is what the example prints."""

from __future__ import annotations

import re
from pathlib import Path

from doc_pages import ROOT, Page
from doc_programs import plain, run

from cloudretry.actions import ACTIONS
from cloudretry.inputs import check

PAGE = Page(Path("docs/fleets.md"))


def block(language: str) -> str:
    (found,) = [block for block in PAGE.blocks if block.language == language]
    return found.text


def test_every_block_has_a_rule() -> None:
    assert {block.language for block in PAGE.blocks} == {"yaml", "console", "text"}


def test_the_file_declares_retries_that_the_provider_takes(tmp_path: Path) -> None:
    for text in (block("yaml"), (ROOT / "examples/fleet/fleet.yaml").read_text(encoding="utf-8")):
        file = tmp_path / "fleet.yaml"
        file.write_text(text, encoding="utf-8")
        declared = run(
            "import runpy\nfrom pathlib import Path\n"
            f"fleet = runpy.run_path({str(ROOT / 'examples/fleet/fleet.py')!r})\n"
            f"[stack.declare() for stack in fleet['read'](Path({str(file)!r}))]\n",
            "fleet",
        )
        assert declared.resources
        for resource in declared.resources:
            assert check(ACTIONS[resource.typ], plain(resource)) == []


def test_the_screen_has_the_form_of_the_outcomes() -> None:
    *lines, total = block("text").splitlines()
    stacks = [line for line in lines if not line.startswith("    ")]
    assert all(re.fullmatch(r"\S+ +(healed|well|failed|left) +\d+ fired", line) for line in stacks)
    words = [line.split()[1] for line in stacks]
    count = ", ".join(f"{words.count(word)} {word}" for word in sorted(set(words)))
    assert total == f"{len(stacks)} stacks: {count}; {sum(int(line.split()[2]) for line in stacks)} fired"
