"""The emulator, as a test of a program sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudretry.config import ENVIRONMENT, KEY_PAIRS
from cloudretry.emulator import Emulator

if TYPE_CHECKING:
    import pytest

__all__ = ["EmulatedClouds", "forget_the_clouds"]


class EmulatedClouds(Emulator):
    """An emulator on a free port, on the built-in scenario until another one is loaded.

    ::

        with EmulatedClouds() as clouds:
            clouds.load({"drsJobs": [{"id": "jb1", "state": "FULL_TRANSFER_FAILED"}]})
            ...
            assert clouds.fired() == {"jb1": 1}
    """

    def load(self, scenario: Mapping[str, Any] | str | Path) -> None:
        """Start afresh on a scenario, or on the one in a YAML or JSON file: its targets, no requests, no faults.

        :raises ScenarioError: it cannot be read, or is not a scenario.
        """
        from cloudretry.emulator.scenario import Scenario

        self.set_scenario(scenario if isinstance(scenario, Mapping) else Scenario.read(Path(scenario)))

    def environment(self) -> dict[str, str]:
        """The variables by which the provider, and the clouds' own tools, use this emulator."""
        return self.credentials.environment(self.url)

    def fired(self) -> Counter[str]:
        """How often each target was retried since the scenario was loaded, by its id; those that were not are left out.

        The id of a pool's scope is ``pool:Scope``, that of a cluster's job ``cluster/job``.
        """
        return Counter({target.id: target.times_fired for target in self.targets() if target.times_fired})


def forget_the_clouds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every variable out of the environment that the provider would read: a person's account is no test's."""
    pairs = [name for rows in KEY_PAIRS.values() for row in rows for name in row.values()]
    for name in [*(name for names in ENVIRONMENT.values() for name in names), *pairs]:
        monkeypatch.delenv(name, raising=False)
