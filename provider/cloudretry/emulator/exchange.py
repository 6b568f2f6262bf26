"""One request and its answer, as the handlers of the cloud APIs see them: no sockets, no framework."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

if TYPE_CHECKING:
    from cloudretry.emulator.store import Transaction

__all__ = ["Answer", "Call", "Handler", "Identity", "Refusal", "parse_json", "whole_number"]


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text.

    :raises ValueError: it is none, is nested too deep to be read, or spells half a character.
    """
    try:
        value = json.loads(text)
    except RecursionError:
        raise ValueError("nested too deep") from None
    # Half of a surrogate pair can be spelled, and neither be stored nor sent back.
    json.dumps(value, ensure_ascii=False).encode()
    return value


def whole_number(text: str, *, least: int = 0, most: int) -> int | None:
    """The number that a parameter spells in digits, if it is one in these bounds."""
    if not (text.isascii() and text.isdecimal()) or len(text) > len(str(most)):
        return None
    number = int(text)
    return number if least <= number <= most else None


@dataclass(slots=True)
class Call:
    """A request to a cloud API.

    ``raw_path`` is percent-encoded as it was sent; ``headers`` have lower-case names; ``now`` is seconds since the
    epoch by the emulator's clock. Handlers append the ids they were asked about to ``targets``; a fire that took
    hold counts in ``effects``.
    """

    operation: str
    method: str
    raw_path: str
    raw_query: str
    headers: Mapping[str, str]
    body: bytes
    path: Mapping[str, str]
    now: float
    request_id: str
    base_url: str
    host: str
    targets: list[str] = field(default_factory=list)
    effects: int = 0

    def header(self, name: str) -> str:
        return self.headers.get(name.lower(), "")

    def query_pairs(self) -> list[tuple[str, str]]:
        return parse_qsl(self.raw_query, keep_blank_values=True)

    def form_pairs(self) -> list[tuple[str, str]]:
        """The fields of an URL-encoded body; none if the body is anything else."""
        if self.header("content-type").partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
            return []
        return parse_qsl(self.body.decode(errors="replace"), keep_blank_values=True)

    def parameters(self) -> dict[str, str]:
        """Query and form fields together; the form wins."""
        return dict(self.query_pairs() + self.form_pairs())

    def json(self) -> Any:
        """The body as JSON.

        :raises ValueError: it is not JSON.
        """
        return parse_json(self.body)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler says: a JSON-like body, a status, and headers beyond the usual ones."""

    body: Mapping[str, Any]
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Refusal(Exception):
    """The call is refused with this status and body; nothing has been changed."""

    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        super().__init__(f"{status} {body}")
        self.answer = Answer(body, status, headers or {})


@dataclass(frozen=True, slots=True)
class Identity:
    """Who signed the call. ``project_id`` is set when the credential is good for that project only."""

    project_id: str | None = None
    is_domain_scoped: bool = False


Handler = Callable[[Call, "Transaction"], Answer]
