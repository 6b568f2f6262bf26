from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from cloudretry import lifecycle
from cloudretry.actions import ACTIONS, Action
from cloudretry.errors import CloudRetryError
from cloudretry.ledger import Fire, Journal, Ledger
from cloudretry.lifecycle import Circumstances, Difference
from cloudretry.model import Cloud, CloudClient, Place
from support.clock import FakeClock
from support.cloud import FakeCloud


class Inline(Executor):
    """Runs what it is given at once, so that a run is the same every time."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(function(*args, **kwargs))
        except Exception as error:  # noqa: BLE001 - it is handed on, as executors do
            future.set_exception(error)
        return future


@dataclass
class FakeBackend:
    clock: FakeClock
    cloud: FakeCloud
    executor: Executor = field(default_factory=Inline)
    poll_interval: float | None = None
    journal: Journal | None = None
    state: str = ""
    deployment: str = ""
    configured: Place = field(default_factory=lambda: Place("eu-de", "p1"))
    connected: list[tuple[str | None, str | None]] = field(default_factory=list)
    failure: CloudRetryError | None = None

    def connect(self, cloud: Cloud, *, region: str | None, project_id: str | None) -> CloudClient:
        self.connected.append((region, project_id))
        if self.failure is not None:
            raise self.failure
        self.cloud.region = region or self.configured.region
        self.cloud.project_id = "" if cloud is Cloud.ALICLOUD else (project_id or self.configured.project_id)
        return self.cloud

    @property
    def emulated(self) -> bool:
        return self.cloud.emulator

    def ledger(self, action: Action[Any], place: Place) -> Ledger | None:
        if self.journal is None or not place.region or (action.cloud is Cloud.HUAWEICLOUD and not place.project_id):
            return None
        return self.journal.at(
            {
                "endpoint": "cloud",
                "region": place.region,
                "project": place.project_id,
                "action": action.token,
                "container": place.container,
            }
        )

    def at_hand(self, _cloud: Cloud, **_place: str | None) -> CloudClient | None:
        return None

    def inherited(self, cloud: Cloud) -> Place:
        return self.configured if cloud is Cloud.HUAWEICLOUD else Place(self.configured.region)


@dataclass(frozen=True)
class Step:
    """What one `up` or refresh did. ``kind`` is the engine's word for it."""

    kind: str
    effects: Counter[str]
    """Effects in the cloud, by target."""
    posts: int
    """Requests that asked for a retry."""
    looks: int
    changes: list[str]
    failure: str
    lines: list[str]

    @property
    def fired(self) -> list[str]:
        return sorted(self.effects.elements())


class World:
    """The engine's part: keeps the state of one resource and calls the lifecycle as the engine does."""

    resource = ""
    """The resource's name in the journal; without one nothing is journalled."""

    dies = False
    """Whether the process is gone before the engine is given the outcome."""

    acknowledges = True
    """Whether the engine tells that it has saved what it was given."""

    def __init__(self, token: str, **inputs: Any) -> None:
        self.action: Action[Any] = ACTIONS[token]
        self.clock = FakeClock()
        self.cloud = FakeCloud(self.clock)
        self.backend = FakeBackend(self.clock, self.cloud)
        self.program: dict[str, Any] = inputs
        self.state: dict[str, Any] | None = None
        self.id = ""
        self.error: CloudRetryError | None = None
        self.is_secret: Callable[[str], bool] = lambda _key: False
        self.jitter: Callable[[], float] = lambda: 0.5
        self.cancel: Callable[[], None] = lambda: None
        """Ends the run that is under way, from any thread."""

    def up(
        self, *, replace: bool = False, timeout: float = 1800.0, cancel_after: float | None = None, **changes: Any
    ) -> Step:
        """Run the program, with some inputs changed from now on; ``None`` takes an input out."""
        self.program = {name: value for name, value in (self.program | changes).items() if value is not None}
        assert lifecycle.check(self.action, self.program) == []
        return self._step(lambda circumstances: self._up(circumstances, replace), timeout, cancel_after)

    def preview(self, **changes: Any) -> Difference:
        assert self.state is not None
        news = {name: value for name, value in (self.program | changes).items() if value is not None}
        asyncio.run(lifecycle.note_saved(self.backend, self.action, self.state, self.resource))
        interrupted = bool(asyncio.run(self.interrupted(news)))
        place = self.backend.inherited(self.action.cloud)
        return lifecycle.diff(
            self.action, self.state, news, place, interrupted=interrupted, emulated=self.backend.emulated
        )

    async def interrupted(self, news: Mapping[str, Any]) -> list[Fire]:
        return await lifecycle.found_open(self.action, news, self.state, self.backend, self.resource)

    def refresh(self) -> Step:
        async def read(circumstances: Circumstances) -> tuple[str, list[str], str]:
            assert self.state is not None
            done = await lifecycle.read(self.action, self.id, self.state, self.backend, circumstances)
            self._keep(done)
            return "refresh", [], done.failure

        return self._step(read, 1800.0, None)

    def import_(self, identifier: str) -> Step:
        async def read(circumstances: Circumstances) -> tuple[str, list[str], str]:
            self._keep(await lifecycle.read(self.action, identifier, {}, self.backend, circumstances))
            return "import", [], ""

        return self._step(read, 1800.0, None)

    def destroy(self) -> None:
        if self.state is not None:
            asyncio.run(lifecycle.forget(self.backend, self.action, self.state, self.resource))
        self.state = None

    def result(self, target: str) -> dict[str, Any]:
        assert self.state is not None
        return next(result for result in self.state["results"] if result["target"] == target)

    def __getitem__(self, name: str) -> Any:
        assert self.state is not None
        return self.state[name]

    async def _up(self, circumstances: Circumstances, replace: bool) -> tuple[str, list[str], str]:
        changes: list[str] = []
        kind = "create"
        if self.state is not None:
            difference = await asyncio.to_thread(self.preview)
            changes = [change.path for change in difference.changes]
            if not changes and not replace:
                return "same", [], ""
            kind = "replace" if difference.replaces or replace else "update"
        if kind == "update":
            assert self.state is not None
            done = await lifecycle.update(self.action, self.id, self.state, self.program, self.backend, circumstances)
        else:
            done = await lifecycle.create(self.action, self.program, self.backend, circumstances)
        if self.dies:
            return kind, changes, done.failure
        await lifecycle.hand_over(done)
        self._keep(done)
        if self.acknowledges:
            await lifecycle.settle(done)
        return kind, changes, done.failure

    def _keep(self, done: lifecycle.Outcome) -> None:
        self.id = done.resource_id
        self.state = json.loads(json.dumps(done.outputs))

    def _step(self, call: Callable[[Circumstances], Any], timeout: float, cancel_after: float | None) -> Step:
        effects, posts, looks = self.cloud.effects, len(self.cloud.fires), len(self.cloud.looks)
        lines: list[str] = []
        self.error = None

        async def carry_out() -> tuple[str, list[str], str]:
            cancelled = asyncio.Event()
            loop = asyncio.get_running_loop()
            self.cancel = lambda: loop.call_soon_threadsafe(cancelled.set) and None
            if cancel_after is not None:
                self.clock.after(cancel_after, cancelled.set)
                self.clock.advance(0)
            found: tuple[str, list[str], str] = await call(
                Circumstances(
                    resource=self.resource,
                    is_secret=self.is_secret,
                    timeout=timeout,
                    cancelled=cancelled,
                    progress=lines.append,
                    notice=lines.append,
                    jitter=self.jitter,
                )
            )
            return found

        try:
            kind, changes, failure = asyncio.run(carry_out())
        except CloudRetryError as error:
            self.error, kind, changes, failure = error, "error", [], str(error)
        return Step(
            kind,
            self.cloud.effects - effects,
            len(self.cloud.fires) - posts,
            len(self.cloud.looks) - looks,
            changes,
            failure,
            lines,
        )


def without(mapping: Mapping[str, Any], *names: str) -> dict[str, Any]:
    return {name: value for name, value in mapping.items() if name not in names}
