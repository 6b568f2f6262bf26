"""TypeScript's compiler, with Pulumi's SDK and that of this checkout: what programs are checked against."""

from __future__ import annotations

import fcntl
import hashlib
import json
import shutil
import subprocess
from pathlib import Path

__all__ = ["node_modules", "wrong_with"]

ROOT = Path(__file__).parents[2]
SDK = ROOT / "sdk/nodejs"
MANIFEST = ROOT / "examples/typescript/package.json"
CACHE = ROOT / ".cloudretry/typescript"
"""What npm fetched and what was compiled, kept between runs; git ignores it."""
OURS = "@pulumi-cloudretry/cloudretry"


def node_modules() -> Path:
    """A folder that a program can use as its node_modules."""
    manifest = json.loads(MANIFEST.read_text(encoding="utf-8"))
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


def wrong_with(program: Path) -> str:
    """What the compiler has against a program, one line for each fault. Its folder has a tsconfig.json."""
    compiler = node_modules() / ".bin/tsc"
    ended = subprocess.run(
        [compiler, "--project", program, "--preserveSymlinks"], cwd=program, capture_output=True, text=True, check=False
    )
    assert bool(ended.stdout) == (ended.returncode != 0), f"{ended.stdout}{ended.stderr}"
    return ended.stdout


def _outdated(stamp: Path, content: str) -> bool:
    return not stamp.exists() or stamp.read_text(encoding="utf-8") != content


def _done(stamp: Path, content: str) -> None:
    stamp.write_text(content, encoding="utf-8")


def _run(*command: str | Path, cwd: Path) -> None:
    ended = subprocess.run(list(map(str, command)), cwd=cwd, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}"
