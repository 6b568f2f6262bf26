from __future__ import annotations

import sys
from pathlib import Path

# The generator of the reference, for its tests.
sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
# The tests' own readers of pages, `doc_pages` and `doc_programs`.
sys.path.insert(0, str(Path(__file__).parent))
