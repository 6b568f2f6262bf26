"""Two ways to run an `up`: the real Pulumi CLI, or a small engine on real plugin processes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from chaosmatrix.processes import Session

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "engine"))

from real_engine import STACK, Template, path_to_engine  # type: ignore[import-not-found]  # noqa: E402

__all__ = ["Declared", "Driver", "EngineDriver", "Program", "Up", "WireDriver", "cloudretry", "driver", "make_template"]


@dataclass(frozen=True, slots=True)
class Declared:
    """A resource as the program declares it. ``formerly`` is its name before; ``provider`` that of an explicit one.

    The time-out is in seconds.
    """

    name: str
    token: str
    inputs: Mapping[str, Any]
    timeout: float
    formerly: str = ""
    provider: str = ""


@dataclass(frozen=True, slots=True)
class Program:
    """What an `up` is to bring about. The first resource is the one that is looked at."""

    resources: Sequence[Declared] = ()
    providers: Mapping[str, Mapping[str, str]] = field(default_factory=dict)


class Up:
    """An `up` on its way, in a session of its own."""

    def __init__(self, command: list[str], folder: Path, environment: Mapping[str, str], screen: Path) -> None:
        self._screen_file: IO[str] = screen.open("w", encoding="utf-8")
        self._screen = screen
        self.begun = time.monotonic()
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=self._screen_file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self.session = Session(self.process.pid)

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def wait(self, seconds: float) -> int | None:
        """The exit code, or ``None`` if it still runs after this time."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return None
        self._screen_file.close()
        return code

    @property
    def text(self) -> str:
        return self._screen.read_text(encoding="utf-8", errors="replace")


class Driver(ABC):
    """A stack on disk in a folder of its own. ``config`` is that of the default provider."""

    def __init__(self, folder: Path, emulator_url: str) -> None:
        self.folder = folder
        self.config: dict[str, str] = {"emulator": emulator_url}
        self.program = Program()
        self.ups: list[Up] = []
        self.hold: Path | None = None
        self.home = self.folder / "home/pulumi"
        """PULUMI_HOME, which two stacks may share."""

    @property
    def name(self) -> str:
        return self.program.resources[0].name

    @abstractmethod
    def saved(self) -> Mapping[str, Any] | None:
        """The resource's outputs in state."""

    @abstractmethod
    def _command(self, *, replace: bool, destroy: bool) -> tuple[list[str], Path, dict[str, str]]:
        """The command of an `up`, its folder and its environment."""

    @property
    @abstractmethod
    def state_file(self) -> Path:
        """Where the state is."""

    @abstractmethod
    def forget(self) -> None:
        """`state delete` of the resource."""

    @abstractmethod
    def taint(self) -> None:
        """`state taint` of the resource."""

    @abstractmethod
    def rename_stack(self) -> None:
        """Give the stack another name."""

    @abstractmethod
    def respell_backend(self) -> None:
        """Write the backend's address otherwise."""

    def up(self, environment: Mapping[str, str], *, replace: bool = False, destroy: bool = False) -> Up:
        """Start an `up`, one with `--replace` of the resource, or a `destroy`."""
        command, folder, own = self._command(replace=replace, destroy=destroy)
        self.ups.append(Up(command, folder, {**own, **environment}, self.folder / f"up-{len(self.ups)}.txt"))
        return self.ups[-1]

    def close(self) -> None:
        """End every process that was started."""
        for up in self.ups:
            up.session.end()
            up.wait(10)


class EngineDriver(Driver):
    """The Pulumi CLI."""

    def __init__(self, folder: Path, emulator_url: str, template: Any, front: str) -> None:
        super().__init__(folder, emulator_url)
        self._template = template
        self._front = front
        self._stack: str = STACK
        self._environment: dict[str, str] = template.environment(folder)
        shutil.copytree(template.folder, folder, dirs_exist_ok=True)

    @property
    def state_file(self) -> Path:
        (file,) = (self.folder / "backend/.pulumi/stacks").glob(f"*/{self._stack}.json")
        return file

    def saved(self) -> Mapping[str, Any] | None:
        resource = self._resource()
        return None if resource is None else resource.get("outputs") or {}

    def _resource(self) -> Mapping[str, Any] | None:
        latest = json.loads(self.state_file.read_text(encoding="utf-8"))["checkpoint"].get("latest") or {}
        for resource in latest.get("resources") or ():
            if resource["urn"].endswith(f"::{self.name}") and not resource.get("delete"):
                found: Mapping[str, Any] = resource
                return found
        return None

    def forget(self) -> None:
        self._run("state", "delete", self._urn(), "--yes", "--force")

    def taint(self) -> None:
        self._run("state", "taint", self._urn(), "--yes")

    def rename_stack(self) -> None:
        self._write_settings()
        self._run("stack", "rename", f"{self._stack}-renamed")
        self._stack += "-renamed"

    def respell_backend(self) -> None:
        url = self._environment["PULUMI_BACKEND_URL"]
        self._environment["PULUMI_BACKEND_URL"] = url.replace("/backend", "/./backend")

    def _urn(self) -> str:
        resource = self._resource()
        assert resource is not None
        return str(resource["urn"])

    def _run(self, *arguments: str) -> None:
        self._unlock()
        command = ["pulumi", *arguments, "--stack", self._stack, "--non-interactive", "--color=never"]
        done = subprocess.run(
            command,
            cwd=self.folder / "project",
            env=self._own,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stdout}{done.stderr}")

    @property
    def _own(self) -> dict[str, str]:
        return {**self._environment, "PULUMI_HOME": str(self.home)}

    def _unlock(self) -> None:
        # What a person does after an engine that was killed (docs/recovery.md): `pulumi cancel`, and away with a file
        # of attributes that it left empty.
        shutil.rmtree(self.folder / "backend/.pulumi/locks", ignore_errors=True)
        for attributes in (self.folder / "backend/.pulumi/stacks").glob("*/*.attrs"):
            if not attributes.stat().st_size:
                attributes.unlink()

    def _write_settings(self) -> None:
        config = {f"cloudretry:{name}": value for name, value in self.config.items()}
        document = {"encryptionsalt": self._template.salt, "config": config}
        (self.folder / f"project/Pulumi.{self._stack}.yaml").write_text(json.dumps(document), encoding="utf-8")

    def _command(self, *, replace: bool, destroy: bool) -> tuple[list[str], Path, dict[str, str]]:
        self._write_settings()
        document = {
            "front": self._front,
            "providers": self.program.providers,
            "components": [],
            "resources": {one.name: _resource(one) for one in self.program.resources},
        }
        (self.folder / "project/resources.json").write_text(json.dumps(document), encoding="utf-8")
        self._unlock()
        command = ["pulumi", "destroy" if destroy else "up", "--yes", "--skip-preview", "--stack", self._stack]
        if replace and self._resource() is not None:
            command += ["--replace", self._urn()]
        return [*command, "--non-interactive", "--color=never"], self.folder / "project", self._own


def _resource(one: Declared) -> dict[str, Any]:
    timeouts = {"create": f"{one.timeout:g}s", "update": f"{one.timeout:g}s"}
    options: dict[str, Any] = {"customTimeouts": timeouts}
    if one.formerly:
        options["aliases"] = [{"name": one.formerly}]
    if one.provider:
        options["provider"] = one.provider
    return {"type": one.token.partition(":")[2], "inputs": one.inputs, "opts": options}


class WireDriver(Driver):
    """The small engine of :mod:`chaosmatrix.wire_engine`. ``version`` is the real one that it ends like."""

    def __init__(self, folder: Path, emulator_url: str, version: str) -> None:
        super().__init__(folder, emulator_url)
        folder.mkdir(parents=True, exist_ok=True)
        self._version = version
        self._stack = "dev"
        self._backend = self.folder.as_uri()

    @property
    def state_file(self) -> Path:
        return self.folder / "state.json"

    def saved(self) -> Mapping[str, Any] | None:
        resource = self._state()["resources"].get(self._urn(self.name))
        return None if resource is None else resource["outputs"]

    def forget(self) -> None:
        state = self._state()
        del state["resources"][self._urn(self.name)]
        self._write(state)

    def taint(self) -> None:
        state = self._state()
        state["resources"][self._urn(self.name)]["tainted"] = True
        self._write(state)

    def rename_stack(self) -> None:
        state = self._state()
        old, self._stack = self._stack, "dev-renamed"

        def renamed(urn: str) -> str:
            return urn.replace(f"urn:pulumi:{old}::", f"urn:pulumi:{self._stack}::")

        resources = {renamed(urn): resource for urn, resource in state["resources"].items()}
        doomed = [{**resource, "urn": renamed(resource["urn"])} for resource in state["doomed"]]
        self._write({"resources": resources, "doomed": doomed})

    def respell_backend(self) -> None:
        self._backend = f"{self._backend}/."

    def _state(self) -> dict[str, Any]:
        if not self.state_file.exists():
            return {"resources": {}, "doomed": []}
        state: dict[str, Any] = json.loads(self.state_file.read_text(encoding="utf-8"))
        return state

    def _write(self, state: Mapping[str, Any]) -> None:
        self.state_file.write_text(json.dumps(state), encoding="utf-8")

    def _urn(self, name: str) -> str:
        return f"urn:pulumi:{self._stack}::chaos::{self.program.resources[0].token}::{name}" if name else ""

    def _command(self, *, replace: bool, destroy: bool) -> tuple[list[str], Path, dict[str, str]]:
        order = self.folder / f"order-{len(self.ups)}.json"
        resources = [
            {
                "urn": self._urn(one.name),
                "alias": self._urn(one.formerly),
                "provider": one.provider,
                "inputs": one.inputs,
                "timeout": one.timeout,
                "replace": replace and one.name == self.name,
            }
            for one in self.program.resources
        ]
        document = {
            "plugin": str(ROOT / "provider/pulumi-resource-cloudretry"),
            "version": self._version,
            "state": str(self.state_file),
            "hold": str(self.hold) if self.hold else "",
            "providers": {"": self.config, **self.program.providers},
            "resources": [] if destroy else resources,
        }
        order.write_text(json.dumps(document), encoding="utf-8")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PULUMI_HOME": str(self.home),
            "PULUMI_BACKEND_URL": self._backend,
        }
        return [sys.executable, str(Path(__file__).with_name("wire_engine.py")), str(order)], self.folder, environment


def cloudretry(driver: Driver, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the command line beside a stack, with its journal and on its emulator."""
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(driver.folder),
        "LANG": "C.UTF-8",
        "PULUMI_HOME": str(driver.home),
        "CLOUDRETRY_EMULATOR": driver.config["emulator"],
    }
    command = [str(Path(sys.executable).with_name("cloudretry")), *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=150)


def make_template(folder: Path) -> Any:
    """An empty stack to copy, and the way to the engine."""
    return Template(folder / "template", path_to_engine(folder / "bin"))


def driver(kind: str, front: str, folder: Path, emulator_url: str, template: Any, version: str) -> Driver:
    """The driver of this kind. ``version`` is the engine that the small one ends like."""
    if kind == "wire":
        return WireDriver(folder, emulator_url, version)
    return EngineDriver(folder, emulator_url, template, front)
