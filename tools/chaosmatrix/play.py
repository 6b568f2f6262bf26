"""One run: bring about the state, let the trouble happen, and repeat `up` until it is green."""

from __future__ import annotations

import contextlib
import random
import re
import shutil
import signal
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from chaosmatrix.asks import Ask, Asks
from chaosmatrix.cases import FIRE_FAULTS, LOOK_FAULTS, ORPHAN_SIGNALS, THROTTLING, VERSIONS, VICTIMS, Case, fault
from chaosmatrix.changes import change
from chaosmatrix.cloud import QUICK, RESOURCES, Cloud, Targets
from chaosmatrix.drivers import Declared, Driver, Program, Up, cloudretry, driver
from chaosmatrix.havoc import Clock, Disk, fill_for
from chaosmatrix.journal import Entry, entries, fill, litter
from cloudretry.emulator.documents import Fault

__all__ = ["NAME", "Kill", "Played", "Said", "Stage", "play"]

NAME = "retry"
"""The one resource of the program, at first."""

LONGEST_UP = 150.0
"""Seconds after which an `up` hangs: the grace of an unknown outcome is 30, a storm of refusals some 20."""

LONGEST_HOLD = 40.0
"""Seconds for which targets are kept from being well at the longest."""

MOST_UPS = 10
ORPHAN_PATIENCE = 20.0
"""Seconds that a plugin may outlive its engine."""

JUMPS = (-3 * 86_400.0, -3600.0, -600.0, 600.0, 3600.0, 20 * 3600.0)
"""Seconds by which the clock jumps. A jump of more than a day ahead would make a record too old, as documented."""

TOLERATED = 900.0
"""Seconds by which a clock may be wrong before the clouds refuse its signatures."""

REFUSED = {"error_code": "Chaos.0400", "error_msg": "Not now.", "Code": "Chaos.0400", "Message": "Not now."}
"""The body of a refusal in the words of both clouds."""

LOSSLESS = frozenset({"answered", "before the save", "waiting"})
"""Instants at which the answer is in the journal."""

CTRL_C, CTRL_C_TWICE = "Ctrl-C", "Ctrl-C twice"

WITHOUT_UP = frozenset({"second resource", "second provider", "second stack"})
"""Changes that come with the first `up`."""

DOUBT = re.compile(r"journal resolve (\w+) --taken-up")
"""What an `up` says that cannot tell whether it was asked anew."""


@dataclass(frozen=True, slots=True)
class Kill:
    """A kill that hit: what was planned, and what the log and the journal showed when it hit."""

    victim: str
    planned: str
    phase: str
    entries: tuple[Entry, ...]
    posts: int


@dataclass(frozen=True, slots=True)
class Said:
    """An `up` that has ended: its exit code (``None``: it hung), its words, and whether it was disturbed."""

    code: int | None
    text: str
    killed: bool
    faults: int
    seconds: float


@dataclass(slots=True)
class Played:
    """What happened in a run, for the judge and for the report."""

    case: Case
    asked: int
    wait: bool
    story: list[str] = field(default_factory=list)
    kills: list[Kill] = field(default_factory=list)
    missed: int = 0
    faults: int = 0
    ups: list[Said] = field(default_factory=list)
    green: bool = False
    told_unknown: bool = False
    wrong: list[str] = field(default_factory=list)
    """What the player himself saw go wrong."""
    reached: str = ""
    """Where a run that never came to its trouble got stuck."""
    outputs: Mapping[str, Any] | None = None
    triggers: Mapping[str, Any] = field(default_factory=dict)
    targets: tuple[str, ...] = ()
    effects: Mapping[str, int] = field(default_factory=dict)
    fires: list[Any] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    counted: Mapping[str, int] = field(default_factory=dict)
    """The effects on each target that was asked for, in the end."""
    doubts: int = 0
    """How often an `up` could not tell whether it was asked anew, and was told."""
    refused: str = ""
    new_ids: Mapping[str, str] = field(default_factory=dict)
    clock_jumped: float = 0.0
    disk_full: str = ""
    fired_on_full_disk: int = 0
    began: float = 0.0
    idle_posts: int | None = None
    """Requests that fired in an `up` after the green one; ``None`` where none was tried."""
    idle_code: int = 0
    left_open: list[str] = field(default_factory=list)
    litter: list[str] = field(default_factory=list)
    orphans: int = 0
    seconds: float = 0.0


@dataclass(slots=True)
class _Strike:
    """A kill that is due when ``condition`` holds, ``after`` seconds later."""

    victim: str
    instant: str
    condition: Callable[[Up], bool]
    after: float = 0.0


def play(case: Case, folder: Path, template: Any, *, with_journal: bool = True) -> Played:
    """Play a case in a folder that is thrown away."""
    begun = time.monotonic()
    stage = Stage(case, folder, template)
    if not with_journal:
        stage.driver.config["journalEnabled"] = "false"
    try:
        stage.act()
    finally:
        stage.close()
    stage.played.seconds = time.monotonic() - begun
    return stage.played


class Stage:
    """One run on its way: the cloud, the stack, and what is asked of them."""

    def __init__(self, case: Case, folder: Path, template: Any) -> None:
        self.case = case
        self.folder = folder
        self.template = template
        self.dice = dice = random.Random(case.seed)
        self.version = random.Random(f"{case.seed}/version").choice(VERSIONS)
        trouble = case.trouble
        wired = case.driver == "wire"
        needs_hold = trouble.instant == "waiting" or trouble.name == "clock jump while waiting"
        self.held = case.operation == "resume" or needs_hold or dice.random() < 0.3
        self.held = self.held or trouble.kind in ("ctrl-c", "stopped") or case.change == "second stack"
        wait = self.held or dice.random() < (0.6 if case.change else 0.85)
        lossless = (
            trouble.instant in LOSSLESS or trouble.kind in ("look fault", "refusal") or case.operation == "resume"
        )
        stale = 1.0 if dice.random() < 0.2 else 0.0
        if case.action == "simulation" and self.held:
            # Its jobs are in no state of their own while they are rerun; only a slow status call makes for a wait.
            stale = (9.0 if wired else 16.0) if case.operation == "resume" else (3.0 if wired else 6.0)
        refuses = trouble.kind == "refusal" or (trouble.instant == "answered" and dice.random() < 0.15)
        cloud_targets = Targets(
            quick_first=int(case.operation == "update"),
            held=self.held,
            stale=stale,
            new_id=case.action == "desktop" and (trouble.kind == "new id" or (lossless and dice.random() < 0.5)),
        )
        if case.change:
            # A change asks anew, of targets that have failed again: what status calls say must be so.
            refuses, cloud_targets = False, replace(cloud_targets, stale=0.0, new_id=False)
        if refuses and case.operation != "update":
            cloud_targets = replace(cloud_targets, refused=dice.choice(RESOURCES[case.action].targets))
        self.looks_first = trouble.name == "full disk, before the intent" or trouble.instant == "before the intent"
        self.looks_first = self.looks_first or (not case.change and dice.random() < 0.15)
        self.cloud = Cloud(case.action, cloud_targets)
        self.driver: Driver = driver(
            case.driver, case.front, folder / "stack", self.cloud.emulator.url, template, self.version
        )
        self.asks = Asks()
        self.name, self.formerly = NAME, ""
        self.container = self.cloud.kind.containers[0]
        self.keys = self.cloud.kind.targets
        self.extra: dict[str, Any] = {}
        self.others: list[Declared] = []
        self.providers: dict[str, Mapping[str, str]] = {}
        self.replaces = False
        """Whether the next `up` is one with `--replace`."""
        self.older = b""
        self.gone_clouds: list[Cloud] = []
        self.other_drivers: list[Driver] = []
        self.journal = self.driver.home / "cloudretry" / "journal"
        self.clock = Clock(folder / "clock") if trouble.kind == "clock jump" else None
        self.disk: Disk | None = None
        self.releasing = not self.held
        self.in_trouble = False
        self.played = Played(case, asked=2 if case.operation == "update" else 1, wait=wait)
        self.played.refused = cloud_targets.refused
        self.played.targets = self.keys
        self.began = time.monotonic()
        self.played.began = time.time()
        self.release_name = "1"
        slow = trouble.kind == "fire fault" or trouble.instant in ("intent", "in flight", "random")
        self.driver.config |= {"pollInterval": "250ms" if slow and not self.held else "100ms"}
        if "too late" in trouble.name:
            self.driver.config["readTimeout"] = "1s"
        self.options: dict[str, Any] = {"maxAttempts": 8}
        if self.looks_first:
            self.options["fireWhen"] = "retryable"
        if not wait:
            self.options["wait"] = False

    def close(self) -> None:
        for one in (self.driver, *self.other_drivers):
            one.close()
        for cloud in (self.cloud, *self.gone_clouds):
            cloud.close()
        if self.disk is not None:
            self.disk.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    # --- the acts ---

    def act(self) -> None:
        self.say(f"{self.case}: {self.cloud.behave} {self.options} {self.driver.config}")
        if not self._set_up():
            return
        self._trouble()
        if self.case.change:
            self.driver.hold = None
            if self.dice.random() < 0.15:
                self.say("others fire at the same places")
                fill(self.journal, 70)
            self.say(f"then: {self.case.change}")
            change(self)
            if not self.played.green and self.dice.random() < 0.25:
                victim, instant = self.dice.choice(VICTIMS), self.dice.choice(("intent", "effect", "answered"))
                self.up(strike=self.strike(victim, instant))
                self._aftermath()
        if not self.played.green:
            self.until_green()
        self._look_back()

    def _set_up(self) -> bool:
        """Bring about what the operation starts from; whether it came about."""
        if self.case.change in ("targets added", "targets exchanged"):
            self.keys = self.keys[:1]
        if self.case.operation != "update":
            self.ask("create")
        if self.case.operation == "create":
            self.declare()
            return True
        if self.case.operation == "update":
            self.ask("the first create")
            self.declare(first=True)
            said = self.up()
            self.played.ups.clear()
            self.asks.done(self.cloud, self.ids)
            if said.code != 0:
                self.played.reached = f"the first, untroubled up failed:\n{said.text}"
                return False
            self.cloud.mark()
            if self.case.change == "older state":
                self.older = self.driver.state_file.read_bytes()
            self.release_name = "2"
            self.ask("trigger")
            self.declare()
            return True
        cut_off = self.dice.random() < 0.4 and self.case.front == "plugin" and self.case.driver == "engine"
        # A busy machine may take all of a short time before the fire; then nothing was sent, and there is more time.
        for timeout in (60.0,) if cut_off else (1.5, 4.0, 8.0):
            self.declare(timeout=timeout)
            said = self.up(hook=self._interrupter() if cut_off else None)
            if self.cloud.fires():
                break
        self.played.ups.clear()
        saved = self.driver.saved()
        if said.code == 0 or saved is None or saved.get("status") != "InProgress":
            self.played.reached = (
                f"the run was not cut off while waiting, but is {saved and saved.get('status')}:\n{said.text}"
            )
            return False
        self.declare()
        return True

    def _interrupter(self) -> Callable[[Up], None]:
        sent: list[int] = []

        def interrupt(up: Up) -> None:
            if not sent and self.cloud.fires() and self.cloud.looks() >= 2:
                sent.append(1)
                up.process.send_signal(signal.SIGINT)

        return interrupt

    def _trouble(self) -> None:
        """The `up` that everything is about, and a second one that is hit too, now and then."""
        self.in_trouble = True
        trouble, dice = self.case.trouble, self.dice
        if trouble.kind == "none":
            self.releasing = True
            if self.case.change not in WITHOUT_UP:
                self.up()
        elif trouble.kind in ("ctrl-c", "stopped"):
            self._up_that_is_disturbed()
        elif trouble.kind == "kill":
            self.up(strike=self.strike(trouble.victim, trouble.instant))
            self._aftermath()
            if not self.cloud.behave.new_id and dice.random() < 0.3:
                self.up(strike=self._second_strike())
                self._aftermath()
        elif trouble.kind in ("fire fault", "look fault"):
            self._add_faults()
            strike = self._second_strike() if trouble.kind == "fire fault" and dice.random() < 0.2 else None
            self.up(strike=strike, hook=self._releaser())
            if strike:
                self._aftermath()
        elif trouble.kind == "clock jump":
            self._clock_jump()
        elif trouble.kind == "full disk":
            self._full_disk()
        elif trouble.kind == "two runs":
            self._two_runs()
        elif trouble.kind == "new id":
            self._lose_new_id()
        elif trouble.kind == "orphan":
            self._end_orphan()
        else:
            self.releasing = True
            if not self.cloud.behave.refused:
                self.cloud.emulator.add_fault(self.cloud.kind.fires, status=400, body=REFUSED)
            self.up()
        self.releasing = True

    def _aftermath(self) -> None:
        """What else happens between a kill and the next `up`."""
        self.releasing = True
        self.driver.hold = None
        up, dice = self.driver.ups[-1], self.dice
        turn = dice.random()
        if turn < 0.3:
            # As when a runner is cleaned up: what the dead engine has left is told to end.
            time.sleep(dice.uniform(0.0, 0.5))
            number = signal.SIGTERM if turn < 0.15 else signal.SIGINT
            self.say(f"{number.name} to what is left: {len(up.session.members())}")
            up.session.send(number)
        if dice.random() < 0.5:
            time.sleep(dice.uniform(0.0, 2.0))

    def until_green(self) -> bool:
        """Repeat `up`, and do what it says, until what was asked is done; whether it is."""
        played = self.played
        for turn in range(MOST_UPS):
            if turn == 0 and not self.replaces and not self.case.change and played.ups[-1].code == 0:
                said = played.ups[-1]
            else:
                said = self.up()
            if said.code == 0:
                self.asks.done(self.cloud, self.ids)
                played.green = True
                return True
            if said.code is None:
                return False
            if self.case.trouble.kind == "new id" and "onUnknown" in said.text:
                played.told_unknown = True
                return False
            if self.cloud.kind.may_stay_unknown and "onUnknown" in said.text:
                if not any(self.asks.unmet(self.cloud, target) for target in self.ids):
                    continue
                played.told_unknown = True
                if self.dice.random() < 0.5:
                    return False
                self.say("onUnknown: fire")
                self.options["onUnknown"] = "fire"
                self.declare()
            self.clear_doubt(said)
        return False

    def clear_doubt(self, said: Said) -> None:
        """Tell the journal what the words of an `up` ask for: whether its fire is of an earlier ask."""
        if (doubt := DOUBT.search(said.text)) is None:
            return
        self.played.doubts += 1
        fire_id = doubt.group(1)
        (fire,) = [entry for entry in entries(self.journal) if entry.fire_id == fire_id]
        asked = max(ask.since for ask in self.asks.all if ask.target.endswith(self.ids[0]))
        word = "--fire" if fire.began < asked else "--taken-up"
        done = cloudretry(self.driver, "journal", "resolve", fire_id, word, "--yes", "--journal-dir", str(self.journal))
        self.say(f"journal resolve {fire_id} {word}: {done.returncode}\n{done.stdout}{done.stderr}")

    @property
    def ids(self) -> list[str]:
        """The targets of the resource, as the emulator names them."""
        return [self.cloud.kind.id_of(self.container, key) for key in self.keys]

    def ask(self, why: str, *, shared: bool = False, only: Sequence[str] = ()) -> None:
        """Somebody asks for a fire of the targets, which have failed again."""
        targets = [self.cloud.kind.id_of(self.container, key) for key in only or self.keys]
        self.asks.add(self.cloud, targets, why, shared=shared)
        if not self.cloud.kind.stamped:
            self.cloud.fail_again(targets)
        self.say(f"asked: {why} of {', '.join(targets)}")

    def _look_back(self) -> None:
        played = self.played
        played.outputs = self.driver.saved()
        played.targets = tuple(self.keys)
        played.asks, played.counted = self.asks.all, self.asks.counted()
        played.effects = dict(self.cloud.effects())
        played.fires = self.cloud.fires()
        played.new_ids = {target: self.cloud.new_id(target) for target in played.targets}
        if played.green and (self.case.driver == "wire" or self.dice.random() < 0.5):
            posts = len(played.fires)
            said = self.up()
            played.ups.pop()
            played.idle_posts = len(self.cloud.fires()) - posts
            played.idle_code = said.code if said.code is not None else -1
            self._wait_for_orphans()
            played.left_open = [entry.fire_id for entry in entries(self.journal)]
            played.litter = litter(self.journal)
        else:
            self._wait_for_orphans()

    def _wait_for_orphans(self) -> None:
        """A plugin ends by itself when its engine is gone. The engine's dynamic provider does not watch for that."""
        if self.case.front == "dynamic":
            return
        deadline = time.monotonic() + ORPHAN_PATIENCE
        while time.monotonic() < deadline:
            self.played.orphans = sum(len(up.session.providers()) for up in self.driver.ups)
            if not self.played.orphans:
                return
            time.sleep(0.2)

    # --- troubles ---

    def strike(self, victim: str, instant: str) -> _Strike:
        """A kill at an instant that the log and the journal show."""
        cloud, dice = self.cloud, self.dice
        fires, looks = cloud.kind.fires, cloud.kind.looks
        if instant == "before the intent":
            number = cloud.emulator.add_fault(looks, delay=2.0).number
            return _Strike(victim, instant, lambda _: cloud.hits()[number] > 0, dice.uniform(0.0, 0.2))
        if instant == "intent":
            known = {entry.fire_id for entry in entries(self.journal)}
            return _Strike(
                victim, instant, lambda _: any(entry.fire_id not in known for entry in entries(self.journal))
            )
        if instant == "in flight":
            lost: Fault = {"drop": "before"} if dice.random() < 0.4 else {}
            lost["delay"] = dice.uniform(0.8, 2.0)
            number = cloud.emulator.add_fault(fires, **lost).number
            return _Strike(victim, instant, lambda _: cloud.hits()[number] > 0, dice.uniform(0.0, 0.3))
        if instant == "effect":
            cloud.emulator.add_fault(fires, delay=dice.uniform(1.0, 2.5), after=True)
            before = len(cloud.fires())
            return _Strike(victim, instant, lambda _: len(cloud.fires()) > before, dice.uniform(0.0, 0.3))
        if instant == "answered":
            open_before = frozenset(entry.fire_id for entry in entries(self.journal))
            delay = dice.choice((0.0, 0.0, 0.01, 0.05))
            return _Strike(victim, instant, lambda _: self._answered(open_before), delay)
        if instant == "before the save":
            return self._before_the_save(victim)
        if instant == "waiting":
            count = dice.randint(2, 5)
            start = cloud.looks() if self.case.operation == "resume" else 0
            return _Strike(
                victim,
                instant,
                lambda _: bool(cloud.fires()) and cloud.looks() >= start + count,
                dice.uniform(0.0, 0.1),
            )
        seconds = dice.uniform(0.3, 1.8) if self.case.driver == "wire" else dice.uniform(0.5, 3.5)
        return _Strike(victim, instant, lambda up: time.monotonic() >= up.begun + seconds)

    def _before_the_save(self, victim: str) -> _Strike:
        if self.case.driver == "wire":
            self.driver.hold = hold = self.folder / "reply-is-there"
            self.releasing = True
            return _Strike(victim, "before the save", lambda _: hold.exists())
        # The real engine cannot be stopped there; it is met some milliseconds after the last look or the answer.
        self.releasing = True
        seen: list[float] = []

        def last_look(_: Up) -> bool:
            if self._answered() and not seen:
                seen.append(time.monotonic())
            quiet = 0.0 if not self.played.wait else QUICK
            return bool(seen) and time.monotonic() >= seen[0] + quiet

        return _Strike(victim, "before the save", last_look, self.dice.uniform(0.0, 0.15))

    def _second_strike(self) -> _Strike:
        """A kill of a run that takes up another one, or that is in some other trouble."""
        victim, instant = self.dice.choice(VICTIMS), self.dice.choice(("random", "random", "looking"))
        if instant == "random":
            return self.strike(victim, instant)
        start, count = self.cloud.looks(), self.dice.randint(1, 4)
        return _Strike(victim, instant, lambda _: self.cloud.looks() >= start + count, self.dice.uniform(0.0, 0.2))

    def _answered(self, but: Collection[str] = ()) -> bool:
        return any(entry.answered and entry.fire_id not in but for entry in entries(self.journal))

    def _up_that_is_disturbed(self) -> None:
        trouble, dice = self.case.trouble, self.dice
        instant = trouble.instant
        if trouble.kind == "ctrl-c":
            self.up(strike=replace(self.strike("engine", instant), victim=trouble.victim))
            self._aftermath()
            return
        # The run is stopped, is overtaken by another one, which waits for it, and goes on.
        self.up_overtaken(instant, dice.uniform(1.0, 4.0))
        self.releasing = True

    def up_overtaken(self, instant: str, seconds: float) -> None:
        """An `up` that is stopped as by a laptop's lid, while another one comes and ends in words, and then goes on."""
        strike = self.strike("both", instant)
        one = self.driver.up(self._environment)
        self._wait_until(lambda: strike.condition(one) or not one.is_running, 60.0)
        if not one.is_running:
            self.played.missed += 1
        one.session.send(signal.SIGSTOP)
        self.say(f"stopped at {instant}; open: {entries(self.journal)}")
        self.declare(timeout=seconds)
        other = self.driver.up(self._environment)
        self._wait_until(lambda: not other.is_running, LONGEST_UP)
        self.note(other)
        one.session.send(signal.SIGCONT)
        self.declare()
        self.say("goes on")
        deadline = time.monotonic() + LONGEST_UP
        while one.is_running and time.monotonic() < deadline:
            self.cloud.release()
            time.sleep(0.1)
        self.note(one)

    @contextlib.contextmanager
    def letting_go(self) -> Iterator[None]:
        """Let targets be well that are held, again and again meanwhile."""
        over = threading.Event()

        def release() -> None:
            while not over.wait(0.5):
                self.cloud.release()

        releasing = threading.Thread(target=release)
        releasing.start()
        try:
            yield
        finally:
            over.set()
            releasing.join()

    def note(self, up: Up) -> None:
        """Keep what an `up` has said that was not run by :meth:`up`."""
        self.played.ups.append(Said(up.wait(0.1), up.text, killed=False, faults=0, seconds=0.0))
        self.say(f"up: {self.played.ups[-1].code}\n{up.text}")

    def _interrupt_twice(self, up: Up) -> None:
        self.say("Ctrl-C twice")
        up.process.send_signal(signal.SIGINT)
        time.sleep(self.dice.choice((0.002, 0.05, 0.3)))
        if up.is_running:
            # Another signal: of two of one kind the second may be lost.
            up.process.send_signal(signal.SIGTERM)

    def _add_faults(self) -> None:
        trouble, dice, kind = self.case.trouble, self.dice, self.cloud.kind
        name = trouble.name.partition(": ")[2]
        if trouble.kind == "fire fault":
            operation, made = kind.fires, fault(FIRE_FAULTS[name], self.case.action, dice)
            # Each one that is no throttling costs the grace of an unknown outcome.
            times = dice.randint(1, 4) if name in THROTTLING else dice.choice((1, 1, 1, 2))
        else:
            operation, made = kind.looks, fault(LOOK_FAULTS[name], self.case.action, dice)
            times = dice.randint(1, 5)
        skip = dice.choice((0, 0, 1)) if trouble.kind == "look fault" else 0
        self.cloud.emulator.add_fault(operation, times=times, skip=skip, **made)
        self.say(f"fault: {operation} x{times} after {skip}: {made}")

    def _releaser(self) -> Callable[[Up], None]:
        """Let go of held targets soon after the faults have hit."""
        seen: list[float] = []

        def release(_: Up) -> None:
            if not seen and self.cloud.fires() and sum(self.cloud.hits().values()):
                seen.append(time.monotonic())
            if seen and time.monotonic() > seen[0] + 1.0:
                self.releasing = True

        return release

    def _clock_jump(self) -> None:
        clock, dice = self.clock, self.dice
        assert clock is not None
        self.played.clock_jumped = seconds = dice.choice(JUMPS)
        if not self.case.trouble.name.endswith("between the runs"):
            self._jump_while_waiting(clock, seconds)
        else:
            instant = "waiting" if self.case.operation == "resume" else dice.choice(("effect", "waiting", "answered"))
            if instant == "waiting" and not self.held:
                instant = "effect"
            self.up(strike=self.strike(dice.choice(VICTIMS), instant))
            clock.jump(seconds)
            self.say(f"the clock jumps by {seconds:.0f} s")
            self._aftermath()
        if abs(seconds) > TOLERATED:
            # With such a clock there is no green; somebody sets it right.
            if self.dice.random() < 0.7:
                self.up()
            clock.jump(0.0)
            self.say("the clock is set right")

    def _jump_while_waiting(self, clock: Clock, seconds: float) -> None:
        start = self.cloud.looks()
        jumped: list[float] = []

        def jump(_: Up) -> None:
            if not jumped and self.cloud.fires() and self.cloud.looks() >= start + 2:
                jumped.append(time.monotonic())
                clock.jump(seconds)
                self.say(f"the clock jumps by {seconds:.0f} s")
            if jumped and time.monotonic() > jumped[0] + 0.5:
                self.releasing = True

        self.up(hook=jump)
        self.played.missed += not jumped

    def _full_disk(self) -> None:
        cloud, dice, played = self.cloud, self.dice, self.played
        before = len(cloud.fires())
        if self.case.trouble.name.endswith("before the answer"):
            number = cloud.emulator.add_fault(cloud.kind.fires, delay=1.0).number
            strike = None
            if dice.random() < 0.5:
                strike = _Strike(dice.choice(VICTIMS), "effect", lambda _: bool(cloud.fires()), dice.uniform(0.05, 0.3))
            played.disk_full = "RLIMIT_FSIZE"
            self.up(strike=strike, hook=self._filler(lambda: cloud.hits()[number] > 0))
            if strike:
                self._aftermath()
            return
        if self.case.operation != "resume" and dice.random() < 0.6 and Disk.is_possible(self.folder / "disk"):
            self.disk = Disk(self.folder / "disk")
            self.journal = self.disk.folder / "journal"
            self.driver.config["journalDir"] = str(self.journal)
            played.disk_full = "tmpfs"
            self.up()
            played.fired_on_full_disk = len(cloud.fires()) - before
            self.disk.free()
            return
        number = cloud.emulator.add_fault(cloud.kind.looks, delay=1.5).number
        played.disk_full = "RLIMIT_FSIZE"
        self.up(hook=self._filler(lambda: cloud.hits()[number] > 0))
        played.fired_on_full_disk = len(cloud.fires()) - before

    def _filler(self, when: Callable[[], bool]) -> Callable[[Up], None]:
        filled: list[float] = []

        def fill(up: Up) -> None:
            if not filled and when():
                fill_for(up.session.providers())
                filled.append(time.monotonic())
                self.say("the disk is full")
            if filled and time.monotonic() > filled[0] + 2.5:
                self.releasing = True

        return fill

    def _lose_new_id(self) -> None:
        if self.case.trouble.name.endswith("dropped"):
            self.cloud.emulator.add_fault(self.cloud.kind.fires, drop="after")
            self.releasing = True
            self.up()
            return
        self.up(strike=self.strike(self.dice.choice(VICTIMS), "effect"))
        self._aftermath()

    def _end_orphan(self) -> None:
        """Let the provider of a dead engine come to its end, and only then tell it to end."""
        self.up(strike=self.strike("engine", "effect"))
        session = self.driver.ups[-1].session
        self._wait_until(lambda: self._answered() or not session.providers(), 5.0)
        time.sleep(self.dice.uniform(0.0, 1.0))
        number = next(signal.Signals[name] for name in ORPHAN_SIGNALS if name in self.case.trouble.name)
        self.say(f"{number.name} to {len(session.members())}; open: {entries(self.journal)}")
        session.send(number)
        self._wait_until(lambda: not session.providers(), 5.0)
        self.say(f"left: {len(session.members())}; open: {entries(self.journal)}")

    @staticmethod
    def _wait_until(condition: Callable[[], bool], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            time.sleep(0.02)

    def _two_runs(self) -> None:
        dice = self.dice
        self.up(strike=self.strike(dice.choice(VICTIMS), dice.choice(("in flight", "effect", "answered"))))
        self.releasing = True
        one = self.driver.up(self._environment)
        time.sleep(dice.uniform(0.0, 0.3) if self.case.driver == "wire" else dice.uniform(0.8, 1.5))
        other = self.driver.up(self._environment)
        self.say("two at once")
        while one.is_running or other.is_running:
            self.cloud.release()
            time.sleep(0.1)
            if time.monotonic() > one.begun + LONGEST_UP:
                break
        for up in (one, other):
            self.note(up)

    # --- one `up` ---

    def declare(self, *, first: bool = False, timeout: float = 120.0) -> None:
        """Let the program say what is wanted now."""
        self.driver.program = Program([self.declared(first=first, timeout=timeout), *self.others], self.providers)

    def declared(self, *, first: bool = False, timeout: float = 120.0) -> Declared:
        """The resource as the program has it."""
        kind = self.cloud.kind
        self.triggers = {"release": self.release_name, "site": "a"}
        self.played.triggers = self.triggers
        options = {name: value for name, value in self.options.items() if not (first and name in ("fireWhen", "wait"))}
        inputs = {**kind.inputs_for(self.container, self.keys), "triggers": self.triggers, **options, **self.extra}
        return Declared(self.name, kind.token, inputs, timeout, self.formerly)

    @property
    def _environment(self) -> Mapping[str, str]:
        return self.clock.environment if self.clock else {}

    def up(
        self, *, strike: _Strike | None = None, hook: Callable[[Up], None] | None = None, destroy: bool = False
    ) -> Said:
        """Run an `up` to its end, whatever that is."""
        hits = sum(self.cloud.hits().values())
        before = self.driver.saved()
        up = self.driver.up(self._environment, replace=self.replaces, destroy=destroy)
        due, killed, released = strike, False, 0.0
        while up.is_running:
            now = time.monotonic()
            if due is not None and due.condition(up):
                time.sleep(due.after)
                killed = up.is_running
                if killed:
                    self._kill(up, due)
                due = None
                self.releasing = True
            if hook is not None:
                hook(up)
            if self.in_trouble and now > up.begun + LONGEST_HOLD:
                self.releasing = True
            if self.releasing and self.held and now > released + 0.2:
                self.cloud.release()
                released = now
            if now > up.begun + LONGEST_UP:
                break
            tight = due is not None and due.instant in ("intent", "answered", "before the save")
            time.sleep(0.001 if tight else 0.01 if due or hook else 0.05)
        code = up.wait(0.1)
        if code is None:
            self.say(f"it hangs, and is ended; providers: {up.session.providers()}")
            up.session.end()
        if self.replaces and self.driver.saved() != before:
            # What is saved now is the replacement.
            self.replaces = False
        self.played.missed += strike is not None and not killed
        faults = sum(self.cloud.hits().values()) - hits
        self.played.faults += faults
        said = Said(code, up.text, killed, faults, time.monotonic() - up.begun)
        self.played.ups.append(said)
        self.say(
            f"up: {code} after {said.seconds:.1f} s, {faults} faults, effects {dict(self.cloud.effects())}\n{up.text}"
        )
        return said

    def _kill(self, up: Up, strike: _Strike) -> None:
        if strike.victim == CTRL_C:
            self.say("Ctrl-C")
            up.process.send_signal(signal.SIGINT)
            return
        if strike.victim == CTRL_C_TWICE:
            self._interrupt_twice(up)
            return
        up.session.kill(strike.victim)
        # What is open stays so: nobody else is there yet who could close it, but for a plugin that outlives its engine.
        found = tuple(entries(self.journal))
        posts, phase = self._phase(found)
        self.say(f"kill -9 of {strike.victim}, {strike.instant}; in fact {phase}; open: {found}")
        self.played.kills.append(Kill(strike.victim, strike.instant, phase, found, posts))

    def _phase(self, found: tuple[Entry, ...]) -> tuple[int, str]:
        """How far the fire of this generation had come: the requests that had arrived, and in words."""
        fires = self.cloud.fires()
        if self.case.operation == "resume":
            return len(fires), "while a resumed run waits"
        flying = self.cloud.flying()
        posts = len(fires) + flying
        if flying > 0:
            return posts, "during the request"
        if not fires:
            return posts, "after the intent, before the request" if found else "before the intent"
        if any(entry.answered for entry in found):
            return posts, "after the answer, before the save"
        if found:
            effective = any(fire.effects for fire in fires)
            return posts, "after the effect, before the answer" if effective else "after a request without effect"
        return posts, "after the save"

    def say(self, line: str) -> None:
        self.played.story.append(f"[{time.monotonic() - self.began:6.2f}] {line}")
