"""One run and the ledger of its place: which targets are free, what leaves, and what is taken over."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from places import NOW, PLACE, Machine, ask, asks, blocked, ends, grant, intent

from cloudretry.clock import Moment
from cloudretry.errors import JournalError, RequestNotSent
from cloudretry.ledger import Asker, EntryTarget, Fire, Granted, Word, can_be_taken_over
from cloudretry.ledger import books as write
from cloudretry.ledger.asker import SEND_WITHIN
from cloudretry.ledger.ledger import KEPT, LISTED
from cloudretry.ledger.store import Folder
from cloudretry.model import Answer, CloudError, FireOutcome

ACCEPTED = Answer(FireOutcome.ACCEPTED)
REJECTED = Answer(FireOutcome.REJECTED)
NOT_SENT = Answer(FireOutcome.NOT_SENT)
UNCLEAR = Answer(FireOutcome.UNKNOWN)


def answers(asker: Asker, one: Granted, answer: Answer, *, rides: bool = False) -> None:
    asker.answered(one.fire_id, {target.key: answer for target in one.targets}, "r1", rides=rides)


def fires(asker: Asker, *keys: str, answer: Answer | None = ACCEPTED) -> list[Granted]:
    """Intend these, and note the answer if there is one."""
    granted = grant(asker, *keys or ("T",))
    for one in granted if answer is not None else ():
        answers(asker, one, answer)
    return granted


def meets(asker: Asker) -> list[Fire]:
    """What is in the way of the target, as the run sees it now."""
    return list(asker.standing(["T"]).values())


def stored(machine: Machine, one: Granted) -> Fire:
    found = machine.books().get(one.fire_id)
    assert found is not None
    return found


def text(machine: Machine) -> str:
    return "".join(entry.read_text() for entry in machine.entries)


# --- what is in the way: each row of the table ---


def test_a_target_that_nobody_has_fired_is_free(machine: Machine) -> None:
    asker = machine.asker()
    assert blocked(asker) is None
    (one,) = grant(asker, "T")
    assert one.targets == (EntryTarget("T", 1),)
    assert stored(machine, one).unclear == ("T",)


@pytest.mark.parametrize("answer", [None, UNCLEAR])
@pytest.mark.parametrize("owner", ["a", "b"])
@pytest.mark.parametrize("is_left", [False, True])
def test_a_fire_without_a_clear_answer_is_in_everybodys_way(
    machine: Machine, answer: Answer | None, owner: str, is_left: bool
) -> None:
    first = machine.asker()
    (one,) = fires(first, answer=answer)
    if is_left:
        ends(first)
    second = machine.asker(owner)
    granted, found = second.intend([[EntryTarget("T", 1)], [EntryTarget("U", 1)]])
    assert [target.key for one in granted for target in one.targets] == ["U"]
    assert {key: fire.fire_id for key, fire in found.items()} == {"T": one.fire_id}


@pytest.mark.parametrize("answer", [REJECTED, NOT_SENT])
@pytest.mark.parametrize("owner", ["a", "b"])
def test_a_fire_that_came_to_nothing_is_in_nobodys_way(machine: Machine, answer: Answer, owner: str) -> None:
    fires(machine.asker(), answer=answer)
    assert grant(machine.asker(owner), "T")


@pytest.mark.parametrize(("owner", "others"), [("b", {}), ("a", {"run": 2, "triggers": {"release": "2"}})])
def test_an_accepted_target_is_held_until_nobody_waits_for_it(
    machine: Machine, owner: str, others: dict[str, Any]
) -> None:
    first = machine.asker(triggers={"release": "1"})
    fires(first)
    second = machine.asker(owner, **others)
    assert blocked(second) is not None
    first.end(handed=True)
    assert blocked(second) is None


def test_an_accepted_target_is_held_until_its_process_has_died(machine: Machine) -> None:
    first, second = machine.asker(), machine.asker("b")
    fires(first)
    assert blocked(second) is not None
    ends(first)
    assert blocked(second) is None


def test_what_a_run_has_fired_itself_is_not_in_its_way(machine: Machine) -> None:
    asker = machine.asker()
    fires(asker)
    assert grant(asker, "T")


def test_another_resource_of_the_same_deployment_is_in_the_way_for_good(machine: Machine) -> None:
    first = machine.asker(deployment="127.0.0.1:1")
    (one,) = fires(first)
    first.end(handed=True)
    ends(first)
    for owner, deployment, is_blocked in (
        ("b", "127.0.0.1:1", True),
        ("b", "127.0.0.1:2", False),
        ("b", "", False),
        ("a", "127.0.0.1:1", False),
    ):
        found = blocked(machine.asker(owner, deployment=deployment))
        assert (found is not None and found.fire_id == one.fire_id) is is_blocked


@pytest.mark.parametrize("is_left", [False, True])
@pytest.mark.parametrize(
    "same", [{"run": 1}, {"run": 1, "life": "another one", "creating": True}], ids=["an update", "a create"]
)
def test_what_another_run_fires_for_the_same_ask_meanwhile_is_in_the_way_also_when_it_is_over(
    machine: Machine, same: dict[str, Any], is_left: bool
) -> None:
    first, second = machine.asker(), machine.asker(**same)
    (one,) = fires(first)
    if is_left:
        first.end(handed=True)
        ends(first)
    found = blocked(second)
    assert found is not None
    assert found.fire_id == one.fire_id
    assert second.is_of_this_ask(found)


@pytest.mark.parametrize("word", [Word.HELD, Word.UNKNOWN, Word.VOID])
def test_what_became_of_it_decides_whether_the_same_ask_is_fired_again(machine: Machine, word: Word) -> None:
    first, second = machine.asker(), machine.asker()
    fires(first, answer=None)
    first.judge("T", word)
    first.end(handed=False)
    assert (blocked(second) is None) is (word is Word.VOID)


def test_what_was_there_when_a_run_began_is_no_fire_of_its_ask(machine: Machine) -> None:
    first = machine.asker()
    fires(first)
    first.end(handed=True)
    assert blocked(machine.asker()) is None


def test_another_trigger_is_another_ask(machine: Machine) -> None:
    first, second = machine.asker(triggers={"release": "1"}), machine.asker(triggers={"release": "2"})
    fires(first)
    first.end(handed=True)
    assert blocked(second) is None


# --- leaving ---


def test_a_request_leaves_without_a_word_while_its_intent_is_young(machine: Machine) -> None:
    asker = machine.asker()
    (one,) = grant(asker, "T")
    assert one.leaves_by == machine.clock.moment().after(LISTED + SEND_WITHIN)
    machine.clock.advance(LISTED + SEND_WITHIN - 1)
    assert asker.leave(one) == one
    assert len(machine.entries) == 1


def test_a_late_one_renews_its_intent_first(machine: Machine) -> None:
    asker = machine.asker()
    (one,) = grant(asker, "T")
    machine.clock.advance(LISTED + SEND_WITHIN)
    renewed = asker.leave(one)
    assert renewed.leaves_by == machine.clock.moment().after(LISTED + SEND_WITHIN)
    assert stored(machine, one).leaves_by == renewed.leaves_by


def test_an_intent_of_another_boot_is_renewed(machine: Machine) -> None:
    asker = machine.asker()
    (one,) = grant(asker, "T")
    machine.clock.boot = "boot-2"
    assert asker.leave(one).leaves_by.boot == "boot-2"


def test_a_late_one_that_was_taken_over_does_not_leave(machine: Machine) -> None:
    first, second = machine.asker(), machine.asker("b")
    (one,) = grant(first, "T")
    ends(first)
    assert second.take_over(meets(second))
    machine.clock.advance(LISTED + SEND_WITHIN)
    with pytest.raises(RequestNotSent, match="taken this fire over"):
        first.leave(one)


def test_a_late_one_that_somebody_has_resolved_does_not_leave(machine: Machine) -> None:
    asker = machine.asker()
    (one,) = grant(asker, "T")
    hand = write.words({one.fire_id: {"T": Word.VOID}}, write.BY_HAND)
    machine.ledger().write(lambda _books, _listed: ([hand], None))
    machine.clock.advance(LISTED + SEND_WITHIN)
    with pytest.raises(RequestNotSent):
        asker.leave(one)


def test_an_intent_that_came_into_a_hole_after_a_long_pause_does_not_leave(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asker, other = machine.asker(), machine.asker("b")
    grant(other, "U")
    asker.ledger.look(lambda _books: None, fresh=True)
    create = Folder.create

    def paused(store: Folder, name: str, data: bytes, **named: Any) -> bool:
        monkeypatch.setattr(Folder, "create", create)
        for number in range(4):
            grant(other, f"V{number}")
        machine.clock.advance(2 * KEPT)
        for entry in machine.entries[:3]:
            entry.unlink()
        return create(store, name, data, **named)

    monkeypatch.setattr(Folder, "create", paused)
    (one,) = grant(asker, "T")
    with pytest.raises(JournalError, match="Run it again"):
        asker.leave(one)


# --- words and answers ---


def test_an_answer_that_rides_is_written_with_the_next_intent(machine: Machine) -> None:
    asker = machine.asker()
    (one,) = grant(asker, "T")
    answers(asker, one, ACCEPTED, rides=True)
    assert stored(machine, one).answers == {}
    grant(asker, "U")
    assert stored(machine, one).answers == {"T": ACCEPTED}
    assert len(machine.entries) == 2


def test_an_answer_that_could_not_be_written_rides_again(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    asker = machine.asker()
    (one,) = grant(asker, "T")
    answers(asker, one, ACCEPTED, rides=True)

    def refuse(*_arguments: object, **_named: object) -> bool:
        raise JournalError("full")

    with monkeypatch.context() as patch:
        patch.setattr(Folder, "create", refuse)
        with pytest.raises(JournalError, match="full"):
            grant(asker, "U")
    grant(asker, "U")
    assert stored(machine, one).answers == {"T": ACCEPTED}


def test_what_was_found_out_is_written_with_the_next_intent_and_frees_its_target(machine: Machine) -> None:
    asker = machine.asker()
    (one,) = fires(asker, answer=UNCLEAR)
    asker.judge("T", Word.VOID)
    (two,) = grant(asker, "T")
    assert stored(machine, one).words == {"T": Word.VOID}
    assert stored(machine, two).unclear == ("T",)
    assert len(machine.entries) == 3


def test_what_was_found_out_of_one_fire_says_nothing_of_the_next(machine: Machine) -> None:
    asker = machine.asker()
    fires(asker, answer=UNCLEAR)
    asker.judge("T", Word.VOID)
    (two,) = fires(asker, answer=UNCLEAR)
    asker.end(handed=True)
    assert stored(machine, two).words == {}


def test_a_run_says_nothing_of_what_others_hold(machine: Machine) -> None:
    first, second = machine.asker(), machine.asker("b")
    (one,) = grant(first, "T")
    second.judge("T", Word.VOID)
    assert grant(second, "T") == []
    grant(second, "U")
    assert stored(machine, one).unclear == ("T",)


@pytest.mark.parametrize("handed", [False, True])
def test_a_run_that_ends_says_what_it_found_out_and_lets_go_of_its_fires(machine: Machine, handed: bool) -> None:
    asker = machine.asker()
    one, two = grant(asker, "T", "U")
    asker.judge("T", Word.HELD)
    asker.end(handed=handed)
    found = stored(machine, one)
    assert (found.words, found.over, found.handed) == ({"T": Word.HELD}, True, handed)
    assert stored(machine, two).over


def test_a_run_without_a_fire_ends_without_a_word(machine: Machine) -> None:
    machine.asker().end(handed=True)
    assert machine.entries == []


# --- taking over ---


@pytest.mark.parametrize("how", ["dies", "ends in words", "lives"])
def test_a_fire_is_taken_over_from_the_dead_and_from_a_run_that_is_over(machine: Machine, how: str) -> None:
    first, second = machine.asker(), machine.asker("b")
    (one,) = grant(first, "T")
    if how == "dies":
        ends(first)
    if how == "ends in words":
        first.end(handed=True)
    (found,) = meets(second)
    assert can_be_taken_over(found, second.ledger.sessions) is (how != "lives")
    taken = second.take_over([found])
    assert [fire.fire_id for fire in taken] == ([one.fire_id] if how != "lives" else [])
    assert (stored(machine, one).holder.session == second.session) is (how != "lives")
    assert (one.fire_id in second.held) is (how != "lives")
    if how != "lives":
        second.judge("T", Word.VOID)
        assert grant(second, "T")


def test_of_two_who_want_to_take_over_one_does(machine: Machine) -> None:
    first = machine.asker()
    (one,) = grant(first, "T")
    ends(first)
    takers = [machine.asker("b"), machine.asker("c")]
    found = [meets(taker) for taker in takers]
    assert [bool(taker.take_over(fires)) for taker, fires in zip(takers, found, strict=True)] == [True, False]
    assert stored(machine, one).holder.session == takers[0].session
    takers[1].judge("T", Word.VOID)
    assert grant(takers[1], "T") == []


def test_a_taker_that_died_is_followed(machine: Machine) -> None:
    first = machine.asker()
    (one,) = grant(first, "T")
    ends(first)
    for owner in ("b", "c"):
        asker = machine.asker(owner)
        assert asker.take_over(meets(asker))
        ends(asker)
    assert stored(machine, one).holder.session == asker.session


# --- secrets ---


def test_secret_targets_are_written_as_digests_and_found_again_by_name(machine: Machine) -> None:
    secret: Callable[[str], bool] = "planted-secret".__eq__
    first = machine.asker(secret=secret)
    granted, _ = first.intend([[EntryTarget("planted-secret", 1), EntryTarget("plain", 1)]])
    error = CloudError("X.1", "no such job: planted-secret", 404, "r1")
    first.answered(
        granted[0].fire_id,
        {
            "planted-secret": Answer(FireOutcome.UNKNOWN, "planted-secret", error),
            "plain": Answer(FireOutcome.ACCEPTED, "jb9"),
        },
        "r1",
    )
    assert "planted-secret" not in text(machine)
    assert '"plain"' not in text(machine)
    found = blocked(machine.asker("b"), "planted-secret")
    assert found is not None
    assert found.unclear == ("planted-secret",)
    assert found.answers["planted-secret"].error == replace(error, message="")
    first.judge("planted-secret", Word.VOID)
    first.end(handed=False)
    assert stored(machine, granted[0]).unclear == ()
    assert blocked(machine.asker("b"), "planted-secret") is None
    assert "planted-secret" not in text(machine)


def test_triggers_are_written_as_digests(machine: Machine) -> None:
    asker = machine.asker(triggers={"password": "planted-secret"})
    (one,) = grant(asker, "T")
    assert "planted-secret" not in text(machine)
    mark = stored(machine, one).ask.triggers
    assert mark.fits({"password": "planted-secret"})
    assert not mark.fits({"password": "another"})
    assert mark.digest != ask(triggers={"password": "planted-secret"}).triggers.digest


def test_a_session_that_cannot_be_begun_intends_nothing(machine: Machine) -> None:
    machine.folder.mkdir(mode=0o700)
    (machine.folder / "sessions").write_text("in the way")
    with pytest.raises(JournalError):
        grant(machine.asker(), "T")
    assert machine.entries == []


def test_an_intent_of_a_foreign_hand_names_who_has_it(machine: Machine) -> None:
    machine.ledger().write(lambda _books, _listed: ([intent("f1", session="s9")], None))
    found = blocked(machine.asker("b"))
    assert found is not None
    assert (found.ask.owner, found.holder.where, found.began) == ("a", "in s9", Moment(NOW.at, NOW.boot, NOW.uptime))


def test_two_runs_of_one_process_are_told_apart(machine: Machine) -> None:
    ledger = machine.process().at(PLACE)
    first, second = asks(ledger, machine.clock, "a"), asks(ledger, machine.clock, "b")
    (one,) = fires(first, answer=None)
    assert blocked(second) is not None
    assert one.fire_id not in second.held
    assert second.take_over([stored(machine, one)]) == []
