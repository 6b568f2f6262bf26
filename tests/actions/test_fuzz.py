"""Whatever comes back over the wire: an outcome for each target, never an exception, never a wait past its bound.

``CLOUDRETRY_FUZZ`` multiplies the number of examples, for a long run.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudretry import lifecycle
from cloudretry.actions import ACTIONS
from cloudretry.bounds import LONGEST_EXCERPT, LONGEST_MESSAGE, LONGEST_NAME, LONGEST_REMEDY, LONGEST_RETRY_AFTER
from cloudretry.clouds import alicloud, connect, envelope, huaweicloud_errors
from cloudretry.config import load
from cloudretry.errors import CloudRefused, NoAnswer
from cloudretry.http import HttpAnswer
from cloudretry.lifecycle import Circumstances
from cloudretry.model import Cloud, CloudClient, Place, Reply, Target
from support.clock import FakeClock
from support.cloud import FakeCloud
from support.engine import FakeBackend
from support.samples import DRS, EHPC, POOL, SAMPLES, VISUALIZATION, WORKSPACE

MANY = int(os.environ.get("CLOUDRETRY_FUZZ", "1"))
SECRET = "a-token-that-an-answer-repeats"
KEYS = {sample.token: sample.key for sample in SAMPLES}
PLACE = Place("eu-de", "p1", "holder")

# --- answers ---

WORDS = [
    *re.findall(
        r"\S+",
        """error_code error_msg error_message errorCode Code Message code message error request_id RequestId is_success
        results id status job_id jobs JobInfo Jobs TotalCount Id State scope scopeType state sub_jobs fail_reason
        success failed SUCCESS FAILED RUNNING EnableFailed Enabling AgentResponseTimeout DRS.M01503 APIGW.0308
        APIGW.0301 Throttling.User ServiceUnavailable""",
    ),
    *("\ud800", "\x00", "\x1b[2J", SECRET, "x" * 5000, "", "0"),
    *KEYS.values(),
]
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(10**12), 10**400)
    | st.floats()
    | st.sampled_from(WORDS)
    | st.text(st.characters(), max_size=20)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(WORDS) | st.text(max_size=5), inner),
    max_leaves=12,
)
DOCUMENTED: dict[str, list[Any]] = {
    POOL: [{}, {"status": {"scope": [{"scopeType": "Infer", "state": "Enabled"}]}}],
    VISUALIZATION: [{"is_success": True}, {"job_id": 10, "status": 8}],
    WORKSPACE: [{"job_id": "ws-2"}, {"status": "SUCCESS"}],
    DRS: [{"results": [{"id": "jb1", "status": "success"}]}, {"results": [{"id": "jb1", "status": "STARTJOBING"}]}],
    EHPC: [
        {"RequestId": "r"},
        {"TotalCount": 1, "Jobs": {"JobInfo": [{"Id": KEYS[EHPC], "State": "RUNNING", "StartTime": "t"}]}},
    ],
}
BODIES = st.one_of(
    VALUES.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([body for bodies in DOCUMENTED.values() for body in bodies]).map(lambda v: json.dumps(v).encode()),
    st.binary(max_size=200),
    st.sampled_from(
        [
            b"<html><script>" + b"<" * 3000,
            b"[" * 5000,
            b'{"a":' * 3000 + b"1" + b"}" * 3000,
            b"<Error><Code>Throttling</Code><Message>m</Message></Error>",
            b"<a>" * 500 + b"</a>" * 500,
            b'{"results": [], "results": {}}',
            b'{"a": NaN, "b": 1e999}',
            b"",
        ]
    ),
)
STATUSES = st.sampled_from([200, 202, 204, 302, 400, 401, 404, 406, 408, 425, 429, 499, 500, 502, 503, 504, 599, 999])
LINES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0xFF), max_size=30).map(str.strip)
RETRY_AFTER = st.sampled_from(
    ["0", "1", "9" * 400, "-1", "inf", "nan", "soon", "Thu, 01 Jan 2026 00:00:00 +9999999999"]
)
HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "Retry-After": RETRY_AFTER | LINES,
        "x-acs-retry-after": RETRY_AFTER | LINES,
        "X-Request-Id": LINES | st.just("r" * 5000),
        "Location": LINES | st.just(f"https://elsewhere.example/?{SECRET}"),
        "Content-Type": LINES,
    },
)


def words_of(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        yield from words_of(list(value.values()))
    elif isinstance(value, list | tuple):
        for item in value:
            yield from words_of(item)


def redact(text: str) -> str:
    return text.replace(SECRET, "***")


@settings(max_examples=200 * MANY, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(status=STATUSES, headers=HEADERS, body=BODIES, token=st.sampled_from(list(ACTIONS)))
def test_every_answer_is_read_within_its_bounds(status: int, headers: dict[str, str], body: bytes, token: str) -> None:
    answer = HttpAnswer(status, headers, body)
    cloud = alicloud if ACTIONS[token].cloud is Cloud.ALICLOUD else huaweicloud_errors
    reply: Reply = envelope.read(
        answer, table=cloud.GATEWAY_ERRORS, is_throttling=cloud.is_throttling, now=0.0, redact=redact
    )
    assert reply.retry_after is None or 0 <= reply.retry_after <= LONGEST_RETRY_AFTER
    assert len(reply.request_id) <= LONGEST_NAME
    assert len(reply.excerpt) <= LONGEST_EXCERPT
    if reply.error is not None:
        assert len(reply.error.code) <= LONGEST_NAME
        assert len(reply.error.message) <= LONGEST_MESSAGE
        assert len(reply.error.remedy) <= 2 * LONGEST_REMEDY
    for word in (*words_of(reply.body), str(reply.error), reply.excerpt, reply.request_id):
        assert SECRET not in word
        word.encode()
    action, targets = ACTIONS[token], [Target(KEYS[token])]
    with suppress(NoAnswer):
        for given_answer in action.read_reply(reply, targets).values():
            str(given_answer.error).encode()
    with suppress(NoAnswer, CloudRefused):
        for seen in action.observe(lambda _request: reply, PLACE, targets).values():
            f"{seen.cloud_status}{seen.message}{seen.stamp}{seen.error_code}".encode()


# --- over the wire ---


@dataclass
class Served:
    """What one request is answered with: bytes, and in what pieces."""

    raw: bytes
    pieces: int = 1
    closes: bool = False


@dataclass
class Server:
    """Answers the fire and the looks of a run, each in its own way, and counts the fires."""

    fire: Served
    look: Served
    fires: int = 0
    listener: socket.socket = field(default_factory=lambda: socket.create_server(("127.0.0.1", 0)))
    threads: list[threading.Thread] = field(default_factory=list)

    def __enter__(self) -> Server:
        self.threads.append(threading.Thread(target=self.accept))
        self.threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for thread in self.threads:
            thread.join(10)
        assert not any(thread.is_alive() for thread in self.threads)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}"

    def accept(self) -> None:
        with suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.threads.append(threading.Thread(target=self.serve, args=(connection,)))
                self.threads[-1].start()

    def serve(self, connection: socket.socket) -> None:
        with closing(connection), suppress(OSError):
            while True:
                head = b""
                while b"\r\n\r\n" not in head:
                    part = connection.recv(65536)
                    if not part:
                        return
                    head += part
                head, _, body = head.partition(b"\r\n\r\n")
                length = re.search(rb"(?i)content-length: (\d+)", head)
                while length and len(body) < int(length[1]):
                    body += connection.recv(65536)
                is_fire = head.startswith(b"POST") and b"batch-status" not in head
                self.fires += is_fire
                served = self.fire if is_fire else self.look
                size = max(1, len(served.raw) // served.pieces)
                for start in range(0, len(served.raw), size):
                    connection.sendall(served.raw[start : start + size])
                if served.closes:
                    return


class Backend(FakeBackend):
    url = ""
    clients = ExitStack()

    def connect(self, cloud: Cloud, **_place: str | None) -> CloudClient:
        config = load({"readTimeout": "100ms"}, {})
        client = connect(cloud, config, region="eu-de", project_id="p1", emulator_url=self.url, clock=time.time)
        self.clients.callback(client.close)
        return client


INTERIM = [b"", b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 Early Hints\r\nLink: a\r\n\r\n"]


@st.composite
def answers(draw: st.DrawFn) -> Served:
    body = draw(BODIES)
    lines = "".join(f"{name}: {value}\r\n" for name, value in draw(HEADERS).items()).encode("latin-1")
    length = draw(st.sampled_from([str(len(body)).encode()] * 6 + [b"x", b"-1", b"9" * 30]))
    head = b"HTTP/1.1 %d Some Words\r\nContent-Length: %b\r\n" % (draw(STATUSES), length)
    whole = draw(st.sampled_from(INTERIM)) + head + lines + b"\r\n" + body
    raw = draw(st.sampled_from([whole] * 8 + [body, b"HTTP/1.1 200\r\n" + b"X: y\r\n" * 200 + b"\r\n"]))
    cut = draw(st.sampled_from([len(raw)] * 3 + [len(raw) - 1, len(raw) // 2, 0]))
    # What has no length ends with its connection.
    return Served(raw[: max(0, cut)], draw(st.integers(1, 5)), closes=cut < len(raw) or raw is not whole)


@pytest.mark.parametrize("token", ACTIONS)
@settings(max_examples=6 * MANY, deadline=None, suppress_health_check=list(HealthCheck))
@given(fire=answers(), look=answers())
def test_every_run_ends_in_time_with_an_outcome_for_what_it_fired(token: str, fire: Served, look: Served) -> None:
    inputs = next(sample.inputs for sample in SAMPLES if sample.token == token)
    if ACTIONS[token].stamped:
        # Without a look before it there is no fire.
        body = json.dumps(DOCUMENTED[token][1]).encode()
        look = Served(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    clock = FakeClock()
    backend = Backend(clock, FakeCloud(clock))
    circumstances = Circumstances(timeout=20, jitter=lambda: 1.0)
    began = time.monotonic()
    with Server(fire, look) as server, backend.clients:
        backend.url = server.url
        done = asyncio.run(lifecycle.create(ACTIONS[token], inputs, backend, circumstances))
    took = time.monotonic() - began
    assert 1 <= server.fires <= 8
    (result,) = done.outputs["results"]
    assert result["target"] == KEYS[token]
    assert result["attempts"] == 1
    said = json.dumps(done.outputs, ensure_ascii=False)
    said.encode()
    assert "a defect of cloudretry" not in said + done.failure
    assert took < 30
