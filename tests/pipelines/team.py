"""A team that keeps its retries in a Git repository, with the files of `examples/pipelines` in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cloudretry.emulator import Emulator
from cloudretry.ledger import Fire, Journal

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples/pipelines"
STACK = "prod"
LONGEST_COMMAND = 120.0
"""Seconds after which a command hangs."""

SCENARIO: Mapping[str, Any] = {
    "drsJobs": [
        {
            "count": 4,
            "idFormat": "jb{n}",
            "state": "FULL_TRANSFER_FAILED",
            "afterRetry": [["STARTJOBING", 0], ["FULL_TRANSFER_STARTED", 0.15]],
        }
    ]
}


class Template:
    """The repository and the backend with an empty stack, made once."""

    def __init__(self, folder: Path, path: str) -> None:
        self.folder = folder
        self.path = path
        (folder / "backend").mkdir(parents=True)
        git(folder, "init", "--quiet", "--bare", "--initial-branch=main", "origin.git")
        git(folder, "clone", "--quiet", "origin.git", "desk")
        desk = folder / "desk"
        subprocess.run(
            ["bash", "-eu", "-c", first_steps()],
            cwd=desk,
            env={**machine(folder, path), "EXAMPLES": str(EXAMPLES)},
            stdin=subprocess.DEVNULL,
            check=True,
            capture_output=True,
            timeout=LONGEST_COMMAND,
        )
        commit(desk, "Begin")
        git(desk, "push", "--quiet", "origin", "main")
        shutil.rmtree(desk)


class Team:
    """What the team has: the repository, a desk with a clone of it, a volume, a backend, and a runner's machine."""

    def __init__(self, folder: Path, template: Template, emulator: Emulator) -> None:
        self.folder = folder
        self.emulator = emulator
        self.volume = folder / "volume"
        self.path = template.path
        self.is_installed = False
        self.removes_stale_locks = False
        shutil.copytree(template.folder, folder)
        (folder / "bin").mkdir()
        git(folder, "clone", "--quiet", "origin.git", "desk")
        self.desk = folder / "desk"
        self._counted: Counter[str] = Counter()
        settings = self.desk / f"Pulumi.{STACK}.yaml"
        text = settings.read_text(encoding="utf-8")
        ours = text.replace("config:\n", "config:\n  cloudretry:pollInterval: 100ms\n")
        settings.write_text(ours.replace("/var/lib/cloudretry", str(self.volume)), encoding="utf-8")

    @property
    def environment(self) -> dict[str, str]:
        """What a job finds on the runner, but for what the workflow gives it."""
        return {
            "PATH": os.pathsep.join([str(self.folder / "bin"), self.path]),
            "HOME": str(self.folder / "home"),
            "LANG": "C.UTF-8",
            "CI": "true",
            "PULUMI_HOME": str(self.folder / "home/.pulumi"),
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            "CLOUDRETRY_EMULATOR": self.emulator.url,
        }

    @property
    def variables(self) -> dict[str, str]:
        """What the team has set in the CI's settings, its secrets among them."""
        return {
            "PULUMI_BACKEND_URL": (self.folder / "backend").as_uri(),
            "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
            "REMOVE_STALE_LOCK": "true" if self.removes_stale_locks else "",
            "HW_ACCESS_KEY": self.emulator.credentials.access_key,
            "HW_SECRET_KEY": self.emulator.credentials.secret_key,
        }

    # --- at the desk ---

    def declare(self, **retries: Mapping[str, Any]) -> None:
        """Let retries.yaml list these batches of DRS jobs, by name: their inputs."""
        listed = {name: {"type": "drs.JobBatchRetry", "inputs": inputs} for name, inputs in retries.items()}
        (self.desk / "retries.yaml").write_text(yaml.safe_dump(listed), encoding="utf-8")

    def propose(self, branch: str, message: str) -> str:
        """Commit what was changed at the desk on a branch, and push it. Returns the commit."""
        git(self.desk, "switch", "--quiet", "--create", branch)
        commit(self.desk, message)
        git(self.desk, "push", "--quiet", "origin", branch)
        return git(self.desk, "rev-parse", "HEAD")

    def merge(self, branch: str) -> str:
        """Merge a branch to main, and push that. Returns the commit."""
        git(self.desk, "switch", "--quiet", "main")
        git(self.desk, "merge", "--quiet", "--no-ff", "--no-edit", branch)
        git(self.desk, "push", "--quiet", "origin", "main")
        return git(self.desk, "rev-parse", "HEAD")

    def push(self, message: str) -> str:
        """Commit what was changed at the desk to main, and push it. Returns the commit."""
        commit(self.desk, message)
        git(self.desk, "push", "--quiet", "origin", "main")
        return git(self.desk, "rev-parse", "HEAD")

    # --- what came of it ---

    def newly_fired(self) -> Counter[str]:
        """How often each job was really retried since the last question, by the emulator's count."""
        counted = Counter({target.id: target.times_fired for target in self.emulator.targets()})
        newly = counted - self._counted
        self._counted = counted
        return newly

    def outputs(self, name: str) -> Mapping[str, Any]:
        """The outputs of a resource in state."""
        file = self.folder / f"backend/.pulumi/stacks/retries/{STACK}.json"
        latest = json.loads(file.read_text(encoding="utf-8"))["checkpoint"]["latest"]
        (found,) = [item for item in latest.get("resources") or () if item["urn"].endswith(f"::{name}")]
        outputs: Mapping[str, Any] = found["outputs"]
        return outputs

    def open_fires(self) -> list[Fire]:
        """The fires that the journal on the volume has as open."""
        ledgers = Journal(self.volume / "journal").places()
        return [fire for ledger in ledgers for fire in ledger.look(lambda books: [*books.fires()]) if not fire.saved]


PASSPHRASE = "passphrase"


def first_steps() -> str:
    """The commands by which docs/pipelines.md begins a repository."""
    page = (ROOT / "docs/pipelines.md").read_text(encoding="utf-8")
    block = re.search(r"```console\n(.*?)```", page, re.DOTALL)
    assert block is not None
    return "\n".join(re.findall(r"^ *\$ (.*)$", block[1], re.MULTILINE))


def machine(folder: Path, path: str) -> dict[str, str]:
    """The environment that the stack is made with."""
    return {
        "PATH": path,
        "HOME": str(folder / "home"),
        "PULUMI_HOME": str(folder / "home/.pulumi"),
        "PULUMI_BACKEND_URL": (folder / "backend").as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": PASSPHRASE,
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }


def commit(folder: Path, message: str) -> None:
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def git(folder: Path, *arguments: str) -> str:
    """Run Git as somebody, whatever the person's own settings are."""
    who = {f"GIT_{role}_{part}": f"team@{part}" for role in ("AUTHOR", "COMMITTER") for part in ("NAME", "EMAIL")}
    ended = subprocess.run(
        ["git", *arguments],
        cwd=folder,
        env={"PATH": os.environ["PATH"], "HOME": str(folder), "GIT_CONFIG_NOSYSTEM": "1", **who},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST_COMMAND,
        check=False,
    )
    assert ended.returncode == 0, f"git {' '.join(arguments)}: {ended.stderr}"
    return ended.stdout.strip()
