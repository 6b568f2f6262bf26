"""What the entries of a place say, record by record."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from places import NOW, ask, intent

from cloudretry.clock import Moment
from cloudretry.ledger import BY_HAND, Ask, Books, EntryTarget, Fire, Word
from cloudretry.ledger import books as write
from cloudretry.ledger.books import Record
from cloudretry.ledger.fires import Holder
from cloudretry.model import Answer, CloudError, FireOutcome

ACCEPTED = Answer(FireOutcome.ACCEPTED, handle="jb9")
REJECTED = Answer(FireOutcome.REJECTED, error=CloudError("DRS.M00304", "not now", 200, "r1"))
NOT_SENT = Answer(FireOutcome.NOT_SENT)
UNCLEAR = Answer(FireOutcome.UNKNOWN, error=CloudError("", "no answer"))


def read(*records: Record) -> Books:
    """The books after these records, each in an entry of its own, as a file holds them."""
    books = Books()
    for number, record in enumerate(records, start=1):
        books.add(number, [json.loads(json.dumps(record))])
    return books


def the(fire_id: str, *records: Record) -> Fire:
    found = read(*records).get(fire_id)
    assert found is not None
    return found


def test_an_intent_opens_a_fire_at_each_of_its_targets() -> None:
    of = ask(state="s3://b", deployment="127.0.0.1:1", creating=True, triggers={"release": "1"})
    targets = (EntryTarget("T", 1), EntryTarget("U", 2, "a/b/c"))
    record = write.intent(of, [("f1", targets), ("f2", targets[:1])], NOW, NOW.after(20), Holder("s1", "here"))
    books = read(record)
    fire = Fire(1, "f1", of, targets, "s1", NOW, NOW.after(20), Holder("s1", "here"))
    assert list(books.fires()) == [fire, replace(fire, fire_id="f2", targets=targets[:1])]
    assert fire.unclear == ("T", "U")
    assert [one.fire_id for one in books.at("T")] == ["f1", "f2"]
    assert [one.fire_id for one in books.at("U")] == ["f1"]
    assert [one.fire_id for one in books.of_life(of.life)] == ["f1", "f2"]
    assert (books.at("V"), books.of_life("none"), books.get("f3")) == ([], [], None)


@pytest.mark.parametrize(
    ("answer", "is_closed", "is_held"),
    [(ACCEPTED, True, True), (REJECTED, True, False), (NOT_SENT, True, False), (UNCLEAR, False, False)],
)
def test_an_answer_closes_its_targets_if_it_is_clear(answer: Answer, is_closed: bool, is_held: bool) -> None:
    fire = the("f1", intent("f1", "T", "U"), write.answer("f1", {"T": answer}, "r1", "s1"))
    assert fire.answers == {"T": answer}
    assert fire.request_id == "r1"
    assert (fire.is_closed("T"), fire.is_held("T")) == (is_closed, is_held)
    assert "U" in fire.unclear


@pytest.mark.parametrize(("word", "is_held"), [(Word.HELD, True), (Word.VOID, False), (Word.UNKNOWN, False)])
def test_words_close_what_has_no_clear_answer(word: Word, is_held: bool) -> None:
    answered = write.answer("f1", {"T": UNCLEAR}, "", "s1")
    fire = the("f1", intent("f1"), answered, write.words({"f1": {"T": word}}, "s1"))
    assert (fire.is_closed("T"), fire.is_held("T")) == (True, is_held)


CLOSINGS = [
    write.answer("f1", {"T": ACCEPTED}, "r1", "s1"),
    write.answer("f1", {"T": REJECTED}, "r2", "s1"),
    write.words({"f1": {"T": Word.HELD}}, "s1"),
    write.words({"f1": {"T": Word.VOID}}, "s1"),
]


@pytest.mark.parametrize("first", CLOSINGS)
@pytest.mark.parametrize("second", CLOSINGS)
def test_the_first_that_closes_a_target_stands(first: Record, second: Record) -> None:
    before, after = the("f1", intent("f1"), first), the("f1", intent("f1"), first, second)
    assert (after.answers, after.words) == (before.answers, before.words)


@pytest.mark.parametrize("session", ["s1", "s2", BY_HAND])
@pytest.mark.parametrize("taken_over", [False, True])
def test_only_who_sent_it_who_holds_it_and_somebodys_word_count(session: str, taken_over: bool) -> None:
    base = the("f1", intent("f1"))
    before = [intent("f1")]
    if taken_over:
        before.append(write.takeover([base], Holder("s2")))
    said: list[Record] = [
        write.answer("f1", {"T": ACCEPTED}, "r1", session),
        write.words({"f1": {"T": Word.HELD}}, session),
        write.over(["f1"], session, handed=True),
        write.renew("f1", NOW.after(40), session),
    ]
    counts = session != "s2" or taken_over
    for record in said:
        assert (the("f1", *before, record) != the("f1", *before)) is counts


def test_who_takes_a_fire_over_is_its_holder_and_waits_for_it() -> None:
    ended = [intent("f1"), write.over(["f1"], "s1", handed=False)]
    fire = the("f1", *ended, write.takeover([the("f1", *ended)], Holder("s2", "there")))
    assert (fire.holder, fire.session, fire.over) == (Holder("s2", "there"), "s1", False)


def test_of_two_who_take_a_fire_over_at_once_the_first_has_it() -> None:
    found = the("f1", intent("f1"))
    first, second = (write.takeover([found], Holder(session)) for session in ("s2", "s3"))
    assert the("f1", intent("f1"), first, second).holder.session == "s2"


def test_a_taker_can_be_followed_by_another_one() -> None:
    records = [intent("f1")]
    for session in ("s2", "s3"):
        records.append(write.takeover([the("f1", *records)], Holder(session)))
    assert the("f1", *records).holder.session == "s3"


def test_a_renewed_intent_may_leave_until_later() -> None:
    assert the("f1", intent("f1"), write.renew("f1", NOW.after(60), "s1")).leaves_by == NOW.after(60)


@pytest.mark.parametrize("said", [[True], [False], [True, False], [False, True]])
def test_what_was_handed_over_once_stays_handed_over(said: Sequence[bool]) -> None:
    fire = the("f1", intent("f1"), *(write.over(["f1"], "s1", handed=handed) for handed in said))
    assert (fire.over, fire.handed) == (True, any(said))


def test_somebodys_word_takes_the_handing_over_back() -> None:
    over = (write.over(["f1"], session, handed=handed) for session, handed in (("s1", True), (BY_HAND, False)))
    assert not the("f1", intent("f1"), *over).handed


def test_a_fire_is_settled_when_it_is_saved_and_clear_or_had_no_effect() -> None:
    saved, accepted = write.saved(["f1", "never heard of"]), write.answer("f1", {"T": ACCEPTED}, "", "s1")
    not_sent = write.answer("f1", {"T": NOT_SENT}, "", "s1")
    assert not the("f1", intent("f1")).is_settled
    assert not the("f1", intent("f1"), accepted).is_settled
    assert not the("f1", intent("f1"), saved).is_settled
    assert the("f1", intent("f1"), accepted, saved).is_settled
    assert the("f1", intent("f1"), not_sent).is_settled
    assert not the("f1", intent("f1", "T", "U"), not_sent).is_settled


def test_what_is_kept_stands_for_the_entries_before() -> None:
    records = [
        intent("f1", "T", "U"),
        write.answer("f1", {"T": REJECTED}, "r1", "s1"),
        write.words({"f1": {"U": Word.UNKNOWN}}, "s1"),
        write.over(["f1"], "s1", handed=True),
        write.saved(["f1"]),
        intent("f2", "U", session="s2", of=ask("b", state="file://x")),
    ]
    whole = read(*records)
    books = read(write.kept(whole.fires()))
    assert list(books.fires()) == list(whole.fires())
    assert books.at("U") == whole.at("U")
    assert books.of_life("life of b") == whole.of_life("life of b")


def test_a_concealed_target_is_found_by_who_knows_its_name() -> None:
    of = ask()
    said = [EntryTarget(Fire(0, "", of, (), "", NOW, NOW, Holder(""), concealed=True).written("T"), 1)]
    books = read(write.intent(of, [("f1", said)], NOW, NOW, Holder("s1"), concealed=True), intent("f2"))
    assert [(fire.fire_id, fire.keys) for fire in books.at("T")] == [("f1", ("T",)), ("f2", ("T",))]
    assert books.at("U") == []
    assert books.at("T")[0].unclear == ("T",)
    stored = books.get("f1")
    assert stored is not None
    assert "T" not in stored.keys
    assert stored.revealed(["U"]).keys == stored.keys


@pytest.mark.parametrize("record", [{}, {"x": 1}, {"intent": [["f1"]]}, {"answer": "f1"}, {"kept": [{}]}, [], None])
def test_what_is_no_record_is_an_error(record: Record) -> None:
    with pytest.raises((LookupError, TypeError, ValueError, AttributeError)):
        read(intent("f1"), record)


def test_an_age_is_told_by_the_uptime_and_of_another_boot_by_the_wall_clock() -> None:
    fire = the("f1", intent("f1"))
    assert fire.age(Moment(NOW.at - 9e6, NOW.boot, NOW.uptime + 5)) == 5
    assert fire.age(Moment(NOW.at + 7, "boot-2", 0.0)) == 7
    assert fire.age(Moment(NOW.at - 7, "boot-2", 0.0)) == 0


FIRES, KEYS, SESSIONS = ["f1", "f2"], ["T", "U"], ["s1", "s2", "s3", BY_HAND]
FIRE, SESSION = st.sampled_from(FIRES), st.sampled_from(SESSIONS)


def _intent(fire_id: str, session: str) -> Record:
    return intent(fire_id, *KEYS, session=session, of=_ASK)


def _takeover(fire_id: str, follows: str, session: str) -> Record:
    base = Fire(0, fire_id, _ASK, (), follows, NOW, NOW, Holder(follows))
    return write.takeover([base], Holder(session))


_ASK: Ask = ask()
RECORDS = st.one_of(
    st.builds(
        lambda fire, keys, answer, by: write.answer(fire, dict.fromkeys(keys, answer), "r", by),
        FIRE,
        st.sets(st.sampled_from(KEYS), min_size=1),
        st.sampled_from([ACCEPTED, REJECTED, NOT_SENT, UNCLEAR]),
        SESSION,
    ),
    st.builds(
        lambda fire, key, word, by: write.words({fire: {key: word}}, by),
        FIRE,
        st.sampled_from(KEYS),
        st.sampled_from(list(Word)),
        SESSION,
    ),
    st.builds(_takeover, FIRE, SESSION, SESSION),
    st.builds(lambda fire, by, handed: write.over([fire], by, handed=handed), FIRE, SESSION, st.booleans()),
    st.builds(lambda fire: write.saved([fire]), FIRE),
    st.builds(lambda fire, by: write.renew(fire, NOW.after(99), by), FIRE, SESSION),
)


def _closed(books: Books) -> dict[tuple[str, str], tuple[Word | None, Answer | None, bool]]:
    return {
        (fire.fire_id, key): (fire.words.get(key), fire.answers.get(key), fire.is_held(key))
        for fire in books.fires()
        for key in fire.keys
        if fire.is_closed(key)
    }


def _apply(records: Iterable[Record]) -> Books:
    books = Books()
    books.add(1, [_intent("f1", "s1"), _intent("f2", "s2")])
    for number, record in enumerate(records, start=2):
        closed = _closed(books)
        saved = {fire.fire_id for fire in books.fires() if fire.saved}
        books.add(number, [json.loads(json.dumps(record))])
        assert closed.items() <= _closed(books).items()
        assert saved <= {fire.fire_id for fire in books.fires() if fire.saved}
    return books


@given(st.lists(RECORDS, max_size=25))
def test_no_order_of_records_reopens_a_closed_target_or_changes_what_closed_it(records: list[Record]) -> None:
    _apply(records)


@given(st.lists(RECORDS, max_size=25), st.integers(0, 25))
def test_who_begins_at_a_checkpoint_reads_the_same(records: list[Record], at: int) -> None:
    whole = _apply(records)
    books = Books()
    books.add(at + 1, [json.loads(json.dumps(write.kept(_apply(records[:at]).fires())))])
    for number, record in enumerate(records[at:], start=at + 2):
        books.add(number, [record])
    assert list(books.fires()) == list(whole.fires())
    assert books.at("T") == whole.at("T")
