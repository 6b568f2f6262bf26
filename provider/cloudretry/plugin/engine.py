"""Words for the user, through the engine: on the resource that they are about, and without holding anything up."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import grpc
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc

from cloudretry.plugin.marshal import wire_text

__all__ = ["DIRECT", "EngineLog"]

DIRECT = (("grpc.enable_http_proxy", 0),)
"""Options of a channel to the engine. It is on this machine: a proxy of the environment is for what is elsewhere, and
gRPC would ask it even for 127.0.0.1."""


class EngineLog:
    """The engine's log, at its ``address``. Lines are sent in order; when the engine is gone they are dropped."""

    def __init__(self, address: str) -> None:
        self.address = ""
        self._channel: grpc.aio.Channel | None = None
        # Typed for blocking channels only.
        self._stub: Any = None
        self._sending: asyncio.Task[None] | None = None
        self._lines: asyncio.Queue[tuple[engine_pb2.LogRequest, asyncio.Event]] = asyncio.Queue()
        self._told: set[str] = set()
        self.connect(address)

    def connect(self, address: str) -> None:
        """Talk to the engine at this address from now on."""
        if not address or address == self.address:
            return
        self.address = address
        self._channel = grpc.aio.insecure_channel(address, options=DIRECT)
        self._stub = engine_pb2_grpc.EngineStub(self._channel)

    def has_told(self, urn: str) -> bool:
        """Whether a line of what the resource is doing was shown."""
        return urn in self._told

    def status(self, urn: str, line: str) -> None:
        """Show what a resource is doing; the next line takes this one's place."""
        self._told.add(urn)
        self._put(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=wire_text(line), urn=urn, ephemeral=True))

    async def last_word(self, urn: str, line: str) -> None:
        """What came of a resource; it is on the screen before the engine is answered, and stays beside the resource."""
        request = engine_pb2.LogRequest(severity=engine_pb2.INFO, message=wire_text(line), urn=urn, ephemeral=True)
        await self._put(request).wait()

    def notice(self, urn: str, line: str) -> None:
        """Say something about a resource that stays on the screen."""
        self._put(engine_pb2.LogRequest(severity=engine_pb2.INFO, message=wire_text(line), urn=urn))

    async def warn(self, line: str) -> None:
        """A warning that stays on the screen."""
        await self._put(engine_pb2.LogRequest(severity=engine_pb2.WARNING, message=wire_text(line))).wait()

    async def debug(self, line: str) -> None:
        """For the verbose log only."""
        await self._put(engine_pb2.LogRequest(severity=engine_pb2.DEBUG, message=wire_text(line))).wait()

    async def close(self) -> None:
        """Send what is waiting, if the engine still takes it."""
        if self._sending is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._lines.join(), 1.0)
            self._sending.cancel()
        if self._channel is not None:
            await self._channel.close()

    def _put(self, line: engine_pb2.LogRequest) -> asyncio.Event:
        """Send a line after those before it; the event is set when it was sent or dropped."""
        done = asyncio.Event()
        if self._channel is None:
            done.set()
            return done
        self._lines.put_nowait((line, done))
        if self._sending is None or self._sending.done():
            self._sending = asyncio.create_task(self._send())
        return done

    async def _send(self) -> None:
        while True:
            line, done = await self._lines.get()
            try:
                await self._stub.Log(line, timeout=5)
            except grpc.aio.AioRpcError:
                # Nobody is left to read it.
                continue
            finally:
                done.set()
                self._lines.task_done()
