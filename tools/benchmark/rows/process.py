"""Row f: the plugin's process: how soon it answers, and what it holds."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benchmark.bench import Attempt, Bench, BenchError, check, turns
from benchmark.cloud import LOOK, Cloud, job
from benchmark.contenders import NULL, PLUGIN
from benchmark.engine import configuration
from benchmark.figures import Spread
from benchmark.plugin import plugin_command
from benchmark.rows.row import Finding, Measured, Row, table

__all__ = ["IDLE", "PROCESS", "START", "WAITING"]

START = 0.35
"""Seconds from the start of the process to its port."""

IDLE, WAITING = 70, 120
"""Megabytes, configured and with all the waiters."""

FOREVER = 3600.0
"""Seconds that a retry takes that nobody waits out."""

PATIENCE = 300.0
"""Seconds for all waiters to be there."""

_TITLES = {"plugin": PLUGIN.title, "null": NULL.title, "dynamic": "`pulumi.dynamic`'s server"}


def _plan(bench: Bench, into: dict[str, Any]) -> list[Attempt]:
    scale = bench.scale
    into |= {"waiters": scale.waiters, "port": {}, "answer": {}, "idle": {}, "waiting": [], "threads": []}
    who = [name for name in _TITLES if name in bench.only]
    starts = [
        Attempt(name, f"start of {_TITLES[name]}", 1.5, partial(_start, bench, name, into))
        for name in turns([(name, scale.starts) for name in who])
    ]
    waits = [
        Attempt(
            "waiting",
            f"{scale.waiters} waiters in one plugin",
            3 + 0.02 * scale.waiters,
            partial(_wait, bench, scale.waiters, into),
        )
    ] * (scale.waiter_rounds if bench.takes_part(PLUGIN) else 0)
    return [*starts, *waits]


def _start(bench: Bench, name: str, into: dict[str, Any]) -> str:
    command = {"plugin": plugin_command(PLUGIN), "null": plugin_command(NULL)}.get(
        name, ("pulumi-resource-pulumi-python", "127.0.0.1:1")
    )
    with bench.plugin_of(command) as plugin:
        version = plugin.info()
        answered = time.perf_counter() - plugin.started
        if not version:
            raise BenchError("it tells no version")
        if name != "dynamic":
            with Cloud() as cloud:
                plugin.configure(configuration(cloud.url))
        resident = plugin.resident_bytes / 1e6
        port = plugin.seconds
    for key, value in (("port", port), ("answer", answered), ("idle", resident)):
        into[key].setdefault(name, []).append(round(value, 3))
    return f"port after {port:.2f} s, first answer after {answered:.2f} s, {resident:.0f} MB"


def _wait(bench: Bench, waiters: int, into: dict[str, Any]) -> str:
    with Cloud(FOREVER) as cloud, bench.plugin(PLUGIN) as plugin:
        plugin.configure(configuration(cloud.url))
        under_way = [
            plugin.creating(f"retry-{number}", {"jobs": [{"jobId": job(number)}]}) for number in range(waiters)
        ]
        began = time.monotonic()
        while cloud.fired.total() < waiters or _looked_at(cloud) < waiters:
            if time.monotonic() - began > PATIENCE:
                raise BenchError(f"only {cloud.fired.total()} of {waiters} were fired in {PATIENCE:g} s")
            time.sleep(0.1)
        resident, threads = plugin.resident_bytes / 1e6, plugin.threads
        check("creates that have ended", sum(one.done() for one in under_way), 0)
    into["waiting"].append(round(resident, 3))
    into["threads"].append(threads)
    return f"{resident:.0f} MB, {threads} threads"


def _looked_at(cloud: Cloud) -> int:
    """How many looks there were at a target since the last fire: all of them wait when each was seen."""
    calls, looks = list(cloud.calls), 0
    for call in reversed(calls):
        if call.operation != LOOK:
            break
        looks += call.targets
    return looks


def _findings(measured: Measured) -> list[Finding]:
    def finding(what: str, target: float, unit: str, values: Any, digits: int, others: Any = None) -> Finding:
        bound = f"≤ {target:g} {unit}"
        if not values:
            return Finding(what, bound, "not measured")
        spread = Spread.of(values)
        beside = [
            f"{_TITLES[name]} {Spread.of(others[name]).median:.{digits}f} {unit}"
            for name in _TITLES
            if name != "plugin" and others and name in others
        ]
        return Finding(what, bound, spread.text(unit, digits=digits), spread.median <= target, ", ".join(beside))

    port, answer, idle = (measured[key] for key in ("port", "answer", "idle"))
    found = [finding("plugin: process start to port", START, "s", port.get("plugin"), 2, port)]
    if values := answer.get("plugin"):
        beside = [
            f"{_TITLES[name]} {Spread.of(answer[name]).median:.2f} s"
            for name in _TITLES
            if name != "plugin" and name in answer
        ]
        found.append(
            Finding("plugin: process start to first answer", "", Spread.of(values).text("s"), None, ", ".join(beside))
        )
    waiters = measured["waiters"]
    found.append(finding("plugin: memory, configured and idle", IDLE, "MB", idle.get("plugin"), 0, idle))
    found.append(finding(f"plugin: memory with {waiters:,} waiters", WAITING, "MB", measured["waiting"], 0))
    return found


def _details(measured: Measured) -> str:
    lines = [
        [
            _TITLES[name],
            Spread.of(measured["port"][name]).text(),
            Spread.of(measured["answer"][name]).text(),
            Spread.of(measured["idle"][name]).text(digits=0),
            str(len(measured["port"][name])),
        ]
        for name in _TITLES
        if name in measured["port"]
    ]
    parts = [table(("", "seconds to the port", "seconds to the first answer", "MB idle", "rounds"), lines)]
    if measured["waiting"]:
        parts.append(
            f"With {measured['waiters']:,} waiters: {Spread.of(measured['waiting']).text('MB', digits=0)}, "
            f"{max(measured['threads'])} threads."
        )
    return "\n\n".join(parts)


PROCESS = Row(
    "f",
    "The plugin's process",
    """
    Started as the engine starts it, from the start of the process until its port is read and until it has told its
    version, which takes what is imported late. The memory is what is resident of all its processes, in megabytes
    (10⁶ bytes): once it is configured, and while so many creates of one target each wait in it, all of them fired
    and each looked at since.
    """,
    ("starts", "waiters", "waiter_rounds"),
    _plan,
    _findings,
    _details,
)
