"""Throw-away stacks on the real engine, through Pulumi's Automation API."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pulumi import automation

from cloudretry.plugin.install import install
from pulumi_cloudretry.testing.clouds import EmulatedClouds

__all__ = ["StackFactory", "why_no_engine"]

_LINKED = (".venv", "venv", "node_modules")
"""Folders of a project that are not copied but linked."""

_LEFT_OUT = shutil.ignore_patterns(".git", "__pycache__", ".pytest_cache", *_LINKED)


def why_no_engine() -> str:
    """Why no program can be run here; empty if one can."""
    if shutil.which("pulumi") is None:
        return "the Pulumi CLI is not on PATH; install it (https://www.pulumi.com/docs/install/) to run this test"
    return ""


class StackFactory:
    """Makes stacks in a folder of their own: state, the engine's home, the journal and copies of programs.

    ``PULUMI_HOME`` and ``PULUMI_BACKEND_URL`` of the environment are not used, and no account of Pulumi Cloud is.
    """

    def __init__(self, folder: Path, clouds: EmulatedClouds) -> None:
        self.folder = folder
        self._clouds = clouds
        self._backend = folder / "backend"
        self._backend.mkdir(parents=True, exist_ok=True)
        self.home = folder / "home"
        install(self.home)

    def __call__(
        self,
        program: Callable[[], Any] | str | Path,
        *,
        stack: str = "test",
        project: str = "test",
        config: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> automation.Stack:
        """A stack of a program: a function that declares resources, or the folder of a project.

        A project is copied, so nothing is written next to it; its name is its own. ``config`` is set on the stack by
        full keys such as ``cloudretry:pollInterval``. ``environment`` is added to the test's own. The same stack and
        project give the same stack again, also with another program.

        :raises FileNotFoundError: the folder holds no ``Pulumi.yaml``.
        """
        variables = self.environment() | dict(environment or {})
        options = automation.LocalWorkspaceOptions(pulumi_home=str(self.home), env_vars=variables)
        if callable(program):
            options.work_dir = str(self._work_folder(project))
            made = automation.create_or_select_stack(stack, project_name=project, program=program, opts=options)
        else:
            work_dir = str(self._copy(Path(program).resolve()))
            made = automation.create_or_select_stack(stack, work_dir=work_dir, opts=options)
        for key, value in (config or {}).items():
            made.set_config(key, automation.ConfigValue(value))
        return made

    def environment(self) -> dict[str, str]:
        """The variables that a program of this factory's stacks, or the Pulumi CLI on them, runs with."""
        return {
            **self._clouds.environment(),
            # A program without a virtual environment of its own runs in the test's.
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
            "PULUMI_HOME": str(self.home),
            "PULUMI_BACKEND_URL": self._backend.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
        }

    def _work_folder(self, name: str) -> Path:
        folder = self.folder / "programs" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _copy(self, source: Path) -> Path:
        described = next((path for name in ("yaml", "yml") if (path := source / f"Pulumi.{name}").is_file()), None)
        if described is None:
            raise FileNotFoundError(f"{source}: no Pulumi.yaml in here; name the folder of a Pulumi project")
        copy = self._work_folder(source.name)
        shutil.copytree(source, copy, ignore=_LEFT_OUT, dirs_exist_ok=True)
        for name in _LINKED:
            if (source / name).is_dir() and not (copy / name).exists():
                (copy / name).symlink_to(source / name)
        project = yaml.safe_load(described.read_text(encoding="utf-8"))
        _make_absolute(project, source)
        (copy / described.name).write_text(yaml.safe_dump(project, sort_keys=False), encoding="utf-8")
        return copy


def _make_absolute(project: Mapping[str, Any], source: Path) -> None:
    """Let what a project names by a path of its folder stay what it is."""
    runtime = project.get("runtime")
    options = (runtime.get("options") if isinstance(runtime, dict) else None) or {}
    if "virtualenv" in options:
        options["virtualenv"] = str((source / options["virtualenv"]).resolve())
    for plugins in (project.get("plugins") or {}).values():
        for plugin in plugins:
            if "path" in plugin:
                plugin["path"] = str((source / plugin["path"]).resolve())
