"""The gRPC front: Pulumi's ``ResourceProvider`` service on the lifecycle."""

from __future__ import annotations

import asyncio
import functools
import os
import secrets
import traceback
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar

import grpc
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from cloudretry import lifecycle
from cloudretry.actions import ACTIONS, Action
from cloudretry.backend import ConfiguredBackend
from cloudretry.config import load, problems
from cloudretry.errors import CloudRetryError
from cloudretry.inputs import check, is_unknown
from cloudretry.lifecycle import ChangeKind
from cloudretry.plugin.engine import EngineLog
from cloudretry.plugin.marshal import Secret, from_struct, plain, rewrap, secret_paths, to_struct
from cloudretry.plugin.settings import protect
from cloudretry.version import __version__

__all__ = ["Provider", "handlers"]

ISSUES = "https://github.com/pulumi-cloudretry/pulumi-cloudretry/issues"

Request = TypeVar("Request")
Response = TypeVar("Response")
Method = Callable[["Provider", Request, "grpc.aio.ServicerContext[Any, Any]"], Awaitable[Response]]

_KINDS = {
    ChangeKind.ADD: provider_pb2.PropertyDiff.ADD,
    ChangeKind.DELETE: provider_pb2.PropertyDiff.DELETE,
    ChangeKind.UPDATE: provider_pb2.PropertyDiff.UPDATE,
    ChangeKind.REPLACE: provider_pb2.PropertyDiff.UPDATE_REPLACE,
}


def _answering(method: Method[Request, Response]) -> Method[Request, Response]:
    """Turn exceptions into what the user should read: words for what they can mend, a report for our defects."""

    @functools.wraps(method)
    async def answer(provider: Provider, request: Request, context: grpc.aio.ServicerContext[Any, Any]) -> Response:
        try:
            return await method(provider, request, context)
        except CloudRetryError as error:
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, str(error))
        except Exception as defect:  # noqa: BLE001 - the last line: the process must go on serving
            if isinstance(defect, grpc.aio.AbortError):
                raise
            await provider.log.debug("".join(traceback.format_exception(defect)))
            await context.abort(
                grpc.StatusCode.INTERNAL,
                f"a defect of cloudretry {__version__} in {method.__name__}: {type(defect).__name__}. Nothing is known "
                f"of what happened; run with `--logtostderr --debug -v=9` for the traceback and report it at {ISSUES}",
            )
        raise AssertionError("abort raises")

    return answer


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider instance. Every call runs on one event loop; what blocks goes to the backend's threads."""

    def __init__(self, engine_address: str) -> None:
        self.log = EngineLog(engine_address)
        self._cancelled = asyncio.Event()
        self._backend: ConfiguredBackend | None = None

    # --- the provider itself ---

    @_answering
    async def Handshake(  # noqa: N802 - the service's own name, as below
        self, request: provider_pb2.ProviderHandshakeRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.ProviderHandshakeResponse:
        self.log.connect(request.engine_address)
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    @_answering
    async def Attach(  # noqa: N802
        self, request: plugin_pb2.PluginAttach, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> empty_pb2.Empty:
        self.log.connect(request.address)
        return empty_pb2.Empty()

    @_answering
    async def GetPluginInfo(  # noqa: N802
        self, _request: empty_pb2.Empty, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> plugin_pb2.PluginInfo:
        return plugin_pb2.PluginInfo(version=__version__)

    @_answering
    async def GetSchema(  # noqa: N802
        self, _request: provider_pb2.GetSchemaRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.GetSchemaResponse:
        from cloudretry.schema import schema_text

        return provider_pb2.GetSchemaResponse(schema=schema_text())

    @_answering
    async def CheckConfig(  # noqa: N802
        self, request: provider_pb2.CheckRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.CheckResponse:
        news = from_struct(request.news)
        found = problems(plain(news), is_unknown)
        return provider_pb2.CheckResponse(
            inputs=to_struct(protect(news)),
            failures=[
                provider_pb2.CheckFailure(property=problem.path.split(".")[0], reason=str(problem)) for problem in found
            ],
        )

    @_answering
    async def DiffConfig(  # noqa: N802
        self, request: provider_pb2.DiffRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.DiffResponse:
        # Never a replace: a provider that is replaced would replace, and so fire, all its resources.
        olds, news = (plain(from_struct(struct)) for struct in (request.old_inputs or request.olds, request.news))
        changed = [name for name in dict.fromkeys((*olds, *news)) if olds.get(name) != news.get(name)]
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=changed,
        )

    @_answering
    async def Configure(  # noqa: N802
        self, request: provider_pb2.ConfigureRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.ConfigureResponse:
        given = {name: value for name, value in plain(from_struct(request.args)).items() if not is_unknown(value)}
        config = load(given, os.environ)
        self._backend = ConfiguredBackend(config)
        if config.emulator:
            await self.log.warn(f"cloudretry:emulator is set ({config.emulator}): no real cloud is called.")
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, acceptResources=True, acceptOutputs=True, supportsPreview=True
        )

    @_answering
    async def Cancel(  # noqa: N802
        self, _request: empty_pb2.Empty, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> empty_pb2.Empty:
        self.cancel()
        return empty_pb2.Empty()

    def cancel(self) -> None:
        """End every wait; what is under way is recorded as far as it came."""
        self._cancelled.set()

    async def close(self) -> None:
        """Let go of everything."""
        if self._backend is not None:
            self._backend.close()
        await self.log.close()

    # --- resources ---

    @_answering
    async def Check(  # noqa: N802
        self, request: provider_pb2.CheckRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.CheckResponse:
        news = from_struct(request.news)
        secret = frozenset(secret_paths(news))
        found = check(_action(request.urn), plain(news), is_secret=secret.__contains__)
        return provider_pb2.CheckResponse(
            inputs=request.news,
            failures=[provider_pb2.CheckFailure(property=problem.path, reason=problem.reason) for problem in found],
        )

    @_answering
    async def Diff(  # noqa: N802
        self, request: provider_pb2.DiffRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.DiffResponse:
        action = _action(request.urn)
        olds = plain(from_struct(request.olds))
        news = _with_ignored(plain(from_struct(request.news)), olds, request.ignoreChanges)
        difference = lifecycle.diff(action, olds, news, self._configured.inherited(action.cloud))
        return provider_pb2.DiffResponse(
            changes=(
                provider_pb2.DiffResponse.DIFF_SOME if difference.changes else provider_pb2.DiffResponse.DIFF_NONE
            ),
            replaces=difference.replaces,
            diffs=[_top(change.path) for change in difference.changes],
            detailedDiff={
                change.path: provider_pb2.PropertyDiff(kind=_KINDS[change.kind]) for change in difference.changes
            },
            hasDetailedDiff=True,
        )

    @_answering
    async def Create(  # noqa: N802
        self, request: provider_pb2.CreateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.CreateResponse:
        action, news = _action(request.urn), from_struct(request.properties)
        values = plain(news)
        if request.preview:
            outputs = lifecycle.preview_outputs(action, values, None, self._configured.clock.now())
            return provider_pb2.CreateResponse(properties=_outputs(outputs, news))
        done = await lifecycle.create(
            action, values, self._configured, self._circumstances(request.urn, request.timeout)
        )
        identifier = f"secret-{secrets.token_hex(8)}" if _hides_targets(action, news) else done.resource_id
        await self._fail_with_state(context, identifier, done, news)
        return provider_pb2.CreateResponse(
            id=identifier, properties=_outputs(done.outputs, news), refresh_before_update=_reconciles(values)
        )

    @_answering
    async def Update(  # noqa: N802
        self, request: provider_pb2.UpdateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.UpdateResponse:
        action, old, news = _action(request.urn), from_struct(request.olds), from_struct(request.news)
        olds = plain(old)
        values = _with_ignored(plain(news), olds, request.ignoreChanges)
        if request.preview:
            outputs = lifecycle.preview_outputs(action, values, olds, self._configured.clock.now())
            return provider_pb2.UpdateResponse(properties=_outputs(outputs, old, news))
        done = await lifecycle.update(
            action, request.id, olds, values, self._configured, self._circumstances(request.urn, request.timeout)
        )
        await self._fail_with_state(context, request.id, done, old, news)
        return provider_pb2.UpdateResponse(
            properties=_outputs(done.outputs, old, news), refresh_before_update=_reconciles(values)
        )

    @_answering
    async def Read(  # noqa: N802
        self, request: provider_pb2.ReadRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.ReadResponse:
        action, old = _action(request.urn), from_struct(request.properties)
        done = await lifecycle.read(
            action, request.id, plain(old), self._configured, self._circumstances(request.urn, 0.0)
        )
        inputs = request.inputs if old else to_struct(lifecycle.recorded_inputs(action, done.outputs))
        return provider_pb2.ReadResponse(
            id=done.resource_id,
            properties=_outputs(done.outputs, old),
            inputs=inputs,
            refresh_before_update=_reconciles(done.outputs),
        )

    @_answering
    async def Delete(  # noqa: N802
        self, _request: provider_pb2.DeleteRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> empty_pb2.Empty:
        return empty_pb2.Empty()

    # --- what they share ---

    @property
    def _configured(self) -> ConfiguredBackend:
        if self._backend is None:
            self._backend = ConfiguredBackend(load({}, os.environ))
        return self._backend

    def _circumstances(self, urn: str, timeout: float) -> lifecycle.Circumstances:
        return lifecycle.Circumstances(
            timeout=timeout or lifecycle.DEFAULT_TIMEOUT,
            cancelled=self._cancelled,
            progress=lambda line: self.log.status(urn, line),
        )

    async def _fail_with_state(
        self,
        context: grpc.aio.ServicerContext[Any, Any],
        identifier: str,
        done: lifecycle.Outcome,
        *like: Mapping[str, Any],
    ) -> None:
        """Fail the ``up`` and hand over the outputs all the same, when the run did not end well."""
        if not done.failure:
            return
        failed = provider_pb2.ErrorResourceInitFailed(
            id=identifier,
            properties=_outputs(done.outputs, *like),
            reasons=[done.failure],
            refresh_before_update=_reconciles(done.outputs),
        )
        status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=done.failure)
        status.details.add().Pack(failed)
        details = (("grpc-status-details-bin", status.SerializeToString()),)
        await context.abort(grpc.StatusCode.UNKNOWN, "the retry did not end well", details)


def handlers(provider: Provider) -> Callable[[grpc.HandlerCallDetails], grpc.RpcMethodHandler | None]:
    """How a call finds its method."""

    class Catch:
        found: list[grpc.GenericRpcHandler]

        def add_generic_rpc_handlers(self, handlers: tuple[grpc.GenericRpcHandler, ...]) -> None:
            self.found = list(handlers)

        def add_registered_method_handlers(self, _service: str, _handlers: Mapping[str, Any]) -> None:
            """The generic ones serve the same methods."""

    catch = Catch()
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, catch)  # type: ignore[no-untyped-call]
    (handler,) = catch.found
    return handler.service


def _action(urn: str) -> Action[Any]:
    token = urn.split("::")[2].rsplit("$", 1)[-1]
    action = ACTIONS.get(token)
    if action is None:
        raise CloudRetryError(f"cloudretry {__version__} has no resource {token}; it has {', '.join(ACTIONS)}")
    return action


def _top(path: str) -> str:
    return path.split(".")[0].split("[")[0]


def _with_ignored(values: dict[str, Any], olds: Mapping[str, Any], ignored: Any) -> dict[str, Any]:
    """The inputs with what ``ignoreChanges`` names as it was recorded.

    The engine puts the old *inputs* there, which after a run that failed in part are not what was fired.
    """
    values = dict(values)
    for path in ignored:
        name, _, rest = path.partition(".")
        name, _, index = name.partition("[")
        if not rest and not index:
            _keep(values, olds, name)
        elif rest and not index and isinstance(values.get(name), dict):
            values[name] = dict(values[name])
            _keep(values[name], olds.get(name) or {}, rest)
    return values


def _keep(values: dict[str, Any], olds: Mapping[str, Any], name: str) -> None:
    if name in olds:
        values[name] = olds[name]
    else:
        values.pop(name, None)


def _outputs(outputs: Mapping[str, Any], *like: Mapping[str, Any]) -> struct_pb2.Struct:
    """The outputs as a message, secret wherever the inputs or the old outputs were."""
    wrapped: Any = dict(outputs)
    for old in like:
        wrapped = rewrap(wrapped, old)
    return to_struct(wrapped)


def _hides_targets(action: Action[Any], news: Mapping[str, Any]) -> bool:
    names = {*action.identity, *(action.target_list or ())[:1]}
    return any(_holds_secret(news.get(name)) for name in names)


def _holds_secret(value: Any) -> bool:
    if isinstance(value, Secret):
        return True
    return any(True for _ in secret_paths(value))


def _reconciles(values: Mapping[str, Any]) -> bool:
    return values.get("reconcile") is True
