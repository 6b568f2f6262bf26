"""Where the lifecycle and the ledger meet: which open fires a run takes up, and when a fire is settled.

A fire is settled when a saved state is known to hold it: a call of the engine shows outputs that came after it
(:func:`note_saved`), or the engine has acknowledged the save (:func:`settle`).
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from cloudretry.actions import Action
from cloudretry.clock import Moment, pause
from cloudretry.errors import CloudRetryError, FireInDoubt, JournalError
from cloudretry.inputs import given, is_unknown, named_targets
from cloudretry.ledger import Asker, Books, Fire, Ledger, OldRecords, can_be_taken_over
from cloudretry.ledger import books as write
from cloudretry.lifecycle.circumstances import Backend, Circumstances, Outcome
from cloudretry.lifecycle.claims import located
from cloudretry.lifecycle.difference import NOWHERE
from cloudretry.model import Place, rfc3339
from cloudretry.record import Record
from cloudretry.run.others import LEDGER_CHECK, left_by
from cloudretry.run.recover import Wanted, in_doubt, is_lapsed, is_named, of_old, open_fires

__all__ = ["asker_at", "forget", "found_open", "hand_over", "note_saved", "settle", "settle_now", "take_up"]

T = TypeVar("T")


def asker_at(backend: Backend, action: Action[Any], place: Place, circumstances: Circumstances) -> Asker | None:
    """A run's part in the ledger of its place, if one is kept."""
    ledger = backend.ledger(action, place) if circumstances.resource else None
    return Asker(ledger, backend.clock, circumstances.is_secret) if ledger is not None else None


async def take_up(
    asker: Asker, wanted: Wanted, backend: Backend, circumstances: Circumstances
) -> tuple[list[Fire], dict[str, float]]:
    """The open fires that this run goes on from, and by when a request for their targets can have left.

    Waits for another run that is at work on them, and becomes their holder.

    :raises CloudRetryError: another run did not end in time, or nobody can tell what a fire was; nothing was fired.
    """
    ledger, deadline = asker.ledger, backend.clock.monotonic() + circumstances.timeout
    lapsed: list[Fire] = []
    while True:
        old = await _noting(ledger, _take_in, ledger, wanted, backend.clock.moment())
        asker.began_after, mine, known = await _noting(ledger, ledger.look, partial(_of_mine, wanted), fresh=True)
        unclear = [fire for fire in known if fire.unclear]
        at_work = [
            fire
            for fire in (*mine, *unclear)
            if fire.holder.session != asker.session and not can_be_taken_over(fire, ledger.sessions)
        ]
        # What a run that lives has fired under another name is another resource's, whose targets are waited for.
        strange = [fire for fire in at_work if wanted.record is None and not is_named(fire, wanted)]
        mine, at_work = ([fire for fire in fires if fire not in strange] for fires in (mine, at_work))
        if not at_work and not old:
            now = backend.clock.moment()
            lapsed = [fire for fire in mine if is_lapsed(fire, now)]
            mine = [fire for fire in mine if fire not in lapsed]
            if doubtful := [fire for fire in mine if in_doubt(fire, wanted)]:
                raise FireInDoubt(_doubt(doubtful[0]))
            others = [fire for fire in (*mine, *unclear) if fire.over or fire.holder.session != asker.session]
            if not others or len(await _noting(ledger, asker.take_over, others)) == len(others):
                break
            continue  # Another run was first.
        who = f"another run works on this resource ({at_work[0].holder.where if at_work else 'of version 0.1.0'})"
        circumstances.progress(f"{who}; waiting for it")
        if circumstances.cancelled.is_set() or backend.clock.monotonic() >= deadline:
            raise CloudRetryError(f"{who}; nothing was fired. Run it again when that has ended")
        await pause(backend.clock, LEDGER_CHECK, circumstances.cancelled)
        wanted = replace(wanted, awaited=wanted.awaited | {fire.ask.life for fire in at_work})
    for fire in lapsed:
        circumstances.notice(
            f"a fire of {', '.join(fire.keys[:3])} at {rfc3339(fire.began.at)} was interrupted more than a day ago: it "
            "is not taken up any more"
        )
    left = {key: left_by(fire, backend.clock.monotonic(), now) for fire in (*known, *mine) for key in fire.keys}
    return mine, left


def _take_in(ledger: Ledger, wanted: Wanted, now: Moment) -> bool:
    """Move what 0.1.0 left open of this resource into the ledger; true if a process of 0.1.0 is at work on it."""
    records = OldRecords(ledger, wanted.owner)
    if records.are_held:
        return True
    fires = _of_old(records, wanted, now)
    if not fires:
        return False

    def conclude(books: Books, _listed: Moment) -> tuple[list[write.Record], None]:
        news = [replace(fire, number=books.last + 1) for fire in fires if books.get(fire.fire_id) is None]
        return [write.kept(news)] if news else [], None

    ledger.write(conclude)
    records.remove({fire.fire_id for fire in fires})
    return False


def _of_old(records: OldRecords, wanted: Wanted, now: Moment) -> list[Fire]:
    return [fire for fire in of_old(records.fires(), wanted) if not is_lapsed(fire, now)]


def _of_mine(wanted: Wanted, books: Books) -> tuple[int, list[Fire], list[Fire]]:
    """How far the books go; the fires that the state does not hold, and those that it does."""
    mine = open_fires(books, wanted)
    known = books.of_life(wanted.record.life) if wanted.record is not None else []
    taken = {fire.fire_id for fire in mine}
    return books.last, mine, [fire.revealed(wanted.keys) for fire in known if fire.fire_id not in taken]


def _doubt(fire: Fire) -> str:
    keys, at = ", ".join(fire.keys[:3]), rfc3339(fire.began.at)
    return (
        f"{keys} {'was' if len(fire.keys) == 1 else 'were'} fired for {fire.ask.owner} at {at}, and the engine was "
        "given the outcome, but whether it was saved is not known. Nothing was fired. Was that run cut off: "
        f"`cloudretry journal resolve {fire.fire_id} --taken-up`. Do you ask for another fire (--replace, taint, a "
        f"resource that was removed from the state): `cloudretry journal resolve {fire.fire_id} --fire`. Then run it "
        "again"
    )


async def found_open(
    action: Action[Any], values: Mapping[str, Any], outputs: Mapping[str, Any] | None, backend: Backend, owner: str
) -> list[Fire]:
    """The open fires that the next run of this resource would take up, as far as its place is known without asking.

    Waits for nobody and writes nothing.

    :raises JournalError: the journal cannot be read.
    """
    record = None if outputs is None else Record.from_outputs(action, outputs)
    known = given(values)
    ledger = backend.ledger(action, record.place if record is not None else _place(action, known, backend))
    triggers = known.get("triggers", {})
    if ledger is None or is_unknown(triggers):
        return []
    keys = [key for _, key in named_targets(action, known)]
    me = ledger.sessions.holder.session
    wanted = Wanted(owner, record, keys, triggers, me, backend.state, backend.deployment)
    now = backend.clock.moment()

    def look() -> list[Fire]:
        found = ledger.look(lambda books: open_fires(books, wanted))
        taken_in = {fire.fire_id for fire in found}
        old = _of_old(OldRecords(ledger, owner), wanted, now)
        return [
            *(fire.revealed(keys) for fire in old if fire.fire_id not in taken_in),
            *(fire for fire in found if not is_lapsed(fire, now)),
        ]

    return await _noting(ledger, look)


def _place(action: Action[Any], values: Mapping[str, Any], backend: Backend) -> Place:
    """Where a resource that is to be created will be; empty as far as only the cloud could tell."""
    region, project = located(values, backend.inherited(action.cloud))
    container = values.get(action.container_property, "")
    return NOWHERE if is_unknown((region, project, container)) else Place(region, project, container)


async def note_saved(backend: Backend, action: Action[Any], outputs: Mapping[str, Any], owner: str) -> None:
    """The engine shows these outputs as old state of ``owner``: the fires of this life up to there are settled."""
    record = Record.from_outputs(action, outputs)
    ledger = backend.ledger(action, record.place)
    await _settle(ledger, lambda books: _known(books, record.life, record.run), owner, record.fire_ids)


async def forget(backend: Backend, action: Action[Any], outputs: Mapping[str, Any], owner: str) -> None:
    """The resource with these outputs is deleted: this life of it has no use for its fires any more.

    Nor has anybody for those of a replacement of it that died; one that lives is that which deletes it.
    """
    record = Record.from_outputs(action, outputs)
    ledger = backend.ledger(action, record.place)

    if ledger is None:
        return
    sessions = ledger.sessions

    def of_no_use(books: Books) -> list[Fire]:
        replacements = [
            fire
            for fire in books.creates(owner, backend.state)
            if fire.holder.session != sessions.holder.session and can_be_taken_over(fire, sessions)
        ]
        return books.of_life(record.life) + replacements

    await _settle(ledger, of_no_use, owner, None)


def _known(books: Books, life: str, run: int) -> list[Fire]:
    """The fires that a state of this life holds, and the replacements that died before it fired the last of them."""
    held = [fire for fire in books.of_life(life) if fire.ask.run <= run]
    if not held:
        return []
    last = held[-1]
    return held + [fire for fire in books.creates(last.ask.owner, last.ask.state) if fire.number < last.number]


async def _settle(
    ledger: Ledger | None, known: Callable[[Books], list[Fire]], owner: str, old: Collection[str] | None
) -> None:
    """Note that these fires are saved. Of what 0.1.0 left of the resource, these or all are of no use any more."""
    if ledger is None:
        return

    def unsaved(books: Books) -> list[str]:
        return list(dict.fromkeys(fire.fire_id for fire in known(books) if not fire.saved))

    def note() -> None:
        if fire_ids := ledger.look(unsaved):
            _note(ledger, fire_ids)
        OldRecords(ledger, owner).remove(old)

    with contextlib.suppress(JournalError):
        await _noting(ledger, note)


def _note(ledger: Ledger, fire_ids: list[str]) -> None:
    ledger.write(lambda _books, _listed: ([write.saved(fire_ids)], None), durable=False)


async def hand_over(done: Outcome) -> None:
    """The engine is about to be given the outcome to save: the last thing that a front does before it answers.

    Where that cannot be noted the fires stay open, and a later call that shows the state settles them.
    """
    if done.asker is not None and done.asker.held:
        with contextlib.suppress(JournalError):
            await _noting(done.asker.ledger, done.asker.end, handed=True)


async def settle(done: Outcome) -> None:
    """The engine has acknowledged that it has saved the outcome."""
    if done.asker is not None:
        await _noting(done.asker.ledger, settle_now, done)


def settle_now(done: Outcome) -> None:
    """The same, blocking: an interpreter that is shutting down starts no thread any more."""
    if done.asker is not None and done.asker.own:
        with contextlib.suppress(JournalError):
            _note(done.asker.ledger, done.asker.own)


async def _noting(ledger: Ledger, function: Callable[..., T], *arguments: Any, **named: Any) -> T:
    def call() -> T:
        return function(*arguments, **named)

    return await asyncio.get_running_loop().run_in_executor(ledger.executor, call)
