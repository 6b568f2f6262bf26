"""``cloudretry fire``."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from cloudretry.cli.commands import Refused, confirm, end, refusing, require_terminal, run
from cloudretry.cli.configuration import configuration_options, configured
from cloudretry.cli.output import Board, print_json, print_table
from cloudretry.cli.parameters import DURATION, read_inputs, target_arguments

if TYPE_CHECKING:
    from cloudretry.actions import Action
    from cloudretry.backend import ConfiguredBackend
    from cloudretry.cli.looking import Sight
    from cloudretry.lifecycle import Outcome
    from cloudretry.model import Observation
    from cloudretry.run.journal import Entry

__all__ = ["fire"]

NOTHING = "nothing was fired"


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
    """Retry targets now, once, and wait until the retry has taken hold.

    Looks at the targets, says what would be fired, and asks before it fires. What was fired is in the journal before
    the request leaves: a fire that was interrupted is taken up by the next one of the same targets, not fired again.

    Ends with 0 if all is well, 1 if a retry failed, 2 if nothing was fired, 3 if a target is still in progress or what
    became of it is not known.
    """
    from cloudretry.backend import ConfiguredBackend
    from cloudretry.cli.looking import require_inputs

    with refusing():
        values, left_out = read_inputs(action, targets, inputs, settings)
        require_inputs(action, values)
        require_terminal(yes=yes, otherwise=NOTHING)
        for name in left_out:
            click.echo(f"{name} is left out: it says when a resource fires, and this fires now", err=True)
        backend = ConfiguredBackend(configured(stack, file))
        orderly = False
        try:
            hand = _Hand(action, values, backend, timeout)
            sight = hand.look()
            hand.announce(sight)
            confirm(hand.question(sight), yes=yes, otherwise=NOTHING)
            done = hand.fire(sight)
            code = _code(done)
            _show(action, done, code, as_json=as_json, is_kept=backend.journal is not None)
            sys.stdout.flush()
            if code != 3:
                hand.settle(sight, done)
                orderly = True
        finally:
            backend.close(orderly=orderly)
    end(code)


def _code(done: Outcome) -> int:
    return {"Failed": 1, "PartiallyFailed": 1, "InProgress": 3, "Unknown": 3}.get(done.outputs["status"], 0)


def _show(action: Action[Any], done: Outcome, code: int, *, as_json: bool, is_kept: bool) -> None:
    """Tell the outcome. ``is_kept`` says that the journal knows of it."""
    if as_json:
        problem = {"problem": done.failure} if done.failure else {}
        print_json({"ok": not code, "action": action.token, "id": done.resource_id, "outputs": done.outputs, **problem})
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
    if done.failure:
        # Its last line is about the next `pulumi up`.
        click.echo("\n".join([*done.failure.splitlines()[:-1], _next_step(done, code, is_kept=is_kept)]), err=True)


def _next_step(done: Outcome, code: int, *, is_kept: bool) -> str:
    if code == 1 or not is_kept:
        return (
            "The same command fires all of these targets again; with --set fireWhen=retryable, those that can be "
            "retried then."
        )
    fire_ids = done.outputs["fireIds"]
    known = f"resolve {fire_ids[0]} --outcome fired|not-fired" if len(fire_ids) == 1 else "list"
    return (
        "The journal keeps it: the same command goes on from here, and fires nothing that may have been fired already. "
        f"If you know what became of it: cloudretry journal {known}"
    )


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
        from cloudretry.cli.looking import Lookout

        async def looking(cancelled: asyncio.Event) -> Sight:
            return await Lookout(self.action, self.values, self.backend, cancelled, self.timeout).look()

        return run(looking)

    def announce(self, sight: Sight) -> None:
        """Show what was seen, and what stands in the way.

        :raises Refused: an interrupted fire by hand has some of the targets, and is to be taken up first.
        """
        from cloudretry.cli.looking import HEADS
        from cloudretry.model import rfc3339

        click.echo(f"{self.action.title} at {sight.where}", err=True)
        print_table(HEADS, sight.rows(), err=True)
        if self.backend.journal is None:
            click.echo(
                "Warning: the journal is switched off: if this is interrupted, the next one fires again", err=True
            )
        for resource, entry, keys in self._open_fires(sight):
            said = f"{', '.join(keys)} {'was' if len(keys) == 1 else 'were'} fired at {rfc3339(entry.at)}"
            if resource == self._resource(sight):
                click.echo(f"{said}, and that fire is open: it is taken up, not fired again", err=True)
            elif resource.startswith(self._prefix(sight)):
                others = " ".join(target.key for target in entry.targets)
                raise Refused(
                    f"{said} together with others by `cloudretry fire`, and what became of it is open; {NOTHING}. Fire "
                    f"the same targets as then ({others}), which takes it up, or say what became of it: cloudretry "
                    f"journal resolve {entry.fire_id} --outcome fired|not-fired"
                )
            else:
                click.echo(
                    f"Warning: {said} by {resource}, and that fire is open: its next `pulumi up` takes it up. Look at "
                    f"it with: cloudretry journal show {entry.fire_id}",
                    err=True,
                )

    def question(self, sight: Sight) -> str:
        """What to ask before the fire."""
        if any(resource == self._resource(sight) for resource, _, _ in self._open_fires(sight)):
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
        """
        from cloudretry import lifecycle
        from cloudretry.cli.looking import HEADS, TellingLooker, row

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
            return run(firing)

    def settle(self, sight: Sight, done: Outcome) -> None:
        """The outcome was told, so the journal need not keep it."""
        from cloudretry import lifecycle

        lifecycle.note_handed_over(self.backend, self._resource(sight), done.outputs)

    def _prefix(self, sight: Sight) -> str:
        """What the names of all fires by hand at one place begin with, in the journal."""
        where = ["emulator"] * sight.emulator + [sight.place.region, sight.place.project_id, sight.place.container]
        return "/".join(["cli", self.action.token, *filter(None, where), ""])

    def _resource(self, sight: Sight) -> str:
        return self._prefix(sight) + ",".join(sorted(sight.seen))

    def _open_fires(self, sight: Sight) -> list[tuple[str, Entry, list[str]]]:
        """The open fires of this action on any of the targets, and who fired them.

        The journal does not hold the place of what a stack has fired: it may be another target of the same name.
        """
        from cloudretry.run.journal import revealed

        if self.backend.journal is None:
            return []
        elsewhere = f"cli/{self.action.token}/"
        found = []
        for records in self.backend.journal.resources():
            mine = records.resource.startswith(self._prefix(sight))
            if self.action.token not in records.resource or (records.resource.startswith(elsewhere) and not mine):
                continue
            for entry in records.open_entries(self.backend.clock.now()):
                fired = {target.key for target in revealed(entry, sight.seen).targets}
                if keys := [key for key in sight.seen if key in fired]:
                    found.append((records.resource, entry, keys))
        return found
