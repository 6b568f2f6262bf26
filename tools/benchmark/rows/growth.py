"""Row g: what a target costs as there are more of them."""

from __future__ import annotations

from functools import partial
from typing import Any

from benchmark.bench import Attempt, Bench, check, turns
from benchmark.cloud import Cloud
from benchmark.contenders import FLOOR, NULL, PLUGIN, Contender
from benchmark.figures import Spread, rounded
from benchmark.rows.row import Finding, Measured, Row, table

__all__ = ["GROWTH", "LINES", "for_each"]

LINES = {
    "batch": "cloudretry, one resource of N targets",
    "plugin": "cloudretry, N resources",
    "null": "null plugin, N resources",
    "floor": "N components (the floor)",
}

STEPS = (("create", "one"), ("no-op", "one"))

_COST = {"batch": (1.5e-3, 0.0), "plugin": (0.07, 2e-4), "null": (0.03, 2e-4), "floor": (0.01, 1e-5)}
"""Seconds for each target, and for each pair of them."""


def _plan(bench: Bench, into: dict[str, Any]) -> list[Attempt]:
    scale = bench.scale
    into |= {"lines": {}, "empty": {step: [] for step, _ in STEPS}}
    shapes: list[tuple[str, Contender, int]] = [("empty", FLOOR, 0)]
    shapes += [("batch", PLUGIN, size) for size in scale.growth_targets]
    shapes += [(one.name, one, size) for size in scale.growth_resources for one in (PLUGIN, NULL, FLOOR)]
    wanted = [
        (shape, 1 if shape[0] != "batch" and shape[2] >= scale.many else scale.growth_rounds)
        for shape in shapes
        if bench.takes_part(shape[1])
    ]
    return [
        Attempt(
            f"{line} {size}",
            f"{LINES[line].replace('N', str(size), 1)}" if line in LINES else "an empty program",
            _cost(bench, line, size),
            partial(_measure, bench, line, contender, size, into),
        )
        for line, contender, size in turns(wanted)
    ]


def _cost(bench: Bench, line: str, size: int) -> float:
    if line != "batch" and "a" in bench.rows and size in bench.scale.resources:
        return 0.0
    each, pair = _COST.get(line, (0.0, 0.0))
    return 5 + each * size + pair * size * size


def _measure(bench: Bench, line: str, contender: Contender, size: int, into: dict[str, Any]) -> str:
    if line != "batch" and (known := bench.known.get((contender.name, size))):
        into["lines"].setdefault(line, {})[str(size)] = {step: list(known[step]) for step, _ in STEPS}
        return "as in row a"
    resources, targets = (1, size) if line == "batch" else (size, 1)
    took = {}
    with Cloud() as cloud, bench.stack(contender, cloud, resources=resources, targets=targets) as stack:
        for step, trigger in STEPS:
            took[step] = stack.up(trigger).wall
            check(f"targets fired until {step}", cloud.fired.total(), size * contender.fires)
        check("resources in state", stack.state_size()[1], resources)
    for step, seconds in took.items():
        kept = into["empty"][step] if line == "empty" else into["lines"].setdefault(line, {}).setdefault(str(size), {})
        (kept if isinstance(kept, list) else kept.setdefault(step, [])).append(round(seconds, 3))
    return ", ".join(f"{step} {seconds:.2f} s" for step, seconds in took.items())


def for_each(measured: Measured, line: str, step: str) -> dict[int, Spread]:
    """Milliseconds for each target, by N: what a step takes more than that of an empty program, shared out."""
    if not measured["empty"][step]:
        return {}
    least = Spread.of(measured["empty"][step]).median
    return {
        int(size): Spread.of([1000 * (seconds - least) / int(size) for seconds in by_step[step]])
        for size, by_step in measured["lines"].get(line, {}).items()
    }


def _findings(measured: Measured) -> list[Finding]:
    found = []
    for line in ("batch", "plugin"):
        for step, _ in STEPS:
            cost = for_each(measured, line, step)
            figures = [f"{rounded(spread.median)} of {size:,}" for size, spread in cost.items()]
            if figures:
                what = f"{LINES[line].removeprefix('cloudretry, ')}, {step}: ms for each target"
                found.append(Finding(what, "", ", ".join(figures)))
    return found


def _details(measured: Measured) -> str:
    lines = []
    for line, title in LINES.items():
        cost = {step: for_each(measured, line, step) for step, _ in STEPS}
        for size in cost["create"]:
            seconds = [Spread.of(measured["lines"][line][str(size)][step]) for step, _ in STEPS]
            lines.append(
                [
                    title,
                    f"{size:,}",
                    *(one.text() for one in seconds),
                    *(rounded(cost[step][size].median) for step, _ in STEPS),
                    str(seconds[0].count),
                ]
            )
    head = ("", "N", "create, s", "no-op, s", "create, ms for each", "no-op, ms for each", "rounds")
    empty = [f"{step} {Spread.of(measured['empty'][step]).text('s')}" for step, _ in STEPS if measured["empty"][step]]
    return f"{table(head, lines)}\n\nAn `up` of an empty program: {', '.join(empty)}."


GROWTH = Row(
    "g",
    "Cost as N grows",
    """
    Whole `up`s on a cloud that answers at once, and what they take more than that of an empty program, shared out
    among the targets. As many resources as row a has are not measured again.
    """,
    ("growth_targets", "growth_resources", "growth_rounds", "many"),
    _plan,
    _findings,
    _details,
)
