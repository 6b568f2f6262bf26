"""Words for the user, through the engine: on the resource that they are about, and without holding anything up."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from cloudretry.plugin.marshal import wire_text

__all__ = ["EngineLog"]


class EngineLog:
    """The engine's log. Lines are sent in order; when the engine is gone they are dropped."""

    def __init__(self, address: str) -> None:
        self._address = ""
        self._channel: grpc.aio.Channel | None = None
        self._sending: asyncio.Task[None] | None = None
        self._lines: asyncio.Queue[engine_pb2.LogRequest] = asyncio.Queue()
        self.connect(address)

    def connect(self, address: str) -> None:
        """Talk to the engine at this address from now on."""
        if not address or address == self._address:
            return
        self._address = address
        self._channel = grpc.aio.insecure_channel(address)

    def status(self, urn: str, line: str) -> None:
        """Show what a resource is doing; the next line takes this one's place."""
        self._put(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=wire_text(line), urn=urn, ephemeral=True))

    async def last_word(self, urn: str, line: str) -> None:
        """What came of a resource; it is on the screen before the engine is answered, and stays beside the resource."""
        self.status(urn, line)
        await self._lines.join()

    def notice(self, urn: str, line: str) -> None:
        """Say something about a resource that stays on the screen."""
        self._put(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=wire_text(line), urn=urn))

    async def warn(self, line: str) -> None:
        """A warning that stays on the screen."""
        self._put(engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=wire_text(line)))
        await self._lines.join()

    async def debug(self, line: str) -> None:
        """For the verbose log only."""
        self._put(engine_pb2.LogRequest(severity=engine_pb2.DEBUG, message=wire_text(line)))
        await self._lines.join()

    async def close(self) -> None:
        """Send what is waiting, if the engine still takes it."""
        if self._sending is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lines.join(), 1.0)
            self._sending.cancel()
        if self._channel is not None:
            await self._channel.close()

    def _put(self, line: engine_pb2.LogRequest) -> None:
        if self._channel is None:
            return
        self._lines.put_nowait(line)
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())

    async def _send(self) -> None:
        while True:
            line = await self._lines.get()
            try:
                if self._channel is not None:
                    # Typed for blocking channels only.
                    stub: Any = engine_pb2_grpc.EngineStub(self._channel)
                    await stub.Log(line, timeout=5)
            except grpc.aio.AioRpcError:
                # Nobody is left to read it.
                continue
            finally:
                self._lines.task_done()
