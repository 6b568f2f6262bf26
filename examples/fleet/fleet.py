"""Heal a fleet of stacks: run `up` on each, a few at a time, and tell what came of it.

    python fleet.py [--file fleet.yaml] [--only STACK]... [--preview] [--at-once 4]

Ends with 0 if every stack is well, and with 1 if anything failed or was left. Ctrl-C or SIGTERM begins no further
stack and tells those that run to end: what they fired is recorded, and the next run goes on waiting for it.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path
from typing import Any

import click
import pulumi
import yaml
from pulumi import automation
from pulumi.automation import CommandResult, events
from pulumi.automation.errors import create_command_error

import pulumi_cloudretry as cloudretry

HERE = Path(__file__).parent
PROJECT = "fleet"


@dataclass(frozen=True)
class Stack:
    """What the fleet's file says of a stack. ``timeout`` is in seconds; a retry is its class and its inputs."""

    name: str
    timeout: float
    config: Mapping[str, Any]
    retries: Mapping[str, tuple[Callable[..., pulumi.Resource], Mapping[str, Any]]]

    def declare(self) -> None:
        """The stack's program."""
        for name, (kind, inputs) in self.retries.items():
            try:
                kind(name, **inputs)
            except TypeError as error:
                raise pulumi.RunError(f"{name}: {error}") from None


def retry_of(given: dict[str, Any]) -> tuple[Callable[..., pulumi.Resource], Mapping[str, Any]]:
    # Not in the programs, which run in threads: the SDK loads a module when it is first used, and only one thread may.
    return attrgetter(given.pop("type"))(cloudretry), given


def read(path: Path) -> list[Stack]:
    """The stacks in a file.

    :raises click.ClickException: the file is not one of a fleet.
    """
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        defaults = {"timeout": 900, "config": {}, "knobs": {}} | (document.get("defaults") or {})
        return [
            Stack(
                name,
                float(given.get("timeout", defaults["timeout"])),
                {**defaults["config"], **given.get("config", {})},
                {key: retry_of({**defaults["knobs"], **retry}) for key, retry in given["retries"].items()},
            )
            for name, given in document["stacks"].items()
        ]
    except (yaml.YAMLError, AttributeError, KeyError, TypeError, ValueError) as error:
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise click.ClickException(f"{path} is not the file of a fleet: {reason}") from None


@dataclass
class Outcome:
    """What came of a stack: ``healed``, ``well`` (nothing to do), ``due`` (in a preview), ``failed``, or ``left``."""

    stack: str
    word: str = ""
    fired: int = 0
    said: list[str] = field(default_factory=list)

    def note(self, event: automation.EngineEvent) -> None:
        """Take in what the engine tells of a resource: how many targets were fired, and words meant for people."""
        if step := event.res_outputs_event or event.res_op_failed_event:
            before, after = (_history(state) for state in (step.metadata.old, step.metadata.new))
            if after[-1:] != before[-1:]:
                self.fired += after[-1]["fired"]
        words = event.diagnostic_event
        if words and not words.ephemeral and words.severity in ("info", "error"):
            text = words.message.strip().removeprefix("1 error occurred:").lstrip(" *\n\t")
            if text not in ("update failed", "preview failed"):
                self.said += [f"{words.urn.rpartition('::')[2]}: {text}" if words.urn else text]

    def __str__(self) -> str:
        lines = [line.strip() for text in self.said for line in text.splitlines()]
        return "\n    ".join([f"{self.stack:16} {self.word:8} {self.fired} fired", *lines])


def _history(state: events.StepEventStateMetadata | None) -> list[dict[str, Any]]:
    history = ((state and state.outputs) or {}).get("history")
    return history if isinstance(history, list) else []  # in a preview it is not known


class Left(Exception):
    """The fleet was told to end before a stack's turn came."""


class Cli(automation.PulumiCommand):
    """The Pulumi CLI for one stack, as a process that can be told to end.

    It has a process group of its own: a Ctrl-C in the terminal reaches the fleet alone, which passes it on.
    """

    def __init__(self, found: automation.PulumiCommand) -> None:
        self.command, self.version = found.command, found.version
        self.ending = ""
        self._process: subprocess.Popen[bytes] | None = None
        self._listens: bool | None = None
        self._told = threading.Lock()

    def run(self, args: list[str], cwd: str, additional_env: Mapping[str, str], *_: Any, **__: Any) -> CommandResult:
        if self.ending and self._listens is None:
            raise Left(self.ending)
        # Into files: an engine that outlives a killed fleet would die of a broken pipe and leave the stack locked.
        with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
            self._process = subprocess.Popen(
                [self.command, "--non-interactive", *args],
                cwd=cwd,
                env={**os.environ, **additional_env, "PULUMI_AUTOMATION_API": "true"},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=errors,
                process_group=0,
            )
            code = self._process.wait()
            output.seek(0)
            errors.seek(0)
            result = CommandResult(output.read(), errors.read(), code)
        if result.code != 0:
            raise create_command_error(result)
        return result

    def hear(self, event: automation.EngineEvent) -> None:
        """Know from the engine's events when it can be told to end."""
        self._listens = not (event.summary_event or event.cancel_event)
        if self.ending:
            self.end(self.ending)

    def end(self, why: str) -> None:
        """Have the `up` end early, or not begin. Safe to call at any time, and more than once."""
        self.ending = self.ending or why
        # The engine listens for a signal between its first event and its summary. At another time one would kill it and
        # leave the stack locked, and so would a second one.
        if self._process and self._listens and self._told.acquire(blocking=False):
            self._process.send_signal(signal.SIGINT)


def heal(stack: Stack, cli: Cli, *, preview: bool) -> Outcome:
    """One stack's turn. Whatever goes wrong in it is its outcome, and no other stack's business."""
    outcome = Outcome(stack.name)

    def note(event: automation.EngineEvent) -> None:
        cli.hear(event)
        outcome.note(event)

    timer = threading.Timer(stack.timeout, cli.end, ["its time is over"])
    timer.start()
    try:
        with tempfile.TemporaryDirectory(prefix="fleet-") as folder:
            settings = automation.StackSettings(config=dict(stack.config))
            options = automation.LocalWorkspaceOptions(
                work_dir=folder, pulumi_command=cli, stack_settings={stack.name: settings}
            )
            made = automation.create_or_select_stack(stack.name, PROJECT, stack.declare, opts=options)
            if preview:
                made.preview(on_event=note)
                outcome.word = "due" if outcome.said else "well"
            else:
                made.up(on_event=note, continue_on_error=True)
                outcome.word = "healed" if outcome.fired else "well"
    except (automation.ConcurrentUpdateError, automation.StackAlreadyExistsError):
        outcome.word, outcome.said = "left", ["another run is at work on it"]
    except Left as left:
        outcome.word, outcome.said = "left", [f"not begun: {left}"]
    except Exception as error:  # noqa: BLE001 - whatever it is, the other stacks go on
        outcome.word = "left" if cli.ending else "failed"
        outcome.said = [cli.ending, *outcome.said] if outcome.said else [str(error).rpartition("stderr:")[2]]
    finally:
        timer.cancel()
    return outcome


@click.command(help="Heal a fleet of stacks.")
@click.option(
    "--file", "path", type=click.Path(exists=True, dir_okay=False, path_type=Path), default=HERE / "fleet.yaml"
)
@click.option("--only", metavar="STACK", multiple=True, help="This stack, and no other that is not named as well.")
@click.option("--preview", is_flag=True, help="Tell what would be fired.")
@click.option("--at-once", type=click.IntRange(min=1), default=4, show_default=True, help="Stacks at the same time.")
def main(path: Path, only: tuple[str, ...], preview: bool, at_once: int) -> None:
    stacks = read(path)
    if unknown := set(only) - {stack.name for stack in stacks}:
        raise click.ClickException(f"{path} has no stack {', '.join(sorted(unknown))}")
    try:
        found = automation.PulumiCommand()  # its version is asked for once, for all stacks
    except FileNotFoundError:
        raise click.ClickException("the Pulumi CLI is not on PATH") from None
    # The SDK gives up the program of an `up` that failed, and Python would tell of that with a traceback.
    sys.unraisablehook = lambda _: None
    turns = [(stack, Cli(found)) for stack in stacks if not only or stack.name in only]

    def end(number: int, _frame: object) -> None:
        for _, cli in turns:
            cli.end(f"the fleet was told to end ({signal.Signals(number).name})")

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, end)
    outcomes = []
    with ThreadPoolExecutor(at_once) as threads:
        for turn in as_completed([threads.submit(heal, stack, cli, preview=preview) for stack, cli in turns]):
            outcomes.append(turn.result())
            click.echo(outcomes[-1])
    words = Counter(outcome.word for outcome in outcomes)
    count = ", ".join(f"{number} {word}" for word, number in sorted(words.items()))
    click.echo(f"{len(outcomes)} stacks: {count}; {sum(outcome.fired for outcome in outcomes)} fired")
    sys.exit(1 if words["failed"] or words["left"] else 0)


if __name__ == "__main__":
    main()
