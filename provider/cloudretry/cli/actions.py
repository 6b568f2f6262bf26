"""``cloudretry actions``."""

from __future__ import annotations

import inspect
import json
from typing import TYPE_CHECKING, Any

import click

from cloudretry.cli.output import print_json, print_table
from cloudretry.cli.parameters import ACTION, Input, inputs_of, short_name, target_form

if TYPE_CHECKING:
    from cloudretry.actions import Action

__all__ = ["actions"]


@click.command()
@click.argument("name", type=ACTION, required=False, metavar="[ACTION]")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def actions(name: Action[Any] | None, as_json: bool) -> None:
    """Tell which actions there are; of one, its targets and inputs."""
    from cloudretry.actions import ACTIONS

    if as_json:
        print_json(_described(name) if name else [_described(action) for action in ACTIONS.values()])
    elif name:
        _show(name)
    else:
        print_table(
            ("action", "fires", "target", "waiting ends when"),
            ((short_name(action), action.title, target_form(action), action.done_when) for action in ACTIONS.values()),
        )


def _show(action: Action[Any]) -> None:
    click.echo(f"{action.token}: {action.title}\n\n{_about(action)}\n")
    if action.deprecation:
        click.echo(f"Note: {action.deprecation}\n")
    several = f", up to {action.fire_size} in one request" if action.fire_size > 1 else ""
    click.echo(f"Fires {action.fires.name}: {action.fires.method} {action.fires.path}{several}")
    click.echo(f"Looks with {action.looks.name}: {action.looks.method} {action.looks.path}")
    click.echo(f"Waiting ends when {action.done_when}.")
    click.echo(f"TARGET is {target_form(action)}{' (any number)' if action.target_list else ''}\n")
    print_table(
        ("input", "type", "default", "description"),
        (
            (
                item.name,
                " or ".join(item.values) or item.type,
                "(required)" if item.required else _default(item),
                item.description,
            )
            for item in inputs_of(action)
        ),
    )


def _about(action: Action[Any]) -> str:
    return " ".join((inspect.getdoc(type(action)) or "").split("\n\n")[0].split())


def _default(item: Input) -> str:
    if item.default is None:
        return ""
    return item.default if isinstance(item.default, str) else json.dumps(item.default)


def _described(action: Action[Any]) -> dict[str, Any]:
    return {
        "token": action.token,
        "title": action.title,
        "description": _about(action),
        "deprecation": action.deprecation,
        "cloud": action.cloud.value,
        "fires": _operation(action.fires),
        "looks": _operation(action.looks),
        "target": target_form(action),
        "targetsPerRequest": action.fire_size,
        "waitingEndsWhen": action.done_when,
        "inputs": [
            {
                "name": item.name,
                "type": item.type,
                "required": item.required,
                "default": item.default,
                "values": list(item.values),
                "description": item.description,
            }
            for item in inputs_of(action)
        ],
    }


def _operation(operation: Any) -> dict[str, str]:
    return {"name": operation.name, "method": operation.method, "path": operation.path}
