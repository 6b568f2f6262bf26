"""uvicorn, as the emulator needs it: it can drop a connection unanswered, and it ends at once."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import Any

import uvicorn
from h11 import LocalProtocolError
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from cloudretry.emulator.app import ABORT
from cloudretry.emulator.errors import EmulatorError

__all__ = ["Server"]

_START_PATIENCE = 30.0


class _AbortableProtocol(H11Protocol):
    """HTTP that lets the application close its connection without an answer."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        app = self.app

        async def with_abort(scope: Scope, receive: Receive, send: Send) -> None:
            try:
                await app({**scope, ABORT: self.transport.abort}, receive, send)
            except (ClientDisconnect, LocalProtocolError):
                # The client hung up in the middle of a request, or sent what ended the connection while it was served.
                self.transport.abort()

        self.app = with_abort


class Server(uvicorn.Server):
    """Runs in a thread of its own until ``leave`` is called from another one."""

    def __init__(self, app: ASGIApp, leaving: asyncio.Event) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                http=_AbortableProtocol,
                ws="none",
                loop="asyncio",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                date_header=False,
                timeout_keep_alive=75,
            )
        )
        self._leaving = leaving
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    def wait_until_ready(self) -> None:
        """Return when requests are answered.

        :raises EmulatorError: they are not, for half a minute.
        """
        if not self._ready.wait(_START_PATIENCE):
            raise EmulatorError(f"the emulator did not start within {_START_PATIENCE:.0f} seconds; start it again")

    def leave(self) -> None:
        """End: requests that wait are cut off, connections are closed."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._leaving.set)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._loop = asyncio.get_running_loop()
        self._ready.set()

    async def main_loop(self) -> None:
        # uvicorn looks ten times a second whether it should end; this waits to be told.
        await self.on_tick(0)
        await self._leaving.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            if connection.transport is not None:
                connection.transport.abort()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=5)
