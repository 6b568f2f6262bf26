"""The emulator as a server: a thread with a uvicorn in it, ready when ``start`` returns and gone after ``stop``."""

from __future__ import annotations

import asyncio
import errno
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, Unpack

from cloudretry.emulator.credentials import CREDENTIALS, Credentials
from cloudretry.emulator.errors import EmulatorError

if TYPE_CHECKING:
    from cloudretry.emulator import documents
    from cloudretry.emulator.control import Control, TargetView
    from cloudretry.emulator.faults import ActiveFault
    from cloudretry.emulator.requestlog import RequestRecord
    from cloudretry.emulator.scenario import Scenario
    from cloudretry.emulator.store import Store
    from cloudretry.emulator.uvicorn_server import Server

__all__ = ["Emulator"]


class Emulator:
    """The clouds of this provider, on one port of this machine.

    ::

        with Emulator({"drsJobs": [{"id": "jb1", "state": "FULL_TRANSFER_FAILED"}]}) as emulator:
            requests.post(f"{emulator.url}/v3/{emulator.credentials.project_id}/jobs/batch-retry-task", ...)
            assert emulator.target("jb1").times_fired == 1

    ``state`` is a file that keeps everything between runs, and that several emulators may share at the same time.
    Without a ``scenario`` what the file holds is kept; in a new one, or in memory, the built-in scenario is loaded.
    ``port`` 0 takes a free one. ``clock`` gives seconds since the epoch and drives targets and tokens; the dates of
    signatures are compared with real time.

    :raises ScenarioError: the scenario is not one.
    """

    def __init__(
        self,
        scenario: Scenario | Mapping[str, Any] | None = None,
        *,
        state: Path | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._scenario = _parsed(scenario)
        self._state = state
        self._host = host
        self._port = port
        self._clock = clock
        self._url: str | None = None
        self._store: Store | None = None
        self._control: Control | None = None
        self._server: Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """``http://host:port``, once started."""
        if self._url is None:
            raise EmulatorError("the emulator is not started; call start() first")
        return self._url

    @property
    def credentials(self) -> Credentials:
        return CREDENTIALS

    def start(self) -> Self:
        """Open the state, load the scenario, and serve. Returns when the first request can be answered.

        :raises EmulatorError: the port is in use, or the state cannot be used.
        """
        from cloudretry.actions import OPERATIONS
        from cloudretry.emulator.app import build_app, routing_table
        from cloudretry.emulator.control import Control
        from cloudretry.emulator.store import Store
        from cloudretry.emulator.uvicorn_server import Server

        if self._thread is not None:
            raise EmulatorError("the emulator is started already")
        with ExitStack() as undo:
            listener = undo.enter_context(_listen(self._host, self._port))
            store = Store(self._state)
            undo.callback(store.close)
            table = routing_table(OPERATIONS)
            control = Control(store, self._clock, table.keys())
            control.load(self._scenario)
            leaving = asyncio.Event()
            server = Server(build_app(store, control, self._clock, leaving, table), leaving)
            undo.pop_all()
        self._store, self._control, self._server = store, control, server
        self._url = _url_of(self._host, listener)
        self._thread = threading.Thread(target=server.run, args=([listener],), name="cloudretry-emulator", daemon=True)
        self._thread.start()
        server.wait_until_ready()
        return self

    def stop(self) -> None:
        """Close every connection and the state. A second call does nothing."""
        if self._server is None or self._thread is None or self._store is None:
            return
        self._server.leave()
        self._thread.join()
        self._store.close()
        self._server = self._thread = self._store = self._control = self._url = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def targets(self, kind: str | None = None) -> list[TargetView]:
        """Every target, or those of one kind, such as ``drsJob``."""
        return self._controlled().targets(kind)

    def target(self, target_id: str, *, kind: str | None = None, project: str | None = None) -> TargetView:
        """One target by its id: of a pool's scope ``pool:Scope``, of a cluster's job ``cluster/job``.

        :raises EmulatorError: no target, or more than one, has that id.
        """
        found = [
            target for target in self.targets(kind) if target.id == target_id and project in (None, target.project)
        ]
        if len(found) != 1:
            raise EmulatorError(f"target {target_id!r}: {len(found)} of this id; name one, with its kind and project")
        return found[0]

    def set_state(self, target_id: str, state: str, *, kind: str | None = None, project: str | None = None) -> None:
        """Put a target into a state, as if it had got there by itself.

        :raises EmulatorError: no target, or more than one, has that id.
        """
        self._controlled().set_state(target_id, state, kind=kind, project=project)

    def requests(self, operation: str | None = None) -> list[RequestRecord]:
        """Every request to a cloud API so far, or those of one operation, in order."""
        return self._controlled().requests(operation)

    def set_scenario(self, scenario: Scenario | Mapping[str, Any]) -> None:
        """Start afresh on another scenario: its targets, no requests, no faults. Issued tokens stay good.

        :raises ScenarioError: the mapping is not a scenario.
        """
        self._controlled().set_scenario(scenario)

    def reset(self) -> None:
        """Start afresh on the present scenario."""
        self._controlled().reset()

    def add_fault(self, operation: str, **fault: Unpack[documents.Fault]) -> ActiveFault:
        """Let the next request of an operation go wrong; see :class:`cloudretry.emulator.faults.Fault`.

        :raises ScenarioError: it is not a fault, or no call of the clouds has that name.
        """
        return self._controlled().add_fault({"operation": operation, **fault})

    def faults(self) -> list[ActiveFault]:
        """Every fault since the scenario was loaded, spent ones too, and how many requests each has hit."""
        return self._controlled().faults()

    def clear_faults(self) -> None:
        """Let everything go right again."""
        self._controlled().clear_faults()

    def _controlled(self) -> Control:
        if self._control is None:
            raise EmulatorError("the emulator is not started; call start() first")
        return self._control


def _parsed(scenario: Scenario | Mapping[str, Any] | None) -> Scenario | None:
    if scenario is None:
        return None
    from cloudretry.emulator.scenario import Scenario

    return scenario if isinstance(scenario, Scenario) else Scenario.parse(scenario)


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        # asyncio sends small answers without delay only on sockets that name their protocol.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    except OSError as error:
        raise EmulatorError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(512)
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRINUSE:
            raise EmulatorError(
                f"port {port} on {host} is in use: end what listens there, or choose another port (0 takes a free one)"
            ) from error
        raise EmulatorError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    return listener


def _url_of(host: str, listener: socket.socket) -> str:
    port = listener.getsockname()[1]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
