"""The text of the diagram: what is in it, and its bounds."""

from __future__ import annotations

import re

from exports import outputs, prod, report, resource, result, run

from cloudretry.model import Status, rfc3339
from cloudretry.report.summary import Report
from cloudretry.report.timeline import LONGEST, MOST_RUNS, diagram

DAY = 86_400
BEGIN = 1_769_850_000


def ran(*offsets: int, name: str = "orders", why: str = "triggers", **more: object) -> dict[str, object]:
    history = [run(rfc3339(BEGIN + offset), reason=why, **more) for offset in offsets]
    return resource(name, outputs(result("jb1", "Succeeded"), history=history))


def milestones(told: Report) -> list[str]:
    return [line.strip() for line in diagram(told)[0].splitlines() if ":milestone" in line]


def test_it_is_a_gantt_chart_with_a_section_for_each_resource_and_the_newest_run_last() -> None:
    text, undrawn = diagram(prod())

    lines = [line.strip() for line in text.splitlines()]
    assert (lines[1], undrawn) == ("gantt", 0)
    orders = lines[lines.index("section orders") + 1 :][:3]
    assert [line.split(" - ")[1].split(" :")[0] for line in orders] == [
        "PartiallyFailed, 3 fired",
        "Succeeded, 1 fired",
        "PartiallyFailed, 3 fired",
    ]
    assert orders == sorted(orders)


def test_a_run_is_coloured_by_its_outcome() -> None:
    runs = [run(f"2026-01-31T10:00:{place:02}Z", status) for place, status in enumerate(Status)]
    told = report(resource("orders", outputs(history=runs)))

    split = [re.fullmatch(r".* - (\w+), 1 fired :milestone, (.*)2026.*", line) for line in milestones(told)]
    tags = {found[1]: found[2] for found in split if found}
    assert tags == {
        "Succeeded": "",
        "Accepted": "active, ",
        "InProgress": "active, ",
        "Failed": "crit, ",
        "PartiallyFailed": "crit, ",
        "Unknown": "crit, ",
        "Skipped": "done, ",
    }


def test_the_axis_and_the_labels_go_with_the_span_of_time() -> None:
    def told(span: int) -> tuple[str, str]:
        one = report(ran(0, span))
        axis = next(line for line in diagram(one)[0].splitlines() if "axisFormat" in line)
        return axis.split(maxsplit=1)[1], milestones(one)[0].split(" triggers")[0].replace("#58;", ":")

    assert told(60) == ("%H:%M:%S", "09:00:00")
    assert told(7200) == ("%H:%M", "09:00:00")
    assert told(5 * DAY) == ("%m-%d", "01-31 09:00")
    assert told(900 * DAY) == ("%Y-%m", "01-31 09:00")


def test_only_the_newest_runs_are_drawn_and_the_others_are_counted() -> None:
    told = report(*(ran(*range(at, at + 20_000, 1000), name=f"r{at}") for at in range(3)))

    text, undrawn = diagram(told)

    drawn = milestones(told)
    assert len(text) <= LONGEST
    assert 10 < len(drawn) <= MOST_RUNS
    assert undrawn == 60 - len(drawn)
    assert max(line.split(", ")[-2] for line in drawn) == "2026-01-31T14:16:42"


def test_names_of_any_length_keep_it_within_what_gitlab_draws() -> None:
    told = report(
        *(ran(at, name=f"{at}" + "#" * 500, triggers=["%" * 300] * 20) for at in range(30)),
    )

    text, undrawn = diagram(told)

    assert len(text) <= LONGEST
    assert 0 < len(milestones(told)) == 30 - undrawn


def test_nothing_is_drawn_of_what_never_ran() -> None:
    assert diagram(report(resource("orders", outputs(history=[])))) == ("", 0)
