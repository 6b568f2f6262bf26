"""The page on testing: its tests run as they stand, on the engine, and its table names the calls that are made."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from doc_pages import Block, Page

from cloudretry.actions import ACTIONS

PAGE = Page(Path("docs/testing.md"))
BLOCKS = list(PAGE.blocks)
TESTS = [block for block in BLOCKS if re.search(r"^ *def test_", block.text, re.MULTILINE)]


def name_of(block: Block) -> str:
    """The file that the page says a block is; empty if it says none."""
    named = re.fullmatch(r"`([\w.]+)`:", PAGE.text.splitlines()[block.line - 3])
    return named[1] if named else ""


PROJECT = {name_of(block): block.text for block in BLOCKS if name_of(block)}


def test_every_block_is_a_test_or_a_file_of_the_project() -> None:
    assert [str(block) for block in BLOCKS if block not in TESTS and not name_of(block)] == []
    assert PROJECT.keys() == {"Pulumi.yaml", "__main__.py", "test_orders.py"}


@pytest.mark.parametrize(
    "block",
    [pytest.param(block, marks=[pytest.mark.engine] if "StackFactory" in block.text else []) for block in TESTS],
    ids=str,
)
@pytest.mark.usefixtures("engine_on_path")
def test_every_test_on_the_page_passes(block: Block, tmp_path: Path) -> None:
    name = name_of(block)
    for file, text in (PROJECT if name else {"test_block.py": block.text}).items():
        (tmp_path / file).write_text(text, encoding="utf-8")
    pytest_options = ["pytest", "-q", "-rs", "-p", "no:cacheprovider", "-p", "no:xdist"]
    runner = ["unittest"] if "unittest.TestCase" in block.text else pytest_options
    done = subprocess.run(
        [sys.executable, "-m", *runner, name or "test_block.py"],
        cwd=tmp_path,
        env={variable: value for variable, value in os.environ.items() if not variable.startswith("PYTEST_")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert "skipped" not in done.stdout


def test_the_table_of_operations_is_that_of_the_actions() -> None:
    rows = re.findall(r"^\| `(\w+\.\w+)` \| `(\w+)` \| `(\w+)` \|$", PAGE.text, re.MULTILINE)
    assert rows == [
        (token.removeprefix("cloudretry:").replace(":", "."), action.fires.name, action.looks.name)
        for token, action in ACTIONS.items()
    ]
