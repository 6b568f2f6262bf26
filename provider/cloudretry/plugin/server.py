"""The gRPC front: Pulumi's ``ResourceProvider`` service on the lifecycle."""

from __future__ import annotations

import asyncio
import functools
import os
import re
import secrets
import traceback
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
from google.protobuf import empty_pb2, struct_pb2
from google.protobuf.message import Message
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc, status_pb2

from cloudretry import bounds, lifecycle
from cloudretry.actions import ACTIONS, Action
from cloudretry.backend import ConfiguredBackend
from cloudretry.config import load, problems
from cloudretry.errors import ISSUES, CloudRetryError, InvalidInput, JournalError
from cloudretry.inputs import check, is_unknown, property_path
from cloudretry.ledger import Fire
from cloudretry.lifecycle import ChangeKind
from cloudretry.model import Status
from cloudretry.plugin.engine import EngineLog
from cloudretry.plugin.marshal import Secret, from_struct, plain, rewrap, secret_paths, to_struct, wire_text
from cloudretry.plugin.secrecy import Secrecy
from cloudretry.plugin.settings import protect
from cloudretry.record import Record
from cloudretry.run.looker import Looker
from cloudretry.saves import Saves
from cloudretry.text import shortened
from cloudretry.version import __version__

if TYPE_CHECKING:
    Handler = grpc.RpcMethodHandler[Any, Any]

__all__ = ["Provider", "handlers"]


LARGE = 50_000
"""Bytes of a request whose work takes some hundredths of a second: about a thousand targets."""

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
            words = provider.secrecy(*_properties(request)).redact(str(error))
            await context.abort(grpc.StatusCode.FAILED_PRECONDITION, wire_text(words))
        except Exception as defect:
            # The last line of defence: the process must go on serving.
            if isinstance(defect, grpc.aio.AbortError):
                raise
            trace = "".join(traceback.format_exception(defect))
            await provider.log.debug(provider.secrecy(*_properties(request)).redact(trace))
            await context.abort(
                grpc.StatusCode.INTERNAL,
                f"a defect of cloudretry {__version__} in {method.__name__}: {type(defect).__name__}. Nothing is known "
                f"of what happened; run with `--logtostderr --debug -v=9` for the traceback and report it at {ISSUES}",
            )
        raise AssertionError("abort raises")

    return answer


async def _apart(request: Message, work: Callable[[], Response]) -> Response:
    """Do the work, for a large request in a thread: a cancel and all other resources would wait for it."""
    return work() if request.ByteSize() < LARGE else await asyncio.to_thread(work)


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """One provider instance. Every call runs on one event loop; what blocks goes to the backend's threads."""

    def __init__(self, engine_address: str) -> None:
        self.log = EngineLog(engine_address)
        self._cancelled = asyncio.Event()
        self._is_ending = False
        self._saves = Saves()
        self._looker = Looker()
        self._outlook = lifecycle.Outlook()
        self._backend: ConfiguredBackend | None = None
        self._settings: Mapping[str, Any] = {}

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
        inputs = protect(news)
        return provider_pb2.CheckResponse(inputs=to_struct(inputs), failures=self._failures(found, inputs))

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
        self._settings = protect(from_struct(request.args))
        known = {name: value for name, value in plain(self._settings).items() if not is_unknown(value)}
        config = load(known, os.environ)
        self._backend = ConfiguredBackend(config, deployment=self.log.address)
        if config.emulator:
            await self.log.warn(f"cloudretry:emulator is set ({config.emulator}): no real cloud is called.")
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, acceptResources=True, acceptOutputs=True, supportsPreview=True
        )

    @_answering
    async def Cancel(  # noqa: N802
        self, _request: empty_pb2.Empty, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> empty_pb2.Empty:
        # Before an orderly end as well, and then there is nothing to cancel any more.
        self._saves.cancel()
        self.cancel()
        return empty_pb2.Empty()

    def cancel(self) -> None:
        """End every wait; what is under way is recorded as far as it came."""
        self._cancelled.set()

    def end(self) -> None:
        """The process ends: nobody takes the answers of calls that are still under way."""
        self._is_ending = True
        self.cancel()

    async def note_saves(self, *, orderly: bool) -> None:
        """Settle what the engine has saved. ``orderly`` says that an engine that lives ends this process, just now."""
        await self._saves.end(orderly=orderly)

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
        action, backend = _action(request.urn), self._configured
        inherited = backend.inherited(action.cloud)

        def look() -> list[provider_pb2.CheckFailure]:
            news = from_struct(request.news)
            secret, values = frozenset(secret_paths(news)), plain(news)
            found = check(action, values, is_secret=secret.__contains__)
            found += backend.claims.take(request.urn, action, values, inherited)
            if request.news.ByteSize() > bounds.LARGEST_INPUTS:
                found.append(_too_large(request.news))
            return self._failures(found, news)

        return provider_pb2.CheckResponse(inputs=request.news, failures=await _apart(request, look))

    @_answering
    async def Diff(  # noqa: N802
        self, request: provider_pb2.DiffRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.DiffResponse:
        action, backend = _action(request.urn), self._configured

        def read() -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]:
            olds = _recorded(action, request.olds)
            news = _with_ignored(action, from_struct(request.news), olds, request.ignoreChanges)
            return olds, news, plain(olds), plain(news)

        olds, news, outputs, values = await _apart(request, read)
        await lifecycle.note_saved(backend, action, outputs, request.urn)
        compare = functools.partial(
            lifecycle.diff,
            action,
            outputs,
            values,
            backend.inherited(action.cloud),
            interrupted=bool(await self._interrupted(request.urn, action, news, olds)),
            emulated=backend.emulated,
        )
        difference = await _apart(request, compare)
        kinds: dict[str, provider_pb2.PropertyDiff.Kind.ValueType] = {}
        for change in difference.changes:
            # One target in another's place is an update of that place, not what comes last of adding and deleting.
            kinds[change.path] = provider_pb2.PropertyDiff.UPDATE if change.path in kinds else _KINDS[change.kind]
        # What was in clear until now has to become secret in state.
        kinds |= {name: provider_pb2.PropertyDiff.UPDATE for name in _newly_secret(olds, news) if name not in kinds}
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if kinds else provider_pb2.DiffResponse.DIFF_NONE,
            replaces=difference.replaces,
            diffs=list(dict.fromkeys(map(_top, kinds))),
            detailedDiff={path: provider_pb2.PropertyDiff(kind=kind) for path, kind in kinds.items()},
            hasDetailedDiff=True,
        )

    @_answering
    async def Create(  # noqa: N802
        self, request: provider_pb2.CreateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.CreateResponse:
        action, news = _action(request.urn), from_struct(request.properties)
        values = plain(news)
        if request.preview:
            await self._forecast(request.urn, action, news, None)
            outputs = lifecycle.preview_outputs(action, values, None, self._configured.clock.now())
            return provider_pb2.CreateResponse(properties=_outputs(outputs, news, self.secrecy(news)))
        secrecy = self.secrecy(news)
        done = await lifecycle.create(
            action, values, self._configured, self._circumstances(request.urn, request.timeout, secrecy)
        )
        identifier = f"secret-{secrets.token_hex(8)}" if secrecy.hides(done.resource_id) else done.resource_id
        properties = _outputs(done.outputs, news, secrecy)
        response = provider_pb2.CreateResponse(
            id=identifier, properties=properties, refresh_before_update=_reconciles(values)
        )
        await self._hand_over(context, request, identifier, done, properties, secrecy, before={})
        return response

    @_answering
    async def Update(  # noqa: N802
        self, request: provider_pb2.UpdateRequest, context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.UpdateResponse:
        action = _action(request.urn)
        olds = _recorded(action, request.olds)
        news = _with_ignored(action, from_struct(request.news), olds, request.ignoreChanges)
        values, secrecy = plain(news), self.secrecy(olds, news)
        if request.preview:
            await self._forecast(request.urn, action, news, olds)
            outputs = lifecycle.preview_outputs(action, values, plain(olds), self._configured.clock.now())
            return provider_pb2.UpdateResponse(properties=_outputs(outputs, news, secrecy))
        circumstances = self._circumstances(request.urn, request.timeout, secrecy)
        done = await lifecycle.update(action, request.id, plain(olds), values, self._configured, circumstances)
        properties = _outputs(done.outputs, news, secrecy)
        response = provider_pb2.UpdateResponse(properties=properties, refresh_before_update=_reconciles(values))
        await self._hand_over(context, request, request.id, done, properties, secrecy, before=plain(olds))
        return response

    @_answering
    async def Read(  # noqa: N802
        self, request: provider_pb2.ReadRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> provider_pb2.ReadResponse:
        action, old = _action(request.urn), from_struct(request.properties)
        secrecy = self.secrecy(old)
        circumstances = self._circumstances(request.urn, request.timeout, secrecy)
        done = await lifecycle.read(action, request.id, plain(old), self._configured, circumstances)
        inputs = request.inputs if old else to_struct(lifecycle.recorded_inputs(action, done.outputs))
        return provider_pb2.ReadResponse(
            id=done.resource_id,
            properties=_outputs(done.outputs, old, secrecy),
            inputs=inputs,
            refresh_before_update=_reconciles(done.outputs),
        )

    @_answering
    async def Delete(  # noqa: N802
        self, request: provider_pb2.DeleteRequest, _context: grpc.aio.ServicerContext[Any, Any]
    ) -> empty_pb2.Empty:
        outputs = plain(from_struct(request.properties))
        if outputs.get("status"):
            await lifecycle.forget(self._configured, _action(request.urn), outputs, request.urn)
        return empty_pb2.Empty()

    # --- what they share ---

    @property
    def _configured(self) -> ConfiguredBackend:
        if self._backend is None:
            self._backend = ConfiguredBackend(load({}, os.environ))
        return self._backend

    def secrecy(self, *properties: Mapping[str, Any]) -> Secrecy:
        """What must not show of the provider's settings and of a resource's inputs or outputs.

        Triggers are left out: their values show up nowhere else.
        """
        shown = [{name: value for name, value in given.items() if name != "triggers"} for given in properties]
        return Secrecy.of(self._settings, *shown)

    def _failures(self, found: Sequence[InvalidInput], inputs: Mapping[str, Any]) -> list[provider_pb2.CheckFailure]:
        """The findings for the engine, each with its path in its words.

        No property is named to the engine: beside one it prints the whole value, and what is secret in it.
        """
        if not found:
            return []
        secrecy = self.secrecy(inputs)
        return [provider_pb2.CheckFailure(reason=wire_text(secrecy.redact(str(problem)))) for problem in found]

    async def _forecast(
        self, urn: str, action: Action[Any], news: Mapping[str, Any], olds: Mapping[str, Any] | None
    ) -> None:
        """Say in a preview what an `up` would do, and what it would meet."""
        backend, values, outputs = self._configured, plain(news), None if olds is None else plain(olds)
        secrecy, hidden = self.secrecy(news, olds or {}), _secret_triggers(news) | _secret_triggers(olds or {})
        interrupted = await self._interrupted(urn, action, news, olds)
        found = lifecycle.forecast(
            action, values, outputs, backend.clock.now(), interrupted=interrupted, is_secret=hidden.__contains__
        )
        lines = [found.line]
        if found.fire and backend.config.preview_checks:
            circumstances = self._circumstances(urn, 0.0, secrecy)
            lines.append(await self._outlook.tell(action, values, outputs, found.fire, backend, circumstances))
        if line := "; ".join(filter(None, lines)):
            self.log.notice(urn, secrecy.redact(line))

    async def _interrupted(
        self, urn: str, action: Action[Any], news: Mapping[str, Any], olds: Mapping[str, Any] | None
    ) -> list[Fire]:
        """The fires that an `up` would take up, as far as the place is known without asking the cloud."""
        backend = self._configured
        try:
            return await lifecycle.found_open(action, plain(news), None if olds is None else plain(olds), backend, urn)
        except JournalError as error:
            self.log.notice(urn, f"the journal cannot be read, so an interrupted fire would not show: {error}")
            return []

    async def _hand_over(
        self,
        context: grpc.aio.ServicerContext[Any, Any],
        request: provider_pb2.CreateRequest | provider_pb2.UpdateRequest,
        identifier: str,
        done: lifecycle.Outcome,
        properties: struct_pb2.Struct,
        secrecy: Secrecy,
        *,
        before: Mapping[str, Any],
    ) -> None:
        """Do what comes last before the engine is answered, and fail the ``up`` if the run did not end well.

        ``before`` are the outputs in state. What fails in here leaves the fire open in the journal.
        """
        details = _failed_with_state(identifier, done, properties, secrecy) if done.failure else ()
        history = done.outputs["history"]
        is_new = bool(history) and history != before.get("history")
        if is_new and not details and self._is_worth_telling(request.urn, history[-1]):
            await self.log.last_word(request.urn, _what_happened(history[-1]))
        if not self._is_ending:
            await lifecycle.hand_over(done)
            self._saves.give(done, request.resource_status_address, request.resource_status_token)
        if details:
            await context.abort(grpc.StatusCode.UNKNOWN, "the retry did not end well", details)

    def _is_worth_telling(self, urn: str, run: Mapping[str, Any]) -> bool:
        """Whether the engine's own `created` or `updated` leaves something out."""
        return self.log.has_told(urn) or run["fired"] != 1 or run["outcomes"] != {Status.SUCCEEDED: 1}

    def _circumstances(self, urn: str, timeout: float, secrecy: Secrecy) -> lifecycle.Circumstances:
        return lifecycle.Circumstances(
            resource=urn,
            timeout=min(timeout or lifecycle.DEFAULT_TIMEOUT, bounds.LONGEST_DURATION),
            cancelled=self._cancelled,
            looker=self._looker,
            is_secret=secrecy.hides,
            progress=lambda line: self.log.status(urn, secrecy.redact(line)),
            notice=lambda line: self.log.notice(urn, secrecy.redact(line)),
        )


def _what_happened(run: Mapping[str, Any]) -> str:
    """A run of the history in a line: ``2 fired: 2 Succeeded``."""
    outcomes = ", ".join(f"{count} {status}" for status, count in run["outcomes"].items())
    return f"{run['fired']} fired: {outcomes}"


def _too_large(inputs: struct_pb2.Struct) -> InvalidInput:
    size, most = inputs.ByteSize(), bounds.LARGEST_INPUTS
    largest = max(inputs.fields, key=lambda name: inputs.fields[name].ByteSize())
    return InvalidInput(
        property_path([largest]),
        f"the inputs have {size:,} bytes, most of them here, and the state of more than {most:,} could not be saved "
        "when the run fails; put less into one resource, or a hash in the place of a large trigger",
    )


def _fit(properties: struct_pb2.Struct) -> None:
    """Shorten the clouds' words, as far as is needed for the engine to take the outputs.

    :raises CloudRetryError: they are too large even so, which only inputs of before their bound can make them.
    """
    for most in (200, 50, 10):
        if properties.ByteSize() <= bounds.LARGEST_FAILURE:
            return
        for result in properties.fields["results"].list_value.values:
            for name in ("errorMessage", "errorCode", "cloudStatus"):
                if name in result.struct_value.fields:
                    value = result.struct_value.fields[name]
                    value = value.struct_value.fields["value"] if value.HasField("struct_value") else value
                    value.string_value = shortened(value.string_value, most)
    if properties.ByteSize() > bounds.LARGEST_FAILURE:
        raise CloudRetryError(
            f"the outcome has {properties.ByteSize():,} bytes, more than the engine takes from a run that failed, so "
            "it is not in the state. The next `pulumi up` takes it up from the journal; put less into one resource"
        )


def _failed_with_state(
    identifier: str, done: lifecycle.Outcome, properties: struct_pb2.Struct, secrecy: Secrecy
) -> tuple[tuple[str, bytes], ...]:
    """What fails the ``up`` and hands over the outputs all the same."""
    _fit(properties)
    reason = wire_text(secrecy.redact(done.failure))
    failed = provider_pb2.ErrorResourceInitFailed(
        id=identifier,
        properties=properties,
        # The engine puts its own bullet before the first line; the others belong under it.
        reasons=[reason.replace("\n", "\n\t  ")],
        refresh_before_update=_reconciles(done.outputs),
    )
    status = status_pb2.Status(code=grpc.StatusCode.UNKNOWN.value[0], message=reason)
    status.details.add().Pack(failed)
    return (("grpc-status-details-bin", status.SerializeToString()),)


def handlers(provider: Provider) -> Callable[[grpc.HandlerCallDetails], Handler | None]:
    """How a call finds its method. A method that this provider does not have is answered with UNIMPLEMENTED."""

    class Catch:
        found: list[grpc.GenericRpcHandler]

        def add_generic_rpc_handlers(self, handlers: tuple[grpc.GenericRpcHandler, ...]) -> None:
            self.found = list(handlers)

        def add_registered_method_handlers(self, _service: str, _handlers: Mapping[str, Any]) -> None:
            """The generic ones serve the same methods."""

    catch: Any = Catch()
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, catch)
    (service,) = catch.found

    def find(details: grpc.HandlerCallDetails) -> Handler | None:
        is_ours = details.method.rpartition("/")[2] in vars(Provider)
        handler: Handler | None = service.service(details) if is_ours else None
        return handler

    return find


def _properties(request: Any) -> Iterator[dict[str, Any]]:
    """The properties that a request carries, in any of its fields."""
    for name in ("properties", "olds", "news", "args"):
        struct = getattr(request, name, None)
        if isinstance(struct, struct_pb2.Struct):
            yield from_struct(struct)


def _action(urn: str) -> Action[Any]:
    parts = urn.split("::")
    if len(parts) < 4:
        raise CloudRetryError(f"the request names no resource: {urn!r} is not a URN")
    token = parts[2].rsplit("$", 1)[-1]
    action = ACTIONS.get(token)
    if action is None:
        raise CloudRetryError(f"cloudretry {__version__} has no resource {token}; it has {', '.join(ACTIONS)}")
    return action


def _recorded(action: Action[Any], struct: struct_pb2.Struct) -> dict[str, Any]:
    """The outputs in state.

    :raises CloudRetryError: they were edited, and do not say what was fired.
    """
    outputs = from_struct(struct)
    if not {"status", "generation"} <= outputs.keys():
        raise CloudRetryError(
            "the resource's state does not say what was fired. If it was edited, put `status` and `generation` back, "
            "or remove the resource from the state and import it, which fires nothing"
        )
    Record.from_outputs(action, plain(outputs))
    return outputs


def _top(path: str) -> str:
    return str(_path(path)[0])


def _secret_triggers(properties: Mapping[str, Any]) -> frozenset[str]:
    """The names of the triggers whose values are secret, in whole or in part."""
    triggers = properties.get("triggers")
    whole = isinstance(triggers, Secret)
    values = triggers.value if isinstance(triggers, Secret) else triggers
    if not isinstance(values, Mapping):
        return frozenset()
    return frozenset(name for name, value in values.items() if whole or _secret(value))


def _newly_secret(olds: Mapping[str, Any], news: Mapping[str, Any]) -> list[str]:
    return [name for name, value in news.items() if name in olds and _secret(value) and not _secret(olds[name])]


def _secret(value: Any) -> bool:
    return any(True for _ in secret_paths(value))


_PART = re.compile(r'\.?\["(?P<quoted>(?:\\"|[^"])*)"\]|\.?\[(?:(?P<index>\d+)|(?P<all>\*))\]|\.?(?P<name>[^.\[]+)')


def _path(path: str) -> list[str | int]:
    """The parts of a property path as the engine reads it: ``jobs[2].jobId``, ``triggers["a.b"]``, ``triggers[*]``."""
    parts: list[str | int] = []
    for part in _PART.finditer(path):
        if part["index"]:
            parts.append(int(part["index"]))
        elif part["quoted"] is not None:
            parts.append(part["quoted"].replace('\\"', '"'))
        else:
            parts.append(part["all"] or part["name"])
    return parts


def _with_ignored(action: Action[Any], news: Any, olds: Mapping[str, Any], ignored: Iterable[str]) -> dict[str, Any]:
    """The inputs with what ``ignoreChanges`` names as it was recorded; an output that it names is left alone.

    The engine puts the old *inputs* there, which after a run that failed in part are not what was fired.
    """
    names = {field.alias or name for name, field in action.inputs.model_fields.items()}
    recorded = {name: value for name, value in olds.items() if name in names}
    for path in filter(None, map(_path, ignored)):
        news = _kept(news, recorded, path)
    return dict(news)


def _kept(value: Any, old: Any, path: Sequence[str | int]) -> Any:
    """The value with what is at the path as in the old one, or without it where that has none."""
    if isinstance(value, Secret):
        return Secret(_kept(value.value, old.value if isinstance(old, Secret) else old, path))
    if isinstance(old, Secret):
        old = _spread(old.value)
    head, *rest = path
    if isinstance(value, list) and isinstance(old, list):
        chosen = range(min(len(value), len(old))) if head == "*" else [head]
        indices = {index for index in chosen if isinstance(index, int) and index < min(len(value), len(old))}
        return [
            item if index not in indices else _kept(item, old[index], rest) if rest else old[index]
            for index, item in enumerate(value)
        ]
    if not isinstance(value, Mapping) or not isinstance(old, Mapping):
        return value
    kept = dict(value)
    for name in {*value, *old} if head == "*" else {str(head)}:
        if rest and name in value:
            kept[name] = _kept(value[name], old.get(name), rest)
        elif not rest and name in old:
            kept[name] = old[name]
        elif not rest:
            kept.pop(name, None)
    return kept


def _spread(value: Any) -> Any:
    """The parts of a secret, each one secret."""
    if isinstance(value, Mapping):
        return {name: Secret(item) for name, item in value.items()}
    return [Secret(item) for item in value] if isinstance(value, list) else Secret(value)


def _outputs(outputs: Mapping[str, Any], inputs: Mapping[str, Any], secrecy: Secrecy) -> struct_pb2.Struct:
    """The outputs as a message: an input is as secret as it was given, and so is a secret that shows up elsewhere."""
    return to_struct(secrecy.mark(rewrap(outputs, inputs)))


def _reconciles(values: Mapping[str, Any]) -> bool:
    return values.get("reconcile") is True
