"""What the provider costs: every row as ratios, measured in one run with the contenders taking turns.

What there is is written to build/benchmark after each row. A whole run also writes docs/benchmark.json, the page
docs/benchmark.md and the charts beside it. Ends non-zero if something could not be measured; a target that is missed is
told and is no failure.
"""

from __future__ import annotations

import argparse
import signal
import sys
import time
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

from benchmark import record, report
from benchmark.bench import QUICK, Bench, BenchError, Failure, Progress, Scale
from benchmark.contenders import CONTENDERS, absent
from benchmark.engine import ROOT
from benchmark.machine import cores, facts, in_use
from benchmark.profile import profile
from benchmark.rows import ROWS
from rich.console import Console

BUILD, DOCS = ROOT / "build/benchmark", ROOT / "docs"


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="fewer and smaller runs: minutes instead of an hour")
    parser.add_argument("--rows", default=",".join(ROWS), help=f"only these rows (default {','.join(ROWS)})")
    parser.add_argument("--only", default=",".join(CONTENDERS), help=f"only these contenders ({','.join(CONTENDERS)})")
    parser.add_argument("--rounds", type=int, help="how often each contender runs")
    parser.add_argument("--many-rounds", type=int, help="how often they run with 1000 resources and more")
    parser.add_argument("--n", help="how many resources there are in row a, such as 300,1000")
    parser.add_argument("--merge", type=Path, metavar="FILE", help="put the rows into what this JSON file holds")
    parser.add_argument("--out", type=Path, default=BUILD, help="where to write (default build/benchmark)")
    parser.add_argument("--into-docs", action="store_true", help="write to docs/ also what is no whole run")
    parser.add_argument("--page", action="store_true", help="measure nothing; make docs/ anew from docs/benchmark.json")
    parser.add_argument("--profile", type=int, metavar="N", help="only show where the plugin's time goes in row a")
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Measure, print and write. Returns the exit code."""
    asked = parser()
    options = asked.parse_args(arguments)
    for name, known in (("rows", ROWS), ("only", CONTENDERS)):
        chosen = getattr(options, name).split(",")
        if unknown := [one for one in chosen if one not in known]:
            asked.error(f"--{name}: there is no {', '.join(unknown)}; there are {', '.join(known)}")
        setattr(options, name, chosen)
    signal.signal(signal.SIGTERM, _interrupt)
    # A shell lets what it starts in the background ignore interrupts, and so would the engine and its children: it ends
    # them by an interrupt, and waits five seconds for those that do not listen.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        if options.page:
            return _publish(record.read(DOCS / record.FILE), DOCS)
        with Bench.opened(scale_of(options), options.only) as bench:
            if options.profile:
                profile(bench, options.profile, options.out / "profile")
                return 0
            return _measure(bench, options)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"bench: interrupted; what was measured is in {options.out}", file=sys.stderr)
        return 130


def scale_of(options: argparse.Namespace) -> Scale:
    """How much is measured, by the options."""
    scale = QUICK if options.quick else Scale()
    if options.rounds:
        scale = replace(scale, rounds=options.rounds)
    if options.many_rounds:
        scale = replace(scale, many_rounds=options.many_rounds)
    if options.n:
        sizes = tuple(map(int, options.n.split(",")))
        grown = tuple(size for size in scale.growth_resources if size <= max(sizes))
        scale = replace(scale, resources=sizes, growth_resources=grown)
    return scale


def _measure(bench: Bench, options: argparse.Namespace) -> int:
    machine = facts(bench.engine)
    found = record.document(machine, absent())
    if options.merge:
        found = record.read(options.merge, machine)
    if (used := in_use()) > report.BUSY * cores():
        print(f"The machine is busy ({used:g} of {cores()} cores): the figures will be worth little.", flush=True)
    found = measured(bench, options.rows, found, options.out)
    console = Console(width=None if sys.stdout.isatty() else 160)
    report.show(found, console)
    console.print(f"measured in {bench.progress.seconds / 60:.0f} min")
    code = _publish(found, options.out)
    if record.is_whole(found) or options.into_docs:
        code = max(code, _publish(found, DOCS))
    return max(code, 1 if bench.failures else 0)


def measured(bench: Bench, letters: list[str], found: dict[str, Any], folder: Path) -> dict[str, Any]:
    """Measure rows and add them to what was found before; it is written to a folder after each of them."""
    bench.rows = letters
    into: dict[str, dict[str, Any]] = {letter: {} for letter in letters}
    plans = {letter: ROWS[letter].plan(bench, into[letter]) for letter in letters}
    bench.progress = Progress(sum(attempt.cost for plan in plans.values() for attempt in plan))
    for letter, plan in plans.items():
        failed, began, at_first = len(bench.failures), time.monotonic(), in_use()
        bench.carry_out(letter, plan)
        row = {
            "date": datetime.now(UTC).date().isoformat(),
            "minutes": round((time.monotonic() - began) / 60, 1),
            "in_use": at_first,
            "scale": record.scale_as_json(bench.scale, letter),
            "measured": into[letter],
        }
        found = record.with_row(found, letter, row, [_as_json(failure) for failure in bench.failures[failed:]])
        record.write(found, folder)
    return found


def _as_json(failure: Failure) -> dict[str, str]:
    return asdict(failure)


def _publish(found: dict[str, Any], folder: Path) -> int:
    try:
        for file in report.publish(found, folder):
            print(file.relative_to(ROOT) if file.is_relative_to(ROOT) else file)
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    return 0


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
