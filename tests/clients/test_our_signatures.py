"""Our own requests, as they arrived, signed anew by the clouds' own signers: both must come to the same signature.

What the signers get is rebuilt from the captured bytes alone, so a header, a path or a body that was changed after
signing shows, as does one that was signed and not sent.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from alibabacloud_openapi_util.client import Client as OpenApiUtil
from alibabacloud_tea_openapi.utils import Utils
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer

from cloudretry.actions import ACTIONS
from cloudretry.clouds import connect
from cloudretry.config import load
from cloudretry.errors import CloudRetryError
from cloudretry.model import Cloud, Place

PLACE = "eu-de"
INPUTS = {
    "cloudretry:modelarts:PoolScopeRetry": {"poolName": "pool-a1", "scope": "Infer"},
    "cloudretry:modelarts:VisualizationJobRestart": {"jobId": "10"},
    "cloudretry:workspace:JobRetry": {"jobId": "6783cecb-0e5c-4521-a3ea-825f551c1ba9"},
    "cloudretry:drs:JobBatchRetry": {
        "jobs": [{"jobId": "jb1", "isSyncReEdit": True}, {"jobId": "jb2"}],
        "language": "zh-cn",
    },
    "cloudretry:ehpc:JobRerun": {"clusterId": "ehpc-hz-1", "jobIds": ["1.a*~b", "2.ä+c"], "runAsync": True},
}


@dataclass(frozen=True)
class Captured:
    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@pytest.fixture
def capture():
    """A server that keeps requests, byte for byte, and answers what no API says."""
    seen = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            seen.append(Captured(self.command, self.path, headers, body))
            self.send_response(404)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        do_GET = do_POST  # noqa: N815 - the base class's names

        def log_message(self, *_):
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}", seen
        server.shutdown()
        thread.join(5)


def send_all(action, url, keys):
    """The action's fire and its status call, as the provider sends them."""
    section = (
        {"endpoints": dict.fromkeys(("modelarts", "workspace", "drs", "iam"), url), "projectId": "p1"}
        if action.cloud is Cloud.HUAWEICLOUD
        else {"endpoint": url}
    )
    config = load({action.cloud.value: {"region": PLACE, **section, **keys}}, {})
    client = connect(action.cloud, config)
    inputs = action.inputs.model_validate(INPUTS[action.token])
    container = INPUTS[action.token].get(action.container_property, "")
    place = Place(PLACE, client.project_id, container)
    targets = action.targets(inputs)
    client.send(action.request(place, targets, inputs))
    # The answer is none; the request is what counts.
    with contextlib.suppress(CloudRetryError):
        action.observe(client.send, place, targets)
    client.close()


def signed_names(authorization):
    return re.search(r"SignedHeaders=([^,]+),", authorization)[1].split(";")


KEYS = {
    "permanent": {"accessKey": "AKSAMPLE", "secretKey": "sk/sample+secret="},
    "temporary": {"accessKey": "AKSAMPLE", "secretKey": "sk/sample+secret=", "securityToken": "token/+=sample"},
}
of_huaweicloud = [action for action in ACTIONS.values() if action.cloud is Cloud.HUAWEICLOUD]
of_alicloud = [action for action in ACTIONS.values() if action.cloud is Cloud.ALICLOUD]


@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("action", of_huaweicloud, ids=lambda action: action.name)
def test_huaweis_signer_comes_to_our_signature(capture, action, kind):
    url, seen = capture
    keys = KEYS[kind]
    send_all(action, url, keys)
    assert len(seen) >= 2
    for request in seen:
        sent = request.headers["authorization"]
        names = signed_names(sent)
        # What a gateway must be able to trust is signed.
        assert {"host", "x-sdk-date", "x-project-id", "content-type"} <= set(names)
        assert ("x-security-token" in names) is (kind == "temporary")
        parts = urlsplit(request.target)
        again = Signer(SimpleNamespace(ak=keys["accessKey"], sk=keys["secretKey"])).sign(
            SdkRequest(
                method=request.method,
                schema="http",
                host=request.headers["host"],
                resource_path=unquote(parts.path),
                query_params=parse_qsl(parts.query, keep_blank_values=True),
                header_params={name: request.headers[name] for name in names},
                body=request.body,
            )
        )
        assert again.header_params["Authorization"] == sent
    (fire, *_) = seen
    assert fire.method == action.fires.method


@pytest.mark.parametrize("signer", [Utils, OpenApiUtil], ids=["tea-openapi", "openapi-util"])
@pytest.mark.parametrize("kind", KEYS)
@pytest.mark.parametrize("action", of_alicloud, ids=lambda action: action.name)
def test_alibabas_signers_come_to_our_signature(capture, action, kind, signer):
    url, seen = capture
    keys = KEYS[kind]
    send_all(action, url, keys)
    assert len(seen) == 2
    for request in seen:
        sent = request.headers["authorization"]
        names = signed_names(sent)
        assert {name for name in request.headers if name.startswith("x-acs-")} | {"host"} == set(names)
        assert ("x-acs-security-token" in names) is (kind == "temporary")
        parts = urlsplit(request.target)
        arrived = SimpleNamespace(
            method=request.method,
            pathname=parts.path,
            query=dict(parse_qsl(parts.query, keep_blank_values=True)),
            headers={name: request.headers[name] for name in names},
        )
        payload = Utils.hash(request.body, "ACS3-HMAC-SHA256").hex()
        assert payload == request.headers["x-acs-content-sha256"]
        again = signer.get_authorization(arrived, "ACS3-HMAC-SHA256", payload, keys["accessKey"], keys["secretKey"])
        assert again == sent
    jobs = json.loads(dict(parse_qsl(urlsplit(seen[0].target).query))["Jobs"])
    assert jobs == [{"Id": "1.a*~b"}, {"Id": "2.ä+c"}]


def test_a_change_on_the_way_does_not_go_unnoticed(capture):
    url, seen = capture
    (action,) = (one for one in of_huaweicloud if one.name == "JobBatchRetry")
    send_all(action, url, KEYS["permanent"])
    request = seen[0]
    names = signed_names(request.headers["authorization"])
    forged = SdkRequest(
        method=request.method,
        schema="http",
        host=request.headers["host"],
        resource_path=urlsplit(request.target).path,
        query_params=[],
        header_params={name: request.headers[name] for name in names},
        body=request.body.replace(b"jb2", b"jb3"),
    )
    keys = KEYS["permanent"]
    again = Signer(SimpleNamespace(ak=keys["accessKey"], sk=keys["secretKey"])).sign(forged)
    assert again.header_params["Authorization"] != request.headers["authorization"]
