"""A running emulator on a clock that only moves when a test moves it, and clients that are signed in."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
import uuid
from collections.abc import Callable, Iterator
from urllib.parse import quote, urlencode

import pytest
import requests

from cloudretry.emulator import CREDENTIALS, Emulator


class Clock:
    """Starts at real time, so that issued tokens look fresh, and stands still."""

    def __init__(self) -> None:
        self.now = time.time()

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


class Huaweicloud:
    """Requests to the default project, with the fixed token."""

    def __init__(self, emulator: Emulator) -> None:
        self._url = emulator.url
        self.session = requests.Session()
        self.session.headers["X-Auth-Token"] = CREDENTIALS.token

    def url(self, path: str, project: str = CREDENTIALS.project_id) -> str:
        return self._url + path.format(project=project)

    def get(self, path: str, **options: object) -> requests.Response:
        return self.session.get(self.url(path), **options)  # type: ignore[arg-type]

    def post(self, path: str, body: object = None, **options: object) -> requests.Response:
        return self.session.post(self.url(path), json=body, **options)  # type: ignore[arg-type]

    def drs_states(self, *ids: str) -> list[str]:
        body = {"jobs": ids, "page_req": {"per_page": 0}}
        answer = self.post("/v3/{project}/jobs/batch-status", body).json()
        return [result.get("status") for result in answer["results"]]

    def retry_drs(self, *ids: str) -> requests.Response:
        return self.post("/v3/{project}/jobs/batch-retry-task", {"jobs": [{"job_id": job_id} for job_id in ids]})


class Alicloud:
    """RPC requests under signature version 1.0, each with a nonce of its own."""

    def __init__(self, emulator: Emulator) -> None:
        self._url = emulator.url

    def parameters(self, action: str, version: str = "2018-04-12", **parameters: str) -> dict[str, str]:
        return {
            "Action": action,
            "Version": version,
            "Format": "JSON",
            "AccessKeyId": CREDENTIALS.alicloud_access_key,
            "SignatureMethod": "HMAC-SHA1",
            "SignatureVersion": "1.0",
            "SignatureNonce": uuid.uuid4().hex,
            "Timestamp": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        } | parameters

    def sign(
        self, parameters: dict[str, str], method: str = "GET", secret: str = CREDENTIALS.alicloud_secret_key
    ) -> dict[str, str]:
        text = urlencode(sorted(parameters.items()), quote_via=quote, safe="-_.~")
        to_sign = f"{method}&%2F&{quote(text, safe='-_.~')}"
        digest = hmac.new(f"{secret}&".encode(), to_sign.encode(), hashlib.sha1).digest()
        return parameters | {"Signature": base64.b64encode(digest).decode()}

    def send(self, signed: dict[str, str]) -> requests.Response:
        return requests.get(self._url, params=signed, timeout=10)

    def __call__(self, action: str, **parameters: str) -> requests.Response:
        return self.send(self.sign(self.parameters(action, **parameters)))

    def post_form(self, action: str, **parameters: str) -> requests.Response:
        signed = self.sign(self.parameters(action, **parameters), "POST")
        return requests.post(self._url, data=signed, timeout=10)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def start(clock: Clock) -> Iterator[Callable[..., Emulator]]:
    """Starts emulators on the standing clock; all of them are gone after the test."""
    running: list[Emulator] = []

    def start_one(scenario: object = None, **options: object) -> Emulator:
        emulator = Emulator(scenario, clock=clock, **options)  # type: ignore[arg-type]
        running.append(emulator)
        return emulator.start()

    yield start_one
    for emulator in running:
        emulator.stop()


@pytest.fixture
def emulator(start: Callable[..., Emulator]) -> Emulator:
    """One that serves the built-in scenario; tests put others in its place."""
    return start()


@pytest.fixture
def huaweicloud(emulator: Emulator) -> Iterator[Huaweicloud]:
    client = Huaweicloud(emulator)
    yield client
    client.session.close()


@pytest.fixture
def alicloud(emulator: Emulator) -> Alicloud:
    return Alicloud(emulator)
