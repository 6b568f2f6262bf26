"""The YAML example against the schema: no YAML host is to be had everywhere, so it is checked as that host checks."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml
from pulumi_cli import ROOT

from cloudretry.actions import ACTIONS
from cloudretry.inputs import check
from cloudretry.schema import schema

PROGRAM: Mapping[str, Any] = yaml.safe_load((ROOT / "examples/yaml/Pulumi.yaml").read_text(encoding="utf-8"))
SCHEMA = schema()
REFERENCE = re.compile(r"\$\{([^}]*)\}")
PYTHON = {"string": str, "boolean": bool, "integer": int, "number": (int, float), "array": list, "object": dict}


def faults(value: Any, kind: Mapping[str, Any], path: str) -> Iterator[str]:
    """What does not fit the type, by its path."""
    if isinstance(value, str) and REFERENCE.fullmatch(value):
        return
    reference = kind.get("$ref", "")
    if reference == "pulumi.json#/Any":
        return
    if reference:
        kind = SCHEMA["types"][reference.removeprefix("#/types/")]
    if "enum" in kind:
        if value not in [item["value"] for item in kind["enum"]]:
            yield f"{path}: {value!r} is no value of {reference}"
    elif (type(value) is bool and kind["type"] != "boolean") or not isinstance(value, PYTHON[kind["type"]]):
        yield f"{path}: {value!r} is no {kind['type']}"
    elif kind["type"] == "array":
        for index, item in enumerate(value):
            yield from faults(item, kind["items"], f"{path}[{index}]")
    elif "properties" in kind:
        yield from members(value, kind["properties"], kind.get("required", ()), path)
    elif kind["type"] == "object":
        for name, item in value.items():
            yield from faults(item, kind["additionalProperties"], f"{path}.{name}")


def members(value: Mapping[str, Any], known: Mapping[str, Any], required: Any, path: str) -> Iterator[str]:
    yield from (f"{path}.{name} is missing" for name in required if name not in value)
    for name, item in value.items():
        if name in known:
            yield from faults(item, known[name], f"{path}.{name}")
        else:
            yield f"{path}.{name} is no property"


def wrong(program: Mapping[str, Any]) -> list[str]:
    found = []
    for name, resource in program["resources"].items():
        declared = SCHEMA["resources"].get(resource["type"])
        if declared is None:
            found.append(f"{name}: {resource['type']} is no resource")
            continue
        found += members(resource["properties"], declared["inputProperties"], declared["requiredInputs"], name)
    return found


def referred(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield from REFERENCE.findall(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from referred(item)
    elif isinstance(value, list):
        for item in value:
            yield from referred(item)


def test_every_type_property_and_value_is_of_the_schema() -> None:
    assert wrong(PROGRAM) == []
    assert {resource["type"] for resource in PROGRAM["resources"].values()} == set(ACTIONS)


def test_every_reference_leads_to_a_setting_or_an_output() -> None:
    for reference in referred([PROGRAM["resources"], PROGRAM["outputs"]]):
        name, _, output = reference.partition(".")
        if output:
            declared = SCHEMA["resources"][PROGRAM["resources"][name]["type"]]
            assert output in declared["properties"], reference
        else:
            assert name in PROGRAM["config"], reference


@pytest.mark.parametrize("name", PROGRAM["resources"])
def test_the_provider_itself_has_nothing_against_it(name: str) -> None:
    resource = PROGRAM["resources"][name]
    assert check(ACTIONS[resource["type"]], resource["properties"]) == []


@pytest.mark.parametrize(
    ("resource", "change", "fault"),
    [
        ("pool", {"scope": "Inference"}, "pool.scope: 'Inference' is no value"),
        ("pool", {"poolname": "x"}, "pool.poolname is no property"),
        ("desktop", {"maxAttempts": "2"}, "desktop.maxAttempts: '2' is no integer"),
        ("desktop", {"wait": 1}, "desktop.wait: 1 is no boolean"),
        ("replication", {"jobs": [{"isSyncReEdit": True}]}, "replication.jobs[0].jobId is missing"),
    ],
)
def test_what_does_not_fit_the_schema_is_found(resource: str, change: dict[str, Any], fault: str) -> None:
    declared = PROGRAM["resources"][resource]
    changed = {**declared, "properties": {**declared["properties"], **change}}
    (found,) = wrong({"resources": {resource: changed}})
    assert found.startswith(fault)
