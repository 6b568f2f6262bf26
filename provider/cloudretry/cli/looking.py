"""Looking at targets, for the commands that show them. Only status calls."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cloudretry.actions import Action
from cloudretry.backend import ConfiguredBackend
from cloudretry.cli.commands import Refused
from cloudretry.clock import Clock
from cloudretry.inputs import check, parse
from cloudretry.lifecycle import Circumstances
from cloudretry.lifecycle.circumstances import open_session
from cloudretry.model import Cloud, Observation, Place, StateClass, Target
from cloudretry.run import Session, look
from cloudretry.run.looker import Looker, Observe, Seen

__all__ = ["HEADS", "Lookout", "Sight", "TellingLooker", "require_inputs", "row"]

HEADS = ("target", "state", "class", "can be retried", "message")

_CLOUDS = {Cloud.HUAWEICLOUD: "Huawei Cloud", Cloud.ALICLOUD: "Alibaba Cloud"}


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of the targets, by key."""

    action: Action[Any]
    place: Place
    emulator: bool
    seen: Mapping[str, Observation]

    @property
    def where(self) -> str:
        """The place in words; of the emulator, that it is no cloud."""
        parts = [f"region {self.place.region}"]
        if self.place.project_id:
            parts.append(f"project {self.place.project_id}")
        if self.place.container:
            parts.append(f"{self.action.container_property} {self.place.container}")
        cloud = "the emulator (no cloud is called)" if self.emulator else _CLOUDS[self.action.cloud]
        return f"{cloud}, {', '.join(parts)}"

    @property
    def unfit(self) -> list[str]:
        """The targets that cannot be retried now."""
        return [key for key, seen in self.seen.items() if seen.missing or not seen.retryable]

    @property
    def settled(self) -> bool:
        return not any(seen.means is StateClass.IN_PROGRESS for seen in self.seen.values())

    @property
    def failed(self) -> bool:
        return any(seen.means is StateClass.FAILED for seen in self.seen.values())

    def rows(self) -> Iterator[tuple[str, ...]]:
        for key, seen in self.seen.items():
            yield row(self.action, key, seen)

    def to_json(self) -> dict[str, Any]:
        return {
            "action": self.action.token,
            "region": self.place.region,
            "projectId": self.place.project_id,
            **({self.action.container_property: self.place.container} if self.place.container else {}),
            "emulator": self.emulator,
            "targets": [
                {
                    "target": key,
                    "class": _class(seen),
                    "cloudStatus": seen.cloud_status,
                    "retryable": seen.retryable,
                    "message": seen.message,
                    "errorCode": seen.error_code,
                }
                for key, seen in self.seen.items()
            ],
        }


def row(action: Action[Any], key: str, seen: Observation) -> tuple[str, ...]:
    """A target in a table under :data:`HEADS`."""
    state = action.states.get(seen.cloud_status)
    words = ": ".join(filter(None, (seen.error_code, seen.message))) or (state.text if state else "")
    return key, seen.cloud_status or "-", _class(seen), "yes" if seen.retryable else "no", words


def _class(seen: Observation) -> str:
    return "NotFound" if seen.missing else seen.means.value


class Lookout:
    """Looks at the targets that the inputs name, as often as it is asked to.

    A time-out is in seconds.
    """

    def __init__(
        self,
        action: Action[Any],
        values: Mapping[str, Any],
        backend: ConfiguredBackend,
        cancelled: asyncio.Event,
        timeout: float,
    ) -> None:
        self._action = action
        self._inputs = parse(action, values)
        self._backend = backend
        self._circumstances = Circumstances(cancelled=cancelled, timeout=timeout)
        self._session: Session | None = None

    async def look(self) -> Sight:
        """What is seen now.

        :raises CloudRetryError: the cloud cannot be asked.
        """
        if self._session is None:
            self._session = await open_session(self._action, None, self._inputs, self._backend, self._circumstances)
        seen = await look(self._session, self._action.targets(self._inputs))
        return Sight(self._action, self._session.place, self._session.client.emulator, seen)


class TellingLooker(Looker):
    """A looker that tells what it sees."""

    def __init__(self, tell: Callable[[Mapping[str, Observation]], None]) -> None:
        super().__init__()
        self._tell = tell

    async def look(
        self, place: object, clock: Clock, observe: Observe, size: int, targets: Sequence[Target], *, within: float
    ) -> Seen:
        seen = await super().look(place, clock, observe, size, targets, within=within)
        self._tell({key: answer for key, answer in seen.items() if isinstance(answer, Observation)})
        return seen


def require_inputs(action: Action[Any], values: Mapping[str, Any]) -> None:
    """See that an action can be asked with these inputs.

    :raises Refused: it cannot; every problem is named.
    """
    if problems := check(action, values):
        lines = "\n".join(f"  {problem}" for problem in problems)
        raise Refused(f"{action.title} cannot be asked like this:\n{lines}")
