"""``cloudretry emulator``."""

from __future__ import annotations

import shlex
import signal
import threading
from pathlib import Path

import click

from cloudretry.cli.commands import SIGNALS
from cloudretry.cli.output import print_json

__all__ = ["emulator"]


@click.command()
@click.option("--host", metavar="ADDRESS", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=8400,
    show_default=True,
    help="Port; 0 takes a free one.",
)
@click.option(
    "--scenario",
    type=click.Path(dir_okay=False, path_type=Path),
    help="YAML file with the pools, jobs and clusters to start with. Default: a built-in one.",
)
@click.option(
    "--state",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that keeps everything between runs. Default: memory.",
)
@click.option("--show-credentials", is_flag=True, help="Print the credentials as shell exports, and end.")
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print one JSON object: the URL and the credentials as variables, or those alone.",
)
def emulator(
    host: str, port: int, scenario: Path | None, state: Path | None, show_credentials: bool, as_json: bool
) -> None:
    """Serve the clouds' APIs on this machine.

    For tests, and for trying things out. Prints `listening on http://HOST:PORT` when it is ready, and runs until it is
    interrupted.
    """
    from cloudretry.emulator import CREDENTIALS, Emulator

    if show_credentials:
        exports = CREDENTIALS.environment(f"http://{host}:{port}" if port else None)
        if as_json:
            print_json(exports)
            return
        for name, value in exports.items():
            click.echo(f"export {name}={shlex.quote(value)}")
        return

    interrupted = threading.Event()
    for number in SIGNALS:
        signal.signal(number, lambda *_: interrupted.set())
    from cloudretry.emulator.scenario import Scenario

    loaded = Scenario.read(scenario) if scenario is not None else None
    with Emulator(loaded, state=state, host=host, port=port) as running:
        if as_json:
            print_json({"url": running.url, "environment": CREDENTIALS.environment(running.url)}, in_one_line=True)
        else:
            click.echo(f"listening on {running.url}")
        # Windows delivers a signal between two waits only.
        while not interrupted.wait(0.5):
            pass
