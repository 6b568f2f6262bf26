"""Row a: create, change and no-op of N resources of one target each, on a cloud that answers at once."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmark.bench import Attempt, Bench, check, turns
from benchmark.cloud import Cloud
from benchmark.contenders import CONTENDERS, Contender
from benchmark.figures import Spread, ratios
from benchmark.rows.row import Finding, Measured, Row, table, wrapped

__all__ = ["RESOURCES", "STEPS", "TARGET"]

TARGET = 1.10
"""At most so many times what the null plugin takes."""

STEPS = (("create", "one", True), ("change", "two", True), ("no-op", "two", False))
"""The name of a step, the trigger of its `up`, and whether that fires."""

_LIKE_OURS = {"plugin": {"Succeeded"}, "null": {"Succeeded"}, "unwaited": {"Accepted"}, "dynamic": {"Succeeded"}}
"""The statuses in the state of those that have one."""

_COST = {
    "plugin": (0.12, 5.5e-4),
    "unwaited": (0.08, 5.5e-4),
    "dynamic": (0.15, 7.5e-4),
    "null": (0.04, 5.5e-4),
    "plain": (0.1, 2.8e-3),
    "command": (0.1, 4e-4),
    "floor": (0.01, 2e-5),
}
"""Seconds for each resource, and for each pair of them: the engine writes all resources whenever it saves one."""


def _rounds(bench: Bench, size: int) -> dict[str, int]:
    scale = bench.scale
    rounds, peers = (scale.many_rounds, 0) if size >= scale.many else (scale.rounds, scale.peer_rounds)
    judged = dict.fromkeys(("plugin", "null", "floor"), rounds)
    return judged | dict.fromkeys(("unwaited", "dynamic", "plain", "command"), peers)


def _cost(contender: Contender, size: int) -> float:
    each, pair = _COST[contender.name]
    return 6 + each * size + pair * size * size


def _plan(bench: Bench, into: dict[str, Any]) -> list[Attempt]:
    return [
        Attempt(
            f"{size} {contender.name}",
            f"{size} resources, {contender.title}",
            _cost(contender, size),
            partial(_measure, bench, contender, size, into.setdefault(str(size), {})),
        )
        for size in bench.scale.resources
        for contender in turns(bench.chosen(_rounds(bench, size)))
    ]


def _measure(bench: Bench, contender: Contender, size: int, into: dict[str, Any]) -> str:
    said = []
    with Cloud() as cloud, bench.stack(contender, cloud, resources=size) as stack:
        took, expected = [], 0
        for step, trigger, fires in STEPS:
            took.append(stack.up(trigger))
            expected += size * (fires and contender.fires)
            check(f"targets fired until {step}", cloud.fired.total(), expected)
            said.append(f"{step} {took[-1].wall:.2f} s")
        cost = cloud.cpu_seconds()
        bytes_of_state, resources = stack.state_size()
        check("resources in state", resources, size)
        check("statuses", stack.statuses(), _LIKE_OURS.get(contender.name, stack.statuses()))
    known = bench.known.setdefault((contender.name, size), {})
    for (step, _, _), one in zip(STEPS, took, strict=True):
        known.setdefault(step, []).append(round(one.wall, 3))
        for kind, seconds in (("wall", one.wall), ("cpu", one.cpu)):
            kept = into.setdefault(step, {}).setdefault(kind, {})
            kept.setdefault(contender.name, []).append(round(seconds, 3))
    into.setdefault("state_bytes", {})[contender.name] = round(bytes_of_state / size)
    return f"{', '.join(said)} (of that, the cloud's own: {cost:.2f} s)"


def _findings(measured: Measured) -> list[Finding]:
    found = []
    for size, by_step in measured.items():
        for step, _, _ in STEPS:
            wall = by_step.get(step, {}).get("wall", {})
            what = f"{step} of {size} resources"
            if "plugin" not in wall or "null" not in wall:
                found.append(Finding(what, f"≤ {TARGET:.2f} × null plugin", "not measured"))
                continue
            ratio = ratios(wall["plugin"], wall["null"])
            others = ""
            if floor := wall.get("floor"):
                names = [name for name in CONTENDERS if name in wall and name != "floor"]
                parts = [f"{CONTENDERS[name].title} {ratios(wall[name], floor).median:.1f}" for name in names]
                others = f"÷ floor: {', '.join(parts)}"
            figure = f"{ratio.text()} × null plugin"
            found.append(Finding(what, f"≤ {TARGET:.2f} × null plugin", figure, ratio.median <= TARGET, others))
    return found


def _details(measured: Measured) -> str:
    parts = []
    for size, by_step in measured.items():
        lines = []
        for step, _, _ in STEPS:
            wall, cpu = (by_step.get(step, {}).get(kind, {}) for kind in ("wall", "cpu"))
            for name in [name for name in CONTENDERS if name in wall]:
                of = [ratios(wall[name], wall[base]).text() if base in wall else "" for base in ("null", "floor")]
                lines.append(
                    [
                        step,
                        CONTENDERS[name].title,
                        Spread.of(wall[name]).text(),
                        *(figure if name != base else "1" for figure, base in zip(of, ("null", "floor"), strict=True)),
                        f"{Spread.of(cpu[name]).median:.1f}",
                        str(len(wall[name])),
                    ]
                )
        head = ("step", f"{size} resources", "seconds", "÷ null plugin", "÷ floor", "processor seconds", "rounds")
        sizes = by_step.get("state_bytes", {})
        state = ", ".join(f"{CONTENDERS[name].title} {sizes[name]:,}" for name in CONTENDERS if name in sizes)
        parts += [table(head, lines), wrapped(f"Bytes of state for each of the {size} resources: {state}.")]
    return "\n\n".join(parts)


RESOURCES = Row(
    "a",
    "N resources on a cloud that answers at once",
    """
    Each resource has one DRS job. The first `up` creates all of them, the second has another trigger, the third changes
    nothing. The seconds are of the whole command, with the engine's default of four operations at once for each core.
    The null plugin has the same schema, records outputs of the same size, and does nothing else: no HTTP, no journal,
    no waiting. The floor is as many components, for which no provider is called. pulumi-command replaces a command
    whose trigger has changed. The engine saves all resources whenever it saves one, so that the size of the state of
    each comes to count more than anything else; with 1000 resources that takes it minutes, and the slow contenders are
    left out.
    """,
    ("rounds", "peer_rounds", "many", "many_rounds", "resources"),
    _plan,
    _findings,
    _details,
    parts=True,
)
