"""Build the site from docs/ into site/: `make docs`. A warning is an error: a link to nowhere, a page in no list."""

from __future__ import annotations

import argparse
import shutil
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from sphinx.cmd.build import build_main

ROOT = Path(__file__).resolve().parents[2]


def build(pages: Path, site: Path) -> int:
    """Build all of it anew. Returns the exit code: 1 after a warning."""
    shutil.rmtree(site, ignore_errors=True)
    with TemporaryDirectory() as doctrees:
        strict = ("--fail-on-warning", "--keep-going", "--quiet")
        places = ("--conf-dir", str(Path(__file__).parent), "--doctree-dir", doctrees)
        return build_main([*strict, *places, str(pages), str(site)])


def main() -> int:
    """Build the site and say where it is. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="build", description=__doc__)
    parser.add_argument("pages", type=Path, nargs="?", default=ROOT / "docs", help="default: docs/")
    parser.add_argument("site", type=Path, nargs="?", default=ROOT / "site", help="default: site/; made anew")
    options = parser.parse_args()
    code = build(options.pages, options.site)
    if code == 0:
        print(f"docs: {options.site / 'index.html'} is built")
    return code


if __name__ == "__main__":
    sys.exit(main())
