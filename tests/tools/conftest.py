"""A copy of the set-up in a folder of its own, and programs that stand in for go, pulumi and the like."""

from __future__ import annotations

import os
import shutil
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tools"))

NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once


@dataclass(frozen=True)
class Programs:
    """A folder that is the whole PATH of a test, with programs written in Python."""

    folder: Path

    def add(self, name: str, body: str) -> Path:
        """Write a program that notes its arguments in `calls` and then runs body."""
        self.folder.mkdir(parents=True, exist_ok=True)
        program = self.folder / name
        head = (
            f"#!{sys.executable}\nimport os, sys\nfrom pathlib import Path\n"
            f"with open({str(self.folder / 'calls')!r}, 'a') as calls:\n"
            f"    print({name!r}, *sys.argv[1:], file=calls)\n"
        )
        program.write_text(head + body, encoding="utf-8")
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        return program

    def calls(self, start: str) -> list[str]:
        """The noted calls that begin with start."""
        noted = self.folder / "calls"
        lines = noted.read_text(encoding="utf-8").splitlines() if noted.exists() else []
        return [line for line in lines if line.startswith(start)]


@pytest.fixture
def working_copy(tmp_path: Path) -> Path:
    """What a clone has and the set-up reads."""
    copy = tmp_path / "clone"
    for name in (
        "Makefile",
        "pyproject.toml",
        "README.md",
        "LICENSE",
        ".ci",
        "tools",
        "provider/cloudretry/version.py",
    ):
        source, target = ROOT / name, copy / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    (copy / ".ci" / "run").chmod(0o755)
    return copy


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """An empty PATH without a network, to put programs on."""
    stand_ins = Programs(tmp_path / "programs")
    stand_ins.folder.mkdir()
    monkeypatch.setenv("PATH", str(stand_ins.folder))
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    for name in ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, NOWHERE)
    return stand_ins


@pytest.fixture
def go(programs: Programs, tmp_path: Path) -> Programs:
    """A Go that is new enough and builds at once whatever it is told to."""
    module = tmp_path / "module"
    for script in (
        "python/cmd/pulumi-language-python-exec",
        "python/dist/pulumi-resource-pulumi-python",
        "nodejs/dist/pulumi-resource-pulumi-nodejs",
    ):
        (module / script).parent.mkdir(parents=True, exist_ok=True)
        (module / script).write_text("#!/bin/sh\n", encoding="utf-8")
    programs.add(
        "go",
        f"""
if sys.argv[1] == "env":
    print("go1.27.1\\nlocal")
elif sys.argv[1] == "list":
    print({str(module)!r})
elif sys.argv[1] == "build":
    at = sys.argv.index("-o") + 1
    for package in sys.argv[at + 1:]:
        program = Path(sys.argv[at]) / Path(package).name
        program.write_text("built")
        program.chmod(0o755)
""",
    )
    return programs


def environment(**changes: str) -> dict[str, str]:
    """The environment of the test with changes, for a program that it starts: a make of its own is nobody's child."""
    return {**{name: value for name, value in os.environ.items() if name != "MAKELEVEL"}, **changes}
