"""The real Pulumi CLI on throw-away stacks, timed from outside: the whole command, from its start to its exit."""

from __future__ import annotations

import json
import re
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.cloud import JOB, PROJECT, REGION
from benchmark.contenders import Contender
from benchmark.leash import Leash

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests" / "engine"))

from real_engine import path_to_engine  # type: ignore[import-not-found]  # noqa: E402

__all__ = ["ROOT", "BenchError", "Engine", "Stack", "Took", "configuration"]

STACK = "bench"
LONGEST_COMMAND = 900.0
"""Seconds after which a command hangs."""


class BenchError(Exception):
    """The benchmark cannot go on, or what it measured is not what it says. The first line tells what."""


@dataclass(frozen=True, slots=True)
class Took:
    """What a command took, in seconds: on the wall, and of the processors, with all the processes that it ran."""

    wall: float
    cpu: float


class Engine:
    """The engine, and an empty stack that is made once and copied: `stack init` costs half a second."""

    def __init__(self, folder: Path, leash: Leash) -> None:
        self.path: str = path_to_engine(folder / "bin")
        """The PATH of the engine and of what it starts."""
        self._leash = leash
        self._template = folder / "template"
        (self._template / "backend").mkdir(parents=True)
        project = self._template / "project"
        project.mkdir()
        shutil.copyfile(Path(__file__).with_name("program.py"), project / "__main__.py")
        (project / "Pulumi.yaml").write_text(json.dumps({"name": "bench", "runtime": "python"}), encoding="utf-8")
        self.run(self._template, "stack", "init")
        settings = (project / f"Pulumi.{STACK}.yaml").read_text(encoding="utf-8")
        (self._salt,) = re.findall(r"^encryptionsalt: (\S+)$", settings, re.MULTILINE)

    def version(self) -> str:
        """The version of the engine, such as `v3.230.0`."""
        screen = self._template / "screen.txt"
        self.run(self._template, "version")
        return screen.read_text(encoding="utf-8").strip()

    def stack(self, folder: Path, contender: Contender, cloud_url: str, resources: int, targets: int) -> Stack:
        """A new, empty stack whose program declares so many resources of so many targets each."""
        shutil.copytree(self._template, folder)
        plugin = {"name": contender.package, "path": str(contender.plugin)}
        project = {
            "name": "bench",
            "runtime": "python",
            "plugins": {"providers": [plugin]} if contender.plugin else {},
        }
        (folder / "project/Pulumi.yaml").write_text(json.dumps(project), encoding="utf-8")
        config = {f"cloudretry:{key}": value for key, value in configuration(cloud_url).items()}
        document = {"encryptionsalt": self._salt, "config": config}
        # JSON is YAML.
        (folder / f"project/Pulumi.{STACK}.yaml").write_text(json.dumps(document), encoding="utf-8")
        settings = {
            "classes": contender.classes,
            "inputs": contender.inputs,
            "script": Path(__file__).with_name("curl_retry.sh").read_text(encoding="utf-8"),
            "cloud": f"{cloud_url}/v3/{PROJECT}",
            "job": JOB,
            "resources": resources,
            "targets": targets,
        }
        return Stack(self, folder, settings)

    def run(self, folder: Path, *arguments: str) -> Took:
        """Run a command in the project of a folder; what it prints is in its `screen.txt`.

        :raises BenchError: it failed, or did not end.
        """
        screen = folder / "screen.txt"
        stack = () if arguments == ("version",) else ("--stack", STACK, "--non-interactive")
        with screen.open("w", encoding="utf-8") as file:
            used, began = _cpu_of_children(), time.perf_counter()
            with self._leash.started(
                ["pulumi", *arguments, *stack, "--color=never"],
                cwd=folder / "project",
                env=self.environment(folder),
                stdout=file,
                stderr=subprocess.STDOUT,
            ) as process:
                try:
                    code = process.wait(LONGEST_COMMAND)
                except subprocess.TimeoutExpired:
                    code = None
                took = Took(time.perf_counter() - began, _cpu_of_children() - used)
        if code != 0:
            how = "did not end" if code is None else "failed"
            words = screen.read_text(encoding="utf-8")
            raise BenchError(f"`pulumi {arguments[0]}` {how}\n{words[-4000:]}")
        return took

    def environment(self, folder: Path) -> dict[str, str]:
        """All that a command sees: nothing of the person's own environment but the PATH behind ours."""
        return {
            "PATH": self.path,
            "HOME": str(folder / "home"),
            "LANG": "C.UTF-8",
            "PULUMI_HOME": str(folder / "home/pulumi"),
            "PULUMI_BACKEND_URL": (folder / "backend").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "passphrase",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        }


class Stack:
    """A stack with a program, a file backend and a home of its own."""

    def __init__(self, engine: Engine, folder: Path, settings: Mapping[str, Any]) -> None:
        self._engine = engine
        self._folder = folder
        self._settings = settings

    def configure(self, config: Mapping[str, Any]) -> None:
        """Add to the provider's configuration."""
        file = self._folder / f"project/Pulumi.{STACK}.yaml"
        document = json.loads(file.read_text(encoding="utf-8"))
        document["config"] |= {f"cloudretry:{key}": value for key, value in config.items()}
        file.write_text(json.dumps(document), encoding="utf-8")

    def up(self, trigger: str, *arguments: str) -> Took:
        """`pulumi up` without the preview, with this value of the trigger."""
        document = json.dumps({**self._settings, "trigger": trigger})
        (self._folder / "project/settings.json").write_text(document, encoding="utf-8")
        return self._engine.run(self._folder, "up", "--yes", "--skip-preview", "--suppress-progress", *arguments)

    def state_size(self) -> tuple[int, int]:
        """Bytes of the resources in state as compact JSON, and their number, without the stack and the providers."""
        resources = self._resources()
        return len(json.dumps(resources, separators=(",", ":"))), len(resources)

    def statuses(self) -> set[str]:
        """What the resources in state have for a status; nothing for those that have none."""
        return {str(one["outputs"]["status"]) for one in self._resources() if "status" in one.get("outputs", {})}

    def _resources(self) -> list[Mapping[str, Any]]:
        file = self._folder / "backend/.pulumi/stacks/bench" / f"{STACK}.json"
        latest = json.loads(file.read_text(encoding="utf-8"))["checkpoint"]["latest"]
        return [one for one in latest.get("resources") or () if not one["type"].startswith("pulumi:")]

    def close(self) -> None:
        """Remove everything."""
        shutil.rmtree(self._folder)


def configuration(cloud_url: str) -> dict[str, Any]:
    """The provider's configuration for a cloud on this machine, as for a real one: a place, keys and endpoints."""
    return {
        "huaweicloud": {
            "region": REGION,
            "projectId": PROJECT,
            "accessKey": "BENCHACCESSKEY000000",
            "secretKey": "bench-secret-key",
            "endpoints": {"drs": cloud_url},
        }
    }


def _cpu_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
