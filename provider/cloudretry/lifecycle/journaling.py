"""Where the lifecycle and the journal meet: what is open, what is saved, and who may work on a resource."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

from cloudretry.actions import Action
from cloudretry.clock import pause
from cloudretry.errors import CloudRetryError
from cloudretry.inputs import is_unknown
from cloudretry.lifecycle.circumstances import Backend, Circumstances
from cloudretry.record import Record
from cloudretry.run.journal import ResourceJournal
from cloudretry.run.recover import concerns

__all__ = ["alone", "forget", "is_interrupted", "note_handed_over", "note_saved", "records_of"]

LOCK_CHECK = 0.5
"""Seconds between two looks whether another run has let go of the resource."""


def records_of(backend: Backend, resource: str) -> ResourceJournal | None:
    """The resource's part of the journal, if there is one."""
    return backend.journal.of(resource) if backend.journal is not None and resource else None


def note_saved(backend: Backend, resource: str, outputs: Mapping[str, Any]) -> None:
    """The engine shows these outputs as old state: their fires need no record any more."""
    records = records_of(backend, resource)
    if records is not None and outputs.get("fireIds"):
        records.commit(outputs["fireIds"])


def note_handed_over(backend: Backend, resource: str, outputs: Mapping[str, Any]) -> None:
    """The engine is about to be handed these outputs to save. The last thing that a front does before it answers."""
    records = records_of(backend, resource)
    if backend.journal is not None and records is not None:
        backend.journal.replied(records, tuple(outputs.get("fireIds", ())))


def is_interrupted(
    backend: Backend,
    resource: str,
    action: Action[Any],
    outputs: Mapping[str, Any] | None,
    triggers: Mapping[str, Any] | None = None,
) -> bool:
    """Whether a fire is open that the saved state does not know, and that the next run takes up.

    Without ``outputs`` that is the fire of a create with these ``triggers``, as far as a preview knows them.
    """
    records = records_of(backend, resource)
    if records is None or records.is_empty or is_unknown(triggers):
        return False
    record = None if outputs is None else Record.from_outputs(action, outputs)
    wanted = (triggers or {}) if record is None else record.triggers
    return any(concerns(record, entry, wanted) for entry in records.open_entries(backend.clock.now()))


def forget(backend: Backend, resource: str) -> None:
    """The resource is deleted: a later one of its name is another."""
    records = records_of(backend, resource)
    if records is not None:
        records.commit_all()


@contextlib.asynccontextmanager
async def alone(records: ResourceJournal | None, backend: Backend, circumstances: Circumstances) -> AsyncIterator[None]:
    """Hold the resource against other runs on this machine, waiting for one that has it.

    :raises CloudRetryError: it did not let go in time.
    """
    deadline = backend.clock.monotonic() + circumstances.timeout
    while True:
        with records.try_lock() if records is not None else contextlib.nullcontext(True) as mine:
            if mine:
                yield
                return
        circumstances.progress("another run on this machine works on this resource; waiting for it")
        if circumstances.cancelled.is_set() or backend.clock.monotonic() >= deadline:
            raise CloudRetryError(
                "another run on this machine works on this resource; nothing was fired. Run it again when that "
                "has ended"
            )
        await pause(backend.clock, LOCK_CHECK, circumstances.cancelled)
