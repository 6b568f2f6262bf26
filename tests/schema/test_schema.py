"""The schema as the users of the SDKs see it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from pydantic import SecretStr

from cloudretry.actions import ACTIONS
from cloudretry.config import ENVIRONMENT, KEY_PAIRS, ProviderConfig
from cloudretry.emulator import CREDENTIALS
from cloudretry.model import Result, Status
from cloudretry.record import LIFE, Record, history_entry
from cloudretry.schema import schema, schema_text
from cloudretry.version import __version__

SCHEMA = schema()
TYPES: Mapping[str, Any] = SCHEMA["types"]
RESOURCES: Mapping[str, Any] = SCHEMA["resources"]


def described() -> Iterator[tuple[str, str]]:
    """Everything that has a description, by where it is."""
    for name, variable in SCHEMA["config"]["variables"].items():
        yield f"config {name}", variable.get("description", "")
    for token, kind in TYPES.items():
        yield token, kind.get("description", "")
        for name, member in kind.get("properties", {}).items():
            yield f"{token} {name}", member.get("description", "")
        for value in kind.get("enum", ()):
            yield f"{token} {value['value']}", value.get("description", "")
    for token, resource in RESOURCES.items():
        yield token, resource.get("description", "")
        for side in ("inputProperties", "properties"):
            for name, member in resource[side].items():
                yield f"{token} {side} {name}", member.get("description", "")


def test_everything_is_described_in_whole_sentences() -> None:
    for where, words in described():
        assert words.strip() == words, where
        assert words[:1].isupper() or words[:1] == "`", f"{where}: {words!r}"
        assert words.endswith("."), f"{where}: {words!r}"
        assert "``" not in words, f"{where}: {words!r}"
        assert "  " not in words, f"{where}: {words!r}"


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if "$ref" in value:
            yield value["$ref"]
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def test_every_type_is_used_and_every_reference_leads_to_one() -> None:
    found = {ref.removeprefix("#/types/") for ref in references(SCHEMA) if ref.startswith("#/types/")}
    assert found == TYPES.keys()


def test_no_type_repeats_the_name_of_its_module() -> None:
    for token in (*TYPES, *RESOURCES):
        _, module, name = token.split(":")
        assert not name.lower().startswith(module), token


@pytest.mark.parametrize("token", ACTIONS)
def test_inputs_are_those_of_the_action(token: str) -> None:
    fields = {field.alias: field for field in ACTIONS[token].inputs.model_fields.values()}
    resource = RESOURCES[token]
    assert resource["inputProperties"].keys() == fields.keys()
    assert set(resource["requiredInputs"]) == {name for name, field in fields.items() if field.is_required()}
    targets = [name for name in resource["inputProperties"] if name in resource["requiredInputs"]]
    assert list(resource["inputProperties"])[: len(targets)] == targets


@pytest.mark.parametrize("token", ACTIONS)
def test_what_is_recorded_is_what_the_outputs_promise(token: str) -> None:
    action, resource = ACTIONS[token], RESOURCES[token]
    every = Result("t", Status.FAILED, "word", 1, 1.0, "code", "message", "reason", "handle", "before")
    run = history_entry(
        at=1.0,
        reason="create",
        generation=1,
        triggers=["release"],
        fired=1,
        results=[every],
        status=Status.FAILED,
        request_ids=["id"],
    )
    outputs = {
        "status": "Failed",
        "generation": 1,
        "region": "eu-de",
        "firedAt": "2026-01-01T00:00:00Z",
        "triggers": {},
    }
    record = Record.from_outputs(action, outputs | {"results": [every.to_state()], "history": [run]})
    written = record.to_outputs(action)
    inherited = {"projectId"} if "projectId" in resource["properties"] else set()
    assert written.keys() - {LIFE} <= resource["properties"].keys()
    assert set(resource["required"]) - set(resource["requiredInputs"]) - inherited <= written.keys()
    assert every.to_state().keys() == TYPES["cloudretry:index:TargetResult"]["properties"].keys()
    assert run.keys() == TYPES["cloudretry:index:Run"]["properties"].keys()


def test_every_enumeration_names_every_value() -> None:
    statuses = TYPES["cloudretry:index:Status"]["enum"]
    assert [item["value"] for item in statuses] == list(Status)
    for token, kind in TYPES.items():
        names = [item["name"] for item in kind.get("enum", ())]
        assert len(set(names)) == len(names), token
        assert all(name.isidentifier() for name in names), token


def settings(kind: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    for name, field in kind.model_fields.items():
        below = f"{path}{field.alias or name}"
        model = next(
            (
                item
                for item in (field.annotation, *getattr(field.annotation, "__args__", ()))
                if hasattr(item, "model_fields")
            ),
            None,
        )
        yield below, field.annotation
        if model is not None:
            yield from settings(model, f"{below}.")


def member(path: str) -> Mapping[str, Any]:
    """The schema's entry of a setting."""
    head, *rest = path.split(".")
    found: Mapping[str, Any] = SCHEMA["config"]["variables"][head]
    for name in rest:
        found = TYPES[found["$ref"].removeprefix("#/types/")]["properties"][name]
    return found


def test_every_setting_is_there_and_exactly_the_secret_ones_are_secret() -> None:
    for path, annotation in settings(ProviderConfig):
        holds_secret = (
            annotation is SecretStr
            or SecretStr in getattr(annotation, "__args__", ())
            or "SecretStr" in str(annotation)
        )
        assert member(path).get("secret", False) is holds_secret, path


def test_a_setting_names_the_variables_that_give_it() -> None:
    pairs = {f"{section}.{key}": row[key] for section, rows in KEY_PAIRS.items() for row in rows for key in row}
    for path, variables in {**ENVIRONMENT, **{path: (variable,) for path, variable in pairs.items()}}.items():
        assert all(f"`{variable}`" in member(path)["description"] for variable in variables), path


def test_a_duration_is_written_with_its_unit() -> None:
    for path in ("pollInterval", "connectTimeout", "readTimeout", "huaweicloud.assumeRole.duration"):
        assert member(path)["type"] == "string", path
    assert member("huaweicloud.assumeRole.duration")["description"].endswith('Default: `"12h"`.')


def test_no_input_has_to_be_known_before_the_program_runs() -> None:
    # A `plain` input takes no output of another resource; every knob may well come from one.
    assert '"plain"' not in schema_text()


def test_the_plugin_s_schema_is_the_same_document() -> None:
    assert json.loads(schema_text()) == SCHEMA
    assert SCHEMA["version"] == __version__


def test_no_secret_of_the_emulator_is_in_it() -> None:
    assert CREDENTIALS.secret_key not in schema_text()
