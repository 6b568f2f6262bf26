"""The plugin process: ``pulumi-resource-cloudretry``.

The engine starts this process several times for one ``up`` and waits for the port, so the port is printed before
anything heavy is imported; the rest comes with the first call.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Callable
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any

import grpc

from cloudretry.plugin.machine import ORDERLY, on_signal, starter

if TYPE_CHECKING:
    from cloudretry.plugin.server import Provider

__all__ = ["main"]

MAX_MESSAGE = 400 * 1024 * 1024
"""Bytes; what the engine itself allows."""

PARENT_CHECK = 1.0
"""Seconds between two looks whether the engine still lives."""

GRACE = 8.0
"""Seconds that running calls have to end in once the process is told to."""


class _LateHandlers(grpc.GenericRpcHandler):
    """Imports and builds the provider at the first call."""

    def __init__(self, engine_address: str) -> None:
        self._engine_address = engine_address
        self.provider: Provider | None = None
        self._find: Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler[Any, Any] | None] | None = None

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler[Any, Any] | None:
        if self._find is None:
            _protocol_only()
            # All of what is loaded stays: to look through it for garbage, again and again, is a seventh of the time.
            gc.disable()
            from cloudretry.plugin.server import Provider, handlers

            gc.freeze()
            gc.enable()
            self.provider = Provider(self._engine_address)
            self._find = handlers(self.provider)
        return self._find(handler_call_details)


async def _serve(arguments: list[str]) -> None:
    # Read first: should the engine die while this starts, its process id has to differ later.
    engine_lives = starter()
    stop, orderly = asyncio.Event(), asyncio.Event()

    def end_in_order() -> None:
        # The engine sends this when it has saved the state; whoever else ends the process sends another signal.
        orderly.set()
        stop.set()
        if handlers.provider is not None:
            # At once: what a call answers from now on may not be saved any more.
            handlers.provider.end()

    handlers = _LateHandlers(next((word for word in arguments if not word.startswith("-")), ""))
    for number in ORDERLY:
        on_signal(number, end_in_order)
    on_signal(signal.SIGTERM, stop.set)
    limits = [("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)]
    server = grpc.aio.server(options=limits)
    server.add_generic_rpc_handlers((handlers,))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    _announce(port)
    orphaned = asyncio.create_task(_gone(engine_lives))
    stopped = asyncio.create_task(stop.wait())
    waiting: set[asyncio.Task[Any]] = {orphaned, stopped}
    await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    for task in waiting:
        task.cancel()
    provider = handlers.provider
    if provider is not None:
        provider.end()
        # Before anything else: the engine is still there to show whether it has ended in an orderly way.
        await provider.note_saves(orderly=orderly.is_set() and engine_lives())
    await server.stop(GRACE)
    if provider is not None:
        await provider.close()


def _protocol_only() -> None:
    """Let ``pulumi.runtime.proto`` be imported without the rest of Pulumi's SDK.

    The packages above it load all of it when they are imported: half of the start-up, and no part of it is used here.
    """
    found = PathFinder.find_spec("pulumi")
    for folder in (found and found.submodule_search_locations) or ():
        for name in ("pulumi", "pulumi.runtime"):
            package = ModuleType(name)
            package.__path__ = [os.path.join(folder, *name.split(".")[1:])]
            sys.modules.setdefault(name, package)


def _announce(port: int) -> None:
    """Print the port, and keep everything else off the pipe that the engine reads it from."""
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    os.dup2(2, 1)


async def _gone(engine_lives: Callable[[], bool]) -> None:
    """Return once the process that started this one has ended."""
    while engine_lives():
        await asyncio.sleep(PARENT_CHECK)


def main() -> None:
    """Serve until the engine ends."""
    asyncio.run(_serve(sys.argv[1:]))
    # Threads that are still waiting for a slow cloud must not hold up the end.
    sys.stderr.flush()
    os._exit(0)


if __name__ == "__main__":
    main()
