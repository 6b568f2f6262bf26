"""Words that come from elsewhere, made fit to be shown."""

from __future__ import annotations

__all__ = ["one_line", "shortened"]


def one_line(value: object) -> str:
    """A value as text without line breaks and other control characters: it may be a cloud's own words."""
    return " ".join("".join(mark if mark.isprintable() else " " for mark in str(value)).split())


def shortened(text: str, length: int) -> str:
    """The text, or its beginning with an ellipsis: at most ``length`` characters."""
    return text if len(text) <= length else text[: length - 1].rstrip() + "…"
