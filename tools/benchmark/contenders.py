"""Who is measured: the provider, programs that do the same by other means, and some that do less."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

__all__ = [
    "COMMAND",
    "CONTENDERS",
    "DYNAMIC",
    "FLOOR",
    "NULL",
    "PLAIN",
    "PLUGIN",
    "UNWAITED",
    "Contender",
    "absent",
]

_ROOT = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Contender:
    """``classes`` is what its program declares, ``fires`` whether it calls the cloud.

    ``plugin`` is the folder of the plugin that its project names, ``package`` that plugin's name.
    """

    name: str
    title: str
    classes: str
    fires: bool = True
    plugin: Path | None = None
    package: str = "cloudretry"
    inputs: Mapping[str, Any] = field(default_factory=dict)


def _folder_of(program: str) -> Path | None:
    found = shutil.which(program)
    return Path(found).parent if found else None


PLUGIN = Contender("plugin", "cloudretry", "plugin", plugin=_ROOT / "provider")
UNWAITED = Contender(
    "unwaited", "cloudretry, `wait: false`", "plugin", plugin=_ROOT / "provider", inputs={"wait": False}
)
DYNAMIC = Contender("dynamic", "cloudretry's dynamic classes", "dynamic")
NULL = Contender("null", "null plugin", "plugin", fires=False, plugin=Path(__file__).parent / "null_plugin")
PLAIN = Contender("plain", "plain `pulumi.dynamic`", "plain")
COMMAND = Contender(
    "command", "pulumi-command + curl", "command", plugin=_folder_of("pulumi-resource-command"), package="command"
)
FLOOR = Contender("floor", "components (the floor)", "component", fires=False)

CONTENDERS: Mapping[str, Contender] = {
    contender.name: contender for contender in (PLUGIN, UNWAITED, DYNAMIC, NULL, PLAIN, COMMAND, FLOOR)
}


def absent() -> Mapping[str, str]:
    """Contenders that cannot be had on this machine, and why."""
    if COMMAND.plugin is None:
        return {"command": "there was no `pulumi-resource-command` on the PATH"}
    return {}
