"""The YAML example against the schema: no YAML host is to be had everywhere, so it is checked as that host checks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from cloudretry.actions import ACTIONS
from cloudretry.inputs import check
from support.yaml_program import SCHEMA, referred, wrong_with

ROOT = Path(__file__).parents[2]
PROGRAM: Mapping[str, Any] = yaml.safe_load((ROOT / "examples/yaml/Pulumi.yaml").read_text(encoding="utf-8"))


def test_every_type_property_and_value_is_of_the_schema() -> None:
    assert wrong_with(PROGRAM) == []
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
    (found,) = wrong_with({"resources": {resource: changed}})
    assert found.startswith(fault)
