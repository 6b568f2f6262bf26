"""The Pulumi CLI on a throw-away stack, with a home and a backend of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
LONGEST_COMMAND = 240.0
"""Seconds after which a command hangs."""


class Stack:
    """A program folder with a stack ``dev``. ``first`` are folders that come first on PATH."""

    def __init__(self, folder: Path, program: Path, *first: Path) -> None:
        self.program = program
        self.home = folder / "pulumi-home"
        backend = folder / "backend"
        backend.mkdir(parents=True)
        places = (*first, ROOT / ".venv/bin", ROOT / ".engine/bin")
        self.environment = {
            "PATH": os.pathsep.join([*map(str, places), os.environ["PATH"]]),
            "HOME": str(folder / "home"),
            "LANG": "C.UTF-8",
            "PULUMI_HOME": str(self.home),
            "PULUMI_BACKEND_URL": backend.as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": "passphrase",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
        } | {name: value for name, value in os.environ.items() if name in ("PYTHONPATH", "GOCACHE", "GOMODCACHE")}
        if shutil.which("pulumi", path=self.environment["PATH"]) is None:
            raise RuntimeError("these tests need the Pulumi CLI: `make setup` puts it into .engine/bin")
        self.run("stack", "init", "dev")

    def run(self, *arguments: str, fails: bool = False) -> str:
        """Run a command to its end, check its exit code, and return what stood on the screen."""
        ended = subprocess.run(
            ["pulumi", *arguments, "--non-interactive"],
            cwd=self.program,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=LONGEST_COMMAND,
            text=True,
            check=False,
            preexec_fn=_heed_ctrl_c,
        )
        assert (ended.returncode != 0) == fails, f"pulumi {' '.join(arguments)}: {ended.returncode}\n{ended.stdout}"
        return ended.stdout

    def configure(self, **values: str) -> None:
        for name, value in values.items():
            self.run("config", "set", f"cloudretry:{name}", value)

    def up(self, *arguments: str, fails: bool = False) -> str:
        return self.run("up", "--yes", "--skip-preview", "--color=never", *arguments, fails=fails)

    def preview(self, *arguments: str) -> list[dict[str, Any]]:
        """The steps that an `up` would take, but for those that change nothing."""
        document = json.loads(self.run("preview", "--json", *arguments))
        steps: list[dict[str, Any]] = document["steps"]
        return [step for step in steps if step["op"] != "same"]

    def export(self) -> dict[str, Any]:
        """The state, its secrets in clear."""
        exported: dict[str, Any] = json.loads(self.run("stack", "export", "--show-secrets"))
        return exported

    def resources(self) -> dict[str, Mapping[str, Any]]:
        """The resources of this provider in state, by name."""
        listed = self.export()["deployment"].get("resources", [])
        return {item["urn"].rpartition("::")[2]: item for item in listed if item["type"].startswith("cloudretry:")}

    def statuses(self) -> dict[str, str]:
        return {name: resource["outputs"]["status"] for name, resource in self.resources().items()}


def _heed_ctrl_c() -> None:
    # A job in the background of a script hands on to its children that Ctrl-C is ignored.
    signal.signal(signal.SIGINT, signal.SIG_DFL)


__all__ = ["ROOT", "Stack"]
