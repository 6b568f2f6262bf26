"""The one place where secrets are taken out of words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from html import escape
from urllib.parse import quote

__all__ = ["Redaction"]

_PROOFS = ("authorization", "x-auth-token", "x-security-token", "x-acs-security-token")
"""Headers that prove who asks."""

_WRITINGS: tuple[Callable[[str], str], ...] = (
    lambda text: json.dumps(text)[1:-1],
    lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    lambda text: quote(text, safe=""),
    escape,
)

_SHORTEST = 4
"""A shorter secret would black out half of every sentence, and guards nothing."""


class Redaction:
    """Knows the secrets of one connection and blots them out of any text that leaves it."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()

    def add(self, *secrets: str | None) -> None:
        """From now on, none of these shows."""
        new = {secret for secret in secrets if secret and len(secret) >= _SHORTEST}.difference(self._secrets)
        if new:
            known = {form for secret in new for form in _forms(secret)}.union(self._secrets)
            # The longest first: one secret may be part of another.
            self._secrets = tuple(sorted(known, key=len, reverse=True))

    def beside(self, headers: Mapping[str, str]) -> Redaction:
        """One that knows as well what these headers of a request prove with: an answer may repeat the request."""
        wider = Redaction()
        wider._secrets = self._secrets
        proofs = {name.lower(): value for name, value in headers.items()}
        wider.add(*(proofs.get(name, "").rpartition("Signature=")[2] for name in _PROOFS))
        return wider

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text


def _forms(secret: str) -> set[str]:
    """How it may be written: as it is, within JSON, a URL or a page, and within one of these in another."""
    once = {secret}.union(write(secret) for write in _WRITINGS)
    return once.union(write(form) for form in once for write in _WRITINGS)
