"""``cloudretry journal``."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from cloudretry.cli.commands import Refused, confirm, interruptible, require_terminal
from cloudretry.cli.configuration import configuration_options, configured
from cloudretry.cli.output import print_json, print_table
from cloudretry.cli.parameters import PREFIX

if TYPE_CHECKING:
    from cloudretry.run.journal import Entry, Journal, ResourceJournal

__all__ = ["BY_HAND", "journal"]

Command = TypeVar("Command", bound=Callable[..., Any])

BY_HAND = "cli/"
"""What the names of fires by hand begin with, in the place of a resource's."""

NOTHING = "the record stands as it was"


class _FireId(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """The id of a fire, or the beginning of one."""

    name = "fire id"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        from cloudretry.errors import CloudRetryError

        try:
            found = list(_open(_journal(ctx.params.get("folder"), None, None)))
        except CloudRetryError:
            return []
        return [
            CompletionItem(fire.entry.fire_id, help=fire.resource)
            for fire in found
            if fire.entry.fire_id.startswith(incomplete)
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
    """List the open fires, and records that cannot be read."""
    kept = _journal(folder, stack, file)
    fires, unreadable = sorted(_open(kept), key=lambda fire: fire.entry.at), kept.unreadable()
    if as_json:
        print_json(
            {
                "journalDir": str(kept.folder),
                "fires": [fire.to_json() for fire in fires],
                "unreadable": [str(path) for path in unreadable],
            }
        )
        return
    if fires:
        print_table(
            ("fire", "age", "resource", "targets", "answer", "note"),
            (
                (
                    fire.entry.fire_id,
                    fire.age_in_words,
                    fire.whose,
                    ", ".join(target.key for target in fire.entry.targets),
                    fire.answer,
                    "a run has it now" if fire.is_held else "too old to be taken up" if fire.is_old else "",
                )
                for fire in fires
            ),
        )
    else:
        click.echo(f"no fire is open in {kept.folder}")
    for path in unreadable:
        click.echo(f"cannot be read, and is not trusted: {path}")


@journal.command()
@click.argument("fire_id", type=_FireId(), metavar="FIRE")
@_place_options
def show(fire_id: str, folder: Path | None, stack: str | None, file: Path | None, as_json: bool) -> None:
    """Show all that the journal holds of an open fire.

    Triggers, and targets that are secret, are digests there.
    """
    fire = _find(_journal(folder, stack, file), fire_id)
    if as_json:
        print_json(fire.to_json())
        return
    entry = fire.entry
    lines = {
        "fire": entry.fire_id,
        "resource": fire.whose,
        "backend": fire.backend,
        "at": f"{fire.at} ({fire.age_in_words} ago)",
        "by": fire.by,
        "answer": fire.answer,
        "request id": entry.request_id,
        "folder": str(fire.records.folder),
        "next": fire.next_words,
    }
    for name, words in lines.items():
        if words:
            click.echo(f"{name + ':':<12}{words}")
    click.echo()
    print_table(
        ("target", "attempt", "times before", "answer", "words"),
        (
            (target["target"], target["attempt"], target["before"], target["answer"] or "none", target["message"])
            for target in fire.to_json()["targets"]
        ),
    )


@journal.command()
@click.argument("fire_id", type=_FireId(), metavar="FIRE")
@click.option(
    "--outcome",
    required=True,
    type=click.Choice(["fired", "not-fired"]),
    help="fired: the request reached the cloud, so the next run looks what came of it. not-fired: it never did.",
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@_place_options
def resolve(
    fire_id: str, outcome: str, yes: bool, folder: Path | None, stack: str | None, file: Path | None, as_json: bool
) -> None:
    """Say what became of an open fire.

    For when you know, and the journal does not. A word in error may fire twice: look at the cloud first.
    """
    with interruptible(f"interrupted; {NOTHING}"):
        require_terminal(yes=yes, otherwise=NOTHING)
        fire = _find(_journal(folder, stack, file), fire_id)
        was_fired = outcome == "fired"
        keys, then = fire.in_doubt(fired=was_fired), fire.then(fired=was_fired)
        click.echo(f"{fire.whose}: {', '.join(keys)}, {fire.at}, answer: {fire.answer}", err=True)
        said = "was fired" if was_fired else "was not fired"
        confirm(f"Note that this {said}? {then[0].upper()}{then[1:]}", yes=yes, otherwise=NOTHING)
        _note(fire, fired=was_fired)
    if as_json:
        print_json({"ok": True, "fire": fire.entry.fire_id, "resource": fire.resource, "outcome": outcome})
    else:
        click.echo(f"{fire.entry.fire_id} {said}: {then}")


def _note(fire: _Open, *, fired: bool) -> None:
    with fire.records.try_lock() as mine:
        if not mine:
            raise Refused(f"a run works on {fire.whose} now, and settles this itself; {NOTHING}")
        current = [entry for entry in fire.records.entries() if entry.fire_id == fire.entry.fire_id]
        if current != [fire.entry]:
            raise Refused(f"a run has worked on the fire {fire.entry.fire_id} meanwhile; see: cloudretry journal list")
        if fired and fire.is_by_hand:
            fire.records.commit([fire.entry.fire_id], now=True)
        else:
            fire.records.resolve(fire.entry, fired=fired)


@dataclass(frozen=True, slots=True)
class _Open:
    """An open fire, and whose it is."""

    records: ResourceJournal
    entry: Entry
    now: float
    is_held: bool

    @property
    def resource(self) -> str:
        """The resource's URN or other name, without the backend before it."""
        return self.records.resource.rpartition(" ")[2]

    @property
    def backend(self) -> str:
        """Where the state is, without what a URL may hold of credentials."""
        url = self.records.resource.rpartition(" ")[0]
        return re.sub(r"://[^/@]*@", "://***@", url.partition("?")[0])

    @property
    def is_by_hand(self) -> bool:
        return self.resource.startswith(BY_HAND)

    @property
    def whose(self) -> str:
        """The resource in words; its targets are named beside it."""
        if not self.is_by_hand:
            return self.resource
        token, _, where = self.resource.removeprefix(BY_HAND).removeprefix(PREFIX).partition("/")
        return f"by hand, {token} at {where.rpartition('/')[0]}"

    @property
    def by(self) -> str:
        if self.is_by_hand:
            return "cloudretry fire"
        return f"{'a create' if self.entry.creating else 'an update'}, generation {self.entry.generation}"

    def in_doubt(self, *, fired: bool) -> Sequence[str]:
        """The targets that somebody's word is about.

        :raises Refused: there are none, because the cloud's own word is known.
        """
        if fired and self.is_by_hand:
            # Nobody but a fire by hand of the same targets would ever settle it.
            return [target.key for target in self.entry.targets]
        if not self.entry.unclear:
            raise Refused(
                f"the journal holds the cloud's answer to {self.entry.fire_id} ({self.answer}), and the next run goes "
                f"on from that; {NOTHING}"
            )
        return self.entry.unclear

    def then(self, *, fired: bool) -> str:
        """What follows from somebody's word."""
        if self.is_by_hand:
            return "this fire is settled" if fired else "the next `cloudretry fire` may fire it"
        return "its next run looks what came of it" if fired else "its next run may fire it"

    @property
    def at(self) -> str:
        from cloudretry.model import rfc3339

        return rfc3339(self.entry.at)

    @property
    def is_old(self) -> bool:
        from cloudretry.run.journal import ADOPTABLE

        return self.now - self.entry.at > ADOPTABLE

    @property
    def age_in_words(self) -> str:
        from cloudretry import durations

        age = max(0, round(self.now - self.entry.at))
        return durations.show(age if age < 3600 else age - age % 60)

    @property
    def answer(self) -> str:
        if self.entry.answers is None:
            return "none recorded"
        counts = Counter(answer.outcome.value for answer in self.entry.answers.values())
        return ", ".join(f"{count} {outcome}" for outcome, count in counts.items())

    @property
    def next_words(self) -> str:
        if self.is_held:
            return "a run has it now"
        if self.is_old:
            return "too old to be taken up; the next run leaves it alone"
        if self.entry.answers is None:
            return "the next run asks the cloud what became of it, before it fires anything"
        return "the next run goes on from the answer"

    def to_json(self) -> dict[str, Any]:
        answers = self.entry.answers or {}
        targets = []
        for target in self.entry.targets:
            answer = answers.get(target.key)
            targets.append(
                {
                    "target": target.key,
                    "attempt": target.attempts,
                    "before": target.before,
                    "answer": answer.outcome.value if answer else None,
                    "handle": answer.handle if answer else "",
                    "message": str(answer.error) if answer and answer.error else "",
                }
            )
        return {
            "fire": self.entry.fire_id,
            "resource": self.resource,
            "backend": self.backend,
            "at": self.at,
            "ageSeconds": round(self.now - self.entry.at),
            "creating": self.entry.creating,
            "generation": self.entry.generation,
            "answered": self.entry.answers is not None,
            "requestId": self.entry.request_id,
            "held": self.is_held,
            "adoptable": not self.is_old,
            "targets": targets,
        }


def _journal(folder: Path | None, stack: str | None, file: Path | None) -> Journal:
    from cloudretry.backend import journal_folder
    from cloudretry.errors import JournalError
    from cloudretry.run.journal import Journal

    place = folder or journal_folder(configured(stack, file))
    try:
        if place.exists():
            next(place.iterdir(), None)
    except OSError as error:
        raise JournalError(f"the journal at {place} cannot be read: {error.strerror}") from None
    return Journal(place)


def _open(kept: Journal) -> Iterator[_Open]:
    now = time.time()
    for records in kept.resources():
        entries = records.entries()
        with records.try_lock() as mine:
            is_held = not mine
        for entry in entries:
            yield _Open(records, entry, now, is_held)


def _find(kept: Journal, fire_id: str) -> _Open:
    found = [fire for fire in _open(kept) if fire.entry.fire_id.startswith(fire_id)]
    if len(found) != 1:
        many = f"{len(found)} open fires begin with" if found else "there is no open fire"
        raise Refused(f"{many} {fire_id} in {kept.folder}; see: cloudretry journal list")
    return found[0]
