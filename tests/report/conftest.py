from __future__ import annotations

import sys
from pathlib import Path

# What draws pages, for the tests that look at one.
sys.path.append(str(Path(__file__).parents[2] / "tools"))
sys.path.append(str(Path(__file__).parent))
