"""Jobs and pool scopes as the emulator keeps them: a state now, what comes next, and how often they were fired.

Nothing here ticks. A target stores the moments at which its state changes, and its state is worked out from the
clock when somebody asks.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cloudretry.emulator.store import Transaction

__all__ = [
    "DRS_JOB",
    "EHPC_JOB",
    "POOL_SCOPE",
    "VISUALIZATION_JOB",
    "WORKSPACE_JOB",
    "Container",
    "Target",
    "Told",
    "add",
    "container",
    "containers",
    "find",
    "find_many",
    "fire",
    "listing",
    "set_state",
    "start_over",
    "told",
    "told_to_refuse",
]

POOL_SCOPE = "poolScope"
VISUALIZATION_JOB = "visualizationJob"
WORKSPACE_JOB = "workspaceJob"
DRS_JOB = "drsJob"
EHPC_JOB = "ehpcJob"

_CHUNK = 500
_COLUMNS = (
    "kind, project, id, container, position, state, events, loaded_at, fired_at, stamp, times_fired, refusals, "
    "earlier, hidden_until, details"
)

Events = tuple[tuple[float, str], ...]


@dataclass(frozen=True, slots=True)
class Container:
    """A pool or a cluster: it has an id and details, its targets are stored by themselves."""

    kind: str
    project: str
    id: str
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Target:
    """One thing that can be retried. All times are seconds since the epoch by the emulator's clock.

    ``start_state`` holds until the first of ``events``. ``stamp`` is the moment of the last fire, moved on by a
    second where two fires would otherwise share one. Until ``hidden_until`` status calls still show ``earlier``:
    the target as it was before the last fire.
    """

    kind: str
    project: str
    id: str
    container: str
    position: int
    start_state: str
    events: Events
    loaded_at: float
    fired_at: float | None
    stamp: float
    times_fired: int
    refusals: int
    earlier: str | None
    hidden_until: float
    details_text: str

    def details(self) -> dict[str, Any]:
        """What the scenario says of it."""
        details: dict[str, Any] = json.loads(self.details_text)
        return details

    def state(self, now: float) -> str:
        """Its true state."""
        current = self.start_state
        for at, state in self.events:
            if at > now:
                break
            current = state
        return current

    def changed_at(self, now: float) -> float:
        """When it entered its true state."""
        moment = self.stamp
        for at, _ in self.events:
            if at > now:
                break
            moment = max(moment, at)
        return moment

    def shown(self, now: float) -> Target:
        """The target as status calls see it."""
        if self.earlier is None or now >= self.hidden_until:
            return self
        seen = json.loads(self.earlier)
        return replace(
            self,
            start_state=seen["state"],
            events=tuple((at, state) for at, state in seen["events"]),
            fired_at=seen["firedAt"],
            stamp=seen["stamp"],
            earlier=None,
        )


def _from_row(row: Sequence[Any]) -> Target:
    values = list(row)
    values[6] = tuple((at, state) for at, state in json.loads(row[6])) if row[6] != "[]" else ()
    return Target(*values)


def find(tx: Transaction, kind: str, project: str, target_id: str) -> Target | None:
    row = tx.execute(
        f"SELECT {_COLUMNS} FROM targets WHERE kind = ? AND project = ? AND id = ?",  # noqa: S608 - constant columns
        (kind, project, target_id),
    ).fetchone()
    return None if row is None else _from_row(row)


def find_many(tx: Transaction, kind: str, project: str, ids: Sequence[str]) -> dict[str, Target]:
    """Those of the ids that exist."""
    found: dict[str, Target] = {}
    for start in range(0, len(ids), _CHUNK):
        part = ids[start : start + _CHUNK]
        marks = ",".join("?" * len(part))
        rows = tx.execute(
            f"SELECT {_COLUMNS} FROM targets WHERE kind = ? AND project = ? AND id IN ({marks})",  # noqa: S608
            (kind, project, *part),
        )
        found.update((target.id, target) for target in map(_from_row, rows))
    return found


def listing(
    tx: Transaction, kind: str | None = None, project: str | None = None, container: str | None = None
) -> Iterator[Target]:
    """All targets of a kind, project and container, in the scenario's order; ``None`` is any."""
    wanted = {"kind": kind, "project": project, "container": container}
    given = {name: value for name, value in wanted.items() if value is not None}
    where = " AND ".join(f"{name} = ?" for name in given) or "1"
    statement = f"SELECT {_COLUMNS} FROM targets WHERE {where} ORDER BY kind, project, container, position"  # noqa: S608
    return map(_from_row, tx.execute(statement, given.values()))


def container(tx: Transaction, kind: str, project: str, container_id: str) -> Container | None:
    row = tx.execute(
        "SELECT details FROM containers WHERE kind = ? AND project = ? AND id = ?", (kind, project, container_id)
    ).fetchone()
    return None if row is None else Container(kind, project, container_id, json.loads(row[0]))


def containers(tx: Transaction, kind: str, project: str) -> list[Container]:
    rows = tx.execute(
        "SELECT id, details FROM containers WHERE kind = ? AND project = ? ORDER BY position", (kind, project)
    )
    return [Container(kind, project, container_id, json.loads(details)) for container_id, details in rows]


def add(tx: Transaction, rows: Iterator[tuple[Any, ...]] | Sequence[tuple[Any, ...]]) -> None:
    """Insert rows of kind, project, id, container, position, state, events and details, loaded now."""
    tx.executemany(
        f"INSERT INTO targets ({_COLUMNS}) "  # noqa: S608 - constant columns, and a number
        f"VALUES (?, ?, ?, ?, ?, ?, ?, {tx.now!r}, NULL, {tx.now!r}, 0, 0, NULL, 0, ?)",
        rows,
    )


def fire(tx: Transaction, target: Target) -> None:
    """Let a retry take hold: count it, and lay down what follows it by the clock."""
    details = target.details()
    events = _merged(_timeline(details, target.times_fired), details, tx.now, target.loaded_at)
    earlier = {
        "state": target.start_state,
        "events": target.events,
        "firedAt": target.fired_at,
        "stamp": target.stamp,
    }
    stale_seconds = details.get("staleSeconds", 0.0)
    tx.execute(
        "UPDATE targets SET state = ?, events = ?, fired_at = ?, stamp = ?, times_fired = times_fired + 1, "
        "earlier = ?, hidden_until = ? WHERE kind = ? AND project = ? AND id = ?",
        (
            target.state(tx.now),
            json.dumps(events),
            tx.now,
            max(tx.now, target.stamp + 1),
            json.dumps(earlier) if stale_seconds else None,
            tx.now + stale_seconds,
            target.kind,
            target.project,
            target.id,
        ),
    )


def start_over(tx: Transaction, target: Target, *, under: str, state: str) -> None:
    """Let a retry take hold on a new target named ``under``; the fired one only counts it and stays as it is."""
    details = target.details()
    events = [(tx.now + after, name) for name, after in _timeline(details, target.times_fired)]
    tx.execute(
        "UPDATE targets SET fired_at = ?, times_fired = times_fired + 1 WHERE kind = ? AND project = ? AND id = ?",
        (tx.now, target.kind, target.project, target.id),
    )
    tx.execute("DELETE FROM targets WHERE kind = ? AND project = ? AND id = ?", (target.kind, target.project, under))
    position = tx.execute("SELECT max(position) + 1 FROM targets WHERE kind = ?", (target.kind,)).fetchone()[0]
    details.pop("drift", None)
    row = (target.kind, target.project, under, target.container, position, state, json.dumps(events))
    add(tx, [(*row, json.dumps(details))])


def set_state(tx: Transaction, target: Target, state: str) -> None:
    """Put the target into a state at once and for good, as if it had got there by itself."""
    tx.execute(
        "UPDATE targets SET state = ?, events = ?, hidden_until = 0 WHERE kind = ? AND project = ? AND id = ?",
        (target.state(tx.now), json.dumps([(tx.now, state)]), target.kind, target.project, target.id),
    )


def _timeline(details: Mapping[str, Any], times_fired: int) -> Sequence[tuple[str, float]]:
    timelines: Sequence[Sequence[tuple[str, float]]] = details["afterRetry"]
    return timelines[min(times_fired, len(timelines) - 1)]


def _merged(
    timeline: Sequence[tuple[str, float]], details: Mapping[str, Any], now: float, loaded_at: float
) -> list[tuple[float, str]]:
    """What follows a fire, together with what the target will still do by itself."""
    following = [(now + after, state) for state, after in timeline]
    drifting = [(loaded_at + after, state) for state, after in details.get("drift", ())]
    return sorted([*following, *(event for event in drifting if event[0] > now)], key=lambda event: event[0])


@dataclass(frozen=True, slots=True)
class Told:
    """The refusal that the scenario holds ready for a target."""

    code: str
    message: str
    http: int | None
    encoded_authorization_message: str | None


def told_to_refuse(tx: Transaction, target: Target) -> Told | None:
    """The refusal that a retry of this target must be answered with now, counted; ``None`` if there is none."""
    refuse = target.details().get("refuse")
    if refuse is None or target.refusals >= refuse.get("times", target.refusals + 1):
        return None
    tx.execute(
        "UPDATE targets SET refusals = refusals + 1 WHERE kind = ? AND project = ? AND id = ?",
        (target.kind, target.project, target.id),
    )
    return told(refuse)


def told(refuse: Mapping[str, Any]) -> Told:
    return Told(
        refuse["code"],
        refuse.get("message", "The request has been refused."),
        refuse.get("http"),
        refuse.get("encodedAuthorizationMessage"),
    )
