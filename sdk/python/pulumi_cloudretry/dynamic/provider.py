"""The lifecycle behind the engine's dynamic provider.

The engine keeps a pickle of the provider in each resource's state. It is a reference to :class:`ActionProvider` by
name and the action's token, so that no code is in the state and a new version of the code is no difference.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Mapping
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, cast

import grpc
from pulumi.dynamic import (
    CheckFailure,
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    ResourceProvider,
    UpdateResult,
)
from pulumi.output import Unknown
from pulumi.runtime import rpc

from cloudretry import lifecycle
from cloudretry.actions import ACTIONS, Action
from cloudretry.backend import ConfiguredBackend
from cloudretry.config import ProviderConfig, load
from cloudretry.errors import CloudRetryError, FireInDoubt, InvalidInput, JournalError
from cloudretry.inputs import UNKNOWN, check
from cloudretry.ledger import Fire
from cloudretry.record import PLACE

if TYPE_CHECKING:
    from cloudretry.saves import Saves

__all__ = ["FAILURE", "JOURNAL_KEY", "SECRETS", "TIMEOUTS", "ActionProvider", "RefreshFailed"]

JOURNAL_KEY = "__journalKey"
"""Hidden input: who this resource is. The dynamic provider is not told a URN."""

TIMEOUTS = "__timeouts"
"""Hidden input: the seconds that a create and an update may take."""

SECRETS = "__secrets"
"""Hidden input: the names of the inputs that are secret. The dynamic provider is handed plain values."""

FAILURE = "failure"
"""Output: why the last run fails the ``up``. The dynamic provider cannot fail and keep the state; the program does."""

_HIDDEN = frozenset({"__provider", JOURNAL_KEY, SECRETS, TIMEOUTS})


class InDoubt(Exception):
    """Nobody can tell whether a fire was asked for again, or its run died: nothing was fired."""


class RefreshFailed(Exception):
    """The cloud could not be asked. The engine's dynamic provider shows any error as a traceback; this one is short."""


class ActionProvider(ResourceProvider):
    """One action's lifecycle, as the engine's dynamic provider calls it."""

    serialize_as_secret_always = False

    def __init__(self, token: str) -> None:
        super().__init__()
        self.token = token

    def configure(self, req: ConfigureRequest) -> None:
        names = [field.alias or name for name, field in ProviderConfig.model_fields.items()]
        given = {name: value for name in names if (value := req.config.get(f"cloudretry:{name}")) is not None}
        self._config = json.dumps(given, sort_keys=True)

    @property
    def _action(self) -> Action[Any]:
        return ACTIONS[self.token]

    @property
    def _backend(self) -> ConfiguredBackend:
        return _backend(self._config)

    def check(self, _olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        values = _visible(news)
        # Any value may be a secret that was handed over in plain: none is shown.
        problems = check(self._action, values, is_secret=lambda _path: True)
        problems += _secret_names(self._action, news.get(SECRETS))
        try:
            claims = self._backend.claims
        except CloudRetryError as error:
            return CheckResult(news, [CheckFailure("", str(error))])
        inherited = self._backend.inherited(self._action.cloud)
        problems += claims.take(str(news.get(JOURNAL_KEY)), self._action, values, inherited)
        # No property is named to the engine: beside one it prints the whole value.
        return CheckResult(news, [CheckFailure("", str(problem)) for problem in problems])

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        olds, news, backend = _visible(_olds), _visible(_news), self._backend
        asyncio.run(lifecycle.note_saved(backend, self._action, olds, self._resource(_news)))
        interrupted = bool(asyncio.run(self._interrupted(news, olds, self._resource(_news))))
        # A place that is not the pinned one is reported by the update: an error in here would be shown as a traceback.
        difference = lifecycle.diff(self._action, olds, news, lifecycle.NOWHERE, interrupted=interrupted)
        moved = bool(olds.get("emulator")) is not backend.emulated
        changes = bool(difference.changes) or moved or bool(_olds.get(FAILURE))
        return DiffResult(changes=changes, replaces=list(difference.replaces))

    def create(self, props: dict[str, Any]) -> CreateResult:
        values, emulated = _visible(props), False
        try:
            circumstances, backend = self._circumstances(props, "create"), self._backend
            emulated = backend.emulated
            done = asyncio.run(lifecycle.create(self._action, values, backend, circumstances))
        except FireInDoubt as error:
            # A state that says "not fired" would be taken for the answer.
            raise InDoubt(str(error)) from None
        except CloudRetryError as error:
            unfired = lifecycle.not_fired(self._action, values, str(error), emulated=emulated)
            return CreateResult(unfired.resource_id, _outputs(unfired, props))
        result = CreateResult(done.resource_id, _outputs(done, props))
        _hand_over(done)
        return result

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        olds, values = _visible(_olds), _visible(_news)
        try:
            circumstances = self._circumstances(_news, "update")
            done = asyncio.run(lifecycle.update(self._action, _id, olds, values, self._backend, circumstances))
        except CloudRetryError as error:
            return UpdateResult({**olds, JOURNAL_KEY: _news.get(JOURNAL_KEY), FAILURE: str(error)})
        result = UpdateResult(_outputs(done, _news))
        _hand_over(done)
        return result

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        try:
            circumstances = lifecycle.Circumstances(resource=self._resource(props))
            done = asyncio.run(lifecycle.read(self._action, id_, _visible(props), self._backend, circumstances))
        except CloudRetryError as error:
            raise RefreshFailed(str(error)) from None
        kept = {name: props[name] for name in (FAILURE, JOURNAL_KEY, TIMEOUTS) if name in props}
        return ReadResult(done.resource_id, {**done.outputs, **kept})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        asyncio.run(lifecycle.forget(self._backend, self._action, _visible(_props), self._resource(_props)))

    async def _interrupted(self, news: Mapping[str, Any], olds: Mapping[str, Any], resource: str) -> list[Fire]:
        try:
            return await lifecycle.found_open(self._action, news, olds, self._backend, resource)
        except JournalError:
            # The run says so, should there be one.
            return []

    def _resource(self, props: Mapping[str, Any]) -> str:
        """The resource's name in the journal. Older state may not have it."""
        return str(props.get(JOURNAL_KEY) or "")

    def _circumstances(self, props: Mapping[str, Any], operation: str) -> lifecycle.Circumstances:
        seconds = (props.get(TIMEOUTS) or {}).get(operation, lifecycle.DEFAULT_TIMEOUT)
        return lifecycle.Circumstances(resource=self._resource(props), timeout=float(seconds))


def _secret_names(action: Action[Any], secrets: Any) -> list[InvalidInput]:
    """The secret inputs that name targets: they would stand in ids, results and messages, where no mark hides them."""
    naming = {*PLACE, *action.identity, *(action.target_list or ())[:1]}
    reason = (
        "is secret, and a dynamic class would write it in clear into the resource's id and results. Declare it with "
        "the plugin's class, which keeps it, or pass it through pulumi.Output.unsecret"
    )
    return [InvalidInput(name, reason) for name in secrets if name in naming] if isinstance(secrets, list) else []


def _backend(config: str) -> ConfiguredBackend:
    """One backend for all the classes of a program that have the same configuration."""
    # The engine's dynamic provider calls from several threads.
    with _making:
        return _made(config)


_making = threading.Lock()

ENGINE_CHECK, GRACE = 2.0, 8.0
"""Seconds between two looks whether the engine still lives, and seconds that running calls have to end in when not."""


@lru_cache(maxsize=8)
def _made(config: str) -> ConfiguredBackend:
    backend = ConfiguredBackend(load(json.loads(config), os.environ), deployment=_engine())
    atexit.register(backend.close)
    _watch_the_engine()
    return backend


@lru_cache(maxsize=1)
def _watch_the_engine() -> None:
    """End with the engine: the SDK's process would outlive one that was killed, and others would wait for its fires."""
    if not _engine_is_there():
        return

    def watch() -> None:
        while _engine_is_there():
            time.sleep(ENGINE_CHECK)
        time.sleep(GRACE)
        os._exit(1)

    threading.Thread(target=watch, name="cloudretry-engine", daemon=True).start()


def _engine() -> str:
    """The address of the engine that runs this process as a provider."""
    return (sys.argv[1:] or [""])[0]


def _engine_is_there() -> bool:
    """Whether the engine that started this process still answers."""
    host, _, port = _engine().rpartition(":")
    try:
        with socket.create_connection((host or "127.0.0.1", int(port)), timeout=1.0):
            return True
    except (OSError, ValueError):
        return False


def _hand_over(done: lifecycle.Outcome) -> None:
    """The last thing before the engine is answered: note that it is, and ask it whether it has saved the outcome."""
    if not _engine_is_there():
        return  # It was killed, and takes no answer.
    asyncio.run(lifecycle.hand_over(done))
    request, context = _being_answered()
    if request is not None:
        loop, saves = _saves()

        def answered() -> None:
            # What the SDK could not write down was not handed over.
            if context.code() in (None, grpc.StatusCode.OK):
                give = partial(saves.give, done, request.resource_status_address, request.resource_status_token)
                loop.call_soon_threadsafe(give)

        context.add_callback(answered)


def _being_answered() -> tuple[Any, Any]:
    """The request that this thread answers, and its context. The SDK hands neither to a provider, so they are looked
    up in its own call; where they are not, a later call that shows the state settles the fire.
    """
    frame = sys._getframe(1)
    while frame is not None:
        request, context = (frame.f_locals.get(name) for name in ("request", "context"))
        if hasattr(request, "resource_status_token") and hasattr(context, "add_callback"):
            return request, context
        frame = cast(Any, frame.f_back)
    return None, None


@lru_cache(maxsize=1)
def _saves() -> tuple[asyncio.AbstractEventLoop, Saves]:
    """What asks the engine, on an event loop of its own."""
    from cloudretry.saves import Saves

    async def settle(done: lifecycle.Outcome) -> None:
        # On the thread of this loop: at the end of the process no other one can be started.
        lifecycle.settle_now(done)

    loop, saves = asyncio.new_event_loop(), Saves(settle)
    threading.Thread(target=loop.run_forever, name="cloudretry-saves", daemon=True).start()

    def end() -> None:
        ending = asyncio.run_coroutine_threadsafe(saves.end(orderly=_engine_is_there()), loop)
        with contextlib.suppress(TimeoutError):
            ending.result(timeout=5.0)

    # Before the journal is closed: it was opened before.
    atexit.register(end)
    return loop, saves


def _outputs(done: lifecycle.Outcome, props: Mapping[str, Any]) -> dict[str, Any]:
    outputs = {**done.outputs, JOURNAL_KEY: props.get(JOURNAL_KEY)}
    return {**outputs, FAILURE: done.failure} if done.failure else outputs


def _visible(props: Mapping[str, Any]) -> dict[str, Any]:
    """The properties without the hidden ones, in the lifecycle's terms."""
    return {name: _plain(value) for name, value in props.items() if name not in _HIDDEN}


def _plain(value: Any) -> Any:
    if value == rpc.UNKNOWN or isinstance(value, Unknown):
        return UNKNOWN
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
