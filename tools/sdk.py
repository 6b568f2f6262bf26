"""Generate schema.json and the SDKs from the actions: `make sdk`. With `--check`, only say what is stale."""

from __future__ import annotations

import filecmp
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from cloudretry.schema import schema

ROOT = Path(__file__).resolve().parents[1]
GENERATOR = ROOT / ".engine" / "bin" / "gensdk"
PYTHON_PACKAGE = "pulumi_cloudretry"
BY_HAND = frozenset({"dynamic", "testing", "__pycache__"})
"""Entries of the Python package that are not generated."""


def generate(into: Path) -> None:
    """Write schema.json and the three SDKs below ``into``, laid out as in the repository."""
    document = into / "schema.json"
    document.write_text(json.dumps(schema(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    sdk = into / "sdk"
    subprocess.run([GENERATOR, document, sdk, "python", "nodejs", "go"], check=True, stdout=subprocess.DEVNULL)
    (sdk / "python" / PYTHON_PACKAGE / "README.md").unlink()


def generated_files(root: Path) -> Iterator[Path]:
    """The generated files below a root, as relative paths."""
    yield Path("schema.json")
    for language in ("nodejs", "go", "python"):
        for path in sorted((root / "sdk" / language).rglob("*")):
            relative = path.relative_to(root)
            if path.is_file() and not BY_HAND.intersection(relative.parts) and "node_modules" not in relative.parts:
                yield relative


def stale(fresh: Path) -> list[Path]:
    """The files of the repository that differ from fresh ones, are missing, or are no longer generated."""
    wanted = set(generated_files(fresh))
    here = set(generated_files(ROOT))
    changed = {path for path in wanted & here if not filecmp.cmp(fresh / path, ROOT / path, shallow=False)}
    return sorted(wanted ^ here | changed)


def main() -> int:
    if not GENERATOR.exists():
        print(f"{GENERATOR.relative_to(ROOT)} is not built yet; run `make sdk`", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        fresh = Path(folder)
        generate(fresh)
        outdated = stale(fresh)
        if "--check" in sys.argv[1:]:
            for path in outdated:
                print(f"stale: {path}")
            return 1 if outdated else 0
        for path in outdated:
            if (fresh / path).exists():
                (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(fresh / path, ROOT / path)
            else:
                (ROOT / path).unlink()
        print(f"{len(outdated)} files written" if outdated else "schema.json and the SDKs are up to date")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
