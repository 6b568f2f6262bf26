"""The product's journal as a bystander sees it: read while others write it."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from cloudretry.clock import Moment, SystemClock
from cloudretry.ledger import Ask, Books, EntryTarget, Fire, Journal, TriggerMark
from cloudretry.ledger import books as write
from cloudretry.model import Answer, FireOutcome

__all__ = ["Entry", "entries", "fill", "litter"]


@dataclass(frozen=True, slots=True)
class Entry:
    """An open fire: no saved state is known to hold it.

    ``answered`` says that the cloud's answer is written; ``handed`` that the engine was given the outcome; ``began`` is
    when it was intended, in seconds since the epoch.
    """

    fire_id: str
    began: float
    answered: bool
    handed: bool = False
    request_id: str = ""


def entries(folder: Path) -> list[Entry]:
    """The open fires, of all places, oldest first."""
    found = [
        Entry(fire.fire_id, fire.began.at, bool(fire.answers), fire.handed, fire.request_id)
        for place in _inside(folder / "places")
        for fire in _fires(place)
        if not fire.saved and not fire.had_no_effect
    ]
    return sorted(found, key=lambda entry: entry.began)


def litter(folder: Path) -> list[str]:
    """The drafts of entries that were never finished."""
    return [os.path.relpath(path, folder) for place in _inside(folder / "places") for path in place.glob(".*.draft")]


def fill(folder: Path, number: int) -> None:
    """Let somebody else fire at each place so often, and be done with it: readers then begin at a later entry."""
    journal, clock, target = Journal(folder), SystemClock(), EntryTarget("another", 1)
    holder = journal.sessions.holder

    def fire(_books: Books, _listed: Moment) -> tuple[list[write.Record], None]:
        fire_id = secrets.token_hex(8)
        ask = Ask("another", secrets.token_hex(8), 1, 1, creating=True, triggers=TriggerMark.of({}))
        intent = write.intent(ask, [(fire_id, [target])], clock.moment(), clock.moment(), holder)
        accepted = write.answer(fire_id, {target.key: Answer(FireOutcome.ACCEPTED)}, "", holder.session)
        return [intent, accepted, write.saved([fire_id])], None

    for ledger in journal.places():
        for _ in range(number):
            ledger.write(fire, durable=False)
    journal.close()


def _inside(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(folder.iterdir())
    return []


def _fires(place: Path) -> Iterator[Fire]:
    books = Books()
    for path in _inside(place):
        if path.name.isdecimal():
            with contextlib.suppress(FileNotFoundError):
                books.add(int(path.name), _records(path))
    yield from books.fires()


@cache
def _records(entry: Path) -> list[write.Record]:
    """What an entry holds; it never changes."""
    records: list[write.Record] = json.loads(entry.read_bytes())["records"]
    return records
