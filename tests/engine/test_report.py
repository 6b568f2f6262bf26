"""The report of a real stack: what happened to it, on both fronts, and none of its secrets."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from real_engine import FIVE, STACK, Project, with_inputs

pytestmark = pytest.mark.engine

TICKET = "planted-ticket-7f3a"
TASK = "task-2"
"""A job id, planted as a secret."""


def report(project: Project, *arguments: str, code: int = 0) -> str:
    """What `cloudretry report` prints in the folder of the project."""
    done = subprocess.run(
        ["cloudretry", "report", *arguments],
        cwd=project.folder,
        env=project.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == code, f"{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def test_it_tells_what_was_retried_when_why_and_with_what_outcome(project: Project, tmp_path: Path) -> None:
    # A dynamic class refuses a secret target.
    task, shown = ({"$secret": TASK}, "[secret]") if project.front == "plugin" else ("task-1", "task-1")
    resources: dict[str, Any] = {
        "replication": {**FIVE["replication"], "inputs": {"jobs": [{"jobId": "jb1"}, {"jobId": "absent"}]}},
        "desktop": {"type": "workspace:JobRetry", "inputs": {"jobId": task}},
    }
    for release in ("1", "2"):
        project.fail_again()
        project.declare(with_inputs(resources, triggers={"release": release, "ticket": {"$secret": TICKET}}))
        project.up("--continue-on-error", fails=True)

    table = report(project, "--stack", STACK)
    document = json.loads(report(project, "--stack", STACK, "--json", "--fail", code=1))
    project.select()
    selected = report(project, "--markdown", str(tmp_path / "report.md"), "--junit", str(tmp_path / "report.xml"))

    assert selected == table
    assert table.splitlines()[0].startswith(f"engine-test/{STACK}, state of 2")
    assert table.splitlines()[0].endswith(": of 2 resources, 1 failed")
    (stack,) = document["stacks"]
    told = {item["name"]: item for item in stack["resources"]}
    assert {item["front"] for item in told.values()} == {project.front}
    replication = told["replication"]
    assert (replication["status"], replication["generation"]) == ("PartiallyFailed", 2)
    assert [(run["reason"], run["fired"], run["status"]) for run in replication["history"]] == [
        ("create", 2, "PartiallyFailed"),
        ("triggers", 2, "PartiallyFailed"),
    ]
    assert replication["history"][1]["triggers"] == ["release"]
    (failed,) = (item for item in replication["results"] if item["status"] == "Failed")
    assert (failed["target"], failed["attempts"], failed["errorCode"]) == ("absent", 1, "DRS.M05003")
    assert "2 attempts left" in failed["nextStep"]
    assert told["desktop"]["status"] == "Succeeded"
    assert [item["target"] for item in told["desktop"]["results"]] == [shown]

    markdown = (tmp_path / "report.md").read_text(encoding="utf-8")
    xml = (tmp_path / "report.xml").read_text(encoding="utf-8")
    assert "triggers#58; release - PartiallyFailed, 2 fired :milestone, crit" in markdown
    assert ElementTree.fromstring(xml).attrib["failures"] == "1"
    for form in (table, json.dumps(document), markdown, xml):
        assert TICKET not in form
        assert TASK not in form

    assert "no stack named 'nowhere' found" in report(project, "--stack", "nowhere", code=2)
