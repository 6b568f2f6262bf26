"""Five retries, one of each API. Change a trigger and run `pulumi up` again: exactly that retry fires.

pulumi config set --path triggers.drs tuesday
"""

import pulumi

import pulumi_cloudretry as cloudretry

triggers = pulumi.Config().get_object("triggers") or {}


def trigger(name: str) -> dict[str, str]:
    return {name: triggers.get(name, "monday")}


pool = cloudretry.modelarts.PoolScopeRetry(
    "pool",
    pool_name="pool-dly-op-0c2098ebae80d3e22f31c011e23a97cd",
    scope="Infer",
    triggers=trigger("modelarts"),
)

visualization = cloudretry.modelarts.VisualizationJobRestart(
    "visualization",
    job_id="10",
    triggers=trigger("visualization"),
)

desktop = cloudretry.workspace.JobRetry(
    "desktop",
    job_id="6783cecb-0e5c-4521-a3ea-825f551c1ba9",
    triggers=trigger("workspace"),
)

replication = cloudretry.drs.JobBatchRetry(
    "replication",
    jobs=[
        {"job_id": "140b5236-88ad-43c8-811c-1268453jb101"},
        {"job_id": "2f6c0f4e-51f4-4c7b-9a0e-6d1f4b2jb101"},
    ],
    triggers=trigger("drs"),
)

simulation = cloudretry.ehpc.JobRerun(
    "simulation",
    cluster_id="ehpc-sh-3VeFyR7kQm",
    job_ids=["1.scheduler", "2.scheduler"],
    triggers=trigger("ehpc"),
)

pulumi.export("pool", pool.status)
pulumi.export("visualization", visualization.status)
pulumi.export("desktop", {"status": desktop.status, "retryJobId": desktop.retry_job_id})
pulumi.export(
    "replication", replication.results.apply(lambda results: {result.target: result.cloud_status for result in results})
)
pulumi.export(
    "simulation", simulation.results.apply(lambda results: {result.target: result.status for result in results})
)
