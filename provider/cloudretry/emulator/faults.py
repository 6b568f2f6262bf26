"""Faults that a test asks for: a named operation answers badly, late, or not at all, a number of times."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import Field, PositiveInt, ValidationError, model_validator

from cloudretry.emulator.errors import ScenarioError
from cloudretry.emulator.scenario import StrictModel, explain
from cloudretry.emulator.store import Transaction

__all__ = ["ActiveFault", "Fault", "add", "clear", "listing", "parse", "take"]


class Fault(StrictModel):
    """What happens to the next ``times`` requests of an ``operation`` (``*``: of any), after ``skip`` untouched ones.

    ======================  =========================================================================
    ``status``              this status, with ``body`` and ``headers``, is answered instead of the effect;
                            with ``after: true`` the effect happens first
    ``drop: before|after``  the connection is closed before or after the effect, without an answer
    ``delay``               seconds to wait before the effect, or with ``after: true`` behind it
    ``truncate: true``      the effect happens, and half of the answer's body is missing
    ======================  =========================================================================

    ``delay`` goes with any of the others. ``times: null`` lasts until it is cleared.
    """

    operation: Annotated[str, Field(min_length=1)]
    times: PositiveInt | None = 1
    skip: Annotated[int, Field(ge=0)] = 0
    status: Annotated[int, Field(ge=200, le=599)] | None = None
    body: Any = None
    headers: Mapping[str, str] = {}
    after: bool = False
    drop: Literal["before", "after"] | None = None
    delay: Annotated[float, Field(ge=0, allow_inf_nan=False)] = 0.0
    truncate: bool = False

    @model_validator(mode="after")
    def _does_one_thing(self) -> Fault:
        chosen = [
            name
            for name, is_given in (
                ("status", self.status is not None),
                ("drop", self.drop is not None),
                ("truncate", self.truncate),
            )
            if is_given
        ]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(chosen)} exclude each other; choose one")
        if not chosen and not self.delay:
            raise ValueError("says nothing to do; give status, drop, delay or truncate")
        if self.status is None and (self.body is not None or self.headers):
            raise ValueError("body and headers go with status")
        return self

    @property
    def replaces_effect(self) -> bool:
        """The request ends without an effect."""
        return self.drop == "before" or (self.status is not None and not self.after)


@dataclass(frozen=True, slots=True)
class ActiveFault:
    """A fault as it stands: how many requests it will still let pass or hit, and how many it has hit."""

    number: int
    fault: Mapping[str, Any]
    skip: int
    times: int | None
    hits: int

    def to_json(self) -> dict[str, Any]:
        left = asdict(self)
        return {**left.pop("fault"), **left}


def parse(document: Any) -> Fault:
    """A fault from parsed JSON.

    :raises ScenarioError: it is not one; the text says why.
    """
    try:
        return Fault.model_validate(document)
    except ValidationError as error:
        raise ScenarioError(explain(error, "fault")) from error


def add(tx: Transaction, fault: Fault) -> ActiveFault:
    cursor = tx.execute(
        "INSERT INTO faults (operation, skip, times, hits, fault) VALUES (?, ?, ?, 0, ?)",
        (fault.operation, fault.skip, fault.times, fault.model_dump_json(by_alias=True, exclude_defaults=True)),
    )
    return next(active for active in listing(tx) if active.number == cursor.lastrowid)


def listing(tx: Transaction) -> list[ActiveFault]:
    """Every fault, spent ones too."""
    rows = tx.execute("SELECT number, fault, skip, times, hits FROM faults ORDER BY number")
    return [
        ActiveFault(number, Fault.model_validate_json(text).model_dump(by_alias=True, exclude_defaults=True), *left)
        for number, text, *left in rows
    ]


def clear(tx: Transaction) -> None:
    tx.execute("DELETE FROM faults")


def take(tx: Transaction, operation: str) -> Fault | None:
    """The fault that hits this request, counted; ``None`` if there is none."""
    rows = tx.execute(
        "SELECT number, skip, fault FROM faults WHERE operation IN (?, '*') AND (times IS NULL OR times > 0) "
        "ORDER BY number",
        (operation,),
    ).fetchall()
    for number, skip, text in rows:
        if skip:
            tx.execute("UPDATE faults SET skip = skip - 1 WHERE number = ?", (number,))
            continue
        tx.execute("UPDATE faults SET times = times - 1, hits = hits + 1 WHERE number = ?", (number,))
        return Fault.model_validate_json(text)
    return None
