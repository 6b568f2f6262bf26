"""``cloudretry fire``."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloudretry.cli.commands import Refused, Untold, confirm, interruptible, require_terminal, run
from cloudretry.cli.configuration import configuration_options, configured
from cloudretry.cli.output import Board, print_json, print_table
from cloudretry.cli.parameters import DURATION, read_inputs, short_name, target_arguments

if TYPE_CHECKING:
    import asyncio

    from cloudretry.actions import Action
    from cloudretry.backend import ConfiguredBackend
    from cloudretry.cli.looking import Sight
    from cloudretry.ledger import Fire
    from cloudretry.lifecycle import Outcome
    from cloudretry.model import Observation

__all__ = ["fire"]

NOTHING = "nothing was fired"
INTERRUPTED = f"interrupted; {NOTHING}"


@click.command()
@target_arguments
@configuration_options
@click.option("--timeout", type=DURATION, default="30m", show_default=True, help="Time to fire and to wait.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def fire(
    action: Action[Any],
    targets: tuple[str, ...],
    settings: tuple[tuple[str, str], ...],
    inputs: Path | None,
    stack: str | None,
    file: Path | None,
    timeout: float,
    yes: bool,
    as_json: bool,
) -> None:
    """Retry targets now, once, and wait until it has taken hold.

    Looks at the targets, says what would be fired, and asks before it fires. What was fired is in the journal before
    the request leaves: a fire that was interrupted is taken up by the next one of the same targets, not fired again.

    Ends with 0 if all is well, 1 if a retry failed, 2 if nothing was fired, 3 if a target is still in progress or what
    became of it is not known.
    """
    with interruptible(INTERRUPTED):
        from cloudretry.backend import ConfiguredBackend
        from cloudretry.cli.looking import require_inputs

        values, left_out = read_inputs(action, targets, inputs, settings)
        require_inputs(action, values)
        require_terminal(yes=yes, otherwise=NOTHING)
        for name in left_out:
            click.echo(f"{name} is left out: it says when a resource fires, and this fires now", err=True)
        backend = ConfiguredBackend(configured(stack, file))
        try:
            hand = _Hand(action, values, backend, timeout)
            sight = hand.look()
            hand.announce(sight)
            confirm(hand.question(sight), yes=yes, otherwise=NOTHING)
            done = hand.fire(sight)
            code = _code(done)
            try:
                _show(action, done, code, as_json=as_json, is_kept=backend.journal is not None)
                sys.stdout.flush()
            except OSError as error:
                kept = "the journal keeps it, and the same command tells it again"
                next_step = kept if backend.journal is not None else "look at the targets with cloudretry status"
                raise Untold(f"the outcome cannot be written ({error.strerror}); {next_step}") from error
            if code != 3:
                hand.settle(done)
        finally:
            backend.close()
    sys.exit(code)


def _code(done: Outcome) -> int:
    status = done.outputs["status"]
    if status in ("InProgress", "Unknown"):
        return 3
    if status not in ("Failed", "PartiallyFailed"):
        return 0
    return 1 if any("firedAt" in result for result in done.outputs["results"]) else 2


def _show(action: Action[Any], done: Outcome, code: int, *, as_json: bool, is_kept: bool) -> None:
    """Tell the outcome. ``is_kept`` says that the journal knows of it."""
    from cloudretry.record import LIFE

    # Its last line is about the next `pulumi up`.
    said = done.failure.splitlines()[:-1]
    problem = "\n".join([*said, _next_step(done, code, is_kept=is_kept)]) if said else ""
    if as_json:
        shown = {name: value for name, value in done.outputs.items() if name != LIFE}
        told = {"ok": not code, "action": action.token, "id": done.resource_id, "outputs": shown}
        print_json(told | ({"problem": problem} if problem else {}))
        return
    print_table(
        ("target", "status", "state", "fired", "reason"),
        (
            (
                result["target"],
                result["status"],
                result.get("cloudStatus", "-"),
                result.get("firedAt", "-"),
                result.get("skippedReason") or result.get("errorCode", ""),
            )
            for result in done.outputs["results"]
        ),
    )
    for name in done.outputs.keys() & action.outputs(done.outputs["results"]):
        click.echo(f"{name}: {done.outputs[name]}")
    if problem:
        click.echo(problem, err=True)


def _next_step(done: Outcome, code: int, *, is_kept: bool) -> str:
    if code != 3 or not is_kept:
        return (
            "The same command fires all of these targets again; with --set fireWhen=retryable, those that can be "
            "retried then."
        )
    kept = (
        "The journal keeps it: the same command goes on from here, and fires nothing that may have been fired already."
    )
    if done.outputs["status"] != "Unknown":
        return kept
    fire_ids = done.outputs["fireIds"]
    known = f"resolve {fire_ids[0]} --outcome fired|not-fired" if len(fire_ids) == 1 else "list"
    return f"{kept} If you know what became of it: cloudretry journal {known}"


@dataclass(frozen=True, slots=True)
class _Hand:
    """One fire by hand: generation 1 of a resource of its own. A timeout is in seconds."""

    action: Action[Any]
    values: Mapping[str, Any]
    backend: ConfiguredBackend
    timeout: float

    def look(self) -> Sight:
        """Look at the targets.

        :raises CloudRetryError: the cloud cannot be asked.
        """
        import asyncio

        from cloudretry.cli.looking import Lookout

        return asyncio.run(Lookout(self.action, self.values, self.backend, asyncio.Event(), self.timeout).look())

    def announce(self, sight: Sight) -> None:
        """Show what was seen, and what others have fired and not done with.

        :raises Refused: an interrupted fire by hand has some of the targets, and is to be taken up first.
        """
        from cloudretry.cli.looking import HEADS

        click.echo(f"{self.action.title} at {sight.where}", err=True)
        print_table(HEADS, sight.rows(), err=True)
        if self.backend.journal is None:
            click.echo(
                "Warning: the journal is switched off: if this is interrupted, the next one fires again", err=True
            )
        self.refuse_overlap(sight)
        for fire, keys in self._open_fires(sight):
            if fire.ask.owner == self._resource(sight):
                click.echo(f"{_fired(keys, fire)}, and that fire is open: it is taken up, not fired again", err=True)
                continue
            for words, concerned in _meanings(fire, keys, at_work=self._is_at_work(sight, fire)).items():
                said = f"{_fired(concerned, fire)} for {fire.ask.owner}, and {words}"
                click.echo(f"{said}. See: cloudretry journal show {fire.fire_id}", err=True)

    def refuse_overlap(self, sight: Sight) -> None:
        """See that no open fire by hand has only some of the targets, or these and others.

        :raises Refused: one has.
        """
        prefix = self._prefix(sight)
        for fire, keys in self._open_fires(sight):
            if fire.ask.owner.startswith(prefix) and fire.ask.owner != self._resource(sight):
                then = self._typed(sight, fire.ask.owner.removeprefix(prefix).split(","))
                raise Refused(
                    f"{_fired(keys, fire)} by `{then}`, and what became of it is open; {NOTHING}. That command takes "
                    "it up; or say what became of it: "
                    f"cloudretry journal resolve {fire.fire_id} --outcome fired|not-fired"
                )

    def _typed(self, sight: Sight, keys: Sequence[str]) -> str:
        container = f"{sight.place.container}:" if sight.place.container else ""
        return f"cloudretry fire {short_name(self.action)} {container}{' '.join(keys)}"

    def question(self, sight: Sight) -> str:
        """What to ask before the fire."""
        if any(fire.ask.owner == self._resource(sight) for fire, _ in self._open_fires(sight)):
            return "Take it up? It is fired again only if the cloud shows that the first fire had no effect"
        count = len(sight.seen)
        targets = f"{count} target{'s' if count > 1 else ''}"
        if not sight.unfit:
            return f"Fire {targets}?"
        skips = self.values.get("fireWhen") == "retryable"
        what = "would be skipped" if skips else "cannot be retried now, so a retry may be refused"
        return f"Fire {targets}? Of these, {len(sight.unfit)} {what}"

    def fire(self, sight: Sight) -> Outcome:
        """Fire and wait. An interruption ends the waiting, and what is known is returned.

        :raises CloudRetryError: nothing was fired.
        :raises Refused: another fire by hand has begun meanwhile.
        """
        from cloudretry import lifecycle
        from cloudretry.cli.looking import HEADS, TellingLooker, row

        # Whoever was asked may have taken his time.
        self.refuse_overlap(sight)
        with Board(HEADS, err=True) as board:
            seen = dict(sight.seen)

            def show(found: Mapping[str, Observation]) -> None:
                # Elsewhere than on a terminal the lines of progress say enough.
                if board.is_live:
                    seen.update(found)
                    board.rows(row(self.action, key, observation) for key, observation in seen.items())

            async def firing(cancelled: asyncio.Event) -> Outcome:
                circumstances = lifecycle.Circumstances(
                    resource=self._resource(sight),
                    timeout=self.timeout,
                    cancelled=cancelled,
                    progress=board.status,
                    notice=board.notice,
                    looker=TellingLooker(show),
                )
                return await lifecycle.create(self.action, self.values, self.backend, circumstances)

            show({})
            return run(firing, otherwise=INTERRUPTED)

    def settle(self, done: Outcome) -> None:
        """The outcome was told, so the journal need not keep it."""
        import asyncio

        from cloudretry import lifecycle

        async def both() -> None:
            await lifecycle.hand_over(done)
            await lifecycle.settle(done)

        asyncio.run(both())

    def _prefix(self, sight: Sight) -> str:
        """What the names of all fires by hand at one place begin with, in the journal."""
        from cloudretry.run.recover import BY_HAND

        where = ["emulator"] * sight.emulator + [sight.place.region, sight.place.project_id, sight.place.container]
        return BY_HAND + "/".join([short_name(self.action), *filter(None, where), ""])

    def _resource(self, sight: Sight) -> str:
        return self._prefix(sight) + ",".join(sorted(sight.seen))

    def _is_at_work(self, sight: Sight, fire: Fire) -> bool:
        from cloudretry.ledger import can_be_taken_over

        ledger = self.backend.ledger(self.action, sight.place)
        return ledger is not None and not can_be_taken_over(fire, ledger.sessions)

    def _open_fires(self, sight: Sight) -> list[tuple[Fire, list[str]]]:
        """The open fires at this place on any of the targets, and these."""
        ledger = self.backend.ledger(self.action, sight.place)
        if ledger is None:
            return []
        fires: dict[str, tuple[Fire, list[str]]] = {}
        for key in sight.seen:
            for fire in ledger.look(lambda books, key=key: books.at(key), fresh=True):  # type: ignore[misc]
                if not fire.saved and not fire.had_no_effect:
                    fires.setdefault(fire.fire_id, (fire, []))[1].append(key)
        return sorted(fires.values(), key=lambda one: one[0].number)


def _meanings(fire: Fire, keys: Sequence[str], *, at_work: bool) -> dict[str, list[str]]:
    """What another's open fire means for a fire of these targets, and for which of them."""
    found: dict[str, list[str]] = {}
    for key in keys:
        if fire.is_closed(key) and not fire.is_held(key):
            continue
        words = "its run has ended without an answer: this one looks first, and fires only what that had no effect on"
        if at_work:
            words = "a run is at work on it: this one waits, and fires only what came to nothing"
        elif fire.is_held(key):
            words = "the cloud has taken it: its next `pulumi up` goes on from there, and this one fires once more"
        found.setdefault(words, []).append(key)
    return found


def _fired(keys: Sequence[str], fire: Fire) -> str:
    from cloudretry.model import rfc3339

    return f"{', '.join(keys)} {'was' if len(keys) == 1 else 'were'} fired at {rfc3339(fire.began.at)}"
