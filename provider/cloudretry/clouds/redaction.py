"""The one place where secrets are taken out of words."""

from __future__ import annotations

__all__ = ["Redaction"]

_SHORTEST = 4
"""A shorter secret would black out half of every sentence, and guards nothing."""


class Redaction:
    """Knows the secrets of one connection and blots them out of any text that leaves it."""

    def __init__(self) -> None:
        self._secrets: tuple[str, ...] = ()

    def add(self, *secrets: str | None) -> None:
        """From now on, none of these shows."""
        known = {*self._secrets, *(secret for secret in secrets if secret and len(secret) >= _SHORTEST)}
        # The longest first: one secret may be part of another.
        self._secrets = tuple(sorted(known, key=len, reverse=True))

    def __call__(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text
