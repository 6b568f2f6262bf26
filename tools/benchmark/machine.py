"""What was measured on: enough to read the figures, and nothing that tells whose machine it is."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import psutil

from benchmark.engine import Engine
from cloudretry.version import __version__

__all__ = ["cores", "facts", "in_use"]

LOOK = 2.0
"""Seconds for which the machine is looked at."""


def facts(engine: Engine) -> dict[str, str | int]:
    """The machine and the versions of what takes part."""
    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": cores(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "pulumi": engine.version().removeprefix("v"),
        "pulumi_sdk": version("pulumi"),
        "grpcio": version("grpcio"),
        "cloudretry": __version__,
    }


def cores() -> int:
    """The processors that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_use() -> float:
    """How many processors others use now.

    To be asked while nothing of the benchmark runs. The system's own average of the last minute would still count the
    row before.
    """
    return round(psutil.cpu_percent(LOOK) / 100 * (psutil.cpu_count() or 1), 1)
