from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

# The tests' own driver of the executable.
sys.path.append(str(Path(__file__).parent))

from command_line import SCENARIO, CommandLine

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
def command_line(tmp_path: Path) -> Iterator[Callable[..., CommandLine]]:
    """Makes command lines; what they started is gone after the test."""
    made: list[CommandLine] = []

    def make(emulator: str | None = None) -> CommandLine:
        made.append(CommandLine(tmp_path, emulator))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def cloudretry(command_line: Callable[..., CommandLine], emulator: Emulator) -> CommandLine:
    """The command line, on an emulator as new."""
    return command_line(emulator.url)


@pytest.fixture
def alone(command_line: Callable[..., CommandLine]) -> CommandLine:
    """The command line with nothing set: no cloud, no emulator."""
    return command_line()
