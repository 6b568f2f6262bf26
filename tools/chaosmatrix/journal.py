"""The product's journal as a bystander sees it: read while others write it."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cloudretry.ledger import Books, Fire

__all__ = ["Entry", "entries", "litter"]


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


def _inside(folder: Path) -> list[Path]:
    with contextlib.suppress(OSError):
        return sorted(folder.iterdir())
    return []


def _fires(place: Path) -> Iterator[Fire]:
    books = Books()
    for path in _inside(place):
        if path.name.isdecimal():
            with contextlib.suppress(FileNotFoundError):
                books.add(int(path.name), json.loads(path.read_bytes())["records"])
    yield from books.fires()
