"""What is read from an export, and what is not to be got out of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from exports import (
    DAY,
    DRS,
    PROD,
    SIGNATURE,
    STAGING,
    WORKSPACE,
    outputs,
    prod,
    report,
    resource,
    result,
    run,
    secret,
    staging,
)

from cloudretry.errors import ExportError
from cloudretry.model import Status, parse_time
from cloudretry.report.junit import junit
from cloudretry.report.markdown import markdown
from cloudretry.report.reading import from_file, read
from cloudretry.report.summary import Report, headline
from cloudretry.report.table import heading, note_lines, resource_rows, target_rows


def all_forms(*reports: Report) -> str:
    """Everything that any form shows."""
    rows = [str(row) for one in reports for row in (*resource_rows(one), *target_rows(one), *note_lines(one))]
    objects = json.dumps([one.to_json() for one in reports], ensure_ascii=False)
    headings = [heading(one) for one in reports]
    return "\n".join([*headings, *rows, objects, markdown(reports), junit(reports).decode()])


# --- real exports ---


def test_a_real_export_of_the_plugin_tells_what_happened() -> None:
    told = prod()

    assert (told.project, told.stack, told.name) == ("shop", "prod", "shop/prod")
    assert headline([told]) == "of 5 resources, 2 failed"
    by_name = {retry.name: retry for retry in told.retries}
    assert {name: retry.status for name, retry in by_name.items()} == {
        "orders": Status.PARTIALLY_FAILED,
        "desktop": Status.FAILED,
        "inference": Status.SKIPPED,
        "board": Status.SKIPPED,
        "simulation": Status.SUCCEEDED,
    }
    orders = by_name["orders"]
    assert [(run.why, run.fired, run.status) for run in orders.runs] == [
        ("create", 3, Status.PARTIALLY_FAILED),
        ("failed targets", 1, Status.SUCCEEDED),
        ("triggers: release", 3, Status.PARTIALLY_FAILED),
    ]
    assert (orders.front, orders.generation, orders.emulator) == ("plugin", 2, True)
    ((failed, step),) = orders.open_results
    assert (failed.target, failed.attempts) == ("jb102", 1)
    assert "The source database closed the connection." in failed.error_message
    assert "2 attempts left" in step


def test_a_real_export_of_the_dynamic_classes_tells_the_same_things() -> None:
    told = staging()

    assert told.name == "shop/staging"
    assert headline([told]) == "nothing failed in 2 resources"
    assert {(retry.name, retry.token, retry.front) for retry in told.retries} == {
        ("orders", DRS, "dynamic"),
        ("desktop", WORKSPACE, "dynamic"),
    }


# --- secrets ---


def test_what_is_secret_in_a_real_export_is_in_no_form() -> None:
    forms = all_forms(prod(), staging())

    assert "[secret]" in forms
    for planted in ("task-7", "task-8", "OPS-7741", "ciphertext", "v1:"):
        assert planted not in forms


def test_a_dynamic_target_whose_input_is_secret_is_hidden_though_the_state_has_it_in_clear() -> None:
    assert b"task-8" in STAGING.read_bytes()
    (desktop,) = (retry for retry in staging().retries if retry.name == "desktop")
    assert [result.target for result in desktop.results] == ["[secret]"]


@pytest.mark.parametrize(
    "form",
    [
        {"ciphertext": "v1:abc:def"},
        {"plaintext": '"jb-hidden"'},
        {"value": "jb-hidden"},
        {SIGNATURE: "d0e6a833031e9bbcd3f4e8bde6ca49a4", "secret": True, "value": "jb-hidden"},
    ],
    ids=["ciphertext", "plaintext", "value", "output"],
)
def test_a_secret_target_is_hidden_in_each_form_that_a_state_may_have(form: dict[str, Any]) -> None:
    held = outputs(
        result(
            secret(**form), errorMessage="jb-hidden: no such job" if len(form) > 1 or "ciphertext" not in form else ""
        ),
        status="Failed",
        history=[run(status="Failed", failedTargets=[secret(**form)])],
    )

    told = report(resource("orders", held))

    assert [item.target for item in told.retries[0].results] == ["[secret]"]
    assert told.retries[0].runs[0].failed_targets == ("[secret]",)
    assert "jb-hidden" not in all_forms(told)


def test_several_secret_targets_are_told_apart() -> None:
    told = report(
        resource("orders", outputs(*(result(secret()) for _ in range(3)), result("[secret] 2"), status="Failed"))
    )

    names = [item.target for item in told.retries[0].results]
    assert names[:3] == ["[secret]", "[secret] 2", "[secret] 3"]
    assert len(set(names)) == 4


def test_a_secret_that_an_export_shows_is_hidden_in_the_words_of_the_cloud_too() -> None:
    held = outputs(
        result("jb1", errorMessage="user hunter2 may not"),
        status="Failed",
        triggers={"password": secret(plaintext='{"deep": ["hunter2"]}'), "open": "shown"},
    )

    told = report(resource("orders", held))

    assert told.retries[0].results[0].error_message == "user [secret] may not"
    assert "hunter2" not in all_forms(told)


def test_results_that_are_a_secret_as_a_whole_leave_the_verdict() -> None:
    told = report(resource("orders", outputs(status="Failed", results=secret(), history=secret())))

    (retry,) = told.retries
    assert (retry.status, retry.targets, retry.runs) == (Status.FAILED, "[secret]", ())
    assert b"<failure" in junit([told])


def test_a_status_that_is_a_secret_cannot_be_reported_and_counts_as_not_known() -> None:
    told = report(resource("orders", outputs(status="Failed") | {"status": secret()}))

    assert told.has_failed
    assert headline([told]) == "of 1 resource, 1 that cannot be read"
    assert "its status is a secret" in all_forms(told)


# --- what is no retry, or not readable ---


def test_other_resources_and_what_is_being_replaced_are_left_alone() -> None:
    told = report(
        resource("network", {"status": "Failed"}, token="aws:ec2/vpc:Vpc"),
        resource("provider", {}, token="pulumi:providers:cloudretry"),
        resource("old", outputs(result("jb1"), status="Failed"), delete=True),
    )

    assert (told.retries, told.unreadable, headline([told])) == ((), (), "no retries")


def test_an_action_of_another_version_and_broken_outputs_are_named_and_do_not_hide_the_others() -> None:
    told = report(
        resource("new", outputs(), token="cloudretry:drs:JobPause"),
        resource("empty", None),
        resource("broken", outputs() | {"results": [{"target": "jb1", "status": "Exploded: hunter2"}]}),
        resource("odd", outputs() | {"history": [{"at": "noon"}]}),
        resource("good", outputs(result("jb1", "Succeeded"))),
    )

    assert [retry.name for retry in told.retries] == ["good"]
    assert [one.name for one in told.unreadable] == ["new", "empty", "broken", "odd"]
    assert told.unreadable[0].words == "cloudretry:drs:JobPause is not an action of this version"
    assert "hunter2" not in all_forms(told)


def test_a_resource_that_the_engine_was_cut_off_at_counts_as_not_known() -> None:
    good = resource("orders", outputs(result("jb1", "Succeeded")))
    told = report(good, pending_operations=[{"resource": resource("late", {}), "type": "creating"}])

    assert told.interrupted == ("late",)
    assert told.has_failed
    assert headline([told]) == "of 2 resources, 1 cut off"
    assert "worked on late" in all_forms(told)


@pytest.mark.parametrize(
    ("kind", "job", "interrupted"),
    [
        ("creating", "task-1", ()),
        ("creating", "task-2", ("desktop",)),
        ("updating", "task-1", ("desktop",)),
    ],
    ids=["done since", "a replacement", "an update"],
)
def test_the_note_of_a_create_that_was_done_since_says_nothing(
    kind: str, job: str, interrupted: tuple[str, ...]
) -> None:
    good = resource("desktop", outputs(result("task-1", "Succeeded")), WORKSPACE, inputs={"jobId": "task-1"})
    cut_off = resource("desktop", None, WORKSPACE, inputs={"jobId": job, "triggers": {"release": "1"}})

    assert report(good, pending_operations=[{"resource": cut_off, "type": kind}]).interrupted == interrupted


def test_what_a_dynamic_resource_could_not_begin_is_told() -> None:
    token = "pulumi-python:dynamic/cloudretry/drs:JobBatchRetry"
    held = outputs(result("jb1", "Succeeded"), failure="no region is given\nset it")
    told = report(resource("orders", held, token=token))

    assert "The last up of orders fired nothing: no region is given set it" in all_forms(told)


@pytest.mark.parametrize("deployment", [None, {}, {"manifest": {"time": "never"}, "resources": None}])
def test_an_empty_stack_has_no_retries(deployment: Any) -> None:
    told = read(json.dumps({"version": 3, "deployment": deployment}).encode(), "the export", stack="dev")

    assert (told.stack, told.at, told.retries) == ("dev", "", ())
    assert not told.has_failed


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not JSON: hunter2",
        b"[]",
        b'{"version": 3, "checkpoint": {"latest": {}}}',
        b'{"version": 3, "deployment": {"resources": [{"type": "hunter2"}]}}',
        b'{"version": "hunter2", "deployment": null}',
        b"\xff\xfe{}",
    ],
)
def test_what_is_no_export_is_refused_by_name_with_the_remedy_and_without_its_content(
    content: bytes, tmp_path: Path
) -> None:
    file = tmp_path / "state.json"
    file.write_bytes(content)

    with pytest.raises(ExportError) as refused:
        from_file(file)

    assert str(refused.value).startswith(f"{file} is not an export of a stack")
    assert "pulumi stack export --file FILE" in str(refused.value)
    assert "hunter2" not in str(refused.value)


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert read(b"\xef\xbb\xbf" + PROD.read_bytes(), "the export").name == "shop/prod"


# --- what comes next ---


@pytest.mark.parametrize(
    ("target", "knobs", "expected"),
    [
        (result("jb1"), {}, "(2 attempts left)"),
        (result("jb1", attempts=3), {}, "No attempts are left"),
        (result("jb1", attempts=3), {"maxAttempts": 4}, "(1 attempt left)"),
        (result("jb1", "InProgress"), {}, "goes on waiting and fires nothing"),
        (result("jb1", "Unknown"), {}, "set onUnknown: fire"),
        (result("jb1", "Unknown"), {"onUnknown": "fire"}, "fires what is still unknown"),
        (result("jb1", errorCode="DRS.M05003"), {}, "There is no such task."),
    ],
)
def test_each_target_that_is_not_well_has_its_next_step(
    target: dict[str, Any], knobs: dict[str, Any], expected: str
) -> None:
    told = report(resource("orders", outputs(target, status=target["status"], **knobs)))

    ((_, step),) = told.retries[0].open_results
    assert expected in step
    assert expected in all_forms(told)


def test_a_failed_target_of_a_run_that_succeeded_has_none() -> None:
    held = outputs(result("jb1"), result("jb2", "Succeeded"), status="Succeeded", successPolicy="any")
    told = report(resource("orders", held))

    ((failed, step),) = told.retries[0].open_results
    assert (failed.target, step) == ("jb1", "")
    assert not told.has_failed


def test_an_import_that_was_not_fired_since_says_so() -> None:
    held = outputs(result("jb1", "Skipped", skippedReason="Imported", attempts=0), status="Skipped", generation=0)
    told = report(resource("orders", {**held, "history": []}))

    assert told.retries[0].why == "imported, not fired since"


# --- a span of time ---


def test_since_keeps_what_ran_in_that_time_and_counts_the_rest() -> None:
    old, new = run("2026-01-30T09:00:00Z", "Failed"), run(DAY, "Succeeded", reason="failed targets")
    told = report(
        resource("orders", outputs(result("jb1", "Succeeded"), history=[old, new])),
        resource("stale", outputs(result("jb2"), status="Failed", history=[old])),
    )

    recent = told.since(parse_time(DAY) - 3600)

    assert [retry.name for retry in recent.retries] == ["orders"]
    assert [run.reason for run in recent.retries[0].runs] == ["failed targets"]
    assert "Left out, because they did not run in that time: stale (1 of them failed or not settled)." in list(
        note_lines(recent)
    )
    assert not recent.has_failed
    assert headline([told.since(parse_time(DAY) + 1)]) == "no retries in that time"
