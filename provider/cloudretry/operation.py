"""One call of a cloud API: the name, verb and path that its document gives it."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Operation"]


@dataclass(frozen=True, slots=True)
class Operation:
    """A documented API call. The client builds requests from it and the emulator routes by it.

    ``service`` is one of ``modelarts``, ``workspace``, ``drs``, ``ehpc``. ``path`` is a template whose
    ``{names}`` are path parameters; an Alibaba Cloud RPC call has the path ``/`` and is told apart by its name.
    ``looks`` marks a POST that changes nothing.
    """

    name: str
    service: str
    method: str
    path: str
    looks: bool = False
