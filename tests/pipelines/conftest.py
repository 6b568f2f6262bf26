"""A team with a repository on disk, a backend, a runner and an emulator, for each test."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudretry.emulator import Emulator

# The tests' own `team` and `ci`, and the PATH that the engine's tests use.
sys.path.insert(0, str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[1] / "engine"))

from real_engine import path_to_engine
from team import SCENARIO, Team, Template


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Template:
    folder = tmp_path_factory.mktemp("pipelines")
    return Template(folder / "template", path_to_engine(folder / "bin"))


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(SCENARIO) as emulator:
        yield emulator


@pytest.fixture
def team(tmp_path: Path, template: Template, emulator: Emulator) -> Team:
    return Team(tmp_path / "team", template, emulator)
