"""What people type: the names of actions, targets, inputs and durations. And what a shell completes them to."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click
from click.shell_completion import CompletionItem

from cloudretry.text import shortened

if TYPE_CHECKING:
    from cloudretry.actions import Action

__all__ = [
    "ACTION",
    "DURATION",
    "PREFIX",
    "SETTING",
    "Input",
    "by_hand",
    "inputs_of",
    "read_inputs",
    "short_name",
    "target_arguments",
    "target_form",
]

Command = TypeVar("Command", bound=Callable[..., Any])

PREFIX = "cloudretry:"
"""What all tokens begin with."""

WITHOUT_MEANING = ("triggers", "reconcile")
"""Inputs that say when a resource fires: by hand, somebody says so."""


# --- actions ---


def short_name(action: Action[Any]) -> str:
    """``drs:JobBatchRetry``."""
    return action.token.removeprefix(PREFIX)


class _ActionName(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """An action by its token, the token without ``cloudretry:``, or its name alone."""

    name = "action"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from cloudretry.actions import ACTIONS
        from cloudretry.findings import nearest

        if not isinstance(value, str):
            return value
        named = {
            name.lower(): action
            for action in ACTIONS.values()
            for name in (action.token, short_name(action), action.name)
        }
        if value.lower() in named:
            return named[value.lower()]
        near = get_close_matches(value.lower(), named, n=1, cutoff=0.6)
        hint = nearest(short_name(named[near[0]]) if near else value, map(short_name, ACTIONS.values()))
        return self.fail(f"there is no action {value!r}; {hint}", param, ctx)

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        from cloudretry.actions import ACTIONS

        return [
            CompletionItem(name, help=action.title)
            for action in ACTIONS.values()
            for name in (short_name(action), action.token)
            if name.lower().startswith(incomplete.lower()) and (name != action.token or incomplete)
        ]


ACTION = _ActionName()


# --- targets ---


def target_form(action: Action[Any]) -> str:
    """How a target is written, in the names of the inputs: ``clusterId:jobId``."""
    if action.target_list is None:
        (key,) = (name for name in action.identity if name != action.container_property)
    else:
        key = action.target_list[1] or action.target_list[0].removesuffix("s")
    return f"{action.container_property}:{key}" if action.container_property else key


def by_hand(action: Action[Any], targets: Sequence[str]) -> dict[str, Any]:
    """The inputs that name these targets, each as an import id has it. What is before the first one goes for all.

    :raises InvalidInput: they do not have the form, or are not all of one place.
    """
    from cloudretry.errors import InvalidInput
    from cloudretry.lifecycle.identifier import split_id
    from cloudretry.record import PLACE

    first, *others = targets
    before = first[: re.match(r".*[/:]|", first).end()]  # type: ignore[union-attr]  # it matches nothing, too
    bare = [target.removeprefix(before) for target in others]
    if elsewhere := [target for target in bare if re.search(r"[/:]", target)]:
        raise InvalidInput(
            "TARGET", f"{elsewhere[0]!r} is not at the place of {first!r}; name it in a command of its own"
        )
    try:
        place, container, keys = split_id(action, ",".join([first, *bare]))
    except InvalidInput as error:
        raise InvalidInput("TARGET", error.reason) from None
    return action.imported(container, keys) | dict(zip(PLACE, place, strict=False))


# --- inputs ---


@dataclass(frozen=True, slots=True)
class Input:
    """One input of an action, as its model describes it. ``values`` are those that it may have, if they are few."""

    name: str
    type: str
    required: bool
    default: Any
    description: str
    values: tuple[str, ...] = ()

    @property
    def is_text(self) -> bool:
        return self.type == "string"


def inputs_of(action: Action[Any]) -> list[Input]:
    """The inputs of an action, its own first; those of the items of a list as ``jobs[].jobId``."""
    document = action.inputs.model_json_schema(by_alias=True)
    own = [field.alias for name, field in action.inputs.model_fields.items() if name in action.inputs.__annotations__]
    found = list(_described(document, document["$defs"], ""))
    return sorted(found, key=lambda item: re.split(r"\W", item.name)[0] not in own)


def _described(model: Mapping[str, Any], definitions: Mapping[str, Any], path: str) -> Iterator[Input]:
    for name, spec in model["properties"].items():
        kind = _resolved(spec, definitions)
        inner = _resolved(kind.get("items", {}), definitions)
        yield Input(
            name=path + name,
            type=f"list of {inner['type']}s" if inner else kind["type"],
            required=name in model.get("required", ()),
            default=spec.get("default"),
            description=spec.get("description", ""),
            values=tuple(kind.get("enum", ())),
        )
        if "properties" in inner:
            yield from _described(inner, definitions, f"{path}{name}[].")


def _resolved(spec: Mapping[str, Any], definitions: Mapping[str, Any]) -> Mapping[str, Any]:
    """The type itself: without the null that an optional one may be, and without a reference."""
    spec = next((kind for kind in spec.get("anyOf", ()) if kind.get("type") != "null"), spec)
    reference = spec.get("$ref", "").rpartition("/")[2]
    return definitions[reference] if reference else spec


class _Setting(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """``name=value``."""

    name = "setting"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        name, equals, text = value.partition("=")
        if not name or not equals:
            self.fail(f"{value!r} does not have the form name=value, such as maxAttempts=2", param, ctx)
        return name, text

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002
        action = ctx.params.get("action") or _action_among(ctx.args)
        if action is None:
            return []
        candidates = [
            CompletionItem(f"{item.name}={value}", help=item.description)
            for item in inputs_of(action)
            if "[]" not in item.name and item.name not in WITHOUT_MEANING
            for value in (item.values or ("true", "false") * (item.type == "boolean") or ("",))
        ]
        return [item for item in candidates if item.value.startswith(incomplete)]


def _action_among(words: Iterable[str]) -> Action[Any] | None:
    """The action that is named on a line which ends in an option without its value: nothing of it has been parsed."""
    for word in words:
        with contextlib.suppress(click.UsageError):
            action: Action[Any] = ACTION.convert(word, None, None)
            return action
    return None


SETTING = _Setting()


def target_arguments(command: Command) -> Command:
    """An action, its targets and inputs, as the arguments ``action``, ``targets``, ``settings`` and ``inputs``."""
    decorators = (
        click.argument("action", type=ACTION),
        click.argument("targets", nargs=-1, metavar="[TARGET]..."),
        click.option("--set", "settings", type=SETTING, multiple=True, metavar="NAME=VALUE", help="Set an input."),
        click.option(
            "--inputs",
            type=click.Path(dir_okay=False, allow_dash=True, path_type=Path),
            help="Take the inputs from this YAML or JSON file; - is standard input.",
        ),
    )
    for decorator in reversed(decorators):
        command = decorator(command)
    return command


def read_inputs(
    action: Action[Any], targets: Sequence[str], path: Path | None, settings: Iterable[tuple[str, str]]
) -> tuple[dict[str, Any], list[str]]:
    """The inputs that were given in any way, and the names of those that mean nothing by hand and were left out.

    :raises ClickException: a way cannot be read, or two of them name the targets, or none.
    :raises InvalidInput: the targets do not have the form.
    """
    values = _document(path) if path else {}
    kinds = {item.name: item for item in inputs_of(action)}
    values |= {name: _typed(kinds.get(name), name, text) for name, text in settings}
    named = by_hand(action, targets) if targets else {}
    if not _target_inputs(action) & (values.keys() | named.keys()):
        raise click.UsageError(f"give at least one TARGET ({target_form(action)}), or name the targets with --inputs")
    if twice := values.keys() & named.keys():
        raise click.UsageError(f"{', '.join(sorted(twice))} is given by TARGET already; give it once")
    left_out = [name for name in WITHOUT_MEANING if values.pop(name, None)]
    return values | named, left_out


def _target_inputs(action: Action[Any]) -> set[str]:
    return {*action.identity, *(action.target_list or ())[:1]}


def _document(path: Path) -> dict[str, Any]:
    import yaml

    from cloudretry.folders import read_text

    where = "standard input" if str(path) == "-" else str(path)
    try:
        document = yaml.safe_load(read_text(path))
    except OSError as error:
        raise click.BadParameter(f"{where} cannot be read: {error.strerror}", param_hint="'--inputs'") from None
    except (ValueError, RecursionError, yaml.YAMLError):
        raise click.BadParameter(f"{where} is neither YAML nor JSON", param_hint="'--inputs'") from None
    if not isinstance(document, dict):
        raise click.BadParameter(f"{where} is not a mapping of inputs, such as jobs and wait", param_hint="'--inputs'")
    return document


def _typed(kind: Input | None, name: str, text: str) -> Any:
    """A text as the input wants it: as it stands, or as the YAML that it is."""
    if kind is None or kind.is_text:
        return text
    import yaml

    try:
        return yaml.safe_load(text)
    except (ValueError, RecursionError, yaml.YAMLError):
        raise click.BadParameter(f"{name}: {shortened(text, 80)!r} is not YAML", param_hint="'--set'") from None


class _Duration(click.ParamType):  # type: ignore[type-arg]  # not generic before click 8.4
    """``30m``, in seconds."""

    name = "duration"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        from cloudretry import durations

        if not isinstance(value, str):
            return value
        try:
            seconds = durations.parse(value)
        except ValueError as error:
            self.fail(f"{value!r} {error}", param, ctx)
        if not seconds:
            self.fail("must be more than nothing", param, ctx)
        return seconds


DURATION = _Duration()
