"""The chaos matrix: kills, interrupts, faults, full disks, clock jumps and corrections of the program against real
processes; then the effects are counted.

Every run ends with `up` until it is green. It fails if a target was retried more often than somebody had asked for, if
something asked for was called done without a retry, if the state lost an outcome, or if an `up` failed and did not say
why. The same seed makes the same choices; what the machine
makes of them may differ by milliseconds, so each kill is reported with the phase that it really met.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from chaosmatrix.cases import LANES, Case, case_named, cases
from chaosmatrix.drivers import make_template
from chaosmatrix.judge import Verdict, judge
from chaosmatrix.play import Played, play

RUNS, SEED = 1000, "1"
JOBS = {"engine": 3, "wire": 6}
"""How many runs go on at once, by driver. Most of a run is waiting; an engine costs more than a plugin."""


@dataclass(frozen=True, slots=True)
class Finished:
    """A run and its verdict."""

    case: Case
    played: Played
    verdict: Verdict


def main() -> int:
    """Run the matrix. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="chaos", description=__doc__)
    parser.add_argument("--seed", default=SEED, help=f"what decides every choice (default {SEED})")
    parser.add_argument("--runs", type=int, default=RUNS, help=f"how many runs (default {RUNS})")
    parser.add_argument("--only", default="", help="only these cases, such as wire-17,dynamic-3")
    parser.add_argument("--kind", default="", help="only cases whose description holds this text")
    parser.add_argument("--jobs", default="", help="runs at once, as engine,wire (default 3,6)")
    parser.add_argument("--json", type=Path, help="write everything that is known of every run here")
    parser.add_argument("--story", action="store_true", help="print the story of every run, not only of the bad ones")
    parser.add_argument(
        "--without-journal", action="store_true", help="switch the journal off, to see what it keeps from happening"
    )
    options = parser.parse_args()
    try:
        named = [name for name in options.only.split(",") if name]
        chosen = [case_named(options.seed, name) for name in named] if named else cases(options.seed, options.runs)
    except ValueError as error:
        parser.error(str(error))
    chosen = [case for case in chosen if options.kind in str(case)]
    jobs = dict(zip(JOBS, map(int, options.jobs.split(",")), strict=True)) if options.jobs else JOBS
    began = time.monotonic()
    finished = []
    for done in played(chosen, jobs, with_journal=not options.without_journal):
        finished.append(done)
        tell(done, f"{len(finished)}/{len(chosen)}", options.story)
    print(report(finished, options.seed, time.monotonic() - began))
    if options.json:
        options.json.write_text(json.dumps([as_json(done) for done in finished], indent=1), encoding="utf-8")
    return 0 if all(done.verdict.good for done in finished) else 1


def played(chosen: list[Case], jobs: dict[str, int], *, with_journal: bool) -> Iterator[Finished]:
    """The cases as they finish, each driver's in processes of its own."""
    # An emulator is threads, and threads do not survive a fork.
    context = multiprocessing.get_context("spawn")
    folder = Path(tempfile.mkdtemp(prefix="cloudretry-chaos-"))
    try:
        template = make_template(folder) if any(case.driver == "engine" for case in chosen) else None
        with ExitStack() as pools:
            futures: dict[Future[Finished], Case] = {}
            for kind, workers in jobs.items():
                mine = [case for case in chosen if case.driver == kind]
                if mine:
                    pool = pools.enter_context(ProcessPoolExecutor(min(workers, len(mine)), context))
                    futures |= {
                        pool.submit(one, case, folder / case.name, template, with_journal): case for case in mine
                    }
            for future in as_completed(futures):
                yield future.result()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def one(case: Case, folder: Path, template: Any, with_journal: bool) -> Finished:
    """Play and judge a case."""
    done = play(case, folder, template, with_journal=with_journal)
    return Finished(case, done, judge(done))


def tell(done: Finished, place: str, with_story: bool) -> None:
    """Print a line of a run, and its story if it went wrong."""
    verdict = done.verdict
    words = "ok" if verdict.good else "BAD"
    print(f"{place:>8} {words:3} {done.played.seconds:6.1f} s  {done.case}: {verdict.ended}", flush=True)
    for kind, found in (
        ("duplicate", verdict.duplicates),
        ("swallowed", verdict.swallowed),
        ("lost", verdict.lost),
        ("unexplained", verdict.unexplained),
    ):
        for line in found:
            print(f"         {kind}: {line}", flush=True)
    if with_story or not verdict.good:
        print("\n".join(f"         | {line}" for text in done.played.story for line in text.splitlines()), flush=True)


def report(finished: list[Finished], seed: str, seconds: float) -> str:
    """The table at the end."""
    lanes = Counter(done.case.name.partition("-")[0] for done in finished)
    engine = sum(count for lane, count in lanes.items() if LANES[lane][0] == "engine")
    rows: list[tuple[str, object]] = [
        ("seed", seed),
        ("runs", len(finished)),
        ("  on the real engine", engine),
        ("  raw gRPC to the real plugin process", len(finished) - engine),
    ]
    rows += _counted("  of lane ", lanes)
    rows += _counted("  ", Counter(done.case.action for done in finished))
    rows += _counted("  ", Counter(done.case.operation for done in finished))
    rows += _counted("  ended: ", Counter(done.verdict.ended for done in finished))
    kills = [kill for done in finished for kill in done.played.kills]
    rows += [("kills that hit", len(kills))]
    rows += _counted("  of ", Counter({"both": "engine and plugin"}.get(kill.victim, kill.victim) for kill in kills))
    rows += _counted("  ", Counter(kill.phase for kill in kills))
    rows += [("instants that were missed", sum(done.played.missed for done in finished))]
    rows += [("requests that met a fault", sum(done.played.faults for done in finished))]
    families = Counter(done.case.trouble.name for done in finished if done.case.trouble.kind != "kill")
    rows += _counted("  runs with ", families)
    rows += _counted("  then ", Counter(done.case.change for done in finished if done.case.change))
    disks = Counter(done.played.disk_full for done in finished if done.played.disk_full)
    rows += _counted("  disk filled by ", disks)
    rows += [("`pulumi up`s", sum(len(done.played.ups) for done in finished))]
    rows += [("fires that were asked for", sum(len(done.played.asks) for done in finished))]
    rows += [("effects", sum(sum(done.played.counted.values()) for done in finished))]
    rows += [("doubts that were cleared by hand", sum(done.played.doubts for done in finished))]
    rows += [("drafts left in the journal", sum(len(done.played.litter) for done in finished))]
    rows += [
        ("duplicate fires", sum(len(done.verdict.duplicates) for done in finished)),
        ("swallowed fires", sum(len(done.verdict.swallowed) for done in finished)),
        ("lost outcomes", sum(len(done.verdict.lost) for done in finished)),
        ("unexplained failures", sum(len(done.verdict.unexplained) for done in finished)),
        ("bad runs", " ".join(done.case.name for done in finished if not done.verdict.good) or "none"),
        ("minutes", f"{seconds / 60:.1f}"),
    ]
    width = max(len(name) for name, _ in rows)
    return "\n".join(["", *(f"{name:{width}}  {value}" for name, value in rows)])


def _counted(prefix: str, count: Counter[str]) -> list[tuple[str, object]]:
    return [(f"{prefix}{name}", number) for name, number in sorted(count.items())]


def as_json(done: Finished) -> dict[str, Any]:
    """Everything that is known of a run."""
    known = asdict(done.played)
    return {"case": str(done.case), **known, "verdict": asdict(done.verdict)}


if __name__ == "__main__":
    sys.exit(main())
