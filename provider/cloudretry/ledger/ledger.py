"""The ledger of a place: an append-only log of who has fired which target, and what came of it.

An entry is created at the number after the last one that was read, if nothing is there, and holds only what follows
from the entries before it. So the write is the check of all that was concluded: refused, the writer reads on and
concludes again. What several threads want to write goes into one entry.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Generic, TypeVar

from cloudretry.clock import Clock, Moment, SystemClock
from cloudretry.errors import JournalError
from cloudretry.ledger.books import Books, Record, kept
from cloudretry.ledger.fires import Fire
from cloudretry.ledger.sessions import LockedSessions
from cloudretry.ledger.store import Folder, Store

__all__ = ["KEPT", "Journal", "Ledger"]

T = TypeVar("T")

Conclude = Callable[[Books, Moment], tuple[Sequence[Record], T]]
"""What follows from the books: records to add to them, and what to tell the caller. May be asked again."""

KEPT = 24 * 3600.0
"""Seconds for which an entry is kept at the least, and a settled fire remembered."""

FORGOTTEN = 30 * KEPT
"""Seconds after which a fire that nobody asked for is forgotten."""

CHECKPOINT = 64
"""Every entry of such a number repeats what is not settled, so that nobody has to read what is before it."""

LISTED = 10.0
"""Seconds for which a listing will do to write the next entry. What is intended may leave only a little longer."""

_VERSION = 1


class _Wish(Generic[T]):
    """What one thread wants to write, and what came of it."""

    def __init__(self, conclude: Conclude[T], *, durable: bool) -> None:
        self.conclude = conclude
        self.durable = durable
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class Ledger:
    """The ledger of one place. Blocking; safe to use from many threads. ``executor`` has some that are free for it."""

    def __init__(
        self,
        store: Store,
        prefix: str,
        place: Mapping[str, str],
        sessions: LockedSessions,
        clock: Clock,
        executor: Executor,
    ) -> None:
        self.place = place
        self.sessions = sessions
        self.store = store
        self.executor = executor
        self._prefix = prefix
        self._clock = clock
        self._books = Books()
        self._listed: Moment | None = None
        self._waiting: list[_Wish[Any]] = []
        self._queue = threading.Lock()
        self._turn = threading.RLock()

    @property
    def beside(self) -> frozenset[str]:
        """What the store holds beside ledgers, by its name at the top."""
        return frozenset(self.store.names("")) - {"places", "sessions"}

    def look(self, read: Callable[[Books], T], *, fresh: bool = False) -> T:
        """What the books say. Those of the first look are good enough unless they have to be ``fresh``.

        :raises JournalError: the store cannot be read.
        """
        with self._turn:
            if fresh or self._listed is None:
                self._read_on()
            return read(self._books)

    def write(self, conclude: Conclude[T], *, durable: bool = True) -> T:
        """Add what follows from the books.

        :raises JournalError: it cannot be written.
        """
        wish = _Wish(conclude, durable=durable)
        with self._queue:
            self._waiting.append(wish)
        with self._turn:
            # Whoever had the turn before may have written this as well.
            if not wish.done:
                with self._queue:
                    batch, self._waiting = self._waiting, []
                self._fulfil(batch)
        if wish.error is not None:
            raise wish.error
        result: T = wish.result
        return result

    def _fulfil(self, batch: Sequence[_Wish[Any]]) -> None:
        try:
            self._commit(batch)
        except BaseException as error:
            # The books may hold what was not written.
            self._books, self._listed = Books(), None
            for wish in batch:
                wish.error = wish.error or error
            if not isinstance(error, Exception):
                raise
        finally:
            for wish in batch:
                wish.done = True

    def _commit(self, batch: Sequence[_Wish[Any]]) -> None:
        while True:
            listed = self._recently_listed()
            number = self._books.last + 1
            records: list[Record] = []
            if number % CHECKPOINT == 0:
                records.append(kept(self._worth_keeping(listed)))
            wanted = 0
            for wish in batch:
                if wish.error is not None:
                    continue
                try:
                    found, wish.result = wish.conclude(self._books, listed)
                except Exception as error:  # noqa: BLE001 - it belongs to the one who wished
                    wish.error = error
                    continue
                # The next one's conclusion has to know of it.
                self._books.add(number, found)
                self._books.last = number - 1
                records += found
                wanted += bool(found)
            if not wanted:
                return
            self.sessions.begin()
            text = json.dumps({"version": _VERSION, "records": records}, separators=(",", ":"))
            durable = any(wish.durable for wish in batch)
            if number == 1:
                self.store.create(f"{self._prefix}/place", json.dumps(dict(self.place)).encode())
            if self.store.create(self._name(number), text.encode(), durable=durable):
                self._books.last = number
                if number % CHECKPOINT == 0:
                    # The entry is written, whatever becomes of what it repeats.
                    with contextlib.suppress(JournalError):
                        self._remove_garbage(number)
                return
            self._books, self._listed = Books(), None

    def _recently_listed(self) -> Moment:
        """When the books were last read on, which is not long ago."""
        age = None if self._listed is None else self._listed.age(self._clock.moment())
        if self._listed is None or age is None or not 0 <= age <= LISTED:
            return self._read_on()
        return self._listed

    def _worth_keeping(self, now: Moment) -> list[Fire]:
        return [fire for fire in self._books.fires() if fire.age(now) <= (KEPT if fire.is_settled else FORGOTTEN)]

    def _read_on(self) -> Moment:
        """Read what was added since, and return when the entries were listed.

        :raises JournalError: an entry is missing or cannot be read.
        """
        listed = self._clock.moment()
        names = self.store.names(self._prefix)
        numbers = [int(name) for name in names if name.isdecimal()]
        newest = max(numbers, default=0)
        first = self._books.last + 1
        if first == 1 and newest >= CHECKPOINT:
            first = newest - newest % CHECKPOINT
        missing = set(range(first, newest + 1)).difference(numbers)
        if missing or newest < self._books.last:
            raise self._gone()
        for number in range(first, newest + 1):
            self._add(number)
        self._listed = listed
        return listed

    def _add(self, number: int) -> None:
        name = self._name(number)
        try:
            said = json.loads(self.store.read(name))
            self._books.add(number, {_VERSION: said["records"]}[said["version"]])
        except FileNotFoundError:
            raise self._gone() from None
        except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
            self._books, self._listed = Books(), None
            raise JournalError(
                f"the journal's entry {self.store.where}/{name} cannot be read, so it is not known whether a fire is "
                "open, and nothing was fired. Look at the targets at the cloud; then move the folder of this place "
                "away, and nothing of it is taken up"
            ) from None

    def _gone(self) -> JournalError:
        self._books, self._listed = Books(), None
        return JournalError(
            f"entries of the journal at {self.store.where}/{self._prefix} were removed while this run was at work, or "
            "are missing, and nothing more was fired. Run it again"
        )

    def _remove_garbage(self, number: int) -> None:
        """Remove what is settled and repeated. By the store's own clock, that nobody has to trust ours."""
        names = self.store.names(self._prefix)
        now = names.get(f"{number:012d}", 0.0)
        for name, at in names.items():
            if name.isdecimal() and int(name) < number - CHECKPOINT and now - at > KEPT:
                self.store.remove(f"{self._prefix}/{name}")

    def _name(self, number: int) -> str:
        return f"{self._prefix}/{number:012d}"


class Journal:
    """The ledgers of all places in one store, as one process sees them."""

    def __init__(self, folder: Path, clock: Clock | None = None) -> None:
        self.folder = folder
        self.store: Store = Folder(folder)
        self.sessions = LockedSessions(folder / "sessions")
        self.executor = ThreadPoolExecutor(max_workers=32, thread_name_prefix="cloudretry-journal")
        self._clock = clock or SystemClock()
        self._ledgers: dict[str, Ledger] = {}
        self._lock = threading.Lock()

    def at(self, place: Mapping[str, str]) -> Ledger:
        """The ledger of the place with these words. Reads and writes nothing yet."""
        digest = hashlib.sha256(json.dumps(dict(place), sort_keys=True).encode()).hexdigest()[:32]
        with self._lock:
            if digest not in self._ledgers:
                self._ledgers[digest] = Ledger(
                    self.store, f"places/{digest}", place, self.sessions, self._clock, self.executor
                )
            return self._ledgers[digest]

    def places(self) -> list[Ledger]:
        """The ledgers of all places that the store knows.

        :raises JournalError: it cannot be read.
        """
        found = []
        for digest in sorted(self.store.names("places")):
            try:
                place = json.loads(self.store.read(f"places/{digest}/place"))
                found.append(self.at({str(name): str(value) for name, value in place.items()}))
            except (FileNotFoundError, ValueError, AttributeError):
                continue
        return found

    def try_out(self) -> None:
        """See that what is there can be read, and that a fire could be noted. Leaves nothing behind.

        :raises JournalError: it cannot.
        """
        for ledger in self.places():
            ledger.look(lambda _books: None)
        with Folder(self.folder).trial() as folder:
            sessions = LockedSessions(folder / "sessions")
            sessions.begin()
            sessions.end()

    def close(self) -> None:
        """End the session: everything that this process has sent is back."""
        self.executor.shutdown(wait=True)
        self.sessions.end()
