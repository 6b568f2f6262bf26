"""What the targets that an `up` would fire show now, for the preview. Only status calls, and never for long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cloudretry.actions import Action
from cloudretry.actions.base import FireWhen
from cloudretry.errors import CloudRetryError
from cloudretry.inputs import parse
from cloudretry.lifecycle.circumstances import Backend, Circumstances, open_session
from cloudretry.lifecycle.forecast import NAMED
from cloudretry.model import Observation, Target
from cloudretry.record import Record
from cloudretry.run import look

__all__ = ["PATIENCE", "Outlook"]

PATIENCE = 3.0
"""Seconds after which a preview goes on without an answer."""


TOGETHER = 0.05
"""Seconds within which the resources of a preview share their status calls."""


class Outlook:
    """One for all previews of a process: where a look was of no avail, no other one is tried."""

    def __init__(self) -> None:
        self._given_up: set[object] = set()

    async def tell(
        self,
        action: Action[Any],
        values: Mapping[str, Any],
        outputs: Mapping[str, Any] | None,
        targets: Sequence[Target],
        backend: Backend,
        circumstances: Circumstances,
    ) -> str:
        """A line such as "2 of 3 can be retried; jb3 is INCRE_TRANSFER_STARTED, a retry would be refused".

        Never raises for want of network, credentials or permission: it says so once for each kind of target and place.
        """
        inputs = parse(action, values)
        place = (action.token, inputs.region, getattr(inputs, "project_id", None))
        if place in self._given_up:
            return ""
        record = None if outputs is None else Record.from_outputs(action, outputs)
        try:
            async with asyncio.timeout(PATIENCE):
                session = await open_session(action, record, inputs, backend, circumstances)
                seen = await look(session, [replace(target, handle="") for target in targets], within=TOGETHER)
        except (TimeoutError, CloudRetryError) as error:
            self._given_up.add(place)
            return f"not looked at: {error if str(error) else f'no answer within {PATIENCE:.0f} s'}"
        return _told(targets, seen, skips=inputs.fire_when is FireWhen.RETRYABLE)


def _told(targets: Sequence[Target], seen: Mapping[str, Observation], *, skips: bool) -> str:
    unfit = [target.key for target in targets if seen[target.key].missing or not seen[target.key].retryable]
    fit = len(targets) - len(unfit)
    said = [f"{fit} of {len(targets)} can be retried" if unfit else "all can be retried"]
    for key in unfit[:NAMED]:
        if seen[key].missing:
            said.append(f"{key} was not found")
        else:
            refused = "and would be skipped" if skips else "so a retry would be refused"
            said.append(f"{key} is {seen[key].cloud_status or 'in an unknown state'} {refused}")
    if len(unfit) > NAMED:
        said.append(f"nor can {len(unfit) - NAMED} more")
    return "; ".join(said)
