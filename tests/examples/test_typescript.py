"""The TypeScript example: compiled against the SDK of this checkout, and run by the Node language host."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from pulumi_cli import ROOT, Stack

from cloudretry.emulator import Emulator
from cloudretry.plugin.install import install

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(shutil.which("npm") is None, reason="needs Node.js with npm"),
]

EXAMPLE = ROOT / "examples/typescript"
SDK = ROOT / "sdk/nodejs"
CACHE = ROOT / ".cloudretry/typescript"
"""What npm fetched and what was compiled, kept between runs; git ignores it."""
OURS = "@pulumi-cloudretry/cloudretry"


@pytest.fixture(scope="module")
def modules() -> Path:
    """node_modules with Pulumi's SDK, the compiler, and the SDK of this checkout."""
    manifest = json.loads((EXAMPLE / "package.json").read_text(encoding="utf-8"))
    del manifest["dependencies"][OURS]
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        fetched = CACHE / "node_modules"
        if _outdated(CACHE / "fetched", json.dumps(manifest, sort_keys=True)):
            (CACHE / "package.json").write_text(json.dumps(manifest), encoding="utf-8")
            quiet = ["--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            _run("npm", "install", *quiet, cwd=CACHE)
            _done(CACHE / "fetched", json.dumps(manifest, sort_keys=True))
        sources = sorted(path for path in SDK.rglob("*") if path.suffix in (".ts", ".json") and "bin" not in path.parts)
        content = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
        if _outdated(CACHE / "compiled", content):
            compiled = fetched / OURS
            shutil.rmtree(compiled, ignore_errors=True)
            copied = CACHE / "sdk"
            shutil.rmtree(copied, ignore_errors=True)
            shutil.copytree(SDK, copied, ignore=shutil.ignore_patterns("node_modules", "bin"))
            _run(fetched / ".bin/tsc", "--project", copied, "--outDir", compiled, cwd=CACHE)
            shutil.copyfile(SDK / "package.json", compiled / "package.json")
            _done(CACHE / "compiled", content)
    return fetched


def _outdated(stamp: Path, content: str) -> bool:
    return not stamp.exists() or stamp.read_text(encoding="utf-8") != content


def _done(stamp: Path, content: str) -> None:
    stamp.write_text(content, encoding="utf-8")


def _run(*command: str | Path, cwd: Path) -> None:
    ended = subprocess.run(
        list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False, env=os.environ
    )
    assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}"


@pytest.fixture
def program(modules: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "program"
    shutil.copytree(EXAMPLE, folder, ignore=shutil.ignore_patterns("node_modules"))
    (folder / "node_modules").symlink_to(modules)
    return folder


def test_the_types_of_the_sdk_fit_the_example_and_refuse_what_is_wrong(program: Path, modules: Path) -> None:
    _run(modules / ".bin/tsc", "--project", program, "--preserveSymlinks", cwd=program)
    source = (program / "index.ts").read_text(encoding="utf-8")
    (program / "index.ts").write_text(source.replace("scope:", "scop:"), encoding="utf-8")
    with pytest.raises(AssertionError, match="scop"):
        _run(modules / ".bin/tsc", "--project", program, "--preserveSymlinks", cwd=program)


def test_the_example_fires_each_retry_once_and_then_what_was_triggered(
    program: Path, tmp_path: Path, emulator: Emulator
) -> None:
    stack = Stack(tmp_path, program)
    install(stack.home)
    stack.configure(emulator=emulator.url)
    screen = stack.up()
    assert "error" not in screen.lower()
    assert set(stack.statuses().values()) == {"Succeeded"}
    fired = {target.id: target.times_fired for target in emulator.targets() if target.times_fired}
    assert len(fired) == 7
    assert set(fired.values()) == {1}

    stack.run("config", "set", "--path", "triggers.drs", "tuesday")
    (step,) = stack.preview()
    assert list(step["detailedDiff"]) == ["triggers.drs"]
    stack.run("config", "rm", "--path", "triggers.drs")
    stack.up("--expect-no-changes")
