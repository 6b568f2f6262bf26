from __future__ import annotations

import sys
from pathlib import Path

# The tests' own stand-ins, `support`, for every folder of tests.
sys.path.insert(0, str(Path(__file__).parent))
