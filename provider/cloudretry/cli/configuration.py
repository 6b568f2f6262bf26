"""Where a command takes the provider's configuration from: a stack, a file, or the environment alone."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from cloudretry.config import ProviderConfig

__all__ = ["configuration_options", "configured", "given"]

Command = TypeVar("Command", bound=Callable[..., Any])


def configuration_options(command: Command) -> Command:
    """``--stack`` and ``--config``, as the arguments ``stack`` and ``file``."""
    stack = click.option(
        "--stack", metavar="NAME", help="Take the configuration of this stack of the project in the current folder."
    )
    file = click.option(
        "--config",
        "file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Take the configuration from this YAML or JSON file, with the keys of an explicit provider.",
    )
    return stack(file(command))


def given(stack: str | None, file: Path | None) -> tuple[dict[str, Any], str]:
    """What the stack or the file gives, and what to call it. Nothing without either.

    :raises ConfigurationError: it cannot be read.
    """
    if stack and file:
        raise click.UsageError("give --stack or --config, not both")
    if stack:
        from cloudretry.doctor import from_stack

        return from_stack(stack), f"stack {stack}"
    if file:
        from cloudretry.doctor import from_file

        return from_file(file), str(file)
    return {}, ""


def configured(stack: str | None, file: Path | None) -> ProviderConfig:
    """The configuration, with what the environment adds.

    :raises ConfigurationError: it cannot be read or used; the text lists every problem.
    """
    from cloudretry.config import load

    return load(given(stack, file)[0], os.environ)
