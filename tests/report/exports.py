"""Exports to report of: those that were recorded, and such as a test makes up."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cloudretry.report.reading import from_file, read
from cloudretry.report.summary import Report

RECORDED = Path(__file__).with_name("recorded")
PROD = RECORDED / "prod.json"
"""Made with the plugin; two of its five resources failed. The job id of one is a secret, as is a trigger of all."""
STAGING = RECORDED / "staging.json"
"""Made with the dynamic classes; all is well. The job id of one is a secret, which the state holds in clear."""

SIGNATURE = "4dabf18193072939515e22adb298388d"
SECRET = "1b47061264138c4ac30d75fd1eb44270"
DRS = "cloudretry:drs:JobBatchRetry"
WORKSPACE = "cloudretry:workspace:JobRetry"

DAY = "2026-01-31T10:00:00Z"


def prod() -> Report:
    return from_file(PROD)


def staging() -> Report:
    return from_file(STAGING)


def secret(**form: Any) -> dict[str, Any]:
    """A secret value; without a form, as an export has it."""
    return {SIGNATURE: SECRET, **(form or {"ciphertext": "v1:abc:def"})}


def result(target: Any, status: str = "Failed", **more: Any) -> dict[str, Any]:
    return {"target": target, "status": status, "attempts": 1, **more}


def run(at: str = DAY, status: str = "Succeeded", reason: str = "create", **more: Any) -> dict[str, Any]:
    return {"at": at, "reason": reason, "generation": 1, "fired": 1, "status": status, "outcomes": {status: 1}, **more}


def outputs(*results: Mapping[str, Any], status: str = "Succeeded", **more: Any) -> dict[str, Any]:
    """The outputs of a DRS batch with these results."""
    made = {
        "jobs": [{"jobId": item["target"]} for item in results],
        "triggers": {},
        "status": status,
        "generation": 1,
        "fireIds": ["f1"],
        "requestIds": ["r1"],
        "emulator": False,
        "results": list(results),
        "history": [run(status=status)],
    }
    return made | more


def resource(name: str, held: Mapping[str, Any] | None, token: str = DRS, **more: Any) -> dict[str, Any]:
    urn = f"urn:pulumi:dev::shop::{token}::{name}"
    return {"urn": urn, "type": token, "custom": True, "id": "x", "inputs": {}, "outputs": held, **more}


def export(*resources: Mapping[str, Any], stack: str = "dev", **more: Any) -> bytes:
    """An export of a stack, with the resource that each stack has."""
    own = {"urn": f"urn:pulumi:{stack}::shop::pulumi:pulumi:Stack::shop-{stack}", "type": "pulumi:pulumi:Stack"}
    listed = [{**item, "urn": item["urn"].replace(":dev::", f":{stack}::", 1)} for item in resources]
    deployment = {"manifest": {"time": "2026-01-31T10:05:00.123456789Z"}, "resources": [own, *listed], **more}
    return json.dumps({"version": 3, "deployment": deployment}).encode()


def report(*resources: Mapping[str, Any], stack: str = "dev", **more: Any) -> Report:
    return read(export(*resources, stack=stack, **more), "the export")
