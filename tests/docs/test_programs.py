"""The TypeScript and Go programs on the pages, as their compilers see them: one call for all of each language."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from doc_pages import ROOT, Block, blocks

from support.typescript import node_modules, wrong_with

pytestmark = [pytest.mark.engine, pytest.mark.timeout(1200)]

needs_node = pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js with npm")
needs_go = pytest.mark.skipif(shutil.which("go") is None, reason="needs Go")

AS_THE_ENGINE = {"CGO_ENABLED": "0", "GOWORK": "off", "GOFLAGS": "-mod=readonly -trimpath -buildvcs=false"}
"""Flags of the engine's own build: Go's cache then has most of what this needs."""


def named(blocks: list[Block]) -> dict[str, Block]:
    return {f"block{number}": block for number, block in enumerate(blocks)}


def told(output: str, programs: Mapping[str, Block]) -> str:
    """The compiler's words, with the place on the page for that in a file of ours."""

    def place(found: re.Match[str]) -> str:
        block = programs[found[1]]
        return f"{block.page}:{block.line + int(found[2])}"

    return re.sub(r"(?:\./)?(block\d+)(?:/main\.go:|\.ts[(:])(\d+)", place, output)


def type_check_typescript(programs: Mapping[str, Block], folder: Path) -> str:
    (folder / "node_modules").symlink_to(node_modules())
    config = json.loads((ROOT / "examples/typescript/tsconfig.json").read_text(encoding="utf-8"))
    (folder / "tsconfig.json").write_text(json.dumps({**config, "files": [f"{name}.ts" for name in programs]}))
    for name, block in programs.items():
        (folder / f"{name}.ts").write_text(block.text, encoding="utf-8")
    return told(wrong_with(folder), programs)


def vet_go(programs: Mapping[str, Block], folder: Path) -> str:
    module = (ROOT / "examples/go/go.mod").read_text(encoding="utf-8")
    (folder / "go.mod").write_text(module.replace("=> ../../sdk", f"=> {ROOT / 'sdk'}"), encoding="utf-8")
    shutil.copyfile(ROOT / "examples/go/go.sum", folder / "go.sum")
    for name, block in programs.items():
        (folder / name).mkdir()
        (folder / name / "main.go").write_text(block.text, encoding="utf-8")
    ended = subprocess.run(
        ["go", "vet", "./..."],
        cwd=folder,
        env={**os.environ, **AS_THE_ENGINE},
        capture_output=True,
        text=True,
        check=False,
    )
    assert bool(ended.stderr) == (ended.returncode != 0), ended.stderr
    return told(ended.stderr, programs)


@needs_node
def test_every_typescript_block_is_well_typed(tmp_path: Path) -> None:
    assert type_check_typescript(named(blocks("typescript")), tmp_path) == ""


@needs_node
def test_a_wrong_typescript_block_is_named_with_its_page(tmp_path: Path) -> None:
    right = blocks("typescript")[0]
    wrong = Block(Path("docs/page.md"), 10, "typescript", right.text.replace("triggers:", "trigger:"))
    output = type_check_typescript(named([right, wrong]), tmp_path)
    line = next(number for number, text in enumerate(wrong.text.splitlines(), 11) if "trigger:" in text)
    assert re.match(rf"docs/page\.md:{line}\b", output)
    assert "'trigger'" in output


@needs_go
def test_every_go_block_compiles_and_is_vetted(tmp_path: Path) -> None:
    assert vet_go(named(blocks("go")), tmp_path) == ""


@needs_go
def test_a_wrong_go_block_is_named_with_its_page(tmp_path: Path) -> None:
    right = blocks("go")[0]
    wrong = Block(Path("docs/page.md"), 10, "go", right.text.replace("Triggers:", "Trigger:"))
    output = vet_go(named([right, wrong]), tmp_path)
    line = next(number for number, text in enumerate(wrong.text.splitlines(), 11) if "Trigger:" in text)
    assert f"docs/page.md:{line}:" in output
    assert "unknown field Trigger" in output
