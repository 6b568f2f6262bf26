"""Row d: one resource of many DRS jobs, against a loop around `requests` that sends the same calls."""

from __future__ import annotations

import json
import subprocess
import sys
from functools import partial
from typing import Any

from benchmark import bare_loop
from benchmark.bench import Attempt, Bench, BenchError, check, turns
from benchmark.cloud import PROJECT, Cloud, job
from benchmark.contenders import PLUGIN
from benchmark.engine import configuration
from benchmark.figures import Spread, ratios
from benchmark.rows.row import Finding, Measured, Row, table
from cloudretry.actions.drs_job import DrsJobBatchRetry
from cloudretry.config import ProviderConfig

__all__ = ["BATCH", "TARGET"]

TARGET = 1.3
"""At most so many times what the bare loop takes."""

_TITLES = {"plugin": PLUGIN.title, "loop": "bare loop"}
_COST = {"plugin": 1.2e-3, "loop": 0.8e-3}


def _plan(bench: Bench, into: dict[str, Any]) -> list[Attempt]:
    size = bench.scale.batch
    into |= {"jobs": size, "latencies": {}}
    if not bench.takes_part(PLUGIN):
        return []
    return [
        Attempt(
            f"{latency} {who}",
            f"{size} jobs in a batch, answers after {1000 * latency:g} ms, {_TITLES[who]}",
            2 + size * (_COST[who] + latency / 30),
            partial(_measure, bench, who, latency, size, into),
        )
        for latency in bench.scale.batch_latencies
        for who in turns([(who, bench.scale.rounds) for who in _TITLES])
    ]


def _measure(bench: Bench, who: str, latency: float, size: int, into: dict[str, Any]) -> str:
    with Cloud(latency=latency) as cloud:
        took = (_plugin if who == "plugin" else _loop)(bench, cloud, size)
        fired = set(cloud.fired.values()), len(cloud.fired)
        check("jobs, and how often each was fired", fired, ({1}, size))
        calls = dict(cloud.counted())
    kept = into["latencies"].setdefault(f"{1000 * latency:g}", {"wall": {}, "calls": {}})
    kept["wall"].setdefault(who, []).append(round(took, 3))
    kept["calls"].setdefault(who, []).append(calls)
    return f"{took:.2f} s, {calls}"


def _plugin(bench: Bench, cloud: Cloud, size: int) -> float:
    """Seconds of one Create, in a plugin that is started and configured."""
    with bench.plugin(PLUGIN) as plugin:
        plugin.configure(configuration(cloud.url))
        # What is imported once is no part of a batch; it is in the other rows.
        plugin.check("warm-up", {"jobs": [{"jobId": job(size)}]})
        inputs = {"jobs": [{"jobId": job(number)} for number in range(size)]}
        outputs, took = plugin.timed_create("batch", inputs)
    check("status of the batch", outputs["status"], "Succeeded")
    return took


def _loop(bench: Bench, cloud: Cloud, size: int) -> float:
    """Seconds that the bare loop says it took, without its own start."""
    action = DrsJobBatchRetry
    task = {
        "project": f"{cloud.url}/v3/{PROJECT}",
        "token": "none",
        "jobs": [job(number) for number in range(size)],
        "fire_size": action.fire_size,
        "fires_at_once": action.fires_at_once,
        "look_size": action.look_size,
        "looks_at_once": ProviderConfig.model_fields["max_concurrent_requests"].default,
    }
    command = [sys.executable, bare_loop.__file__]
    environment = bench.engine.environment(bench.folder)
    with bench.leash.started(command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as loop:
        said, _ = loop.communicate(json.dumps(task))
    if loop.returncode != 0:
        raise BenchError("the bare loop failed; its own words are above")
    return float(said)


def _findings(measured: Measured) -> list[Finding]:
    found = []
    for latency, kept in measured["latencies"].items():
        what = f"one resource of {measured['jobs']:,} DRS jobs, {_cloud(latency)}"
        target, wall = f"≤ {TARGET} × bare loop", kept["wall"]
        if wall.keys() < _TITLES.keys():
            found.append(Finding(what, target, "not measured"))
            continue
        ratio = ratios(wall["plugin"], wall["loop"])
        seconds = [f"{_TITLES[who]} {Spread.of(wall[who]).median:.2f} s" for who in _TITLES]
        found.append(Finding(what, target, f"{ratio.text()} × bare loop", ratio.median <= TARGET, ", ".join(seconds)))
    return found


def _details(measured: Measured) -> str:
    lines = [
        [
            _cloud(latency),
            _TITLES[who],
            Spread.of(kept["wall"][who]).text(),
            *(f"{Spread.of([one[name] for one in kept['calls'][who]]).median:.0f}" for name in _OPERATIONS),
            str(len(kept["wall"][who])),
        ]
        for latency, kept in measured["latencies"].items()
        for who in _TITLES
        if who in kept["wall"]
    ]
    return table(("the cloud", "", "seconds", "fires", "status calls", "rounds"), lines)


_OPERATIONS = (DrsJobBatchRetry.fires.name, DrsJobBatchRetry.looks.name)


def _cloud(latency: str) -> str:
    return "a cloud that answers at once" if latency == "0" else f"answers after {latency} ms"


BATCH = Row(
    "d",
    "One resource of many targets",
    """
    One `JobBatchRetry`, from the request to the plugin, started and configured, until its answer; against a loop
    around `requests` that keeps its connections, fires ten jobs a call, four calls at once, and asks for a hundred
    jobs a call, eight calls at once, until all are well, as the provider does. The loop keeps no record of what it
    fired, and signs nothing.
    """,
    ("rounds", "batch", "batch_latencies"),
    _plan,
    _findings,
    _details,
)
