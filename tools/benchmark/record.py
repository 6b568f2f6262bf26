"""What was measured, as a JSON document: written after each row, and rows of several runs put together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmark.bench import BenchError, Scale
from benchmark.rows import ROWS

__all__ = ["FILE", "document", "fingerprint", "is_full", "is_whole", "read", "scale_as_json", "with_row", "write"]

FILE = "benchmark.json"

Document = dict[str, Any]


def document(machine: Mapping[str, Any], absent: Mapping[str, str]) -> Document:
    """One in which nothing is measured yet."""
    return {"machine": dict(machine), "absent": dict(absent), "rows": {}, "failures": []}


def with_row(base: Document, letter: str, row: Mapping[str, Any], failures: list[Mapping[str, str]]) -> Document:
    """The document with a row that was measured now, in the place of what it had there."""
    rows = {**base["rows"], letter: dict(row)}
    if ROWS[letter].parts and letter in base["rows"]:
        rows[letter] = _joined(base["rows"][letter], row)
    kept = [failure for failure in base["failures"] if failure["row"] != letter]
    return {
        **base,
        "rows": {one: rows[one] for one in ROWS if one in rows},
        "failures": [*kept, *map(dict, failures)],
    }


def _joined(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """A row in sizes, with those measured now beside the others that it had."""
    measured = {**old["measured"], **new["measured"]}
    sizes = sorted(measured, key=int)
    scale = {**new["scale"], "resources": [int(size) for size in sizes]}
    return {**new, "scale": scale, "measured": {size: measured[size] for size in sizes}}


def scale_as_json(scale: Scale, letter: str) -> dict[str, Any]:
    """What a row goes by of the scale, as it is read back from JSON."""
    fields = {name: getattr(scale, name) for name in ROWS[letter].scale}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in fields.items()}


def is_whole(found: Document) -> bool:
    """Whether every row was measured at full scale."""
    return found["rows"].keys() == ROWS.keys() and all(is_full(letter, row) for letter, row in found["rows"].items())


def is_full(letter: str, row: Mapping[str, Any]) -> bool:
    """Whether a row was measured at full scale, or more often."""
    full, scale = scale_as_json(Scale(), letter), row["scale"]
    often = {name for name in full if name.endswith("rounds")}
    same = all(scale.get(name) == value for name, value in full.items() if name not in often)
    return same and all(scale.get(name, 0) >= full[name] for name in often)


def read(file: Path, machine: Mapping[str, Any] | None = None) -> Document:
    """A document, to add to it what is measured on this ``machine``.

    :raises BenchError: it is none, or it was measured on another machine or with other versions.
    """
    try:
        found: Document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BenchError(f"{file} cannot be read: {error}") from None
    if machine is not None and found["machine"] != machine:
        differing = [name for name in machine if found["machine"].get(name) != machine[name]]
        raise BenchError(
            f"{file} was measured elsewhere ({', '.join(differing)} differ): what is measured here cannot be put "
            "beside it; measure all rows"
        )
    return found


def write(found: Document, folder: Path) -> None:
    """Write a document to its file in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps(found, indent=1, ensure_ascii=False)
    (folder / FILE).write_text(f"{_compact(text)}\n", encoding="utf-8")


def _compact(text: str) -> str:
    """Lists of numbers on one line each."""
    lines: list[str] = []
    for line in text.splitlines():
        word = line.strip().rstrip(",")
        inside = bool(lines) and lines[-1].endswith(("[", ", ")) and (_is_number(word) or word == "]")
        if inside and word == "]":
            lines[-1] = lines[-1].removesuffix(", ") + line.strip()
        elif inside:
            lines[-1] += f"{word}, "
        else:
            lines.append(line)
    return "\n".join(lines)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True


def fingerprint(row: Mapping[str, Any]) -> str:
    """What tells whether a chart was drawn from this row."""
    return hashlib.sha256(json.dumps(row, sort_keys=True).encode()).hexdigest()[:16]
