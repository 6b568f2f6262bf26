"""Row e: what a target costs in the state."""

from __future__ import annotations

import itertools
from functools import partial
from typing import Any

from benchmark.bench import Attempt, Bench, check
from benchmark.cloud import Cloud
from benchmark.contenders import PLUGIN
from benchmark.rows.row import Finding, Measured, Row, table

__all__ = ["STATE", "TARGET"]

TARGET = 300
"""Bytes for each target."""

UNEVEN = 1.05
"""It is linear when one more target costs at most so many times in one part of the range what it costs in another."""


def _plan(bench: Bench, into: dict[str, Any]) -> list[Attempt]:
    into["bytes"] = {}
    if not bench.takes_part(PLUGIN):
        return []
    return [
        Attempt(str(size), f"state of {size} targets", 4 + 1.5e-3 * size, partial(_measure, bench, size, into))
        for size in bench.scale.growth_targets
    ]


def _measure(bench: Bench, size: int, into: dict[str, Any]) -> str:
    with Cloud() as cloud, bench.stack(PLUGIN, cloud, resources=1, targets=size) as stack:
        stack.up("one")
        check("targets fired", (set(cloud.fired.values()), len(cloud.fired)), ({1}, size))
        check("statuses", stack.statuses(), {"Succeeded"})
        found, _ = stack.state_size()
    into["bytes"][str(size)] = found
    return f"{found:,} bytes, {found / size:.0f} for each"


def _slopes(measured: Measured) -> list[float]:
    """Bytes of one more target, between each size and the next."""
    sizes = sorted((int(size), found) for size, found in measured["bytes"].items())
    return [(more - less) / (many - few) for (few, less), (many, more) in itertools.pairwise(sizes)]


def _findings(measured: Measured) -> list[Finding]:
    slopes = _slopes(measured)
    if not slopes:
        return [Finding("state for each target that succeeded", f"≤ {TARGET} bytes", "not measured")]
    each = [f"{found / int(size):.0f} of {int(size):,}" for size, found in measured["bytes"].items()]
    return [
        Finding(
            "state for each target that succeeded, inputs included",
            f"≤ {TARGET} bytes",
            f"{max(slopes):.0f} bytes",
            max(slopes) <= TARGET,
            f"whole resource, for each target: {', '.join(each)}",
        ),
        Finding(
            "the same as the batch grows",
            "linear",
            f"{min(slopes):.0f}–{max(slopes):.0f} bytes for one more",
            max(slopes) <= UNEVEN * min(slopes),
        ),
    ]


def _details(measured: Measured) -> str:
    slopes = ["", *(f"{slope:.1f}" for slope in _slopes(measured))]
    lines = [
        [f"{int(size):,}", f"{found:,}", f"{found / int(size):.0f}", slope]
        for (size, found), slope in zip(measured["bytes"].items(), slopes, strict=False)
    ]
    return table(("targets", "bytes", "for each target", "for one more since the line above"), lines)


STATE = Row(
    "e",
    "The size of the state",
    """
    One `JobBatchRetry` whose targets have all succeeded, as it stands in the state, as compact JSON: inputs,
    outputs, id and all. What a resource costs by itself is spread over its targets in the third column, and left
    out in the last, by which it is judged.
    """,
    ("growth_targets",),
    _plan,
    _findings,
    _details,
)
