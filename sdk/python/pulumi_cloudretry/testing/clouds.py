"""The emulator, as a test of a program sees it."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from cloudretry.config import ENVIRONMENT, KEY_PAIRS
from cloudretry.emulator import Emulator, documents

__all__ = ["EmulatedClouds"]


class EmulatedClouds(Emulator):
    """An emulator on a free port, on the built-in scenario until another one is loaded.

    ::

        with EmulatedClouds() as clouds, clouds.in_environment():
            clouds.load({"drsJobs": [{"id": "jb1", "state": "FULL_TRANSFER_FAILED"}]})
            ...
            assert clouds.fired() == {"jb1": 1}
    """

    def load(self, scenario: documents.Scenario | str | Path) -> None:
        """Start afresh on a scenario, or on the one in a YAML or JSON file: its targets, no requests, no faults.

        :raises ScenarioError: it cannot be read, or is not a scenario.
        """
        from cloudretry.emulator.scenario import Scenario

        self.set_scenario(scenario if isinstance(scenario, Mapping) else Scenario.read(Path(scenario)))

    def environment(self) -> dict[str, str]:
        """The variables by which the provider, and the clouds' own tools, use this emulator."""
        return self.credentials.environment(self.url)

    @contextmanager
    def in_environment(self) -> Iterator[None]:
        """Have this process, and what it starts, use this emulator.

        Every other variable that the provider would read is out of the environment meanwhile: a person's account is no
        test's.
        """
        ours = self.environment()
        names = {*ours, *_variables()}
        before = {name: os.environ.pop(name) for name in names if name in os.environ}
        os.environ.update(ours)
        try:
            yield
        finally:
            for name in names:
                os.environ.pop(name, None)
            os.environ.update(before)

    def fired(self) -> Counter[str]:
        """How often each target was retried since the scenario was loaded, by its id; those that were not are left out.

        The id of a pool's scope is ``pool:Scope``, that of a cluster's job ``cluster/job``.
        """
        return Counter({target.id: target.times_fired for target in self.targets() if target.times_fired})


def _variables() -> Iterator[str]:
    for names in ENVIRONMENT.values():
        yield from names
    for rows in KEY_PAIRS.values():
        for row in rows:
            yield from row.values()
