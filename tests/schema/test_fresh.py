"""What is generated and committed is what would be generated now; and the version stands in one place."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from cloudretry.schema import schema
from cloudretry.version import __version__

ROOT = Path(__file__).parents[2]
SDK = ROOT / "tools/sdk.py"
GENERATED = ("sdk/", "schema.json", "docs/reference/")
PINS = ("examples/pipelines/", "docs/pipelines.md")
NOT_THE_VERSION = (
    "CHANGELOG.md",
    "docs/benchmark.",
    "provider/cloudretry/ledger/__init__.py",
    "provider/cloudretry/ledger/legacy.py",
    "provider/cloudretry/lifecycle/journaling.py",
    "provider/cloudretry/run/recover.py",
    "tests/plugin/test_upgrade.py",
    "tests/report/recorded/",
    "tests/tools/recorded/",
    "tests/upgrade/",
    "tools/benchmark/null_plugin/",
)
"""A changelog names versions, a recording is of one, what reads the records of one names it, and other modules have
versions of their own."""


def test_the_committed_schema_is_fresh() -> None:
    committed = json.loads((ROOT / "schema.json").read_text(encoding="utf-8"))
    assert committed == schema(), "schema.json is stale; run `make sdk`"


@pytest.mark.engine
def test_the_committed_sdks_are_fresh() -> None:
    ended = subprocess.run([sys.executable, SDK, "--check"], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"run `make sdk`\n{ended.stdout}{ended.stderr}"


def test_the_version_is_written_in_one_place_only() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    word = re.compile(rf"(?<![\d.]){re.escape(__version__)}(?![\d.]*\d)")
    repeated = [
        path
        for path in listed.split("\0")
        if path
        and not path.startswith(GENERATED + PINS + NOT_THE_VERSION)
        and not path.endswith(("go.mod", "go.sum"))
        and (ROOT / path).is_file()
        and word.search((ROOT / path).read_text(encoding="utf-8", errors="replace"))
    ]
    assert repeated == ["provider/cloudretry/version.py"]


def test_the_pipelines_pin_this_version() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ROOT / PINS[0]).rglob("*") if path.is_file()]
    pins = re.findall(r"(?i)cloudretry(?:_version|-runner)?\s*(?:==|[=:])\s*[\"']?(\d+\.\d+\.\d+)", "\n".join(texts))
    assert set(pins) == {__version__}


@pytest.mark.parametrize(
    ("path", "pattern"),
    [
        ("schema.json", r'"version": "(.*)"'),
        ("sdk/nodejs/package.json", r'"version": "(.*)"'),
        ("sdk/python/pulumi_cloudretry/pulumi-plugin.json", r'"version": "(.*)"'),
        ("sdk/go/cloudretry/pulumi-plugin.json", r'"version": "(.*)"'),
    ],
)
def test_each_sdk_asks_for_this_version_of_the_plugin(path: str, pattern: str) -> None:
    found = re.findall(pattern, (ROOT / path).read_text(encoding="utf-8"))
    assert set(found) == {__version__}
