"""The command line: ``cloudretry doctor``, ``cloudretry emulator`` and ``cloudretry plugin``."""

from __future__ import annotations

import json
import shlex
import signal
import sys
import threading
from pathlib import Path

import click

from cloudretry.version import __version__

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cloudretry")
def main() -> None:
    """Retry actions of cloud APIs as Pulumi resources."""


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8400, show_default=True, help="Port; 0 takes a free one."
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
def emulator(host: str, port: int, scenario: Path | None, state: Path | None, show_credentials: bool) -> None:
    """Serve the clouds' APIs on this machine, for tests and for trying things out.

    Prints `listening on http://HOST:PORT` when it is ready, and runs until it is interrupted.
    """
    from cloudretry.emulator import CREDENTIALS, Emulator
    from cloudretry.errors import CloudRetryError

    if show_credentials:
        url = f"http://{host}:{port}" if port else None
        for name, value in CREDENTIALS.environment(url).items():
            click.echo(f"export {name}={shlex.quote(value)}")
        return

    interrupted = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: interrupted.set())
    try:
        from cloudretry.emulator.scenario import Scenario

        loaded = Scenario.read(scenario) if scenario is not None else None
        with Emulator(loaded, state=state, host=host, port=port) as running:
            click.echo(f"listening on {running.url}")
            interrupted.wait()
    except CloudRetryError as error:
        raise click.ClickException(str(error)) from error


@main.command()
@click.option("--stack", help="Take the configuration of this stack of the project in the current folder.")
@click.option(
    "--config",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Take the configuration from this YAML or JSON file, with the keys of an explicit provider.",
)
@click.option(
    "--cloud",
    "clouds",
    type=click.Choice(["huaweicloud", "alicloud"]),
    multiple=True,
    help="Look at this cloud, whether anything is set for it or not. Default: those that something is set for.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(stack: str | None, file: Path | None, clouds: tuple[str, ...], as_json: bool) -> None:
    """Tell where each setting comes from, and whether a fire would be let through. Fires nothing.

    Without --stack and --config, the configuration is that of the environment. Ends with 1 if something is wrong.
    """
    from cloudretry.doctor import examine, from_file, from_stack
    from cloudretry.errors import CloudRetryError
    from cloudretry.model import Cloud

    if stack and file:
        raise click.UsageError("give --stack or --config, not both")
    try:
        given = from_stack(stack) if stack else from_file(file) if file else {}
        given_by = f"stack {stack}" if stack else str(file)
        report = examine(given, given_by=given_by, clouds=[Cloud(cloud) for cloud in clouds])
    except CloudRetryError as error:
        if not as_json:
            raise click.ClickException(str(error)) from error
        click.echo(json.dumps({"ok": False, "problem": str(error)}))
        sys.exit(1)
    click.echo(report.to_json() if as_json else "\n".join(report.lines()))
    sys.exit(0 if report.ok else 1)


@main.group()
def plugin() -> None:
    """Let the Pulumi engine find the plugin."""


@plugin.command()
@click.option("--force", is_flag=True, help="Replace what another installation put there.")
def install(force: bool) -> None:
    """Put the plugin where the engine looks for it, to run with this Python.

    That is below PULUMI_HOME (or ~/.pulumi). Run it again after an upgrade of the package, or in another virtual
    environment.
    """
    from cloudretry.backend import pulumi_home
    from cloudretry.errors import CloudRetryError
    from cloudretry.plugin.install import EXECUTABLE, ambient
    from cloudretry.plugin.install import install as put

    try:
        installed = put(pulumi_home(), force=force)
    except CloudRetryError as error:
        raise click.ClickException(str(error)) from error
    done = "installed" if installed.changed else "installed already:"
    click.echo(f"{done} {installed.executable}, which runs {sys.executable}")
    if found := ambient():
        click.echo(f"The engine will take {found} instead, and warn of it: take {EXECUTABLE} off PATH.", err=True)


@plugin.command()
@click.option("--all", "every_version", is_flag=True, help="Every version, not only this one.")
def uninstall(every_version: bool) -> None:
    """Take the plugin away from where the engine looks for it."""
    from cloudretry.backend import pulumi_home
    from cloudretry.errors import CloudRetryError
    from cloudretry.plugin.install import folder_of
    from cloudretry.plugin.install import uninstall as take_away

    home = pulumi_home()
    try:
        removed = take_away(home, every_version=every_version)
    except CloudRetryError as error:
        raise click.ClickException(str(error)) from error
    for folder in removed:
        click.echo(f"removed {folder}")
    if not removed:
        click.echo(f"there is nothing at {folder_of(home)}")


if __name__ == "__main__":
    main()
