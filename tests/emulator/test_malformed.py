"""Malformed requests at every route and with every kind of credential: an answer, at once, and never a 5xx.

No document of the five APIs promises a 5xx for a bad request, so none may come. The requests go over the wire, in two
ways: well-formed HTTP with anything in path, query, headers and body; and bytes that are hardly HTTP.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import http.client
import json
import logging
import socket
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote, urlencode, urlsplit
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from starlette.routing import Route

from cloudretry.actions import OPERATIONS
from cloudretry.emulator import CREDENTIALS, Emulator, app
from cloudretry.emulator.auth_huaweicloud import signed_by
from cloudretry.emulator.exchange import Call
from cloudretry.operation import Operation

PATIENCE = 10.0
"""Seconds after which an answer hangs."""

CALLS = {**{route.name: route for service in app._SERVICES.values() for route in service.routes}, **OPERATIONS}
REST = sorted((call for call in CALLS.values() if call.path != "/"), key=lambda call: call.name)
RPC = sorted(name for name, call in CALLS.items() if call.path == "/")
CONTROL = [
    ("GET", "/_emulator/requests"),
    ("GET", "/_emulator/targets"),
    ("POST", "/_emulator/targets"),
    ("PUT", "/_emulator/scenario"),
    ("POST", "/_emulator/faults"),
    ("GET", "/_emulator/faults"),
    ("POST", "/_emulator/reset"),
    ("GET", "/_emulator/health"),
]

bounded = settings(
    max_examples=200,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate, Phase.shrink),
    suppress_health_check=(HealthCheck.function_scoped_fixture, HealthCheck.too_slow),
)

# --- what is thrown ---

texts = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            "",
            "0",
            "-1",
            "9" * 5000,
            "١٢",
            "null",
            "true",
            "\x00",
            "é",
            "😀",
            "../..",
            "a" * 5000,
            "'; DROP TABLE targets",
        ]
    ),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    texts,
    # JSON can spell half a character.
    st.just("\ud800"),
)
NAMES = (
    *("auth", "identity", "methods", "password", "user", "name", "domain", "id", "scope", "project", "token", "secret"),
    *("application_credential", "assume_role", "agency_name", "domain_id", "domain_name", "duration_seconds"),
    *("jobs", "job_id", "is_sync_re_edit", "page_req", "cur_page", "per_page", "db_use_type", "op_type"),
    *("operation", "status", "body", "headers", "drop", "delay", "times", "skip", "truncate", "kind", "state"),
)
names = st.one_of(st.sampled_from(NAMES), st.text(max_size=5))
values = st.recursive(
    scalars,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(names, inner, max_size=4)),
    max_leaves=12,
)

NEAR_MISSES: Mapping[str, list[Any]] = {
    "BatchRestoreTask": [
        {"jobs": [{"job_id": "\ud800"}]},
        {"jobs": [{"job_id": "a", "is_sync_re_edit": 1}]},
        {"jobs": {"job_id": "a"}},
        {"jobs": [["a"]]},
        {"jobs": [{"job_id": "a"}] * 20_000},
    ],
    "BatchListJobStatus": [
        {"jobs": ["\ud800"]},
        {"jobs": ["a"] * 20_000},
        {"jobs": [f"a{n}" for n in range(5000)], "page_req": {"cur_page": 10**400, "per_page": 100}},
        {"jobs": ["a"], "page_req": {"cur_page": 1e400}},
        {"jobs": ["a"], "page_req": [1]},
        {"jobs": [["a"]]},
    ],
    "ListDrsJobs": [{"db_use_type": ["sync"]}, {"db_use_type": "sync", "cur_page": 10**400}],
    "RetryPoolScope": [{"scope": "\ud800"}, {"scope": ["Infer"]}, ["scope"]],
    "RunActionsOnWorkspaceJob": [{"op_type": "\ud800"}, {"op_type": ["retry"]}],
    "KeystoneCreateToken": [
        {"auth": {"identity": {"methods": ["password"], "password": {"user": {"id": "\ud800", "password": "\ud800"}}}}},
        {"auth": {"identity": {"methods": ["token"], "token": {"id": ["x"]}}, "scope": {"project": {"id": 1}}}},
        {"auth": {"identity": {"methods": [["password"]]}, "scope": []}},
        {"auth": {"identity": {"methods": ["assume_role"], "assume_role": {}}, "scope": {"domain": []}}},
    ],
    "CreateTemporaryAccessKey": [
        {"auth": {"identity": {"methods": ["token"], "token": {"id": "", "duration_seconds": 10**400}}}},
        {"auth": {"identity": {"methods": ["token"], "token": {"duration_seconds": True}}}},
    ],
}

bodies = st.one_of(
    st.just(b""),
    st.binary(max_size=40),
    values.map(lambda value: json.dumps(value).encode()),
    st.sampled_from([b"[" * 1500, b'{"jobs":' * 2000, b"\xff\xfe", b"nul", b'{"a":' + b"1" * 5000 + b"}"]),
)
segments = st.one_of(
    texts, st.sampled_from([CREDENTIALS.project_id, "10", "%", "%FF", "%00", "a%2Fb", "\u202e"])
).filter(bool)
headers = st.dictionaries(
    st.sampled_from(["Content-Type", "X-Language", "X-Project-Id", "X-Security-Token", "Accept", "Cookie"]),
    st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=20),
    max_size=3,
)
queries = st.lists(
    st.tuples(
        st.sampled_from(["name", "status", "limit", "offset", "page", "per_page", "sortBy", "order", "job_id", "%"]),
        texts.filter(lambda text: len(text) < 6000),
    ),
    max_size=3,
)
HUAWEICLOUD_CREDENTIALS = ("none", "token", "wrong token", "signature", "wrong signature", "odd signature")


# --- throwing it ---


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    with Emulator() as running:
        yield running


@pytest.fixture(autouse=True)
def _no_traceback(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    with caplog.at_level(logging.WARNING):
        yield
    tracebacks = [record.getMessage() for record in caplog.records if record.exc_info or "Traceback" in record.message]
    assert tracebacks == []


def throw(
    emulator: Emulator, method: str, target: str, headers: Mapping[str, str], body: bytes
) -> tuple[int, str, bytes]:
    """The status, media type and body that come back; no answer within the patience is a failure."""
    connection = http.client.HTTPConnection(urlsplit(emulator.url).netloc, timeout=PATIENCE)
    try:
        connection.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
        for name, value in {"Host": urlsplit(emulator.url).netloc, **headers}.items():
            connection.putheader(name, value.strip().encode("latin-1"))
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, answer.headers.get("Content-Type", ""), answer.read()
    finally:
        connection.close()


def check(status: int, media_type: str, content: bytes) -> None:
    assert status < 500, content[:500]
    if "json" in media_type:
        json.loads(content)
    elif "xml" in media_type:
        ElementTree.fromstring(content)
    else:
        assert content == b"" or status == 400, (status, media_type, content[:200])


def credential(kind: str, emulator: Emulator, method: str, target: str, body: bytes) -> dict[str, str]:
    match kind:
        case "token":
            return {"X-Auth-Token": CREDENTIALS.token}
        case "wrong token":
            return {"X-Auth-Token": "é"}
        case "signature" | "wrong signature":
            host = urlsplit(emulator.url).netloc
            parts = urlsplit(target)
            date = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
            sent = {"host": host, "x-sdk-date": date}
            call = Call("", method, parts.path, parts.query, sent, body, {}, 0.0, "", "", "")
            secret = CREDENTIALS.secret_key if kind == "signature" else "wrong"
            proof = signed_by(secret, ["host", "x-sdk-date"], call)
            access = f"Access={CREDENTIALS.access_key}, SignedHeaders=host;x-sdk-date, Signature={proof}"
            return {"X-Sdk-Date": date, "Authorization": f"SDK-HMAC-SHA256 {access}"}
        case "odd signature":
            return {"X-Sdk-Date": "99999999T999999Z", "Authorization": "SDK-HMAC-SHA256 Access=é, SignedHeaders=;;"}
        case _:
            return {}


@pytest.mark.parametrize("operation", REST, ids=lambda operation: operation.name)
def test_a_request_that_nearly_is_one(emulator: Emulator, operation: Operation) -> None:
    path = operation.path.format(project_id=CREDENTIALS.project_id, pool_name="p", job_id="10")
    for document in NEAR_MISSES.get(operation.name, [None]):
        body = json.dumps(document).encode()
        for kind in ("token", "signature"):
            proof = credential(kind, emulator, operation.method, path, body)
            check(*throw(emulator, operation.method, path, {"Content-Type": "application/json", **proof}, body))


@bounded
@given(
    operation=st.sampled_from(REST),
    segment=segments,
    in_project=st.booleans(),
    query=queries,
    extra=headers,
    body=bodies,
    kind=st.sampled_from(HUAWEICLOUD_CREDENTIALS),
)
@example(
    operation=CALLS["BatchRestoreTask"],
    segment="x",
    in_project=True,
    query=[],
    extra={},
    body=b"[" * 1500,
    kind="token",
)
@example(
    operation=CALLS["ListItaSubJobs"],
    segment="x",
    in_project=True,
    query=[("limit", "9" * 5000)],
    extra={},
    body=b"",
    kind="token",
)
def test_anything_at_the_routes_of_huawei_cloud(
    emulator: Emulator,
    operation: Operation,
    segment: str,
    in_project: bool,
    query: list[tuple[str, str]],
    extra: dict[str, str],
    body: bytes,
    kind: str,
) -> None:
    part = quote(segment, safe="", errors="replace")
    project = CREDENTIALS.project_id if in_project else part
    target = operation.path.format(project_id=project, pool_name=part, job_id=part)
    if query:
        target += "?" + urlencode(query, errors="replace")
    proof = credential(kind, emulator, operation.method, target, body)
    check(*throw(emulator, operation.method, target, {**extra, **proof}, body))


parameters = st.dictionaries(
    st.sampled_from(
        [
            *(
                "ClusterId",
                "Jobs",
                "Async",
                "JobId",
                "State",
                "JobStatus",
                "PageNumber",
                "PageSize",
                "Owner",
                "Rerunable",
            ),
            *("Format", "Users.1", "ExecuteOrder", "RoleArn", "RoleSessionName", "DurationSeconds", "JobName"),
        ]
    ),
    st.one_of(
        texts.filter(lambda text: len(text) < 6000),
        st.sampled_from(["ehpc-sh-3VeFyR7kQm", CREDENTIALS.alicloud_role_arn, "JSON", "XML", "x", "1.scheduler"]),
        values.map(json.dumps),
        st.sampled_from(["[" * 1500, '[{"Id":"\\ud800"}]', '[{"Id":"\\u0001"}]', '[{"Id":1}]', "[[]]", '{"Id":"a"}']),
    ),
    max_size=5,
)
ALICLOUD_CREDENTIALS = ("none", "v1", "wrong v1", "v3", "wrong v3", "odd v3")


def rpc(kind: str, emulator: Emulator, action: str, given: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The target and headers of an RPC request, signed in that way."""
    version = {"AssumeRole": "2015-04-01"}.get(action, "2018-04-12")
    secret = "wrong" if kind.startswith("wrong") else CREDENTIALS.alicloud_secret_key
    plain = {name: value.encode(errors="replace").decode() for name, value in given.items()}
    if kind.endswith("v3"):
        host = urlsplit(emulator.url).netloc
        sent = {
            "host": host,
            "x-acs-action": action,
            "x-acs-version": version,
            "x-acs-date": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "x-acs-signature-nonce": uuid.uuid4().hex,
            "x-acs-content-sha256": "é" if kind == "odd v3" else hashlib.sha256(b"").hexdigest(),
        }
        query = urlencode(sorted(plain.items()), quote_via=quote, safe="-_.~")
        lines = "".join(f"{name}:{sent[name]}\n" for name in sorted(sent))
        canonical = "\n".join(("GET", "/", query, lines, ";".join(sorted(sent)), sent["x-acs-content-sha256"]))
        to_sign = f"ACS3-HMAC-SHA256\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        proof = hmac.new(secret.encode(), to_sign.encode(), hashlib.sha256).hexdigest()
        sent["authorization"] = (
            f"ACS3-HMAC-SHA256 Credential={CREDENTIALS.alicloud_access_key},"
            f"SignedHeaders={';'.join(sorted(sent))},Signature={proof}"
        )
        return f"/?{query}", sent
    common = {"Action": action, "Version": version}
    if kind.endswith("v1"):
        common |= {
            "AccessKeyId": CREDENTIALS.alicloud_access_key,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": uuid.uuid4().hex,
            "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        }
    query = urlencode(sorted({**plain, **common}.items()), quote_via=quote, safe="-_.~")
    if kind.endswith("v1"):
        to_sign = f"GET&%2F&{quote(query, safe='-_.~')}"
        digest = hmac.new(f"{secret}&".encode(), to_sign.encode(), hashlib.sha1).digest()
        query += f"&Signature={quote(base64.b64encode(digest).decode(), safe='')}"
    return f"/?{query}", {}


@bounded
@given(
    action=st.one_of(
        st.sampled_from(RPC), texts.filter(lambda text: len(text) < 50 and text.isascii() and text.isprintable())
    ),
    parameters=parameters,
    kind=st.sampled_from(ALICLOUD_CREDENTIALS),
)
@example(action="RerunJobs", parameters={"ClusterId": "ehpc-sh-3VeFyR7kQm", "Jobs": "[" * 1500}, kind="v1")
@example(action="RerunJobs", parameters={"ClusterId": "ehpc-sh-3VeFyR7kQm", "Jobs": '[{"Id":"\\ud800"}]'}, kind="v3")
@example(action="RerunJobs", parameters={"ClusterId": "ehpc-sh-3VeFyR7kQm", "Jobs": '[{"Id":"\\u0001"}]'}, kind="v1")
@example(action="ListJobs", parameters={"ClusterId": "ehpc-sh-3VeFyR7kQm", "PageSize": "9" * 5000}, kind="v3")
@example(action="ListJobs", parameters={}, kind="odd v3")
@example(
    action="AssumeRole",
    parameters={
        "RoleArn": CREDENTIALS.alicloud_role_arn,
        "RoleSessionName": "x",
        "DurationSeconds": "9" * 5000,
    },
    kind="v1",
)
def test_anything_at_the_rpc_gateway(emulator: Emulator, action: str, parameters: dict[str, str], kind: str) -> None:
    target, sent = rpc(kind, emulator, action, parameters)
    check(*throw(emulator, "GET", target, sent, b""))


@settings(bounded, max_examples=60)
@given(route=st.sampled_from(CONTROL), body=bodies, query=st.sampled_from(["", "?kind=%FF", "?operation=%00"]))
@example(route=("POST", "/_emulator/targets"), body=b'{"id": [1], "state": 1, "kind": [1]}', query="")
@example(route=("POST", "/_emulator/targets"), body=b'{"id": "x", "state": "y", "kind": {"a": 1}}', query="")
@example(route=("PUT", "/_emulator/scenario"), body=b"[" * 1500, query="")
@example(route=("PUT", "/_emulator/scenario"), body=b"a: &a [*a]", query="")
@example(route=("POST", "/_emulator/faults"), body=b'{"operation": "\\ud800", "delay": 1}', query="")
@example(route=("POST", "/_emulator/faults"), body=b"[" * 1500, query="")
def test_anything_at_the_control_routes(emulator: Emulator, route: tuple[str, str], body: bytes, query: str) -> None:
    method, path = route
    try:
        check(*throw(emulator, method, path + query, {}, body))
    finally:
        emulator.clear_faults()


def test_every_control_route_is_thrown_at() -> None:
    routes = app.control.routes(None)  # type: ignore[arg-type]
    every = {(method, route.path) for route in routes if isinstance(route, Route) for method in route.methods or ()}
    assert {(method, path) for method, path in every if method not in ("HEAD", "DELETE")} == set(CONTROL)


@settings(bounded, max_examples=80)
@given(
    data=st.one_of(
        st.binary(max_size=200),
        st.builds(
            lambda method, target, rest: b" ".join((method, target, b"HTTP/1.1\r\n")) + rest,
            st.sampled_from([b"GET", b"POST", b"BREW", b"", b"\x00"]),
            st.sampled_from([b"/", b"*", b"http://x/", b"/\xff", b"//", b"/" + b"a" * 20_000, b"/v3/%"]),
            st.sampled_from(
                [
                    b"Host: x\r\n\r\n",
                    b"\r\n",
                    b"Host: x\r\nContent-Length: -1\r\n\r\n",
                    b"Host: x\r\nContent-Length: 9\r\n\r\nab",
                    b"Host: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
                    b"Host: x\r\nX: " + b"a" * 20_000 + b"\r\n\r\n",
                    b"Host: x\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n",
                    b"Host: x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n",
                ]
            ),
        ),
    )
)
def test_bytes_that_are_hardly_http(emulator: Emulator, data: bytes) -> None:
    parts = urlsplit(emulator.url)
    with socket.create_connection((str(parts.hostname), parts.port or 0), timeout=PATIENCE) as connection:
        answer = b""
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
            while chunk := connection.recv(65_536):
                answer += chunk
        except ConnectionError:
            # Hung up on while still talking.
            pass
    assert answer == b"" or int(answer.split(b" ", 2)[1]) < 500, answer[:300]


def test_it_still_serves_after_all_that(emulator: Emulator) -> None:
    emulator.reset()
    path = f"/v2/{CREDENTIALS.project_id}/pools"
    assert throw(emulator, "GET", path, {"X-Auth-Token": CREDENTIALS.token}, b"")[0] == 200
