"""Check: every invalid property of a resource at once, each by its path, before anything is sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from cloudretry.actions import Action
from cloudretry.actions.base import ActionInputs
from cloudretry.bounds import MOST_FINDINGS
from cloudretry.errors import InvalidInput
from cloudretry.findings import got, nearest, sentence

__all__ = ["UNKNOWN", "Unknown", "check", "given", "is_unknown", "named_targets", "parse", "property_path"]


class Unknown:
    """A value that a preview does not know yet."""

    def __repr__(self) -> str:
        return "<unknown>"


UNKNOWN = Unknown()

KNOWN_LEAVES = frozenset({str, int, float, bool, type(None)})
"""What most values are. Asked for first: a look at the abstract ``Mapping`` takes as long as all the rest."""


def is_unknown(value: Any) -> bool:
    """Whether the value is unknown or holds something that is."""
    kind = type(value)
    if kind in KNOWN_LEAVES:
        return False
    if kind is Unknown:
        return True
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, list | tuple):
        return False
    return any(type(item) not in KNOWN_LEAVES and is_unknown(item) for item in value)


def property_path(location: Sequence[str | int]) -> str:
    """A path as the engine reads it: ``jobs[2].jobId``, ``triggers["a.b"]``, ``triggers["disk \\"db01\\""]``.

    The engine knows one escape, that of a quote, so a name that ends in a backslash cannot stand between quotes, and
    one that also holds a dot or a bracket nowhere: its path is that of what holds it.
    """
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif part.isidentifier() or (part.endswith("\\") and not _ENDS_A_NAME & set(part)):
            path += f".{part}" if path else part
        elif not part.endswith("\\") or not path:
            quoted = part.replace('"', '\\"')
            path += f'["{quoted}"]'
        else:
            break
    return path


_ENDS_A_NAME = frozenset(".[")


def given(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs that were set: a null is the same as nothing, also inside a value.

    The engine does not keep all nulls in its state, so one that counted would show as a change for ever.
    """
    return {name: _without_nulls(value) for name, value in inputs.items() if value is not None}


def _without_nulls(value: Any) -> Any:
    if type(value) in KNOWN_LEAVES:
        return value
    if isinstance(value, Mapping):
        return given(value)
    return [_without_nulls(item) for item in value] if isinstance(value, list) else value


def parse(action: Action[Any], inputs: Mapping[str, Any]) -> ActionInputs:
    """The inputs of an action, typed.

    :raises InvalidInput: the first of :func:`check`'s findings; check is asked before, so a user sees all of them.
    """
    try:
        parsed: ActionInputs = action.inputs.model_validate(given(inputs))
    except ValidationError:
        raise next(iter(check(action, inputs))) from None
    return parsed


def check(
    action: Action[Any], inputs: Mapping[str, Any], *, is_secret: Callable[[str], bool] = lambda _path: False
) -> list[InvalidInput]:
    """Everything that is wrong with the inputs. Unknown values are taken for right.

    ``is_secret`` tells whether the value at a path must not be shown.
    """
    values = given(inputs)
    problems: list[InvalidInput] = []
    try:
        action.inputs.model_validate(values)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            location = detail["loc"]
            if not isinstance(detail["input"], Unknown) or detail["type"] == "extra_forbidden":
                hidden = _holds_secret(location, is_secret)
                problems.append(InvalidInput(property_path(location), _reason(action, detail, secret=hidden)))
    problems += _duplicates(action, values, is_secret)
    problems += _unfit_values(values)
    if values.get("reconcile") is True and not any(state.means == "Failed" for state in action.states.values()):
        problems.append(
            InvalidInput("reconcile", f"{action.name} has no failed state to reconcile with; take `reconcile` out")
        )
    if len(problems) > MOST_FINDINGS:
        more = f"and {len(problems) - MOST_FINDINGS} more of this kind; mend these first"
        problems = [*problems[:MOST_FINDINGS], InvalidInput(problems[MOST_FINDINGS].path, more)]
    return problems


def _holds_secret(location: Sequence[str | int], is_secret: Callable[[str], bool]) -> bool:
    """Whether the value there is secret, or is part of one that is."""
    return any(is_secret(property_path(location[:length])) for length in range(1, len(location) + 1))


def named_targets(action: Action[Any], values: Mapping[str, Any]) -> Iterator[tuple[list[str | int], str]]:
    """The targets that the inputs name, as far as they are known, each with where it stands."""
    if action.target_list is None:
        (name,) = (name for name in action.identity if name != action.container_property)
        if isinstance(values.get(name), str):
            yield [name], values[name]
        return
    name, key = action.target_list
    items = values.get(name)
    if not isinstance(items, Sequence) or isinstance(items, str):
        return
    for index, item in enumerate(items):
        target = item.get(key) if key and type(item) is dict else item
        if isinstance(target, str):
            yield [name, index, key] if key else [name, index], target


def _duplicates(
    action: Action[Any], values: Mapping[str, Any], is_secret: Callable[[str], bool]
) -> Iterator[InvalidInput]:
    seen: set[str] = set()
    for location, target in named_targets(action, values):
        if target in seen:
            shown = "this target" if _holds_secret(location, is_secret) else repr(target)
            yield InvalidInput(property_path(location), f"{shown} is listed before; name each target once")
        seen.add(target)


def _unfit_values(values: Mapping[str, Any]) -> Iterator[InvalidInput]:
    """What JSON can say, and what will not be what was meant: in ``triggers`` it would fire never, or always."""
    for location, value in _leaves(values.get("triggers"), ("triggers",)):
        if isinstance(value, int | float) and not isinstance(value, bool) and not abs(value) < EXACT:
            reason = "is no number that the wire holds exactly (those are below 2^53); write it as a text"
            yield InvalidInput(property_path(location), reason)
        elif isinstance(value, str) and _OUTPUT_AS_TEXT.search(value):
            reason = (
                "holds the words that stand for an Output in a text, which never change. Make the text when the output "
                'is known: pulumi.Output.format("after {0}", output) in Python, pulumi.interpolate in TypeScript'
            )
            yield InvalidInput(property_path(location), reason)


EXACT = 2**53
"""From this size on, whole numbers that differ are the same double, which is all that the wire knows."""

_OUTPUT_AS_TEXT = re.compile(r"Calling \[?\w+\]? on an \[?Output[\[<]T[\]>]\]? is not supported", re.IGNORECASE)
"""What Pulumi's SDKs for Python (``__str__``) and Node.js (``toString``, ``toJSON``) make of an output in a text."""


def _leaves(value: Any, location: tuple[str | int, ...]) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _leaves(item, (*location, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _leaves(item, (*location, index))
    else:
        yield location, value


def _reason(action: Action[Any], detail: ErrorDetails, *, secret: bool) -> str:
    kind, location = detail["type"], detail["loc"]
    if kind == "extra_forbidden":
        known = sorted(_properties_at(action.inputs, location[:-1]))
        return f"{action.name} has no such property; {nearest(str(location[-1]), known)}"
    shown = "" if secret or kind in _SAY_IT_ALL else got(detail["input"])
    return f"{sentence(detail)}{shown}"


_SAY_IT_ALL = frozenset({"missing", "string_too_short", "too_short", "too_long"})
"""Errors whose words need no value beside them."""


def _properties_at(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    for part in location:
        if isinstance(part, str):
            model = next(_item_model(field.annotation) for field in model.model_fields.values() if field.alias == part)
    return [field.alias or name for name, field in model.model_fields.items()]


def _item_model(annotation: Any) -> type[BaseModel]:
    # Only lists of objects have properties of their own.
    item: type[BaseModel] = annotation.__args__[0]
    return item
