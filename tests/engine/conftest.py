"""The real engine, the real wire: one throw-away project and one emulator for each test, for both fronts."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudretry.emulator import Emulator

sys.path.insert(0, str(Path(__file__).parent))

from real_engine import OLDEST, PINNED, SCENARIO, Project, Template, path_to_engine


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "plugin_only(reason): why the engine's dynamic provider cannot do this")
    config.addinivalue_line("markers", "also_on_the_oldest_engine: a part of the short form that runs there too")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    chosen = any("front" in mark.args[0] for mark in metafunc.definition.iter_markers("parametrize"))
    if chosen or "front" not in metafunc.fixturenames:
        return
    runs = [pytest.param(PINNED, front, id=front) for front in ("plugin", "dynamic")]
    if metafunc.definition.get_closest_marker("also_on_the_oldest_engine"):
        runs.append(pytest.param(OLDEST, "plugin", id="plugin-oldest"))
    metafunc.parametrize(("engine", "front"), runs, indirect=True)


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> Path:
    """The folder of the engine's programs."""
    engine: Path = getattr(request, "param", PINNED)
    return engine


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory, engine: Path) -> Template:
    folder = tmp_path_factory.mktemp("engine")
    return Template(folder / "template", path_to_engine(folder / "bin", engine))


@pytest.fixture
def front(request: pytest.FixtureRequest) -> str:
    """Which classes the program uses: `plugin` or `dynamic`."""
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
