"""A fire as a ledger knows it: what was fired where, for whom, and what is known of it. Immutable, and its JSON.

Two questions are kept apart. *May this target be sent to?* is closed by an answer. *Has this ask had its fire?* is
closed when a saved state holds it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from cloudretry.clock import Moment
from cloudretry.model import Answer, CloudError, FireOutcome

__all__ = ["Ask", "EntryTarget", "Fire", "Holder", "TriggerMark", "Word", "answer_from", "answer_to"]


@dataclass(frozen=True, slots=True)
class TriggerMark:
    """Tells whether triggers are those of a fire, without holding their values: they may be secret."""

    salt: str
    digest: str

    @classmethod
    def of(cls, triggers: Mapping[str, Any]) -> TriggerMark:
        salt = secrets.token_hex(16)
        return cls(salt, _digest(salt, triggers))

    def fits(self, triggers: Mapping[str, Any]) -> bool:
        return hmac.compare_digest(self.digest, _digest(self.salt, triggers))


def _digest(salt: str, triggers: Mapping[str, Any]) -> str:
    text = json.dumps(triggers, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256((salt + text).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Ask:
    """Who asks for a fire.

    ``owner`` is the asker's name: a URN or the like; ``state`` is where its state is kept, without credentials.
    ``life`` tells one life of a resource from the next, whatever it is called: it is minted at create and kept in its
    outputs. ``run`` counts the runs of that life that fired, so that a state tells which fires it cannot know.
    ``deployment`` is the engine that runs the program, as far as that is known.
    """

    owner: str
    life: str
    run: int
    generation: int
    creating: bool
    triggers: TriggerMark
    state: str = ""
    deployment: str = ""


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that works on a fire, for people: its session's id and where it runs."""

    session: str
    where: str = ""


@dataclass(frozen=True, slots=True)
class EntryTarget:
    """A target as a fire found it: its attempts with this fire, and its stamp before."""

    key: str
    attempts: int
    before: str = ""


class Word(StrEnum):
    """What was found out of a target whose fire has no clear answer."""

    HELD = "held"
    """The cloud took it."""
    VOID = "void"
    """It had no effect and cannot have one any more, or its effect is over."""
    UNKNOWN = "unknown"
    """The cloud cannot tell, and nothing can leave any more."""


_CLOSING = (FireOutcome.ACCEPTED, FireOutcome.REJECTED, FireOutcome.NOT_SENT)


@dataclass(frozen=True, slots=True)
class Fire:
    """One fire. ``number`` is its entry's, so it orders the fires of a place. ``session`` is the process that sends it.

    ``leaves_by`` is the moment after which no request leaves under it. ``holder`` is who may say what became of it: its
    own process, or the last that took it over. ``over``: nobody waits for it any more. ``handed``: the engine was given
    the outcome to save; ``saved``: a saved state is known to hold it, or to have come after it.
    """

    number: int
    fire_id: str
    ask: Ask
    targets: tuple[EntryTarget, ...]
    session: str
    began: Moment
    leaves_by: Moment
    holder: Holder
    answers: Mapping[str, Answer] = field(default_factory=dict)
    words: Mapping[str, Word] = field(default_factory=dict)
    request_id: str = ""
    over: bool = False
    handed: bool = False
    saved: bool = False
    concealed: bool = False
    """Whether targets are digests."""

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(target.key for target in self.targets)

    def is_closed(self, key: str) -> bool:
        """Whether it is known what became of it at this target, so that it stands in nobody's way."""
        return key in self.words or (key in self.answers and self.answers[key].outcome in _CLOSING)

    @property
    def unclear(self) -> tuple[str, ...]:
        """The targets of which it is not known what became of them."""
        return tuple(key for key in self.keys if not self.is_closed(key))

    def is_held(self, key: str) -> bool:
        """Whether the cloud is known to have taken it."""
        if key in self.words:
            return self.words[key] is Word.HELD
        return key in self.answers and self.answers[key].outcome is FireOutcome.ACCEPTED

    def may_have_had_effect(self, key: str) -> bool:
        """Whether the cloud took it, or cannot tell."""
        return self.is_held(key) or self.words.get(key) is Word.UNKNOWN

    @property
    def had_no_effect(self) -> bool:
        """Whether nothing of it can have reached any target."""
        return all(
            key in self.answers and self.answers[key].outcome is FireOutcome.NOT_SENT and key not in self.words
            for key in self.keys
        )

    @property
    def is_settled(self) -> bool:
        """Whether nobody needs it any more."""
        return (self.saved and not self.unclear) or self.had_no_effect

    def age(self, now: Moment) -> float:
        """Seconds since it began. Of another machine or boot only the wall clocks tell."""
        age = self.began.age(now)
        return max(0.0, now.at - self.began.at if age is None else age)

    def written(self, key: str) -> str:
        """A target's name as it stands in this fire."""
        return conceal(self.ask.triggers.salt, key) if self.concealed else key

    def revealed(self, keys: Iterable[str]) -> Fire:
        """The fire with its targets by name, as far as they are among these."""
        if not self.concealed:
            return self
        names = {self.written(key): key for key in keys}
        return replace(
            self,
            targets=tuple(replace(target, key=names.get(target.key, target.key)) for target in self.targets),
            answers={names.get(key, key): answer for key, answer in self.answers.items()},
            words={names.get(key, key): word for key, word in self.words.items()},
        )

    def to_json(self) -> dict[str, Any]:
        return {
            "number": self.number,
            "fire": self.fire_id,
            "ask": ask_to(self.ask),
            "targets": [target_to(target) for target in self.targets],
            "session": self.session,
            "began": moment_to(self.began),
            "leavesBy": moment_to(self.leaves_by),
            "holder": holder_to(self.holder),
            "answers": {key: answer_to(answer) for key, answer in self.answers.items()},
            "words": {key: word.value for key, word in self.words.items()},
            "requestId": self.request_id,
            "over": self.over,
            "handed": self.handed,
            "saved": self.saved,
            "concealed": self.concealed,
        }

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Fire:
        return cls(
            number=int(said["number"]),
            fire_id=str(said["fire"]),
            ask=ask_from(said["ask"]),
            targets=tuple(map(target_from, said["targets"])),
            session=str(said["session"]),
            began=moment_from(said["began"]),
            leaves_by=moment_from(said["leavesBy"]),
            holder=holder_from(said["holder"]),
            answers={str(key): answer_from(answer) for key, answer in said["answers"].items()},
            words={str(key): Word(word) for key, word in said["words"].items()},
            request_id=str(said["requestId"]),
            over=bool(said["over"]),
            handed=bool(said["handed"]),
            saved=bool(said["saved"]),
            concealed=bool(said["concealed"]),
        )


def conceal(salt: str, key: str) -> str:
    """A secret target's name as it is written."""
    return f"sha256:{hashlib.sha256(f'{salt}{key}'.encode()).hexdigest()}"


def ask_to(ask: Ask) -> dict[str, Any]:
    said: dict[str, Any] = {
        "owner": ask.owner,
        "life": ask.life,
        "run": ask.run,
        "generation": ask.generation,
        "creating": ask.creating,
        "triggers": [ask.triggers.salt, ask.triggers.digest],
    }
    return said | {name: value for name in ("state", "deployment") if (value := getattr(ask, name))}


def ask_from(said: Mapping[str, Any]) -> Ask:
    salt, digest = said["triggers"]
    return Ask(
        owner=str(said["owner"]),
        life=str(said["life"]),
        run=int(said["run"]),
        generation=int(said["generation"]),
        creating=bool(said["creating"]),
        triggers=TriggerMark(str(salt), str(digest)),
        state=str(said.get("state", "")),
        deployment=str(said.get("deployment", "")),
    )


def target_to(target: EntryTarget) -> list[Any]:
    return [target.key, target.attempts, *([target.before] if target.before else [])]


def target_from(said: list[Any]) -> EntryTarget:
    key, attempts, *before = said
    return EntryTarget(str(key), int(attempts), str(before[0]) if before else "")


def moment_to(moment: Moment) -> list[Any]:
    return [moment.at, moment.boot, moment.uptime]


def moment_from(said: list[Any]) -> Moment:
    at, boot, uptime = said
    return Moment(float(at), str(boot), float(uptime))


def holder_to(holder: Holder) -> list[str]:
    return [holder.session, holder.where]


def holder_from(said: list[Any]) -> Holder:
    session, where = said
    return Holder(str(session), str(where))


def answer_to(answer: Answer) -> list[Any]:
    said: list[Any] = [answer.outcome.value, answer.handle]
    if answer.error:
        error = answer.error
        said += [error.code, error.message, error.http_status, error.request_id]
    elif not answer.handle:
        said.pop()
    return said


def answer_from(said: list[Any]) -> Answer:
    outcome, *rest = said
    handle, *error = rest or [""]
    if not error:
        return Answer(FireOutcome(outcome), str(handle))
    code, message, http_status, request_id = error
    return Answer(
        FireOutcome(outcome), str(handle), CloudError(str(code), str(message), int(http_status), str(request_id))
    )
