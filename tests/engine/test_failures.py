"""What fails stays in state, fails the `up` in the cloud's words, and is all that the next `up` fires."""

from __future__ import annotations

import pytest
from real_engine import FIVE, Project, with_inputs

pytestmark = pytest.mark.engine

FAILS = [["STARTJOBING", 0], ["FULL_TRANSFER_FAILED", 1]]
STARTS = [["STARTJOBING", 0], ["FULL_TRANSFER_STARTED", 0.1]]
REFUSAL = {"code": "DRS.M01504", "message": "Another operation is running.", "times": 1}


def jobs(*ids: str, **inputs: object) -> dict[str, object]:
    return {"type": "drs:JobBatchRetry", "inputs": {"jobs": [{"jobId": job} for job in ids], **inputs}}


def job(name: str, *after_retry: object, **more: object) -> dict[str, object]:
    return {"id": name, "state": "FULL_TRANSFER_FAILED", "afterRetry": list(after_retry) or [STARTS], **more}


@pytest.mark.also_on_the_oldest_engine
def test_a_failed_target_fails_the_up_and_is_all_that_the_next_up_fires(project: Project) -> None:
    project.emulator.set_scenario(
        {
            "drsJobs": [
                job("good"),
                job("refused", refuse=REFUSAL),
                job("weak", FAILS, STARTS, FAILS, STARTS, failedReason="The source database cannot be reached."),
            ]
        }
    )
    project.declare({"replication": jobs("good", "refused", "weak", triggers={"release": "1"})})

    first = project.up(fails=True)

    assert project.newly_fired() == {"good": 1, "weak": 1}
    assert project.outputs("replication")["status"] == "PartiallyFailed"
    assert project.result("replication", "good")["status"] == "Succeeded"
    request_id = project.outputs("replication")["requestIds"][0]
    assert project.said_of(first, "replication").splitlines() == [
        "DRS batch retry: of 3 targets, 2 failed (status PartiallyFailed)",
        f"- refused: DRS.M01504: Another operation is running (HTTP 200, request id {request_id}). "
        "Another operation runs on the task, or the task is abnormal. Wait for it to end.",
        "- weak: it is FULL_TRANSFER_FAILED (full transfer failed): The source database cannot be reached.",
        "The next `pulumi up` fires the failed targets again, and only those (2 attempts left).",
    ]

    project.up()

    assert project.newly_fired() == {"refused": 1, "weak": 1}
    assert project.outputs("replication")["status"] == "Succeeded"

    project.fail_again()
    project.declare({"replication": jobs("good", "refused", "weak", triggers={"release": "2"})})
    project.up(fails=True)

    assert project.newly_fired() == {"good": 1, "refused": 1, "weak": 1}

    preview = project.preview()

    assert preview.ops == {"replication": "update"}
    assert '"1" => "2"' not in preview.text
    if project.front == "plugin":
        assert preview.steps["replication"].diff == {"status": "update"}
    assert project.newly_fired() == {}

    project.up()

    assert project.newly_fired() == {"weak": 1}
    assert project.outputs("replication")["generation"] == 2
    project.up("--expect-no-changes")


def test_when_the_attempts_are_spent_the_up_fails_and_fires_nothing(project: Project) -> None:
    project.emulator.set_scenario({"drsJobs": [job("stubborn", refuse={**REFUSAL, "times": 2})]})
    project.declare({"replication": jobs("stubborn", maxAttempts=1)})
    project.up(fails=True)
    project.newly_asked()

    spent = project.up(fails=True)

    assert project.newly_asked() == []
    said = project.said_of(spent, "replication")
    assert "It is not fired now: its 1 attempt is spent." in said
    assert "change a trigger or raise maxAttempts to fire again" in said

    project.declare({"replication": jobs("stubborn", maxAttempts=2)})
    project.up(fails=True)
    assert project.newly_asked() == ["BatchRestoreTask"]

    project.declare({"replication": jobs("stubborn", maxAttempts=2, triggers={"again": "please"})})
    project.up()
    assert project.newly_fired() == {"stubborn": 1}


def test_the_outcome_of_one_is_kept_when_another_fails_before_it(project: Project) -> None:
    slow = [["STARTJOBING", 0], ["FULL_TRANSFER_STARTED", 2]]
    project.emulator.set_scenario({"drsJobs": [job("slow", slow), job("bad", refuse=REFUSAL)]})
    project.declare({"slow": jobs("slow"), "bad": jobs("bad")})

    project.up(fails=True)

    assert project.statuses() == {"slow": "Succeeded", "bad": "Failed"}

    project.newly_fired()
    project.up()

    assert project.newly_fired() == {"bad": 1}


def test_a_run_that_a_timeout_cut_off_is_resumed_and_fires_nothing(project: Project) -> None:
    project.emulator.set_scenario({"drsJobs": [job("jb1", [["STARTJOBING", 0], ["FULL_TRANSFER_STARTED", 600]])]})
    project.declare({"replication": {**jobs("jb1"), "opts": {"customTimeouts": {"create": "2s", "update": "2s"}}}})

    cut_off = project.up(fails=True)

    assert project.newly_fired() == {"jb1": 1}
    assert project.outputs("replication")["status"] == "InProgress"
    said = project.said_of(cut_off, "replication")
    assert "timed out while waiting until the transfer runs or is complete; last seen STARTJOBING" in said
    assert "The next `pulumi up` goes on waiting and fires nothing." in said

    again = project.up(fails=True)
    assert "timed out while waiting" in project.said_of(again, "replication")

    project.emulator.set_state("jb1", "FULL_TRANSFER_STARTED")
    project.up()

    assert project.newly_fired() == {}
    assert len(project.newly_asked()) == 1
    assert project.outputs("replication")["status"] == "Succeeded"


def test_nobody_waits_when_told_not_to(project: Project) -> None:
    project.declare(with_inputs(FIVE, wait=False))

    project.up()

    assert {status for name, status in project.statuses().items() if name != "simulation"} == {"Accepted"}
    looks = set(project.newly_called()) - {"ListJobs"}
    assert {look for look in looks if look.startswith(("Show", "BatchList"))} == set()

    project.up("--expect-no-changes")

    assert project.newly_called() == []

    project.declare(FIVE)
    project.up()

    assert project.newly_asked() == []
    assert set(project.statuses().values()) == {"Succeeded"}


def test_only_what_can_be_retried_is_fired_when_so_chosen(project: Project) -> None:
    project.emulator.set_state("jb2", "INCRE_TRANSFER_STARTED")
    project.emulator.set_state("jb3", "CREATING")
    project.declare({"replication": jobs("jb1", "jb2", "jb3", fireWhen="retryable")})

    project.up()

    assert project.newly_fired() == {"jb1": 1}
    assert [request.targets for request in project.emulator.requests("BatchRestoreTask")] == [("jb1",)]
    assert project.result("replication", "jb2")["skippedReason"] == "AlreadyRunning"
    assert project.result("replication", "jb3")["skippedReason"] == "InProgress"


@pytest.mark.plugin_only("it cannot ask for a refresh before the update")
def test_an_update_heals_what_the_refresh_before_it_could_not_look_at(project: Project) -> None:
    """As with an explicit provider whose token has ended since: the refresh has the configuration in the state."""
    project.declare({"replication": jobs("jb1", reconcile=True)})
    project.up()
    project.newly_fired()
    project.fail_again("jb1")
    ended = {"error_code": "APIGW.0301", "error_msg": "Incorrect IAM authentication information: decrypt token fail"}

    project.emulator.add_fault("BatchListJobStatus", status=401, body=ended, times=1)
    preview = project.preview()

    assert preview.ops["replication"] == "update"
    assert any("could not be looked at" in words for words in preview.words("info", "replication"))
    assert any("would look at its targets" in words for words in preview.words("info", "replication"))

    project.emulator.add_fault("BatchListJobStatus", status=401, body=ended, times=1)
    project.up()

    assert project.newly_fired() == {"jb1": 1}
    assert project.outputs("replication")["status"] == "Succeeded"
    project.up("--expect-no-changes")

    project.emulator.add_fault("BatchListJobStatus", status=401, body=ended, times=None)
    project.destroy()

    assert project.resources == {}


def test_reconcile_fires_what_the_cloud_shows_failed_and_nothing_else(project: Project) -> None:
    # The dynamic provider cannot ask for a refresh before the update, so it is asked for by hand.
    by_hand = ("--refresh",) if project.front == "dynamic" else ()
    project.declare({"replication": jobs("jb1", "jb2", reconcile=True), "other": jobs("jb3", reconcile=False)})
    project.up()
    project.newly_fired()

    project.up("--expect-no-changes", *by_hand)
    assert project.newly_asked() == ["BatchRestoreTask"] * 2

    project.fail_again("jb2", "jb3")
    project.up(*by_hand)

    assert project.newly_fired() == {"jb2": 1}
    assert project.result("replication", "jb1")["attempts"] == 1
    assert project.result("replication", "jb2")["attempts"] == 2
