"""Throw-away stacks on the real engine, through Pulumi's Automation API."""

from __future__ import annotations

import asyncio
import functools
import hashlib
import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType, TracebackType
from typing import Any, Self

import yaml
from pulumi import automation

import pulumi_cloudretry
from cloudretry.folders import pulumi_home
from cloudretry.plugin.install import folder_of, install
from pulumi_cloudretry.testing.clouds import EmulatedClouds

__all__ = ["StackFactory", "recorded", "why_no_engine"]

_LONGEST_PROGRAM = 10.0
"""Seconds for which a program is waited for whose engine has ended."""

_OUR_TYPES = ("cloudretry:", "pulumi-python:dynamic/cloudretry/")


def why_no_engine() -> str:
    """Why no program can be run here; empty if one can."""
    if shutil.which("pulumi") is None:
        return "the Pulumi CLI is not on PATH; install it (https://www.pulumi.com/docs/install/) to run this test"
    return ""


def recorded(stack: automation.Stack) -> dict[str, dict[str, Any]]:
    """The outputs of each retry in the stack's state, by the resource's name, with the names that Pulumi gives them.

    They are there after an ``up`` that failed as well, when ``stack.outputs()`` still holds those of the last one that
    went well. Secrets are in clear.
    """
    deployment = stack.export_stack().deployment or {}
    return {
        resource["urn"].rpartition("::")[2]: _in_clear(resource["outputs"])
        for resource in deployment.get("resources") or ()
        if resource["type"].startswith(_OUR_TYPES) and "outputs" in resource
    }


class StackFactory:
    """Makes stacks in a folder of their own: their state, the engine's home and the journal.

    ``PULUMI_HOME`` and ``PULUMI_BACKEND_URL`` of the environment are not used, and no account of Pulumi Cloud is. The
    plugins of other providers that are installed in the person's own home are lent to the stacks. Close it in the end,
    or use it as a context manager.
    """

    def __init__(self, folder: Path, clouds: EmulatedClouds) -> None:
        self._programs: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any] | None]] = []
        self.folder = folder
        self._clouds = clouds
        self._backend = folder / "backend"
        self._backend.mkdir(parents=True, exist_ok=True)
        self.home = folder / "home"
        install(self.home)
        _load_sdk()
        _lend_plugins(pulumi_home(), self.home)

    def __call__(
        self,
        program: Callable[[], Any] | str | Path,
        *,
        stack: str = "test",
        project: str = "test",
        config: Mapping[str, str | automation.ConfigValue] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> automation.Stack:
        """A stack of a program: a function that declares resources, or the folder of a project.

        A project's program runs where it lies, its name is its own, and what there is to write (the stack's settings)
        is written elsewhere. If it has settings for a stack of this name, they are read, without the secrets, which a
        test has no key for. Where a project names an emulator, the test's takes its place.

        ``config`` is set as ``pulumi config set --path`` would: ``release``, ``cloudretry:pollInterval``,
        ``cloudretry:huaweicloud.region``; a secret is an ``automation.ConfigValue``. ``environment`` is added to the
        test's own. The same stack and project give the same stack again, also with another program.

        :raises FileNotFoundError: the folder holds no ``Pulumi.yaml``.
        """
        variables = self.environment() | dict(environment or {})
        options = automation.LocalWorkspaceOptions(pulumi_home=str(self.home), env_vars=variables)
        if callable(program):
            folder = self._work_folder(project)
            self._settle(folder, stack, {})
            options.work_dir = str(folder)
            kept = self._kept(program)
            made = automation.create_or_select_stack(stack, project_name=project, program=kept, opts=options)
        else:
            folder = self._project_folder(Path(program).resolve(), stack)
            made = automation.create_or_select_stack(stack, work_dir=str(folder), opts=options)
        if config:
            made.set_all_config(
                {
                    key: value if isinstance(value, automation.ConfigValue) else automation.ConfigValue(value)
                    for key, value in config.items()
                },
                path=True,
            )
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

    def close(self) -> None:
        """End what the functions that were run as programs have left behind."""
        for loop, _ in self._programs:
            _finish(loop)
        self._programs.clear()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _kept(self, program: Callable[[], Any]) -> Callable[[], Any]:
        """The program, which is not given up before it is finished.

        The SDK gives up the program of an ``up`` that failed. When Python gets to that, at some time, it tells of an
        exception in it that nobody can catch, and pytest takes that for a fault of the test which runs just then.
        """

        @functools.wraps(program)
        def run() -> Any:
            self._programs.append((asyncio.get_running_loop(), asyncio.current_task()))
            return program()

        return run

    def _work_folder(self, name: str) -> Path:
        folder = self.folder / "projects" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder

    def _project_folder(self, source: Path, stack: str) -> Path:
        """A folder with the project's file, which leads to the program, and the stack's settings."""
        described = next((path for name in ("yaml", "yml") if (path := source / f"Pulumi.{name}").is_file()), None)
        if described is None:
            raise FileNotFoundError(f"{source}: no Pulumi.yaml in here; name the folder of a Pulumi project")
        folder = self._work_folder(f"{source.name}-{hashlib.sha256(bytes(source)).hexdigest()[:8]}")
        project = yaml.safe_load(described.read_text(encoding="utf-8"))
        settings = source / project.pop("stackConfigDir", "") / f"Pulumi.{stack}.yaml"
        _make_absolute(project, source)
        _write(folder / "Pulumi.yaml", project)
        theirs = (yaml.safe_load(settings.read_text(encoding="utf-8")) or {}) if settings.is_file() else {}
        self._settle(folder, stack, _without_secrets(theirs.get("config") or {}))
        return folder

    def _settle(self, folder: Path, stack: str, config: Mapping[str, Any]) -> None:
        """Write a new stack's settings. Whatever a project says, its clouds are the test's."""
        settings = folder / f"Pulumi.{stack}.yaml"
        if not settings.exists():
            _write(settings, {"config": {**config, "cloudretry:emulator": self._clouds.url}})


def _load_sdk() -> None:
    """Load the modules that the SDK leaves until they are first used, which only one thread may do.

    Functions that are run as programs are run in threads.
    """
    for module in list(vars(pulumi_cloudretry).values()):
        if isinstance(module, ModuleType):
            hasattr(module, "__all__")


def _finish(loop: asyncio.AbstractEventLoop) -> None:
    """Let everything on an event loop come to its end; what another thread still runs is waited for."""
    deadline = time.monotonic() + _LONGEST_PROGRAM
    while loop.is_running() and time.monotonic() < deadline:
        time.sleep(0.01)
    if not loop.is_closed() and not loop.is_running():
        loop.run_until_complete(_cancel_the_others())
        loop.close()


async def _cancel_the_others() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _write(path: Path, document: Mapping[str, Any]) -> None:
    path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")


def _make_absolute(project: dict[str, Any], source: Path) -> None:
    """Let what a project names by a path of its folder stay what it is."""
    project["main"] = str(source / project.get("main", ""))
    runtime = project.get("runtime")
    options = (runtime.get("options") if isinstance(runtime, dict) else None) or {}
    if "virtualenv" in options:
        options["virtualenv"] = str((source / options["virtualenv"]).resolve())
    for plugins in (project.get("plugins") or {}).values():
        for plugin in plugins:
            if "path" in plugin:
                plugin["path"] = str((source / plugin["path"]).resolve())


def _without_secrets(config: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _without_secrets(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if not (isinstance(value, dict) and value.keys() == {"secure"})
    }


def _lend_plugins(theirs: Path, home: Path) -> None:
    """Have what is installed in one home in the other one too; this provider's own plugin is there already."""
    ours = folder_of(home)
    for plugin in (theirs / "plugins").glob("*-*-v*/"):
        lent = ours.with_name(plugin.name)
        if plugin.name.startswith("resource-cloudretry-") or lent.exists():
            continue
        # The engine takes no link for a plugin's folder.
        lent.mkdir()
        for file in plugin.iterdir():
            (lent / file.name).symlink_to(file)


def _in_clear(value: Any) -> Any:
    """What the state holds, its secrets as plain values."""
    if isinstance(value, dict):
        if "plaintext" in value and len(value) == 2:
            return json.loads(value["plaintext"])
        return {name: _in_clear(item) for name, item in value.items()}
    return [_in_clear(item) for item in value] if isinstance(value, list) else value
