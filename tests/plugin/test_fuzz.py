"""Whatever a program declares and a state holds, Check and Diff answer in words, in a time that grows as it does."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import grpc
import pytest
from driver import EHPC, FIVE, jobs, urn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pulumi.runtime.proto import provider_pb2

from cloudretry.actions import ACTIONS
from cloudretry.inputs import UNKNOWN
from cloudretry.plugin.marshal import ARCHIVE, ASSET, OUTPUT, RESOURCE, SIGNATURE, Secret, to_struct, wire_text
from cloudretry.plugin.server import Provider

EXAMPLES = int(os.environ.get("CLOUDRETRY_FUZZ_EXAMPLES", "150"))
"""Of each test; a long run sets more."""


class Aborted(Exception):
    """How a call ended that was not answered."""


class Context:
    async def abort(self, code: grpc.StatusCode, details: str, _metadata: Any = ()) -> None:
        raise Aborted(code, details)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    provider = Provider("")
    config = {"emulator": "http://127.0.0.1:9", "journalEnabled": False}
    asyncio.run(provider.Configure(provider_pb2.ConfigureRequest(args=to_struct(config)), Context()))
    yield provider
    asyncio.run(provider.close())


def answered(call: Any, request: Any) -> Any:
    """The answer, or nothing where the call was refused in words."""
    try:
        return asyncio.run(call(request, Context()))
    except Aborted as aborted:
        code, details = aborted.args
        assert code is grpc.StatusCode.FAILED_PRECONDITION, details
        assert details
        return None


WORDS = st.text(max_size=8) | st.sampled_from(['"', "\\", "a.b[0]\\", "[", "]", ".", "*", "", "\ud800", "\0", "jb1"])
LEAVES = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | WORDS
    | st.sampled_from(
        [UNKNOWN, "5m", "99999999h", "always", "1" * 500, "Calling __str__ on an Output[T] is not supported."]
    )
)
SPECIAL = st.fixed_dictionaries(
    {SIGNATURE: st.sampled_from([ASSET, ARCHIVE, RESOURCE, OUTPUT, "no such mark"])},
    optional={name: WORDS | st.booleans() for name in ("hash", "urn", "id", "value", "secret")},
)
VALUES: st.SearchStrategy[Any] = st.recursive(
    LEAVES | SPECIAL,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(WORDS, inner, max_size=4) | st.builds(Secret, inner),
    max_leaves=8,
)
TOKENS = st.sampled_from(list(ACTIONS))
INPUT_NAMES = sorted(
    {field.alias or "" for action in ACTIONS.values() for field in action.inputs.model_fields.values()}
)
OUTPUT_NAMES = [
    "status",
    "generation",
    "firedAt",
    "fireIds",
    "requestIds",
    "emulator",
    "results",
    "history",
    "__unseen",
]
INPUTS = st.dictionaries(st.sampled_from(INPUT_NAMES) | WORDS, VALUES, max_size=5)
OUTPUTS = st.dictionaries(st.sampled_from(INPUT_NAMES + OUTPUT_NAMES) | WORDS, VALUES, max_size=4)


def recorded(token: str) -> dict[str, Any]:
    inputs, _ = FIVE[token]
    (target, *_) = (str(value) for value in inputs.values())
    result = {"target": target, "status": "Succeeded", "attempts": 1, "firedAt": "2026-01-31T00:00:00Z"}
    place = {"region": "cn-shanghai"} if token == EHPC else {"region": "eu-de"}
    made = {"status": "Succeeded", "generation": 1, "emulator": True, "results": [result], "history": [{"fired": 1}]}
    return {**inputs, **place, "triggers": {"release": "1"}, "fireIds": ["f"], "requestIds": ["r"], **made}


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(token=TOKENS, whole=st.booleans(), changes=INPUTS)
def test_check_finds_what_is_wrong_with_anything(
    provider: Provider, token: str, whole: bool, changes: Mapping[str, Any]
) -> None:
    news = to_struct({**(FIVE[token][0] if whole else {}), **changes})
    answer = answered(provider.Check, provider_pb2.CheckRequest(urn=urn(token), news=news))
    assert answer.inputs == news
    assert all(failure.reason and not failure.property for failure in answer.failures)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(config=st.dictionaries(st.sampled_from(["huaweicloud", "alicloud", "readTimeout", "caFile"]) | WORDS, VALUES))
def test_check_config_finds_what_is_wrong_with_anything(provider: Provider, config: Mapping[str, Any]) -> None:
    request = provider_pb2.CheckRequest(urn=urn("pulumi:providers:cloudretry"), news=to_struct(config))
    answer = answered(provider.CheckConfig, request)
    assert all(failure.reason and not failure.property for failure in answer.failures)


@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    token=TOKENS,
    inputs=INPUTS,
    outputs=OUTPUTS,
    ignored=st.lists(WORDS | st.sampled_from(INPUT_NAMES + OUTPUT_NAMES), max_size=3),
)
def test_diff_compares_anything_that_check_lets_through_with_any_state(
    provider: Provider, token: str, inputs: Mapping[str, Any], outputs: Mapping[str, Any], ignored: list[str]
) -> None:
    news = to_struct({**FIVE[token][0], **inputs})
    if answered(provider.Check, provider_pb2.CheckRequest(urn=urn(token), news=news)).failures:
        news = to_struct(FIVE[token][0])
    olds = to_struct({**recorded(token), **outputs})
    request = provider_pb2.DiffRequest(
        id="id", urn=urn(token), olds=olds, news=news, ignoreChanges=map(wire_text, ignored)
    )
    answer = answered(provider.Diff, request)
    if answer is not None:
        assert all(answer.diffs)
        assert (answer.changes == provider_pb2.DiffResponse.DIFF_SOME) == bool(answer.detailedDiff)


@pytest.mark.parametrize("method", ["Check", "Diff"])
def test_twice_the_targets_take_twice_the_steps(provider: Provider, method: str) -> None:
    def steps(count: int) -> int:
        token = "cloudretry:drs:JobBatchRetry"
        news = {"jobs": jobs(*(f"jb{number}" for number in range(count)))}
        results = [{"target": f"jb{number}", "status": "Succeeded", "attempts": 1} for number in range(0, count, 2)]
        olds = {**recorded(token), "jobs": news["jobs"][::2], "results": results}
        kind = provider_pb2.CheckRequest if method == "Check" else provider_pb2.DiffRequest
        fields = {"olds": to_struct(olds)} if method == "Diff" else {}
        request = kind(urn=urn(token), news=to_struct(news), **fields)
        counted = 0

        def count_one(_frame: Any, event: str, _argument: Any) -> None:
            nonlocal counted
            counted += event in ("call", "c_call")

        sys.setprofile(count_one)
        try:
            assert answered(getattr(provider, method), request) is not None
        finally:
            sys.setprofile(None)
        return counted

    # Small enough to be done on this thread, which is the one that is counted.
    assert steps(600) < 2.2 * steps(300)
