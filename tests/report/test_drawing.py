"""The Markdown as a person sees it: its diagrams, drawn by the real Mermaid in a real browser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pytest
from drawing.studio import Diagram, Studio, StudioError, browser_on_path
from exports import outputs, prod, report, resource, result, run, staging

from cloudretry.model import rfc3339
from cloudretry.report.markdown import markdown
from cloudretry.report.summary import Report
from cloudretry.report.timeline import label
from cloudretry.text import one_line, shortened
from support.drawing import studio_at_hand

pytestmark = pytest.mark.timeout(1200)

BEGIN = 1_769_850_000


@pytest.fixture(scope="module")
def studio() -> Studio:
    return studio_at_hand()


def labels(told: Report) -> set[str]:
    """What stands beside the runs, if all of them are drawn."""
    runs = [run for retry in told.retries for run in retry.runs]
    span = max(run.at for run in runs) - min(run.at for run in runs)
    return {label(run, span) for run in runs}


def is_drawn(diagram: Diagram, told: Report) -> bool:
    """Whether it is the picture of all that ran. The words of an error would be another kind of picture."""
    assert diagram.error == "", diagram.text
    assert 'aria-roledescription="gantt"' in diagram.svg, diagram.text
    words = {seen(word) for word in diagram.words}
    assert {seen(word) for word in labels(told)} <= words
    assert {seen(shortened(retry.name, 24)) for retry in told.retries} <= words
    assert f"Runs of {told.name} (UTC)" in diagram.words
    return True


def seen(text: str) -> str:
    return " ".join(text.split())


def test_the_runs_of_real_stacks_are_drawn_each_with_its_label(studio: Studio, tmp_path: Path) -> None:
    reports = [prod(), staging()]

    diagrams = studio.draw(markdown(reports), picture=tmp_path / "report.png")

    assert [is_drawn(*pair) for pair in zip(diagrams, reports, strict=True)] == [True, True]
    assert (tmp_path / "report.png").read_bytes().startswith(b"\x89PNG")


HOSTILE: Sequence[str] = (
    *("a|b", "a`b``c", 'say "hi"', "it's", "a;b", "a:b", "a#b", "a#58;b", "a\nb", "<b>bold</b>", "<script>alert(1)"),
    *("-->", "%% comment", "%%{init: {}}%%", "section x", "gantt", "title y", "click z href", "2026-01-31", ":crit"),
    *("style a:#b;", "ﬂ°°60¶ß", "{a}", "[a](b)", "$x$", "\\", "&lt;", "&#124;", "@team", "💥 名 é ß", "end", "done"),
)


def test_no_name_breaks_the_picture(studio: Studio) -> None:
    """Each name is a resource's and a trigger's, in diagrams of as many runs as they may have."""
    reports = []
    for begin in range(0, len(HOSTILE), 8):
        resources = []
        for place, name in enumerate(HOSTILE[begin : begin + 8]):
            ran = run(rfc3339(BEGIN + place), reason="triggers", triggers=[name], status="Failed")
            resources.append(resource(name, outputs(result(name), status="Failed", history=[ran])))
        reports.append(report(*resources, stack=f"s{begin}"))

    diagrams = studio.draw(markdown(reports))

    assert [is_drawn(*pair) for pair in zip(diagrams, reports, strict=True)] == [True] * len(reports)
    words = {word for diagram in diagrams for word in diagram.words}
    assert {seen(one_line(name)) for name in HOSTILE} <= {seen(word) for word in words}


def test_runs_are_drawn_whether_they_are_seconds_or_years_apart(studio: Studio) -> None:
    reports = []
    for span in (0, 60, 7200, 86_400 * 40, 86_400 * 900):
        history = [run(rfc3339(BEGIN + span * part // 4)) for part in range(5)]
        held = outputs(result("jb1", "Succeeded"), history=history)
        reports.append(report(resource("orders", held), stack=f"s{span}"))

    diagrams = studio.draw(markdown(reports))

    assert [is_drawn(*pair) for pair in zip(diagrams, reports, strict=True)] == [True] * len(reports)
    assert [len(re.findall(r"<rect[^>]*milestone", diagram.svg)) for diagram in diagrams] == [5] * len(reports)


def test_what_mermaid_cannot_draw_is_seen_to_be_an_error(studio: Studio) -> None:
    (diagram,) = studio.draw("```mermaid\ngantt\n  nonsense :::\n```\n")

    assert diagram.error


def test_a_browser_of_the_machine_is_taken_if_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name, code in (("chromium", 1), ("google-chrome", 0)):
        (tmp_path / name).write_text(f"#!/bin/sh\nexit {code}\n", encoding="utf-8")
        (tmp_path / name).chmod(0o755)

    assert browser_on_path() == tmp_path / "google-chrome"
    (tmp_path / "google-chrome").unlink()
    assert browser_on_path() is None


def test_without_node_there_is_one_line_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(StudioError, match=r"^needs Node\.js with npm$"):
        Studio(tmp_path / "studio").prepare()
