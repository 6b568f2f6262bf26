"""The journal: what is on disk before, during and after a fire, whatever happens to the process."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from cloudretry.errors import JournalError
from cloudretry.model import Answer, CloudError, FireOutcome
from cloudretry.run.journal import ADOPTABLE, Entry, EntryTarget, Journal, ResourceJournal, TriggerMark

NOW = 1_800_000_000.0
RESOURCE = "urn:pulumi:prod::shop::cloudretry:drs:JobBatchRetry::orders"


@pytest.fixture
def journal(tmp_path: Path) -> ResourceJournal:
    return Journal(tmp_path / "journal").of(RESOURCE)


def entry(fire_id: str = "f1", *, at: float = NOW, generation: int = 1, **triggers: str) -> Entry:
    targets = (EntryTarget("jb1", 1), EntryTarget("jb2", 2, before="a/b/c"))
    return Entry(fire_id, at, True, generation, TriggerMark.of(triggers), targets)


ANSWERS = {
    "jb1": Answer(FireOutcome.ACCEPTED, handle="jb9"),
    "jb2": Answer(FireOutcome.REJECTED, error=CloudError("DRS.M00304", "not now", 200, "r1")),
}


def test_an_intent_is_read_back_as_it_was_written(journal: ResourceJournal) -> None:
    written = entry(release="v1")
    journal.intend(written)
    assert journal.open_entries(NOW) == [written]


def test_an_answer_is_read_back_with_its_intent(journal: ResourceJournal) -> None:
    journal.intend(entry())
    journal.answered("f1", ANSWERS, "request-1")
    (found,) = journal.open_entries(NOW)
    assert found.answers == ANSWERS
    assert found.request_id == "request-1"


def test_a_committed_fire_is_open_no_more_and_leaves_nothing_behind_in_the_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    records = journal.of(RESOURCE)
    with records.try_lock() as mine:
        assert mine
        records.intend(entry())
        records.answered("f1", ANSWERS, "")
    records.commit(["f1", "never-heard-of"])
    assert records.open_entries(NOW) == []
    for path in records.folder.glob("*.saved"):
        os.utime(path, (time.time() - 3601, time.time() - 3601))
    journal.commit_replied()
    assert not records.folder.exists()


def test_fires_come_oldest_first(journal: ResourceJournal) -> None:
    journal.intend(entry("late", at=NOW + 5))
    journal.intend(entry("early", at=NOW))
    assert [found.fire_id for found in journal.open_entries(NOW + 6)] == ["early", "late"]


def test_a_fire_older_than_a_day_is_never_taken_up(journal: ResourceJournal) -> None:
    journal.intend(entry())
    assert journal.open_entries(NOW + ADOPTABLE)
    assert journal.open_entries(NOW + ADOPTABLE + 1) == []


def test_a_record_that_nobody_asked_for_is_removed_after_a_month(journal: ResourceJournal) -> None:
    journal.intend(entry())
    assert journal.clean(NOW + 31 * 24 * 3600) == []
    assert journal.is_empty


def test_a_half_written_answer_leaves_the_intent_standing(journal: ResourceJournal) -> None:
    journal.intend(entry())
    journal.answered("f1", ANSWERS, "request-1")
    (path,) = journal.folder.glob("*.fire")
    whole = path.read_bytes()
    for length in range(whole.index(b"\n") + 1, len(whole)):
        path.write_bytes(whole[:length])
        (found,) = journal.open_entries(NOW)
        assert found.answers is None


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b"[]\n", b'{"version": 99}\n', b"null\n", b'{"version":1}\n']
)
def test_an_unreadable_record_is_set_aside_and_kept(journal: ResourceJournal, content: bytes) -> None:
    journal.intend(entry())
    (path,) = journal.folder.glob("*.fire")
    path.write_bytes(content)
    assert journal.open_entries(NOW) == []
    (aside,) = journal.clean(NOW)
    assert aside.read_bytes() == content


def test_a_record_of_another_resource_is_not_trusted(journal: ResourceJournal, tmp_path: Path) -> None:
    other = Journal(tmp_path / "journal").of("urn:pulumi:prod::shop::cloudretry:drs:JobBatchRetry::customers")
    other.intend(entry())
    (path,) = other.folder.glob("*.fire")
    journal.folder.mkdir(parents=True)
    path.rename(journal.folder / path.name)
    assert journal.open_entries(NOW) == []


def test_trigger_values_are_not_in_the_record(journal: ResourceJournal) -> None:
    journal.intend(entry(password="hunter2-planted"))
    assert b"hunter2" not in b"".join(path.read_bytes() for path in journal.folder.iterdir())
    (found,) = journal.open_entries(NOW)
    assert found.triggers.fits({"password": "hunter2-planted"})
    assert not found.triggers.fits({"password": "hunter3"})


def test_records_are_for_their_owner_only(journal: ResourceJournal) -> None:
    journal.intend(entry())
    (path,) = journal.folder.glob("*.fire")
    assert path.stat().st_mode & 0o077 == 0
    assert journal.folder.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("code", "remedy"),
    [(errno.ENOSPC, "Free some space"), (errno.EROFS, "a folder that can be written")],
)
def test_a_disk_that_takes_nothing_refuses_the_fire_and_says_how_to_go_on(
    journal: ResourceJournal, monkeypatch: pytest.MonkeyPatch, code: int, remedy: str
) -> None:
    def refuse(_descriptor: int) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(JournalError, match=remedy) as caught:
        journal.intend(entry())
    assert os.strerror(code) in str(caught.value)
    assert "journalEnabled: false" in str(caught.value)
    monkeypatch.undo()
    assert journal.open_entries(NOW) == []


def test_a_folder_that_is_a_file_refuses_the_fire(tmp_path: Path) -> None:
    (tmp_path / "journal").write_text("in the way")
    with pytest.raises(JournalError, match="cannot be written"):
        Journal(tmp_path / "journal").of(RESOURCE).intend(entry())


def test_an_answer_that_cannot_be_written_leaves_the_intent(
    journal: ResourceJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal.intend(entry())

    def refuse(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", refuse)
    journal.answered("f1", ANSWERS, "")
    assert [found.fire_id for found in journal.open_entries(NOW)] == ["f1"]


def test_one_run_at_a_time_holds_a_resource(journal: ResourceJournal, tmp_path: Path) -> None:
    again = Journal(tmp_path / "journal").of(RESOURCE)
    with journal.try_lock() as first:
        assert first
        with again.try_lock() as second:
            assert not second
    with again.try_lock() as after:
        assert after


def test_the_lock_goes_with_a_killed_process(journal: ResourceJournal) -> None:
    holder = (
        "import sys, time; from pathlib import Path; from cloudretry.run.journal import Journal\n"
        f"with Journal(Path(sys.argv[1])).of({RESOURCE!r}).try_lock() as held:\n"
        "    print(held, flush=True); time.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", holder, str(journal.folder.parent)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    with process, process.stdout:
        assert process.stdout.readline() == "True\n"
        with journal.try_lock() as mine:
            assert not mine
        process.kill()
        process.wait()
        with journal.try_lock() as mine:
            assert mine


def test_the_journal_lists_the_resources_that_have_records(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    assert journal.resources() == []
    journal.of("a").intend(entry())
    journal.of("b").intend(entry())
    journal.of("b").commit_all()
    assert [found.resource for found in journal.resources()] == ["a"]


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
from cloudretry.model import Answer, FireOutcome
from cloudretry.run.journal import Entry, EntryTarget, Journal, TriggerMark
journal = Journal(Path(sys.argv[1])).of("r")
for number in range(1_000_000):
    fire = f"{number:06}"
    journal.intend(Entry(fire, 1e9, False, 1, TriggerMark.of({}), (EntryTarget("t" * 200, 1),)))
    print(f"intent {fire}", flush=True)
    journal.answered(fire, {"t" * 200: Answer(FireOutcome.ACCEPTED)}, "r")
    print(f"answered {fire}", flush=True)
"""


def test_what_was_said_to_be_written_survives_kill_9_at_any_instant(tmp_path: Path) -> None:
    chance = random.Random(20260131)
    for attempt in range(12):
        folder = tmp_path / str(attempt)
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(folder)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        with process:
            said = [process.stdout.readline()]
            time.sleep(chance.uniform(0, 0.1))
            process.send_signal(signal.SIGKILL)
            said += process.stdout.readlines()
        journal = Journal(folder).of("r")
        found = {item.fire_id: item for item in journal.open_entries(1e9)}
        assert journal.clean(1e9) == []
        for line in said:
            what, _, fire_id = line.strip().partition(" ")
            if not line.endswith("\n"):
                continue
            assert fire_id in found
            if what == "answered":
                assert found[fire_id].answers is not None


def test_a_record_is_two_lines_that_people_can_read(journal: ResourceJournal) -> None:
    journal.intend(entry())
    journal.answered("f1", ANSWERS, "request-1")
    (path,) = journal.folder.glob("*.fire")
    intent, answer = map(json.loads, path.read_text(encoding="utf-8").splitlines())
    assert intent["resource"] == RESOURCE
    assert [target["key"] for target in intent["targets"]] == ["jb1", "jb2"]
    assert answer["answers"]["jb2"]["error"][0] == "DRS.M00304"


def test_a_saved_fire_is_remembered_to_those_who_began_before(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    records = journal.of("r")
    records.intend(entry())
    began = time.time()
    journal.replied(records, ("f1",))
    journal.commit_replied()
    assert records.open_entries(NOW) == []
    assert [found.fire_id for found in records.open_entries(NOW, began - 1)] == ["f1"]
    assert records.open_entries(NOW, time.time() + 1) == []
    records.commit_all()
    assert not records.folder.exists()


def test_a_draft_that_a_killed_process_left_is_removed(journal: ResourceJournal) -> None:
    journal.folder.mkdir(parents=True)
    (journal.folder / "f1.draft").write_text("{")
    journal.clean(NOW)
    assert list(journal.folder.iterdir()) == []


def test_a_fire_that_old_state_showed_is_not_news_to_a_run_that_began_since(journal: ResourceJournal) -> None:
    journal.intend(entry())
    began = time.time() + 1
    journal.commit(["f1"])
    assert journal.open_entries(NOW, began) == []


# --- an operator's word ---


def test_what_was_not_fired_leaves_no_record(journal: ResourceJournal) -> None:
    journal.intend(entry())
    journal.resolve(entry(), fired=False)
    assert journal.is_empty


def test_what_was_fired_counts_as_accepted_from_now_on(journal: ResourceJournal) -> None:
    written = entry()
    journal.intend(written)
    journal.resolve(written, fired=True)
    (found,) = journal.open_entries(NOW)
    assert found.answers == {key: Answer(FireOutcome.ACCEPTED) for key in ("jb1", "jb2")}


@pytest.mark.parametrize(("fired", "said"), [(True, FireOutcome.ACCEPTED), (False, FireOutcome.NOT_SENT)])
def test_a_clear_answer_is_kept_and_only_the_others_are_overruled(
    journal: ResourceJournal, fired: bool, said: FireOutcome
) -> None:
    written = replace(entry(), targets=tuple(EntryTarget(f"jb{number}", 1) for number in range(1, 5)))
    journal.intend(written)
    journal.answered("f1", {**ANSWERS, "jb3": Answer(FireOutcome.UNKNOWN)}, "request-1")
    journal.resolve(*journal.entries(), fired=fired)
    (found,) = journal.entries()
    assert found.answers == {**ANSWERS, "jb3": Answer(said), "jb4": Answer(said)}
    assert found.request_id == "request-1"
    assert found.unclear == ()


def test_half_an_answer_does_not_stand_in_the_way(journal: ResourceJournal) -> None:
    journal.intend(entry())
    (path,) = journal.folder.iterdir()
    path.write_text(path.read_text(encoding="utf-8") + '{"answers": {"jb', encoding="utf-8")
    journal.resolve(*journal.entries(), fired=True)
    assert journal.entries()[0].answers is not None


def test_records_that_cannot_be_read_are_listed_also_before_they_are_set_aside(tmp_path: Path) -> None:
    journal = Journal(tmp_path / "journal")
    records = journal.of(RESOURCE)
    records.intend(entry())
    records.intend(entry("f2"))
    assert journal.unreadable() == []
    broken = records.folder / "f1.fire"
    broken.write_text("{", encoding="utf-8")
    assert journal.unreadable() == [broken]
    (aside,) = records.clean(NOW)
    assert journal.unreadable() == [aside]
