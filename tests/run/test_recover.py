"""What the journal adds to the recorded state, case by case."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from cloudretry.actions import ACTIONS
from cloudretry.clock import Moment
from cloudretry.inputs import parse
from cloudretry.ledger import Ask, Books, EntryTarget, Fire, TriggerMark
from cloudretry.ledger.books import intent
from cloudretry.ledger.fires import Holder
from cloudretry.model import Answer, CloudError, FireOutcome, Place, Result, Status
from cloudretry.record import Record
from cloudretry.run.decide import Reason, decide
from cloudretry.run.recover import Recovered, Wanted, open_fires
from cloudretry.run.recover import recover as put_into

NOW = 1_800_000_000.0
THEN = Moment(NOW, "boot", 1000.0)
ACTION = ACTIONS["cloudretry:drs:JobBatchRetry"]


def inputs(*jobs: str, **triggers: str) -> Any:
    return parse(ACTION, {"jobs": [{"jobId": job} for job in jobs], "triggers": triggers})


def saved(generation: int = 1, **triggers: str) -> Record:
    results = {key: Result(key, Status.SUCCEEDED, attempts=1, fired_at=NOW - 60) for key in ("jb1", "jb2")}
    values = {"jobs": [{"jobId": "jb1"}, {"jobId": "jb2"}], "triggers": triggers}
    return Record(
        values, Place("eu-de", "p"), Status.SUCCEEDED, generation, results, fire_ids=("saved",), life="L", run=1
    )


def recover(record: Record | None, entries: list[Fire], wanted: Any, *, owner: str = "urn:r") -> Recovered:
    """Through the books, as a run does."""
    books = Books()
    for number, fire in enumerate(entries, 1):
        fires = [(fire.fire_id, fire.targets)]
        books.add(number, [intent(fire.ask, fires, fire.began, fire.leaves_by, fire.holder)])
        books._put(replace(fire, number=number))
    keys = [target.key for target in ACTION.targets(wanted)]
    return put_into(record, open_fires(books, Wanted(owner, record, keys, wanted.triggers)), wanted)


def fired(
    *keys: str,
    creating: bool = False,
    generation: int = 2,
    answer: Answer | None = None,
    attempts: int = 1,
    life: str = "",
    owner: str = "urn:r",
    run: int = 2,
    **triggers: str,
) -> Fire:
    targets = tuple(EntryTarget(key, attempts) for key in keys)
    answers = {} if answer is None else dict.fromkeys(keys, answer)
    life = life or ("other" if creating else "L")
    ask = Ask(owner, life, 1 if creating else run, generation, creating, TriggerMark.of(triggers))
    return Fire(1, "lost", ask, targets, "dead", THEN, THEN, Holder("dead"), answers)


def test_without_an_interrupted_fire_the_record_stands() -> None:
    record = saved(release="v1")
    assert recover(record, [], inputs("jb1", "jb2", release="v1")).record is record
    assert recover(None, [], inputs("jb1")).record is None


def test_a_fire_that_the_state_holds_is_not_interrupted() -> None:
    record = saved(release="v1")
    entry = fired("jb1", generation=1, run=1, release="v1")
    assert recover(record, [entry], inputs("jb1", "jb2", release="v1")).record is record


def test_an_interrupted_create_is_taken_up_by_the_same_create() -> None:
    entry = fired("jb1", "jb2", creating=True, generation=1, answer=Answer(FireOutcome.ACCEPTED), release="v1")
    wanted = inputs("jb1", "jb2", release="v1")
    found = recover(None, [entry], wanted)
    assert found.fire_ids == ("lost",)
    plan = decide(ACTION, found.record, wanted, NOW + 60)
    assert plan.reason is Reason.RESUME
    assert plan.fire == ()
    assert [target.key for target in plan.watch] == ["jb1", "jb2"]


def test_an_interrupted_create_with_other_triggers_was_asked_for_anew() -> None:
    entry = fired("jb1", creating=True, generation=1, release="v1")
    assert recover(None, [entry], inputs("jb1", release="v2")).record is None


def test_an_interrupted_update_is_not_taken_up_by_a_create() -> None:
    entry = fired("jb1", creating=False, generation=2, release="v1")
    assert recover(None, [entry], inputs("jb1", release="v1")).record is None


def test_an_update_takes_up_a_replacement_that_died_with_its_life() -> None:
    record = saved(release="v1")
    entry = fired("jb1", creating=True, generation=1, answer=Answer(FireOutcome.ACCEPTED), release="v1")
    found = recover(record, [entry], inputs("jb1", "jb2", release="v1")).record
    assert found is not None
    assert (found.life, found.run, found.generation) == ("other", 1, 1)
    assert found.results["jb1"].status is Status.ACCEPTED
    assert found.results["jb2"] is record.results["jb2"]


def test_an_update_takes_up_no_create_of_another_name() -> None:
    record = saved(release="v1")
    entry = fired("jb1", creating=True, generation=1, owner="urn:other", release="v1")
    assert recover(record, [entry], inputs("jb1", "jb2", release="v1")).record is record


def test_a_create_takes_up_what_was_fired_under_another_name() -> None:
    entry = fired("jb1", creating=True, generation=1, owner="urn:old-name", release="v1")
    assert recover(None, [entry], inputs("jb1", release="v1")).fire_ids == ("lost",)


def test_a_create_takes_up_no_fire_by_hand() -> None:
    entry = fired("jb1", creating=True, generation=1, owner="cli/cloudretry:x", release="v1")
    assert recover(None, [entry], inputs("jb1", release="v1")).fire_ids == ()


def test_an_update_takes_up_its_own_fire_whatever_it_was_called() -> None:
    entry = fired("jb1", "jb2", owner="urn:old-name", release="v2")
    assert recover(saved(release="v1"), [entry], inputs("jb1", "jb2", release="v2")).fire_ids == ("lost",)


def test_an_interrupted_trigger_change_counts_as_fired() -> None:
    entry = fired("jb1", "jb2", release="v2")
    wanted = inputs("jb1", "jb2", release="v2")
    plan = decide(ACTION, recover(saved(release="v1"), [entry], wanted).record, wanted, NOW + 60)
    assert plan.generation == 2
    assert plan.fire == ()
    assert [target.key for target in plan.watch] == ["jb1", "jb2"]


def test_targets_that_the_interrupted_run_had_not_reached_are_fired() -> None:
    entry = fired("jb1", answer=Answer(FireOutcome.ACCEPTED), release="v2")
    wanted = inputs("jb1", "jb2", release="v2")
    plan = decide(ACTION, recover(saved(release="v1"), [entry], wanted).record, wanted, NOW + 60)
    assert [target.key for target in plan.fire] == ["jb2"]
    assert [target.key for target in plan.watch] == ["jb1"]
    assert plan.generation == 2


@pytest.mark.parametrize("triggers", [{"release": "v1"}, {"release": "v3"}, {}])
def test_back_to_the_old_trigger_after_an_interrupted_change_fires(triggers: dict[str, str]) -> None:
    entry = fired("jb1", "jb2", release="v2")
    wanted = inputs("jb1", "jb2", **triggers)
    plan = decide(ACTION, recover(saved(release="v1"), [entry], wanted).record, wanted, NOW + 60)
    assert plan.reason is Reason.TRIGGERS
    assert plan.generation == 3
    assert [target.key for target in plan.fire] == ["jb1", "jb2"]


def test_an_interrupted_second_attempt_keeps_its_count() -> None:
    record = saved(release="v1")
    failed = {**record.results, "jb2": Result("jb2", Status.FAILED, attempts=1, fired_at=NOW - 60)}
    record = replace(record, status=Status.PARTIALLY_FAILED, results=failed)
    entry = fired("jb2", generation=1, attempts=2, release="v1")
    found = recover(record, [entry], inputs("jb1", "jb2", release="v1")).record
    assert found is not None
    assert found.results["jb2"].attempts == 2
    assert found.results["jb2"].status is Status.UNKNOWN
    assert found.results["jb1"] is record.results["jb1"]


def test_a_recorded_refusal_is_a_failed_target() -> None:
    refusal = Answer(FireOutcome.REJECTED, error=CloudError("DRS.M00304", "not now", 200, "r1"))
    found = recover(
        saved(release="v1"), [fired("jb1", "jb2", answer=refusal, release="v2")], inputs("jb1", "jb2", release="v2")
    )
    assert found.record is not None
    assert {result.status for result in found.record.results.values()} == {Status.FAILED}
    assert found.record.results["jb1"].error_code == "DRS.M00304"


def test_a_target_that_was_never_sent_to_costs_no_attempt() -> None:
    entry = fired("jb1", "jb2", answer=Answer(FireOutcome.NOT_SENT), release="v2")
    entry = replace(entry, answers={**entry.answers, "jb1": Answer(FireOutcome.ACCEPTED)})
    found = recover(saved(release="v1"), [entry], inputs("jb1", "jb2", release="v2")).record
    assert found is not None
    assert {key: result.attempts for key, result in found.results.items()} == {"jb1": 1, "jb2": 0}


@pytest.mark.parametrize("record", [None, saved(release="v1")], ids=["create", "update"])
def test_a_fire_that_was_never_sent_is_nothing_to_take_up(record: Record | None) -> None:
    entry = fired("jb1", creating=record is None, answer=Answer(FireOutcome.NOT_SENT), release="v2")
    assert recover(record, [entry], inputs("jb1", release="v2")).record is record


def test_the_user_is_told_what_was_taken_up() -> None:
    entry = fired("jb1", "jb2", answer=Answer(FireOutcome.ACCEPTED), release="v2")
    words = recover(saved(release="v1"), [entry], inputs("jb1", "jb2", release="v2")).words
    assert "1 fire of 2 targets (1 answered)" in words
    assert "2027-01-15T08:00:00Z" in words


def test_a_replacement_with_the_old_trigger_that_died_after_a_change_that_died_is_taken_up() -> None:
    change = fired("jb1", "jb2", release="v2")
    replacement = replace(fired("jb1", "jb2", creating=True, generation=1, release="v1"), fire_id="later")
    wanted = inputs("jb1", "jb2", release="v1")
    record = recover(saved(release="v1"), [change, replacement], wanted).record
    assert record is not None
    assert (record.life, record.generation) == ("other", 1)
    assert decide(ACTION, record, wanted, NOW).fire == ()
