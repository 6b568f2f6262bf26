"""The page of the report: each of its blocks is what the command prints of a recorded stack, or a pipeline with it."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from click.testing import CliRunner
from doc_pages import ROOT, Page

from cloudretry.cli import main

PAGE = Page(Path("docs/report.md"))
RECORDED = ROOT / "tests/report/recorded"

RULED = {"console", "markdown", "xml", "json", "yaml"}


def blocks(language):
    found = [block for block in PAGE.blocks if block.language == language]
    assert found
    return found


def printed(command, *more):
    """What a command line of the page prints, with a recorded stack for each that it names."""
    words = shlex.split(command)
    assert words[:2] == ["cloudretry", "report"]
    recorded = ["--file" if word == "--stack" else word for word in words[1:]]
    names = {stack.stem: str(stack) for stack in RECORDED.glob("*.json")}
    arguments = [names.get(word.removesuffix(".json"), word) for word in recorded]
    done = CliRunner().invoke(main, [*arguments, *more], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """What the commands of the page write does not lie about."""
    monkeypatch.chdir(tmp_path)


def test_every_block_has_a_rule_here():
    assert {block.language for block in PAGE.blocks} == RULED


@pytest.mark.parametrize("block", blocks("console"), ids=str)
def test_a_console_shows_what_is_printed(block):
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        if command.startswith("cloudretry"):
            output = printed(command)
            assert not shown or shown == output


def test_the_markdown_is_that_of_a_recorded_stack():
    (block,) = blocks("markdown")

    assert block.text.strip() == printed("cloudretry report --stack staging --markdown -").strip()


def test_the_xml_is_a_suite_of_a_recorded_stack():
    (block,) = blocks("xml")
    whole = ElementTree.fromstring(printed("cloudretry report --stack prod --junit -"))
    shown = ElementTree.fromstring(block.text)
    (real,) = (suite for suite in whole if suite.attrib["name"] == shown.attrib["name"])

    assert canonical(shown) == canonical(real)


def canonical(element):
    return ElementTree.canonicalize(ElementTree.tostring(element, encoding="unicode"), strip_text=True)


def test_the_json_is_in_what_is_printed():
    (block,) = blocks("json")

    assert missing(json.loads(block.text), json.loads(printed("cloudretry report --stack prod --json"))) == []


def missing(shown, real, path=""):
    """The paths at which what is shown is not in what is real. A list may show some of its items."""
    if isinstance(shown, dict) and isinstance(real, dict):
        found = [f"{path}.{name}" for name in shown.keys() - real.keys()]
        for name in shown.keys() & real.keys():
            found += missing(shown[name], real[name], f"{path}.{name}")
        return found
    if isinstance(shown, list) and isinstance(real, list) and shown:
        return [f"{path}[{at}]" for at, item in enumerate(shown) if all(missing(item, other) for other in real)]
    return [] if shown == real else [path]


@pytest.mark.parametrize("block", blocks("yaml"), ids=str)
def test_a_pipeline_keeps_the_rules_of_its_ci_and_its_commands_run(block, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    schema = "vendor.github-workflows" if "jobs:" in block.text else "vendor.gitlab-ci"
    (tmp_path / "pipeline.yml").write_text(block.text, encoding="utf-8")
    checker = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", schema, "pipeline.yml"]
    checked = subprocess.run(checker, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout

    lines = [line.strip() for text in texts(yaml.safe_load(block.text)) for line in text.splitlines()]
    reports = [line for line in lines if line.startswith("cloudretry ")]
    assert reports
    for command in reports:
        printed(command.replace("$GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md")))
    written = {path.name for path in tmp_path.iterdir()} - {"pipeline.yml"}
    assert written == ({"summary.md", "report.md"} if "jobs:" in block.text else {"report.xml"})


def texts(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts(item)


def test_the_bounds_on_the_page_are_those_of_the_code():
    from cloudretry.report import markdown, timeline

    assert f"at most {markdown.LONGEST:,} characters" in PAGE.text
    assert f"at most {timeline.MOST_RUNS}, in less than the 2,000 characters" in PAGE.text
    assert timeline.LONGEST < 2_000


def test_the_picture_is_there_and_not_too_large_for_a_page():
    (picture,) = re.findall(r"!\[[^]]+\]\(([^)]+)\)", PAGE.text)

    content = (ROOT / "docs" / picture).read_bytes()
    assert content.startswith(b"\x89PNG")
    assert len(content) < 200_000


def test_every_option_is_on_the_page():
    (table,) = re.findall(r"^\| option \|.*?\n\n", PAGE.text, re.MULTILINE | re.DOTALL)
    options = {name for parameter in main.commands["report"].params for name in parameter.opts if name.startswith("--")}

    assert {re.match(r"\| `(--\w+)", row)[1] for row in table.splitlines()[2:] if row} == options
