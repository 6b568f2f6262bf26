"""Words that come from elsewhere, made fit to be shown."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["one_line", "said", "shortened"]


def one_line(value: object) -> str:
    """A value as text without line breaks and other control characters: it may be a cloud's own words."""
    return " ".join("".join(mark if mark.isprintable() else " " for mark in str(value)).split())


def shortened(text: str, length: int) -> str:
    """The text, or its beginning with an ellipsis: at most ``length`` characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"


def said(fields: Mapping[str, Any], *names: str, length: int) -> str:
    """The first of these fields that holds words or a whole number: one line of at most ``length`` characters."""
    for name in names:
        value = fields.get(name)
        if isinstance(value, str | int) and not isinstance(value, bool) and (words := one_line(value)):
            return shortened(words, length)
    return ""
