"""The write-ahead record of fires: one file each, in a folder for each resource.

===========  =====================================================  ===========================================
written      when                                                   what it tells the next run, should this one die
===========  =====================================================  ===========================================
`intent`     on disk before the request leaves                      it may have been fired: look at the cloud
`answered`   after the answer                                       it was fired, and this is what the cloud said
(removed)    when a later call shows the fire in old state, or the  nothing is open
             engine ended the plugin in an orderly way and
             was not cancelled
===========  =====================================================  ===========================================

A file holds one JSON object a line. The intent is written to a file of another name, synced and renamed, so that a
half-written one never bears the name of a record; the answer is one appended line, and counts only when it is whole.
A record that cannot be read is set aside under another name: never trusted, never lost.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from cloudretry.errors import JournalError
from cloudretry.model import Answer, CloudError, FireOutcome

__all__ = ["ADOPTABLE", "Entry", "EntryTarget", "Journal", "ResourceJournal", "RunJournal", "TriggerMark", "revealed"]

ADOPTABLE = 24 * 3600.0
"""Seconds after which an interrupted fire is too old to be taken up."""

KEPT = 30 * 24 * 3600.0
"""Seconds after which a record that nobody asked for is removed."""

REMEMBERED = 3600.0
"""Seconds for which a committed fire is remembered to a run that began before it was saved."""

_RECORD, _SAVED, _DRAFT, _ASIDE, _LOCK = ".fire", ".saved", ".draft", ".unreadable", "lock"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class TriggerMark:
    """Tells whether triggers are those of a fire, without holding their values: they may be secret."""

    salt: str
    digest: str

    @classmethod
    def of(cls, triggers: Mapping[str, Any]) -> TriggerMark:
        salt = secrets.token_hex(16)
        return cls(salt, _digest(salt, triggers))

    def fits(self, triggers: Mapping[str, Any]) -> bool:
        return hmac.compare_digest(self.digest, _digest(self.salt, triggers))


def _digest(salt: str, triggers: Mapping[str, Any]) -> str:
    text = json.dumps(triggers, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256((salt + text).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class EntryTarget:
    """A target as a fire found it: its attempts with this fire, and its stamp before."""

    key: str
    attempts: int
    before: str = ""


@dataclass(frozen=True, slots=True)
class Entry:
    """One fire. ``answers`` is ``None`` until an answer was written; ``at`` is in seconds since the epoch."""

    fire_id: str
    at: float
    creating: bool
    generation: int
    triggers: TriggerMark
    targets: tuple[EntryTarget, ...]
    answers: Mapping[str, Answer] | None = None
    request_id: str = ""

    @property
    def unclear(self) -> tuple[str, ...]:
        """The targets of which no answer tells what became of them."""
        answers = self.answers or {}
        return tuple(
            target.key
            for target in self.targets
            if target.key not in answers or answers[target.key].outcome is FireOutcome.UNKNOWN
        )


@dataclass(frozen=True, slots=True)
class ResourceJournal:
    """The records of one resource."""

    folder: Path
    resource: str

    def intend(self, entry: Entry) -> None:
        """Put an intent on disk, for good.

        :raises JournalError: it cannot be done, so nothing may be fired.
        """
        try:
            self._put(entry.fire_id, self._intent_line(entry))
        except OSError as error:
            raise JournalError(
                f"the journal at {self.folder} cannot be written ({error.strerror}), so nothing was fired. "
                f"{_remedy(error)}, or set journalEnabled: false to fire without a journal"
            ) from None

    def resolve(self, entry: Entry, *, fired: bool) -> None:
        """Take somebody's word for what became of the targets of an open fire that have no clear answer.

        Those that were ``fired`` count as accepted from now on, and the next run looks what came of it; the others as
        not sent. A record that then says nothing else is removed. For the holder of the lock.

        :raises JournalError: it cannot be done, and the record stands as it was.
        """
        said = Answer(FireOutcome.ACCEPTED if fired else FireOutcome.NOT_SENT)
        known = entry.answers or {}
        answers = {target.key: said if target.key in entry.unclear else known[target.key] for target in entry.targets}
        try:
            if all(answer.outcome is FireOutcome.NOT_SENT for answer in answers.values()):
                self._path(entry.fire_id).unlink()
            else:
                self._put(entry.fire_id, self._intent_line(entry) + _answer_line(answers, entry.request_id))
        except OSError as error:
            raise JournalError(f"the journal at {self.folder} cannot be written ({error.strerror})") from None

    def _intent_line(self, entry: Entry) -> str:
        return json.dumps({"version": _VERSION, "resource": self.resource, **_entry_to_json(entry)}) + "\n"

    def _put(self, fire_id: str, text: str) -> None:
        path = self._path(fire_id)
        draft = path.with_suffix(_DRAFT)
        try:
            # Without the lock, which makes the folder, there may be none.
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(draft, text, os.O_CREAT | os.O_TRUNC)
            draft.rename(path)
            _sync_folder(self.folder)
        except OSError:
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            raise

    def answered(self, fire_id: str, answers: Mapping[str, Answer], request_id: str) -> None:
        """Add what the cloud answered. Where it cannot be written, the intent stands and the cloud is asked again."""
        line = _answer_line(answers, request_id)
        with contextlib.suppress(OSError):
            # An intent that could not be written has no record to add to.
            _write(self._path(fire_id), line, os.O_APPEND)

    def entries(self) -> list[Entry]:
        """Every fire that has a record, oldest first, however old."""
        return sorted(filter(None, map(self._read, self._records())), key=lambda entry: entry.at)

    def open_entries(self, now: float, began: float | None = None) -> list[Entry]:
        """The fires that no state is known to hold, oldest first. Those older than a day are left alone.

        To a run that ``began`` at this time of the machine's clock, in seconds since the epoch, the fires whose state
        was saved since are open as well: the state that it works on is an older one.
        """
        paths = [*self._records(), *(self._saved_since(began) if began is not None else ())]
        entries = [entry for path in paths if (entry := self._read(path)) and now - entry.at <= ADOPTABLE]
        return sorted(entries, key=lambda entry: entry.at)

    def clean(self, now: float) -> list[Path]:
        """Set records aside that cannot be read, and return them; remove what is of no more use.

        For the holder of the lock: nobody else is writing.
        """
        aside = []
        for path in self._named(_DRAFT):
            path.unlink(missing_ok=True)
        self.forget_saved()
        for path in self._records():
            entry = self._read(path)
            if entry is None:
                aside.append(_put_aside(path))
            elif now - entry.at > KEPT:
                path.unlink(missing_ok=True)
        return aside

    @property
    def is_empty(self) -> bool:
        return next(self._records(), None) is None

    def commit(self, fire_ids: Iterable[str], *, now: bool = False) -> None:
        """The fires stand in a state that was saved, ``now`` or some time ago: their records have done their work.

        They are remembered for an hour, for a run that has read an older state.
        """
        with contextlib.suppress(OSError):
            # A big batch has a thousand fires, of which there is a record only in the run that follows.
            names = set(os.listdir(self.folder))
            recorded = [path for path in map(self._path, fire_ids) if path.name in names]
            for path in recorded:
                with contextlib.suppress(FileNotFoundError):
                    if now:
                        # The file system's own clock is coarser than ours.
                        os.utime(path, (time.time(), time.time()))
                    path.rename(path.with_suffix(_SAVED))

    def _saved_since(self, began: float) -> Iterator[Path]:
        for path in self._named(_SAVED):
            with contextlib.suppress(FileNotFoundError):
                if path.stat().st_mtime >= began:
                    yield path

    def commit_all(self) -> None:
        """The resource is gone, or its fires are overtaken."""
        with contextlib.suppress(OSError):
            for path in (*self._records(), *self._named(_SAVED)):
                path.unlink(missing_ok=True)
        self._tidy()

    def forget_saved(self) -> None:
        """Remove what was committed long ago."""
        for path in self._named(_SAVED):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > REMEMBERED:
                    path.unlink()

    def _tidy(self) -> None:
        if self.folder.exists() and self.is_empty:
            with self.try_lock():
                pass

    @contextlib.contextmanager
    def try_lock(self) -> Iterator[bool]:
        """Hold the resource against other runs on this machine; false while another one holds it.

        The lock goes with the process, however it ends.
        """
        try:
            lock = self._locked()
        except OSError:
            # Whether the folder can be written at all is for the intent to say.
            yield True
            return
        if lock is None:
            yield False
            return
        try:
            yield True
        finally:
            self._leave_tidy()
            lock.close()

    def _locked(self) -> IO[str] | None:
        path = self.folder / _LOCK
        while True:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                lock = open(path, "a", encoding="utf-8")  # noqa: SIM115 - it is held beyond this call
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(lock.fileno()), path.stat()):
                    return lock
            except FileNotFoundError:
                pass  # The one who held it has tidied up in between.
            except BlockingIOError:
                lock.close()
                return None
            lock.close()

    def _leave_tidy(self) -> None:
        """Remove the folder if nothing is in it but the lock, which the caller holds."""
        with contextlib.suppress(OSError):
            if os.listdir(self.folder) == [_LOCK]:
                (self.folder / _LOCK).unlink()
                self.folder.rmdir()

    def _path(self, fire_id: str) -> Path:
        return self.folder / f"{fire_id}{_RECORD}"

    def _records(self) -> Iterator[Path]:
        return self._named(_RECORD)

    def _named(self, suffix: str) -> Iterator[Path]:
        yield from (path for path in _listed(self.folder) if path.name.endswith(suffix))

    def _read(self, path: Path) -> Entry | None:
        try:
            lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
            intent = json.loads(lines[0])
            if intent["version"] != _VERSION or intent["resource"] != self.resource:
                return None
            answer = json.loads(lines[1]) if len(lines) > 1 and lines[1].endswith("\n") else None
            return _entry_from_json(intent, answer)
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return None


@dataclass(frozen=True, slots=True)
class RunJournal:
    """The journal as one run writes it. ``creating`` and ``triggers`` say what the run was asked to do.

    A target that ``is_secret`` is written as a salted digest, and what the cloud said of it is left out.
    """

    records: ResourceJournal
    creating: bool
    generation: int
    triggers: TriggerMark
    is_secret: Callable[[str], bool]

    def intend(self, fire_id: str, at: float, targets: tuple[EntryTarget, ...]) -> None:
        """Put an intent on disk.

        :raises JournalError: it cannot be done, so nothing may be fired.
        """
        written = tuple(replace(target, key=self._written(target.key)) for target in targets)
        self.records.intend(Entry(fire_id, at, self.creating, self.generation, self.triggers, written))

    def answered(self, fire_id: str, answers: Mapping[str, Answer], request_id: str) -> None:
        """Add what the cloud answered."""
        written = {
            self._written(key): _without(answer, key) if self.is_secret(key) else answer
            for key, answer in answers.items()
        }
        self.records.answered(fire_id, written, request_id)

    def _written(self, key: str) -> str:
        return _concealed(self.triggers.salt, key) if self.is_secret(key) else key


def _without(answer: Answer, key: str) -> Answer:
    """The answer without what could name its target."""
    error = answer.error and replace(answer.error, message="")
    return replace(answer, error=error, handle="" if answer.handle == key else answer.handle)


def revealed(entry: Entry, keys: Iterable[str]) -> Entry:
    """The entry with its targets by name, as far as they are among these."""
    names = {_concealed(entry.triggers.salt, key): key for key in keys}
    targets = tuple(replace(target, key=names.get(target.key, target.key)) for target in entry.targets)
    answers = entry.answers and {names.get(key, key): answer for key, answer in entry.answers.items()}
    return replace(entry, targets=targets, answers=answers)


def _concealed(salt: str, key: str) -> str:
    return f"sha256:{hashlib.sha256(f'{salt}{key}'.encode()).hexdigest()}"


class Journal:
    """The journal of one machine: a folder with a folder for each resource."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._replied: list[tuple[ResourceJournal, tuple[str, ...]]] = []

    def of(self, resource: str) -> ResourceJournal:
        """The records of the resource with this name (backend, stack and URN, as far as they are known)."""
        name = hashlib.sha256(resource.encode()).hexdigest()[:32]
        return ResourceJournal(self.folder / name, resource)

    def replied(self, records: ResourceJournal, fire_ids: tuple[str, ...]) -> None:
        """The engine is handed these fires to save."""
        self._replied.append((records, fire_ids))

    def commit_replied(self) -> None:
        """The engine ended in an orderly way, so it has saved what it was handed."""
        while self._replied:
            records, fire_ids = self._replied.pop()
            records.commit(fire_ids, now=True)
        self._sweep()

    def _sweep(self) -> None:
        """Remove what is left of resources that were not touched for long."""
        with contextlib.suppress(OSError):
            for folder in self.folder.iterdir():
                records = ResourceJournal(folder, "")
                records.forget_saved()
                if set(os.listdir(folder)) <= {_LOCK}:
                    with records.try_lock():
                        pass

    def resources(self) -> list[ResourceJournal]:
        """Every resource that has a record.

        :raises JournalError: the journal cannot be read.
        """
        found = []
        for folder in _listed(self.folder):
            for path in sorted(folder.glob(f"*{_RECORD}")):
                with contextlib.suppress(OSError, ValueError, LookupError):
                    found.append(self.of(json.loads(path.read_text(encoding="utf-8").splitlines()[0])["resource"]))
                    break
        return found

    def unreadable(self) -> list[Path]:
        """The records that cannot be read, those among them that were set aside."""
        return [
            path
            for path in sorted(self.folder.glob("*/*"))
            if path.suffix == _ASIDE or (path.suffix == _RECORD and not self._is_readable(path))
        ]

    def _is_readable(self, path: Path) -> bool:
        try:
            resource = json.loads(path.read_text(encoding="utf-8").splitlines()[0])["resource"]
        except (OSError, ValueError, LookupError, TypeError):
            return False
        return self.of(resource)._read(path) is not None


def _write(path: Path, text: str, flags: int) -> None:
    """Write and sync. A disk that takes only a part of it is an error."""
    data = memoryview(text.encode())
    descriptor = os.open(path, os.O_WRONLY | flags, 0o600)
    try:
        while data:
            data = data[os.write(descriptor, data) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _listed(folder: Path) -> list[Path]:
    try:
        return sorted(folder / name for name in os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise JournalError(
            f"the journal at {folder} cannot be read ({error.strerror}), so it is not known whether a fire is open, "
            "and nothing was fired. Make it readable, or set journalEnabled: false to fire without a journal"
        ) from None


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _put_aside(path: Path) -> Path:
    aside = path.with_suffix(f".{secrets.token_hex(4)}{_ASIDE}")
    with contextlib.suppress(OSError):
        path.rename(aside)
    return aside


def _remedy(error: OSError) -> str:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return "Free some space, point journalDir to another disk"
    return "Point journalDir to a folder that can be written"


def _entry_to_json(entry: Entry) -> dict[str, Any]:
    return {
        "fire": entry.fire_id,
        "at": entry.at,
        "creating": entry.creating,
        "generation": entry.generation,
        "triggers": {"salt": entry.triggers.salt, "digest": entry.triggers.digest},
        "targets": [
            {"key": target.key, "attempts": target.attempts, "before": target.before} for target in entry.targets
        ],
    }


def _entry_from_json(intent: Mapping[str, Any], answer: Mapping[str, Any] | None) -> Entry:
    targets = tuple(
        EntryTarget(str(item["key"]), int(item["attempts"]), str(item["before"])) for item in intent["targets"]
    )
    return Entry(
        fire_id=str(intent["fire"]),
        at=float(intent["at"]),
        creating=bool(intent["creating"]),
        generation=int(intent["generation"]),
        triggers=TriggerMark(str(intent["triggers"]["salt"]), str(intent["triggers"]["digest"])),
        targets=targets,
        answers=None if answer is None else {key: _answer_from_json(item) for key, item in answer["answers"].items()},
        request_id="" if answer is None else str(answer["requestId"]),
    )


def _answer_line(answers: Mapping[str, Answer], request_id: str) -> str:
    said = {key: _answer_to_json(answer) for key, answer in answers.items()}
    return json.dumps({"answers": said, "requestId": request_id}) + "\n"


def _answer_to_json(answer: Answer) -> dict[str, Any]:
    said: dict[str, Any] = {"outcome": answer.outcome.value}
    if answer.handle:
        said["handle"] = answer.handle
    if answer.error:
        said["error"] = [answer.error.code, answer.error.message, answer.error.http_status, answer.error.request_id]
    return said


def _answer_from_json(said: Mapping[str, Any]) -> Answer:
    error = None
    if "error" in said:
        code, message, http_status, request_id = said["error"]
        error = CloudError(str(code), str(message), int(http_status), str(request_id))
    return Answer(FireOutcome(said["outcome"]), str(said.get("handle", "")), error)
