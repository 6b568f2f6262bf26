from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))
sys.path.append(str(Path(__file__).parents[2] / "tools"))

from driver import SCENARIO, EngineLog, Plugin

from cloudretry.emulator import Emulator


@pytest.fixture(scope="session")
def _emulator() -> Iterator[Emulator]:
    with Emulator(SCENARIO) as running:
        yield running


@pytest.fixture
def emulator(_emulator: Emulator) -> Emulator:
    """An emulator as new."""
    _emulator.set_scenario(SCENARIO)
    return _emulator


@pytest.fixture
def engine() -> Iterator[EngineLog]:
    log = EngineLog()
    yield log
    log.stop()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Plugin]]:
    """Starts plugins; all of them are gone after the test."""
    running: list[Plugin] = []

    def start_one(**options: object) -> Plugin:
        running.append(Plugin(tmp_path, **options))  # type: ignore[arg-type]
        return running[-1]

    yield start_one
    for plugin in running:
        plugin.stop()
        plugin.process.stdout.close()  # type: ignore[union-attr]


@pytest.fixture(scope="module")
def _plugin(tmp_path_factory: pytest.TempPathFactory, _emulator: Emulator) -> Iterator[Plugin]:
    plugin = Plugin(tmp_path_factory.mktemp("plugin"))
    plugin.configure(_emulator)
    yield plugin
    plugin.stop()
    assert plugin.printed() == ("", "")


@pytest.fixture
def plugin(_plugin: Plugin, emulator: Emulator) -> Plugin:
    """A configured plugin, one for the tests of a file; the emulator behind it is as new."""
    return _plugin
