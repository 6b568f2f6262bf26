"""What repeated measurements come to. Never a mean: one slow run must not move a figure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

__all__ = ["Spread", "differences", "most_within", "ratios", "rounded"]


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some measurements, and the least and the greatest of them."""

    median: float
    least: float
    greatest: float
    count: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(median(values), min(values), max(values), len(values))

    def text(self, unit: str = "", *, digits: int = 2) -> str:
        """Such as ``1.05 (1.01 to 1.12)``, with a dash; of one measurement without a spread, and told so."""
        unit = unit and f" {unit}"
        if self.count == 1:
            return f"{self.median:.{digits}f}{unit} (once)"
        return f"{self.median:.{digits}f}{unit} ({self.least:.{digits}f}–{self.greatest:.{digits}f})"


def rounded(value: float) -> str:
    """Three digits that count, and no exponent."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def ratios(values: Sequence[float], base: Sequence[float]) -> Spread:
    """How many times more one contender takes than another, round by round: the two ran shortly after each other.

    Of a contender with fewer rounds, the first ones are compared.
    """
    return Spread.of([value / other for value, other in zip(values, base, strict=False)])


def differences(values: Sequence[float], base: Sequence[float]) -> Spread:
    """How much more one contender takes than another, round by round."""
    return Spread.of([value - other for value, other in zip(values, base, strict=False)])


def most_within(times: Sequence[float], seconds: float) -> int:
    """The most events in any span of this length, its end not included."""
    ordered, first, most = sorted(times), 0, 0
    for last, at in enumerate(ordered):
        while at - ordered[first] >= seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
