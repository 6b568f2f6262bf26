"""A cloud at its worst, and the secrets that are planted where one can be."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

__all__ = ["ALICLOUD", "ENVIRONMENT_OF", "HUAWEICLOUD_WAYS", "PLANTED", "Echo", "configuration", "places_of_planted"]

PLANTED: Mapping[str, str] = {
    name: f"planted-{name}-7f3a91"
    for name in (
        *("secretKey", "securityToken", "token", "password", "applicationSecret", "issuedToken"),
        *("agencySecret", "agencyToken", "aliSecretKey", "aliSecurityToken", "trigger", "oldTrigger"),
    )
}
HUAWEICLOUD_WAYS: Mapping[str, dict[str, Any]] = {
    "access key": {
        "accessKey": "AKPLANTED",
        "secretKey": PLANTED["secretKey"],
        "securityToken": PLANTED["securityToken"],
    },
    "token": {"token": PLANTED["token"]},
    "password": {"userName": "somebody", "password": PLANTED["password"], "domainName": "some-domain"},
    "application credential": {
        "applicationCredentialId": "some-credential",
        "applicationCredentialSecret": PLANTED["applicationSecret"],
    },
    "agency": {
        "accessKey": "AKPLANTED",
        "secretKey": PLANTED["secretKey"],
        "assumeRole": {"agencyName": "some-agency", "domainName": "some-domain"},
    },
}
ALICLOUD = {
    "accessKey": "LTAIPLANTED",
    "secretKey": PLANTED["aliSecretKey"],
    "securityToken": PLANTED["aliSecurityToken"],
    "region": "cn-shanghai",
}
ENVIRONMENT_OF = {
    "accessKey": "HW_ACCESS_KEY",
    "secretKey": "HW_SECRET_KEY",
    "securityToken": "HW_SECURITY_TOKEN",
    "token": "HW_AUTH_TOKEN",
    "userName": "HW_USER_NAME",
    "password": "HW_USER_PASSWORD",
    "domainName": "HW_DOMAIN_NAME",
    "applicationCredentialId": "OS_APPLICATION_CREDENTIAL_ID",
    "applicationCredentialSecret": "OS_APPLICATION_CREDENTIAL_SECRET",
}


class Echo:
    """A cloud that signs everybody in and then repeats each request, headers and body, in an error."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.status = 400
        self.answers: dict[str, dict[str, Any]] = {}
        """What a path that ends like this is answered with, instead of an error."""
        owner = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
                owner.asked.append(self.path)
                status, headers, body = owner._reply(self.path, f"{self.headers.as_string()} {sent}")
                content = json.dumps(body).encode()
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = _answer  # noqa: N815 - the base class's names

            def log_message(self, *_: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()

    def _reply(self, path: str, sent: str) -> tuple[int, dict[str, str], dict[str, Any]]:
        later = time.strftime("%Y-%m-%dT%H:%M:%S.000000Z", time.gmtime(time.time() + 3600))
        if path == "/v3/auth/tokens" and self.status != 401:
            project = {"id": "p1", "name": "eu-de", "domain": {"id": "d1", "name": "some-domain"}}
            token = {"expires_at": later, "issued_at": later, "methods": ["password"], "project": project}
            return 201, {"X-Subject-Token": PLANTED["issuedToken"]}, {"token": token}
        if path.startswith("/v3.0/OS-CREDENTIAL") and self.status != 401:
            keys = {"access": "AKAGENCY", "secret": PLANTED["agencySecret"], "securitytoken": PLANTED["agencyToken"]}
            return 201, {}, {"credential": {**keys, "expires_at": later}}
        for end, body in self.answers.items():
            if path.endswith(end):
                return 200, {"Content-Type": "application/json", "X-Request-Id": "r"}, body
        words: dict[str, Any] = {"error_code": "X.1", "error_msg": sent, "Code": "X.1", "Message": sent}
        words["error"] = {"code": self.status, "message": sent, "title": "Refused"}
        return self.status, {"Content-Type": "application/json", "X-Request-Id": "r"}, words

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


def configuration(echo: Echo, cloud: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    endpoints = dict.fromkeys(("modelarts", "workspace", "drs", "iam"), echo.url)
    return {
        "pollInterval": "50ms",
        "huaweicloud": {"region": "eu-de", "projectId": "p1", "endpoints": endpoints, **cloud},
        "alicloud": {**ALICLOUD, "endpoint": echo.url},
        **more,
    }


def places_of_planted(kept: Mapping[str, str], *more: str) -> list[tuple[str, str]]:
    return [(where, name) for where, words in kept.items() for name in (*PLANTED.values(), *more) if name in words]
