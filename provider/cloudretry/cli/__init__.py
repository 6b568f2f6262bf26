"""The command line. One file for each command; what a command does not need is not imported."""

from __future__ import annotations

import click

from cloudretry.cli.doctor import doctor
from cloudretry.cli.emulator import emulator
from cloudretry.cli.plugin import plugin
from cloudretry.version import __version__

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cloudretry")
def main() -> None:
    """Retry actions of cloud APIs as Pulumi resources."""


main.add_command(doctor)
main.add_command(emulator)
main.add_command(plugin)
