from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from cloudretry.clouds import connect
from cloudretry.config import load
from cloudretry.emulator import Emulator
from cloudretry.model import Cloud, CloudClient


@dataclass(frozen=True)
class Seen:
    """A request as it arrived; header names are in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Answered:
    """What the server is to say, and to which request."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=dict)


Script = Callable[[Seen], Answered]


class Cloudlike:
    """An HTTP server that answers by a script and keeps what it saw."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.script: Script = lambda _request: Answered()
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                request = Seen(self.command, self.path, headers, body)
                owner.seen.append(request)
                answer = owner.script(request)
                self.send_response(answer.status)
                for name, value in {**answer.headers, "Content-Length": str(len(answer.body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(answer.body)

            do_GET = do_POST = do_PUT = _answer  # noqa: N815 - the base class's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def says(self, *answers: Answered) -> None:
        """Answer with these in turn, and with the last one from then on."""
        waiting = list(answers)
        self.script = lambda _request: waiting.pop(0) if len(waiting) > 1 else waiting[0]

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def cloudlike() -> Iterator[Cloudlike]:
    server = Cloudlike()
    yield server
    server.stop()


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


Connect = Callable[..., CloudClient]


@pytest.fixture
def huaweicloud() -> Iterator[Connect]:
    """Connects to Huawei Cloud at a URL, with the given ``huaweicloud`` configuration and environment."""
    clients: list[CloudClient] = []

    def make(url: str, environ: dict[str, str] | None = None, **cloud: Any) -> CloudClient:
        region, clock = cloud.pop("where", None), cloud.pop("clock", None)
        given = {
            "region": "eu-de",
            "endpoints": dict.fromkeys(("modelarts", "workspace", "drs", "iam"), url),
            **cloud,
        }
        config = load({"huaweicloud": given}, environ or {})
        clients.append(connect(Cloud.HUAWEICLOUD, config, region=region, **({"clock": clock} if clock else {})))
        return clients[-1]

    yield make
    for client in clients:
        client.close()  # type: ignore[attr-defined]


@pytest.fixture
def alicloud() -> Iterator[Connect]:
    """The same for Alibaba Cloud."""
    clients: list[CloudClient] = []

    def make(url: str, environ: dict[str, str] | None = None, **cloud: Any) -> CloudClient:
        config = load({"alicloud": {"region": "cn-shanghai", "endpoint": url, **cloud}}, environ or {})
        clients.append(connect(Cloud.ALICLOUD, config))
        return clients[-1]

    yield make
    for client in clients:
        client.close()  # type: ignore[attr-defined]
