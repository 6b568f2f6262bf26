"""What is wrong with a value, in our words: one table for a resource's inputs and for the configuration.

No sentence in here holds the value. Who may show it appends :func:`got`.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any

from pydantic_core import ErrorDetails

__all__ = ["got", "nearest", "sentence"]

_SENTENCES = {
    "missing": "is required",
    "enum": "must be one of {expected}",
    "literal_error": "must be one of {expected}",
    "string_type": "must be a string",
    "string_pattern_mismatch": "does not have the form of such a value ({pattern})",
    "string_too_short": "must not be empty",
    "string_too_long": "must not be longer than {max_length} characters",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a whole number of fewer digits",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "greater_than": "must be more than {gt:.15g}",
    "greater_than_equal": "must be at least {ge:.15g}",
    "less_than_equal": "must be at most {le:.15g}",
    "list_type": "must be a list",
    "too_short": "must name at least one",
    "too_long": "must name at most {max_length}: the state of more could not be saved when they fail; make it several",
    "dict_type": "must be a map",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "value_error": "{error}",
}
"""By pydantic's error types; what is not here says it in pydantic's own words."""


def sentence(detail: ErrorDetails) -> str:
    """What is wrong, without the value: ``must be at least 1``."""
    words = _SENTENCES.get(detail["type"])
    if words is None:
        return f"{detail['msg'][:1].lower()}{detail['msg'][1:]}"
    return words.format(**detail.get("ctx", {}))


def got(value: Any) -> str:
    """The value in short, to go behind a sentence. What has parts is only named: a part may be secret."""
    if not isinstance(value, str | int | float):
        return ""
    shown = repr(value)
    return f", got {shown if len(shown) <= 60 else f'{shown[:57]}...'}"


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint at the name that was meant, or at all that there are."""
    names = list(known)
    near = get_close_matches(name, names, n=1, cutoff=0.6)
    return f"did you mean {near[0]}?" if near else f"there are {', '.join(names)}"
