"""The JUnit XML, as two readers see it, and by the rules of the schema that Jenkins publishes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree

import pytest
from exports import outputs, prod, report, resource, result, staging
from junitparser import Error, Failure, JUnitXml, Skipped

from cloudretry.report.junit import junit
from cloudretry.report.summary import Report

ATTRIBUTES = {
    "testsuites": ({"name", "time", "tests", "failures", "errors"}, set()),
    "testsuite": (
        {"name", "tests", "failures", "errors", "time", "skipped", "timestamp"},
        {"name", "tests", "failures", "errors"},
    ),
    "properties": (set(), set()),
    "property": ({"name", "value"}, {"name", "value"}),
    "testcase": ({"name", "classname", "time"}, {"name", "classname"}),
    "failure": ({"type", "message"}, {"type", "message"}),
    "error": ({"type", "message"}, {"type", "message"}),
    "skipped": ({"type", "message"}, {"message"}),
}
"""The attributes that an element may have, and those that it must have."""

CHILDREN = {
    "testsuites": "(testsuite )*",
    "testsuite": "(properties )?(testcase )*",
    "properties": "(property )+",
    "property": "",
    "testcase": "(failure |error |skipped )?",
    "failure": "",
    "error": "",
    "skipped": "",
}
"""The elements in an element, in their order."""

FORMS = {"time": r"\d{1,3}\.\d{1,3}", "timestamp": r"\d{4}(-\d\d){2}T\d\d(:\d\d){2}"}


def faults(element: ElementTree.Element) -> list[str]:
    """What is against the rules, in an element and all below it."""
    allowed, required = ATTRIBUTES[element.tag]
    found = [f"{element.tag} has {name}" for name in element.attrib.keys() - allowed]
    found += [f"{element.tag} lacks {name}" for name in required - element.attrib.keys()]
    if not re.fullmatch(CHILDREN[element.tag], "".join(f"{child.tag} " for child in element)):
        found.append(f"{element.tag} holds {[child.tag for child in element]}")
    for name, form in FORMS.items():
        if name in element.attrib and not re.fullmatch(form, element.attrib[name]):
            found.append(f"{name} {element.attrib[name]}")
    return found + [fault for child in element for fault in faults(child)]


def counted(cases: Sequence[ElementTree.Element]) -> dict[str, str]:
    kinds = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    counts = {name: str(sum(case.find(tag) is not None for case in cases)) for name, tag in kinds.items()}
    return {"tests": str(len(cases)), **counts}


@pytest.mark.parametrize(
    "reports", [[prod()], [staging()], [prod(), staging()], [report()]], ids=["1", "2", "3", "none"]
)
def test_it_keeps_the_rules_and_counts_right(reports: list[Report]) -> None:
    root = ElementTree.fromstring(junit(reports))

    assert faults(root) == []
    for suite in root:
        assert counted(suite.findall("testcase")).items() <= suite.attrib.items()
    in_all = counted(list(root.iter("testcase")))
    assert {name: root.attrib[name] for name in ("tests", "failures", "errors")} == {
        name: in_all[name] for name in ("tests", "failures", "errors")
    }


def test_the_rules_find_what_is_against_them() -> None:
    suite = (
        '<testsuite name="a" tests="1" failures="0" errors="0"><testcase name="b" time="x"/><properties/></testsuite>'
    )

    assert faults(ElementTree.fromstring(suite)) == [
        "testsuite holds ['testcase', 'properties']",
        "testcase lacks classname",
        "time x",
        "properties holds []",
    ]


def test_a_resource_is_a_suite_and_a_target_a_case() -> None:
    document = JUnitXml.fromstring(junit([prod()]))

    suites = {suite.name: suite for suite in document}
    assert len(suites) == 5
    orders = suites["cloudretry:drs:JobBatchRetry orders"]
    assert [(case.name, case.classname) for case in orders] == [
        (name, "cloudretry:drs:JobBatchRetry orders") for name in ("jb101", "jb102", "jb103")
    ]
    properties = {prop.name: prop.value for prop in orders.properties()}
    assert properties["generation"] == "2"
    assert re.fullmatch(r"[0-9a-f]{16}", properties["fireIds"])
    assert re.fullmatch(r"[0-9a-f]{32}", properties["requestIds"])
    assert orders.timestamp == "2026-11-26T22:37:27"


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("Succeeded", None),
        ("Accepted", None),
        ("Failed", Failure),
        ("Unknown", Error),
        ("InProgress", Error),
        ("Skipped", Skipped),
    ],
)
def test_the_outcome_of_a_case_is_that_of_its_target(status: str, kind: type | None) -> None:
    held = outputs(result("jb1", status, skippedReason="AlreadyRunning"), status=status)
    ((case,),) = JUnitXml.fromstring(junit([report(resource("orders", held))]))

    assert [type(outcome) for outcome in case.result] == ([kind] if kind else [])
    if kind is Skipped:
        assert case.result[0].message == "AlreadyRunning"


def test_a_failure_says_what_the_cloud_said_how_often_it_was_tried_and_what_comes_next() -> None:
    failed = result("jb1", errorCode="DRS.M05003", errorMessage="The task jb1 does not exist", attempts=2)
    ((case,),) = JUnitXml.fromstring(junit([report(resource("orders", outputs(failed, status="Failed")))]))

    (failure,) = case.result
    assert (failure.type, failure.message) == ("DRS.M05003", "DRS.M05003: The task jb1 does not exist")
    assert failure.text.splitlines()[:2] == ["DRS.M05003: The task jb1 does not exist", "Failed after 2 attempts."]
    assert "There is no such task." in failure.text
    assert "(1 attempt left)" in failure.text


def test_the_same_resource_of_two_stacks_is_two_classes() -> None:
    same = resource("orders", outputs(result("jb1", "Succeeded")))
    document = JUnitXml.fromstring(junit([report(same, stack="a"), report(same, stack="b")]))

    assert [case.classname for suite in document for case in suite] == [
        "shop/a cloudretry:drs:JobBatchRetry orders",
        "shop/b cloudretry:drs:JobBatchRetry orders",
    ]


def test_what_cannot_be_read_and_what_was_cut_off_are_errors() -> None:
    told = report(resource("broken", {}), pending_operations=[{"resource": resource("late", {}), "type": "updating"}])
    document = JUnitXml.fromstring(junit([told]))

    assert faults(ElementTree.fromstring(junit([told]))) == []
    assert [(case.name, case.result[0].type) for suite in document for case in suite] == [
        ("outputs", "Unreadable"),
        ("late", "CutOff"),
    ]
    assert document.errors == 2
