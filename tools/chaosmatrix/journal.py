"""The product's journal as a bystander sees it: read while others write it."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["Entry", "entries", "litter"]


@dataclass(frozen=True, slots=True)
class Entry:
    """An open record. ``answered`` says that the cloud's answer is in it, whole."""

    fire_id: str
    answered: bool
    request_id: str = ""


def entries(folder: Path) -> list[Entry]:
    """The open records, of all resources."""
    found = []
    for path in _files(folder):
        if path.endswith(".fire"):
            with contextlib.suppress(OSError):
                found.append(_entry(path))
    return found


def litter(folder: Path) -> list[str]:
    """What lies in the journal beside records, open or committed, and locks."""
    return [
        os.path.relpath(path, folder)
        for path in _files(folder)
        if not path.endswith((".fire", ".saved", f"{os.sep}lock"))
    ]


def _files(folder: Path) -> list[str]:
    files: list[str] = []
    with contextlib.suppress(OSError):
        for resource in os.listdir(folder):
            inside = os.path.join(folder, resource)
            with contextlib.suppress(OSError):
                files += [os.path.join(inside, name) for name in os.listdir(inside)]
    return files


def _entry(path: str) -> Entry:
    lines = Path(path).read_text(encoding="utf-8").splitlines(keepends=True)
    answer: dict[str, Any] = {}
    if len(lines) > 1 and lines[1].endswith("\n"):
        with contextlib.suppress(ValueError):
            answer = json.loads(lines[1])
    return Entry(Path(path).stem, bool(answer), str(answer.get("requestId", "")))
