"""The real engine, the real wire: one throw-away project and one emulator for each test, for both fronts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudretry.emulator import Emulator

sys.path.insert(0, str(Path(__file__).parent))

from real_engine import SCENARIO, Project, Template, path_to_engine


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "plugin_only(reason): why the engine's dynamic provider cannot do this")


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("engine")
    return Template(folder / "template", path_to_engine(folder / "bin"))


@pytest.fixture(params=["plugin", "dynamic"])
def front(request: pytest.FixtureRequest) -> str:
    """Which classes the program uses."""
    front: str = request.param
    marker = request.node.get_closest_marker("plugin_only")
    if marker is not None and front == "dynamic":
        pytest.skip(f"dynamic cannot: {marker.args[0]}")
    return front


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(SCENARIO) as emulator:
        yield emulator


@pytest.fixture
def project(tmp_path: Path, template: Template, front: str, emulator: Emulator) -> Project:
    return Project(tmp_path, template, front, emulator)
