"""Check: all that is wrong, at once, each by its path, with the value and the remedy."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudretry.actions import ACTIONS
from cloudretry.bounds import MOST_FINDINGS, MOST_TARGETS
from cloudretry.errors import InvalidInput
from cloudretry.inputs import UNKNOWN, check, is_unknown, parse, property_path
from cloudretry.inputs import given as what_is_given
from support.samples import DRS, EHPC, POOL, SAMPLES, VISUALIZATION, WORKSPACE, Sample


def problems(token: str, secret: frozenset[str] = frozenset(), **inputs: Any) -> dict[str, str]:
    found = check(ACTIONS[token], inputs, is_secret=secret.__contains__)
    return {problem.path: problem.reason for problem in found}


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.token)
def test_the_least_inputs_are_enough(sample: Sample) -> None:
    assert problems(sample.token, **sample.inputs) == {}


def test_all_problems_are_told_at_once_each_by_its_path() -> None:
    found = problems(
        DRS,
        jobs=[{"jobId": "a"}, {"jobID": "b"}, {"jobId": ""}, {"jobId": "d", "isSyncReEdit": "yes"}, {"jobId": "a"}],
        langauge="en-us",
        fireWhen="sometimes",
        maxAttempts=0,
        cooldown="soon",
        wait="true",
        triggers=["a"],
    )
    assert found == {
        "triggers": "must be a map",
        "fireWhen": "must be one of 'always' or 'retryable', got 'sometimes'",
        "wait": "must be true or false, got 'true'",
        "maxAttempts": "must be at least 1, got 0",
        "cooldown": "is not a duration; write a number with its unit (h, m, s or ms), "
        "as in 500ms, 30s, 5m or 1h30m, got 'soon'",
        "jobs[1].jobId": "is required",
        "jobs[1].jobID": "JobBatchRetry has no such property; did you mean jobId?",
        "jobs[2].jobId": "does not have the form of such a value (^[A-Za-z0-9_-]{1,64}$), got ''",
        "jobs[3].isSyncReEdit": "must be true or false, got 'yes'",
        "jobs[4].jobId": "'a' is listed before; name each target once",
        "langauge": "JobBatchRetry has no such property; did you mean language?",
    }


@pytest.mark.parametrize(
    ("token", "inputs", "path", "reason"),
    [
        (DRS, {}, "jobs", "is required"),
        (DRS, {"jobs": []}, "jobs", "must name at least one"),
        (DRS, {"jobs": "jb1"}, "jobs", "must be a list, got 'jb1'"),
        (DRS, {"jobs": ["jb1"]}, "jobs[0]", "must be an object, got 'jb1'"),
        (DRS, {"jobs": [{"jobId": 7}]}, "jobs[0].jobId", "must be a string, got 7"),
        (DRS, {"jobs": [{"jobId": "a"}], "language": "en"}, "language", "must be one of 'en-us' or 'zh-cn', got 'en'"),
        (DRS, {"jobs": [{"jobId": "a"}], "maxAttempts": 2.5}, "maxAttempts", "must be a whole number, got 2.5"),
        (DRS, {"jobs": [{"jobId": "a"}], "maxAttempts": True}, "maxAttempts", "must be a whole number, got True"),
        (DRS, {"jobs": [{"jobId": "a"}], "maxAttempts": 5000}, "maxAttempts", "must be at most 1000, got 5000"),
        (DRS, {"jobs": [{"jobId": "a"}], "region": ""}, "region", "must not be empty"),
        (EHPC, {"clusterId": "c", "jobIds": []}, "jobIds", "must name at least one"),
        (
            EHPC,
            {"clusterId": "c", "jobIds": ["1.s", "1.s"]},
            "jobIds[1]",
            "'1.s' is listed before; name each target once",
        ),
        (EHPC, {"jobIds": ["1.s"]}, "clusterId", "is required"),
        (EHPC, {"clusterId": "c", "jobIds": ["1.s"], "projectId": "p"}, "projectId", "JobRerun has no such property; "),
        (
            POOL,
            {"poolName": "p", "scope": "train"},
            "scope",
            "must be one of 'Train', 'Infer' or 'Notebook', got 'train'",
        ),
        (POOL, {"poolName": "My Pool", "scope": "Infer"}, "poolName", "does not have the form of such a value"),
        (VISUALIZATION, {"jobId": "ten"}, "jobId", "does not have the form of such a value (^[0-9]{1,19}$), got 'ten'"),
        (WORKSPACE, {"jobId": "a/b"}, "jobId", "does not have the form of such a value"),
        (WORKSPACE, {"jobId": None}, "jobId", "is required"),
    ],
)
def test_a_value_that_cannot_be_used_is_named_with_its_remedy(
    token: str, inputs: dict[str, Any], path: str, reason: str
) -> None:
    found = problems(token, **inputs)
    assert list(found) == [path]
    assert found[path].startswith(reason)


def test_a_property_that_is_like_none_lists_those_that_there_are() -> None:
    reason = problems(VISUALIZATION, jobId="10", zzz=1)["zzz"]
    assert reason.startswith("VisualizationJobRestart has no such property; there are cooldown, fireWhen, jobId,")


def test_more_than_a_hundred_e_hpc_jobs_are_split_rather_than_refused() -> None:
    assert problems(EHPC, clusterId="c", jobIds=[f"{number}.s" for number in range(10_000)]) == {}


@pytest.mark.parametrize("token", list(ACTIONS))
def test_reconcile_is_refused_where_no_state_is_a_failure(token: str) -> None:
    inputs = next(sample.inputs for sample in SAMPLES if sample.token == token)
    found = problems(token, **inputs, reconcile=True)
    assert list(found) == (["reconcile"] if token == EHPC else [])
    assert problems(token, **inputs, reconcile=False) == {}


@pytest.mark.parametrize("value", [2**53, -(2**53), 9007199254740993.0, 2961068737224365485, 1e300])
def test_a_number_that_the_wire_cannot_hold_exactly_is_refused_as_a_trigger(value: float) -> None:
    found = problems(DRS, jobs=[{"jobId": "a"}], triggers={"alarm": value, "deep": [{"a.b": value}]})
    assert found.keys() == {"triggers.alarm", 'triggers.deep[0]["a.b"]'}
    assert all("write it as a text" in reason for reason in found.values())


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_number_is_refused_as_a_trigger(value: float) -> None:
    assert problems(DRS, jobs=[{"jobId": "a"}], triggers={"quotient": value}).keys() == {"triggers.quotient"}


@pytest.mark.parametrize("value", [2**53 - 1, 0.1, -5, True, str(2**64), None, UNKNOWN])
def test_what_the_wire_holds_exactly_is_a_trigger(value: Any) -> None:
    assert problems(DRS, jobs=[{"jobId": "a"}], triggers={"alarm": value}) == {}


@pytest.mark.parametrize(
    "words",
    [
        "replication Calling __str__ on an Output[T] is not supported.\n\nTo get the value of an Output[T] as an",
        "Calling [toString] on an [Output<T>] is not supported.\n\nTo get the value",
        '{"a": "Calling [toJSON] on an [Output<T>] is not supported."}',
    ],
)
def test_an_output_within_a_text_is_refused_as_a_trigger(words: str) -> None:
    found = problems(DRS, jobs=[{"jobId": "a"}], triggers={"after": words, "list": [words]})
    assert found.keys() == {"triggers.after", "triggers.list[0]"}
    assert all("pulumi.Output.format" in reason and "Calling" not in reason for reason in found.values())


def test_what_is_too_much_is_refused_with_the_bound() -> None:
    found = problems(DRS, jobs=[{"jobId": "a"}], cooldown="99999999h")
    assert found == {"cooldown": "is too long a time; the longest is 8784h, a year, got '99999999h'"}
    most = [f"{number}.s" for number in range(MOST_TARGETS)]
    assert problems(EHPC, clusterId="c", jobIds=most) == {}
    found = problems(EHPC, clusterId="c", jobIds=[*most, "one.more"])
    assert found.keys() == {"jobIds"}
    assert "must name at most 10000" in found["jobIds"]


def test_of_very_many_findings_the_first_are_told_and_the_others_counted() -> None:
    found = check(ACTIONS[DRS], {"jobs": [{"jobId": "a b"}] * 5000})
    assert len(found) == MOST_FINDINGS + 1
    assert found[-1].reason == "and 9899 more of this kind; mend these first"


# --- unknown values ---


@pytest.mark.parametrize(
    "inputs",
    [
        {"jobs": UNKNOWN},
        {"jobs": [UNKNOWN, {"jobId": "a"}, UNKNOWN]},
        {"jobs": [{"jobId": UNKNOWN}, {"jobId": UNKNOWN}]},
        {"jobs": [{"jobId": "a"}], "triggers": UNKNOWN},
        {"jobs": [{"jobId": "a"}], "triggers": {"a": UNKNOWN, "b": [UNKNOWN]}},
        {"jobs": [{"jobId": "a"}], "wait": UNKNOWN, "fireWhen": UNKNOWN, "cooldown": UNKNOWN, "maxAttempts": UNKNOWN},
    ],
)
def test_a_value_that_is_not_known_yet_is_not_complained_of(inputs: dict[str, Any]) -> None:
    assert problems(DRS, **inputs) == {}


def test_an_unknown_value_hides_no_other_problem() -> None:
    assert list(problems(DRS, triggers=UNKNOWN)) == ["jobs"]
    assert list(problems(DRS, jobs=[{"jobId": UNKNOWN, "jobid": "x"}])) == ["jobs[0].jobid"]
    assert list(problems(DRS, jobs={"a": UNKNOWN})) == ["jobs"]
    assert list(problems(DRS, jobs=[{"jobId": "a"}], nonsense=UNKNOWN)) == ["nonsense"]


# --- secrets ---


def test_a_secret_value_is_never_shown() -> None:
    secret = frozenset({"jobs", "cooldown", "fireWhen"})
    found = problems(
        DRS, secret, jobs=[{"jobId": "s e c"}, {"jobId": "sec"}, {"jobId": "sec"}], cooldown="secr", fireWhen="secret"
    )
    assert len(found) == 4
    assert not any("sec" in reason.replace("second", "") for reason in found.values())


def test_what_has_parts_is_never_shown_for_a_part_may_be_secret() -> None:
    found = problems(
        DRS, frozenset({"jobs.jobId", "wait.a"}), jobs={"jobId": "sec"}, wait={"a": "sec"}, language=["sec"]
    )
    assert found.keys() == {"jobs", "wait", "language"}
    assert not any("sec" in reason for reason in found.values())


def test_a_long_value_is_cut() -> None:
    assert len(problems(DRS, jobs=[{"jobId": "x" * 1000}])["jobs[0].jobId"]) < 150


# --- the rest ---


def test_parsing_what_is_wrong_raises_the_first_problem() -> None:
    with pytest.raises(InvalidInput, match="jobs: must name at least one"):
        parse(ACTIONS[DRS], {"jobs": []})


def test_a_null_is_the_same_as_nothing_wherever_it_stands() -> None:
    assert what_is_given({"a": None, "b": {"c": None, "d": [{"e": None}, None]}}) == {"b": {"d": [{}, None]}}


@pytest.mark.parametrize(
    ("location", "path"),
    [
        (["jobs", 2, "jobId"], "jobs[2].jobId"),
        (["triggers", "a.b"], 'triggers["a.b"]'),
        (["triggers", "release"], "triggers.release"),
        (["a", 0, 1], "a[0][1]"),
        (["triggers", 'disk "db01" full'], 'triggers["disk \\"db01\\" full"]'),
        (["triggers", "C:\\jobs"], 'triggers["C:\\jobs"]'),
        # Between quotes the engine would take the backslash and the quote for a quote.
        (["triggers", "C:\\jobs\\"], "triggers.C:\\jobs\\"),
        (["triggers", "a.b\\", "c"], "triggers"),
        (["triggers", ""], 'triggers[""]'),
        (['"'], '["\\""]'),
    ],
)
def test_a_path_is_written_as_pulumi_writes_it(location: list[str | int], path: str) -> None:
    assert property_path(location) == path


@pytest.mark.parametrize("value", [UNKNOWN, [1, UNKNOWN], {"a": {"b": [UNKNOWN]}}])
def test_what_holds_something_unknown_is_unknown(value: object) -> None:
    assert is_unknown(value)
    assert not is_unknown({"a": [1, "text", None]})


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | st.just(UNKNOWN),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
NAMES = st.sampled_from(
    sorted({field.alias or "" for action in ACTIONS.values() for field in action.inputs.model_fields.values()})
)


@given(token=st.sampled_from(list(ACTIONS)), inputs=st.dictionaries(NAMES, ANYTHING, max_size=6))
def test_whatever_is_given_check_says_what_is_wrong_and_what_it_lets_through_can_be_used(
    token: str, inputs: dict[str, Any]
) -> None:
    action = ACTIONS[token]
    found = check(action, inputs)
    assert all(problem.path and problem.reason for problem in found)
    if not found and not is_unknown(inputs):
        assert action.targets(parse(action, inputs))
