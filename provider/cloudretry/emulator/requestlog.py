"""What was asked of the emulator: every request to a cloud API, with its secrets removed."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, urlencode

from cloudretry.emulator.exchange import Call
from cloudretry.emulator.store import Transaction

__all__ = ["RequestRecord", "listing", "record"]

_KEPT = 20_000
_LONGEST_BODY = 65_536
_REDACTED = "[redacted]"
_SECRET_HEADERS = frozenset(
    {"x-auth-token", "x-subject-token", "x-security-token", "x-acs-security-token", "cookie", "proxy-authorization"}
)
_SECRET_PARAMETERS = frozenset({"Signature", "SecurityToken"})


@dataclass(frozen=True, slots=True)
class RequestRecord:
    """One request. ``time`` is seconds since the epoch by the emulator's clock.

    ``status`` is ``None`` if the connection was dropped. ``effects`` counts the targets on which a retry took hold;
    ``targets`` are those that it was about. ``fault`` tells that a fault hit it.
    """

    number: int
    time: float
    operation: str
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: str
    targets: tuple[str, ...]
    status: int | None
    effects: int
    fault: bool

    @property
    def had_effect(self) -> bool:
        return self.effects > 0

    def to_json(self) -> dict[str, Any]:
        moment = datetime.fromtimestamp(self.time, UTC).isoformat(timespec="milliseconds")
        return {**asdict(self), "time": moment.replace("+00:00", "Z"), "hadEffect": self.had_effect}


def record(tx: Transaction, call: Call, *, status: int | None, fault: bool, is_secret: bool) -> None:
    """Write a request down. ``is_secret`` leaves out the body, which holds credentials."""
    facts = {
        "time": call.now,
        "method": call.method,
        "path": call.raw_path,
        "query": _redact_pairs(call.query_pairs()),
        "headers": {name: _redact_header(name, value) for name, value in call.headers.items()},
        "body": _REDACTED if is_secret and call.body else _body(call),
        "targets": call.targets,
        "status": status,
        "fault": fault,
    }
    cursor = tx.execute(
        "INSERT INTO requests (operation, effects, record) VALUES (?, ?, ?)",
        (call.operation, call.effects, json.dumps(facts)),
    )
    tx.execute("DELETE FROM requests WHERE number <= ?", ((cursor.lastrowid or 0) - _KEPT,))


def listing(tx: Transaction, operation: str | None = None) -> list[RequestRecord]:
    """The requests in the order in which they came; those of one operation, if it is named."""
    rows = tx.execute(
        "SELECT number, operation, effects, record FROM requests WHERE ? IS NULL OR operation = ? ORDER BY number",
        (operation, operation),
    )
    records = []
    for number, name, effects, text in rows:
        facts = json.loads(text)
        facts["targets"] = tuple(facts["targets"])
        records.append(RequestRecord(number=number, operation=name, effects=effects, **facts))
    return records


def _redact_header(name: str, value: str) -> str:
    if name == "authorization":
        return f"{value.partition(' ')[0]} {_REDACTED}"
    return _REDACTED if name in _SECRET_HEADERS else value


def _redact_pairs(pairs: list[tuple[str, str]]) -> dict[str, str]:
    return {name: _REDACTED if name in _SECRET_PARAMETERS else value for name, value in pairs}


def _body(call: Call) -> str:
    text = call.body.decode(errors="replace")
    if call.form_pairs():
        text = urlencode(_redact_pairs(parse_qsl(text, keep_blank_values=True)))
    return text[:_LONGEST_BODY]
