"""A cloud that costs next to nothing: the two DRS calls of a batch retry, on one event loop in a thread.

The emulator checks signatures and keeps its state in a database, in Python, on the cores that the contenders are timed
on. This one reads a request, answers with the body that the API documents, and counts.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

__all__ = ["FIRE", "JOB", "LOOK", "PROJECT", "REGION", "Call", "Cloud", "job"]

REGION, PROJECT = "eu-de", "0123456789abcdef0123456789abcdef"

FIRE, LOOK = "BatchRestoreTask", "BatchListJobStatus"

JOB = "{:08d}-0000-0000-0000-0000000jb101"
"""The ids of the cloud's jobs, by number."""

_OPERATIONS = {
    f"POST /v3/{PROJECT}/jobs/batch-retry-task": FIRE,
    f"POST /v3/{PROJECT}/jobs/batch-status": LOOK,
}
_FAILED, _MOVING, _DONE = "FULL_TRANSFER_FAILED", "STARTJOBING", "FULL_TRANSFER_STARTED"


def job(number: int) -> str:
    """The id of a job."""
    return JOB.format(number)


@dataclass(frozen=True, slots=True)
class Call:
    """A request that was answered. ``at`` is in monotonic seconds."""

    at: float
    operation: str
    targets: int


class Cloud:
    """A running cloud. A job's retry takes hold ``seconds`` after it was fired; an answer takes ``latency`` seconds."""

    def __init__(self, seconds: float = 0.0, *, latency: float = 0.0) -> None:
        self.seconds = seconds
        self.latency = latency
        self.calls: list[Call] = []
        self.fired: Counter[str] = Counter()
        self.open: set[asyncio.Transport] = set()
        self._fired_at: dict[str, float] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="bench-cloud", daemon=True)

    def __enter__(self) -> Cloud:
        self._thread.start()
        serving = self._loop.create_server(lambda: _Connection(self), "127.0.0.1", 0, backlog=4096)
        self._server = asyncio.run_coroutine_threadsafe(serving, self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    @property
    def url(self) -> str:
        host, port = self._server.sockets[0].getsockname()
        return f"http://{host}:{port}"

    def counted(self) -> Counter[str]:
        """How many requests there were of each operation."""
        return Counter(call.operation for call in self.calls)

    def cpu_seconds(self) -> float:
        """The processor time of the cloud so far."""

        async def used() -> float:
            return time.thread_time()

        return asyncio.run_coroutine_threadsafe(used(), self._loop).result()

    def answer(self, line: str, body: bytes) -> tuple[int, Mapping[str, Any]]:
        """The status and body of the answer to a request, by its method and path and its body."""
        operation = _OPERATIONS.get(line)
        if operation is None:
            return 404, {"error_code": "APIGW.0101", "error_msg": f"The API does not exist: {line}"}
        jobs = json.loads(body)["jobs"]
        now = time.monotonic()
        self.calls.append(Call(now, operation, len(jobs)))
        if operation == FIRE:
            ids = [job["job_id"] for job in jobs]
            self.fired.update(ids)
            self._fired_at |= dict.fromkeys(ids, now)
            return 202, {"results": [{"id": job_id, "status": "success"} for job_id in ids]}
        results = [{"id": job_id, "status": self._state(job_id, now)} for job_id in jobs]
        return 200, {"results": results, "count": len(jobs)}

    def _state(self, job_id: str, now: float) -> str:
        fired_at = self._fired_at.get(job_id)
        if fired_at is None:
            return _FAILED
        return _DONE if now - fired_at >= self.seconds else _MOVING

    async def _shut_down(self) -> None:
        self._server.close()
        for connection in list(self.open):
            connection.abort()
        # What was aborted is closed in the next turn.
        await asyncio.sleep(0)


class _Connection(asyncio.Protocol):
    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._cloud.open.add(transport)

    def connection_lost(self, _error: Exception | None) -> None:
        self._cloud.open.discard(self._transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        head, ended, rest = self._read.partition(b"\r\n\r\n")
        if not ended:
            return
        line, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (text.partition(":") for text in lines)}
        length = int(headers.get("content-length", "0"))
        if len(rest) < length:
            return
        self._read = rest[length:]
        status, answer = self._cloud.answer(line.rpartition(" ")[0], rest[:length])
        body = json.dumps(answer, separators=(",", ":")).encode()
        said = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        closes = headers.get("connection", "").lower() == "close"
        if self._cloud.latency:
            asyncio.get_running_loop().call_later(self._cloud.latency, self._say, said.encode() + body, closes)
        else:
            self._say(said.encode() + body, closes)

    def _say(self, answer: bytes, closes: bool) -> None:
        self._transport.write(answer)
        if closes:
            self._transport.close()
