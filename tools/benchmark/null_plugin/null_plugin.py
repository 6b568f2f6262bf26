"""A plugin with the provider's resources that answers at once: no checks, no HTTP, no journal.

It serves the same gRPC service in the same way as the provider, and its outputs have the same names and the same size.
Messages are copied as they are and never become Python values, so that it is as quick as a plugin in Python can be.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Sequence
from importlib.machinery import PathFinder
from types import ModuleType
from typing import TYPE_CHECKING, Any


def _protocol_only() -> None:
    """Import ``pulumi.runtime.proto`` without the rest of Pulumi's SDK, as the provider does."""
    found = PathFinder.find_spec("pulumi")
    for folder in (found and found.submodule_search_locations) or ():
        for name in ("pulumi", "pulumi.runtime"):
            package = ModuleType(name)
            package.__path__ = [os.path.join(folder, *name.split(".")[1:])]
            sys.modules.setdefault(name, package)


if not TYPE_CHECKING:
    _protocol_only()

import grpc  # noqa: E402
from google.protobuf import empty_pb2, struct_pb2  # noqa: E402
from pulumi.runtime.proto import plugin_pb2, provider_pb2, provider_pb2_grpc  # noqa: E402

MAX_MESSAGE = 400 * 1024 * 1024
AT = "2026-01-31T23:59:59Z"
REGION, PROJECT = "eu-de", "0123456789abcdef0123456789abcdef"


class NullProvider(provider_pb2_grpc.ResourceProviderServicer):
    """Says yes to everything. Its methods have the service's own names."""

    async def Handshake(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return provider_pb2.ProviderHandshakeResponse(accept_secrets=True, accept_resources=True, accept_outputs=True)

    async def GetPluginInfo(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return plugin_pb2.PluginInfo(version="0.1.0")

    async def CheckConfig(self, request: Any, _context: Any) -> Any:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=request.news)

    async def DiffConfig(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return provider_pb2.DiffResponse(changes=provider_pb2.DiffResponse.DIFF_NONE)

    async def Configure(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return provider_pb2.ConfigureResponse(
            acceptSecrets=True, acceptResources=True, acceptOutputs=True, supportsPreview=True
        )

    async def Check(self, request: Any, _context: Any) -> Any:  # noqa: N802
        return provider_pb2.CheckResponse(inputs=request.news)

    async def Diff(self, request: Any, _context: Any) -> Any:  # noqa: N802
        old, new = (struct.fields["triggers"].struct_value.fields for struct in (request.olds, request.news))
        changed = [f"triggers.{name}" for name in new if name not in old or old[name] != new[name]]
        update = provider_pb2.PropertyDiff(kind=provider_pb2.PropertyDiff.UPDATE)
        return provider_pb2.DiffResponse(
            changes=provider_pb2.DiffResponse.DIFF_SOME if changed else provider_pb2.DiffResponse.DIFF_NONE,
            diffs=["triggers"] if changed else [],
            detailedDiff=dict.fromkeys(changed, update),
            hasDetailedDiff=True,
        )

    async def Create(self, request: Any, _context: Any) -> Any:  # noqa: N802
        targets = _targets(request.properties)
        outputs = _outputs(request.properties, targets, 1, struct_pb2.ListValue())
        return provider_pb2.CreateResponse(id=f"{REGION}/{PROJECT}/{','.join(targets)}", properties=outputs)

    async def Update(self, request: Any, _context: Any) -> Any:  # noqa: N802
        olds = request.olds.fields
        generation = int(olds["generation"].number_value) + 1
        outputs = _outputs(request.news, _targets(request.news), generation, olds["history"].list_value)
        return provider_pb2.UpdateResponse(properties=outputs)

    async def Delete(self, _request: Any, _context: Any) -> Any:  # noqa: N802
        return empty_pb2.Empty()


def _targets(properties: struct_pb2.Struct) -> list[str]:
    jobs = properties.fields["jobs"].list_value.values
    return [job.struct_value.fields["jobId"].string_value for job in jobs]


def _outputs(
    inputs: struct_pb2.Struct, targets: Sequence[str], generation: int, history: struct_pb2.ListValue
) -> struct_pb2.Struct:
    """The inputs, and what the provider would record of a fire that went well."""
    outputs = struct_pb2.Struct()
    outputs.CopyFrom(inputs)
    fires = range(0, len(targets), 10)
    outputs.update(
        {
            "region": REGION,
            "projectId": PROJECT,
            "status": "Succeeded",
            "generation": generation,
            "__life": f"{0:016x}/{generation}",
            "firedAt": AT,
            "fireIds": [f"{fire:016x}" for fire in fires],
            "requestIds": [],
            "emulator": False,
            "results": [
                {
                    "target": target,
                    "status": "Succeeded",
                    "attempts": 1,
                    "cloudStatus": "FULL_TRANSFER_STARTED",
                    "firedAt": AT,
                }
                for target in targets
            ],
        }
    )
    kept = outputs.fields["history"].list_value
    kept.CopyFrom(history)
    kept.add_struct().update(
        {
            "at": AT,
            "reason": "create" if generation == 1 else "triggers",
            "generation": generation,
            "__life": f"{0:016x}/{generation}",
            "triggers": list(inputs.fields["triggers"].struct_value.fields),
            "fired": len(targets),
            "status": "Succeeded",
            "outcomes": {"Succeeded": len(targets)},
        }
    )
    return outputs


async def _serve() -> None:
    parent = os.getppid()
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    limits = [("grpc.max_receive_message_length", MAX_MESSAGE), ("grpc.max_send_message_length", MAX_MESSAGE)]
    server = grpc.aio.server(options=limits)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(NullProvider(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    sys.stdout.write(f"{port}\n")
    sys.stdout.flush()
    while os.getppid() == parent and not stop.is_set():
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), 1.0)
    await server.stop(None)


if __name__ == "__main__":
    asyncio.run(_serve())
    os._exit(0)
