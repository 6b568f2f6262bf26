"""Row c: what many long waits cost the cloud."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from benchmark.bench import Attempt, Bench, check, turns
from benchmark.cloud import LOOK, Cloud
from benchmark.contenders import PLUGIN
from benchmark.figures import Spread, most_within
from benchmark.rows.row import Finding, Measured, Row, table
from cloudretry.actions.drs_job import DrsJobBatchRetry

__all__ = ["POLLS"]

PARALLEL = 1000

_KINDS = {"fixed": "cloudretry, `pollInterval` set", "adaptive": "cloudretry, by default"}


def _plan(bench: Bench, into: dict[str, Any]) -> list[Attempt]:
    scale = bench.scale
    into |= {
        "resources": scale.watched,
        "seconds": scale.watch_seconds,
        "parallel": PARALLEL,
        "interval": scale.watch_interval,
        "page": DrsJobBatchRetry.look_size,
    }
    if not bench.takes_part(PLUGIN):
        return []
    return [
        Attempt(
            kind,
            f"{scale.watched} waits of {scale.watch_seconds:g} s, {_KINDS[kind]}",
            3 + scale.watch_seconds + 0.05 * scale.watched + 1.8e-4 * scale.watched**2,
            partial(_measure, bench, kind, into),
        )
        for kind in turns([(kind, scale.watch_rounds) for kind in _KINDS])
    ]


def _measure(bench: Bench, kind: str, into: dict[str, Any]) -> str:
    size = into["resources"]
    with Cloud(into["seconds"]) as cloud, bench.stack(PLUGIN, cloud, resources=size) as stack:
        if kind == "fixed":
            stack.configure({"pollInterval": f"{into['interval']:g}s"})
        took = stack.up("one", f"--parallel={PARALLEL}")
        check("targets fired", cloud.fired.total(), size)
        check("resources in state", stack.state_size()[1], size)
        looks = [call for call in cloud.calls if call.operation == LOOK]
    seen = {
        "wall": round(took.wall, 3),
        "calls": len(looks),
        "targets": sum(call.targets for call in looks),
        "most_in_an_interval": most_within([call.at for call in looks], into["interval"]),
    }
    into.setdefault(kind, []).append(seen)
    return f"{took.wall:.2f} s, {seen['calls']} status calls for {seen['targets']} looks"


def _findings(measured: Measured) -> list[Finding]:
    size, interval = measured["resources"], measured["interval"]
    most = math.ceil(size / measured["page"]) + 1
    what = f"{size} waits × {measured['seconds']:g} s: status calls in any {interval:g} s, its poll interval"
    target = f"≤ ⌈N/{measured['page']}⌉ + 1 = {most}"
    if not measured.get("fixed"):
        return [Finding(what, target, "not measured")]
    counted = Spread.of([one["most_in_an_interval"] for one in measured["fixed"]])
    found = [
        Finding(
            what,
            target,
            counted.text(digits=0),
            counted.median <= most,
            f"one call for each resource would be {size} in an interval",
        )
    ]
    if adaptive := measured.get("adaptive"):
        calls, looks = (Spread.of([one[name] for one in adaptive]) for name in ("calls", "targets"))
        found.append(
            Finding(
                f"{size} waits × {measured['seconds']:g} s, by default: status calls in all",
                "",
                calls.text(digits=0),
                None,
                f"one call for each look would be {looks.median:,.0f}",
            )
        )
    return found


def _details(measured: Measured) -> str:
    lines = [
        [
            _KINDS[kind],
            *(
                Spread.of([one[name] for one in runs]).text(digits=digits)
                for name, digits in (("wall", 1), ("calls", 0), ("targets", 0), ("most_in_an_interval", 0))
            ),
        ]
        for kind in _KINDS
        if (runs := measured.get(kind))
    ]
    head = ("", "seconds", "status calls", "looks at a target", f"most calls in any {measured['interval']:g} s")
    return table(head, lines)


POLLS = Row(
    "c",
    "Many long waits: what the cloud is asked",
    """
    The first `up` of resources with one DRS job each, counted in the cloud's own log. Once with `pollInterval` set,
    so that there is an interval to count in (the most that there were in any span of that length), and once by
    default, where each wait looks often at first and seldom later. A status call of DRS takes up to 100 jobs.
    """,
    ("watched", "watch_seconds", "watch_interval", "watch_rounds"),
    _plan,
    _findings,
    _details,
)
