"""``cloudretry doctor``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

__all__ = ["doctor"]


@click.command()
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
