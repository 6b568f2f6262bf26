"""What the entries of a place say. The whole meaning of a ledger is in here, and nothing that reads or writes.

An entry is a list of records:

==========  =============================================================================================
record      says
==========  =============================================================================================
`intent`    these fires, at targets that were free, may leave until then
`renew`     of one that has not left yet: it may leave until then
`answer`    what the cloud answered to a fire
`words`     what was found out of targets that had no clear answer
`takeover`  a process follows another one, named, as the holder of a fire
`over`      nobody waits for these fires any more; `handed`: the engine was given their outcome to save
`saved`     a saved state holds these fires, or came after them
`kept`      all that is not settled of the entries before: a reader may begin here
==========  =============================================================================================

A record counts only if it comes from the holder of the fire or from the process that sent it (the first answer stands),
or ``by`` hand, with somebody's word.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cloudretry.clock import Moment
from cloudretry.ledger.fires import (
    Ask,
    EntryTarget,
    Fire,
    Holder,
    Word,
    answer_from,
    answer_to,
    ask_from,
    ask_to,
    conceal,
    holder_from,
    holder_to,
    moment_from,
    moment_to,
    target_from,
    target_to,
)
from cloudretry.model import Answer

__all__ = ["BY_HAND", "Books", "Record", "answer", "intent", "kept", "over", "renew", "saved", "takeover", "words"]

Record = Mapping[str, Any]

BY_HAND = "hand"
"""In the place of a session: somebody's word."""


def intent(
    ask: Ask,
    fires: Sequence[tuple[str, Sequence[EntryTarget]]],
    began: Moment,
    leaves_by: Moment,
    holder: Holder,
    *,
    concealed: bool = False,
) -> Record:
    return {
        "intent": [[fire_id, [target_to(target) for target in targets]] for fire_id, targets in fires],
        "ask": ask_to(ask),
        "began": moment_to(began),
        "leavesBy": moment_to(leaves_by),
        "holder": holder_to(holder),
        "concealed": concealed,
    }


def renew(fire_id: str, leaves_by: Moment, session: str) -> Record:
    return {"renew": fire_id, "leavesBy": moment_to(leaves_by), "by": session}


def answer(fire_id: str, answers: Mapping[str, Answer], request_id: str, session: str) -> Record:
    said = {key: answer_to(one) for key, one in answers.items()}
    return {"answer": fire_id, "answers": said, "requestId": request_id, "by": session}


def takeover(fires: Iterable[Fire], holder: Holder) -> Record:
    return {"takeover": [[fire.fire_id, fire.holder.session] for fire in fires], "holder": holder_to(holder)}


def words(said: Mapping[str, Mapping[str, Word]], session: str) -> Record:
    found = {fire_id: {key: word.value for key, word in one.items()} for fire_id, one in said.items()}
    return {"words": found, "by": session}


def over(fire_ids: Iterable[str], session: str, *, handed: bool) -> Record:
    return {"over": list(fire_ids), "handed": handed, "by": session}


def saved(fire_ids: Iterable[str]) -> Record:
    return {"saved": list(fire_ids)}


def kept(fires: Iterable[Fire]) -> Record:
    return {"kept": [fire.to_json() for fire in fires]}


class Books:
    """The fires of a place as its entries tell them, up to the entry ``last``."""

    def __init__(self) -> None:
        self.last = 0
        self._fires: dict[str, Fire] = {}
        self._by_key: dict[str, list[str]] = {}
        self._by_life: dict[str, list[str]] = {}
        self._creates: dict[tuple[str, str], list[str]] = {}
        self._concealed: list[str] = []

    def fires(self) -> Iterator[Fire]:
        """All of them, oldest first."""
        yield from self._fires.values()

    def get(self, fire_id: str) -> Fire | None:
        return self._fires.get(fire_id)

    def of_life(self, life: str) -> list[Fire]:
        """The fires that one life of a resource asked for, oldest first."""
        return [self._fires[fire_id] for fire_id in self._by_life.get(life, ())]

    def creates(self, owner: str, state: str) -> list[Fire]:
        """The fires that creates of this name asked for, oldest first."""
        return [self._fires[fire_id] for fire_id in self._creates.get((owner, state), ())]

    def at(self, key: str) -> list[Fire]:
        """The fires at a target, oldest first, with the target by name."""
        found = [self._fires[fire_id] for fire_id in self._by_key.get(key, ())]
        for fire_id in self._concealed:
            fire = self._fires[fire_id]
            if conceal(fire.ask.triggers.salt, key) in fire.keys:
                found.append(fire.revealed([key]))
        return sorted(found, key=lambda fire: fire.number) if self._concealed else found

    def add(self, number: int, records: Iterable[Record]) -> None:
        """Read on.

        :raises LookupError, TypeError, ValueError, AttributeError: it is no entry.
        """
        for record in records:
            self._read(number, record)
        self.last = number

    def _read(self, number: int, record: Record) -> None:
        if "intent" in record:
            self._intend(number, record)
        elif "renew" in record:
            for fire in self._said_of([record["renew"]], record["by"]):
                self._put(replace(fire, leaves_by=moment_from(record["leavesBy"])))
        elif "answer" in record:
            for fire in self._said_of([record["answer"]], record["by"]):
                said = {key: answer_from(one) for key, one in record["answers"].items() if not fire.is_closed(key)}
                self._put(replace(fire, answers={**fire.answers, **said}, request_id=str(record["requestId"])))
        elif "takeover" in record:
            holder = holder_from(record["holder"])
            for fire_id, follows in record["takeover"]:
                known = self._fires.get(fire_id)
                # Of two at once the first has it.
                if known is not None and known.holder.session == follows:
                    self._put(replace(known, holder=holder, over=False))
        elif "words" in record:
            for fire in self._said_of(record["words"], record["by"]):
                found = record["words"][fire.fire_id]
                news = {key: Word(word) for key, word in found.items() if not fire.is_closed(key)}
                self._put(replace(fire, words={**fire.words, **news}))
        elif "over" in record:
            for fire in self._said_of(record["over"], record["by"]):
                handed = record["handed"] if record["by"] == BY_HAND else fire.handed or record["handed"]
                self._put(replace(fire, over=True, handed=handed))
        elif "saved" in record:
            for fire_id in record["saved"]:
                if (known := self._fires.get(fire_id)) is not None:
                    self._put(replace(known, saved=True))
        elif "kept" in record:
            for said in record["kept"]:
                self._put(Fire.from_json(said))
        else:
            raise ValueError(f"a record of an unknown kind: {', '.join(record)}")

    def _intend(self, number: int, record: Record) -> None:
        holder, concealed = holder_from(record["holder"]), bool(record["concealed"])
        ask, began, leaves_by = ask_from(record["ask"]), moment_from(record["began"]), moment_from(record["leavesBy"])
        for fire_id, targets in record["intent"]:
            found = tuple(map(target_from, targets))
            self._put(Fire(number, fire_id, ask, found, holder.session, began, leaves_by, holder, concealed=concealed))

    def _said_of(self, fire_ids: Iterable[str], session: str) -> Iterator[Fire]:
        """The fires of which this session may say something."""
        for fire_id in fire_ids:
            fire = self._fires.get(fire_id)
            if fire is not None and session in (fire.holder.session, fire.session, BY_HAND):
                yield fire

    def _put(self, fire: Fire) -> None:
        if fire.fire_id not in self._fires:
            self._by_life.setdefault(fire.ask.life, []).append(fire.fire_id)
            if fire.ask.creating:
                self._creates.setdefault((fire.ask.owner, fire.ask.state), []).append(fire.fire_id)
            if fire.concealed:
                self._concealed.append(fire.fire_id)
            else:
                for key in fire.keys:
                    self._by_key.setdefault(key, []).append(fire.fire_id)
        self._fires[fire.fire_id] = fire
