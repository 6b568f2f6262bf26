"""Where a secret input shows up again: in results, in errors, in progress lines."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from cloudretry.plugin.marshal import Secret
from cloudretry.record import OWN_OUTPUTS

__all__ = ["Secrecy"]

BLOT = "[secret]"


class Secrecy:
    """Secret texts, and how to keep them out of everything that is shown or stored.

    A text is recognized as a whole word only: a job id ``10`` does not black out ``2010``.
    """

    def __init__(self, texts: Iterable[str]) -> None:
        # The longest first: one secret may be part of another.
        known = sorted({text for text in texts if text.strip()}, key=len, reverse=True)
        words = "|".join(re.escape(text) for text in known)
        self._found = re.compile(rf"(?<![A-Za-z0-9])(?:{words})(?![A-Za-z0-9])") if known else None

    @classmethod
    def of(cls, *properties: Mapping[str, Any]) -> Secrecy:
        """Everything that is marked secret in the properties.

        Of a run's own outputs that is the names of targets. An output that is secret as a whole was made so by
        ``additionalSecretOutputs``, and its words, such as ``Succeeded``, stand elsewhere as well.
        """
        return cls(
            text
            for given in properties
            for name, value in given.items()
            for text in (_target_names(value) if name in OWN_OUTPUTS else _secret_texts(value, secret=False))
        )

    def hides(self, text: str) -> bool:
        """Whether the text holds a secret."""
        return self._found is not None and self._found.search(text) is not None

    def redact(self, text: str) -> str:
        """The text without its secrets."""
        return text if self._found is None else self._found.sub(BLOT, text)

    def mark(self, value: Any) -> Any:
        """The value with every text in it that holds a secret marked as one."""
        if self._found is None or isinstance(value, Secret):
            return value
        if isinstance(value, str):
            return Secret(value) if self.hides(value) else value
        if isinstance(value, Mapping):
            return {name: self.mark(item) for name, item in value.items()}
        if isinstance(value, list):
            return [self.mark(item) for item in value]
        return value


def _target_names(value: Any) -> Iterator[str]:
    """The targets that are marked secret in ``results`` or ``history``, though their inputs may be gone."""
    items = value.value if isinstance(value, Secret) else value
    for item in items if isinstance(items, list) else ():
        if isinstance(item, Mapping):
            failed = item.get("failedTargets")
            named = [item.get("target"), item.get("handle"), *(failed if isinstance(failed, list) else ())]
            yield from (name.value for name in named if isinstance(name, Secret) and isinstance(name.value, str))


def _secret_texts(value: Any, *, secret: bool) -> Iterator[str]:
    if isinstance(value, Secret):
        yield from _secret_texts(value.value, secret=True)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _secret_texts(item, secret=secret)
    elif isinstance(value, list):
        for item in value:
            yield from _secret_texts(item, secret=secret)
    elif secret and isinstance(value, str):
        yield value
