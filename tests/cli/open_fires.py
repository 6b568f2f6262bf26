"""Fires in a journal as runs leave them: cut off, handed over, or still at work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from command_line import DRS

from cloudretry.clock import Moment, SystemClock
from cloudretry.ledger import Ask, EntryTarget, Fire, Journal, TriggerMark, Word
from cloudretry.ledger import books as write
from cloudretry.model import Answer

URN = f"urn:pulumi:dev::shop::cloudretry:{DRS}::orders"
ID = "0123456789abcdef"
PLACE = {
    "endpoint": "https://drs.example",
    "region": "eu-de",
    "project": "p1",
    "action": f"cloudretry:{DRS}",
    "container": "",
}


class Ago(SystemClock):
    """The machine's clock, so many seconds ago."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def now(self) -> float:
        return super().now() - self._seconds

    def moment(self) -> Moment:
        return super().moment().after(-self._seconds)


def at_work(
    folder: Path,
    *keys: str,
    fire_id: str = ID,
    age: float = 60.0,
    creating: bool = True,
    answers: Mapping[str, Answer] | None = None,
    words: Mapping[str, Word] | None = None,
    place: Mapping[str, str] = PLACE,
    owner: str = URN,
    handed: bool = False,
) -> Journal:
    """Leave a fire behind whose run lives until this journal is closed.

    ``handed``: nobody waits for it any more, for the engine was given the outcome.
    """
    journal, began = Journal(folder, Ago(age)), Ago(age).moment()
    holder = journal.sessions.holder
    ask = Ask(owner, f"life of {fire_id}", 1, 1, creating, TriggerMark.of({"a": "planted"}), "https://api.example")
    targets = [EntryTarget(key, 1) for key in keys or ("jb1",)]
    records = [write.intent(ask, [(fire_id, targets)], began, began.after(20), holder)]
    if answers is not None:
        records.append(write.answer(fire_id, answers, "request-1", holder.session))
    if words is not None:
        records.append(write.words({fire_id: words}, holder.session))
    if handed:
        records.append(write.over([fire_id], holder.session, handed=True))
    journal.at(place).write(lambda _books, _listed: (records, None))
    return journal


def interrupted(folder: Path, *keys: str, **how: object) -> None:
    """Leave a fire behind whose run has ended."""
    at_work(folder, *keys, **how).close()  # type: ignore[arg-type]


def fires(folder: Path) -> list[Fire]:
    """All that a journal knows, oldest first."""
    found = [fire for ledger in Journal(folder).places() for fire in ledger.look(lambda books: [*books.fires()])]
    return sorted(found, key=lambda fire: fire.began.at)


def open_fires(folder: Path) -> list[Fire]:
    """Those of them that no saved state is known to hold."""
    return [fire for fire in fires(folder) if not fire.saved and not fire.had_no_effect]


def fire_of(folder: Path, fire_id: str = ID) -> Fire:
    (found,) = (fire for fire in fires(folder) if fire.fire_id == fire_id)
    return found


__all__ = ["ID", "PLACE", "URN", "Ago", "at_work", "fire_of", "fires", "interrupted", "open_fires"]
