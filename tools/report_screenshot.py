"""Take docs/images/report.png: the Markdown of a recorded export, drawn as GitHub draws it.

Needs Node.js with npm; the browser comes with a package where the machine has none.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from drawing.studio import Studio, StudioError

from cloudretry.errors import ExportError
from cloudretry.report.markdown import markdown
from cloudretry.report.reading import from_file

ROOT = Path(__file__).resolve().parents[1]
RECORDED = ROOT / "tests/report/recorded/prod.json"
PICTURE = ROOT / "docs/images/report.png"


def main() -> int:
    """Take the picture. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--file", type=Path, default=RECORDED, help="the export of a stack (default: a recorded one)")
    parser.add_argument("--picture", type=Path, default=PICTURE, help="the PNG to write (default: that of the docs)")
    options = parser.parse_args()
    try:
        text = markdown([from_file(options.file)])
        options.picture.parent.mkdir(parents=True, exist_ok=True)
        (diagram,) = Studio().draw(text, picture=options.picture.resolve())
    except (ExportError, StudioError) as error:
        print(f"report_screenshot: {error}", file=sys.stderr)
        return 1
    if diagram.error:
        print(f"report_screenshot: Mermaid says: {diagram.error}", file=sys.stderr)
        return 1
    print(f"{options.picture} ({options.picture.stat().st_size // 1000} kB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
