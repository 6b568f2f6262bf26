"""What draws pages, for tests: left out where the machine has nothing to draw with."""

from __future__ import annotations

import pytest
from drawing.studio import Studio, StudioError

__all__ = ["studio_at_hand"]


def studio_at_hand() -> Studio:
    """A studio that is ready; skips the test where there is no Node.js or no browser."""
    studio = Studio()
    try:
        studio.prepare()
    except StudioError as error:
        if str(error).startswith("needs "):
            pytest.skip(str(error))
        raise
    return studio
