"""One run of a stack's resource, as a front carries it out: a process that can be killed.

``python stack_run.py CONFIG JOB...`` creates a DRS batch retry of these jobs. It prints its lines to standard error and
the outputs, as JSON, to standard output.
"""

from __future__ import annotations

import asyncio
import json
import sys

from cloudretry import lifecycle
from cloudretry.actions import ACTIONS
from cloudretry.backend import ConfiguredBackend
from cloudretry.config import ProviderConfig

URN = "urn:pulumi:dev::shop::cloudretry:drs:JobBatchRetry::orders"


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


async def create(config: str, *jobs: str) -> None:
    backend = ConfiguredBackend(ProviderConfig.model_validate_json(config))
    values = {"jobs": [{"jobId": job} for job in jobs]}
    circumstances = lifecycle.Circumstances(resource=URN, progress=say, notice=say)
    done = await lifecycle.create(ACTIONS["cloudretry:drs:JobBatchRetry"], values, backend, circumstances)
    await lifecycle.hand_over(done)
    print(json.dumps(done.outputs))
    await lifecycle.settle(done)
    backend.close()


if __name__ == "__main__":
    asyncio.run(create(*sys.argv[1:]))
