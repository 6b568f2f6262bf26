"""`cloudretry journal`: the fires that no saved state is known to hold, and somebody's word for what became of them."""

from __future__ import annotations

import json
import re
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from cloudretry.run.journal import Entry, EntryTarget, Journal, ResourceJournal, RunJournal, TriggerMark
from command_line import DRS, CommandLine

from cloudretry.emulator import Emulator
from cloudretry.model import Answer, CloudError, FireOutcome

FIRE = "BatchRestoreTask"
URN = "urn:pulumi:dev::shop::cloudretry:drs:JobBatchRetry::orders"
ID = "0123456789abcdef"


def records_of(cloudretry: CommandLine, folder: Path | None = None) -> ResourceJournal:
    """A stack's resource in the journal."""
    return Journal(folder or cloudretry.journal).of(f"https://user:planted@api.example {URN}")


def interrupted(
    cloudretry: CommandLine,
    *keys: str,
    fire_id: str = ID,
    age: float = 60.0,
    creating: bool = True,
    answers: dict[str, Answer] | None = None,
    folder: Path | None = None,
) -> ResourceJournal:
    """Leave behind what a run leaves that was killed."""
    records = records_of(cloudretry, folder)
    targets = tuple(EntryTarget(key, 1) for key in keys or ("jb1",))
    records.intend(Entry(fire_id, time.time() - age, creating, 1, TriggerMark.of({"a": "planted"}), targets))
    if answers is not None:
        records.answered(fire_id, answers, "request-1")
    return records


def killed_by_hand(cloudretry: CommandLine, emulator: Emulator, *targets: str) -> str:
    """Kill a fire by hand between its request and the answer; returns the fire's id."""
    emulator.add_fault(FIRE, delay=60, after=True)
    process = cloudretry.start("fire", DRS, *targets, "--yes")
    deadline = time.monotonic() + 60
    while not any(emulator.target(target).times_fired for target in targets):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.wait()
    (record,) = cloudretry.journal.rglob("*.fire")
    return record.stem


def listed(cloudretry: CommandLine, *arguments: str) -> list[dict[str, Any]]:
    fires: list[dict[str, Any]] = cloudretry("journal", "list", "--json", *arguments).json["fires"]
    return fires


# --- list and show ---


def test_an_empty_journal_says_so(alone: CommandLine) -> None:
    done = alone("journal", "list")
    assert (done.code, done.out, done.err) == (0, f"no fire is open in {alone.journal}\n", "")
    assert alone("journal", "list", "--json").json == {
        "journalDir": str(alone.journal),
        "fires": [],
        "unreadable": [],
    }
    assert not alone.journal.exists()


def test_open_fires_are_listed_oldest_first_with_what_is_known(alone: CommandLine) -> None:
    interrupted(alone, "jb1", "jb2", age=5 * 3600, answers={"jb1": Answer(FireOutcome.ACCEPTED)})
    interrupted(alone, fire_id="fedcba9876543210", age=100 * 3600)
    done = alone("journal", "list")
    assert done.code == 0
    heads, old, new = (re.split(" {2,}", line) for line in done.out.splitlines())
    assert heads == ["FIRE", "AGE", "RESOURCE", "TARGETS", "ANSWER", "NOTE"]
    assert old == ["fedcba9876543210", "100h", URN, "jb1", "none recorded", "too old to be taken up"]
    assert new == [ID, "5h", URN, "jb1, jb2", "1 accepted"]
    assert "planted" not in done.out


def test_with_json_a_fire_is_told_in_full(alone: CommandLine) -> None:
    refusal = CloudError("DRS.M00304", "Not so.", 200, "request-1")
    answers = {"jb1": Answer(FireOutcome.ACCEPTED, "handle-1"), "jb2": Answer(FireOutcome.REJECTED, "", refusal)}
    interrupted(alone, "jb1", "jb2", answers=answers)
    (fire,) = listed(alone)
    assert alone("journal", "show", ID, "--json").json == {
        **fire,
        "ageSeconds": pytest.approx(fire["ageSeconds"], abs=60),
    }
    assert 60 <= fire.pop("ageSeconds") < 180
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", fire.pop("at"))
    first, second = fire.pop("targets")
    assert fire == {
        "fire": ID,
        "resource": URN,
        "backend": "https://***@api.example",
        "creating": True,
        "generation": 1,
        "answered": True,
        "requestId": "request-1",
        "held": False,
        "adoptable": True,
    }
    assert first == {
        "target": "jb1",
        "attempt": 1,
        "before": "",
        "answer": "accepted",
        "handle": "handle-1",
        "message": "",
    }
    assert (second["answer"], "DRS.M00304" in second["message"]) == ("rejected", True)


def test_a_fire_is_shown_by_the_beginning_of_its_id(alone: CommandLine) -> None:
    interrupted(alone)
    done = alone("journal", "show", ID[:4])
    assert done.code == 0
    for words in (
        f"fire:       {ID}",
        f"resource:   {URN}",
        "by:         a create, generation 1",
        "answer:     none recorded",
        "next:       the next run asks the cloud what became of it, before it fires anything",
    ):
        assert f"{words}\n" in done.out
    assert re.search(r"^jb1 +1 +none$", done.out, re.MULTILINE)
    assert "planted" not in done.out


def test_an_id_that_names_none_or_several_is_refused(alone: CommandLine) -> None:
    interrupted(alone)
    interrupted(alone, fire_id="0123ffff00000000")
    assert "2 open fires begin with 0123" in alone("journal", "show", "0123", "--json").problem
    done = alone("journal", "show", "77")
    assert (done.code, done.out) == (2, "")
    assert done.err == f"Error: there is no open fire 77 in {alone.journal}; see: cloudretry journal list\n"


def test_a_secret_target_is_a_digest_and_what_the_cloud_said_of_it_is_left_out(alone: CommandLine) -> None:
    records = records_of(alone)
    run = RunJournal(records, True, 1, TriggerMark.of({}), lambda key: key.startswith("planted"))
    run.intend(ID, time.time(), (EntryTarget("planted-job", 1),))
    run.answered(ID, {"planted-job": Answer(FireOutcome.REJECTED, "", CloudError("X.1", "planted-job", 400))}, "r")
    for arguments in (["list"], ["list", "--json"], ["show", ID], ["show", ID, "--json"]):
        done = alone("journal", *arguments)
        assert done.code == 0
        assert "sha256:" in done.out
        assert "planted" not in done.out


def test_a_record_that_cannot_be_read_is_named(alone: CommandLine) -> None:
    records = interrupted(alone)
    broken = records.folder / "broken.fire"
    broken.write_text("{", encoding="utf-8")
    assert f"cannot be read, and is not trusted: {broken}\n" in alone("journal", "list").out
    assert alone("journal", "list", "--json").json["unreadable"] == [str(broken)]


def test_a_fire_that_a_run_is_busy_with_is_marked(alone: CommandLine) -> None:
    records = interrupted(alone)
    with records.try_lock() as mine:
        assert mine
        assert alone("journal", "list").out.rstrip().endswith("a run has it now")
        (fire,) = listed(alone)
        assert fire["held"] is True
        done = alone("journal", "resolve", ID, "--outcome", "not-fired", "--yes")
    assert done.code == 2
    assert "a run works on " in done.err
    assert records.open_entries(time.time())


def test_the_journal_of_the_configuration_is_read(alone: CommandLine) -> None:
    elsewhere = alone.folder / "elsewhere"
    interrupted(alone, folder=elsewhere)
    (alone.folder / "provider.yaml").write_text(f"journalDir: {elsewhere}")
    assert [fire["fire"] for fire in listed(alone, "--config", "provider.yaml")] == [ID]
    assert [fire["fire"] for fire in listed(alone, "--journal-dir", str(elsewhere))] == [ID]
    assert listed(alone) == []


# --- resolve ---


def test_a_word_is_asked_for_where_somebody_can_be_asked(alone: CommandLine) -> None:
    records = interrupted(alone)
    done = alone("journal", "resolve", ID, "--outcome", "not-fired", stdin="y\n")
    assert done.code == 2
    assert "nobody can be asked: the record stands as it was. Give --yes" in done.err

    terminal = alone.terminal("journal", "resolve", ID, "--outcome", "not-fired")
    terminal.expect("Note that this was not fired? Its next run may fire it [y/N]:")
    assert f"{URN}: jb1, " in terminal.screen
    terminal.type("n\n")
    assert terminal.end() == 2
    assert terminal.screen.endswith("Error: the record stands as it was")
    assert records.open_entries(time.time())

    terminal = alone.terminal("journal", "resolve", ID, "--outcome", "not-fired")
    terminal.expect("[y/N]:")
    terminal.type("\x03")
    assert terminal.end() == -signal.SIGINT
    assert terminal.screen.endswith("Error: interrupted; the record stands as it was")
    assert records.open_entries(time.time())

    terminal = alone.terminal("journal", "resolve", ID, "--outcome", "not-fired")
    terminal.expect("[y/N]:")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert records.is_empty


def test_what_was_fired_counts_as_accepted(alone: CommandLine) -> None:
    records = interrupted(alone)
    done = alone("journal", "resolve", ID, "--outcome", "fired", "--yes")
    assert (done.code, done.out) == (0, f"{ID} was fired: its next run looks what came of it\n")
    (entry,) = records.open_entries(time.time())
    assert entry.answers == {"jb1": Answer(FireOutcome.ACCEPTED)}


def test_a_word_is_only_about_what_the_cloud_has_not_answered(alone: CommandLine) -> None:
    answers = {
        "jb1": Answer(FireOutcome.ACCEPTED, "handle-1"),
        "jb2": Answer(FireOutcome.UNKNOWN),
        "jb3": Answer(FireOutcome.REJECTED),
    }
    records = interrupted(alone, *answers, answers=answers)
    done = alone("journal", "resolve", ID, "--outcome", "not-fired", "--yes", "--json")
    assert done.json == {"ok": True, "fire": ID, "resource": URN, "outcome": "not-fired"}
    assert done.err.startswith(f"{URN}: jb2, ")
    (entry,) = records.open_entries(time.time())
    assert entry.answers == {**answers, "jb2": Answer(FireOutcome.NOT_SENT)}
    # Now all of it is known.
    done = alone("journal", "resolve", ID, "--outcome", "fired", "--yes", "--json")
    assert done.code == 2
    assert f"the journal holds the cloud's answer to {ID} (" in done.problem


def test_an_outcome_must_be_one_of_two(alone: CommandLine) -> None:
    assert "--outcome" in alone.inside("journal", "resolve", ID, "--yes", "--json").problem
    assert "is not one of" in alone.inside("journal", "resolve", ID, "--yes", "--json", "--outcome", "maybe").problem


def test_a_fire_by_hand_that_was_fired_is_settled(cloudretry: CommandLine, emulator: Emulator) -> None:
    fire_id = killed_by_hand(cloudretry, emulator, "jb1", "jb2")
    shown = cloudretry("journal", "show", fire_id).out
    assert re.search(r"^resource: +by hand, drs:JobBatchRetry at emulator/eu-de/\w+$", shown, re.MULTILINE)
    assert re.search(r"^by: +cloudretry fire$", shown, re.MULTILINE)
    done = cloudretry("journal", "resolve", fire_id, "--outcome", "fired", "--yes")
    assert (done.code, done.out) == (0, f"{fire_id} was fired: this fire is settled\n")
    assert listed(cloudretry) == []
    # Nothing is in the way of other fires any more.
    assert cloudretry("fire", DRS, "jb1", "--yes").code == 0


def test_a_fire_by_hand_that_was_not_fired_is_fired_by_the_next(cloudretry: CommandLine, emulator: Emulator) -> None:
    fire_id = killed_by_hand(cloudretry, emulator, "jb1")
    emulator.set_state("jb1", "FULL_TRANSFER_FAILED")
    emulator.clear_faults()
    done = cloudretry("journal", "resolve", fire_id, "--outcome", "not-fired", "--yes")
    assert (done.code, done.out) == (0, f"{fire_id} was not fired: the next `cloudretry fire` may fire it\n")
    done = cloudretry("fire", DRS, "jb1", "--yes", "--json")
    assert done.code == 0
    assert "taken up" not in done.err
    assert json.loads(done.out)["outputs"]["history"][0]["fired"] == 1


# --- what cannot be used ---


def test_a_configuration_that_cannot_be_used_is_named(alone: CommandLine) -> None:
    (alone.folder / "provider.yaml").write_text("journalDr: x")
    done = alone("journal", "list", "--config", "provider.yaml", "--json")
    assert done.code == 2
    assert "journalDr" in done.problem


def test_a_journal_that_is_no_folder_is_named(alone: CommandLine) -> None:
    (alone.folder / "file").touch()
    done = alone("journal", "list", "--journal-dir", "file", "--json")
    assert done.code == 2
    assert "file" in done.problem
