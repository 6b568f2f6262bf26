"""Processes and their askers at one place, for the tests of the ledger."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from cloudretry.clock import Moment
from cloudretry.ledger import Ask, Asker, Books, EntryTarget, Fire, Granted, Journal, Ledger, TriggerMark
from cloudretry.ledger import books as write
from cloudretry.ledger.books import Record
from cloudretry.ledger.fires import Holder
from support.clock import FakeClock

PLACE = {"region": "eu-de", "action": "cloudretry:drs:JobBatchRetry"}
NOW = Moment(1_800_000_000.0, "boot-1", 1000.0)


def ask(owner: str = "a", *, run: int = 1, life: str = "", creating: bool = False, **others: Any) -> Ask:
    """An ask of this owner; its life is named like it."""
    triggers = others.pop("triggers", {})
    return Ask(owner, life or f"life of {owner}", run, run, creating, TriggerMark.of(triggers), **others)


def intent(fire_id: str, *keys: str, session: str = "s1", of: Ask | None = None) -> Record:
    targets = [EntryTarget(key, 1) for key in keys or ("T",)]
    return write.intent(of or ask(), [(fire_id, targets)], NOW, NOW.after(20), Holder(session, f"in {session}"))


def asks(
    ledger: Ledger, clock: FakeClock, owner: str = "a", *, secret: Callable[[str], bool] = lambda _: False, **named: Any
) -> Asker:
    """A run at this place that has just looked for what it has fired already."""
    asker = Asker(ledger, clock, secret)
    asker.triggers = named.get("triggers", {})
    asker.ask = ask(owner, **named)
    asker.began_after = ledger.look(lambda books: books.last, fresh=True)
    return asker


def grant(asker: Asker, *keys: str) -> list[Granted]:
    """Intend these, each for itself."""
    granted, _ = asker.intend([[EntryTarget(key, 1)] for key in keys])
    return granted


def blocked(asker: Asker, key: str = "T") -> Fire | None:
    """What is in the way of a target."""
    return asker.standing([key]).get(key)


class Machine:
    """One folder, one clock, and as many processes as are begun."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.clock = FakeClock()
        self._journals: list[Journal] = []

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_error: object) -> None:
        for journal in self._journals:
            journal.close()

    def process(self) -> Journal:
        """Another process's journal. It lives until that is closed."""
        self._journals.append(Journal(self.folder, self.clock))
        return self._journals[-1]

    def ledger(self) -> Ledger:
        """The ledger as another process has it."""
        return self.process().at(PLACE)

    def asker(self, owner: str = "a", **named: Any) -> Asker:
        """A run in a process of its own."""
        return asks(self.ledger(), self.clock, owner, **named)

    def books(self) -> Books:
        return self.ledger().look(lambda books: books)

    @property
    def entries(self) -> list[Path]:
        return sorted(self.folder.glob("places/*/0*"))


def ends(asker: Asker) -> None:
    """The run's process ends."""
    asker.ledger.sessions.end()
