"""The examples' own tests, run from this checkout: on the engine that `make setup` puts into .engine/bin."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

ENGINE = Path(__file__).parents[1] / ".engine/bin"


def pytest_itemcollected(item: pytest.Item) -> None:
    if Path(__file__).parent in item.path.parents:
        item.add_marker("engine")


@pytest.fixture(autouse=True)
def _engine_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", os.pathsep.join([str(ENGINE), os.environ["PATH"]]))
    if shutil.which("pulumi") is None:
        raise RuntimeError("these tests need the Pulumi CLI: `make setup` puts it into .engine/bin")
