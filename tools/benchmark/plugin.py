"""A plugin process without an engine: started as the engine starts it, and driven with its requests."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
from google.protobuf import empty_pb2, struct_pb2
from google.protobuf.json_format import MessageToDict
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from benchmark.contenders import Contender
from benchmark.engine import BenchError
from benchmark.leash import Leash

__all__ = ["PluginProcess", "plugin_command"]

TOKEN = "cloudretry:drs:JobBatchRetry"
PATIENCE = 600.0
"""Seconds after which an answer hangs."""

_LIMIT = 400 * 1024 * 1024


def plugin_command(contender: Contender) -> Sequence[str]:
    """The command that the engine runs for a contender's plugin."""
    return (f"{contender.plugin}/pulumi-resource-{contender.package}",)


class PluginProcess:
    """A running plugin. ``started`` is when it was started, by the performance counter, ``seconds`` what it took from
    there until its port was printed.
    """

    def __init__(self, process: subprocess.Popen[str], port: str, started: float, seconds: float) -> None:
        self.started = started
        self.seconds = seconds
        self._process = process
        options = [("grpc.max_receive_message_length", _LIMIT), ("grpc.max_send_message_length", _LIMIT)]
        self.channel = grpc.insecure_channel(f"127.0.0.1:{port}", options)
        # Typed for asynchronous channels as well.
        self._stub: Any = provider_pb2_grpc.ResourceProviderStub(self.channel)

    @classmethod
    @contextmanager
    def run(cls, command: Sequence[str], home: Path, path: str, leash: Leash) -> Iterator[PluginProcess]:
        """A plugin that is ended with the block.

        :raises BenchError: it prints no port.
        """
        home.mkdir(parents=True)
        environment = {"PATH": path, "HOME": str(home), "PULUMI_HOME": str(home / "pulumi")}
        began = time.perf_counter()
        # Without an engine's address its log lines are dropped.
        with leash.started(command, env=environment, stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            port = process.stdout.readline().strip()
            seconds = time.perf_counter() - began
            if not port.isdecimal():
                raise BenchError(f"{Path(command[0]).name} printed {port!r} and no port")
            plugin = cls(process, port, began, seconds)
            with plugin.channel:
                yield plugin

    @property
    def pid(self) -> int:
        """The id of the process, which a shell script became."""
        return self._process.pid

    @property
    def cpu_seconds(self) -> float:
        """The processor time of the process so far."""
        used = psutil.Process(self.pid).cpu_times()
        return float(used.user + used.system)

    @property
    def resident_bytes(self) -> int:
        """The memory that it and its children hold now."""
        process = psutil.Process(self.pid)
        return sum(int(one.memory_info().rss) for one in (process, *process.children(recursive=True)))

    @property
    def threads(self) -> int:
        """How many threads it has now."""
        return int(psutil.Process(self.pid).num_threads())

    def info(self) -> str:
        """Ask for its version."""
        return str(self._stub.GetPluginInfo(empty_pb2.Empty(), timeout=PATIENCE).version)

    def configure(self, config: Mapping[str, Any]) -> None:
        """Give it the provider's configuration."""
        self._stub.Configure(
            provider_pb2.ConfigureRequest(args=_struct(config), acceptSecrets=True, acceptResources=True),
            timeout=PATIENCE,
        )

    def check(self, name: str, inputs: Mapping[str, Any]) -> None:
        """Let it check the inputs of a DRS batch retry."""
        self._stub.Check(provider_pb2.CheckRequest(urn=_urn(name), news=_struct(inputs)), timeout=PATIENCE)

    def diff(self, name: str, outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> bool:
        """Compare new inputs with outputs; whether they differ."""
        request = provider_pb2.DiffRequest(id="it", urn=_urn(name), olds=_struct(outputs), news=_struct(inputs))
        answer = self._stub.Diff(request, timeout=PATIENCE)
        return bool(answer.changes == provider_pb2.DiffResponse.DIFF_SOME)

    def create(self, name: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Create a DRS batch retry and return its outputs."""
        return self.timed_create(name, inputs)[0]

    def creating(self, name: str, inputs: Mapping[str, Any]) -> Any:
        """A create on its way."""
        return self._stub.Create.future(_create_request(name, inputs), timeout=PATIENCE)

    def timed_create(self, name: str, inputs: Mapping[str, Any]) -> tuple[dict[str, Any], float]:
        """Create it, and tell the seconds from the request, built before, until the answer, which is read after."""
        request = _create_request(name, inputs)
        began = time.perf_counter()
        answer = self._stub.Create(request, timeout=PATIENCE)
        took = time.perf_counter() - began
        return MessageToDict(answer.properties), took

    def update(self, name: str, outputs: Mapping[str, Any], inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Update a DRS batch retry and return its outputs."""
        request = provider_pb2.UpdateRequest(id="it", urn=_urn(name), olds=_struct(outputs), news=_struct(inputs))
        updated: dict[str, Any] = MessageToDict(self._stub.Update(request, timeout=PATIENCE).properties)
        return updated


def _create_request(name: str, inputs: Mapping[str, Any]) -> Any:
    return provider_pb2.CreateRequest(urn=_urn(name), properties=_struct(inputs))


def _urn(name: str) -> str:
    return f"urn:pulumi:bench::bench::{TOKEN}::{name}"


def _struct(properties: Mapping[str, Any]) -> struct_pb2.Struct:
    struct = struct_pb2.Struct()
    struct.update(properties)
    return struct
