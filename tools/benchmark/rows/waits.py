"""Row b: resources that all have to wait, at once."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmark.bench import Attempt, Bench, check, turns
from benchmark.cloud import LOOK, Cloud
from benchmark.contenders import CONTENDERS, Contender
from benchmark.figures import Spread, differences
from benchmark.rows.row import Finding, Measured, Row, table

__all__ = ["MORE", "WAITS"]

MORE = 1.5
"""Seconds that it may take more than the floor."""

PARALLEL = 256

_COST = {"floor": 4.0, "null": 6.0, "plugin": 7.0, "dynamic": 35.0, "plain": 35.0, "command": 12.0}


def _plan(bench: Bench, into: dict[str, Any]) -> list[Attempt]:
    scale = bench.scale
    judged = dict.fromkeys(("plugin", "null", "floor"), scale.rounds)
    rounds = judged | dict.fromkeys(("dynamic", "plain", "command"), 1)
    into |= {"resources": scale.waits, "seconds": scale.wait_seconds, "parallel": PARALLEL, "wall": {}, "looks": {}}
    return [
        Attempt(
            contender.name,
            f"{scale.waits} waits of {scale.wait_seconds:g} s, {contender.title}",
            3 + _COST[contender.name] * scale.waits / 100,
            partial(_measure, bench, contender, into),
        )
        for contender in turns(bench.chosen(rounds))
    ]


def _measure(bench: Bench, contender: Contender, into: dict[str, Any]) -> str:
    size = into["resources"]
    with Cloud(into["seconds"]) as cloud, bench.stack(contender, cloud, resources=size) as stack:
        took = stack.up("one", f"--parallel={PARALLEL}")
        check("targets fired", cloud.fired.total(), size * contender.fires)
        check("resources in state", stack.state_size()[1], size)
        looks = cloud.counted()[LOOK]
    into["wall"].setdefault(contender.name, []).append(round(took.wall, 3))
    into["looks"].setdefault(contender.name, []).append(looks)
    return f"{took.wall:.2f} s, {looks} status calls"


def _findings(measured: Measured) -> list[Finding]:
    wall = measured["wall"]
    what = f"{measured['resources']} resources × {measured['seconds']:g} s, `--parallel {measured['parallel']}`"
    target = f"≤ floor + {MORE} s"
    if "plugin" not in wall or "floor" not in wall:
        return [Finding(what, target, "not measured")]
    more = differences(wall["plugin"], wall["floor"])
    others = [
        f"{CONTENDERS[name].title} {Spread.of(wall[name]).median:.1f} s"
        for name in CONTENDERS
        if name in wall and name != "plugin"
    ]
    found = [Finding(what, target, f"floor + {more.text('s')}", more.median <= MORE, ", ".join(others))]
    if "null" in wall:
        beyond = differences(wall["plugin"], wall["null"]).text("s")
        found.append(Finding(f"{what}: beside a plugin that does not wait", "", f"null plugin + {beyond}"))
    return found


def _details(measured: Measured) -> str:
    wall, looks = measured["wall"], measured["looks"]
    lines = [
        [
            CONTENDERS[name].title,
            Spread.of(wall[name]).text(),
            differences(wall[name], wall["floor"]).text() if "floor" in wall and name != "floor" else "",
            f"{Spread.of(looks[name]).median:.0f}",
            str(len(wall[name])),
        ]
        for name in CONTENDERS
        if name in wall
    ]
    return table(("", "seconds", "more than the floor", "status calls", "rounds"), lines)


WAITS = Row(
    "b",
    "Many short waits at once",
    """
    The first `up` of resources with one DRS job each, whose retry takes hold some time after it was fired. The
    floor is as many components; the null plugin waits for nothing, so it shows what the engine takes for resources of
    any provider. The engine's dynamic provider serves four resources at a time, so its waits come
    one after the other.
    """,
    ("rounds", "waits", "wait_seconds"),
    _plan,
    _findings,
    _details,
)
