"""The real plugin process, driven with raw requests; and the engine's log, as a server of its own."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent import futures
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import empty_pb2, struct_pb2
from pulumi.runtime.proto import (
    engine_pb2,
    engine_pb2_grpc,
    provider_pb2,
    provider_pb2_grpc,
    resource_status_pb2,
    resource_status_pb2_grpc,
    status_pb2,
)

from cloudretry.emulator import CREDENTIALS, Emulator
from cloudretry.plugin.marshal import Secret, from_struct, to_struct

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "cloudretry.plugin.main")
PATIENCE = 30.0
"""Seconds after which an answer hangs."""

POOL = "cloudretry:modelarts:PoolScopeRetry"
VISUALIZATION = "cloudretry:modelarts:VisualizationJobRestart"
WORKSPACE = "cloudretry:workspace:JobRetry"
DRS = "cloudretry:drs:JobBatchRetry"
EHPC = "cloudretry:ehpc:JobRerun"

FIVE: Mapping[str, tuple[Mapping[str, Any], str]] = {
    POOL: ({"poolName": "pool-a", "scope": "Infer"}, "pool-a:Infer"),
    VISUALIZATION: ({"jobId": "10"}, "10"),
    WORKSPACE: ({"jobId": "task-1"}, "task-1"),
    DRS: ({"jobs": [{"jobId": "jb1"}, {"jobId": "jb2"}]}, "jb1,jb2"),
    EHPC: ({"clusterId": "ehpc-1", "jobIds": ["1.scheduler"]}, "ehpc-1:1.scheduler"),
}
"""Inputs of each action, and the id that imports the same targets."""

SCENARIO: Mapping[str, Any] = {
    "pools": [
        {"name": "pool-a", "scopes": [{"scope": "Infer", "state": "EnableFailed", "afterRetry": [["Enabled", 0]]}]}
    ],
    "visualizationJobs": [{"id": "10", "state": "FAILED", "afterRetry": [["RUNNING", 0]]}],
    "workspaceJobs": [{"id": "task-1", "state": "FAILED", "afterRetry": [["SUCCESS", 0]]}],
    "drsJobs": [
        {
            "count": 4,
            "idFormat": "jb{n}",
            "state": "FULL_TRANSFER_FAILED",
            "afterRetry": [["FULL_TRANSFER_STARTED", 0]],
        },
        {"id": "stuck", "state": "FULL_TRANSFER_FAILED", "afterRetry": [["STARTJOBING", 0]]},
        {"id": "lost", "state": "FULL_TRANSFER_FAILED", "afterRetry": [["STARTJOBING", 0], ["START_JOB_FAILED", 0.05]]},
        {"id": "refused", "state": "FULL_TRANSFER_FAILED", "refuse": {"code": "DRS.M00304"}},
    ],
    "clusters": [{"id": "ehpc-1", "jobs": [{"id": "1.scheduler", "state": "RUNNING", "afterRetry": [["RUNNING", 0]]}]}],
}

QUICK = {"pollInterval": "50ms", "journalEnabled": False}


def urn(token: str = DRS, name: str = "it", *, parent: str = "") -> str:
    return f"urn:pulumi:dev::project::{parent}{token}::{name}"


@dataclass(frozen=True)
class InitFailed:
    """What a create or update that failed in part hands over."""

    id: str
    outputs: dict[str, Any]
    reasons: list[str]
    refresh_before_update: bool
    properties: struct_pb2.Struct


class EngineLog(engine_pb2_grpc.EngineServicer):
    """What the plugin tells the engine, line by line."""

    def __init__(self) -> None:
        self.lines: list[engine_pb2.LogRequest] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(2))
        engine_pb2_grpc.add_EngineServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def Log(self, request: engine_pb2.LogRequest, _context: Any) -> empty_pb2.Empty:  # noqa: N802
        self.lines.append(request)
        return empty_pb2.Empty()

    def messages(self, severity: int = engine_pb2.INFO) -> list[str]:
        return [line.message for line in self.lines if line.severity == severity]

    def stop(self) -> None:
        self._server.stop(0).wait()


class StatusServer(resource_status_pb2_grpc.ResourceStatusServicer):
    """What the engine tells of the steps that it is not done with: their tokens are known, and no others."""

    def __init__(self) -> None:
        self.asked = 0
        self._known: set[str] = set()
        self._server = grpc.server(futures.ThreadPoolExecutor(4), options=[("grpc.so_reuseport", 0)])
        resource_status_pb2_grpc.add_ResourceStatusServicer_to_server(self, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port('127.0.0.1:0')}"
        self._server.start()

    def reserve(self) -> str:
        """The token of a new step."""
        self._known.add(token := secrets.token_hex(16))
        return token

    def save(self) -> None:
        """All steps so far are written."""
        self._known.clear()

    def PublishViewSteps(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802
        self.asked += 1
        if request.token not in self._known:
            context.abort(grpc.StatusCode.UNKNOWN, f'token "{request.token}" not found')
        return resource_status_pb2.PublishViewStepsResponse()

    def stop(self) -> None:
        self._server.stop(0).wait()


class Plugin:
    """A running plugin. Everything that it prints after the port is in ``output``."""

    def __init__(
        self,
        folder: Path,
        *,
        engine: EngineLog | None = None,
        command: Sequence[str | Path] = COMMAND,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._stack = ExitStack()
        self.folder = folder
        self.errors = folder / f"stderr-{time.monotonic_ns()}"
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(("HW_", "OS_", "ALI"))}
        self.process = subprocess.Popen(
            [*command, *([engine.address] if engine else [])],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stack.enter_context(self.errors.open("wb")),
            cwd=folder,
            env=inherited | {"PULUMI_HOME": str(folder / "home")} | dict(environment or {}),
        )
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        channel = self._stack.enter_context(grpc.insecure_channel(f"127.0.0.1:{self.port}", limits))
        self.channel = channel
        self.stub = provider_pb2_grpc.ResourceProviderStub(channel)

    # --- the process ---

    def stop(self, number: int = signal.SIGINT) -> int:
        """End it as the engine does, and wait for the end."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(PATIENCE)
        self._stack.close()
        return code

    def printed(self) -> tuple[str, str]:
        """What stood on stdout after the port, and on stderr; once it has ended."""
        assert self.process.stdout is not None
        with self.process.stdout as stdout:
            return stdout.read().decode(), self.errors.read_text(encoding="utf-8")

    # --- requests, as the engine sends them ---

    def configure(self, emulator: Emulator | str | None = None, **config: Any) -> provider_pb2.ConfigureResponse:
        url = emulator.url if isinstance(emulator, Emulator) else emulator
        args = {**QUICK, **({"emulator": url} if url else {}), **config}
        request = provider_pb2.ConfigureRequest(args=to_struct(args), acceptSecrets=True, acceptResources=True)
        return self.stub.Configure(request, timeout=PATIENCE)

    def check(self, news: Mapping[str, Any], token: str = DRS) -> provider_pb2.CheckResponse:
        return self.stub.Check(provider_pb2.CheckRequest(urn=urn(token), news=to_struct(news)), timeout=PATIENCE)

    def diff(
        self, olds: Mapping[str, Any], news: Mapping[str, Any], token: str = DRS, ignore: Sequence[str] = ()
    ) -> provider_pb2.DiffResponse:
        return self.stub.Diff(
            provider_pb2.DiffRequest(
                id="id", urn=urn(token), olds=to_struct(olds), news=to_struct(news), ignoreChanges=ignore
            ),
            timeout=PATIENCE,
        )

    def create(
        self, news: Mapping[str, Any], token: str = DRS, *, timeout: float = 20.0, preview: bool = False
    ) -> provider_pb2.CreateResponse:
        return self.create_later(news, token, timeout=timeout, preview=preview).result()

    def create_later(
        self,
        news: Mapping[str, Any],
        token: str = DRS,
        *,
        timeout: float = 20.0,
        preview: bool = False,
        status: StatusServer | None = None,
    ) -> Any:
        """A create under way; its result is asked for with ``result()``."""
        request = provider_pb2.CreateRequest(
            urn=urn(token),
            properties=to_struct(news),
            timeout=timeout,
            preview=preview,
            resource_status_address=status.address if status else "",
            resource_status_token=status.reserve() if status else "",
        )
        return self.stub.Create.future(request, timeout=PATIENCE)

    def update(
        self,
        olds: Mapping[str, Any],
        news: Mapping[str, Any],
        token: str = DRS,
        *,
        preview: bool = False,
        ignore: Sequence[str] = (),
        timeout: float = 20.0,
    ) -> provider_pb2.UpdateResponse:
        request = provider_pb2.UpdateRequest(
            id="id",
            urn=urn(token),
            olds=to_struct(olds),
            news=to_struct(news),
            preview=preview,
            ignoreChanges=ignore,
            timeout=timeout,
        )
        return self.stub.Update(request, timeout=PATIENCE)

    def read(
        self, identifier: str, outputs: Mapping[str, Any] | None = None, token: str = DRS, **inputs: Any
    ) -> provider_pb2.ReadResponse:
        request = provider_pb2.ReadRequest(
            id=identifier, urn=urn(token), properties=to_struct(outputs or {}), inputs=to_struct(inputs)
        )
        return self.stub.Read(request, timeout=PATIENCE)

    def cancel(self) -> None:
        self.stub.Cancel(empty_pb2.Empty(), timeout=PATIENCE)


def outputs(response: Any) -> dict[str, Any]:
    return from_struct(response.properties)


def failures(answer: provider_pb2.CheckResponse) -> dict[str, str]:
    """What is wrong with each path. It stands in the words: beside a property the engine would print the value."""
    assert {failure.property for failure in answer.failures} <= {""}
    return dict(failure.reason.split(": ", 1) for failure in answer.failures)


def refused(call: Any, *arguments: Any, **options: Any) -> tuple[grpc.StatusCode, str]:
    """The code and the words of a call that has to fail."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    return caught.value.code(), caught.value.details()


def init_failed(call: Any, *arguments: Any, **options: Any) -> InitFailed:
    """What a call that has to fail in part hands over."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)
    found = dict(caught.value.trailing_metadata())
    assert "grpc-status-details-bin" in found, f"it failed as a whole: {caught.value.details()}"
    status = status_pb2.Status.FromString(found["grpc-status-details-bin"])
    (detail,) = status.details
    failed = provider_pb2.ErrorResourceInitFailed()
    assert detail.Unpack(failed)
    return InitFailed(
        failed.id,
        from_struct(failed.properties),
        list(failed.reasons),
        failed.refresh_before_update,
        failed.properties,
    )


def jobs(*ids: str | Secret) -> list[dict[str, Any]]:
    return [{"jobId": one} for one in ids]


__all__ = [
    "COMMAND",
    "CREDENTIALS",
    "DRS",
    "EHPC",
    "FIVE",
    "PATIENCE",
    "POOL",
    "ROOT",
    "SCENARIO",
    "VISUALIZATION",
    "WORKSPACE",
    "EngineLog",
    "InitFailed",
    "Plugin",
    "StatusServer",
    "failures",
    "init_failed",
    "jobs",
    "outputs",
    "refused",
    "urn",
]
