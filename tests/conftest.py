from __future__ import annotations

import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

# The tests' own stand-ins, `support`, for every folder of tests.
sys.path.insert(0, str(Path(__file__).parent))

# How long an example takes tells of the machine and not of the code.
settings.register_profile("cloudretry", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cloudretry")
