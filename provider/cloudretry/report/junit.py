"""The report as JUnit XML: a test suite for each resource, a test case for each target.

What a CI shows of it differs. GitLab shows the text of a failure and not its message, so both say the same; of two
cases with one class and name it shows the first only, so a class is named after the resource, in a report of several
stacks after the stack as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from io import BytesIO

from junitparser import Error, Failure, JUnitXml, Skipped, TestCase, TestSuite

from cloudretry.model import Result, Status
from cloudretry.report.summary import HIDDEN, Report, Retry, said, time_text

__all__ = ["junit"]

Outcome = Failure | Error | Skipped

_KINDS: dict[Status, type[Failure] | type[Error] | type[Skipped]] = {
    Status.FAILED: Failure,
    Status.PARTIALLY_FAILED: Failure,
    Status.UNKNOWN: Error,
    Status.IN_PROGRESS: Error,
    Status.SKIPPED: Skipped,
}


def junit(reports: Sequence[Report]) -> bytes:
    """One XML document of all the stacks."""
    document = JUnitXml("cloudretry report")
    suites = [suite for report in reports for suite in _suites(report, several=len(reports) > 1)]
    for suite in suites:
        document.append(suite)
    # The root has no count of what was skipped: the schemas in use do not know it there.
    document.tests = sum(suite.tests for suite in suites)
    document.failures = sum(suite.failures for suite in suites)
    document.errors = sum(suite.errors for suite in suites)
    document.time = 0.0
    written = BytesIO()
    document.write(written, pretty=True)
    return written.getvalue()


def _suites(report: Report, *, several: bool) -> Iterator[TestSuite]:
    before = f"{report.name} " if several else ""
    for retry in report.retries:
        yield _suite(report, retry, f"{before}{retry.token} {retry.name}")
    for one in report.unreadable:
        name = f"{before}{one.name}"
        yield _filled(TestSuite(name), [_case(name, "outputs", Error(one.words, "Unreadable"), one.words)])
    if report.interrupted:
        name = f"{before}cut off"
        words = "the engine was cut off while it worked on this"
        yield _filled(TestSuite(name), [_case(name, one, Error(words, "CutOff"), words) for one in report.interrupted])


def _suite(report: Report, retry: Retry, name: str) -> TestSuite:
    suite = TestSuite(name)
    if retry.last_run is not None:
        suite.timestamp = time_text(retry.last_run.at, "%Y-%m-%dT%H:%M:%S")
    properties = {
        "stack": report.name,
        "urn": retry.urn,
        "status": retry.status.value,
        "generation": str(retry.generation),
        "fireIds": " ".join(retry.fire_ids),
        "requestIds": " ".join(retry.request_ids),
        "emulator": str(retry.emulator).lower(),
    }
    for key, value in properties.items():
        suite.add_property(key, value)
    if retry.hidden:
        words = "its results are a secret"
        return _filled(suite, [_case(name, HIDDEN, _outcome(retry.status, retry.status.value, words), words)])
    return _filled(
        suite, [_target(name, result, retry.steps.get(place, "")) for place, result in enumerate(retry.results)]
    )


def _filled(suite: TestSuite, cases: Sequence[TestCase]) -> TestSuite:
    for case in cases:
        suite.append(case)
    suite.update_statistics()
    return suite


def _target(classname: str, result: Result, step: str) -> TestCase:
    if result.status is Status.SKIPPED:
        return _case(classname, result.target, Skipped(result.skipped_reason or "Skipped", "Skipped"))
    words = ": ".join(filter(None, (result.error_code, said(result)))) or result.status.value
    attempts = f"{result.attempts} attempt{'s' if result.attempts != 1 else ''}"
    text = "\n".join(filter(None, (words, f"{result.status.value} after {attempts}.", step)))
    return _case(
        classname, result.target, _outcome(result.status, result.error_code or result.status.value, words), text
    )


def _outcome(status: Status, kind: str, words: str) -> Outcome | None:
    outcome = _KINDS.get(status)
    return outcome(words, kind) if outcome else None


def _case(classname: str, name: str, outcome: Outcome | None, text: str = "") -> TestCase:
    case = TestCase(name, classname, 0.0)
    if outcome is not None:
        if text:
            outcome.text = text
        case.append(outcome)
    return case
