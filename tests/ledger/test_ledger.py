"""The log of a place as many write it at once: what is written follows from all that was written before."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from places import PLACE, Machine, intent

from cloudretry.clock import Moment
from cloudretry.errors import JournalError
from cloudretry.ledger import KEPT, Books, Ledger
from cloudretry.ledger import books as write
from cloudretry.ledger.books import Record
from cloudretry.ledger.ledger import CHECKPOINT, LISTED
from cloudretry.ledger.store import Folder, Store
from cloudretry.model import Answer, FireOutcome


def put(ledger: Ledger, *records: Record) -> None:
    ledger.write(lambda _books, _listed: (records, None), durable=False)


def ids(ledger: Ledger, *, fresh: bool = True) -> list[str]:
    return ledger.look(lambda books: [fire.fire_id for fire in books.fires()], fresh=fresh)


def fill(ledger: Ledger, upto: int) -> None:
    """Write entries of settled fires up to this number."""
    while (number := ledger.look(lambda books: books.last, fresh=True) + 1) <= upto:
        fire_id = f"g{number}"
        answer = write.answer(fire_id, {"V": Answer(FireOutcome.REJECTED)}, "", "s1")
        put(ledger, intent(fire_id, "V"), answer, write.saved([fire_id]))


def test_what_one_process_writes_another_one_reads(machine: Machine) -> None:
    put(machine.ledger(), intent("f1"))
    assert ids(machine.ledger()) == ["f1"]


def test_a_first_look_is_good_enough_unless_it_has_to_be_fresh(machine: Machine) -> None:
    ledger, other = machine.ledger(), machine.ledger()
    assert ids(ledger) == []
    put(other, intent("f1"))
    assert ids(ledger, fresh=False) == []
    assert ids(ledger) == ["f1"]


def test_an_entry_is_a_file_that_people_can_read(machine: Machine) -> None:
    put(machine.ledger(), intent("f1"))
    (entry,) = machine.entries
    assert entry.name == "000000000001"
    assert json.loads(entry.read_text())["records"][0]["intent"] == [["f1", [["T", 1]]]]
    assert json.loads((entry.parent / "place").read_text()) == PLACE


def test_places_are_told_apart_and_listed(machine: Machine) -> None:
    journal = machine.process()
    put(journal.at(PLACE), intent("f1"))
    put(journal.at(PLACE | {"region": "eu-nl"}), intent("f2"))
    assert sorted(place["region"] for place in (ledger.place for ledger in machine.process().places())) == [
        "eu-de",
        "eu-nl",
    ]
    assert ids(journal.at(PLACE)) == ["f1"]


def test_a_look_and_a_conclusion_of_nothing_leave_nothing_behind(machine: Machine) -> None:
    ledger = machine.ledger()
    assert ids(ledger) == []
    put(ledger)
    assert not machine.folder.exists()


def test_who_is_refused_reads_on_and_concludes_again(machine: Machine) -> None:
    ledger, other = machine.ledger(), machine.ledger()
    seen: list[list[str]] = []

    def conclude(books: Books, _listed: Moment) -> tuple[Sequence[Record], int]:
        seen.append([fire.fire_id for fire in books.fires()])
        if len(seen) == 1:
            put(other, intent("f1"))
        return [intent("f2")], len(seen)

    assert ledger.write(conclude) == 2
    assert seen == [[], ["f1"]]
    assert ids(other) == ["f1", "f2"]


def test_a_listing_that_is_too_old_is_made_anew_before_a_conclusion(machine: Machine) -> None:
    ledger, other = machine.ledger(), machine.ledger()
    seen: list[tuple[list[str], Moment]] = []

    def conclude(books: Books, listed: Moment) -> tuple[Sequence[Record], None]:
        seen.append(([fire.fire_id for fire in books.fires()], listed))
        return [], None

    ledger.look(lambda _books: None)
    put(other, intent("f1"))
    machine.clock.advance(LISTED)
    ledger.write(conclude)
    machine.clock.advance(1)
    ledger.write(conclude)
    assert [fires for fires, _ in seen] == [[], ["f1"]]
    assert [listed.age(machine.clock.moment()) for _, listed in seen] == [LISTED + 1, 0]


def test_a_listing_of_another_boot_is_made_anew(machine: Machine) -> None:
    ledger, other = machine.ledger(), machine.ledger()
    ledger.look(lambda _books: None)
    put(other, intent("f1"))
    machine.clock.boot = "boot-2"
    assert ledger.write(lambda books, _listed: ([], [fire.fire_id for fire in books.fires()])) == ["f1"]


class Gate:
    """A folder whose first write waits until it is opened."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.has_begun, self.opened = threading.Event(), threading.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self.store, name)

    def create(self, name: str, data: bytes, *, durable: bool = True) -> bool:
        self.has_begun.set()
        assert self.opened.wait(60)
        return self.store.create(name, data, durable=durable)


def test_what_many_threads_want_to_write_meanwhile_goes_into_one_entry(machine: Machine) -> None:
    ledger = machine.ledger()
    gate = Gate(ledger.store)
    ledger.store = gate  # type: ignore[assignment]
    with ThreadPoolExecutor(20) as threads:
        first = threads.submit(put, ledger, intent("f0"))
        assert gate.has_begun.wait(60)
        others = [threads.submit(put, ledger, intent(f"f{number}")) for number in range(1, 20)]
        while len(ledger._waiting) < 19:
            threading.Event().wait(0.01)
        gate.opened.set()
        for done in (first, *others):
            done.result(60)
    assert len(machine.entries) == 2
    assert sorted(ids(machine.ledger())) == sorted(f"f{number}" for number in range(20))


def test_the_conclusions_of_one_entry_know_of_each_other(machine: Machine) -> None:
    ledger = machine.ledger()
    gate = Gate(ledger.store)
    ledger.store = gate  # type: ignore[assignment]

    def once(books: Books, _listed: Moment) -> tuple[Sequence[Record], bool]:
        free = not books.at("T")
        return [intent(f"f{threading.get_ident()}")] if free else [], free

    with ThreadPoolExecutor(8) as threads:
        wrote = [threads.submit(ledger.write, once) for _ in range(8)]
        gate.opened.set()
        assert sum(one.result(60) for one in wrote) == 1
    assert len(ids(machine.ledger())) == 1


def test_an_error_belongs_to_the_one_who_concluded_it(machine: Machine) -> None:
    ledger = machine.ledger()

    def fails(_books: Books, _listed: Moment) -> tuple[Sequence[Record], None]:
        raise LookupError("mine")

    with pytest.raises(LookupError, match="mine"):
        ledger.write(fails)
    put(ledger, intent("f1"))
    assert ids(ledger) == ["f1"]


def test_what_could_not_be_written_is_not_in_the_books(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = machine.ledger()
    put(ledger, intent("f1"))

    def refuse(*_arguments: object, **_named: object) -> bool:
        raise JournalError("full")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "create", refuse)
        with pytest.raises(JournalError, match="full"):
            put(ledger, intent("f2"))
    assert ids(ledger, fresh=False) == ["f1"]
    put(ledger, intent("f3"))
    assert ids(ledger) == ["f1", "f3"]


# --- checkpoints and garbage ---


def test_every_64th_entry_repeats_what_is_not_settled_and_a_reader_begins_there(machine: Machine) -> None:
    ledger = machine.ledger()
    put(ledger, intent("f1"))
    fill(ledger, CHECKPOINT + 2)
    for entry in machine.entries[: CHECKPOINT - 1]:
        entry.write_text("{")
    assert ids(machine.ledger())[0] == "f1"
    found = machine.books().get("f1")
    assert found is not None
    assert found.unclear == ("T",)


def _age(entries: Sequence[Path], seconds: float) -> None:
    """Let entries be older by the store's own clock."""
    for entry in entries:
        now = entry.stat().st_mtime
        os.utime(entry, (now - seconds, now - seconds))


@pytest.mark.parametrize(("age", "is_gone"), [(KEPT - 600, False), (KEPT + 600, True)])
def test_what_was_repeated_is_removed_after_a_day_by_the_stores_clock(
    machine: Machine, age: float, is_gone: bool
) -> None:
    ledger = machine.ledger()
    put(ledger, intent("f1"))
    fill(ledger, 2 * CHECKPOINT - 1)
    machine.clock.jump(365 * KEPT)
    _age(machine.entries, age)
    fill(ledger, 2 * CHECKPOINT)
    assert len(machine.entries) == (CHECKPOINT + 1 if is_gone else 2 * CHECKPOINT)
    assert ids(machine.ledger())[0] == "f1"


def test_the_last_entries_are_never_removed(machine: Machine) -> None:
    ledger = machine.ledger()
    fill(ledger, CHECKPOINT)
    _age(machine.entries, 400 * KEPT)
    fill(ledger, CHECKPOINT + 1)
    last = machine.entries[-1]
    _age(machine.entries, 400 * KEPT)
    ledger = machine.ledger()
    put(ledger, intent("f1"))
    assert last in machine.entries
    assert machine.entries[-1].name == f"{CHECKPOINT + 2:012d}"


def test_a_settled_fire_is_remembered_for_a_day_and_an_open_one_for_a_month(machine: Machine) -> None:
    ledger = machine.ledger()
    put(ledger, intent("settled"), write.answer("settled", {"T": Answer(FireOutcome.ACCEPTED)}, "", "s1"))
    put(ledger, write.saved(["settled"]), intent("open", "U"))
    began = machine.clock.moment()

    def kept(after: float) -> list[str]:
        machine.clock.advance(after - (began.age(machine.clock.moment()) or 0.0))
        last = ledger.look(lambda books: books.last, fresh=True)
        fill(ledger, last - last % CHECKPOINT + CHECKPOINT)
        return [fire_id for fire_id in ids(machine.ledger()) if not fire_id.startswith("g")]

    assert kept(KEPT - 1) == ["settled", "open"]
    assert kept(KEPT + 1) == ["open"]
    assert kept(30 * KEPT - 1) == ["open"]
    assert kept(30 * KEPT + 1) == []


@pytest.mark.parametrize("gone", [0, 1])
def test_who_finds_entries_removed_meanwhile_is_told_to_begin_anew(machine: Machine, gone: int) -> None:
    ledger, other = machine.ledger(), machine.ledger()
    put(other, intent("f1"))
    put(ledger, intent("f2"))
    for number in range(3, 6):
        put(other, intent(f"f{number}"))
    machine.entries[2:][gone].unlink()
    machine.clock.advance(LISTED + 1)
    with pytest.raises(JournalError, match="Run it again"):
        put(ledger, intent("never"))
    assert "never" not in "".join(entry.read_text() for entry in machine.entries)


def test_an_entry_that_goes_between_the_listing_and_its_reading_is_no_damage(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(machine.ledger(), intent("f1"))
    read = Folder.read

    def gone(store: Folder, name: str) -> bytes:
        store.remove(name)
        return read(store, name)

    monkeypatch.setattr(Folder, "read", gone)
    with pytest.raises(JournalError, match="Run it again"):
        ids(machine.ledger())


def test_a_place_whose_last_entries_are_gone_is_told(machine: Machine) -> None:
    ledger = machine.ledger()
    put(ledger, intent("f1"))
    machine.entries[0].unlink()
    with pytest.raises(JournalError, match="Run it again"):
        ids(ledger)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b"[]",
        b"null",
        b'{"version": 99, "records": []}',
        b'{"version": 1}',
        b'{"version": 1, "records": [{"unheard": "of"}]}',
        b'{"version": 1, "records": [{"intent": [["f1", [[]]]]}]}',
        b"[" * 100_000,
    ],
)
def test_an_entry_that_cannot_be_read_is_told_and_kept_and_nothing_is_written(machine: Machine, content: bytes) -> None:
    put(machine.ledger(), intent("f1"))
    (entry,) = machine.entries
    entry.write_bytes(content)
    for call in (lambda: ids(machine.ledger()), lambda: put(machine.ledger(), intent("f2"))):
        with pytest.raises(JournalError, match="cannot be read") as caught:
            call()
        assert str(entry) in str(caught.value)
        assert "nothing was fired" in str(caught.value)
    assert entry.read_bytes() == content
    assert machine.entries == [entry]


def test_a_process_that_ends_its_journal_has_ended(machine: Machine) -> None:
    journal, other = machine.process(), machine.process()
    put(journal.at(PLACE), intent("f1"))
    assert other.sessions.lives(journal.sessions.holder.session)
    journal.close()
    assert not other.sessions.lives(journal.sessions.holder.session)


def test_a_listing_that_failed_is_not_taken_for_one_of_nothing(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(machine.ledger(), intent("f1"))
    ledger = machine.ledger()
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "names", _fails)
        for _ in range(2):
            with pytest.raises(JournalError):
                ids(ledger, fresh=False)
    assert ids(ledger, fresh=False) == ["f1"]


def test_garbage_that_cannot_be_removed_takes_nothing_back(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = machine.ledger()
    fill(ledger, CHECKPOINT - 1)
    put(ledger, intent("f1"))
    monkeypatch.setattr(Folder, "remove", _fails)
    fill(ledger, 3 * CHECKPOINT - 1)
    for path in machine.entries[:10]:
        os.utime(path, (0, 0))
    put(ledger, intent("f2"))
    assert "f2" in ids(machine.ledger())


def _fails(*_arguments: object) -> None:
    raise JournalError("it fails")
