"""What can go wrong with the emulator itself.

::

    CloudRetryError
    └── EmulatorError           it cannot start, or was asked for something that it does not have
        └── ScenarioError       a scenario or a fault that cannot be used, one problem a line
"""

from __future__ import annotations

from cloudretry.errors import CloudRetryError

__all__ = ["EmulatorError", "ScenarioError"]


class EmulatorError(CloudRetryError):
    """The emulator cannot do what it was asked to. The text says what to do instead."""


class ScenarioError(EmulatorError):
    """A scenario or a fault that cannot be used; the text lists each problem by its path."""
