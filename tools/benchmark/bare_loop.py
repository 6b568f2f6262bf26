"""A retry of many DRS jobs without a provider: the calls, over kept connections, and nothing else.

Reads what to do from standard input and prints the seconds that it took.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import requests

DONE = "FULL_TRANSFER_STARTED"


def main() -> None:
    """Fire at all jobs, then ask until all are well."""
    task = json.load(sys.stdin)
    session = requests.Session()
    session.trust_env = False
    session.headers["X-Auth-Token"] = task["token"]

    def post(call: str, body: dict[str, Any]) -> Any:
        answer = session.post(f"{task['project']}/jobs/{call}", json=body, timeout=60)
        answer.raise_for_status()
        return answer.json()["results"]

    def fire(jobs: Sequence[str]) -> None:
        for result in post("batch-retry-task", {"jobs": [{"job_id": job} for job in jobs]}):
            if result["status"] != "success":
                raise RuntimeError(result)

    def look(jobs: Sequence[str]) -> list[str]:
        results = post("batch-status", {"jobs": jobs, "page_req": {"cur_page": 1, "per_page": len(jobs)}})
        return [result["id"] for result in results if result["status"] != DONE]

    began = time.perf_counter()
    with ThreadPoolExecutor(task["fires_at_once"]) as pool:
        list(pool.map(fire, groups(task["jobs"], task["fire_size"])))
    waiting = task["jobs"]
    with ThreadPoolExecutor(task["looks_at_once"]) as pool:
        while waiting:
            waiting = [job for jobs in pool.map(look, groups(waiting, task["look_size"])) for job in jobs]
    print(time.perf_counter() - began)


def groups(jobs: Sequence[str], size: int) -> list[Sequence[str]]:
    """The jobs in groups of this size."""
    return [jobs[first : first + size] for first in range(0, len(jobs), size)]


if __name__ == "__main__":
    main()
