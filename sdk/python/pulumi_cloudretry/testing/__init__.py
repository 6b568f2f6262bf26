"""Test a program against the clouds' emulator, on the real Pulumi engine.

Whoever has the package has two pytest fixtures:

======================= ==================================================================================
``cloudretry_emulator`` an :class:`EmulatedClouds`: running, and in the environment of the test
``cloudretry_stack``    a :class:`StackFactory`: makes stacks of a program; skips without the Pulumi CLI
======================= ==================================================================================

Both are gone with the test. They are made of the classes here, which serve other test runners as well.
"""

from pulumi_cloudretry.testing.clouds import EmulatedClouds, forget_the_clouds
from pulumi_cloudretry.testing.stacks import StackFactory, why_no_engine

__all__ = ["EmulatedClouds", "StackFactory", "forget_the_clouds", "why_no_engine"]
