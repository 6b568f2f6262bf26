"""Check, diff, create, update, read and delete of resources, request by request."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

import grpc
import pytest
from driver import DRS, EHPC, FIVE, PATIENCE, POOL, VISUALIZATION, Plugin, failures, jobs, outputs, refused, urn
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2

from cloudretry import bounds
from cloudretry.actions import ACTIONS
from cloudretry.emulator import CREDENTIALS, Emulator
from cloudretry.inputs import UNKNOWN, is_unknown
from cloudretry.plugin.marshal import ARCHIVE, ASSET, OUTPUT, RESOURCE, SIGNATURE, from_struct, to_struct

DIFF = provider_pb2.DiffResponse
KIND = provider_pb2.PropertyDiff


def place_of(token: str) -> dict[str, str]:
    if token == EHPC:
        return {"region": CREDENTIALS.alicloud_region}
    return {"region": CREDENTIALS.region, "projectId": CREDENTIALS.project_id}


MANY: Mapping[str, Mapping[str, Any]] = {
    token: {
        **inputs,
        **place_of(token),
        **({"runAsync": True} if token == EHPC else {}),
        "triggers": {"release": "1", "nested": {"list": [1, {"deep": True}]}},
        "fireWhen": "always",
        "wait": True,
        "maxAttempts": 2,
        "retryInRun": False,
        "cooldown": "1s",
        "successPolicy": "all",
        "reconcile": False,
        "onUnknown": "fail",
    }
    for token, (inputs, _) in FIVE.items()
}
"""Every input of each action."""


def fired(emulator: Emulator) -> dict[str, int]:
    return {target.id: target.times_fired for target in emulator.targets() if target.times_fired}


def test_the_examples_of_these_tests_name_every_input() -> None:
    for token, inputs in MANY.items():
        known = {field.alias for field in ACTIONS[token].inputs.model_fields.values()}
        assert known - inputs.keys() <= {"language"}


# --- one round of each action -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("token", FIVE)
def test_a_resource_is_created_kept_refreshed_and_deleted(plugin: Plugin, emulator: Emulator, token: str) -> None:
    inputs, _ = FIVE[token]
    assert not plugin.check(inputs, token).failures

    created = plugin.create(inputs, token)
    state = outputs(created)
    assert state["status"] == "Succeeded"
    assert state["emulator"] is True
    assert state["generation"] == 1
    once = fired(emulator)
    assert set(once.values()) == {1}

    unchanged = plugin.diff(state, inputs, token)
    assert unchanged.changes == DIFF.DIFF_NONE
    assert unchanged.hasDetailedDiff
    assert not unchanged.diffs

    read = plugin.read(created.id, state, token, **inputs)
    assert read.id == created.id
    assert outputs(read) == state
    assert from_struct(read.inputs) == inputs

    plugin.stub.Delete(provider_pb2.DeleteRequest(id=created.id, urn=urn(token), properties=to_struct(state)))
    assert fired(emulator) == once


@pytest.mark.parametrize("token", FIVE)
def test_an_import_is_read_and_its_first_update_fires_nothing(plugin: Plugin, emulator: Emulator, token: str) -> None:
    inputs, identifier = FIVE[token]
    read = plugin.read(identifier, None, token)
    assert read.id == identifier
    assert from_struct(read.inputs) == {**inputs, **place_of(token)}
    state = outputs(read)
    assert state["generation"] == 0
    assert state["status"] == "Skipped"

    news = {**from_struct(read.inputs), "triggers": {"release": "1"}}
    assert plugin.diff(state, news, token).changes == DIFF.DIFF_SOME
    adopted = outputs(plugin.update(state, news, token))
    assert adopted["triggers"] == {"release": "1"}
    assert plugin.diff(adopted, news, token).changes == DIFF.DIFF_NONE
    assert fired(emulator) == {}


@pytest.mark.parametrize("token", FIVE)
def test_an_import_id_may_name_the_place(plugin: Plugin, token: str) -> None:
    inputs, identifier = FIVE[token]
    place = place_of(token)
    read = plugin.read("/".join([*place.values(), identifier]), None, token)
    assert from_struct(read.inputs) == {**inputs, **place}


@pytest.mark.parametrize("identifier", ["", "no/such", "a/b/c/d", "eu-de/p/,jb1", "absent"])
def test_an_id_that_names_nothing_is_refused(plugin: Plugin, identifier: str) -> None:
    code, words = refused(plugin.read, identifier)
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert words.startswith("id: ")


def test_a_resource_of_a_component_is_known_by_its_own_type(plugin: Plugin) -> None:
    request = provider_pb2.CreateRequest(
        urn=urn(DRS, parent="acme:index:Team$acme:index:Database$"),
        properties=to_struct({"jobs": jobs("jb1")}),
        preview=True,
    )
    assert outputs(plugin.stub.Create(request))["jobs"] == jobs("jb1")


# --- differences ------------------------------------------------------------------------------------------------------


@pytest.fixture
def state(plugin: Plugin) -> dict[str, Any]:
    return outputs(plugin.create({"jobs": jobs("jb1", "jb2"), "triggers": {"release": "1", "old": 1}}))


def kinds(answer: provider_pb2.DiffResponse) -> dict[str, str]:
    return {path: KIND.Kind.Name(diff.kind) for path, diff in answer.detailedDiff.items()}


def test_a_difference_is_named_by_its_exact_path(plugin: Plugin, state: dict[str, Any]) -> None:
    news = {
        "jobs": [{"jobId": "jb1", "isSyncReEdit": True}, {"jobId": "jb3"}],
        "triggers": {"release": "2", "a.b": [1]},
        "wait": False,
    }
    answer = plugin.diff(state, news)
    assert kinds(answer) == {
        "triggers.release": "UPDATE",
        'triggers["a.b"]': "ADD",
        "triggers.old": "DELETE",
        "jobs[0]": "UPDATE",
        "jobs[1].jobId": "UPDATE",
        "wait": "ADD",
    }
    assert sorted(answer.diffs) == ["jobs", "triggers", "wait"]
    assert not answer.replaces


def test_another_place_replaces(plugin: Plugin, state: dict[str, Any]) -> None:
    answer = plugin.diff(state, {"jobs": jobs("jb1", "jb2"), "triggers": state["triggers"], "projectId": "other"})
    assert kinds(answer) == {"projectId": "UPDATE_REPLACE"}
    assert list(answer.replaces) == ["projectId"]


def test_a_run_that_did_not_end_well_shows_as_work(plugin: Plugin, state: dict[str, Any]) -> None:
    news = {"jobs": jobs("jb1", "jb2"), "triggers": state["triggers"]}
    answer = plugin.diff({**state, "status": "InProgress"}, news)
    assert kinds(answer) == {"status": "UPDATE"}
    assert answer.changes == DIFF.DIFF_SOME


def test_an_order_of_targets_or_a_null_is_no_difference(plugin: Plugin, state: dict[str, Any]) -> None:
    news = {"jobs": jobs("jb2", "jb1"), "triggers": state["triggers"], "cooldown": None}
    assert plugin.diff(state, news).changes == DIFF.DIFF_NONE


@pytest.mark.parametrize(
    ("ignored", "left"),
    [
        (["triggers"], {"jobs[2].jobId"}),
        (["triggers.release"], {"jobs[2].jobId", 'triggers["a.b"]'}),
        (['triggers["a.b"]', "jobs"], {"triggers.release"}),
        (['["triggers"]'], {"jobs[2].jobId"}),
        (["triggers.*"], {"jobs[2].jobId"}),
        (["jobs[2].jobId"], {"triggers.release", 'triggers["a.b"]', "jobs[2].jobId"}),
        (["triggers[*]"], {"jobs[2].jobId"}),
        (["status", "results[0].status", "nothing"], {"triggers.release", 'triggers["a.b"]', "jobs[2].jobId"}),
        (["", "[", '["'], {"triggers.release", 'triggers["a.b"]', "jobs[2].jobId"}),
        (["nothing.of[0].this"], {"triggers.release", 'triggers["a.b"]', "jobs[2].jobId"}),
    ],
)
def test_what_is_ignored_stays_as_it_was_fired(
    plugin: Plugin, state: dict[str, Any], ignored: list[str], left: set[str]
) -> None:
    # The engine puts old inputs in the place of what is ignored; here they differ from what was fired.
    state["triggers"] = {"release": "fired", "old": 1, "a.b": "fired"}
    news = {"jobs": jobs("jb1", "jb2", "jb3"), "triggers": {"release": "1", "old": 1, "a.b": "1"}}
    assert kinds(plugin.diff(state, news, ignore=ignored)).keys() == left


def test_a_trigger_may_have_any_name(plugin: Plugin, state: dict[str, Any]) -> None:
    names = ['disk "db01" full', "C:\\jobs\\", "a.b[0]", "Größe", "", "C:\\jobs", 'a\\"b', "[0].\\"]
    state["triggers"] = dict.fromkeys(names, "1")
    news = {"jobs": jobs("jb1", "jb2"), "triggers": dict.fromkeys(names, "2")}
    answer = plugin.diff(state, news)
    assert [engine_path(path)[0] for path in answer.detailedDiff] == ["triggers"] * len(names)
    named = {part for path in answer.detailedDiff for part in engine_path(path)[1:]}
    assert named == {*names} - {"[0].\\"}
    assert list(answer.diffs) == ["triggers"]
    for name in names[:-1]:
        (path,) = (path for path in answer.detailedDiff if engine_path(path)[1:] == [name])
        assert path not in plugin.diff(state, news, ignore=[path]).detailedDiff


def engine_path(path: str) -> list[str | int]:
    """The path as the engine takes it apart (``ParsePropertyPath``)."""
    parts: list[str | int] = []
    while path:
        if path.startswith('["'):
            key, at = "", 2
            while path[at] != '"':
                escaped = path[at : at + 2] == '\\"'
                key += '"' if escaped else path[at]
                at += 2 if escaped else 1
            assert path[at + 1] == "]"
            parts.append(key)
            path = path[at + 2 :]
        elif path.startswith("["):
            index, _, path = path[1:].partition("]")
            parts.append(int(index))
        else:
            name = re.split(r"[.\[]", path.removeprefix("."), maxsplit=1)[0]
            parts.append(name)
            path = path.removeprefix(".")[len(name) :]
    return parts


def test_a_property_with_any_name_is_a_finding(plugin: Plugin) -> None:
    for name in ('"', "\\", "a.b\\", "", "[", "]"):
        (reason,) = failures(plugin.check({"jobs": jobs("jb1"), name: 1})).values()
        assert "has no such property" in reason


def test_what_is_ignored_and_was_never_set_is_left_out(plugin: Plugin, state: dict[str, Any]) -> None:
    news = {"jobs": jobs("jb1", "jb2"), "triggers": {**state["triggers"], "new": 1}, "cooldown": "1m"}
    assert plugin.diff(state, news, ignore=["triggers.new", "cooldown"]).changes == DIFF.DIFF_NONE


def test_an_update_with_something_ignored_fires_no_more_than_its_preview_says(
    plugin: Plugin, emulator: Emulator, state: dict[str, Any]
) -> None:
    news = {"jobs": jobs("jb1", "jb2", "jb3"), "triggers": {**state["triggers"], "release": "2"}}
    updated = outputs(plugin.update(state, news, ignore=["triggers.release"]))
    assert updated["triggers"] == state["triggers"]
    assert fired(emulator) == {"jb1": 1, "jb2": 1, "jb3": 1}


def test_a_state_that_does_not_say_what_was_fired_is_refused(plugin: Plugin, emulator: Emulator) -> None:
    news = {"jobs": jobs("jb1")}
    for call in (plugin.diff, plugin.update):
        code, words = refused(call, {"jobs": jobs("jb1")}, news)
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        assert "`status` and `generation`" in words
    assert fired(emulator) == {}


# --- what is not known yet --------------------------------------------------------------------------------------------


def places(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    """The path of everything inside a value."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from places(item, (*path, key))


def put(value: Any, path: tuple[str | int, ...], what: Any) -> Any:
    copy = deepcopy(value)
    holder = copy
    for key in path[:-1]:
        holder = holder[key]
    holder[path[-1]] = what
    return copy


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


EVERYWHERE = [(token, path) for token, inputs in MANY.items() for path in places(dict(inputs))]


def test_an_unknown_value_is_taken_in_every_place(plugin: Plugin, emulator: Emulator) -> None:
    states = {token: outputs(plugin.create(inputs, token)) for token, inputs in MANY.items()}
    before = len(emulator.requests())
    for token, path in EVERYWHERE:
        news = put(dict(MANY[token]), path, UNKNOWN)
        where = f"{token} {path}"
        assert not plugin.check(news, token).failures, where
        created = outputs(plugin.create(news, token, preview=True))
        assert at(created, path) is UNKNOWN, where
        assert is_unknown(created["status"]), where
        answer = plugin.diff(states[token], news, token)
        assert any(str(change).startswith(str(path[0])) for change in answer.diffs), where
        if not answer.replaces:
            updated = outputs(plugin.update(states[token], news, token, preview=True))
            assert at(updated, path) is UNKNOWN, where
    assert len(emulator.requests()) == before


@pytest.mark.parametrize("token", FIVE)
def test_a_preview_knows_what_stands_and_not_what_a_run_decides(plugin: Plugin, emulator: Emulator, token: str) -> None:
    inputs, _ = FIVE[token]
    created = outputs(plugin.create(inputs, token, preview=True))
    assert inputs.items() <= created.items()
    assert all(created[name] is UNKNOWN for name in ("status", "results", "generation", "region"))
    assert fired(emulator) == {}


def test_a_preview_of_an_idle_update_keeps_every_output(plugin: Plugin, state: dict[str, Any]) -> None:
    news = {"jobs": jobs("jb1", "jb2"), "triggers": state["triggers"], "maxAttempts": 5}
    assert outputs(plugin.update(state, news, preview=True)) == {**state, "maxAttempts": 5}


# --- special values in triggers ---------------------------------------------------------------------------------------


def asset(**fields: str) -> dict[str, Any]:
    return {SIGNATURE: ASSET, **fields}


@pytest.mark.parametrize(
    ("before", "after", "fires"),
    [
        (asset(hash="a", path="./one"), asset(hash="a", path="/elsewhere/one"), False),
        (asset(hash="a", text="a"), asset(hash="b", text="b"), True),
        ({SIGNATURE: ARCHIVE, "hash": "a", "path": "x"}, {SIGNATURE: ARCHIVE, "hash": "a", "path": "y"}, False),
        ({SIGNATURE: ARCHIVE, "hash": "a", "path": "x"}, asset(hash="a", path="x"), True),
        ({SIGNATURE: RESOURCE, "urn": "u", "id": "1"}, {SIGNATURE: RESOURCE, "urn": "u", "id": "1"}, False),
        (
            {SIGNATURE: RESOURCE, "urn": "u", "id": "1", "packageVersion": "1.0.0"},
            {SIGNATURE: RESOURCE, "urn": "u", "id": "1", "packageVersion": "2.0.0", "name": "n"},
            False,
        ),
        ({SIGNATURE: RESOURCE, "urn": "u", "id": "1"}, {SIGNATURE: RESOURCE, "urn": "u", "id": "2"}, True),
        ({SIGNATURE: OUTPUT, "value": 1, "dependencies": ["urn:a"]}, {SIGNATURE: OUTPUT, "value": 1}, False),
        ({SIGNATURE: OUTPUT, "value": 1}, 1, False),
        ({SIGNATURE: OUTPUT, "value": 1}, {SIGNATURE: OUTPUT, "value": 2}, True),
        (1, 1.0, False),
        (1, True, True),
        (1, "1", True),
    ],
)
def test_a_trigger_fires_when_what_it_stands_for_changes(
    plugin: Plugin, emulator: Emulator, before: Any, after: Any, fires: bool
) -> None:
    created = plugin.create({"jobs": jobs("jb1"), "triggers": {"it": before}})
    news = {"jobs": jobs("jb1"), "triggers": {"it": after}}
    assert kinds(plugin.diff(outputs(created), news)) == ({"triggers.it": "UPDATE"} if fires else {})
    assert fired(emulator) == {"jb1": 1}


def test_an_output_value_without_a_value_is_not_known_yet(plugin: Plugin) -> None:
    news = {"jobs": jobs("jb1"), "triggers": {"it": {SIGNATURE: OUTPUT, "secret": True, "dependencies": []}}}
    preview = plugin.create(news, preview=True)
    assert preview.properties.fields["triggers"].struct_value.fields["it"].struct_value.fields[SIGNATURE]
    assert is_unknown(outputs(plugin.create({"jobs": {SIGNATURE: OUTPUT}}, preview=True))["jobs"])


def test_a_resource_whose_id_is_not_known_yet_is_a_change(plugin: Plugin) -> None:
    reference = {SIGNATURE: RESOURCE, "urn": "u", "id": "1"}
    created = plugin.create({"jobs": jobs("jb1"), "triggers": {"it": reference}})
    news = {"jobs": jobs("jb1"), "triggers": {"it": {**reference, "id": ""}}}
    assert kinds(plugin.diff(outputs(created), news)) == {"triggers.it": "UPDATE"}


def test_a_special_value_has_no_place_among_the_targets(plugin: Plugin) -> None:
    for value in (asset(hash="a"), {SIGNATURE: RESOURCE, "urn": "u", "id": "1"}):
        found = failures(plugin.check({"jobId": value}, VISUALIZATION))
        assert found == {"jobId": "must be a string"}


# --- malformed requests -----------------------------------------------------------------------------------------------


def test_every_wrong_input_is_named_by_its_path_at_once(plugin: Plugin) -> None:
    news = {"jobs": [{"jobId": "jb1"}, {"jobId": 7}, "jb3", {"job": "x"}], "wait": "yes", "maxAttempts": 0, "wiat": 1}
    found = failures(plugin.check(news))
    assert found.keys() == {"jobs[1].jobId", "jobs[2]", "jobs[3].jobId", "jobs[3].job", "wait", "maxAttempts", "wiat"}
    assert "did you mean wait?" in found["wiat"]


def test_more_than_can_be_saved_is_refused_at_once_and_holds_up_nobody(plugin: Plugin) -> None:
    many = provider_pb2.CheckRequest(urn=urn(DRS), news=to_struct({"jobs": jobs(*(f"jb{n}" for n in range(30_000)))}))
    asked = [plugin.stub.Check.future(many) for _ in range(2)]
    assert not plugin.check({"jobs": jobs("jb1")}).failures
    assert not all(answer.done() for answer in asked)
    for answer in asked:
        (reason,) = failures(answer.result(PATIENCE)).values()
        assert "must name at most 10000" in reason

    found = failures(plugin.check({"jobs": jobs("jb1"), "triggers": {"file": "x" * bounds.LARGEST_INPUTS}}))
    assert found.keys() == {"triggers"}
    assert "a hash in the place of a large trigger" in found["triggers"]


def test_an_empty_request_names_what_is_required(plugin: Plugin) -> None:
    assert failures(plugin.check({})).keys() == {"jobs"}
    assert failures(plugin.check({}, POOL)).keys() == {"poolName", "scope"}


@pytest.mark.parametrize("method", ["Check", "Diff", "Create", "Update", "Read"])
@pytest.mark.parametrize("name", ["", "urn:pulumi:dev", "nonsense"])
def test_a_request_that_names_no_resource_says_so(plugin: Plugin, method: str, name: str) -> None:
    kind = getattr(provider_pb2, f"{method}Request")
    code, words = refused(getattr(plugin.stub, method), kind(urn=name))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert "is not a URN" in words


@pytest.mark.parametrize("method", ["Check", "Diff", "Create", "Update", "Read"])
def test_an_unknown_type_is_answered_with_the_known_ones(plugin: Plugin, method: str) -> None:
    kind = getattr(provider_pb2, f"{method}Request")
    code, words = refused(getattr(plugin.stub, method), kind(urn=urn("cloudretry:drs:JobBatchRerty")))
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert DRS in words


@pytest.mark.parametrize("method", ["Create", "Update"])
def test_inputs_that_no_check_has_seen_are_refused_before_anything_is_sent(
    plugin: Plugin, emulator: Emulator, state: dict[str, Any], method: str
) -> None:
    before = len(emulator.requests())
    calls = {"Create": lambda: plugin.create({"jobs": "jb1"}), "Update": lambda: plugin.update(state, {"jobs": []})}
    code, words = refused(calls[method])
    assert code is grpc.StatusCode.FAILED_PRECONDITION
    assert words.startswith("jobs: ")
    assert len(emulator.requests()) == before


def nested(depth: int) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    value = struct.fields["triggers"].struct_value.fields["deep"]
    for _ in range(depth):
        value = value.list_value.values.add()
    value.bool_value = True
    job = struct.fields["jobs"].list_value.values.add()
    job.struct_value.fields["jobId"].string_value = "jb1"
    return struct


def test_a_trigger_may_be_nested_deeply(plugin: Plugin) -> None:
    # The protocol itself ends at 100 messages within each other.
    created = plugin.stub.Create(provider_pb2.CreateRequest(urn=urn(), properties=nested(40), timeout=20))
    state = outputs(created)
    same = provider_pb2.DiffRequest(urn=urn(), olds=created.properties, news=nested(40))
    assert plugin.stub.Diff(same).changes == DIFF.DIFF_NONE
    assert state["status"] == "Succeeded"


def test_a_request_nested_without_measure_is_refused_and_the_next_one_answered(plugin: Plugin) -> None:
    body = b""
    for _ in range(3000):
        # A list value that holds one value that holds a list value, and so on.
        body = field(6, field(1, body))
    body = field(1, urn().encode()) + field(3, field(1, field(1, b"triggers") + field(2, body)))
    raw = plugin.channel.unary_unary("/pulumirpc.ResourceProvider/Check")
    with pytest.raises(grpc.RpcError):
        raw(body, timeout=PATIENCE)
    with pytest.raises(grpc.RpcError):
        raw(b"\xff\xff\xff nothing that can be read", timeout=PATIENCE)
    assert not plugin.check({"jobs": jobs("jb1")}).failures


def field(number: int, content: bytes) -> bytes:
    """A field of bytes in protobuf's wire format."""
    length, size = len(content), b""
    while True:
        size += bytes([length & 127 | (128 if length > 127 else 0)])
        length >>= 7
        if not length:
            return bytes([number << 3 | 2]) + size + content


def test_a_thousand_targets_and_megabytes_of_triggers_pass(plugin: Plugin, emulator: Emulator) -> None:
    emulator.set_scenario(
        {
            "drsJobs": [
                {
                    "count": 1000,
                    "idFormat": "jb{n}",
                    "state": "FULL_TRANSFER_FAILED",
                    "afterRetry": [["FULL_TRANSFER_STARTED", 0]],
                }
            ]
        }
    )
    news = {"jobs": jobs(*(f"jb{number}" for number in range(1, 1001))), "triggers": {"large": "x" * 6_000_000}}
    state = outputs(plugin.create(news))
    assert state["status"] == "Succeeded"
    assert len(fired(emulator)) == 1000
    assert plugin.diff(state, news).changes == DIFF.DIFF_NONE
