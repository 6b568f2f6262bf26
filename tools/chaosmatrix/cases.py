"""What is tried: every trouble with every action in every operation, in an order that the seed alone decides."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import cycle, islice, product
from typing import Any

__all__ = ["FIRE_FAULTS", "LANES", "LOOK_FAULTS", "VERSIONS", "Case", "Trouble", "case_named", "cases", "fault"]

ACTIONS = ("pool", "visualization", "desktop", "replication", "simulation")
"""The five actions, by the names of the engine tests' resources; the last one is E-HPC."""

VERSIONS = ("3.230", "3.276")
"""Engines that end their plugins in different ways, for the small engine of the wire."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """What goes wrong. ``kind`` is a family of the report; ``victim`` and ``instant`` belong to kills."""

    kind: str
    name: str
    victim: str = ""
    instant: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """One run of the matrix. Its ``seed`` decides every random choice within it."""

    name: str
    seed: str
    driver: str
    """``engine``: the real Pulumi CLI. ``wire``: the real plugin process, driven over gRPC."""
    front: str
    action: str
    operation: str
    trouble: Trouble
    change: str = ""
    """What happens to the program, the stack or the cloud after the trouble."""

    def __str__(self) -> str:
        words = f"{self.name} {self.front}/{self.driver} {self.action} {self.operation} {self.trouble.name}"
        return f"{words}, then {self.change}" if self.change else words


LANES: Mapping[str, tuple[str, str, int]] = {
    "wire": ("wire", "plugin", 40),
    "plugin": ("engine", "plugin", 10),
    "dynamic": ("engine", "dynamic", 8),
    "changed": ("wire", "plugin", 30),
    "changedplugin": ("engine", "plugin", 8),
    "changeddynamic": ("engine", "dynamic", 4),
}
"""Driver, front and share in a hundred runs, by the first part of a case's name. In the lower half the program, the
stack or the cloud is changed as well."""

VICTIMS = ("engine", "plugin", "both")
FIRE_INSTANTS = (
    "before the intent",
    "intent",
    "in flight",
    "effect",
    "answered",
    "before the save",
    "waiting",
    "random",
)
RESUME_INSTANTS = ("waiting", "random")

FIRE_FAULTS: Mapping[str, Mapping[str, Any]] = {
    "dropped before the effect": {"drop": "before"},
    "dropped after the effect": {"drop": "after"},
    "too late, effect after the time-out": {"delay": 2.5},
    "too late, effect before the time-out": {"delay": 2.5, "after": True},
    "429": {"status": 429},
    "500 without effect": {"status": 500},
    "500 after the effect": {"status": 500, "after": True},
    "502 without effect": {"status": 502},
    "502 after the effect": {"status": 502, "after": True},
    "503": {"status": 503},
    "504 without effect": {"status": 504},
    "504 after the effect": {"status": 504, "after": True},
    "malformed without effect": {"status": 200, "body": '{"results": [{"id": '},
    "malformed after the effect": {"status": 200, "body": "<html>it works</html>", "after": True},
    "truncated": {"truncate": True},
}
"""Faults that hit the request which fires."""

LOOK_FAULTS: Mapping[str, Mapping[str, Any]] = {
    "dropped": {"drop": "before"},
    "too late": {"delay": 2.5},
    "429": {"status": 429},
    "500": {"status": 500},
    "502": {"status": 502},
    "503": {"status": 503},
    "504": {"status": 504},
    "malformed": {"status": 200, "body": "[1, 2"},
    "truncated": {"truncate": True},
}
"""Faults that hit the status calls."""

ORPHAN_SIGNALS = ("SIGINT", "SIGTERM")

NEW_ID = "answer lost, goes on under a new id"
"""A Workspace retry may go on as another task, whose id only the answer tells."""

THROTTLING = frozenset({"429", "503"})

_HUAWEICLOUD = {
    429: ("APIGW.0308", "The throttling threshold has been reached: policy user over ratelimit,limit:1,time:1 minute"),
    500: ("APIGW.0601", "Internal server error."),
    502: ("APIGW.0610", "Backend unavailable."),
    503: ("APIGW.0613", "The identity service is not available."),
    504: ("APIGW.0201", "Backend timeout."),
}
_ALICLOUD = {
    429: ("Throttling.User", "Request was denied due to user flow control."),
    500: ("UnknownError", "The request processing has failed due to some unknown error."),
    503: ("ServiceUnavailable", "The request has failed due to a temporary failure of the server."),
}


def fault(template: Mapping[str, Any], action: str, dice: random.Random) -> dict[str, Any]:
    """The fault with a body: as the cloud's gateway writes it, or, now and then, as some proxy does."""
    made = dict(template)
    status = made.get("status")
    if status is None or "body" in made:
        return made
    code = (_ALICLOUD if action == "simulation" else _HUAWEICLOUD).get(status)
    if code is None or dice.random() < 0.25:
        made["body"] = f"<html><h1>{status}</h1></html>"
    elif action == "simulation":
        made["body"] = {"RequestId": "0A0A0A0A", "HostId": "ehpc", "Code": code[0], "Message": code[1]}
    else:
        made["body"] = {"error_code": code[0], "error_msg": code[1], "request_id": "0a0a0a0a"}
    if status in (429, 503) and dice.random() < 0.5:
        made["headers"] = {"Retry-After": dice.choice(("0", "1"))}
    return made


def _kills(instants: tuple[str, ...]) -> list[Trouble]:
    return [
        Trouble("kill", f"kill -9 of {victim}, {instant}", victim, instant)
        for victim, instant in product(VICTIMS, instants)
        # Once the reply has left the plugin, only the engine's death matters.
        if not (instant == "before the save" and victim == "plugin")
    ]


_TROUBLES: Mapping[str, tuple[Trouble, ...]] = {
    "fire": (
        *_kills(FIRE_INSTANTS),
        *(Trouble("fire fault", f"fire: {name}") for name in FIRE_FAULTS),
        *(Trouble("look fault", f"look: {name}") for name in LOOK_FAULTS),
        *(Trouble("clock jump", f"clock jump {when}") for when in ("while waiting", "between the runs")),
        *(Trouble("full disk", f"full disk, {when}") for when in ("before the intent", "before the answer")),
        Trouble("refusal", "refused once"),
        Trouble("two runs", "two runs at once after a kill"),
        *(
            Trouble("orphan", f"kill -9 of engine, {name} to the provider once it is answered")
            for name in ORPHAN_SIGNALS
        ),
        *(Trouble("new id", f"{NEW_ID}, {how}") for how in ("dropped", "killed")),
    ),
    "resume": (
        *_kills(RESUME_INSTANTS),
        *(Trouble("look fault", f"look: {name}") for name in LOOK_FAULTS),
        *(Trouble("clock jump", f"clock jump {when}") for when in ("while waiting", "between the runs")),
        Trouble("full disk", "full disk, before the intent"),
    ),
}
_OPERATIONS = {"create": "fire", "update": "fire", "resume": "resume"}

NO_TROUBLE = Trouble("none", "no trouble")
INTERRUPTED_INSTANTS = ("effect", "answered", "waiting")
_DISTURBED = (
    *(
        Trouble("kill", f"kill -9 of {victim}, {instant}", victim, instant)
        for victim, instant in product(
            VICTIMS, ("intent", "in flight", "effect", "answered", "before the save", "waiting")
        )
        if not (instant == "before the save" and victim == "plugin")
    ),
    *(
        Trouble("ctrl-c", f"{victim}, {instant}", victim, instant)
        for victim, instant in product(("Ctrl-C", "Ctrl-C twice"), INTERRUPTED_INSTANTS)
    ),
    Trouble("ctrl-c", "Ctrl-C twice, before the save", "Ctrl-C twice", "before the save"),
)
_STOPPED = tuple(
    Trouble("stopped", f"stopped and overtaken, {instant}", "both", instant)
    for instant in ("in flight", *INTERRUPTED_INSTANTS)
)
_BOTH = ("create", "update")
_ANY_TROUBLE = (NO_TROUBLE, *_DISTURBED)
CHANGED: Mapping[str, tuple[tuple[str, ...], tuple[Trouble, ...]]] = {
    "nothing": (_BOTH, (*(one for one in _DISTURBED if one.kind == "ctrl-c"), *_STOPPED)),
    "another place": (_BOTH, _ANY_TROUBLE),
    "another emulator": (("create",), _DISTURBED),
    "trigger changed": (_BOTH, _ANY_TROUBLE),
    "trigger there and back": (_BOTH, _ANY_TROUBLE),
    "targets added": (_BOTH, _ANY_TROUBLE),
    "targets exchanged": (_BOTH, _ANY_TROUBLE),
    "renamed": (_BOTH, _DISTURBED),
    "stack renamed": (_BOTH, _DISTURBED),
    "backend respelt": (_BOTH, _DISTURBED),
    "--replace": (_BOTH, _ANY_TROUBLE),
    "taint": (_BOTH, _ANY_TROUBLE),
    "destroyed": (_BOTH, _ANY_TROUBLE),
    "state delete": (_BOTH, _ANY_TROUBLE),
    "fired by hand": (_BOTH, _ANY_TROUBLE),
    "second resource": (("create",), (NO_TROUBLE,) * 4),
    "second provider": (("create",), (NO_TROUBLE,) * 6),
    "second stack": (("create",), (*(NO_TROUBLE,) * 8, *(one for one in _DISTURBED if one.kind == "kill"))),
    "older state": (("update",), _ANY_TROUBLE),
}
"""The operations and troubles before each change."""

SEVERAL = ("replication", "simulation")
"""The actions that take several targets."""


def _lane(name: str, seed: str) -> Iterator[Case]:
    """All cases of a lane without end. Any first part of it has the families in their proportions."""
    driver, front, _ = LANES[name]
    dice = random.Random(f"{seed}/{name}")
    families = _changes(driver) if name.startswith("changed") else _troubles()
    placed = []
    for cells in families.values():
        dice.shuffle(cells)
        first = dice.random()
        placed += [((index + first) / len(cells), cell) for index, cell in enumerate(cells)]
    placed.sort(key=lambda item: item[0])
    for number, (_, (action, operation, trouble, change)) in enumerate(cycle(placed)):
        case = f"{name}-{number}"
        yield Case(case, f"{seed}/{case}", driver, front, action, operation, trouble, change)


_Cell = tuple[str, str, Trouble, str]


def _troubles() -> dict[str, list[_Cell]]:
    families: dict[str, list[_Cell]] = {}
    for (operation, troubles), action in product(_OPERATIONS.items(), ACTIONS):
        for trouble in _TROUBLES[troubles]:
            if trouble.kind == "new id" and action != "desktop":
                continue
            families.setdefault(trouble.kind, []).append((action, operation, trouble, ""))
    return families


def _changes(driver: str) -> dict[str, list[_Cell]]:
    families: dict[str, list[_Cell]] = {}
    for change, (operations, troubles) in CHANGED.items():
        for operation, trouble, action in product(operations, troubles, ACTIONS):
            if change.startswith("targets") and action not in SEVERAL:
                continue
            # The real engine's own lock keeps a second run away.
            if trouble.kind == "stopped" and driver != "wire":
                continue
            # Of E-HPC nothing is in progress that would keep a run waiting.
            if trouble.instant == "waiting" and action == "simulation":
                continue
            family = trouble.kind if change == "nothing" else change
            families.setdefault(family, []).append((action, operation, trouble, change))
    # Each change is tried as often as any other.
    most = max(map(len, families.values()))
    return {change: list(islice(cycle(cells), most)) for change, cells in families.items()}


def cases(seed: str, runs: int) -> list[Case]:
    """The first cases of each lane, in the lanes' shares. A case is the same however many are taken."""
    counts = {name: runs * share // 100 for name, (_, _, share) in LANES.items()}
    counts["wire"] += runs - sum(counts.values())
    return [case for name, count in counts.items() for case in islice(_lane(name, seed), count)]


def case_named(seed: str, name: str) -> Case:
    """The case of this name.

    :raises ValueError: no case is named so.
    """
    lane, _, number = name.partition("-")
    if lane not in LANES or not number.isdecimal():
        raise ValueError(f"{name!r} is no case; write one such as wire-17, plugin-3 or dynamic-5")
    return next(islice(_lane(lane, seed), int(number), None))
