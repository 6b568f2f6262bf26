"""`cloudretry journal`: the fires that no saved state is known to hold, and somebody's word for what became of them."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import time
from typing import Any

import pytest
from command_line import DRS, CommandLine
from open_fires import ID, PLACE, URN, at_work, fire_of, interrupted, open_fires

from cloudretry.clock import SystemClock
from cloudretry.emulator import Emulator
from cloudretry.ledger import Ask, Asker, EntryTarget, Journal, TriggerMark, Word
from cloudretry.model import Answer, CloudError, FireOutcome

FIRE = "BatchRestoreTask"
WORDS = (["--outcome", "fired"], ["--outcome", "not-fired"], ["--taken-up"], ["--fire"])


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
    (fire,) = open_fires(cloudretry.journal)
    return fire.fire_id


def listed(cloudretry: CommandLine, *arguments: str) -> list[dict[str, Any]]:
    fires: list[dict[str, Any]] = cloudretry("journal", "list", "--json", *arguments).json["fires"]
    return fires


# --- list and show ---


def test_an_empty_journal_says_so(alone: CommandLine) -> None:
    done = alone("journal", "list")
    assert (done.code, done.out, done.err) == (0, f"no fire is open in {alone.journal}\n", "")
    assert alone("journal", "list", "--json").json == {"journalDir": str(alone.journal), "fires": []}
    assert not alone.journal.exists()


def test_open_fires_are_listed_oldest_first_with_what_is_known(alone: CommandLine) -> None:
    interrupted(alone.journal, "jb1", "jb2", age=5 * 3600, answers={"jb1": Answer(FireOutcome.ACCEPTED)})
    interrupted(alone.journal, fire_id="fedcba9876543210", age=100 * 3600)
    interrupted(alone.journal, "jb3", fire_id="89abcdef01234567", age=60, handed=True)
    done = alone("journal", "list")
    assert done.code == 0
    heads, old, new, doubtful = (re.split(" {2,}", line) for line in done.out.splitlines())
    assert heads == ["FIRE", "AGE", "RESOURCE", "TARGETS", "ANSWER", "NOTE"]
    assert old == ["fedcba9876543210", "100h", URN, "jb1", "none recorded", "too old to be taken up"]
    assert new == [ID, "5h", URN, "jb1, jb2", "1 accepted"]
    assert doubtful[-2:] == ["none recorded", "saved or not, nobody knows"]
    assert "planted" not in done.out


def test_fires_of_all_places_are_listed_each_with_its_own(alone: CommandLine) -> None:
    interrupted(alone.journal)
    interrupted(alone.journal, fire_id="fedcba9876543210", age=30, place={**PLACE, "region": "eu-nl"})
    assert [(fire["fire"], fire["place"]["region"]) for fire in listed(alone)] == [
        (ID, "eu-de"),
        ("fedcba9876543210", "eu-nl"),
    ]


def test_with_json_a_fire_is_told_in_full(alone: CommandLine) -> None:
    refusal = CloudError("DRS.M00304", "Not so.", 200, "request-1")
    answers = {"jb1": Answer(FireOutcome.ACCEPTED, "handle-1"), "jb2": Answer(FireOutcome.REJECTED, "", refusal)}
    interrupted(alone.journal, "jb1", "jb2", answers=answers)
    (fire,) = listed(alone)
    assert alone("journal", "show", ID, "--json").json == {
        **fire,
        "ageSeconds": pytest.approx(fire["ageSeconds"], abs=60),
    }
    assert 60 <= fire.pop("ageSeconds") < 180
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", fire.pop("at"))
    assert re.fullmatch(r"process \d+ on \S+", fire.pop("heldBy").partition(" (")[0])
    first, second = fire.pop("targets")
    assert fire == {
        "fire": ID,
        "resource": URN,
        "state": "https://api.example",
        "place": PLACE,
        "creating": True,
        "generation": 1,
        "answered": True,
        "requestId": "request-1",
        "held": False,
        "handedOver": False,
        "adoptable": True,
    }
    assert first == {
        "target": "jb1",
        "attempt": 1,
        "before": "",
        "answer": "accepted",
        "foundOut": None,
        "handle": "handle-1",
        "message": "",
    }
    assert (second["answer"], "DRS.M00304" in second["message"]) == ("rejected", True)


def test_a_fire_whose_outcome_the_engine_was_given_says_so(alone: CommandLine) -> None:
    interrupted(alone.journal, answers={"jb1": Answer(FireOutcome.ACCEPTED)}, handed=True)
    (fire,) = listed(alone)
    assert (fire["handedOver"], fire["held"]) == (True, False)
    words = "an update goes on from it; a create asks for your word: cloudretry journal resolve"
    assert f"next:       {words}\n" in alone("journal", "show", ID).out


def test_what_a_run_has_found_out_is_told_beside_the_answer(alone: CommandLine) -> None:
    interrupted(alone.journal, "jb1", "jb2", answers={"jb2": Answer(FireOutcome.UNKNOWN)}, words={"jb2": Word.HELD})
    first, second = listed(alone)[0]["targets"]
    assert (first["answer"], first["foundOut"]) == (None, None)
    assert (second["answer"], second["foundOut"]) == ("unknown", "held")


def test_a_fire_is_shown_by_the_beginning_of_its_id(alone: CommandLine) -> None:
    interrupted(alone.journal)
    done = alone("journal", "show", ID[:4])
    assert done.code == 0
    for words in (
        f"fire:       {ID}",
        f"resource:   {URN}",
        "state:      https://api.example",
        f"place:      {', '.join(f'{name} {value}' for name, value in PLACE.items() if value)}",
        "by:         a create, generation 1",
        "answer:     none recorded",
        "next:       the next run asks the cloud what became of it, before it fires anything",
    ):
        assert f"{words}\n" in done.out
    assert re.search(r"^held by: +process \d+ on \S+", done.out, re.MULTILINE)
    assert re.search(r"^jb1 +1 +none$", done.out, re.MULTILINE)
    assert "planted" not in done.out


def test_an_id_that_names_none_or_several_is_refused(alone: CommandLine) -> None:
    interrupted(alone.journal)
    interrupted(alone.journal, fire_id="0123ffff00000000")
    assert "2 open fires begin with 0123" in alone("journal", "show", "0123", "--json").problem
    done = alone("journal", "show", "77")
    assert (done.code, done.out) == (2, "")
    assert done.err == f"Error: there is no open fire 77 in {alone.journal}; see: cloudretry journal list\n"


@pytest.mark.parametrize("name", ["all orders", "orders cli/drs:JobBatchRetry/eu-de/p1/jb1", "cli/orders"])
def test_a_resource_is_no_fire_by_hand_whatever_its_name(alone: CommandLine, name: str) -> None:
    owner = f"urn:pulumi:dev::shop::cloudretry:{DRS}::{name}"
    interrupted(alone.journal, owner=owner)
    assert listed(alone)[0]["resource"] == owner
    shown = alone("journal", "show", ID).out
    assert f"resource:   {owner}\n" in shown
    assert "by:         a create, generation 1\n" in shown
    done = alone("journal", "resolve", ID, "--outcome", "fired", "--yes")
    assert done.out == f"{ID} was fired: its next run looks what came of it\n"


def test_a_secret_target_is_a_digest_and_what_the_cloud_said_of_it_is_left_out(alone: CommandLine) -> None:
    clock = SystemClock()
    journal = Journal(alone.journal)
    asker = Asker(journal.at(PLACE), clock, lambda key: key.startswith("planted"))
    asker.ask = Ask(URN, "life", 1, 1, True, TriggerMark.of({}))
    ((granted,), _) = asker.intend([[EntryTarget("planted-job", 1)]])
    refused = Answer(FireOutcome.REJECTED, "", CloudError("X.1", "planted-job", 400))
    asker.answered(granted.fire_id, {"planted-job": refused}, "r")
    journal.close()
    for arguments in (["list"], ["list", "--json"], ["show", granted.fire_id], ["show", granted.fire_id, "--json"]):
        done = alone("journal", *arguments)
        assert done.code == 0
        assert "sha256:" in done.out
        assert "planted" not in done.out


def test_a_fire_that_a_run_is_busy_with_is_marked(alone: CommandLine) -> None:
    busy = at_work(alone.journal)
    assert alone("journal", "list").out.rstrip().endswith("a run has it now")
    (fire,) = listed(alone)
    assert fire["held"] is True
    for word in WORDS:
        done = alone("journal", "resolve", ID, *word, "--yes")
        assert done.code == 2
        assert "a run works on " in done.err
    busy.close()
    assert listed(alone)[0]["held"] is False


def test_the_journal_of_the_configuration_is_read(alone: CommandLine) -> None:
    elsewhere = alone.folder / "elsewhere"
    interrupted(elsewhere)
    (alone.folder / "provider.yaml").write_text(f"journalDir: {elsewhere}")
    assert [fire["fire"] for fire in listed(alone, "--config", "provider.yaml")] == [ID]
    assert [fire["fire"] for fire in listed(alone, "--journal-dir", str(elsewhere))] == [ID]
    assert listed(alone) == []


# --- resolve ---


def test_a_word_is_asked_for_where_somebody_can_be_asked(alone: CommandLine) -> None:
    interrupted(alone.journal)
    done = alone("journal", "resolve", ID, "--outcome", "not-fired", stdin="y\n")
    assert done.code == 2
    assert "nobody can be asked: the record stands as it was. Give --yes" in done.err

    terminal = alone.terminal("journal", "resolve", ID, "--outcome", "not-fired")
    terminal.expect("Note that this was not fired? Its next run may fire it [y/N]:")
    assert f"{URN}: jb1, " in terminal.screen
    terminal.type("n\n")
    assert terminal.end() == 2
    assert terminal.screen.endswith("Error: the record stands as it was")
    assert open_fires(alone.journal)

    terminal = alone.terminal("journal", "resolve", ID, "--outcome", "not-fired")
    terminal.expect("[y/N]:")
    terminal.type("\x03")
    assert terminal.end() == -signal.SIGINT
    assert terminal.screen.endswith("Error: interrupted; the record stands as it was")
    assert open_fires(alone.journal)

    terminal = alone.terminal("journal", "resolve", ID, "--outcome", "not-fired")
    terminal.expect("[y/N]:")
    terminal.type("y\n")
    assert terminal.end() == 0
    assert open_fires(alone.journal) == []


def test_what_was_fired_counts_as_accepted(alone: CommandLine) -> None:
    interrupted(alone.journal)
    done = alone("journal", "resolve", ID, "--outcome", "fired", "--yes")
    assert (done.code, done.out) == (0, f"{ID} was fired: its next run looks what came of it\n")
    (fire,) = open_fires(alone.journal)
    assert fire.answers == {"jb1": Answer(FireOutcome.ACCEPTED)}


def test_a_word_is_only_about_what_the_cloud_has_not_answered(alone: CommandLine) -> None:
    answers = {
        "jb1": Answer(FireOutcome.ACCEPTED, "handle-1"),
        "jb2": Answer(FireOutcome.UNKNOWN),
        "jb3": Answer(FireOutcome.REJECTED),
    }
    interrupted(alone.journal, *answers, answers=answers)
    done = alone("journal", "resolve", ID, "--outcome", "not-fired", "--yes", "--json")
    assert done.json == {"ok": True, "fire": ID, "resource": URN, "outcome": "not-fired"}
    assert done.err.startswith(f"{URN}: jb2, ")
    (fire,) = open_fires(alone.journal)
    assert fire.answers == {**answers, "jb2": Answer(FireOutcome.NOT_SENT)}
    # Now all of it is known.
    done = alone("journal", "resolve", ID, "--outcome", "fired", "--yes", "--json")
    assert done.code == 2
    assert f"the journal holds the cloud's answer to {ID} (" in done.problem


def test_what_was_cut_off_after_its_outcome_was_given_is_taken_up(alone: CommandLine) -> None:
    interrupted(alone.journal, answers={"jb1": Answer(FireOutcome.ACCEPTED)}, handed=True)
    done = alone("journal", "resolve", ID, "--taken-up", "--yes")
    assert (done.code, done.out) == (0, f"{ID} stands in no saved state: the next run goes on from it\n")
    (fire,) = listed(alone)
    assert fire["handedOver"] is False
    assert "next:       the next run goes on from the answer\n" in alone("journal", "show", ID).out


def test_what_stands_in_a_state_is_settled_and_a_create_fires_anew(alone: CommandLine) -> None:
    interrupted(alone.journal, answers={"jb1": Answer(FireOutcome.ACCEPTED)}, handed=True)
    done = alone("journal", "resolve", ID, "--fire", "--yes", "--json")
    assert done.json == {"ok": True, "fire": ID, "resource": URN, "outcome": "fire"}
    assert listed(alone) == []
    assert fire_of(alone.journal).saved


@pytest.mark.parametrize("said", [[], ["--outcome", "fired", "--fire"], ["--taken-up", "--outcome", "not-fired"]])
def test_exactly_one_word_is_to_be_given(alone: CommandLine, said: list[str]) -> None:
    interrupted(alone.journal)
    done = alone.inside("journal", "resolve", ID, "--yes", "--json", *said)
    assert done.code == 2
    assert done.problem == "give one of --outcome fired, --outcome not-fired, --taken-up and --fire"
    assert "is not one of" in alone.inside("journal", "resolve", ID, "--yes", "--json", "--outcome", "maybe").problem


def test_a_run_that_worked_on_the_fire_while_somebody_was_asked_makes_the_word_void(alone: CommandLine) -> None:
    interrupted(alone.journal)
    terminal = alone.terminal("journal", "resolve", ID, "--outcome", "not-fired")
    terminal.expect("[y/N]:")
    assert alone("journal", "resolve", ID, "--outcome", "fired", "--yes").code == 0
    terminal.type("y\n")
    assert terminal.end() == 2
    assert f"Error: a run has worked on the fire {ID} meanwhile; see: cloudretry journal list" in terminal.screen
    assert fire_of(alone.journal).answers == {"jb1": Answer(FireOutcome.ACCEPTED)}


def test_a_fire_by_hand_that_was_fired_is_settled(cloudretry: CommandLine, emulator: Emulator) -> None:
    fire_id = killed_by_hand(cloudretry, emulator, "jb1", "jb2")
    shown = cloudretry("journal", "show", fire_id).out
    assert re.search(r"^resource: +by hand, drs:JobBatchRetry at emulator/eu-de/\w+$", shown, re.MULTILINE)
    assert re.search(r"^by: +cloudretry fire$", shown, re.MULTILINE)
    done = cloudretry("journal", "resolve", fire_id, "--outcome", "fired", "--yes")
    assert (done.code, done.out) == (0, f"{fire_id} was fired: this fire is settled\n")
    assert listed(cloudretry) == []
    # Nothing is in the way of other fires any more.
    emulator.clear_faults()
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


COMMANDS = (["list"], ["show", ID], ["resolve", ID, "--outcome", "fired", "--yes"])
BROKEN = ("{", "[]", '{"version": 2, "records": []}', '{"version": 1, "records": [{}]}', "\udcff")


@pytest.mark.parametrize("content", BROKEN)
def test_an_entry_that_cannot_be_read_is_named_and_nothing_is_changed(alone: CommandLine, content: str) -> None:
    interrupted(alone.journal)
    (entry,) = alone.journal.glob("places/*/0*")
    entry.write_text(content, errors="surrogateescape")
    words = f"the journal's entry {entry} cannot be read, so it is not known whether a fire is open"
    for command in COMMANDS:
        done = alone.inside("journal", *command, "--json")
        assert (done.code, done.problem.startswith(words)) == (2, True), done
    assert entry.read_text(errors="surrogateescape") == content


def test_an_entry_that_cannot_be_read_is_told_without_a_traceback(alone: CommandLine) -> None:
    interrupted(alone.journal)
    (entry,) = alone.journal.glob("places/*/0*")
    entry.write_text("{")
    done = alone("journal", "list")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"Error: the journal's entry {entry} cannot be read, ")
    assert done.err.count("\n") == 1


def test_a_journal_that_somebody_else_can_write_to_is_not_believed(alone: CommandLine) -> None:
    interrupted(alone.journal)
    (place,) = alone.journal.glob("places/*")
    place.chmod(0o777)
    problem = alone("journal", "list", "--json").problem
    assert f"the journal's folder {place} can be written by other users, so what is in it is not believed" in problem


def test_a_journal_that_cannot_be_written_keeps_what_it_holds(alone: CommandLine) -> None:
    interrupted(alone.journal)
    (alone.journal / "sessions").rmdir()
    (alone.journal / "sessions").touch()
    done = alone("journal", "resolve", ID, "--outcome", "fired", "--yes")
    assert (done.code, done.out) == (2, "")
    assert "cannot be written" in done.err
    assert "Traceback" not in done.err
    assert fire_of(alone.journal).answers == {}


def test_a_journal_is_for_its_user_alone_under_any_umask(alone: CommandLine) -> None:
    before = os.umask(0o002)
    try:
        interrupted(alone.journal)
    finally:
        os.umask(before)
    folders = [alone.journal, *(path for path in alone.journal.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}
    assert [fire["fire"] for fire in listed(alone)] == [ID]
