"""What a test may ask of the emulator itself: by Python, or by the routes under ``/_emulator``."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from cloudretry.emulator import faults, loading, requestlog, targets
from cloudretry.emulator.errors import EmulatorError, ScenarioError
from cloudretry.emulator.exchange import parse_json
from cloudretry.emulator.faults import ActiveFault
from cloudretry.emulator.requestlog import RequestRecord
from cloudretry.emulator.scenario import Scenario, parse_document
from cloudretry.emulator.store import Store

__all__ = ["Control", "TargetView", "routes"]


@dataclass(frozen=True, slots=True)
class TargetView:
    """A target as it is now. ``shown_state`` is what status calls say; ``fired_at`` is seconds since the epoch.

    The id of a pool's scope is ``pool:Scope``, that of a job of a cluster ``cluster/job``. The state of a
    visualization job is its number.
    """

    kind: str
    project: str
    id: str
    state: str
    shown_state: str
    times_fired: int
    fired_at: float | None

    def to_json(self) -> dict[str, Any]:
        fired_at = None
        if self.fired_at is not None:
            moment = datetime.fromtimestamp(self.fired_at, UTC).isoformat(timespec="milliseconds")
            fired_at = moment.replace("+00:00", "Z")
        return {
            "kind": self.kind,
            "project": self.project,
            "id": self.id,
            "state": self.state,
            "shownState": self.shown_state,
            "timesFired": self.times_fired,
            "firedAt": fired_at,
        }


class Control:
    """Looks into the store and changes it, apart from any cloud API. Safe to call from any thread.

    ``operations`` are the names of the calls that are served.
    """

    def __init__(self, store: Store, clock: Callable[[], float], operations: Collection[str]) -> None:
        self._store = store
        self._clock = clock
        self._operations = operations

    def load(self, scenario: Scenario | None) -> None:
        """Start on a scenario; without one keep what is there, or take the built-in one if nothing is."""
        with self._store.transaction(self._clock()) as tx:
            if scenario is not None or not loading.is_loaded(tx):
                loading.load(tx, scenario or Scenario.quickstart())

    def set_scenario(self, scenario: Scenario | Mapping[str, Any]) -> None:
        """Start afresh on another scenario: its targets, no requests, no faults. Issued tokens stay good.

        :raises ScenarioError: the mapping is not a scenario.
        """
        parsed = scenario if isinstance(scenario, Scenario) else Scenario.parse(scenario)
        with self._store.transaction(self._clock()) as tx:
            loading.load(tx, parsed)

    def reset(self) -> None:
        """Start afresh on the present scenario."""
        with self._store.transaction(self._clock()) as tx:
            loading.load(tx, loading.loaded(tx))

    def targets(self, kind: str | None = None) -> list[TargetView]:
        """Every target, or those of one kind, such as ``drsJob``."""
        with self._store.transaction(self._clock()) as tx:
            return [
                TargetView(
                    kind=target.kind,
                    project=target.project,
                    id=target.id,
                    state=target.state(tx.now),
                    shown_state=target.shown(tx.now).state(tx.now),
                    times_fired=target.times_fired,
                    fired_at=target.fired_at,
                )
                for target in targets.listing(tx, kind)
            ]

    def set_state(self, target_id: str, state: str, *, kind: str | None = None, project: str | None = None) -> None:
        """Put a target into a state, as if it had got there by itself.

        :raises EmulatorError: no target, or more than one, has that id.
        """
        with self._store.transaction(self._clock()) as tx:
            found = [target for target in targets.listing(tx, kind, project) if target.id == target_id]
            if len(found) != 1:
                raise EmulatorError(
                    f"target {target_id!r}: {len(found)} of this id; name one, with its kind and project if need be"
                )
            targets.set_state(tx, found[0], state)

    def requests(self, operation: str | None = None) -> list[RequestRecord]:
        """Every request to a cloud API so far, or those of one operation, in order."""
        with self._store.transaction(self._clock()) as tx:
            return requestlog.listing(tx, operation)

    def add_fault(self, fault: Mapping[str, Any]) -> ActiveFault:
        """Let a fault happen; see :class:`cloudretry.emulator.faults.Fault`.

        :raises ScenarioError: it is not a fault, or one of an operation that is not served and so would hit nothing.
        """
        parsed = faults.parse(fault)
        if parsed.operation != "*" and parsed.operation not in self._operations:
            raise ScenarioError(
                f"fault: operation: {parsed.operation!r} is no call of the clouds; use one of "
                f"{', '.join(sorted(self._operations))}, or * for any"
            )
        with self._store.transaction(self._clock()) as tx:
            return faults.add(tx, parsed)

    def faults(self) -> list[ActiveFault]:
        """Every fault, spent ones too."""
        with self._store.transaction(self._clock()) as tx:
            return faults.listing(tx)

    def clear_faults(self) -> None:
        with self._store.transaction(self._clock()) as tx:
            faults.clear(tx)


def routes(control: Control) -> list[Route]:
    """The control routes. They ask for no credentials: who reaches the emulator's port may use them."""

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def list_requests(request: Request) -> Response:
        records = control.requests(request.query_params.get("operation"))
        return JSONResponse({"requests": [record.to_json() for record in records]})

    async def list_targets(request: Request) -> Response:
        return JSONResponse({"targets": [t.to_json() for t in control.targets(request.query_params.get("kind"))]})

    async def set_state(request: Request) -> Response:
        wanted = parse_document((await request.body()).decode(), "target")
        unknown = wanted.keys() - {"id", "state", "kind", "project"}
        is_text = all(isinstance(wanted.get(name), str | None) for name in ("kind", "project"))
        if unknown or not {"id", "state"} <= wanted.keys() or not is_text:
            raise ScenarioError("target: give id and state, and kind and project if the id is not enough")
        control.set_state(
            str(wanted["id"]), str(wanted["state"]), kind=wanted.get("kind"), project=wanted.get("project")
        )
        return Response(status_code=204)

    async def set_scenario(request: Request) -> Response:
        control.set_scenario(parse_document((await request.body()).decode(), "scenario"))
        return Response(status_code=204)

    async def reset(_: Request) -> Response:
        control.reset()
        return Response(status_code=204)

    async def add_fault(request: Request) -> Response:
        try:
            document = parse_json(await request.body())
        except ValueError as error:
            raise ScenarioError(f"fault: not JSON: {error}") from error
        return JSONResponse(control.add_fault(document).to_json(), 201)

    async def list_faults(_: Request) -> Response:
        return JSONResponse({"faults": [fault.to_json() for fault in control.faults()]})

    async def clear_faults(_: Request) -> Response:
        control.clear_faults()
        return Response(status_code=204)

    table: tuple[tuple[str, str, Callable[[Request], Awaitable[Response]]], ...] = (
        ("GET", "/_emulator/health", health),
        ("GET", "/_emulator/requests", list_requests),
        ("GET", "/_emulator/targets", list_targets),
        ("POST", "/_emulator/targets", set_state),
        ("PUT", "/_emulator/scenario", set_scenario),
        ("POST", "/_emulator/reset", reset),
        ("POST", "/_emulator/faults", add_fault),
        ("GET", "/_emulator/faults", list_faults),
        ("DELETE", "/_emulator/faults", clear_faults),
    )
    return [Route(path, _told_plainly(endpoint), methods=[method]) for method, path, endpoint in table]


def _told_plainly(endpoint: Callable[[Request], Awaitable[Response]]) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint with its errors as a 400 that says what is wrong."""

    async def guarded(request: Request) -> Response:
        try:
            return await endpoint(request)
        except (EmulatorError, UnicodeError) as error:
            return JSONResponse({"error": str(error)}, 400)

    return guarded
