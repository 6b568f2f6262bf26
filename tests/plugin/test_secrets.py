"""Secrets come in marked and go out marked, wherever they turn up."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from driver import (
    DRS,
    EHPC,
    POOL,
    VISUALIZATION,
    WORKSPACE,
    EngineLog,
    Plugin,
    failures,
    init_failed,
    jobs,
    outputs,
    refused,
)
from google.protobuf import struct_pb2
from pulumi.runtime.proto import provider_pb2
from test_resources import EVERYWHERE, MANY, at, fired, put

from cloudretry.emulator import CREDENTIALS, Emulator
from cloudretry.inputs import UNKNOWN
from cloudretry.plugin.marshal import Secret, from_struct, plain, to_struct
from cloudretry.plugin.secrecy import Secrecy


def shown(struct: struct_pb2.Struct) -> list[str]:
    """Every text in a message that is not secret."""

    def texts(value: Any) -> Iterator[str]:
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            for name, item in value.items():
                yield name
                yield from texts(item)
        elif isinstance(value, list):
            for item in value:
                yield from texts(item)

    return list(texts(from_struct(struct)))


def test_a_secret_stays_one_in_every_place(plugin: Plugin) -> None:
    states = {token: outputs(plugin.create(inputs, token)) for token, inputs in MANY.items()}
    for token, path in EVERYWHERE:
        value = at(MANY[token], path)
        news = put(dict(MANY[token]), path, Secret(value))
        where = f"{token} {path}"
        checked = plugin.check(news, token)
        assert not checked.failures, where
        assert from_struct(checked.inputs) == news, where
        assert at(outputs(plugin.create(news, token, preview=True)), path) == Secret(value), where
        # The value is the same: nothing fires, and the state is to hold it as a secret from now on.
        answer = plugin.diff(states[token], news, token)
        assert list(answer.diffs) == [path[0]], where
        assert not answer.replaces, where
        updated = outputs(plugin.update(states[token], news, token))
        assert at(updated, path) == Secret(value), where
        assert plain(updated)["generation"] == 1, where
        assert not plugin.diff(updated, news, token).diffs, where


def test_a_value_that_is_no_longer_secret_is_shown_from_the_next_update_on(plugin: Plugin) -> None:
    state = outputs(plugin.create({"jobs": jobs("jb1"), "triggers": {"a": Secret("x"), "b": "1"}}))
    assert state["triggers"] == {"a": Secret("x"), "b": "1"}
    updated = outputs(plugin.update(state, {"jobs": jobs("jb1"), "triggers": {"a": "x", "b": "2"}}))
    assert updated["triggers"] == {"a": "x", "b": "2"}


SECRET_TARGETS = [
    (POOL, {"poolName": Secret("pool-a"), "scope": "Infer"}, "pool-a"),
    (VISUALIZATION, {"jobId": Secret("10")}, "10"),
    (WORKSPACE, {"jobId": Secret("task-1")}, "task-1"),
    (DRS, {"jobs": jobs(Secret("jb1"), "jb2")}, "jb1"),
    (DRS, {"jobs": Secret(jobs("jb1", "jb2"))}, "jb1"),
    (EHPC, {"clusterId": Secret("ehpc-1"), "jobIds": ["1.scheduler"]}, "ehpc-1"),
    (EHPC, {"clusterId": "ehpc-1", "jobIds": [Secret("1.scheduler")]}, "1.scheduler"),
    (DRS, {"jobs": jobs("jb1"), "projectId": Secret(CREDENTIALS.project_id)}, CREDENTIALS.project_id),
]


@pytest.mark.parametrize(("token", "news", "hidden"), SECRET_TARGETS, ids=lambda value: str(value)[:40])
def test_a_secret_target_shows_neither_in_outputs_nor_in_the_id(
    plugin: Plugin, emulator: Emulator, token: str, news: dict[str, Any], hidden: str
) -> None:
    created = plugin.create(news, token)
    assert created.id.startswith("secret-")
    assert hidden not in shown(created.properties)
    state = outputs(created)
    assert plain(state)["status"] == "Succeeded"
    count = fired(emulator)

    updated = plugin.update(state, {**news, "maxAttempts": 5}, token)
    assert hidden not in shown(updated.properties)
    read = plugin.read(created.id, state, token, **news)
    assert hidden not in shown(read.properties)
    assert hidden not in shown(read.inputs)
    assert not plugin.diff(outputs(read), news, token).diffs
    assert fired(emulator) == count


@pytest.mark.parametrize("secret", ["refused", "stuck"])
def test_a_failure_does_not_name_a_secret_target(
    start: Callable[..., Plugin], emulator: Emulator, engine: EngineLog, secret: str
) -> None:
    plugin = start(engine=engine)
    plugin.configure(emulator)
    failed = init_failed(plugin.create, {"jobs": jobs(Secret(secret), "jb2")}, timeout=1.0)
    assert secret not in failed.id
    assert not [text for text in shown(failed.properties) if secret in text]
    assert "[secret]" in failed.reasons[0]
    assert secret not in "".join(failed.reasons)
    assert engine.lines
    assert not [line for line in engine.lines if secret in line.message]


def test_a_target_that_was_secret_and_is_gone_stays_secret_in_the_history(plugin: Plugin) -> None:
    failed = init_failed(plugin.create, {"jobs": jobs(Secret("refused"), "jb1")})
    state = outputs(plugin.update(failed.outputs, {"jobs": jobs("jb1"), "triggers": {"release": "2"}}))
    again = plugin.update(state, {"jobs": jobs("jb1", "jb2"), "triggers": {"release": "2"}})
    assert "refused" not in shown(again.properties)
    assert Secret("refused") in outputs(again)["history"][0]["failedTargets"]


def test_outputs_that_the_program_makes_secret_make_no_other_output_secret(plugin: Plugin) -> None:
    """As the engine hands over a state with ``additionalSecretOutputs: [results, history]``."""
    created = outputs(plugin.create({"jobs": jobs("jb1", Secret("jb2"))}))
    olds = {**created, "results": Secret(created["results"]), "history": Secret(created["history"])}
    news = {"jobs": jobs("jb1"), "triggers": {"release": "2"}}
    updated = outputs(plugin.update(olds, news))
    assert updated["status"] == "Skipped"
    assert updated["results"][0]["target"] == "jb1"
    # A target that was secret stays so, wherever its name stood.
    assert Secrecy.of(olds).redact("jb1 jb2 Succeeded") == "jb1 [secret] Succeeded"


def test_a_part_of_a_secret_map_is_ignored_and_stays_secret(plugin: Plugin) -> None:
    created = outputs(plugin.create({"jobs": jobs("jb1"), "triggers": Secret({"release": "1", "other": "1"})}))
    for news in (Secret({"release": "2", "other": "1"}), {"release": Secret("2"), "other": "1"}):
        inputs = {"jobs": jobs("jb1"), "triggers": news}
        answer = plugin.diff(created, inputs, ignore=["triggers.release"])
        assert "triggers.release" not in answer.detailedDiff
        updated = plugin.update(created, inputs, ignore=["triggers.release"])
        assert plain(outputs(updated))["triggers"] == {"release": "1", "other": "1"}
        assert plain(outputs(updated))["generation"] == 1
        assert Secret("1") in (outputs(updated)["triggers"], *_parts(outputs(updated)["triggers"]))


def _parts(value: Any) -> list[Any]:
    return [Secret(item) for item in value.value.values()] if isinstance(value, Secret) else list(value.values())


def test_a_refusal_of_the_whole_request_does_not_name_a_secret(plugin: Plugin, emulator: Emulator) -> None:
    _, words = refused(plugin.create, {"clusterId": Secret("no-such-cluster"), "jobIds": ["1.scheduler"]}, EHPC)
    assert "no-such-cluster" not in words


def test_check_names_the_place_of_a_wrong_secret_and_not_its_value(plugin: Plugin) -> None:
    news = {
        "jobs": [{"jobId": Secret("not/a/job")}, Secret({"jobId": 7}), *jobs("twice", Secret("twice"))],
        "maxAttempts": Secret(-77),
        "cooldown": Secret("never"),
        "language": Secret("tlh"),
    }
    found = failures(plugin.check(news))
    assert found.keys() == {"jobs[0].jobId", "jobs[1].jobId", "jobs[3].jobId", "maxAttempts", "cooldown", "language"}
    words = " ".join(found.values())
    assert not [value for value in ("not/a/job", "7,", "twice'", "-77", "never", "tlh") if value in words]


SLIPS = {
    "a region in capitals": {"region": "EU-DE"},
    "a misspelt key": {"regoin": "eu-de"},
    "a number where a text belongs": {"password": 12345678},
    "a URL with a password": {"authUrl": "https://somebody:planted-7Zq@iam.example"},
    "a section that is none": {"endpoints": ["planted-7Zq"]},
}


def test_a_slip_beside_a_secret_of_the_configuration_prints_no_secret(plugin: Plugin) -> None:
    for slip, wrong in SLIPS.items():
        section = {"accessKey": "AK", "secretKey": "planted-7Zq", **wrong}
        forms: list[Any] = [
            section,
            {**section, "secretKey": Secret("planted-7Zq")},
            Secret(section),
            json.dumps(section),
        ]
        for form in forms:
            news = to_struct({"huaweicloud": form, "pollInterval": Secret("planted-7Zq")})
            request = provider_pb2.CheckRequest(urn="urn:pulumi:dev::p::pulumi:providers:cloudretry::x", news=news)
            found = failures(plugin.stub.CheckConfig(request))
            assert "pollInterval" in found, slip
            assert any(path.startswith("huaweicloud.") for path in found), slip
            assert not [words for words in found.values() if "planted" in words or "12345678" in words], slip


def test_a_list_that_is_none_prints_no_secret_in_it(plugin: Plugin) -> None:
    found = failures(plugin.check({"jobs": {"jobId": Secret("planted-7Zq")}, "triggers": [Secret("planted-7Zq")]}))
    assert found == {"jobs": "must be a list", "triggers": "must be a map"}


def test_a_value_in_clear_that_holds_a_secret_is_blotted_out(plugin: Plugin) -> None:
    found = failures(plugin.check({"jobs": jobs(Secret("jb7")), "cooldown": "after jb7"}))
    assert found["cooldown"].endswith("got 'after [secret]'")


def test_a_secret_that_is_not_known_yet_stays_both(plugin: Plugin) -> None:
    preview = plugin.create({"jobs": jobs(Secret(UNKNOWN)), "triggers": {"a": Secret([1, UNKNOWN])}}, preview=True)
    assert outputs(preview)["jobs"] == [{"jobId": Secret(UNKNOWN)}]
    assert outputs(preview)["triggers"] == {"a": Secret([1, UNKNOWN])}


# --- the rules themselves ---------------------------------------------------------------------------------------------


def test_a_secret_is_recognized_as_a_whole_word_only() -> None:
    secrecy = Secrecy(["10", "jb-1"])
    assert secrecy.redact("job 10 of 2010, jb-1: jb-12 failed (10)") == (
        "job [secret] of 2010, [secret]: jb-12 failed ([secret])"
    )
    assert secrecy.mark({"a": ["10", "110", 10], "10": Secret("x")}) == {
        "a": [Secret("10"), "110", 10],
        "10": Secret("x"),
    }


def test_the_longer_of_two_secrets_is_taken_out_first() -> None:
    assert Secrecy(["a", "a-b"]).redact("a-b a") == "[secret] [secret]"


def test_without_secrets_nothing_changes() -> None:
    assert Secrecy(["", " "]).mark({"a": ""}) == {"a": ""}
    assert Secrecy.of({"a": "b", "c": Secret(7)}).redact("a b 7") == "a b 7"


def test_everything_inside_a_secret_is_secret() -> None:
    assert Secrecy.of({"a": Secret({"b": ["c", {"d": "e"}]})}).redact("a b c d e") == "a b [secret] d [secret]"
