"""Two ways to run an `up`: the real Pulumi CLI, or a small engine on the real plugin process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

from chaosmatrix.processes import Session

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "engine"))

from real_engine import STACK, Template, path_to_engine  # type: ignore[import-not-found]  # noqa: E402

__all__ = ["Driver", "EngineDriver", "Up", "WireDriver", "driver", "make_template"]

NAME = "retry"
"""The one resource of the program."""


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
    """A stack with one resource, on disk in a folder of its own."""

    def __init__(self, folder: Path, emulator_url: str) -> None:
        self.folder = folder
        self.config: dict[str, str] = {"emulator": emulator_url}
        self.ups: list[Up] = []
        self.hold: Path | None = None

    @property
    @abstractmethod
    def home(self) -> Path:
        """PULUMI_HOME."""

    @abstractmethod
    def declare(self, token: str, inputs: Mapping[str, Any], timeout: float) -> None:
        """Let the program declare the resource with these inputs. The time-out is in seconds."""

    @abstractmethod
    def saved(self) -> Mapping[str, Any] | None:
        """The resource's outputs in state."""

    @abstractmethod
    def _command(self) -> tuple[list[str], Path, dict[str, str]]:
        """The command of an `up`, its folder and its environment."""

    def up(self, environment: Mapping[str, str]) -> Up:
        """Start an `up`."""
        command, folder, own = self._command()
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
        self._environment: dict[str, str] = template.environment(folder)
        shutil.copytree(template.folder, folder, dirs_exist_ok=True)

    @property
    def home(self) -> Path:
        return Path(self._environment["PULUMI_HOME"])

    def declare(self, token: str, inputs: Mapping[str, Any], timeout: float) -> None:
        timeouts = {"create": f"{timeout:g}s", "update": f"{timeout:g}s"}
        resource = {
            "type": token.partition(":")[2],
            "inputs": inputs,
            "opts": {"customTimeouts": timeouts},
        }
        document = {"front": self._front, "providers": {}, "components": [], "resources": {NAME: resource}}
        (self.folder / "project/resources.json").write_text(json.dumps(document), encoding="utf-8")

    def saved(self) -> Mapping[str, Any] | None:
        (file,) = (self.folder / "backend/.pulumi/stacks").glob(f"*/{STACK}.json")
        latest = json.loads(file.read_text(encoding="utf-8"))["checkpoint"].get("latest") or {}
        for resource in latest.get("resources") or ():
            if resource["urn"].endswith(f"::{NAME}"):
                outputs: Mapping[str, Any] = resource.get("outputs") or {}
                return outputs
        return None

    def _command(self) -> tuple[list[str], Path, dict[str, str]]:
        config = {f"cloudretry:{name}": value for name, value in self.config.items()}
        document = {"encryptionsalt": self._template.salt, "config": config}
        (self.folder / f"project/Pulumi.{STACK}.yaml").write_text(json.dumps(document), encoding="utf-8")
        # What a person does after an engine that was killed (docs/recovery.md): `pulumi cancel`, and away with a file
        # of attributes that it left empty.
        shutil.rmtree(self.folder / "backend/.pulumi/locks", ignore_errors=True)
        for attributes in (self.folder / "backend/.pulumi/stacks").glob("*/*.attrs"):
            if not attributes.stat().st_size:
                attributes.unlink()
        command = ["pulumi", "up", "--yes", "--skip-preview", "--stack", STACK, "--non-interactive", "--color=never"]
        return command, self.folder / "project", self._environment


class WireDriver(Driver):
    """The small engine of :mod:`chaosmatrix.wire_engine`."""

    def __init__(self, folder: Path, emulator_url: str) -> None:
        super().__init__(folder, emulator_url)
        folder.mkdir(parents=True, exist_ok=True)
        self._order: dict[str, Any] = {}

    @property
    def home(self) -> Path:
        return self.folder / "home"

    def declare(self, token: str, inputs: Mapping[str, Any], timeout: float) -> None:
        self._order = {
            "plugin": str(ROOT / "provider/pulumi-resource-cloudretry"),
            "urn": f"urn:pulumi:dev::chaos::{token}::{NAME}",
            "inputs": inputs,
            "timeout": timeout,
            "state": str(self.folder / "state.json"),
        }

    def saved(self) -> Mapping[str, Any] | None:
        state = self.folder / "state.json"
        if not state.exists():
            return None
        outputs: Mapping[str, Any] = json.loads(state.read_text(encoding="utf-8"))["outputs"]
        return outputs

    def _command(self) -> tuple[list[str], Path, dict[str, str]]:
        order = self.folder / f"order-{len(self.ups)}.json"
        held = {"config": self.config, "hold": str(self.hold) if self.hold else ""}
        order.write_text(json.dumps({**self._order, **held}), encoding="utf-8")
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "LANG": "C.UTF-8",
            "PULUMI_HOME": str(self.home),
            "PULUMI_BACKEND_URL": self.folder.as_uri(),
        }
        return [sys.executable, str(Path(__file__).with_name("wire_engine.py")), str(order)], self.folder, environment


def make_template(folder: Path) -> Any:
    """An empty stack to copy, and the way to the engine."""
    return Template(folder / "template", path_to_engine(folder / "bin"))


def driver(kind: str, front: str, folder: Path, emulator_url: str, template: Any) -> Driver:
    """The driver of this kind."""
    if kind == "wire":
        return WireDriver(folder, emulator_url)
    return EngineDriver(folder, emulator_url, template, front)
