"""The five retries, with every kind of trigger and some settings."""

import pulumi

import pulumi_cloudretry as cloudretry

triggers = {"release": "1", "count": 2, "nested": {"list": [1, True, "a"]}, "hidden": pulumi.Output.secret("value")}

cloudretry.modelarts.PoolScopeRetry("pool", pool_name="pool-a", scope="Infer", triggers=triggers)
cloudretry.modelarts.VisualizationJobRestart("visualization", job_id="10", triggers=triggers, cooldown="1m")
cloudretry.workspace.JobRetry("desktop", job_id="task-1", triggers=triggers, fire_when="retryable")
cloudretry.drs.JobBatchRetry(
    "replication", jobs=[{"job_id": "jb1"}, {"job_id": "jb2"}], language="en-us", success_policy="any"
)
cloudretry.ehpc.JobRerun("simulation", cluster_id="ehpc-1", job_ids=["1.scheduler", "2.scheduler"], max_attempts=5)
