"""The emulator's memory: one SQLite database, in memory or in a file that several emulators may share."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cloudretry.emulator.errors import EmulatorError
from cloudretry.folders import make_private, make_private_file

__all__ = ["Store", "Transaction"]

_VERSION = 1
_LOCK_PATIENCE = 30.0
"""Seconds to wait for another process that is in the middle of a request."""

_SCHEMA = """
CREATE TABLE settings (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE projects (id TEXT PRIMARY KEY, name TEXT NOT NULL);
CREATE TABLE containers (
    kind TEXT NOT NULL, project TEXT NOT NULL, id TEXT NOT NULL, position INTEGER NOT NULL,
    details TEXT NOT NULL, PRIMARY KEY (kind, project, id)
) WITHOUT ROWID;
CREATE TABLE targets (
    kind TEXT NOT NULL, project TEXT NOT NULL, id TEXT NOT NULL, container TEXT NOT NULL, position INTEGER NOT NULL,
    state TEXT NOT NULL, events TEXT NOT NULL, loaded_at REAL NOT NULL, fired_at REAL, stamp REAL NOT NULL,
    times_fired INTEGER NOT NULL, refusals INTEGER NOT NULL, earlier TEXT, hidden_until REAL NOT NULL,
    details TEXT NOT NULL, PRIMARY KEY (kind, project, id)
) WITHOUT ROWID;
CREATE INDEX targets_in_order ON targets (kind, project, container, position);
CREATE TABLE requests (
    number INTEGER PRIMARY KEY AUTOINCREMENT, operation TEXT NOT NULL, effects INTEGER NOT NULL, record TEXT NOT NULL
);
CREATE TABLE faults (
    number INTEGER PRIMARY KEY AUTOINCREMENT, operation TEXT NOT NULL, skip INTEGER NOT NULL, times INTEGER,
    hits INTEGER NOT NULL, fault TEXT NOT NULL
);
CREATE TABLE tokens (
    token TEXT PRIMARY KEY, project TEXT, issued_at REAL NOT NULL, expires_at REAL NOT NULL
) WITHOUT ROWID;
CREATE TABLE temporary_keys (
    cloud TEXT NOT NULL, access_key TEXT NOT NULL, secret_key TEXT NOT NULL, security_token TEXT NOT NULL,
    project TEXT, expires_at REAL NOT NULL, PRIMARY KEY (cloud, access_key)
) WITHOUT ROWID;
CREATE TABLE nonces (nonce TEXT PRIMARY KEY, seen_at REAL NOT NULL) WITHOUT ROWID;
CREATE INDEX nonces_by_age ON nonces (seen_at);
"""


class Transaction:
    """One request's view of the store. ``now`` is seconds since the epoch by the emulator's clock."""

    def __init__(self, connection: sqlite3.Connection, now: float) -> None:
        self._connection = connection
        self.now = now

    def execute(self, statement: str, parameters: Iterable[Any] = ()) -> sqlite3.Cursor:
        return self._connection.execute(statement, tuple(parameters))

    def executemany(self, statement: str, rows: Iterable[tuple[Any, ...]]) -> None:
        self._connection.executemany(statement, rows)

    def has_setting(self, name: str) -> bool:
        return self.execute("SELECT 1 FROM settings WHERE name = ?", (name,)).fetchone() is not None

    def setting(self, name: str) -> str:
        return str(self.execute("SELECT value FROM settings WHERE name = ?", (name,)).fetchone()[0])

    def set_setting(self, name: str, value: str) -> None:
        self.execute("INSERT OR REPLACE INTO settings VALUES (?, ?)", (name, value))


class Store:
    """Opens the database and hands out transactions, one at a time.

    A transaction holds the database's write lock from its first moment, so what several processes do to one state
    file happens one after the other.

    :raises EmulatorError: the file is not an emulator's state, or cannot be opened.
    """

    def __init__(self, path: Path | None) -> None:
        self._lock = threading.RLock()
        self._connection = _open(path)

    @contextmanager
    def transaction(self, now: float) -> Iterator[Transaction]:
        """All or nothing: committed at the end of the block, rolled back if it raises."""
        with self._lock:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield Transaction(self._connection, now)
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def close(self) -> None:
        with self._lock:
            self._connection.close()


def _open(path: Path | None) -> sqlite3.Connection:
    try:
        if path is not None:
            make_private(path.parent)
            make_private_file(path)
        connection = sqlite3.connect(
            ":memory:" if path is None else path,
            timeout=_LOCK_PATIENCE,
            isolation_level=None,
            check_same_thread=False,
        )
    except (OSError, ValueError, sqlite3.Error) as error:
        words = getattr(error, "strerror", None) or error
        raise EmulatorError(
            f"emulator state {path}: cannot be opened ({words}); name a file that can be written, "
            "or another PULUMI_HOME"
        ) from error
    try:
        _switch_to_write_ahead_log(connection)
        _create_tables(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise EmulatorError(
            f"emulator state {path}: cannot be used ({error}); delete the file or name another"
        ) from error
    except EmulatorError:
        connection.close()
        raise
    return connection


def _switch_to_write_ahead_log(connection: sqlite3.Connection) -> None:
    # The switch does not wait for a lock as other statements do, so two emulators that start on one
    # new file at the same moment would fail here.
    deadline = time.monotonic() + _LOCK_PATIENCE
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            break
    connection.execute("PRAGMA synchronous = NORMAL")


def _create_tables(connection: sqlite3.Connection, path: Path | None) -> None:
    connection.execute("BEGIN IMMEDIATE")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == 0:
        for statement in _SCHEMA.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")
    connection.execute("COMMIT")
    if version not in (0, _VERSION):
        raise EmulatorError(
            f"emulator state {path}: written by another version (format {version}, this one reads {_VERSION}); "
            "delete the file to start afresh"
        )
