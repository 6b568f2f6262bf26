// Five retries, one of each API. Change a trigger and run `pulumi up` again: exactly that retry fires.
//
//     pulumi config set --path triggers.drs tuesday

import * as pulumi from "@pulumi/pulumi";
import * as cloudretry from "@pulumi-cloudretry/cloudretry";

const changed = new pulumi.Config().getObject<Record<string, string>>("triggers") ?? {};
const trigger = (name: string) => ({ [name]: changed[name] ?? "monday" });

const pool = new cloudretry.modelarts.PoolScopeRetry("pool", {
    poolName: "pool-dly-op-0c2098ebae80d3e22f31c011e23a97cd",
    scope: "Infer",
    triggers: trigger("modelarts"),
});

const visualization = new cloudretry.modelarts.VisualizationJobRestart("visualization", {
    jobId: "10",
    triggers: trigger("visualization"),
});

const desktop = new cloudretry.workspace.JobRetry("desktop", {
    jobId: "6783cecb-0e5c-4521-a3ea-825f551c1ba9",
    triggers: trigger("workspace"),
});

const replication = new cloudretry.drs.JobBatchRetry(
    "replication",
    {
        jobs: [
            { jobId: "140b5236-88ad-43c8-811c-1268453jb101" },
            { jobId: "2f6c0f4e-51f4-4c7b-9a0e-6d1f4b2jb101" },
        ],
        successPolicy: cloudretry.SuccessPolicy.All,
        triggers: trigger("drs"),
    },
    { customTimeouts: { create: "10m", update: "10m" } },
);

// It is fired once the pool is enabled, and again whenever that is retried.
const simulation = new cloudretry.ehpc.JobRerun("simulation", {
    clusterId: "ehpc-sh-3VeFyR7kQm",
    jobIds: ["1.scheduler", "2.scheduler"],
    triggers: { ...trigger("ehpc"), pool: pool.generation },
});

export const statuses = {
    pool: pool.status,
    visualization: visualization.status,
    desktop: desktop.status,
    simulation: simulation.status,
};
export const replicated = replication.results.apply((results) =>
    results.map((result) => `${result.target}: ${result.cloudStatus}`),
);
