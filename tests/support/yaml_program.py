"""YAML programs against the provider's schema, as their host checks them: no such host is to be had everywhere."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cloudretry.schema import schema

__all__ = ["RESOURCES", "SCHEMA", "members", "referred", "wrong_with"]

SCHEMA = schema()
RESOURCES = {"pulumi:providers:cloudretry": SCHEMA["provider"], **SCHEMA["resources"]}
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
    """What does not fit these properties, by its path."""
    yield from (f"{path}.{name} is missing" for name in required if name not in value)
    for name, item in value.items():
        if name in known:
            yield from faults(item, known[name], f"{path}.{name}")
        else:
            yield f"{path}.{name} is no property"


def wrong_with(program: Mapping[str, Any]) -> list[str]:
    """What in the resources does not fit the schema, by its path."""
    found = []
    for name, resource in program["resources"].items():
        declared = RESOURCES.get(resource["type"])
        if declared is None:
            found.append(f"{name}: {resource['type']} is no resource")
            continue
        properties = resource.get("properties", {})
        found += members(properties, declared["inputProperties"], declared.get("requiredInputs", ()), name)
    return found


def referred(value: Any) -> Iterator[str]:
    """What the expressions in it name."""
    if isinstance(value, str):
        yield from REFERENCE.findall(value)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from referred(item)
    elif isinstance(value, list):
        for item in value:
            yield from referred(item)
