"""Which resource of a program has which target: two on one target would fire it twice."""

from __future__ import annotations

from collections.abc import Mapping
from threading import Lock
from typing import Any

from cloudretry.actions import Action
from cloudretry.errors import InvalidInput
from cloudretry.inputs import named_targets, property_path
from cloudretry.model import Place

__all__ = ["Claims", "located"]


def located(values: Mapping[str, Any], inherited: Place) -> tuple[Any, Any]:
    """The region and project of a resource: what it does not name is inherited, the project with its region."""
    region = values.get("region") or inherited.region
    return region, values.get("projectId") or (inherited.project_id if region == inherited.region else "")


class Claims:
    """The targets that the resources of one program have named so far. Safe to use from many threads."""

    def __init__(self) -> None:
        self._owners: dict[tuple[Any, ...], str] = {}
        self._claimed: dict[str, set[tuple[Any, ...]]] = {}
        self._lock = Lock()

    def take(self, owner: str, action: Action[Any], values: Mapping[str, Any], inherited: Place) -> list[InvalidInput]:
        """Give the targets to ``owner`` (a URN or the like), instead of those it had; say which another one has.

        A resource that names no region or project has the ``inherited`` one.
        """
        place = (*located(values, inherited), values.get(action.container_property))
        if not all(part is None or isinstance(part, str) for part in place):
            # Not known yet, or a finding of check.
            return []
        taken = []
        with self._lock:
            for claim in self._claimed.pop(owner, ()):
                del self._owners[claim]
            mine = self._claimed.setdefault(owner, set())
            for location, key in named_targets(action, values):
                claim = (action.token, place, key)
                other = self._owners.setdefault(claim, owner)
                if other == owner:
                    mine.add(claim)
                else:
                    reason = f"is a target of {other} as well and would be fired twice; name it in one of them"
                    taken.append(InvalidInput(property_path(location), reason))
        return taken
