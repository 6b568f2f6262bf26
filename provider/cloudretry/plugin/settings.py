"""The provider's own inputs on their way into state."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, SecretStr

from cloudretry.config import ProviderConfig
from cloudretry.plugin.marshal import Secret

__all__ = ["protect"]


def protect(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """The inputs with every secret marked, also where a program gave it in clear.

    A nested object may come as JSON text; it is secret as a whole when it holds one.
    """
    return _protect(inputs, ProviderConfig)


def _protect(inputs: Mapping[str, Any], model: type[BaseModel]) -> dict[str, Any]:
    fields = {field.alias or name: field.annotation for name, field in model.model_fields.items()}
    return {name: _value(value, fields.get(name)) for name, value in inputs.items()}


def _value(value: Any, annotation: Any) -> Any:
    if isinstance(value, Secret):
        return value
    if _holds(annotation, SecretStr):
        return Secret(value)
    section = _section(annotation)
    if section is None:
        return value
    if isinstance(value, Mapping):
        return _protect(value, section)
    if isinstance(value, str):
        return Secret(value) if _text_holds_secret(value, section) else value
    return value


def _text_holds_secret(text: str, section: type[BaseModel]) -> bool:
    try:
        inner = json.loads(text)
    except ValueError:
        return True
    return isinstance(inner, dict) and any(_is_marked(value) for value in _protect(inner, section).values())


def _is_marked(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(_is_marked(item) for item in value.values())
    return isinstance(value, Secret)


def _holds(annotation: Any, wanted: type) -> bool:
    return annotation is wanted or any(_holds(argument, wanted) for argument in getattr(annotation, "__args__", ()))


def _section(annotation: Any) -> type[BaseModel] | None:
    candidates = (annotation, *getattr(annotation, "__args__", ()))
    return next((item for item in candidates if isinstance(item, type) and issubclass(item, BaseModel)), None)
