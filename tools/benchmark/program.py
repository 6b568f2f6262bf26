"""The Pulumi program of every contender: it declares what `settings.json` says, with the contender's classes."""

import json
from pathlib import Path
from typing import Any

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, Resource, ResourceProvider, UpdateResult

settings = json.loads(Path("settings.json").read_text(encoding="utf-8"))
triggers, inputs = {"release": settings["trigger"]}, settings["inputs"]


class PlainProvider(ResourceProvider):
    """A retry as it is written by hand: send it, ask until it is well. No journal, no partial failure, no limits."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(props["jobs"][0], {**props, **self._fire(props)})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        return DiffResult(changes=_olds["triggers"] != _news["triggers"])

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult({**_news, **self._fire(_news)})

    def _fire(self, props: dict[str, Any]) -> dict[str, Any]:
        import time

        import requests

        jobs, project = props["jobs"], props["cloud"]
        body: dict[str, Any] = {"jobs": [{"job_id": job} for job in jobs]}
        requests.post(f"{project}/jobs/batch-retry-task", json=body, timeout=60).raise_for_status()
        while True:
            body = {"jobs": jobs, "page_req": {"cur_page": 1, "per_page": len(jobs)}}
            answer = requests.post(f"{project}/jobs/batch-status", json=body, timeout=60)
            answer.raise_for_status()
            states = [result["status"] for result in answer.json()["results"]]
            if "STARTJOBING" not in states:
                return {"status": states}
            time.sleep(0.5)


class Plain(Resource):
    status: pulumi.Output[list[str]]


def declare(name: str, jobs: list[str]) -> None:
    match settings["classes"]:
        case "component":
            pulumi.ComponentResource("bench:index:Component", name)
        case "plain":
            props = {"jobs": jobs, "cloud": settings["cloud"], "triggers": triggers, "status": None}
            Plain(PlainProvider(), name, props)
        case "command":
            props = {
                "create": settings["script"],
                "environment": {"CLOUD": settings["cloud"], "JOB": jobs[0]},
                "triggers": [settings["trigger"]],
                "stdout": None,
            }
            pulumi.CustomResource("command:local:Command", name, props)
        case "dynamic":
            from pulumi_cloudretry.dynamic import JobBatchRetry

            JobBatchRetry(name, jobs=[{"job_id": job} for job in jobs], triggers=triggers, **inputs)
        case "plugin":
            from pulumi_cloudretry import drs

            drs.JobBatchRetry(name, jobs=[drs.JobArgs(job_id=job) for job in jobs], triggers=triggers, **inputs)


for number in range(settings["resources"]):
    numbers = range(number * settings["targets"], (number + 1) * settings["targets"])
    declare(f"retry-{number}", [settings["job"].format(one) for one in numbers])
