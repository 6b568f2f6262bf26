"""The command: where it reads from, where it writes to, and how it ends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result
from exports import PROD, STAGING, export, outputs, resource, result

from cloudretry.cli import main


def report(*arguments: str | Path, given: bytes | None = None, **environment: str) -> Result:
    clean = {"GITHUB_STEP_SUMMARY": None} | environment
    return CliRunner().invoke(main, ["report", *map(str, arguments)], input=given, env=clean)


@pytest.fixture
def failed(tmp_path: Path) -> Path:
    file = tmp_path / "failed.json"
    file.write_bytes(export(resource("orders", outputs(result("jb1", errorMessage="it broke"), status="Failed"))))
    return file


@pytest.fixture
def fake_pulumi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that is called as the Pulumi CLI is; what it does is up to the test."""
    program = tmp_path / "bin/pulumi"
    program.parent.mkdir()
    program.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=os.pathsep)
    return program


# --- what is printed ---


def test_a_table_of_resources_and_below_it_the_targets_that_are_not_well() -> None:
    done = report("--file", PROD)

    assert done.exit_code == 0
    first, heads, orders, *_ = done.stdout.splitlines()
    assert first == "shop/prod, state of 2026-11-26T22:38:10Z: of 5 resources, 2 failed"
    assert heads.split() == ["RESOURCE", "ACTION", "STATUS", "TARGETS", "GENERATION", "WHEN", "WHY"]
    assert orders.split()[:3] == ["orders", "drs:JobBatchRetry", "PartiallyFailed"]
    lines = done.stdout.splitlines()
    targets = lines[lines.index("") + 1 :]
    assert targets[0].split() == ["RESOURCE", "TARGET", "STATUS", "ATTEMPTS", "CODE", "WORDS"]
    assert targets[2].startswith("desktop   [secret]  Failed  1         WKS.0500  it is FAILED")


def test_json_is_one_object_of_all_stacks() -> None:
    document = json.loads(report("--file", PROD, "--file", STAGING, "--json").stdout)

    assert document["ok"] is False
    assert [(stack["project"], stack["stack"], stack["ok"]) for stack in document["stacks"]] == [
        ("shop", "prod", False),
        ("shop", "staging", True),
    ]
    orders = next(item for item in document["stacks"][0]["resources"] if item["name"] == "orders")
    assert orders["action"] == "cloudretry:drs:JobBatchRetry"
    assert [item["target"] for item in orders["results"]] == ["jb101", "jb102", "jb103"]
    assert "2 attempts left" in orders["results"][1]["nextStep"]
    assert orders["history"][-1]["triggers"] == ["release"]


def test_several_files_are_headed_by_their_stacks() -> None:
    lines = report("--file", PROD, "--file", STAGING).stdout.splitlines()

    assert [line.split(",")[0] for line in lines if ", state of" in line] == ["shop/prod", "shop/staging"]


def test_standard_input_is_a_file_too() -> None:
    assert report("--file", "-", given=PROD.read_bytes()).stdout == report("--file", PROD).stdout


def test_a_dash_prints_the_form_instead_of_the_table() -> None:
    markdown = report("--file", PROD, "--markdown", "-").stdout
    xml = report("--file", PROD, "--junit", "-").stdout

    assert markdown.startswith("<!-- cloudretry-report shop/prod -->\n## ")
    assert "RESOURCE" not in markdown
    assert ElementTree.fromstring(xml).tag == "testsuites"


# --- what is written ---


def test_both_files_are_written_in_one_call_and_the_table_is_printed(tmp_path: Path) -> None:
    markdown, junit = tmp_path / "report.md", tmp_path / "report.xml"
    markdown.write_text("what was there before", encoding="utf-8")

    done = report("--file", PROD, "--markdown", markdown, "--junit", junit)

    assert done.stdout == report("--file", PROD).stdout
    assert markdown.read_text(encoding="utf-8") == report("--file", PROD, "--markdown", "-").stdout
    assert ElementTree.parse(junit).getroot().attrib["failures"] == "2"


def test_the_summary_of_a_github_job_is_appended_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    summary = tmp_path / "summary.md"
    summary.write_text("| a step's |\n| --- |\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    done = report("--file", PROD, "--markdown", "summary.md", GITHUB_STEP_SUMMARY=str(summary))

    assert done.exit_code == 0
    text = summary.read_text(encoding="utf-8")
    assert text.startswith("| a step's |\n| --- |\n\n<!-- cloudretry-report shop/prod -->\n")


def test_an_empty_summary_begins_with_the_marker(tmp_path: Path) -> None:
    summary = tmp_path / "summary.md"
    summary.touch()

    report("--file", PROD, "--markdown", summary, GITHUB_STEP_SUMMARY=str(summary))

    assert summary.read_text(encoding="utf-8").startswith("<!-- cloudretry-report")


def test_another_file_is_overwritten_although_there_is_a_summary(tmp_path: Path) -> None:
    other = tmp_path / "report.md"
    other.write_text("what was there before", encoding="utf-8")

    report("--file", PROD, "--markdown", other, GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md"))

    assert other.read_text(encoding="utf-8").startswith("<!-- cloudretry-report")


# --- how it ends ---


def test_a_report_that_could_be_made_ends_with_0_whatever_it_says(failed: Path) -> None:
    assert report("--file", failed).exit_code == 0


@pytest.mark.parametrize(
    ("status", "code"),
    [
        ("Failed", 1),
        ("PartiallyFailed", 1),
        ("Unknown", 1),
        ("InProgress", 1),
        ("Succeeded", 0),
        ("Skipped", 0),
        ("Accepted", 0),
    ],
)
def test_with_fail_it_ends_with_1_if_a_retry_is_not_well(status: str, code: int) -> None:
    held = outputs(result("jb1", "Failed" if status == "PartiallyFailed" else status), status=status)

    assert report("--file", "-", "--fail", given=export(resource("orders", held))).exit_code == code


def test_with_fail_and_since_only_what_ran_in_that_time_counts(failed: Path) -> None:
    done = report("--file", failed, "--since", "1h", "--fail")

    assert done.exit_code == 0
    assert done.stdout.splitlines() == [
        "shop/dev, state of 2026-01-31T10:05:00Z: no retries in that time",
        "",
        "Left out, because they did not run in that time: orders (1 of them failed or not settled).",
    ]


def test_what_is_no_export_ends_with_2_in_words(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")

    done = report("--file", tmp_path / "other.json")

    assert (done.exit_code, done.stdout) == (2, "")
    assert "other.json is not an export of a stack" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_ends_with_2_as_json_too(tmp_path: Path) -> None:
    done = report("--file", tmp_path / "absent.json", "--json")

    assert done.exit_code == 2
    assert json.loads(done.stdout) == {
        "ok": False,
        "problem": f"{tmp_path / 'absent.json'} cannot be read: No such file or directory",
    }


def test_a_form_that_cannot_be_written_ends_with_2(tmp_path: Path) -> None:
    done = report("--file", PROD, "--junit", tmp_path / "absent/report.xml")

    assert done.exit_code == 2
    assert "absent/report.xml cannot be written: No such file or directory" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--stack", "dev", "--file", "a.json"), "--stack or --file, not both"),
        (("--file", "-", "--file", "-"), "give --file - once"),
        (("--json", "--markdown", "-"), "--markdown - and --json both print"),
        (("--markdown", "-", "--junit", "-"), "--markdown - and --junit - both print"),
    ],
)
def test_what_cannot_go_together_is_refused(arguments: tuple[str, ...], words: str) -> None:
    done = report(*arguments)

    assert done.exit_code == 2
    assert words in done.output


# --- the Pulumi CLI ---


def test_without_a_pulumi_on_path_the_remedy_is_a_file(tmp_path: Path) -> None:
    done = report("--stack", "dev", PATH=str(tmp_path))

    assert done.exit_code == 2
    assert "stack dev cannot be exported: there is no `pulumi` on PATH" in done.stderr
    assert "--file" in done.stderr


@pytest.mark.parametrize(("arguments", "which"), [(("--stack", "prod"), "stack prod"), ((), "the selected stack")])
def test_what_pulumi_says_is_told_on_one_line_with_the_remedy(
    arguments: tuple[str, ...], which: str, fake_pulumi: Path
) -> None:
    fake_pulumi.write_text(
        "#!/bin/sh\nprintf \"error: no stack named\\n  'prod' found\\n\" >&2\nexit 6\n", encoding="utf-8"
    )

    done = report(*arguments)

    assert done.exit_code == 2
    assert f"{which} cannot be exported: no stack named 'prod' found. `pulumi stack ls` lists" in done.stderr


def test_pulumi_is_never_asked_for_secrets_nor_for_an_answer(fake_pulumi: Path, tmp_path: Path) -> None:
    fake_pulumi.write_text(f'#!/bin/sh\necho "$@" >{tmp_path}/asked\ncat {PROD}\n', encoding="utf-8")

    done = report("--stack", "prod")

    assert done.stdout == report("--file", PROD).stdout
    assert (tmp_path / "asked").read_text(encoding="utf-8").split() == [
        *("stack", "export", "--non-interactive", "--stack", "prod"),
    ]


def test_what_pulumi_prints_and_is_no_export_is_refused(fake_pulumi: Path) -> None:
    fake_pulumi.write_text("#!/bin/sh\necho Welcome\n", encoding="utf-8")

    done = report()

    assert done.exit_code == 2
    assert "what `pulumi stack export` prints of the selected stack is not an export of a stack" in done.stderr


# --- what it costs the other commands ---


def test_the_help_imports_nothing_heavy() -> None:
    program = (
        "import sys\nfrom cloudretry.cli import main\n"
        "try:\n    main(['report', '--help'])\nexcept SystemExit:\n    pass\n"
        "print({'pydantic', 'rich', 'requests', 'grpc', 'pulumi', 'junitparser'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert done.stdout.splitlines()[-1] == "set()"
