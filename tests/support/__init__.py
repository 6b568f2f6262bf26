"""Stand-ins for what the lifecycle works with: a clock, a cloud, and the engine's part in an `up`."""

from support.clock import FakeClock
from support.cloud import Broken, FakeCloud
from support.engine import World

__all__ = ["Broken", "FakeClock", "FakeCloud", "World"]
