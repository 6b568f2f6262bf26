"""What surrounds a call of the lifecycle: the configuration's means, the time allowed, and what is left behind."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from cloudretry.actions import Action
from cloudretry.actions.base import ActionInputs
from cloudretry.clock import Clock
from cloudretry.ledger import Asker, Ledger
from cloudretry.model import Cloud, CloudClient, Place
from cloudretry.record import Record
from cloudretry.run import Session
from cloudretry.run.looker import Looker

__all__ = ["DEFAULT_TIMEOUT", "Backend", "Circumstances", "Outcome", "open_session"]

DEFAULT_TIMEOUT = 1800.0
"""Seconds that a create or an update may take when ``customTimeouts`` says nothing."""


class Backend(Protocol):
    """What the provider's configuration gives to a run."""

    clock: Clock
    executor: Executor
    poll_interval: float | None
    state: str
    """Where the state is kept, as far as that is known, without credentials."""
    deployment: str
    """The engine that runs the program, as far as that is known."""
    emulated: bool
    """Whether no real cloud is called."""

    def ledger(self, action: Action[Any], place: Place) -> Ledger | None:
        """The ledger of a place; ``None`` if no journal is kept, or the place is not known well enough. Asks nobody."""

    def connect(self, cloud: Cloud, *, region: str | None, project_id: str | None) -> CloudClient:
        """A client for this place that knows its project; values that are ``None`` come from the configuration. May ask
        the cloud.

        :raises ConfigurationError: something is missing; the text says how to give it.
        :raises CloudRetryError: the project cannot be found.
        """

    def at_hand(self, cloud: Cloud, *, region: str | None, project_id: str | None) -> CloudClient | None:
        """The client for this place, if it was connected before. Asks nobody."""

    def inherited(self, cloud: Cloud) -> Place:
        """The region and project of a resource that names none, empty where only the cloud could tell. Asks nobody."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """How one call may proceed.

    ``resource`` is the resource's name; without one nothing is journalled. ``timeout`` is in seconds.
    Runs of one event loop that share a ``looker`` share their status calls.
    ``is_secret`` tells a target that must not be written down.
    ``progress`` takes lines that the next one replaces, ``notice`` lines that stay. ``jitter`` gives the random part
    of pauses, from 0 to 1.
    """

    resource: str = ""
    timeout: float = DEFAULT_TIMEOUT
    cancelled: asyncio.Event = field(default_factory=asyncio.Event)
    is_secret: Callable[[str], bool] = lambda _key: False
    progress: Callable[[str], None] = lambda _line: None
    notice: Callable[[str], None] = lambda _line: None
    jitter: Callable[[], float] = random.SystemRandom().random
    looker: Looker = field(default_factory=Looker)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a create, update or read leaves behind. ``failure`` is what fails the ``up``; the outputs stay valid.

    ``asker`` is the run's part in the ledger, to which the front says what becomes of the outcome.
    """

    resource_id: str
    outputs: dict[str, Any]
    failure: str = ""
    asker: Asker | None = None


async def open_session(
    action: Action[Any],
    record: Record | None,
    inputs: ActionInputs,
    backend: Backend,
    circumstances: Circumstances,
) -> Session:
    """A session in the resource's own place: as set, else as recorded, else as configured.

    :raises CloudRetryError: there is no way to the cloud, or the project cannot be found.
    """
    deadline = backend.clock.monotonic() + circumstances.timeout
    region = inputs.region or (record.place.region if record else None)
    project_id = getattr(inputs, "project_id", None) or (record.place.project_id if record else None)
    container = str(inputs.model_dump(by_alias=True).get(action.container_property, ""))

    where = {"region": region or None, "project_id": project_id or None}
    client = backend.at_hand(action.cloud, **where)
    if client is None:
        connect = partial(backend.connect, action.cloud, **where)
        client = await asyncio.get_running_loop().run_in_executor(backend.executor, connect)
    return Session(
        action=action,
        inputs=inputs,
        place=Place(client.region, client.project_id, container),
        client=client,
        clock=backend.clock,
        executor=backend.executor,
        deadline=deadline,
        cancelled=circumstances.cancelled,
        progress=circumstances.progress,
        notice=circumstances.notice,
        jitter=circumstances.jitter,
        looker=circumstances.looker,
        poll_interval=backend.poll_interval,
    )
