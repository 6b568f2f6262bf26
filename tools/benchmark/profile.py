"""Where a plugin's time goes: row a without an engine, with py-spy looking into the process.

Each step (create, change, no-op) is sampled on its own, so that start-up is in none of them. What is written can be
opened with speedscope.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.bench import Bench
from benchmark.cloud import Cloud, job
from benchmark.contenders import NULL, PLUGIN, Contender
from benchmark.engine import BenchError, configuration
from benchmark.plugin import PluginProcess

__all__ = ["Profile", "profile", "read_profile"]

RATE = 250
"""Samples a second. The process stands still for each, so that more of them would show themselves."""

AT_ONCE = 8
"""Requests under way, as of an engine on two cores."""

SHOWN = 20

_MACHINERY = re.compile(r"\((<frozen|python\d|main\.py:|cloudretry/plugin/main\.py)")
"""The standard library and the start: under them is everything."""


@dataclass(frozen=True, slots=True)
class Profile:
    """Samples by function: those that ended in it, and those that had it anywhere."""

    samples: int
    inside: Counter[str]
    under: Counter[str]

    def lines(self) -> Iterator[str]:
        """The functions that cost most, as a table."""
        under = Counter({name: count for name, count in self.under.items() if not _MACHINERY.search(name)})
        for title, counted in (("in the function itself", self.inside), ("with all that it calls", under)):
            yield f"    {title}:"
            for name, count in counted.most_common(SHOWN):
                yield f"    {100 * count / max(self.samples, 1):5.1f} %  {name}"


def profile(bench: Bench, size: int, folder: Path) -> None:
    """Print what the plugin spends its time on, write a profile of each step, and compare with the null plugin."""
    folder.mkdir(parents=True, exist_ok=True)
    for contender in (NULL, PLUGIN):
        for step, plugin, carry_out in _steps(bench, contender, size):
            used, began = plugin.cpu_seconds, time.perf_counter()
            carry_out()
            cpu, wall = plugin.cpu_seconds - used, time.perf_counter() - began
            print(
                f"{contender.title}, {step} of {size}: {1000 * cpu / size:.2f} ms of processor time each, "
                f"{wall:.1f} s in all",
                flush=True,
            )
    for step, plugin, carry_out in _steps(bench, PLUGIN, size):
        file = folder / f"{step}.speedscope.json"
        with _sampled(plugin.pid, file):
            carry_out()
        print("\n".join((f"{step}:", *read_profile(file).lines())), flush=True)
    print(f"The profiles are in {folder}; speedscope shows them.")


def inputs_of(number: int, trigger: str) -> dict[str, Any]:
    """The inputs of one of many resources."""
    return {"jobs": [{"jobId": job(number)}], "triggers": {"release": trigger}}


def _steps(bench: Bench, contender: Contender, size: int) -> Iterator[tuple[str, PluginProcess, Callable[[], None]]]:
    """The steps of row a, as the requests that an engine sends for them."""
    with Cloud() as cloud, bench.plugin(contender) as plugin:
        plugin.configure(configuration(cloud.url))
        plugin.check("warm-up", inputs_of(size, "one"))
        for step, one in _requests(plugin).items():
            yield step, plugin, partial(_all, one, range(size))


def _requests(plugin: PluginProcess) -> dict[str, Callable[[int], None]]:
    """What is sent for one resource, by step."""
    states: dict[int, dict[str, Any]] = {}

    def create(number: int) -> None:
        plugin.check(f"retry-{number}", inputs_of(number, "one"))
        states[number] = plugin.create(f"retry-{number}", inputs_of(number, "one"))

    def change(number: int) -> None:
        plugin.check(f"retry-{number}", inputs_of(number, "two"))
        plugin.diff(f"retry-{number}", states[number], inputs_of(number, "two"))
        states[number] = plugin.update(f"retry-{number}", states[number], inputs_of(number, "two"))

    def same(number: int) -> None:
        plugin.check(f"retry-{number}", inputs_of(number, "two"))
        plugin.diff(f"retry-{number}", states[number], inputs_of(number, "two"))

    return {"create": create, "change": change, "no-op": same}


def _all(one: Callable[[int], None], numbers: Sequence[int]) -> None:
    with ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(one, numbers))


@contextmanager
def _sampled(pid: int, file: Path) -> Iterator[None]:
    """Let py-spy look into a process meanwhile. Raises BenchError if it may not."""
    py_spy = Path(sys.executable).with_name("py-spy")
    if not py_spy.exists():
        raise BenchError("there is no py-spy, which `make bench` installs")
    sampler = subprocess.Popen(
        [
            py_spy,
            "record",
            f"--pid={pid}",
            f"--rate={RATE}",
            "--duration=3600",
            "--format=speedscope",
            "--gil",
            "--function",
            f"--output={file}",
        ],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert sampler.stdout is not None
    with sampler, sampler.stdout:
        first = sampler.stdout.readline()
        if "Sampling" not in first:
            raise BenchError(
                f"py-spy cannot look into the plugin: {(first + sampler.stdout.read()).strip()}\n"
                "On Linux it needs root, or kernel.yama.ptrace_scope=0"
            )
        try:
            yield
        finally:
            sampler.send_signal(signal.SIGINT)
            sampler.stdout.read()


def read_profile(file: Path) -> Profile:
    """What a file in speedscope's format counts."""
    document = json.loads(file.read_text(encoding="utf-8"))
    names = [f"{frame['name']} ({_short(frame['file'])}:{frame['line']})" for frame in document["shared"]["frames"]]
    samples, inside, under = 0, Counter[str](), Counter[str]()
    for thread in document["profiles"]:
        for stack in thread["samples"]:
            if stack:
                samples += 1
                inside[names[stack[-1]]] += 1
                under.update({names[frame] for frame in stack})
    return Profile(samples, inside, under)


def _short(file: str) -> str:
    """A path from the package on."""
    for before, mark in (("site-packages/", ""), ("provider/", ""), ("lib/", "python")):
        _, found, rest = file.rpartition(before + mark)
        if found:
            return mark + rest
    return file
