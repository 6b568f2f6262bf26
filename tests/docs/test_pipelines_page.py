"""docs/pipelines.md against the files of examples/pipelines, which have tests of their own."""

from __future__ import annotations

import itertools
import re
import tomllib
from pathlib import Path

import pytest
import yaml
from doc_pages import ROOT, Block, Page, quoted

from cloudretry import config

PAGE = Page(Path("docs/pipelines.md"))
EXAMPLES = ROOT / "examples/pipelines"
BLOCKS = list(PAGE.blocks)
STACK = (EXAMPLES / "kubernetes-operator/stack.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language in ("yaml", "bash", "dockerfile")], ids=str
)
def test_every_block_of_a_file_is_an_excerpt_of_one(block: Block) -> None:
    assert quoted(block, EXAMPLES)


def test_what_is_no_excerpt_is_found() -> None:
    block = next(block for block in BLOCKS if block.language == "yaml")
    changed = Block(block.page, block.line, block.language, block.text.replace("jobs:", "job:"))
    assert quoted(block, EXAMPLES)
    assert quoted(changed, EXAMPLES) is None


def test_every_language_of_the_page_has_a_rule() -> None:
    assert {block.language for block in BLOCKS} == {"bash", "console", "dockerfile", "text", "toml", "yaml"}


def test_the_runner_of_gitlab_mounts_the_journal() -> None:
    (block,) = (block for block in BLOCKS if block.language == "toml")
    (volume,) = tomllib.loads(block.text)["runners"]["docker"]["volumes"]
    settings = yaml.safe_load((EXAMPLES / "project/Pulumi.prod.yaml").read_text(encoding="utf-8"))["config"]
    assert Path(volume.partition(":")[2]) in Path(settings["cloudretry:journalDir"]).parents


def test_the_commands_name_the_folders_and_the_names_of_the_files() -> None:
    commands = [line[2:].split() for block in BLOCKS if block.language == "console" for line in block.text.splitlines()]
    (built,) = (words for words in commands if words[0] == "docker")
    assert built[-1] == "examples/pipelines/docker"
    assert f"image: {dict(itertools.pairwise(built))['--tag']}\n" in STACK
    (applied,) = (words for words in commands if words[:2] == ["kubectl", "apply"])
    assert (ROOT / applied[-1] / "kustomization.yaml").is_file()
    (secret,) = (words for words in commands if words[:3] == ["kubectl", "create", "secret"])
    assert secret[4] == yaml.safe_load(STACK)["spec"]["envRefs"]["HW_ACCESS_KEY"]["secret"]["name"]
    for key in re.findall(r"key: (\w+)", STACK):
        assert f"`{key}=`" in PAGE.text


def test_the_options_and_variables_that_the_page_explains_are_those_of_the_files() -> None:
    script = (EXAMPLES / "scripts/up.sh").read_text(encoding="utf-8")
    explained = re.findall(r"^\| `(--[\w-]+)`", PAGE.text, re.MULTILINE)
    assert explained
    assert all(option in script for option in explained)
    assert "REMOVE_STALE_LOCK" in script
    known = {name for names in config.ENVIRONMENT.values() for name in names}
    known |= {name for rows in config.KEY_PAIRS.values() for row in rows for name in row.values()}
    assert set(re.findall(r"`(HW_\w+|ALIBABA_CLOUD_ACCESS_\w+)`", PAGE.text)) <= known
