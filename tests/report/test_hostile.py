"""Names and words that would be markup, if they could: no form is broken by them, and none loses them."""

from __future__ import annotations

import copy
import functools
import html
import json
import operator
import re
from collections.abc import Iterator
from typing import Any
from xml.etree import ElementTree

import pytest
from exports import PROD, STAGING, outputs, report, resource, result, run
from hypothesis import given, settings
from hypothesis import strategies as st
from junitparser import JUnitXml
from rendered import READERS, rendered

from cloudretry.errors import ExportError
from cloudretry.report import timeline
from cloudretry.report.junit import junit
from cloudretry.report.markdown import LONGEST, code, markdown, words
from cloudretry.report.reading import read
from cloudretry.report.summary import Report
from cloudretry.report.table import resource_rows
from cloudretry.text import one_line, shortened

FRAGMENTS = (
    *("|", "\\|", "\\\\|", "`", "``", "```", "~~~", "\n", "\r\n", "\n\n", "\t", "\x00", "\x1b[31m", "\u202e", "\ud800"),
    *(
        "<script>alert(1)</script>",
        "<!--",
        "-->",
        "</code>",
        "</td></tr></table>",
        "&lt;",
        "&#124;",
        "&amp;",
        "<",
        ">",
        "&",
    ),
    *("**", "__", "~~", "$$", "[x](javascript:y)", "![x](y)", "[^1]", "# ", "- ", "1. ", "@team", "#1", "!2", ":tada:"),
    *("https://example.com", "www.example.com", "a@example.com", "mailto:a@example.com", "]]>", "<![CDATA[", "'", '"'),
    *(":", "::", ";", "#", "#58;", "%%", "%%{init: {}}%%", "gantt", "section x", "title x", "click x", "2026-01-31"),
    *(
        ":crit, 2026-01-01, 1d",
        "style a:#b;",
        "ﬂ°°60¶ß",
        "ﬂ°lt¶ß",
        "{",
        "}",
        "%",
        "dateFormat X",
        "end",
        "💥",
        "é",
        "名",
    ),
)
# What half of a surrogate pair becomes is no matter of the report.
hostile = st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=8), min_size=1, max_size=6).map(
    lambda parts: "".join(parts).encode("utf-8", "replace").decode()
)
names = hostile.filter(lambda text: bool(one_line(text)))

TAGS = {"h2", "p", "table", "thead", "tbody", "tr", "th", "td", "code", "br", "strong", "pre"}
"""What the report itself is made of."""

MERMAID_LINE = re.compile(r"  (title|section|dateFormat|axisFormat|todayMarker|\d\S*) ?([\w .,()/+-]|#\d+;|[:%])*")


def told_of(name: str, target: str, message: str, trigger: str) -> Report:
    failed = result(target, errorCode=message, errorMessage=message)
    history = [run(reason="triggers", triggers=[trigger], status="Failed")]
    return report(resource(name, outputs(failed, status="Failed", history=history)))


@given(names, names, hostile, hostile)
@settings(deadline=None, max_examples=100)
def test_no_name_breaks_the_markdown(name: str, target: str, message: str, trigger: str) -> None:
    text = markdown([told_of(name, target, message, trigger)])

    for reader in READERS:
        seen = rendered(text, reader)
        assert seen.tags <= TAGS
        assert seen.attributes <= {"lang", "class"}
        assert seen.comments == ["cloudretry-report shop/dev"]
        resources, targets = seen.tables
        assert [len(row) for row in resources + targets] == [6, 6, 6, 6]
        assert shown(resources[1][0]) == shown(f"{shortened(one_line(name), 100)} drs:JobBatchRetry")
        assert shown(targets[1][1]) == shown(shortened(one_line(target), 100))
        assert len(seen.diagrams) == 1
        assert len(seen.headings) == 1


@given(names)
@settings(deadline=None, max_examples=100)
def test_a_name_is_seen_as_it_is(name: str) -> None:
    expected = one_line(name)
    for reader in READERS.values():
        for form in (code(expected, 1000), words(expected, 1000)):
            table = reader(f"| a |\n| --- |\n| {form} |\n")
            (cell,) = re.findall(r"<td>(.*)</td>", table)
            assert shown(html.unescape(re.sub(r"</?code>", "", cell))) == shown(expected)


@given(names, hostile)
@settings(deadline=None, max_examples=100)
def test_no_name_breaks_the_diagram(name: str, trigger: str) -> None:
    text, undrawn = timeline.diagram(told_of(name, "jb1", "", trigger))

    directive, kind, *lines = text.splitlines()
    assert re.fullmatch(r"%%\{init: \{'gantt': \{'leftPadding': \d+\}\}\}%%", directive)
    assert (kind, undrawn, len(lines)) == ("gantt", 0, 6)
    assert [line for line in lines if not MERMAID_LINE.fullmatch(line)] == []
    assert lines[-1].count(":") == 3  # before the milestone, and in its time
    assert lines[-2].removeprefix("  section ").count(":") == 0


@given(names, names, hostile)
@settings(deadline=None, max_examples=100)
def test_no_name_breaks_the_xml(name: str, target: str, message: str) -> None:
    content = junit([told_of(name, target, message, "release")])

    (suite,) = ElementTree.fromstring(content)
    (case,) = suite.findall("testcase")
    ((read,),) = JUnitXml.fromstring(content)
    for its in (case.attrib["name"], read.name):
        assert its == one_line(target)
    assert read.classname == f"cloudretry:drs:JobBatchRetry {one_line(name)}"


@pytest.mark.parametrize("text", FRAGMENTS, ids=ascii)
def test_each_of_them_is_whole_in_the_words_of_the_cloud(text: str) -> None:
    told = told_of("orders", "jb1", f"so {text} it is", "release")
    expected = one_line(f"so {text} it is".encode("utf-8", "replace").decode())
    for reader in READERS:
        assert shown(expected) in shown(rendered(markdown([told]), reader).tables[1][1][4])


values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | names
    | st.sampled_from(["9999-12-31T23:59:59-23:00", "{}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


def paths(value: Any, before: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield before
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from paths(item, (*before, key))


EXPORTS = [json.loads(file.read_bytes()) for file in (PROD, STAGING)]
PLACES = [(place, path) for place, exported in enumerate(EXPORTS) for path in paths(exported) if path]


@given(st.sampled_from(PLACES), values)
@settings(deadline=None, max_examples=300)
def test_no_state_ends_in_anything_but_a_report_or_a_refusal(
    place: tuple[int, tuple[str | int, ...]], value: Any
) -> None:
    at, (*way, last) = place
    exported = copy.deepcopy(EXPORTS[at])
    functools.reduce(operator.getitem, way, exported)[last] = value

    try:
        told = read(json.dumps(exported).encode(), "the export")
    except ExportError:
        return

    for reports in ([told], [told, told.since(0)]):
        assert len(markdown(reports)) <= LONGEST
        ElementTree.fromstring(junit(reports))
        json.dumps([one.to_json() for one in reports])
    assert list(resource_rows(told)) or not told.retries


def shown(text: str) -> str:
    """What a person sees: without marks that take no room, white space as one space."""
    return " ".join(text.replace("\u200b", "").split())
