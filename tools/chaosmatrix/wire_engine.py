"""The engine's part in one command on a small stack, over gRPC, with real plugin processes.

It does what the engine does as far as a fire can depend on it: starts a plugin for each provider, configures it,
checks, diffs, creates, updates or replaces each resource, saves the outputs once the reply is there (those of a failed
create or update too, with the inputs as they were), deletes what was replaced or is declared no more, and only then
ends the plugins. It acknowledges a save as the engine does: the token of a request's status is known until the state is
written. Of interrupts and of its end it tells the plugins what the engine of the ordered version tells them. Run as a
program of its own, so that it can be killed.

The order is a JSON file: ``plugin`` (its command), ``version`` (``3.230`` or ``3.276``), ``state`` (the file), ``hold``
(a file to make when a reply is there, and then to stand still; empty: none), ``providers`` (configuration by name),
``resources`` (each with ``urn``, ``alias``, ``provider``, ``inputs``, ``timeout`` and ``replace``).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import (
    engine_pb2_grpc,
    provider_pb2,
    provider_pb2_grpc,
    resource_status_pb2,
    resource_status_pb2_grpc,
    status_pb2,
)

PLUGIN_END = 20.0
"""Seconds that a plugin has to end in after SIGINT."""

INTERRUPTED, TERMINATED = 1, 2
"""How many interrupts it takes."""


class _Stopped(Exception):
    """The user has interrupted: no further step begins, or, at the second time, nothing more is saved."""


class _Log(engine_pb2_grpc.EngineServicer):
    """Prints what the plugins say."""

    def Log(self, request: Any, _context: Any) -> empty_pb2.Empty:  # noqa: N802 - the service's own name
        print(f"    {'(status) ' if request.ephemeral else ''}{request.message}", flush=True)
        return empty_pb2.Empty()


class _Tokens(resource_status_pb2_grpc.ResourceStatusServicer):
    """The tokens of the steps that are not over."""

    def __init__(self) -> None:
        self.known: set[str] = set()

    def PublishViewSteps(self, request: Any, context: Any) -> resource_status_pb2.PublishViewStepsResponse:  # noqa: N802
        if request.token not in self.known:
            context.abort(grpc.StatusCode.UNKNOWN, f'token "{request.token}" not found')
        return resource_status_pb2.PublishViewStepsResponse()


class _State:
    """What the backend keeps: the resources by URN, and the replaced ones that are to be deleted."""

    def __init__(self, path: Path, hold: str) -> None:
        self._path = path
        self._hold = hold
        self._lock = threading.Lock()
        self.is_closed = False
        known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        self.resources: dict[str, Any] = known.get("resources", {})
        self.doomed: list[Any] = known.get("doomed", [])

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Change it and write it.

        :raises _Stopped: nothing is saved any more.
        """
        with self._lock:
            if self.is_closed:
                raise _Stopped
            yield
            draft = self._path.with_suffix(f".{os.getpid()}.new")
            draft.write_text(json.dumps({"resources": self.resources, "doomed": self.doomed}), encoding="utf-8")
            draft.replace(self._path)

    def stand_still(self) -> None:
        """A reply is there, and not saved yet."""
        if self._hold:
            Path(self._hold).touch()
            while not self.is_closed:
                time.sleep(0.01)


class _Plugin:
    """A plugin process, configured."""

    def __init__(self, stack: ExitStack, command: str, address: str, config: Mapping[str, str]) -> None:
        self.process = stack.enter_context(
            subprocess.Popen([command, address], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, process_group=0)
        )
        assert self.process.stdout is not None
        port = int(self.process.stdout.readline() or 0)
        self._channel = grpc.insecure_channel(f"127.0.0.1:{port}")
        self.stub: Any = provider_pb2_grpc.ResourceProviderStub(self._channel)
        self._config = config
        self._configuring = threading.Lock()
        self._is_configured = False

    def configured(self) -> Any:
        with self._configuring:
            if not self._is_configured:
                arguments = _struct(self._config)
                self.stub.Configure(provider_pb2.ConfigureRequest(args=arguments, acceptSecrets=True))
                self._is_configured = True
        return self.stub

    def cancel(self) -> None:
        with contextlib.suppress(grpc.RpcError):
            self.stub.Cancel(empty_pb2.Empty(), timeout=5.0)

    def end(self) -> bool:
        """Whether it ends when it is told to."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(PLUGIN_END)
        except subprocess.TimeoutExpired:
            print("the plugin does not end after SIGINT", flush=True)
            self.process.kill()
            return False
        finally:
            self._channel.close()
        return True


class _Command:
    def __init__(self, order: Mapping[str, Any], stack: ExitStack) -> None:
        self._order = order
        self._tokens = _Tokens()
        self._interrupts = 0
        self._turn = threading.Condition()
        self._state = _State(Path(order["state"]), order["hold"])
        log = grpc.server(ThreadPoolExecutor(2))
        engine_pb2_grpc.add_EngineServicer_to_server(_Log(), log)
        address = f"127.0.0.1:{log.add_insecure_port('127.0.0.1:0')}"
        log.start()
        stack.callback(log.stop, None)
        self._status = grpc.server(ThreadPoolExecutor(4))
        resource_status_pb2_grpc.add_ResourceStatusServicer_to_server(self._tokens, self._status)
        self._status_address = f"127.0.0.1:{self._status.add_insecure_port('127.0.0.1:0')}"
        self._status.start()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._interrupt)
        self._plugins = {
            name: _Plugin(stack, order["plugin"], address, config) for name, config in order["providers"].items()
        }

    def run(self) -> int:
        """Do it. Returns the exit code."""
        code: list[int] = []
        working = threading.Thread(target=lambda: code.append(self._deploy()), daemon=True)
        working.start()
        told = 0
        while working.is_alive() and told < TERMINATED:
            with self._turn:
                self._turn.wait(0.02)
            if self._interrupts > told:
                told += 1
                self._state.is_closed = told == TERMINATED
                for plugin in self._plugins.values():
                    plugin.cancel()
        if told < TERMINATED:
            self._status.stop(0).wait()
        if self._order["version"] != "3.230" and told != TERMINATED:
            for plugin in self._plugins.values():
                plugin.cancel()
        ended = [plugin.end() for plugin in self._plugins.values()]
        working.join(5.0)
        self._status.stop(0)
        if not all(ended):
            return 70
        if told == TERMINATED:
            print("error: update canceled, and ended at once", flush=True)
            return 130
        return code[0] if code else 1

    def _interrupt(self, _number: int, _frame: Any) -> None:
        self._interrupts += 1

    def _deploy(self) -> int:
        resources = self._order["resources"]
        with ThreadPoolExecutor(max(1, len(resources))) as threads:
            codes = list(threads.map(self._step, resources))
        if self._interrupts or any(codes):
            return 1
        try:
            self._delete_what_is_left({resource["urn"] for resource in resources})
        except (_Stopped, grpc.RpcError) as error:
            print(f"error: {error}", flush=True)
            return 1
        return 0

    def _step(self, resource: Mapping[str, Any]) -> int:
        try:
            return self._bring_about(resource)
        except _Stopped:
            print("error: update canceled", flush=True)
        except grpc.RpcError as error:
            print(f"error: {error.code().name}: {error.details()}", flush=True)
        return 1

    def _bring_about(self, resource: Mapping[str, Any]) -> int:
        stub, urn, news = self._plugins[resource["provider"]].configured(), resource["urn"], _struct(resource["inputs"])
        old = self._state.resources.get(urn) or self._state.resources.get(resource["alias"])
        replaces = old is not None and (resource["replace"] or old.get("tainted", False))
        shown = None if replaces else old
        properties = self._check(stub, urn, news, shown)
        if shown is not None:
            olds, old_inputs = _struct(shown["outputs"]), _struct(shown["inputs"])
            found = stub.Diff(
                provider_pb2.DiffRequest(id=shown["id"], urn=urn, olds=olds, news=properties, old_inputs=old_inputs)
            )
            if found.replaces:
                replaces, properties = True, self._check(stub, urn, news, None)
            elif found.changes != provider_pb2.DiffResponse.DIFF_SOME and not shown["failed"]:
                print("same", flush=True)
                self._keep(resource, shown, None, replaces=False)
                return 0
        if self._interrupts:
            raise _Stopped
        token = secrets.token_hex(8)
        self._tokens.known.add(token)
        request: Any
        told = {
            "urn": urn,
            "timeout": resource["timeout"],
            "resource_status_address": self._status_address,
            "resource_status_token": token,
        }
        if shown is None or replaces:
            call, identifier = stub.Create, ""
            request = provider_pb2.CreateRequest(properties=properties, **told)
        else:
            call, identifier = stub.Update, shown["id"]
            request = provider_pb2.UpdateRequest(
                id=identifier, olds=olds, news=properties, old_inputs=old_inputs, **told
            )
        try:
            done = call(request)
        except grpc.RpcError as error:
            failed = _init_failed(error)
            if failed is None:
                # The step is over all the same.
                self._tokens.known.discard(token)
                raise
            print(f"error: {' '.join(failed.reasons)}", flush=True)
            # The engine keeps the old inputs of an update that failed, though the new ones were fired.
            inputs = shown["inputs"] if identifier and shown else _plain(properties)
            new = {"id": failed.id, "inputs": inputs, "outputs": _plain(failed.properties), "failed": True}
            self._keep(resource, new, token, replaces=replaces)
            return 1
        new = {
            "id": identifier or done.id,
            "inputs": _plain(properties),
            "outputs": _plain(done.properties),
            "failed": False,
        }
        self._keep(resource, new, token, replaces=replaces)
        print("updated" if identifier else "created", flush=True)
        return 0

    def _check(self, stub: Any, urn: str, news: struct_pb2.Struct, old: Mapping[str, Any] | None) -> struct_pb2.Struct:
        """The inputs as they were checked.

        :raises grpc.RpcError, _Stopped: they cannot be used.
        """
        request = provider_pb2.CheckRequest(urn=urn, news=news, olds=_struct(old["inputs"] if old else {}))
        if self._order["version"] != "3.230":
            request.old_outputs.CopyFrom(_struct(old["outputs"] if old else {}))
        checked = stub.Check(request)
        if checked.failures:
            print(f"error: {' '.join(failure.reason for failure in checked.failures)}", flush=True)
            raise _Stopped
        inputs: struct_pb2.Struct = checked.inputs
        return inputs

    def _keep(self, resource: Mapping[str, Any], new: Any, token: str | None, *, replaces: bool) -> None:
        """Save a step that is over, and acknowledge it."""
        if token is not None:
            self._state.stand_still()
        urn, known = resource["urn"], self._state.resources
        with self._state.writing():
            old = known.pop(resource["alias"], None) or known.get(urn)
            if replaces and old is not None:
                self._state.doomed.append({**old, "urn": urn, "provider": resource["provider"]})
            known[urn] = {**new, "provider": resource["provider"]}
        self._tokens.known.discard(token or "")

    def _delete_what_is_left(self, declared: set[str]) -> None:
        """Delete what was replaced, and what the program declares no more."""
        known = self._state.resources
        doomed = [*self._state.doomed, *({**known[urn], "urn": urn} for urn in known if urn not in declared)]
        for old in doomed:
            stub = self._plugins[old["provider"]].configured()
            properties, inputs = _struct(old["outputs"]), _struct(old["inputs"])
            stub.Delete(
                provider_pb2.DeleteRequest(id=old["id"], urn=old["urn"], properties=properties, old_inputs=inputs)
            )
            with self._state.writing():
                if old in self._state.doomed:
                    self._state.doomed.remove(old)
                else:
                    del known[old["urn"]]
            print("deleted", flush=True)


def main() -> int:
    """Do what the file named on the command line orders. Returns the exit code."""
    order = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with ExitStack() as stack:
        return _Command(order, stack).run()


def _init_failed(error: Any) -> provider_pb2.ErrorResourceInitFailed | None:
    for name, value in error.trailing_metadata() or ():
        if name == "grpc-status-details-bin":
            failed = provider_pb2.ErrorResourceInitFailed()
            for detail in status_pb2.Status.FromString(value).details:
                if detail.Unpack(failed):
                    return failed
    return None


def _struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct


def _plain(struct: struct_pb2.Struct) -> dict[str, Any]:
    plain: dict[str, Any] = json_format.MessageToDict(struct)
    return plain


if __name__ == "__main__":
    sys.exit(main())
