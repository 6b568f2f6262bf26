"""The web application: which operation a request means, who sends it, what it does, and how the answer looks."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from functools import partial

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from cloudretry.emulator import (
    auth_alicloud,
    auth_huaweicloud,
    control,
    drs,
    ehpc,
    faults,
    iam,
    modelarts,
    requestlog,
    sts,
    workspace,
)
from cloudretry.emulator.errors import EmulatorError
from cloudretry.emulator.exchange import Answer, Call, Handler, Refusal
from cloudretry.emulator.faults import Fault
from cloudretry.emulator.store import Store, Transaction
from cloudretry.operation import Operation

__all__ = ["ABORT", "build_app", "routing_table"]

ABORT = "cloudretry.abort"
"""The scope's entry with which the server closes the connection without an answer."""

Authenticate = Callable[[Call, Transaction], object]
Render = Callable[[Call, Answer], tuple[bytes, str]]


@dataclass(frozen=True, slots=True)
class _Service:
    """One cloud API: its handlers, its gateway, and its own routes beyond those of the actions."""

    handlers: Mapping[str, Handler]
    routes: tuple[Operation, ...]
    authenticate: Authenticate
    render: Render
    request_id_header: str = "X-Request-Id"
    version: str = ""
    holds_secrets: bool = False


def _render_json(_: Call, answer: Answer) -> tuple[bytes, str]:
    return json.dumps(answer.body, ensure_ascii=False).encode(), "application/json"


def _anyone(_: Call, __: Transaction) -> None:
    """The identity service asks for credentials in its handlers: each of its calls takes others."""


_huaweicloud = partial(_Service, authenticate=auth_huaweicloud.authenticate_for_project, render=_render_json)
_alicloud = partial(
    _Service,
    authenticate=auth_alicloud.authenticate,
    render=auth_alicloud.render,
    request_id_header="x-acs-request-id",
)

_SERVICES: Mapping[str, _Service] = {
    "modelarts": _huaweicloud(modelarts.HANDLERS, modelarts.ROUTES),
    "workspace": _huaweicloud(workspace.HANDLERS, workspace.ROUTES),
    "drs": _huaweicloud(drs.HANDLERS, drs.ROUTES),
    "iam": _huaweicloud(iam.HANDLERS, iam.ROUTES, authenticate=_anyone, holds_secrets=True),
    "ehpc": _alicloud(ehpc.HANDLERS, ehpc.ROUTES, version=ehpc.VERSION),
    "sts": _alicloud(sts.HANDLERS, sts.ROUTES, version=sts.VERSION, holds_secrets=True),
}


def build_app(
    store: Store,
    admin: control.Control,
    clock: Callable[[], float],
    leaving: asyncio.Event,
    table: Mapping[str, Operation],
) -> Starlette:
    """The application that serves ``table``, by :func:`routing_table`. ``leaving`` cuts delays short at the end."""
    dispatcher = _Dispatcher(store, clock, leaving)
    rpc = {operation.name: operation for operation in table.values() if operation.path == "/"}
    rest = [
        Route(operation.path, partial(dispatcher.serve, operation=operation), methods=[operation.method])
        for operation in table.values()
        if operation.path != "/"
    ]
    return Starlette(
        routes=[
            *control.routes(admin),
            *rest,
            Route("/", partial(dispatcher.serve_rpc, operations=rpc), methods=["GET", "POST"]),
        ],
        exception_handlers={404: _not_published, 405: _not_published},
    )


def routing_table(operations: Mapping[str, Operation]) -> dict[str, Operation]:
    """Every call that is served, by its name: ``operations``, those of the actions, and what signing in takes.

    :raises EmulatorError: an operation has no handler here.
    """
    own = {operation.name: operation for service in _SERVICES.values() for operation in service.routes}
    table = {**own, **operations}
    missing = [
        f"{operation.service}:{name}"
        for name, operation in table.items()
        if operation.service not in _SERVICES or name not in _SERVICES[operation.service].handlers
    ]
    if missing:
        raise EmulatorError(f"the emulator has no handler for {', '.join(missing)}; write one in its service's module")
    return table


async def _not_published(_: Request, __: Exception) -> Response:
    request_id = uuid.uuid4().hex
    body = {
        "error_code": "APIGW.0101",
        "error_msg": "The API does not exist or has not been published in the environment",
        "request_id": request_id,
    }
    return _respond(json.dumps(body).encode(), 404, "application/json", {"X-Request-Id": request_id})


class _Dispatcher:
    """Takes requests to the operations of the clouds through fault, credentials, handler and log."""

    def __init__(self, store: Store, clock: Callable[[], float], leaving: asyncio.Event) -> None:
        self._store = store
        self._clock = clock
        self._leaving = leaving

    async def serve(self, request: Request, operation: Operation) -> Response:
        call = await _read(request, operation.name)
        return await self._answer(call, _SERVICES[operation.service])

    async def serve_rpc(self, request: Request, operations: Mapping[str, Operation]) -> Response:
        call = await _read(request, "")
        parameters = call.parameters()
        call.operation = auth_alicloud.requested_action(call.headers, parameters)
        operation = operations.get(call.operation)
        if operation is None:
            return self._unknown_action(call)
        service = _SERVICES[operation.service]
        if (call.header("x-acs-version") or parameters.get("Version")) != service.version:
            return self._refused(call, 404, "InvalidVersion", "Specified parameter Version is not valid.")
        return await self._answer(call, service)

    def _unknown_action(self, call: Call) -> Response:
        if call.operation:
            words = "Specified api is not found, please check your url and method."
            return self._refused(call, 404, "InvalidAction.NotFound", words)
        return self._refused(
            call,
            400,
            "MissingParameter",
            'The input parameter "Action" that is mandatory for processing this request is not supplied.',
        )

    def _refused(self, call: Call, status: int, code: str, message: str) -> Response:
        answer = auth_alicloud.refusal(status, code, message).answer
        return _respond(*_wire(call, answer, _SERVICES["ehpc"]))

    async def _answer(self, call: Call, service: _Service) -> Response:
        with self._store.transaction(self._clock()) as tx:
            fault = faults.take(tx, call.operation)
            if fault is None:
                return self._carry_out(call, tx, service, None)
        if not fault.after:
            await self._pause(fault.delay)
        with self._store.transaction(self._clock()) as tx:
            response = self._carry_out(call, tx, service, fault)
        if fault.after:
            await self._pause(fault.delay)
        return response

    async def _pause(self, seconds: float) -> None:
        if seconds:
            try:
                await asyncio.wait_for(self._leaving.wait(), seconds)
            except TimeoutError:
                return

    def _carry_out(self, call: Call, tx: Transaction, service: _Service, fault: Fault | None) -> Response:
        call.now = tx.now
        response = None if fault is None else _answer_of_fault(call, fault, service.request_id_header)
        if response is None or (fault is not None and not fault.replaces_effect):
            real = _respond(*_wire(call, _handled(call, tx, service), service))
            response = response or (_halved(real) if fault is not None and fault.truncate else real)
        status = None if isinstance(response, _Dropped) else response.status_code
        requestlog.record(tx, call, status=status, fault=fault is not None, is_secret=service.holds_secrets)
        return response


def _handled(call: Call, tx: Transaction, service: _Service) -> Answer:
    try:
        service.authenticate(call, tx)
        return service.handlers[call.operation](call, tx)
    except Refusal as refusal:
        return refusal.answer


def _wire(call: Call, answer: Answer, service: _Service) -> tuple[bytes, int, str, dict[str, str]]:
    content, media_type = service.render(call, answer)
    return content, answer.status, media_type, {service.request_id_header: call.request_id, **answer.headers}


def _respond(content: bytes, status: int, media_type: str, headers: Mapping[str, str]) -> Response:
    return Response(content, status, {"Date": _date(), **headers, "Content-Type": media_type})


def _date() -> str:
    # Real time, like the dates of signatures, whatever clock the scenario runs on.
    return formatdate(usegmt=True)


def _answer_of_fault(call: Call, fault: Fault, request_id_header: str) -> Response | None:
    """The answer that a fault brings with it; ``None`` if it only spoils or delays the real one."""
    if fault.drop is not None:
        return _Dropped()
    if fault.status is None:
        return None
    is_text = isinstance(fault.body, str)
    content = fault.body if is_text else json.dumps(fault.body) if fault.body is not None else ""
    media_type = "text/plain; charset=utf-8" if is_text else "application/json"
    headers = {"Date": _date(), "Content-Type": media_type, request_id_header: call.request_id, **fault.headers}
    return Response(content, fault.status, headers)


def _halved(response: Response) -> Response:
    body = bytes(response.body)
    return _respond(body[: len(body) // 2], response.status_code, response.headers["content-type"], {})


class _Dropped(Response):
    """No answer: the connection is closed."""

    async def __call__(self, scope: Scope, receive: Receive, _: Send) -> None:
        scope[ABORT]()
        while (await receive())["type"] != "http.disconnect":
            pass


async def _read(request: Request, operation: str) -> Call:
    raw_path = request.scope["raw_path"].decode("ascii")
    host = request.headers.get("host", "")
    return Call(
        operation=operation,
        method=request.method,
        raw_path=raw_path,
        raw_query=request.scope["query_string"].decode("latin-1"),
        headers=dict(request.headers),
        body=await request.body(),
        path=request.path_params,
        now=0.0,
        request_id=str(uuid.uuid4()).upper() if raw_path == "/" else uuid.uuid4().hex,
        base_url=f"http://{host}",
        host=host,
    )
