"""The pipelines as a team lives with them: from a commit to the retry, and to its healing at night."""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest
from ci import GitHubJob, GitLabJob, Step
from team import ROOT, Team

pytestmark = pytest.mark.engine

ORDERS = [{"job_id": "jb1"}, {"job_id": "jb2"}]


def test_a_trigger_is_previewed_on_a_branch_and_fires_once_when_it_is_merged(team: Team) -> None:
    team.declare(orders={"jobs": ORDERS, "triggers": {"ticket": "OPS-1"}})
    proposed = team.propose("first", "Retry the orders")

    previewed, comment = preview(team, proposed)
    assert previewed["Preview"].code == 0
    assert "(orders):\n    would fire 2 targets; all can be retried" in comment
    assert team.newly_fired() == {}

    merged = up(team, team.merge("first"))
    assert merged["Up"].code == 0, merged["Up"].text
    assert team.newly_fired() == {"jb1": 1, "jb2": 1}
    assert team.outputs("orders")["status"] == "Succeeded"
    assert team.open_fires() == []

    team.emulator.set_state("jb1", "FULL_TRANSFER_FAILED")
    team.emulator.set_state("jb2", "FULL_TRANSFER_FAILED")
    team.declare(orders={"jobs": ORDERS, "triggers": {"ticket": "OPS-2"}})
    _, comment = preview(team, team.propose("second", "Retry the orders once more"))
    assert all(line in comment for line in shown_on_the_page())
    assert team.newly_fired() == {}

    up(team, team.merge("second"))
    assert team.newly_fired() == {"jb1": 1, "jb2": 1}
    assert team.outputs("orders")["generation"] == 2

    (team.desk / "README.md").write_text("Our retries.\n", encoding="utf-8")
    unchanged = up(team, team.push("Say what this is"))
    assert "2 unchanged" in unchanged["Up"].text
    assert team.newly_fired() == {}


def test_a_job_that_fails_at_night_is_healed_once_by_the_scheduled_run(team: Team) -> None:
    team.declare(orders={"jobs": ORDERS, "triggers": {"ticket": "OPS-1"}, "reconcile": True})
    commit = team.push("Retry the orders, and keep them well")
    up(team, commit)
    assert team.newly_fired() == {"jb1": 1, "jb2": 1}

    well = up(team, commit)
    assert well["Up"].code == 0
    assert team.newly_fired() == {}

    team.emulator.set_state("jb2", "FULL_TRANSFER_FAILED")
    healed = up(team, commit)
    assert healed["Up"].code == 0, healed["Up"].text
    assert team.newly_fired() == {"jb2": 1}
    assert team.outputs("orders")["generation"] == 1


def test_an_up_that_fails_is_reported_all_the_same_and_holds_up_nothing_else(team: Team) -> None:
    refused = {"id": "refused", "state": "FULL_TRANSFER_FAILED", "refuse": {"code": "DRS.M00304"}}
    well = {"id": "jb1", "state": "FULL_TRANSFER_FAILED", "afterRetry": [["FULL_TRANSFER_STARTED", 0]]}
    team.emulator.set_scenario({"drsJobs": [refused, well]})
    team.declare(orders={"jobs": [{"job_id": "refused"}]}, invoices={"jobs": [{"job_id": "jb1"}]})

    done = up(team, team.push("Retry both"), fails=True, failures=1)

    assert done["Up"].code != 0
    assert done["Report"].code == 0, done["Report"].text
    assert team.outputs("orders")["status"] == "Failed"
    assert team.outputs("invoices")["status"] == "Succeeded"


def test_a_run_whose_machine_is_lost_in_the_middle_of_a_fire_is_taken_up_from_the_volume(team: Team) -> None:
    team.declare(orders={"jobs": ORDERS, "triggers": {"ticket": "OPS-1"}})
    commit = team.push("Retry the orders")
    team.emulator.add_fault("BatchRestoreTask", delay=60, after=True)
    with GitHubJob(team, "up.yml", "up", commit).started("Up") as running:
        running.wait_until(lambda: any(target.times_fired for target in team.emulator.targets()))
        running.lose()
    assert [fire.answers for fire in team.open_fires()] == [{}]
    team.emulator.clear_faults()

    # The report tells of the create that was cut off.
    locked = up(team, commit, fails=True, failures=1)
    assert "the stack is currently locked by 1 lock(s)" in locked["Up"].text

    team.removes_stale_locks = True
    again = up(team, commit)

    assert again["Up"].code == 0, again["Up"].text
    assert "taken up again, not fired again" in again["Up"].text
    assert team.newly_fired() == {"jb1": 1, "jb2": 1}
    assert len(team.emulator.requests("BatchRestoreTask")) == 1
    assert team.outputs("orders")["status"] == "Succeeded"


def test_gitlab_previews_fires_and_reports_the_same(team: Team) -> None:
    team.declare(orders={"jobs": ORDERS, "triggers": {"ticket": "OPS-1"}})
    commit = team.push("Retry the orders")

    preview = GitLabJob(team, "preview", commit)
    assert preview.run()["script"].code == 0
    assert "(orders):\n    would fire 2 targets" in (preview.folder / "preview.md").read_text(encoding="utf-8")
    assert team.newly_fired() == {}

    job = GitLabJob(team, "up", commit)
    done = job.run()
    assert done["script"].code == 0, done["script"].text
    assert done["after_script"].code == 0, done["after_script"].text
    assert team.newly_fired() == {"jb1": 1, "jb2": 1}
    check_report(job.folder / "report.md", job.folder / "report.xml", 0)


def preview(team: Team, commit: str) -> tuple[dict[str, Step], str]:
    """Run the job of a pull request: its steps, and the comment that it leaves."""
    posted = stand_in_for_gh(team)
    job = GitHubJob(team, "preview.yml", "preview", commit, pull_request=7)
    done = job.run()
    assert done["Comment"].code == 0, done["Comment"].text
    (arguments,) = posted.read_text(encoding="utf-8").splitlines()
    assert arguments == "team/retries pr comment 7 --edit-last --create-if-none --body-file preview.md"
    posted.unlink()
    return done, (job.folder / "preview.md").read_text(encoding="utf-8")


def shown_on_the_page() -> list[str]:
    """The lines of such a comment that docs/pipelines.md shows."""
    block = re.search(r"```text\n(.*?)```", (ROOT / "docs/pipelines.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    lines = [line.strip() for line in block[1].strip().splitlines()]
    assert len(lines) == 2
    return lines


def up(team: Team, commit: str, *, fails: bool = False, failures: int = 0) -> dict[str, Step]:
    """Run the job of a merge or a schedule."""
    job = GitHubJob(team, "up.yml", "up", commit)
    done = job.run()
    assert (done["Up"].code != 0) == fails, done["Up"].text
    assert done["Report"].code == 0, done["Report"].text
    check_report(job.summary, job.folder / "report.xml", failures)
    return done


def check_report(markdown: Path, junit: Path, failures: int) -> None:
    assert "orders" in markdown.read_text(encoding="utf-8")
    suites = ElementTree.parse(junit).getroot()
    assert len(list(suites.iter("testcase"))) > 0
    assert len([*suites.iter("failure"), *suites.iter("error")]) == failures


def stand_in_for_gh(team: Team) -> Path:
    """A `gh` on the runner's PATH that writes down what it was asked for. Returns where."""
    posted = team.folder / "posted.txt"
    program = team.folder / "bin/gh"
    program.write_text(f'#!/bin/sh\necho "$GH_REPO $*" >>"{posted}"\n', encoding="utf-8")
    program.chmod(0o755)
    return posted
