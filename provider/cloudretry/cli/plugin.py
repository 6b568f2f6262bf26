"""``cloudretry plugin``."""

from __future__ import annotations

import sys

import click

__all__ = ["plugin"]


@click.group()
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
