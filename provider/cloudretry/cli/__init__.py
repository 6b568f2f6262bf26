"""The command line. One file for each command; what a command does not need is not imported."""

from __future__ import annotations

import click

from cloudretry.cli.actions import actions
from cloudretry.cli.commands import Commands
from cloudretry.cli.completion import completion
from cloudretry.cli.doctor import doctor
from cloudretry.cli.emulator import emulator
from cloudretry.cli.fire import fire
from cloudretry.cli.journal import journal
from cloudretry.cli.plugin import plugin
from cloudretry.cli.report import report
from cloudretry.cli.status import status
from cloudretry.version import __version__

__all__ = ["main"]


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="cloudretry")
def main() -> None:
    """Retry actions of cloud APIs as Pulumi resources."""


main.add_command(actions)
main.add_command(completion)
main.add_command(doctor)
main.add_command(emulator)
main.add_command(fire)
main.add_command(journal)
main.add_command(plugin)
main.add_command(report)
main.add_command(status)
