"""What a test of a program writes is typed: a type checker takes what is right and finds what is misspelt."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYTHON = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)

MISSPELT = """
from pulumi_cloudretry.testing import EmulatedClouds, Scenario

A_STATE: Scenario = {"drsJobs": [{"id": "jb1", "state": "FULL_TRANSFER_FALIED"}]}
A_KEY: Scenario = {"drsJobs": [{"id": "jb1", "state": "FULL_TRANSFER_FAILED", "afterRetries": []}]}
NO_STATE: Scenario = {"drsJobs": [{"id": "jb1"}]}


def a_fault(clouds: EmulatedClouds) -> None:
    clouds.add_fault("BatchRestoreTask", stauts=500)
"""


def checked(*files: Path) -> list[str]:
    """What mypy has against the files, by their names, with the project's own strictness."""
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--no-error-summary", *files],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert not done.stderr, done.stderr
    return [line for line in done.stdout.splitlines() if ": error:" in line]


def test_the_tests_on_the_page_and_the_fleet_are_typed(tmp_path: Path) -> None:
    files = [ROOT / "examples/fleet/fleet.py", ROOT / "examples/fleet/test_fleet.py"]
    for number, text in enumerate(PYTHON.findall((ROOT / "docs/testing.md").read_text(encoding="utf-8"))):
        files.append(tmp_path / f"block_{number}.py")
        files[-1].write_text(text, encoding="utf-8")
    assert len(files) > 6
    assert checked(*files) == []


def test_what_is_misspelt_is_found(tmp_path: Path) -> None:
    file = tmp_path / "misspelt.py"
    file.write_text(MISSPELT, encoding="utf-8")
    found = [int(line.split(":")[1]) for line in checked(file)]
    assert found == [4, 5, 6, 10]
