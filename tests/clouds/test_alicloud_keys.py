"""What gives keys by itself (an instance's role, an OIDC token, a URI), through the official library and fakes.

In a process of its own: the library reads environment and home folder when it is imported. It takes the addresses of
the instance's metadata and of STS from nowhere, so their fakes are proxies: HTTP_PROXY and HTTPS_PROXY lead to them.
"""

from __future__ import annotations

import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SCRIPT = """
import sys
if ca_file := sys.argv[2]:
    import certifi
    certifi.where = lambda: ca_file
import json, logging, os
logging.basicConfig(level=1, stream=sys.stdout)
from cloudretry.clouds import connect
from cloudretry.config import load
from cloudretry.errors import CloudRetryError
from cloudretry.model import Cloud, Request
from cloudretry.operation import Operation

config = load({"alicloud": {"region": "cn-shanghai", **json.loads(sys.argv[1])}}, os.environ)
client = connect(Cloud.ALICLOUD, config)
for _ in range(int(sys.argv[3])):
    try:
        print("answer", client.send(Request(Operation("ListJobs", "ehpc", "GET", "/"))).status, client.keys_source)
    except CloudRetryError as error:
        print(type(error).__name__, error)
"""
SECRET, TOKEN, OIDC_TOKEN = "sk-hush-4711", "st-hush-4711", "oidc-hush-4711"
OIDC = {
    "ALIBABA_CLOUD_ROLE_ARN": "acs:ram::1:role/ci",
    "ALIBABA_CLOUD_OIDC_PROVIDER_ARN": "acs:ram::1:oidc-provider/ci",
}


def keys(**changes: Any) -> dict[str, Any]:
    ends_at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 3600))
    given = {"AccessKeyId": "STS.ak", "AccessKeySecret": SECRET, "SecurityToken": TOKEN, "Expiration": ends_at}
    return {"Code": "Success", **given, **changes}


def answered(body: Any, status: int = 200) -> Any:
    return SimpleNamespace(status=status, body=json.dumps(body).encode(), headers={})


def ask(
    home: Path, url: str, *, given: Mapping[str, str] | None = None, ca: str = "", times: int = 1, **environ: str
) -> str:
    """What came of the requests; whatever happens, nothing of the secrets is told."""
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.upper().startswith(("ALIBABA", "ALICLOUD", "HTTP", "NO_PROXY", "ALL_PROXY", "REQUESTS", "CURL"))
    }
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, json.dumps({"endpoint": url, **(given or {})}), ca, str(times)],
        env={**clean, "HOME": str(home), "DEBUG": "sdk", "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "true", **environ},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert not [secret for secret in (SECRET, TOKEN, OIDC_TOKEN) if secret in done.stdout]
    return "\n".join(line for line in done.stdout.splitlines() if line.startswith(("answer", "Cred", "Request")))


def used(cloudlike: Any) -> str:
    """Whose key signed the request to E-HPC."""
    sent = [seen.headers["authorization"] for seen in cloudlike.seen if "x-acs-action" in seen.headers]
    (access_key,) = {authorization.split("Credential=")[1].split(",")[0] for authorization in sent}
    return str(access_key)


# --- a credentials URI ---


def uri(cloudlike: Any, query: str = "") -> dict[str, str]:
    return {"ALIBABA_CLOUD_CREDENTIALS_URI": f"{cloudlike.url}/keys{query}"}


def test_a_credentials_uri_gives_keys(cloudlike: Any, tmp_path: Path) -> None:
    cloudlike.script = lambda request: answered(keys() if request.target == "/keys" else {})
    assert ask(tmp_path, cloudlike.url, times=2, **uri(cloudlike)).count("answer 200 the credentials URI") == 2
    assert used(cloudlike) == "STS.ak"
    (request, *_) = (seen for seen in cloudlike.seen if "x-acs-action" in seen.headers)
    assert request.headers["x-acs-security-token"] == TOKEN
    assert len([seen for seen in cloudlike.seen if seen.target == "/keys"]) == 1


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_credentials_uri_that_is_down_means_that_nothing_was_sent(
    cloudlike: Any, tmp_path: Path, status: int
) -> None:
    cloudlike.script = lambda _request: answered({"AccessKeySecret": SECRET}, status)
    said = ask(tmp_path, cloudlike.url, **uri(cloudlike, f"?auth={OIDC_TOKEN}"))
    assert said.startswith(
        "RequestNotSent the credentials URI is needed to sign in to Alibaba Cloud and cannot be used"
    )
    assert f"http_code={status}" in said


def test_a_credentials_uri_out_of_reach_means_that_nothing_was_sent(cloudlike: Any, tmp_path: Path) -> None:
    unused = f"http://127.0.0.1:1/keys?auth={OIDC_TOKEN}"
    said = ask(tmp_path, cloudlike.url, ALIBABA_CLOUD_CREDENTIALS_URI=unused)
    assert said.startswith("RequestNotSent")
    assert said.endswith("nothing was sent: no answer")


@pytest.mark.parametrize("body", [keys(Code="Failed"), {**keys(), "Expiration": "tomorrow"}, [SECRET]])
def test_an_answer_that_gives_no_keys_is_not_quoted(cloudlike: Any, tmp_path: Path, body: Any) -> None:
    cloudlike.script = lambda _request: answered(body)
    said = ask(tmp_path, cloudlike.url, **uri(cloudlike, f"?auth={OIDC_TOKEN}"))
    assert said.startswith("CredentialsError No credentials for Alibaba Cloud were found.")
    assert "the credentials URI:" in said


# --- the role of an ECS instance ---


@pytest.mark.parametrize("how", ["given", "environment", "found out"])
def test_the_role_of_the_instance_gives_keys(cloudlike: Any, tmp_path: Path, how: str) -> None:
    folder = "http://100.100.100.200/latest/meta-data/ram/security-credentials/"

    def script(request: Any) -> Any:
        if request.target == folder:
            return SimpleNamespace(status=200, body=b"worker", headers={})
        return answered(keys() if request.target == f"{folder}worker" else {})

    cloudlike.script = script
    environ = {"HTTP_PROXY": cloudlike.url, "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "false"}
    if how == "environment":
        environ["ALIBABA_CLOUD_ECS_METADATA"] = "worker"
    given = {"ecsRoleName": "worker"} if how == "given" else {}
    assert ask(tmp_path, cloudlike.url, given=given, **environ) == "answer 200 the instance's role"
    assert used(cloudlike) == "STS.ak"


def test_metadata_that_is_down_means_that_nothing_was_sent(cloudlike: Any, tmp_path: Path) -> None:
    cloudlike.script = lambda _request: answered({}, 503)
    environ = {"HTTP_PROXY": cloudlike.url, "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "false"}
    said = ask(tmp_path, cloudlike.url, given={"ecsRoleName": "worker"}, **environ)
    assert said.startswith("RequestNotSent the instance's role is needed")


def test_a_role_that_the_instance_has_not_is_an_error_of_the_credentials(cloudlike: Any, tmp_path: Path) -> None:
    cloudlike.script = lambda _request: answered({}, 404)
    environ = {"HTTP_PROXY": cloudlike.url, "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "false"}
    said = ask(tmp_path, cloudlike.url, given={"ecsRoleName": "worker"}, **environ)
    assert said.startswith("CredentialsError There are no keys of the ECS role 'worker'.")


def test_without_an_instance_the_error_is_that_no_credentials_were_found(cloudlike: Any, tmp_path: Path) -> None:
    # Nobody said that this is an instance, so silence there is no outage.
    environ = {"HTTP_PROXY": "http://127.0.0.1:1", "ALIBABA_CLOUD_ECS_METADATA_DISABLED": "false"}
    said = ask(tmp_path, cloudlike.url, **environ)
    assert said.startswith("CredentialsError No credentials for Alibaba Cloud were found.")
    assert "the instance's role: no answer" in said


# --- an OIDC token ---


class Sts:
    """A proxy that is whoever is asked for, over TLS, and answers one request for each connection."""

    def __init__(self, pem: Path) -> None:
        self.asked: list[dict[str, list[str]]] = []
        self.hosts: list[str] = []
        self.reply: tuple[int, Any] = (200, {})
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(pem)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                line = self._head(connection).split()
                if line[:1] != [b"CONNECT"]:
                    return
                self.hosts.append(line[1].decode())
                connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                with self._tls.wrap_socket(connection, server_side=True) as secure:
                    target = self._head(secure).split()[1].decode()
                    self.asked.append(parse_qs(urlsplit(target).query))
                    status, body = self.reply
                    content = json.dumps(body).encode()
                    head = f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n"
                    secure.sendall(head.encode() + content)

    @staticmethod
    def _head(connection: socket.socket) -> bytes:
        head = b""
        while b"\r\n\r\n" not in head and (chunk := connection.recv(65_536)):
            head += chunk
        return head

    def stop(self) -> None:
        with socket.create_connection(("127.0.0.1", self._listener.getsockname()[1])) as last:
            last.sendall(b"END / HTTP/1.1\r\n\r\n")
        self._thread.join(5)
        self._listener.close()


@pytest.fixture(scope="module")
def pem(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for STS that is its own CA, followed by its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "sts.aliyuncs.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("sts.aliyuncs.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path = tmp_path_factory.mktemp("tls") / "sts.pem"
    path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(*form))
    return path


@pytest.fixture
def sts(pem: Path) -> Iterator[Sts]:
    server = Sts(pem)
    yield server
    server.stop()


def by_oidc(tmp_path: Path, cloudlike: Any, pem: Path, proxy: str) -> str:
    (tmp_path / "token").write_text(OIDC_TOKEN)
    environ = {**OIDC, "ALIBABA_CLOUD_OIDC_TOKEN_FILE": str(tmp_path / "token"), "HTTPS_PROXY": proxy}
    return ask(tmp_path, cloudlike.url, ca=str(pem), **environ)


def test_an_oidc_token_gives_keys(cloudlike: Any, tmp_path: Path, sts: Sts, pem: Path) -> None:
    sts.reply = (200, {"Credentials": keys()})
    assert by_oidc(tmp_path, cloudlike, pem, sts.url) == "answer 200 the OIDC role"
    assert used(cloudlike) == "STS.ak"
    assert sts.hosts == ["sts.aliyuncs.com:443"]
    (asked,) = sts.asked
    assert (asked["Action"], asked["OIDCToken"], asked["RoleArn"]) == (
        ["AssumeRoleWithOIDC"],
        [OIDC_TOKEN],
        [OIDC["ALIBABA_CLOUD_ROLE_ARN"]],
    )


def test_sts_that_is_down_means_that_nothing_was_sent(cloudlike: Any, tmp_path: Path, sts: Sts, pem: Path) -> None:
    sts.reply = (503, {"Code": "ServiceUnavailable", "Message": "busy"})
    said = by_oidc(tmp_path, cloudlike, pem, sts.url)
    assert said.startswith("RequestNotSent the OIDC role is needed to sign in to Alibaba Cloud")
    assert said.endswith("ServiceUnavailable: busy")
    assert cloudlike.seen == []


def test_sts_out_of_reach_means_that_nothing_was_sent(cloudlike: Any, tmp_path: Path, pem: Path) -> None:
    # The library's own words would quote the URL, and the URL holds the token.
    said = by_oidc(tmp_path, cloudlike, pem, "http://127.0.0.1:1")
    assert said.startswith("RequestNotSent the OIDC role is needed")
    assert said.endswith("nothing was sent: no answer")


def test_a_token_that_sts_refuses_is_an_error_of_the_credentials(
    cloudlike: Any, tmp_path: Path, sts: Sts, pem: Path
) -> None:
    words = f"This JWT has expired. server string to sign is:{OIDC_TOKEN}"
    sts.reply = (400, {"Code": "AuthenticationFail.OIDCToken.Expired", "Message": words})
    said = by_oidc(tmp_path, cloudlike, pem, sts.url)
    assert said.startswith("CredentialsError No credentials for Alibaba Cloud were found.")
    assert "the OIDC role: error refreshing credentials from oidc_role_arn, http_code: 400" in said
    assert "AuthenticationFail.OIDCToken.Expired: This JWT has expired." in said


def test_a_file_that_holds_no_token_is_named(cloudlike: Any, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "nowhere")
    said = ask(tmp_path, cloudlike.url, **OIDC, ALIBABA_CLOUD_OIDC_TOKEN_FILE=nowhere)
    assert f"the OIDC role: No such file or directory: {nowhere}" in said


def test_a_profile_file_that_cannot_be_read_is_not_quoted(cloudlike: Any, tmp_path: Path) -> None:
    (tmp_path / ".alibabacloud").mkdir()
    (tmp_path / ".alibabacloud/credentials.ini").write_text(f"access_key_secret = {SECRET}\n")
    said = ask(tmp_path, cloudlike.url)
    assert said.startswith("CredentialsError")
    assert "the credentials file: it cannot be read" in said


@pytest.mark.parametrize("file", [".aliyun/config.json", ".alibabacloud/credentials.ini"])
def test_a_profile_file_with_a_byte_order_mark_is_named(cloudlike: Any, tmp_path: Path, file: str) -> None:
    path = tmp_path / file
    path.parent.mkdir()
    path.write_text("{}", encoding="utf-8-sig")
    said = ask(tmp_path, cloudlike.url)
    assert f"{path} begins with a byte order mark: save it as UTF-8 without one" in said
