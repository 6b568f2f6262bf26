"""The engine's part in one `up` of one resource, over gRPC, with the real plugin process.

It does what the engine does as far as a fire can depend on it: starts the plugin, configures it, checks, diffs, creates
or updates, saves the outputs once the reply is there (those of a failed create or update too, with the inputs as they
were), and only then ends the plugin with SIGINT. Run as a program of its own, so that it can be killed.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc
from google.protobuf import empty_pb2, json_format, struct_pb2
from pulumi.runtime.proto import engine_pb2_grpc, provider_pb2, provider_pb2_grpc, status_pb2

PLUGIN_END = 20.0
"""Seconds that the plugin has to end in after SIGINT."""


class _Log(engine_pb2_grpc.EngineServicer):
    """Prints what the plugin says."""

    def Log(self, request: Any, _context: Any) -> empty_pb2.Empty:  # noqa: N802 - the service's own name
        print(f"    {'(status) ' if request.ephemeral else ''}{request.message}", flush=True)
        return empty_pb2.Empty()


def main() -> int:
    """Do the `up` that the file named on the command line describes. Returns the exit code."""
    order = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    log = grpc.server(ThreadPoolExecutor(1))
    engine_pb2_grpc.add_EngineServicer_to_server(_Log(), log)
    address = f"127.0.0.1:{log.add_insecure_port('127.0.0.1:0')}"
    log.start()
    with subprocess.Popen(
        [order["plugin"], address], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, process_group=0
    ) as plugin:
        assert plugin.stdout is not None
        port = int(plugin.stdout.readline() or 0)
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            code = _up(provider_pb2_grpc.ResourceProviderStub(channel), order, address)
        plugin.send_signal(signal.SIGINT)
        try:
            plugin.wait(PLUGIN_END)
        except subprocess.TimeoutExpired:
            print("the plugin does not end after SIGINT", flush=True)
            plugin.kill()
            return 70
    log.stop(None)
    return code


def _up(stub: Any, order: Mapping[str, Any], address: str) -> int:
    try:
        return _deploy(stub, order, address)
    except grpc.RpcError as error:
        print(f"error: {error.code().name}: {error.details()}", flush=True)
        return 1


def _deploy(stub: Any, order: Mapping[str, Any], address: str) -> int:
    stub.Handshake(provider_pb2.ProviderHandshakeRequest(engine_address=address))
    stub.Configure(provider_pb2.ConfigureRequest(args=_struct(order["config"]), acceptSecrets=True))
    saved = Path(order["state"])
    state = json.loads(saved.read_text(encoding="utf-8")) if saved.exists() else {}
    urn, news = order["urn"], _struct(order["inputs"])
    checked = stub.Check(provider_pb2.CheckRequest(urn=urn, olds=_struct(state.get("inputs", {})), news=news))
    if checked.failures:
        print(f"error: {checked.failures}", flush=True)
        return 1
    properties = checked.inputs
    request: Any
    if not state:
        call, request = (
            stub.Create,
            provider_pb2.CreateRequest(urn=urn, properties=properties, timeout=order["timeout"]),
        )
    else:
        olds, old_inputs = _struct(state["outputs"]), _struct(state["inputs"])
        found = stub.Diff(
            provider_pb2.DiffRequest(id=state["id"], urn=urn, olds=olds, news=properties, old_inputs=old_inputs)
        )
        if found.changes != provider_pb2.DiffResponse.DIFF_SOME and not state["failed"]:
            print("same", flush=True)
            return 0
        call = stub.Update
        request = provider_pb2.UpdateRequest(
            id=state["id"], urn=urn, olds=olds, news=properties, old_inputs=old_inputs, timeout=order["timeout"]
        )
    try:
        done = call(request)
    except grpc.RpcError as error:
        failed = _init_failed(error)
        if failed is None:
            raise
        print(f"error: {' '.join(failed.reasons)}", flush=True)
        # The engine keeps the old inputs of an update that failed, though the new ones were fired.
        inputs = state["inputs"] if state else _plain(properties)
        _save(order, saved, {"id": failed.id, "inputs": inputs, "outputs": _plain(failed.properties), "failed": True})
        return 1
    identifier = state["id"] if state else done.id
    _save(
        order,
        saved,
        {"id": identifier, "inputs": _plain(properties), "outputs": _plain(done.properties), "failed": False},
    )
    print("updated" if state else "created", flush=True)
    return 0


def _save(order: Mapping[str, Any], saved: Path, state: Mapping[str, Any]) -> None:
    if order["hold"]:
        Path(order["hold"]).touch()
        time.sleep(600)
    draft = saved.with_suffix(f".{os.getpid()}.new")
    draft.write_text(json.dumps(state), encoding="utf-8")
    draft.replace(saved)


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
