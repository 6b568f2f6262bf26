"""An emulator for the clouds' own clients, which know nothing of it but an endpoint and credentials."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cloudretry.emulator import Emulator

JOBS = {
    "pools": [
        {
            "name": "pool-dly-op-0c2098ebae80d3e22f31c011e23a97cd",
            "scopes": [{"scope": "Train", "state": "Enabled"}, {"scope": "Infer", "state": "EnableFailed"}],
        }
    ],
    "visualizationJobs": [{"id": 10, "state": "FAILED"}, {"id": 11, "state": "RUNNING"}],
    "workspaceJobs": [
        {"id": "failed", "state": "FAILED", "newJobId": "retried", "subJobs": 1},
        {"id": "running", "state": "RUNNING"},
        {
            "id": "denied",
            "state": "FAILED",
            "refuse": {
                "code": "WKS.0403",
                "message": "Not authorized.",
                "http": 403,
                "encodedAuthorizationMessage": "encoded",
            },
        },
    ],
    "drsJobs": [
        {"count": 7, "idFormat": "jb{n}", "state": "FULL_TRANSFER_FAILED"},
        {"id": "paused", "state": "PAUSING"},
        {"id": "started", "state": "FULL_TRANSFER_STARTED"},
    ],
    "clusters": [
        {
            "id": "ehpc-hz-1",
            "jobs": [{"count": 12, "state": "RUNNING"}, {"id": "done.scheduler", "state": "FINISHED"}],
        }
    ],
}


@pytest.fixture
def emulator() -> Iterator[Emulator]:
    with Emulator(JOBS) as running:
        yield running
