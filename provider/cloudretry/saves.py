"""Whether the engine has saved what it was given.

The engine releases the token of a request's status once it has written the step that the request belongs to. Steps
that are empty are refused for a token that is not known any more, so that is an acknowledgement; anything else, and no
address, says nothing. At an orderly end the engine closes the status server before it ends the plugin; when it was
made to end at once, that server still takes connections.

======  =============================================================================================================
rule    an outcome is saved if
======  =============================================================================================================
token   its token is not known any more, before this process was told to end
end     at the end of the process the status server is closed, and the token was not seen known long after the reply
both    it was given before the first ``Cancel``, and checkpoints are not skipped
======  =============================================================================================================

What these rules leave open is settled by the next call that shows the state.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import grpc
from pulumi.runtime.proto import resource_status_pb2, resource_status_pb2_grpc

from cloudretry import lifecycle
from cloudretry.plugin.engine import DIRECT

__all__ = ["Saves"]

PAUSES = ((0.05, 0.001), (0.5, 0.003), (float("inf"), 0.02))
"""Until so many seconds after the reply the engine is asked again after so many. Usually two times are enough."""

LONG = 20.0
"""Seconds after a reply in which a state that can be written is written."""

PATIENCE = 2.0
"""Seconds for one answer of the engine."""


@dataclass(slots=True)
class _Given:
    """An outcome that was given to the engine. ``known_at`` is when its token was last seen known."""

    done: lifecycle.Outcome
    address: str
    token: str
    at: float
    known_at: float = 0.0
    is_settled: bool = False


class Saves:
    """The outcomes that one process has given to the engine. Belongs to one event loop.

    ``settle`` notes that an outcome is saved.
    """

    def __init__(
        self,
        settle: Callable[[lifecycle.Outcome], Awaitable[None]] = lifecycle.settle,
        environ: Mapping[str, str] = os.environ,
    ) -> None:
        self._settle = settle
        self._skips = "PULUMI_SKIP_CHECKPOINTS" in environ
        self._given: list[_Given] = []
        self._asking: set[asyncio.Task[None]] = set()
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._is_cancelled = False

    def cancel(self) -> None:
        """The engine has called ``Cancel``: what is given from now on may not be saved any more."""
        self._is_cancelled = True

    def give(self, done: lifecycle.Outcome, address: str, token: str) -> None:
        """The engine is answered now."""
        if self._is_cancelled or self._skips or not address or not token or done.asker is None or not done.asker.held:
            return
        given = _Given(done, address, token, asyncio.get_running_loop().time())
        self._given.append(given)
        task = asyncio.create_task(self._ask(given))
        self._asking.add(task)
        task.add_done_callback(self._asking.discard)

    async def end(self, *, orderly: bool) -> None:
        """The process ends; ``orderly`` says that an engine that lives has asked for it."""
        for task in self._asking:
            task.cancel()
        await asyncio.gather(*self._asking, return_exceptions=True)
        is_closed: dict[str, bool] = {}
        for given in self._given:
            if orderly and not given.is_settled and given.known_at - given.at < LONG:
                if given.address not in is_closed:
                    is_closed[given.address] = await _refuses(given.address)
                if is_closed[given.address]:
                    await self._settle(given.done)
        for channel in self._channels.values():
            await channel.close()

    async def _ask(self, given: _Given) -> None:
        loop = asyncio.get_running_loop()
        stub: Any = resource_status_pb2_grpc.ResourceStatusStub(self._channel(given.address))
        question = resource_status_pb2.PublishViewStepsRequest(token=given.token)
        while True:
            try:
                await stub.PublishViewSteps(question, timeout=PATIENCE)
            except grpc.aio.AioRpcError as error:
                words = str(error.details())
                if given.token in words and "not found" in words:
                    given.is_settled = True
                    await self._settle(given.done)
                return
            given.known_at = loop.time()
            since = given.known_at - given.at
            await asyncio.sleep(next(pause for until, pause in PAUSES if since < until))

    def _channel(self, address: str) -> grpc.aio.Channel:
        if address not in self._channels:
            self._channels[address] = grpc.aio.insecure_channel(address, options=DIRECT)
        return self._channels[address]


async def _refuses(address: str) -> bool:
    """Whether nobody listens there any more."""
    host, _, port = address.rpartition(":")
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(host, int(port)), PATIENCE)
    except ConnectionRefusedError:
        return True
    except (OSError, ValueError, TimeoutError):
        return False
    writer.close()
    return False
