"""``cloudretry doctor``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cloudretry.cli.configuration import configuration_options, given
from cloudretry.cli.output import print_json

__all__ = ["doctor"]


@click.command()
@configuration_options
@click.option(
    "--cloud",
    "clouds",
    type=click.Choice(["huaweicloud", "alicloud"]),
    multiple=True,
    help="Look at this cloud, whether anything is set for it or not. Default: those that something is set for.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def doctor(stack: str | None, file: Path | None, clouds: tuple[str, ...], as_json: bool) -> None:
    """Tell whether a fire would be let through. Fires nothing.

    Shows each setting with where it comes from, and what each status call answers. Without --stack and --config, the
    configuration is that of the environment.

    Ends with 0 if all is well, 1 if something is wrong, and 2 if the configuration cannot be used.
    """
    from cloudretry.doctor import examine
    from cloudretry.model import Cloud

    values, given_by = given(stack, file)
    report = examine(values, given_by=given_by, clouds=[Cloud(cloud) for cloud in clouds])
    if as_json:
        print_json(report.to_json())
    else:
        click.echo("\n".join(report.lines()))
    sys.exit(0 if report.ok else 1)
