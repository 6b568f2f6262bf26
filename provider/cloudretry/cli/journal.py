"""``cloudretry journal``."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from cloudretry.cli.commands import Refused, confirm, interruptible, require_terminal
from cloudretry.cli.configuration import configuration_options, configured
from cloudretry.cli.output import print_json, print_table

if TYPE_CHECKING:
    from cloudretry.clock import Moment
    from cloudretry.ledger import Books, Fire, Journal, Ledger
    from cloudretry.ledger.books import Record

__all__ = ["journal"]

Command = TypeVar("Command", bound=Callable[..., Any])

NOTHING = "the record stands as it was"


class _FireId(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """The id of a fire, or the beginning of one."""

    name = "fire id"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        from cloudretry.errors import CloudRetryError

        try:
            found = _open(_journal(ctx.params.get("folder"), None, None))
        except CloudRetryError:
            return []
        return [
            CompletionItem(one.fire.fire_id, help=one.fire.ask.owner)
            for one in found
            if one.fire.fire_id.startswith(incomplete)
        ]


def _place_options(command: Command) -> Command:
    folder = click.option(
        "--journal-dir",
        "folder",
        metavar="FOLDER",
        type=click.Path(file_okay=False, path_type=Path),
        help="The folder of the journal. Default: that of the configuration.",
    )
    as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
    return folder(configuration_options(as_json(command)))


@click.group()
def journal() -> None:
    """Show open fires, and say what became of them.

    A fire is open when no saved state is known to hold it: its run was cut off, or has not ended yet.
    """


@journal.command("list")
@_place_options
def list_(folder: Path | None, stack: str | None, file: Path | None, as_json: bool) -> None:
    """List the open fires."""
    kept = _journal(folder, stack, file)
    fires = _open(kept)
    if as_json:
        print_json({"journalDir": str(kept.folder), "fires": [one.to_json() for one in fires]})
        return
    if not fires:
        click.echo(f"no fire is open in {kept.folder}")
        return
    print_table(
        ("fire", "age", "resource", "targets", "answer", "note"),
        (
            (one.fire.fire_id, one.age_in_words, one.whose, ", ".join(one.fire.keys), one.answer, one.note)
            for one in fires
        ),
    )


@journal.command()
@click.argument("fire_id", type=_FireId(), metavar="FIRE")
@_place_options
def show(fire_id: str, folder: Path | None, stack: str | None, file: Path | None, as_json: bool) -> None:
    """Show all that the journal holds of an open fire.

    Triggers, and targets that are secret, are digests there.
    """
    one = _find(_journal(folder, stack, file), fire_id)
    if as_json:
        print_json(one.to_json())
        return
    lines = {
        "fire": one.fire.fire_id,
        "resource": one.whose,
        "state": one.fire.ask.state,
        "place": one.place,
        "at": f"{one.at} ({one.age_in_words} ago)",
        "by": one.by,
        "held by": one.fire.holder.where,
        "answer": one.answer,
        "request id": one.fire.request_id,
        "next": one.next_words,
    }
    for name, words in lines.items():
        if words:
            click.echo(f"{name + ':':<12}{words}")
    click.echo()
    print_table(
        ("target", "attempt", "times before", "answer", "words"),
        (
            (target["target"], target["attempt"], target["before"], target["answer"] or "none", target["message"])
            for target in one.to_json()["targets"]
        ),
    )


@journal.command()
@click.argument("fire_id", type=_FireId(), metavar="FIRE")
@click.option(
    "--outcome",
    type=click.Choice(["fired", "not-fired"]),
    help="fired: the request reached the cloud, so the next run looks what came of it. not-fired: it never did.",
)
@click.option("--taken-up", "word", flag_value="taken-up", help="Its run was cut off: the next run goes on from it.")
@click.option("--fire", "word", flag_value="fire", help="It stands in a state: a create of its targets fires anew.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@_place_options
def resolve(
    fire_id: str,
    outcome: str | None,
    word: str | None,
    yes: bool,
    folder: Path | None,
    stack: str | None,
    file: Path | None,
    as_json: bool,
) -> None:
    """Say what became of an open fire.

    For when you know, and the journal does not. A word in error may fire twice: look at the cloud first.
    """
    said = [one for one in (outcome, word) if one]
    if len(said) != 1:
        raise click.UsageError("give one of --outcome fired, --outcome not-fired, --taken-up and --fire")
    with interruptible(f"interrupted; {NOTHING}"):
        require_terminal(yes=yes, otherwise=NOTHING)
        one = _find(_journal(folder, stack, file), fire_id)
        keys, then = one.in_doubt(said[0]), one.then(said[0])
        click.echo(f"{one.whose}: {', '.join(keys)}, {one.at}, answer: {one.answer}", err=True)
        noted = _WORDS[said[0]]
        confirm(f"Note that this {noted}? {then[0].upper()}{then[1:]}", yes=yes, otherwise=NOTHING)
        one.note_word(said[0])
    if as_json:
        print_json({"ok": True, "fire": one.fire.fire_id, "resource": one.fire.ask.owner, "outcome": said[0]})
    else:
        click.echo(f"{one.fire.fire_id} {noted}: {then}")


_WORDS = {
    "fired": "was fired",
    "not-fired": "was not fired",
    "taken-up": "stands in no saved state",
    "fire": "stands in a saved state",
}


@dataclass(frozen=True, slots=True)
class _Open:
    """An open fire, and where it is known."""

    ledger: Ledger
    fire: Fire
    now: Moment

    @property
    def place(self) -> str:
        """The place in words."""
        return ", ".join(f"{name} {value}" for name, value in self.ledger.place.items() if value)

    @property
    def is_by_hand(self) -> bool:
        from cloudretry.run.recover import BY_HAND

        return self.fire.ask.owner.startswith(BY_HAND)

    @property
    def is_held(self) -> bool:
        from cloudretry.ledger import can_be_taken_over

        return not can_be_taken_over(self.fire, self.ledger.sessions)

    @property
    def is_old(self) -> bool:
        from cloudretry.run.recover import is_lapsed

        return is_lapsed(self.fire, self.now)

    @property
    def whose(self) -> str:
        """The resource in words; its targets are named beside it."""
        from cloudretry.run.recover import BY_HAND

        if not self.is_by_hand:
            return self.fire.ask.owner
        token, _, where = self.fire.ask.owner.removeprefix(BY_HAND).partition("/")
        return f"by hand, {token} at {where.rpartition('/')[0]}"

    @property
    def by(self) -> str:
        if self.is_by_hand:
            return "cloudretry fire"
        return f"{'a create' if self.fire.ask.creating else 'an update'}, generation {self.fire.ask.generation}"

    @property
    def note(self) -> str:
        if self.is_held:
            return "a run has it now"
        return "too old to be taken up" if self.is_old else "saved or not, nobody knows" if self.is_doubtful else ""

    @property
    def is_doubtful(self) -> bool:
        """Whether a create of its targets could not tell if it was asked for anew."""
        return self.fire.ask.creating and self.fire.handed

    def in_doubt(self, word: str) -> Sequence[str]:
        """The targets that somebody's word is about.

        :raises Refused: there are none, because the cloud's own word is known.
        """
        if word in ("taken-up", "fire") or (word == "fired" and self.is_by_hand):
            return self.fire.keys
        if not self.fire.unclear:
            raise Refused(
                f"the journal holds the cloud's answer to {self.fire.fire_id} ({self.answer}), and the next run goes "
                f"on from that; {NOTHING}"
            )
        return self.fire.unclear

    def then(self, word: str) -> str:
        """What follows from somebody's word."""
        if word == "fire":
            return "this fire is settled"
        if word == "taken-up":
            return "the next run goes on from it"
        if self.is_by_hand:
            return "this fire is settled" if word == "fired" else "the next `cloudretry fire` may fire it"
        return "its next run looks what came of it" if word == "fired" else "its next run may fire it"

    def note_word(self, word: str) -> None:
        """Write somebody's word down.

        :raises Refused: a run works on the fire.
        """
        from cloudretry.ledger import BY_HAND
        from cloudretry.ledger import books as write
        from cloudretry.model import Answer, FireOutcome

        fire_id = self.fire.fire_id

        def conclude(books: Books, _listed: Moment) -> tuple[list[Record], None]:
            if books.get(fire_id) != self.fire:
                raise Refused(f"a run has worked on the fire {fire_id} meanwhile; see: cloudretry journal list")
            if self.is_held:
                raise Refused(f"a run works on {self.whose} now, and settles this itself; {NOTHING}")
            if word == "fire":
                return [write.saved([fire_id])], None
            if word == "taken-up":
                return [write.over([fire_id], BY_HAND, handed=False)], None
            said = Answer(FireOutcome.ACCEPTED if word == "fired" else FireOutcome.NOT_SENT)
            answers = dict.fromkeys(self.fire.unclear, said)
            records = [write.answer(fire_id, answers, self.fire.request_id, BY_HAND)] if answers else []
            return [*records, *([write.saved([fire_id])] if word == "fired" and self.is_by_hand else [])], None

        self.ledger.write(conclude)

    @property
    def at(self) -> str:
        from cloudretry.model import rfc3339

        return rfc3339(self.fire.began.at)

    @property
    def age_in_words(self) -> str:
        from cloudretry import durations

        age = max(0, round(self.fire.age(self.now)))
        return durations.show(age if age < 3600 else age - age % 60)

    @property
    def answer(self) -> str:
        if not self.fire.answers:
            return "none recorded"
        counts = Counter(answer.outcome.value for answer in self.fire.answers.values())
        return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())

    @property
    def next_words(self) -> str:
        if self.is_held:
            return "a run has it now"
        if self.is_old:
            return "too old to be taken up; the next run leaves it alone"
        if self.is_doubtful:
            return "an update goes on from it; a create asks for your word: cloudretry journal resolve"
        if not self.fire.answers:
            return "the next run asks the cloud what became of it, before it fires anything"
        return "the next run goes on from the answer"

    def to_json(self) -> dict[str, Any]:
        targets = []
        for target in self.fire.targets:
            answer, word = self.fire.answers.get(target.key), self.fire.words.get(target.key)
            targets.append(
                {
                    "target": target.key,
                    "attempt": target.attempts,
                    "before": target.before,
                    "answer": answer.outcome.value if answer else None,
                    "foundOut": word.value if word else None,
                    "handle": answer.handle if answer else "",
                    "message": str(answer.error) if answer and answer.error else "",
                }
            )
        ask = self.fire.ask
        return {
            "fire": self.fire.fire_id,
            "resource": ask.owner,
            "state": ask.state,
            "place": dict(self.ledger.place),
            "at": self.at,
            "ageSeconds": round(self.fire.age(self.now)),
            "creating": ask.creating,
            "generation": ask.generation,
            "answered": bool(self.fire.answers),
            "requestId": self.fire.request_id,
            "heldBy": self.fire.holder.where,
            "held": self.is_held,
            "handedOver": self.fire.handed,
            "adoptable": not self.is_old,
            "targets": targets,
        }


def _journal(folder: Path | None, stack: str | None, file: Path | None) -> Journal:
    from cloudretry.backend import journal_folder
    from cloudretry.ledger import Journal

    return Journal(folder or journal_folder(configured(stack, file)))


def _open(kept: Journal) -> list[_Open]:
    """The fires that are open, oldest first."""
    from cloudretry.clock import SystemClock

    now = SystemClock().moment()
    found = [
        _Open(ledger, fire, now)
        for ledger in kept.places()
        for fire in ledger.look(lambda books: list(books.fires()))
        if not fire.saved and not fire.had_no_effect
    ]
    return sorted(found, key=lambda one: one.fire.began.at)


def _find(kept: Journal, fire_id: str) -> _Open:
    found = [one for one in _open(kept) if one.fire.fire_id.startswith(fire_id)]
    if len(found) != 1:
        many = f"{len(found)} open fires begin with" if found else "there is no open fire"
        raise Refused(f"{many} {fire_id} in {kept.folder}; see: cloudretry journal list")
    return found[0]
