from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[2] / ".engine/bin"


@pytest.fixture(autouse=True)
def _engine_on_path(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([str(ENGINE), os.environ["PATH"]]))
    if request.node.get_closest_marker("engine") and shutil.which("pulumi") is None:
        raise RuntimeError("these tests need the Pulumi CLI: `make setup` puts it into .engine/bin")
