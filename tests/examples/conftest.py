from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from cloudretry.emulator import Emulator


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    """The clouds of the quickstart."""
    with Emulator() as running:
        yield running
