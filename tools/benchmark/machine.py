"""What was measured on: enough to read the figures, and nothing that tells whose machine it is."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version

import psutil

from benchmark.engine import Engine
from cloudretry.version import __version__

__all__ = ["cores", "facts", "load"]


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


def load() -> float:
    """How many processes wanted a processor, on average of the last minute."""
    return round(os.getloadavg()[0], 1)
