"""The pytest fixtures of :mod:`pulumi_cloudretry.testing`.

pytest imports this in every project of an environment that has the package, so what a fixture needs is imported when a
test asks for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pulumi_cloudretry.testing import EmulatedClouds, StackFactory

__all__ = ["cloudretry_emulator", "cloudretry_stack"]


@pytest.fixture
def cloudretry_emulator() -> Iterator[EmulatedClouds]:
    """The clouds on a free port of this machine; the provider and the clouds' own tools find it by the environment."""
    from pulumi_cloudretry.testing import EmulatedClouds

    with EmulatedClouds() as clouds, clouds.in_environment():
        yield clouds


@pytest.fixture
def cloudretry_stack(tmp_path: Path, cloudretry_emulator: EmulatedClouds) -> Iterator[StackFactory]:
    """Makes throw-away stacks on the real engine; without a Pulumi CLI the test is skipped."""
    from pulumi_cloudretry.testing import StackFactory, why_no_engine

    reason = why_no_engine()
    if reason:
        pytest.skip(reason)
    with StackFactory(tmp_path / "pulumi", cloudretry_emulator) as stacks:
        yield stacks
