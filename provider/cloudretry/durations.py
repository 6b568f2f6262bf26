"""Durations as people write them: ``500ms``, ``30s``, ``5m``, ``1h30m``. Inside, they are float seconds."""

from __future__ import annotations

import re

from cloudretry.bounds import LONGEST_DURATION

__all__ = ["FORM", "parse", "show"]

FORM = "a number with its unit (h, m, s or ms), as in 500ms, 30s, 5m or 1h30m"

_NUMBER = r"\d+(?:\.\d+)?"
_PATTERN = re.compile(
    rf"(?=.)(?:({_NUMBER})h)?(?:({_NUMBER})m)?(?:({_NUMBER})s)?(?:({_NUMBER})ms)?", re.ASCII | re.IGNORECASE
)
_UNITS = (3600.0, 60.0, 1.0, 0.001)


def parse(text: str) -> float:
    """Seconds of a duration such as ``1h30m``. Units come in falling order, each at most once.

    :raises ValueError: the text is not a duration, or one of more than a year; the words do not repeat it.
    """
    match = _PATTERN.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"is not a duration; write {FORM}")
    seconds = sum(float(number) * unit for number, unit in zip(match.groups(), _UNITS, strict=True) if number)
    if seconds > LONGEST_DURATION:
        raise ValueError(f"is too long a time; the longest is {show(LONGEST_DURATION)}, a year")
    return seconds


def show(seconds: float) -> str:
    """The shortest form that :func:`parse` reads back, to the millisecond: ``1h30m``, ``1.5s``, ``0s``.

    :raises ValueError: the number is negative or not finite.
    """
    if not 0 <= seconds < float("inf"):
        raise ValueError(f"{seconds!r} is not a length of time")
    milliseconds = round(seconds * 1000)
    if 0 < milliseconds < 1000:
        return f"{milliseconds}ms"
    minutes, milliseconds = divmod(milliseconds, 60_000)
    hours, minutes = divmod(minutes, 60)
    parts = [f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    if milliseconds or not (hours or minutes):
        parts.append(f"{milliseconds / 1000:g}s")
    return "".join(parts)
