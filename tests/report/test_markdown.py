"""The Markdown, as GitHub's own parser and another one read it."""

from __future__ import annotations

import re

import pytest
from exports import export, outputs, prod, report, resource, result, run, staging
from rendered import READERS, rendered

from cloudretry.report.markdown import LONGEST, code, markdown, words
from cloudretry.report.reading import read

each_reader = pytest.mark.parametrize("reader", READERS)


@each_reader
def test_one_stack_has_a_verdict_a_table_of_resources_and_one_of_targets_that_are_not_well(reader: str) -> None:
    seen = rendered(markdown([prod()]), reader)

    assert seen.headings == ["❌ shop/prod: of 5 resources, 2 failed"]
    resources, targets = seen.tables
    assert resources[0] == ["resource", "status", "targets", "generation", "last run (UTC)", "why"]
    assert resources[1][:4] == ["orders\ndrs:JobBatchRetry", "❌ PartiallyFailed", "1 Failed, 2 Succeeded", "2"]
    assert [row[0].split("\n")[0] for row in resources[1:]] == ["orders", "desktop", "simulation", "board", "inference"]
    assert [row[:4] for row in targets[1:]] == [
        ["orders", "jb102", "❌ Failed", "1"],
        ["desktop", "[secret]", "❌ Failed", "1"],
    ]
    assert targets[2][4].startswith("WKS.0500: it is FAILED (failed): The directory service did not answer.")
    assert targets[1][5].endswith("fires the failed targets again, and only those (2 attempts left).")


def test_the_first_line_is_a_comment_by_which_a_bot_finds_its_own() -> None:
    assert markdown([prod()]).splitlines()[0] == "<!-- cloudretry-report shop/prod -->"
    assert markdown([prod(), staging()]).splitlines()[0] == "<!-- cloudretry-report shop/prod shop/staging -->"


def test_a_stack_whose_name_would_end_the_comment_does_not() -> None:
    told = read(export(stack="a--><b>"), "the export")

    seen = rendered(markdown([told]))
    assert seen.comments == ["cloudretry-report shop/a--__b_"]
    assert "b" not in seen.tags


@pytest.mark.parametrize(
    ("status", "sign"),
    [("Succeeded", "✅"), ("Skipped", "✅"), ("Failed", "❌"), ("InProgress", "⏳"), ("Unknown", "❔")],
)
def test_the_verdict_has_a_sign(status: str, sign: str) -> None:
    told = report(resource("orders", outputs(result("jb1", status), status=status)))

    assert rendered(markdown([told])).headings[0].startswith(f"{sign} shop/dev: ")


@each_reader
def test_several_stacks_are_listed_and_told_one_after_the_other_the_failed_first(reader: str) -> None:
    seen = rendered(markdown([staging(), prod()]), reader)

    assert seen.headings == [
        "❌ 2 stacks: of 7 resources, 2 failed",
        "shop/prod: of 5 resources, 2 failed",
        "shop/staging: nothing failed in 2 resources",
    ]
    assert [row[:2] for row in seen.tables[0][1:]] == [
        ["shop/prod", "❌ of 5 resources, 2 failed"],
        ["shop/staging", "✅ nothing failed in 2 resources"],
    ]
    assert len(seen.diagrams) == 2


def test_it_never_outgrows_a_comment_and_says_what_was_left_out() -> None:
    message = "<|&`" * 200
    many = report(
        *(
            resource(
                f"retry-{number:04}<|>",
                outputs(*(result(f"jb{target}", errorMessage=message) for target in range(20)), status="Failed"),
            )
            for number in range(400)
        )
    )

    text = markdown([many])

    assert LONGEST / 2 < len(text) <= LONGEST
    seen = rendered(text)
    resources, targets = seen.tables
    assert f"{400 - len(resources) + 1} more resources are left out" in text
    assert f"{8000 - len(targets) + 1} more targets are left out" in text
    assert len(seen.diagrams) == 1
    assert re.search(r"38\d older runs are not drawn", text)


def test_a_fleet_that_does_not_fit_is_still_listed() -> None:
    fleet = [
        report(
            *(resource(f"retry-{n}", outputs(result("jb1"), status="Failed")) for n in range(20)), stack=f"stack-{at}"
        )
        for at in range(60)
    ]

    text = markdown(fleet)

    assert len(text) <= LONGEST
    seen = rendered(text)
    assert len(seen.tables[0]) == 61
    assert f"The details of {60 - len(seen.headings) + 1} more stacks are left out" in text


def test_notes_have_their_own_bounds() -> None:
    held = outputs(result("jb1", "Succeeded"), failure="<" * 2000)
    token = "pulumi-python:dynamic/cloudretry/drs:JobBatchRetry"
    told = report(*(resource("<" * 300 + str(number), held, token=token) for number in range(300)))

    text = markdown([told])

    assert len(text) <= LONGEST
    assert "more notes are left out" in text
    assert len(rendered(text).tables[0]) > 2


def test_a_stack_without_retries_says_so() -> None:
    assert "## ✅ `shop/dev`: no retries" in markdown([report()])


@pytest.mark.parametrize("text", ["orders", "jb-1_2.scheduler", "drs:JobBatchRetry", "a b", "[secret]"])
def test_a_plain_name_stays_readable_in_the_source(text: str) -> None:
    assert code(text) == f"`{text}`"


@pytest.mark.parametrize(
    "text", ["@team", "see #12", "!3", "see https://example.com", "www.example.com", "a@example.com"]
)
def test_words_call_nobody_and_link_nothing(text: str) -> None:
    seen = rendered(words(text))

    assert seen.tags <= {"p"}
    for call in ("@team", "#12", "!3"):
        assert call not in READERS["github"](words(text))


def test_a_run_is_dated_in_utc() -> None:
    held = outputs(result("jb1", "Succeeded"), history=[run("2026-01-31T23:30:00-02:00")])

    assert "| 2026-02-01 01:30:00 |" in markdown([report(resource("orders", held))])
