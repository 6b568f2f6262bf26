from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from support.samples import SAMPLES, Sample


@pytest.fixture(params=SAMPLES, ids=[sample.token.rsplit(":", 1)[1] for sample in SAMPLES])
def sample(request: pytest.FixtureRequest) -> Sample:
    found: Sample = request.param
    return found
