"""Diff: what new inputs change in what was recorded, and whether there is work left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from cloudretry.actions import Action
from cloudretry.errors import PinnedPlaceChanged
from cloudretry.inputs import given, is_unknown, property_path
from cloudretry.model import Place
from cloudretry.record import PLACE, Record
from cloudretry.run.decide import changed_triggers

__all__ = ["NOWHERE", "Change", "ChangeKind", "Difference", "check_cloud", "check_pinned", "diff"]

NOWHERE = Place("")
"""For a diff that is to compare no inherited place."""


class ChangeKind(StrEnum):
    """How one property differs; the words of Pulumi's detailed diff."""

    ADD = "add"
    DELETE = "delete"
    UPDATE = "update"
    REPLACE = "replace"


@dataclass(frozen=True, slots=True)
class Change:
    """One difference, by path. ``of_output`` marks an output that calls for work, not an input."""

    path: str
    kind: ChangeKind
    of_output: bool = False


@dataclass(frozen=True, slots=True)
class Difference:
    """What an ``up`` would do."""

    changes: tuple[Change, ...]

    @property
    def replaces(self) -> tuple[str, ...]:
        return tuple(change.path for change in self.changes if change.kind is ChangeKind.REPLACE)


def diff(
    action: Action[Any],
    outputs: Mapping[str, Any],
    news: Mapping[str, Any],
    inherited: Place,
    *,
    interrupted: bool = False,
    emulated: bool | None = None,
) -> Difference:
    """How the new inputs differ from what was recorded, and whether there is work left. Calls nothing.

    ``interrupted`` says that the journal has a fire that the record does not know; ``emulated`` that an `up` would call
    no real cloud (``None``: that is not to be compared).

    :raises PinnedPlaceChanged: an inherited project or region is not the recorded one, or the record is of the emulator
        and a cloud is configured now, or the other way round.
    """
    record = Record.from_outputs(action, outputs)
    values = given(news)
    changes = _identity_changes(action, record, values)
    if not changes:
        check_pinned(record.place, values, inherited)
    if emulated is not None:
        check_cloud(record, emulated=emulated)
    changes += _trigger_changes(record, values)
    changes += _target_changes(action, record, values)
    changes += _setting_changes(action, record, values)
    if record.unfinished or (record.unseen and values.get("reconcile") is True):
        changes.append(Change("status", ChangeKind.UPDATE, of_output=True))
    if interrupted:
        changes.append(Change("fireIds", ChangeKind.UPDATE, of_output=True))
    if not record.adopted:
        # The first update after an import adopts what the program says, even where it says the same.
        changes.append(Change("history", ChangeKind.UPDATE, of_output=True))
    return Difference(tuple(changes))


def check_cloud(record: Record, *, emulated: bool) -> None:
    """Refuse a cloud in the place of the emulator that the resource was fired on, and the other way round.

    :raises PinnedPlaceChanged: says that nothing was fired there, and how to.
    """
    if record.emulator is not emulated:
        was, now = ("the emulator", "a real cloud") if record.emulator else ("a real cloud", "the emulator")
        raise PinnedPlaceChanged(
            f"emulator: the resource was fired on {was}, and the provider is now configured for {now}, where nothing "
            "was fired for it. To fire it there, replace it (`pulumi up --replace URN`) or remove it from the state "
            "first"
        )


def check_pinned(place: Place, values: Mapping[str, Any], inherited: Place) -> None:
    """Refuse an inherited project or region that is not the one the resource was created in.

    An inherited project belongs to the inherited region; a resource in another region does not inherit it.

    :raises PinnedPlaceChanged: names both.
    """
    if inherited.region and values.get("region", inherited.region) != inherited.region:
        inherited = NOWHERE
    for name, pinned, configured in zip(
        PLACE, (place.region, place.project_id), (inherited.region, inherited.project_id), strict=True
    ):
        if name not in values and pinned and configured and pinned != configured:
            raise PinnedPlaceChanged(
                f"{name}: the resource was created in {pinned!r}, and the provider is now configured for "
                f"{configured!r}. Set {name}: {pinned} on the resource to keep it there, or {name}: {configured} to "
                "replace it, which fires in the new place"
            )


def _identity_changes(action: Action[Any], record: Record, values: Mapping[str, Any]) -> list[Change]:
    recorded = {**record.inputs, **dict(zip(PLACE, (record.place.region, record.place.project_id), strict=True))}
    return [
        Change(name, ChangeKind.REPLACE)
        for name in (*PLACE, *action.identity)
        if name in values and values[name] != recorded.get(name)
    ]


def _trigger_changes(record: Record, values: Mapping[str, Any]) -> list[Change]:
    new = values.get("triggers", {})
    if not isinstance(new, Mapping):
        return [Change("triggers", ChangeKind.UPDATE)]
    return [
        Change(property_path(["triggers", name]), _kind(name in record.triggers, name in new))
        for name in changed_triggers(record.triggers, new)
    ]


def _kind(was: bool, is_now: bool) -> ChangeKind:
    if was and is_now:
        return ChangeKind.UPDATE
    return ChangeKind.ADD if is_now else ChangeKind.DELETE


def _target_changes(action: Action[Any], record: Record, values: Mapping[str, Any]) -> list[Change]:
    if action.target_list is None:
        return []
    name, key = action.target_list
    items = values[name]
    if is_unknown(items):
        return [Change(name, ChangeKind.UPDATE)]
    old, new = _keyed(record.inputs[name], key), _keyed(items, key)

    def path(index: int) -> str:
        return property_path([name, index] if key is None else [name, index, key])

    changes = [Change(path(index), ChangeKind.ADD) for target, (index, _) in new.items() if target not in old]
    changes += [Change(path(index), ChangeKind.DELETE) for target, (index, _) in old.items() if target not in new]
    changes += [
        Change(property_path([name, index]), ChangeKind.UPDATE)
        for target, (index, item) in new.items()
        if target in old and old[target][1] != item
    ]
    return changes


def _keyed(items: Any, key: str | None) -> dict[str, tuple[int, Any]]:
    return {(item if key is None else item[key]): (index, item) for index, item in enumerate(items)}


def _setting_changes(action: Action[Any], record: Record, values: Mapping[str, Any]) -> list[Change]:
    apart = {*PLACE, "triggers", *action.identity, *(action.target_list or ())[:1]}
    names = [name for name in dict.fromkeys((*record.inputs, *values)) if name not in apart]
    return [
        Change(name, _kind(name in record.inputs, name in values))
        for name in names
        if record.inputs.get(name) != values.get(name)
    ]
