from __future__ import annotations

import os
import shutil
import signal
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

# The tests' own stand-ins, `support`, for every folder of tests.
sys.path.insert(0, str(Path(__file__).parent))

# A shell lets what it starts in the background ignore interrupts, and so would the engine and its children: it ends
# them by an interrupt, and waits five seconds for those that do not listen.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# How long an example takes tells of the machine and not of the code.
settings.register_profile("cloudretry", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("cloudretry")

ENGINE = Path(__file__).parents[1] / ".engine/bin"


@pytest.fixture
def engine_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """The engine that `make setup` puts into .engine/bin, for those that look for it on PATH."""
    monkeypatch.setenv("PATH", os.pathsep.join([str(ENGINE), os.environ["PATH"]]))
    if shutil.which("pulumi") is None:
        raise RuntimeError("these tests need the Pulumi CLI: `make setup` puts it into .engine/bin")
