from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The generator of the reference, for its tests.
sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
# The tests' own readers of pages, `doc_pages` and `doc_programs`.
sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(autouse=True)
def _one_event_loop(_event_loop: asyncio.AbstractEventLoop) -> None:
    """Pulumi's mocks take the thread's event loop, which a test before may have used up."""
    asyncio.set_event_loop(_event_loop)


@pytest.fixture(scope="session")
def _event_loop() -> Iterator[asyncio.AbstractEventLoop]:
    loop = asyncio.new_event_loop()
    yield loop
    asyncio.set_event_loop(None)
    loop.close()
