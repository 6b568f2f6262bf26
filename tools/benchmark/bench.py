"""What all rows share: how much is measured, where, in which order, and what is told meanwhile."""

from __future__ import annotations

import itertools
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from benchmark.cloud import Cloud
from benchmark.contenders import CONTENDERS, Contender, absent
from benchmark.engine import BenchError, Engine, Stack
from benchmark.leash import Leash
from benchmark.plugin import PluginProcess, plugin_command

__all__ = ["QUICK", "Attempt", "Bench", "BenchError", "Failure", "Progress", "Scale", "turns"]

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured. ``…_seconds`` are those that a retry takes in the cloud; latencies are of an answer.

    The contenders that a target is about run ``rounds`` times, the others ``peer_rounds`` times. With ``many``
    resources, whose checkpoints take the engine minutes, they run ``many_rounds`` times and the others not at all.
    """

    rounds: int = 5
    peer_rounds: int = 1
    many: int = 1000
    many_rounds: int = 1
    resources: Sequence[int] = (300, 1000)
    waits: int = 100
    wait_seconds: float = 1.0
    watched: int = 1000
    watch_seconds: float = 10.0
    watch_interval: float = 2.0
    watch_rounds: int = 1
    batch: int = 10_000
    batch_latencies: Sequence[float] = (0.0, 0.02, 0.1)
    growth_targets: Sequence[int] = (10, 100, 1000, 10_000)
    growth_resources: Sequence[int] = (10, 100, 1000)
    growth_rounds: int = 3
    starts: int = 20
    waiters: int = 1000
    waiter_rounds: int = 3
    warm_up: bool = True


QUICK = Scale(
    rounds=2,
    resources=(30,),
    waits=20,
    watched=100,
    watch_seconds=4.0,
    watch_interval=1.0,
    batch=500,
    batch_latencies=(0.0,),
    growth_targets=(10, 100),
    growth_resources=(10,),
    growth_rounds=1,
    starts=5,
    waiters=100,
    waiter_rounds=1,
)
"""For trying it out, in minutes."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """One measurement of one contender.

    ``key`` is what is left out once an attempt has failed. ``cost`` is about how many seconds it takes on two cores.
    ``run`` measures and returns what to tell of it.
    """

    key: str
    words: str
    cost: float
    run: Callable[[], str]


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be measured, and why, in one line."""

    row: str
    what: str
    why: str


class Progress:
    """How far a run is, and about how long it will take: by what the attempts were thought to cost, and did."""

    def __init__(self, cost: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._left = cost
        self._done = 0.0
        self._monotonic = monotonic
        self._began = monotonic()

    def done(self, cost: float) -> None:
        """An attempt of this cost is over."""
        self._done += cost
        self._left -= cost

    @property
    def seconds(self) -> float:
        """What it has taken so far."""
        return self._monotonic() - self._began

    @property
    def seconds_left(self) -> float:
        """What is left, at the pace so far."""
        pace = self.seconds / self._done if self._done else 1.0
        return max(self._left, 0.0) * pace

    def __str__(self) -> str:
        return f"[{self.seconds / 60:4.1f} min, about {self.seconds_left / 60:.0f} min left]"


@dataclass
class Bench:
    """One run of the benchmark, with all that it makes in ``folder``. ``only`` names the contenders that take part."""

    scale: Scale
    folder: Path
    leash: Leash
    only: Sequence[str] = tuple(CONTENDERS)
    failures: list[Failure] = field(default_factory=list)
    rows: Sequence[str] = ()
    known: dict[tuple[str, int], dict[str, list[float]]] = field(default_factory=dict)
    """Seconds of whole commands that were measured already, by contender and number of resources, and by step."""
    progress: Progress = field(default_factory=lambda: Progress(0.0))
    _numbers: Iterator[int] = field(default_factory=itertools.count)
    _warm: set[str] = field(default_factory=set)

    @classmethod
    @contextmanager
    def opened(cls, scale: Scale, only: Sequence[str] = tuple(CONTENDERS)) -> Iterator[Bench]:
        """A bench in a folder of its own; what it started and the folder are gone after the block."""
        folder = Path(tempfile.mkdtemp(prefix="cloudretry-bench-"))
        leash = Leash(folder)
        try:
            yield cls(scale, folder, leash, only)
        finally:
            leash.close()

    @cached_property
    def engine(self) -> Engine:
        return Engine(self.folder / "engine", self.leash)

    def takes_part(self, contender: Contender) -> bool:
        """Whether it is asked for, and can be had."""
        return contender.name in self.only and contender.name not in absent()

    def chosen(self, rounds: Mapping[str, int]) -> list[tuple[Contender, int]]:
        """The contenders of these names that take part, and how often each runs."""
        found = [(CONTENDERS[name], number) for name, number in rounds.items()]
        return [(contender, number) for contender, number in found if self.takes_part(contender)]

    def carry_out(self, row: str, attempts: Iterable[Attempt]) -> None:
        """Carry out the attempts of a row. What fails is noted, and its like left out; the others go on."""
        failed: set[str] = set()
        for attempt in attempts:
            if attempt.key not in failed:
                try:
                    told = attempt.run()
                except Exception as error:  # noqa: BLE001 - whatever one attempt runs into, the others are worth having
                    failed.add(attempt.key)
                    why, words = _told(error)
                    self.failures.append(Failure(row, attempt.words, why))
                    told = f"FAILED: {why}"
                    print(words, file=sys.stderr, flush=True)
                self.progress.done(attempt.cost)
                print(f"{self.progress} {row} {attempt.words}: {told}", flush=True)
            else:
                self.progress.done(attempt.cost)

    @contextmanager
    def stack(self, contender: Contender, cloud: Cloud, *, resources: int, targets: int = 1) -> Iterator[Stack]:
        """A stack of its own, removed after the block."""
        if self.scale.warm_up and contender.name not in self._warm:
            # What is read from disk and compiled for the first time is no contender's cost.
            self._warm.add(contender.name)
            with Cloud() as other, self.stack(contender, other, resources=1) as first:
                first.up("one")
        stack = self.engine.stack(self.new_folder(contender.name), contender, cloud.url, resources, targets)
        try:
            yield stack
        finally:
            stack.close()

    @contextmanager
    def plugin(self, contender: Contender) -> Iterator[PluginProcess]:
        """A contender's plugin without an engine, ended after the block."""
        with self.plugin_of(plugin_command(contender)) as plugin:
            yield plugin

    @contextmanager
    def plugin_of(self, command: Sequence[str]) -> Iterator[PluginProcess]:
        """A plugin by the command that starts it."""
        with PluginProcess.run(command, self.new_folder("plugin"), self.engine.path, self.leash) as plugin:
            yield plugin

    def new_folder(self, name: str) -> Path:
        """The path of a folder that is not there yet."""
        return self.folder / f"{name}-{next(self._numbers)}"


def _told(error: Exception) -> tuple[str, str]:
    """Why it failed, in a line that may stand in the record, and all that is known of it."""
    if isinstance(error, BenchError):
        why, _, words = str(error).partition("\n")
        return why, words
    # Its own words may name what the record must not, such as paths.
    return type(error).__name__, "".join(traceback.format_exception(error))


def turns(rounds: Sequence[tuple[T, int]]) -> Iterator[T]:
    """Each as often as its number says, one after the other: what disturbs the machine for a while meets all of them.

    Each round begins with another one, so that none always comes after the same.
    """
    for number in range(max((often for _, often in rounds), default=0)):
        first = number % len(rounds)
        yield from (one for one, often in (*rounds[first:], *rounds[:first]) if often > number)


def check(what: str, found: Any, expected: Any) -> None:
    """Make sure that what was measured is what the row says.

    :raises BenchError: it is not.
    """
    if found != expected:
        raise BenchError(f"{what}: {found} instead of {expected}")
