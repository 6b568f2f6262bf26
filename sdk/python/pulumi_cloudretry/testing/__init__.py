"""Test a program against the clouds' emulator, on the real Pulumi engine.

Whoever has the package has two pytest fixtures:

======================= ==================================================================================
``cloudretry_emulator`` an :class:`EmulatedClouds`: running, and in the environment of the test
``cloudretry_stack``    a :class:`StackFactory`: makes stacks of a program; skips without the Pulumi CLI
======================= ==================================================================================

Both are gone with the test. They are made of the classes here, which serve other test runners as well. What a scenario
or a fault may say is in ``docs/emulator.md``; :class:`Scenario` and what it is made of tell an editor.
"""

from cloudretry.emulator import EmulatorError, ScenarioError
from cloudretry.emulator.documents import (
    Cluster,
    ClusterJob,
    DrsJob,
    Fault,
    Pool,
    Project,
    Refusal,
    Scenario,
    Scope,
    VisualizationJob,
    WorkspaceJob,
)
from pulumi_cloudretry.testing.clouds import EmulatedClouds
from pulumi_cloudretry.testing.stacks import StackFactory, recorded, why_no_engine

__all__ = [
    "Cluster",
    "ClusterJob",
    "DrsJob",
    "EmulatedClouds",
    "EmulatorError",
    "Fault",
    "Pool",
    "Project",
    "Refusal",
    "Scenario",
    "ScenarioError",
    "Scope",
    "StackFactory",
    "VisualizationJob",
    "WorkspaceJob",
    "recorded",
    "why_no_engine",
]
