"""Programs on the pages, run without an engine: what they declare, as the engine would be told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pulumi
from pulumi.runtime import mocks, rpc, settings


@dataclass
class Declared:
    """The resources that a program declared: type, name and inputs, and their options as far as a mock sees them."""

    resources: list[pulumi.runtime.MockResourceArgs] = field(default_factory=list)

    def inputs(self, token: str) -> dict[str, Any]:
        (found,) = (resource for resource in self.resources if resource.typ == token)
        return plain(found)


def plain(resource: pulumi.runtime.MockResourceArgs) -> dict[str, Any]:
    """A resource's inputs. Whole numbers come as floats over the wire, secrets wrapped; hidden inputs are left out."""
    return {name: _whole(value) for name, value in resource.inputs.items() if not name.startswith("__")}


def _whole(value: Any) -> Any:
    if isinstance(value, dict):
        if rpc._special_sig_key in value:
            return _whole(value["value"])
        return {key: _whole(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_whole(item) for item in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


class _Recorder(pulumi.runtime.Mocks):
    def __init__(self) -> None:
        self.declared = Declared()

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str, dict[Any, Any]]:
        self.declared.resources.append(args)
        outcome = {
            "status": "Succeeded",
            "generation": 1,
            "results": [],
            "history": [],
            "fireIds": [],
            "requestIds": [],
        }
        return f"{args.name}-id", {**args.inputs, **outcome, "emulator": True, "failure": None}

    def call(self, args: pulumi.runtime.MockCallArgs) -> dict[Any, Any]:
        raise AssertionError(f"the program calls {args.token}")


def run(source: str, where: str, config: dict[str, str] | None = None) -> Declared:
    """Run a program with the engine mocked, to the end of everything that it started."""
    recorder = _Recorder()
    mocks.set_mocks(recorder, project="program", stack="dev", preview=False, organization="organization")
    pulumi.runtime.set_all_config(config or {})

    @pulumi.runtime.test
    def program() -> None:
        exec(compile(source, where, "exec"), {"__name__": "__main__"})

    try:
        program()
    finally:
        settings.reset_options()
    return recorder.declared
