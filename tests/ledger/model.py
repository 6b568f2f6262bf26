"""The ledger's protocol, small enough to be explored whole: every order of every step, with every death.

    python tests/ledger/model.py          the larger forms: a minute or two
    python tests/ledger/model.py paths    the shortest way to what a variant without a guard does wrong

Runs work at one place, each for an *ask*: one fire of each of its targets. Two runs of one ask are a run and its
repetition, after a death or at the same time; asks of one owner are what a resource asks for and then asks anew. Any
run may stop for any time, die, be taken for dead, or end in words; a reply may be lost, and a request travels for any
time. Whatever happens,

=========  ============================================================================================
double     no ask fires one target twice
at once    nothing is fired at a target while it is not known what became of another ask's fire at it,
           or while that one's run waits for it
swallowed  no run ends well unless its ask was fired, or a fire that it has waited for took hold
stuck      once nothing goes wrong any more each run ends
=========  ============================================================================================

An entry is written if nobody has written since its writer has read, so reading, concluding and writing are one step
here. Left out: groups of targets in one request, several threads, checkpoints, what is saved in a state.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

BEGIN, READY, SENT, WELL, WORDS, DEAD = ["begin", "ready", "sent", "well", "words", "dead"]
OVER = (WELL, WORDS, DEAD)

HELD, VOID, UNKNOWN = ["held", "void", "unknown"]


class Asked(NamedTuple):
    """What a run is for."""

    owner: str
    ask: str
    targets: tuple[str, ...]


class FireId(NamedTuple):
    entry: int
    target: str


class Fire(NamedTuple):
    """A fire as the entries tell it. ``word`` is empty while it is open."""

    id: FireId
    run: int
    holder: int
    word: str = ""
    over: bool = False


class Run(NamedTuple):
    pc: str = BEGIN
    base: int = 0
    """The entries that there were when it looked for what its ask has fired before."""
    mine: frozenset[FireId] = frozenset()
    """The fires that count as its own: fired, taken up or adopted."""
    granted: tuple[FireId, ...] = ()
    """Those that have an intent and were not sent yet."""
    sent: FireId | None = None
    waited: frozenset[FireId] = frozenset()
    """The fires of others that it has waited for."""
    tells: tuple[tuple[FireId, str], ...] = ()
    """What it has found out and not written yet."""
    read: int = -1
    """Only for a variant: the entries that it knows of."""


class State(NamedTuple):
    log: tuple[tuple[tuple, ...], ...] = ()
    runs: tuple[Run, ...] = ()
    flying: frozenset[FireId] = frozenset()
    effects: tuple[FireId, ...] = ()
    late: frozenset[FireId] = frozenset()
    """The fires under whose intent nothing leaves any more."""
    doubts: int = 0
    """How often a living run may be taken for dead yet."""
    losses: int = 0
    """How many replies may be lost yet."""
    alarm: str = ""


@lru_cache(maxsize=300_000)
def fold(log: tuple[tuple[tuple, ...], ...]) -> dict[FireId, Fire]:
    """The fires that the entries tell of."""
    fires: dict[FireId, Fire] = {}
    for number, records in enumerate(log):
        for kind, run, *said in records:
            if kind == "intent":
                fires |= {(key := FireId(number, target)): Fire(key, run, run) for target in said[0]}
            elif kind == "word":
                fire = fires[said[0]]
                if not fire.word and run in (fire.run, fire.holder):  # the first word stands
                    fires[fire.id] = fire._replace(word=said[1])
            elif kind == "takeover":
                fire = fires[said[0]]
                if fire.holder == said[1]:  # of two at once the first has it
                    fires[fire.id] = fire._replace(holder=run, over=False)
            elif kind == "over":
                for fire in [fire for fire in fires.values() if fire.holder == run]:
                    fires[fire.id] = fire._replace(over=True)
    return fires


Step = tuple[str, bool, State]
"""What happens, whether it is a fault or a chance, and what follows."""


class Model:
    """The protocol as it is built. ``without`` takes guards out of it."""

    def __init__(self, *asked: Asked, doubts: int = 1, losses: int = 1, without: str = "", mute: bool = False) -> None:
        self.asked = asked
        self.without = without
        self.mute = mute
        """Whether the cloud's state does not tell what became of a fire."""
        self.first = State(runs=tuple(Run() for _ in asked), doubts=doubts, losses=losses)

    def steps(self, s: State) -> Iterator[Step]:
        if s.alarm:
            return
        for fire in s.flying:
            yield f"the request for {_name(fire)} arrives", False, self._arrives(s, fire)
        for r, run in enumerate(s.runs):
            if run.pc not in OVER:
                yield f"run {r} dies", True, _put(s, r, Run(DEAD))
                for words, is_chance, after in self._acts(s, r, run):
                    yield f"run {r} {words}", is_chance, after

    def _arrives(self, s: State, fire: FireId) -> State:
        asked = self.asked[_sender(s, fire)]
        alarm = ""
        for earlier in s.effects:
            if earlier.target == fire.target and self.asked[_sender(s, earlier)].ask == asked.ask:
                alarm = f"double: {asked.ask} has fired {fire.target} twice"
            elif earlier.target == fire.target and not fold(s.log[: fire.entry + 1])[earlier].word:
                alarm = alarm or f"at once: {fire.target} was fired and it was not known what became of another fire"
        return s._replace(flying=s.flying - {fire}, effects=(*s.effects, fire), alarm=alarm)

    def _acts(self, s: State, r: int, run: Run) -> Iterator[Step]:
        fires = fold(s.log)
        if run.pc == BEGIN:
            yield from self._begins(s, r, run, fires)
        elif run.pc == SENT:
            assert run.sent is not None
            if run.sent in s.effects:
                told = run._replace(pc=READY, sent=None, tells=(*run.tells, (run.sent, HELD)))
                yield "gets the reply", False, _put(s, r, told)
            if s.losses:
                yield "gets no reply", True, _put(s._replace(losses=s.losses - 1), r, run._replace(pc=READY, sent=None))
        elif run.granted:
            yield from self._sends(s, r, run, fires)
        else:
            if run.tells and self.without != "reading again after a refusal":
                yield "notes what it was told", False, self._written(s, r, run)
            yield from self._concludes(s, r, run, fires)
            ended = self._written(s, r, run._replace(pc=WORDS), ("over", r))
            yield "ends in words", True, ended._replace(runs=_put(ended, r, Run(WORDS)).runs)

    def _begins(self, s: State, r: int, run: Run, fires: dict[FireId, Fire]) -> Iterator[Step]:
        """Look for what this ask has fired before, and wait for a run that is at work on it."""
        mine = [fire for fire in fires.values() if self._ask(fire) == self.asked[r].ask and fire.word != VOID]
        at_work = [fire for fire in mine if not _is_left(s, fire)]
        if not at_work:
            began = run._replace(pc=READY, base=len(s.log), mine=frozenset(fire.id for fire in mine))
            yield f"takes up {len(mine)}", False, _put(s, r, began)

    def _sends(self, s: State, r: int, run: Run, fires: dict[FireId, Fire]) -> Iterator[Step]:
        fire, *rest = run.granted
        left = run._replace(pc=SENT, granted=tuple(rest), sent=fire)
        is_mine = fires[fire].holder == r and not fires[fire].word
        if fire not in s.late or self.without == "renewal":
            yield f"sends {_name(fire)}", False, _put(s._replace(flying=s.flying | {fire}), r, left)
        elif is_mine:
            renewed = self._written(s, r, run, ("renew", r, fire))
            yield f"renews {_name(fire)}", False, renewed._replace(late=s.late - {fire})
        else:
            stays = run._replace(granted=tuple(rest), tells=(*run.tells, (fire, VOID)), mine=run.mine - {fire})
            yield f"does not send {_name(fire)}: it was taken over", False, _put(s, r, stays)

    def _concludes(self, s: State, r: int, run: Run, fires: dict[FireId, Fire]) -> Iterator[Step]:
        if self.without == "reading again after a refusal":
            if run.read < 0:
                yield "reads", False, _put(s, r, run._replace(read=len(s.log)))
                return
            fires = fold(s.log[: run.read])
            run = run._replace(read=-1)
        told = dict(run.tells)
        unclear = [f for f in fires.values() if f.holder == r and not f.word and f.id not in told]
        dead = [f for f in fires.values() if f.id in run.mine and not f.word and f.holder != r]
        if dead:
            yield from self._takes_over(s, r, run, dead)
            return
        if unclear:
            yield from self._resolves(s, r, run, unclear[0])
            return
        known = {fire.id: fire.word or told.get(fire.id, "") for fire in fires.values()}
        if any(known.get(fire) == UNKNOWN for fire in run.mine):
            ended = self._written(s, r, run._replace(pc=WORDS), ("over", r))
            yield "ends: the cloud cannot tell", False, _put(ended, r, Run(WORDS))
            return
        got = {fire.target for fire in run.mine if known.get(fire) == HELD}
        wanted = [target for target in self.asked[r].targets if target not in got]
        if not wanted:
            ended = self._written(s, r, run._replace(pc=WELL), ("over", r))
            yield "ends well", False, _put(ended, r, Run(WELL))._replace(alarm=self._swallowed(s, r, run))
            return
        ways = {target: self._in_the_way(s, r, run, fires, told, target) for target in wanted}
        if free := tuple(target for target, fire in ways.items() if fire is None):
            yield f"intends {free}", False, self._intends(s, r, run, free)
            return
        for fire in (fire for fire in ways.values() if fire is not None):
            yield from self._meets(s, r, run, fire)

    def _intends(self, s: State, r: int, run: Run, free: tuple[str, ...]) -> State:
        granted = tuple(FireId(len(s.log), target) for target in free)
        alarm = ""
        for effect in s.effects:
            fire = fold(s.log)[effect]
            waits = fire.word == HELD and fire.run == fire.holder != r and s.runs[fire.run].pc not in OVER
            if effect.target in free and waits:
                alarm = f"at once: {effect.target} is fired while another run waits for it"
        after = self._written(s, r, run._replace(granted=granted, mine=run.mine | set(granted)), ("intent", r, free))
        return after._replace(alarm=after.alarm or alarm)

    def _in_the_way(
        self, s: State, r: int, run: Run, fires: dict[FireId, Fire], told: dict[FireId, str], target: str
    ) -> Fire | None:
        """As :func:`cloudretry.ledger.asker.in_the_way`."""
        for fire in sorted((f for f in fires.values() if f.id.target == target), reverse=True):
            word = fire.word or (told.get(fire.id, "") if fire.holder == r else "")
            if self.without == "one ledger for all" and self._ask(fire) != self.asked[r].ask:
                continue
            if not word:
                if self.without != "waiting for what is open":
                    return fire
                continue
            if word == VOID or r in (fire.run, fire.holder):
                continue
            is_new = fire.id.entry >= run.base and self.without != "counting fires at the same time"
            if self._ask(fire) == self.asked[r].ask and is_new:
                return fire
            if word == HELD and not _is_left(s, fire) and self.without != "holding what is accepted":
                return fire
            if word == HELD and self.without == "leaving what was over":
                return fire
        return None

    def _meets(self, s: State, r: int, run: Run, fire: Fire) -> Iterator[Step]:
        """As :mod:`cloudretry.run.others`."""
        words = f"{_name(fire.id)} of run {fire.run}"
        if fire.word in (HELD, UNKNOWN) and (
            not self._is_earlier(fire, r) or self.without == "firing anew what was asked anew"
        ):
            adopted = run._replace(mine=run.mine | {fire.id}, waited=run.waited | {fire.id})
            yield f"adopts {words}", False, _put(s, r, adopted)
            return
        if fire.word:
            return  # Until the run that waits for it is over.
        if fire.id not in run.waited:
            yield f"waits for {words}", False, _put(s, r, run._replace(waited=run.waited | {fire.id}))
            return
        yield from self._takes_over(s, r, run, [fire])

    def _takes_over(self, s: State, r: int, run: Run, fires: list[Fire]) -> Iterator[Step]:
        for fire in fires:
            adopts = fire.id in run.mine or not self._is_earlier(fire, r)
            then = run._replace(mine=run.mine | {fire.id}) if adopts else run
            taken = self._written(s, r, then, ("takeover", r, fire.id, fire.holder))
            is_dead = s.runs[fire.holder].pc == DEAD
            if _is_left(s, fire) and self.without != f"taking over from {'the dead' if is_dead else 'what is over'}":
                yield f"takes over {_name(fire.id)}", False, taken
            elif s.doubts and s.runs[fire.holder].pc not in OVER:
                yield f"takes over {_name(fire.id)} from the living", True, taken._replace(doubts=s.doubts - 1)

    def _resolves(self, s: State, r: int, run: Run, fire: Fire) -> Iterator[Step]:
        """Look at the cloud, until the last request has left, has arrived and shows."""
        arrived = fire.id not in s.flying or self.without == "the grace"
        if fire.id in s.effects and not self.mute:
            tells = run._replace(tells=(*run.tells, (fire.id, HELD)))
            yield f"sees that {_name(fire.id)} took hold", False, _put(s, r, tells)
        elif arrived:
            word = UNKNOWN if self.mute else VOID
            tells = run._replace(tells=(*run.tells, (fire.id, word)))
            yield f"finds {_name(fire.id)} {word}", False, _put(s._replace(late=s.late | {fire.id}), r, tells)

    def _swallowed(self, s: State, r: int, run: Run) -> str:
        for target in self.asked[r].targets:
            for effect in s.effects:
                fire = fold(s.log)[effect]
                was_over = (known := fold(s.log[: run.base]).get(effect)) is not None and known.over and known.word
                others = not was_over and not self._is_earlier(fire, r)
                if effect.target == target and (self._ask(fire) == self.asked[r].ask or others):
                    break
            else:
                return f"swallowed: {self.asked[r].ask} ends well without a fire of {target}"
        return ""

    def _written(self, s: State, r: int, run: Run, *records: tuple) -> State:
        """The entry, and with it what the run has to tell."""
        tells = [("word", r, fire, word) for fire, word in run.tells]
        return _put(s._replace(log=(*s.log, (*tells, *records))), r, run._replace(tells=()))

    def _ask(self, fire: Fire) -> str:
        return self.asked[fire.run].ask

    def _is_earlier(self, fire: Fire, r: int) -> bool:
        """Whether the same owner asked for it, and then for something else."""
        return self.asked[fire.run].owner == self.asked[r].owner and self._ask(fire) != self.asked[r].ask


def _put(s: State, r: int, run: Run) -> State:
    return s._replace(runs=(*s.runs[:r], run, *s.runs[r + 1 :]))


def _sender(s: State, fire: FireId) -> int:
    return next(record[1] for record in s.log[fire.entry] if record[0] == "intent")


def _is_left(s: State, fire: Fire) -> bool:
    """Whether nobody is at work on it."""
    return fire.over or s.runs[fire.holder].pc == DEAD


def _name(fire: FireId) -> str:
    return f"fire {fire.entry} of {fire.target}"


class Verdict(NamedTuple):
    states: int
    wrong: str
    path: tuple[str, ...] = ()


def explore(model: Model) -> Verdict:
    """Every state, the nearest first, up to the first that is wrong."""
    index, back, order = {model.first: 0}, [(-1, "")], [model.first]
    without_faults: list[set[int]] = []
    for at, s in enumerate(order):
        nexts = set()
        for words, is_chance, after in model.steps(s):
            if (to := index.get(after)) is None:
                to = index[after] = len(order)
                order.append(after)
                back.append((at, words))
                if after.alarm:
                    return Verdict(len(order), after.alarm, _way(back, to))
            if not is_chance and to != at:
                nexts.add(to)
        without_faults.append(nexts)
    for at, s in enumerate(order):
        if not without_faults[at] and any(run.pc not in OVER for run in s.runs):
            return Verdict(len(order), "stuck: " + ", ".join(run.pc for run in s.runs), _way(back, at))
    return Verdict(len(order), "stuck: it goes round in a circle" if _has_circle(without_faults) else "")


def _way(back: list[tuple[int, str]], at: int) -> tuple[str, ...]:
    path = []
    while at:
        at, words = back[at]
        path.append(words)
    return tuple(reversed(path))


def _has_circle(nexts: list[set[int]]) -> bool:
    into = [0] * len(nexts)
    for targets in nexts:
        for to in targets:
            into[to] += 1
    todo, done = [at for at, count in enumerate(into) if not count], 0
    while todo:
        done += 1
        for to in nexts[todo.pop()]:
            into[to] -= 1
            if not into[to]:
                todo.append(to)
    return done < len(nexts)


A, B = Asked("a", "a1", ("T",)), Asked("b", "b1", ("T",))
ANEW = Asked("a", "a2", ("T",))

QUICK = {
    "a run and its repetition": Model(A, A),
    "two askers": Model(A, B),
    "asked, and asked anew": Model(A, ANEW),
    "a target was added": Model(A, A._replace(targets=("T", "U")), losses=0),
    "two askers name their targets crosswise": Model(
        A._replace(targets=("T", "U")), B._replace(targets=("U", "T")), doubts=0, losses=0
    ),
    "a cloud that cannot tell, and its repetition": Model(A, A, mute=True),
    "a cloud that cannot tell, and two askers": Model(A, B, mute=True),
}

LONG = {
    "three runs of one ask": Model(A, A, A, doubts=0, losses=0),
    "two runs of one ask, and another asker": Model(A, A, B, doubts=0, losses=0),
    "three askers": Model(A, B, Asked("c", "c1", ("T",)), doubts=0, losses=0),
    "asked, asked anew, and another asker": Model(A, ANEW, B, doubts=0, losses=0),
    "two askers, two targets, and a lost reply": Model(
        A._replace(targets=("T", "U")), B._replace(targets=("U", "T")), doubts=0
    ),
    "a run and its repetition, with each fault twice": Model(A, A, doubts=2, losses=2),
}

BROKEN = {
    "reading again after a refusal": (A, B),
    "waiting for what is open": (A, B),
    "one ledger for all": (A, B),
    "holding what is accepted": (A, B),
    "counting fires at the same time": (A, A),
    "leaving what was over": (A, B),
    "firing anew what was asked anew": (A, ANEW),
    "the grace": (A, A),
    "renewal": (A, A),
    "taking over from the dead": (A, B),
    "taking over from what is over": (A, B),
}
"""Each guard, and the runs that show what happens without it."""


def main(words: list[str]) -> int:
    wrong = 0
    for name, model in (QUICK if "quick" in words else QUICK | LONG).items():
        found = explore(model)
        wrong += bool(found.wrong)
        print(f"{name}: {found.states} states: {found.wrong or 'holds'}", *found.path, sep="\n    ", flush=True)
    for guard, asked in BROKEN.items():
        found = explore(Model(*asked, without=guard))
        wrong += not found.wrong
        path = found.path if "paths" in words else ()
        print(f"without {guard}: {found.wrong or 'HOLDS'}", *path, sep="\n    ", flush=True)
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
