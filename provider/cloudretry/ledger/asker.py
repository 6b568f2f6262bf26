"""One run and the ledger of its place: who may be fired, and what is said of a fire.

==================  ==============================================================================================
a target is free    unless a fire at it has no answer, whoever's it is; or was accepted, and another run still waits
                    for it; or was fired for this very ask by another run since this one began; or in the same
                    deployment for another resource
a request leaves    until the moment that its intent names, which follows from when the ledger was listed. Later the
                    intent is renewed first, unless another process has taken the fire over
a fire is taken     from a process that has ended, or whose run is over
over
==================  ==============================================================================================
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from cloudretry.clock import Clock, Moment
from cloudretry.errors import RequestNotSent
from cloudretry.ledger import books as write
from cloudretry.ledger.books import Books, Record
from cloudretry.ledger.fires import Ask, EntryTarget, Fire, Word, conceal
from cloudretry.ledger.ledger import LISTED, Ledger
from cloudretry.ledger.sessions import LockedSessions
from cloudretry.model import Answer

T = TypeVar("T")

_NONE: Mapping[str, Collection[str]] = {}

__all__ = ["Asker", "Granted", "can_be_taken_over", "is_of_another_resource"]

SEND_WITHIN = 10.0
"""Seconds after its intent in which a request leaves, or the intent is renewed."""


@dataclass(frozen=True, slots=True)
class Granted:
    """A fire whose intent is in the ledger. No request leaves under it after ``leaves_by``."""

    fire_id: str
    targets: tuple[EntryTarget, ...]
    leaves_by: Moment


def is_of_another_resource(fire: Fire, ask: Ask) -> bool:
    """Whether it was fired in the same deployment for another resource of the program."""
    return bool(ask.deployment) and fire.ask.deployment == ask.deployment and fire.ask.owner != ask.owner


def can_be_taken_over(fire: Fire, sessions: LockedSessions) -> bool:
    """Whether nobody who could say something of it is at work."""
    return fire.over or not sessions.lives(fire.holder.session)


class Asker:
    """A run's part in the ledger of its place. Blocking; safe to use from many threads.

    Targets that are ``secret`` are written as digests, and what the cloud said of them is left out.
    """

    def __init__(self, ledger: Ledger, clock: Clock, is_secret: Callable[[str], bool]) -> None:
        self.ledger = ledger
        self.ask: Ask
        self.triggers: Mapping[str, Any] = {}
        """Both are set before anything is fired."""
        self.began_after = 0
        """The last entry that there was when this run looked for what its ask has fired already."""
        self.held: dict[str, Fire] = {}
        """The fires that are this run's to answer for, as it came by them."""
        self._of_others: set[str] = set()
        self._clock = clock
        self._is_secret = is_secret
        self._lock = threading.Lock()
        self._riding: list[Record] = []
        self._judged: dict[str, Word] = {}

    @property
    def session(self) -> str:
        return self.ledger.sessions.holder.session

    @property
    def own(self) -> list[str]:
        """The fires that this run's outcome holds. Others' that it took over it has only found out about."""
        return [fire_id for fire_id in self.held if fire_id not in self._of_others]

    def intend(self, groups: Sequence[Sequence[EntryTarget]]) -> tuple[list[Granted], dict[str, Fire]]:
        """Write the intents of these fires, each at those of its targets that are free.

        Returns them, and by key what is in the way of the others.

        :raises JournalError: it cannot be done, so nothing may be fired.
        """
        secret = any(self._is_secret(target.key) for group in groups for target in group)
        holder = self.ledger.sessions.holder

        def conclude(books: Books, listed: Moment) -> tuple[list[Record], tuple[list[Granted], dict[str, Fire]]]:
            records, judged = self._words(books)
            leaves_by = listed.after(LISTED + SEND_WITHIN)
            granted, blocked = [], {}
            for group in groups:
                free = []
                for target in group:
                    fire = self._in_the_way(books, target.key, judged)
                    if fire is None:
                        free.append(target)
                    else:
                        blocked[target.key] = fire
                if free:
                    granted.append(Granted(secrets.token_hex(8), tuple(free), leaves_by))
            if granted:
                fires = [(one.fire_id, [self._concealed(target, secret) for target in one.targets]) for one in granted]
                began = self._clock.moment()
                records.append(write.intent(self.ask, fires, began, leaves_by, holder, concealed=secret))
            return records, (granted, blocked)

        granted, blocked = self._write(conclude)
        for one in granted:
            if (fire := self.now(one.fire_id)) is not None:
                self.held[one.fire_id] = fire
        for target in (target for group in groups for target in group):
            # It is written now, and says nothing of what comes next: a fire, or one that is taken over.
            self._judged.pop(target.key, None)
        return granted, blocked

    def leave(self, granted: Granted) -> Granted:
        """See that a request may leave now, and renew its intent when its turn has come late.

        :raises RequestNotSent: another process has taken the fire over.
        :raises JournalError: the intent cannot be renewed.
        """
        if (granted.leaves_by.age(self._clock.moment()) or 0.0) < 0:
            return granted

        def conclude(books: Books, listed: Moment) -> tuple[list[Record], Moment]:
            fire = books.get(granted.fire_id)
            if fire is None or fire.holder.session != self.session or len(fire.unclear) < len(fire.targets):
                raise RequestNotSent("another run has taken this fire over")
            leaves_by = listed.after(LISTED + SEND_WITHIN)
            return [write.renew(granted.fire_id, leaves_by, self.session)], leaves_by

        return replace(granted, leaves_by=self._write(conclude))

    def answered(self, fire_id: str, answers: Mapping[str, Answer], request_id: str, *, rides: bool = False) -> None:
        """Note what the cloud answered: now, or with what is written next.

        Where that cannot be written the intent stands, and the cloud is asked again.

        :raises JournalError: it cannot be written.
        """
        fire = self.held[fire_id]
        said = {fire.written(key): _without(one, key) if fire.concealed else one for key, one in answers.items()}
        record = write.answer(fire_id, said, request_id, self.session)
        if rides:
            with self._lock:
                self._riding.append(record)
            return
        self._write(lambda _books, _listed: ([record], None))

    def is_of_this_resource(self, fire: Fire) -> bool:
        """Whether the resource itself has asked for it, now or before."""
        ask = self.ask
        return fire.ask.life == ask.life or (fire.ask.owner, fire.ask.state) == (ask.owner, ask.state)

    def is_of_this_ask(self, fire: Fire) -> bool:
        """Whether it is what this run asks for itself, fired by another run since this one began."""
        return (
            fire.number > self.began_after
            and fire.session != self.session
            and self.is_of_this_resource(fire)
            and fire.ask.triggers.fits(self.triggers)
        )

    def flush(self) -> None:
        """Write the answers that ride along.

        :raises JournalError: it cannot be written.
        """
        if self._riding:
            self._write(lambda _books, _listed: ([], None))

    def judge(self, key: str, word: Word) -> None:
        """It was found out what became of a target whose fires have no clear answer."""
        self._judged[key] = word

    def standing(self, keys: Iterable[str]) -> dict[str, Fire]:
        """What is in the way of these targets now, by key.

        :raises JournalError: the ledger cannot be read.
        """
        wanted = list(keys)

        def read(books: Books) -> dict[str, Fire]:
            found = {key: self._in_the_way(books, key) for key in wanted}
            return {key: fire for key, fire in found.items() if fire is not None}

        return self.ledger.look(read, fresh=True)

    def now(self, fire_id: str) -> Fire | None:
        """A fire as the ledger shows it now."""
        return self.ledger.look(lambda books: books.get(fire_id))

    def take_over(self, fires: Iterable[Fire], *, of_others: bool = False) -> list[Fire]:
        """Become the holder of those that nobody is at work on; returns them, as they were found.

        Those ``of_others`` stay theirs to take up.

        :raises JournalError: it cannot be written.
        """
        wanted = [fire.fire_id for fire in fires]

        def conclude(books: Books, _listed: Moment) -> tuple[list[Record], list[Fire]]:
            found = [fire for fire in map(books.get, wanted) if fire and can_be_taken_over(fire, self.ledger.sessions)]
            others = [fire for fire in found if fire.over or fire.holder.session != self.session]
            return [write.takeover(others, self.ledger.sessions.holder)] if others else [], found

        taken = self._write(conclude)
        if of_others:
            self._of_others.update(fire.fire_id for fire in taken if fire.fire_id not in self.held)
        self.held |= {fire.fire_id: fire for fire in taken}
        return taken

    def end(self, *, handed: bool) -> None:
        """Nobody waits any more for what this run has fired or taken over. ``handed``: the engine is given the outcome.

        :raises JournalError: it cannot be written.
        """
        if not self.held:
            return

        def conclude(books: Books, _listed: Moment) -> tuple[list[Record], None]:
            records, _ = self._words(books)
            if self.own:
                records.append(write.over(self.own, self.session, handed=handed))
            if self._of_others:
                records.append(write.over(sorted(self._of_others), self.session, handed=False))
            return records, None

        self._write(conclude)

    def _in_the_way(self, books: Books, key: str, judged: Mapping[str, Collection[str]] = _NONE) -> Fire | None:
        """The fire that keeps this target from being fired, if one does.

        ``judged`` has the targets, by fire, of which it was just found out what became of them.
        """
        for fire in reversed(books.at(key)):
            if not fire.is_closed(key) and key not in judged.get(fire.fire_id, ()):
                return fire
            if fire.had_no_effect:
                continue
            if is_of_another_resource(fire, self.ask):
                return fire
            if fire.holder.session == self.session:
                continue
            if fire.may_have_had_effect(key) and self.is_of_this_ask(fire):
                return fire
            if fire.is_held(key) and not can_be_taken_over(fire, self.ledger.sessions):
                return fire
        return None

    def _words(self, books: Books) -> tuple[list[Record], dict[str, set[str]]]:
        """The record of what was found out, and the targets that it closes, by fire."""
        said: dict[str, dict[str, Word]] = {}
        closed: dict[str, set[str]] = {}
        for key, word in self._judged.items():
            for fire in books.at(key):
                if fire.holder.session == self.session and fire.fire_id in self.held and not fire.is_closed(key):
                    said.setdefault(fire.fire_id, {})[fire.written(key)] = word
                    closed.setdefault(fire.fire_id, set()).add(key)
        return ([write.words(said, self.session)] if said else []), closed

    def _write(self, conclude: Callable[[Books, Moment], tuple[list[Record], T]]) -> T:
        with self._lock:
            riding, self._riding = self._riding, []

        def with_riders(books: Books, listed: Moment) -> tuple[list[Record], T]:
            records, result = conclude(books, listed)
            return [*riding, *records], result

        try:
            return self.ledger.write(with_riders)
        except Exception:
            with self._lock:
                self._riding = riding + self._riding
            raise

    def _concealed(self, target: EntryTarget, secret: bool) -> EntryTarget:
        return replace(target, key=conceal(self.ask.triggers.salt, target.key)) if secret else target


def _without(answer: Answer, key: str) -> Answer:
    """The answer without what could name its target."""
    error = answer.error and replace(answer.error, message="")
    return replace(answer, error=error, handle="" if answer.handle == key else answer.handle)
