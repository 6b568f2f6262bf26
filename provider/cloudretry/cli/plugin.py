"""``cloudretry plugin``."""

from __future__ import annotations

import sys

import click

from cloudretry.cli.output import print_json

__all__ = ["plugin"]


@click.group()
def plugin() -> None:
    """Let the Pulumi engine find the plugin."""


@plugin.command()
@click.option("--force", is_flag=True, help="Replace what another installation put there.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def install(force: bool, as_json: bool) -> None:
    """Put the plugin where the engine looks for it.

    That is below PULUMI_HOME, or .pulumi in the home of your account. It runs with the Python that this command runs
    with. Run it again after an upgrade of the package, or in another virtual environment.
    """
    from cloudretry.folders import pulumi_home
    from cloudretry.plugin.install import EXECUTABLE, ambient
    from cloudretry.plugin.install import install as put

    installed = put(pulumi_home(), force=force)
    found = ambient()
    if as_json:
        print_json(
            {
                "ok": True,
                "executable": str(installed.executable),
                "python": sys.executable,
                "changed": installed.changed,
                "takenInstead": str(found) if found else None,
            }
        )
        return
    done = "installed" if installed.changed else "installed already:"
    click.echo(f"{done} {installed.executable}, which runs {sys.executable}")
    if found:
        click.echo(f"The engine will take {found} instead, and warn of it: take {EXECUTABLE} off PATH.", err=True)


@plugin.command()
@click.option("--all", "every_version", is_flag=True, help="Every version, not only this one.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def uninstall(every_version: bool, as_json: bool) -> None:
    """Take the plugin away from where the engine looks for it."""
    from cloudretry.folders import pulumi_home
    from cloudretry.plugin.install import folder_of
    from cloudretry.plugin.install import uninstall as take_away

    home = pulumi_home()
    removed = take_away(home, every_version=every_version)
    if as_json:
        print_json({"ok": True, "removed": [str(folder) for folder in removed]})
        return
    for folder in removed:
        click.echo(f"removed {folder}")
    if not removed:
        click.echo(f"there is nothing at {folder_of(home)}")
