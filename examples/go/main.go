// Five retries, one of each API, run inline through Pulumi's Automation API: `go run .` is `pulumi up`.
//
// It needs the Pulumi CLI on PATH, a login (such as PULUMI_BACKEND_URL=file://~) and PULUMI_CONFIG_PASSPHRASE.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"

	"github.com/pulumi-cloudretry/pulumi-cloudretry/sdk/go/cloudretry"
	"github.com/pulumi-cloudretry/pulumi-cloudretry/sdk/go/cloudretry/drs"
	"github.com/pulumi-cloudretry/pulumi-cloudretry/sdk/go/cloudretry/ehpc"
	"github.com/pulumi-cloudretry/pulumi-cloudretry/sdk/go/cloudretry/modelarts"
	"github.com/pulumi-cloudretry/pulumi-cloudretry/sdk/go/cloudretry/workspace"
	"github.com/pulumi/pulumi/sdk/v3/go/auto"
	"github.com/pulumi/pulumi/sdk/v3/go/auto/optup"
	"github.com/pulumi/pulumi/sdk/v3/go/pulumi"
)

// The first argument is the release: another one fires the replication again, and nothing else.
func main() {
	release := "1"
	if len(os.Args) > 1 {
		release = os.Args[1]
	}
	if err := up(context.Background(), release); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func up(ctx context.Context, release string) error {
	stack, err := auto.UpsertStackInlineSource(ctx, "dev", "cloudretry-go", func(ctx *pulumi.Context) error {
		return declare(ctx, release)
	})
	if err != nil {
		return err
	}
	emulator := os.Getenv("CLOUDRETRY_EMULATOR")
	if emulator == "" {
		emulator = "embedded"
	}
	if err := stack.SetConfig(ctx, "cloudretry:emulator", auto.ConfigValue{Value: emulator}); err != nil {
		return err
	}
	result, err := stack.Up(ctx, optup.ProgressStreams(os.Stderr))
	if err != nil {
		return err
	}
	outputs := map[string]any{}
	for name, output := range result.Outputs {
		outputs[name] = output.Value
	}
	return json.NewEncoder(os.Stdout).Encode(outputs)
}

func declare(ctx *pulumi.Context, release string) error {
	pool, err := modelarts.NewPoolScopeRetry(ctx, "pool", &modelarts.PoolScopeRetryArgs{
		PoolName: pulumi.String("pool-dly-op-0c2098ebae80d3e22f31c011e23a97cd"),
		Scope:    modelarts.ScopeInfer,
	})
	if err != nil {
		return err
	}
	visualization, err := modelarts.NewVisualizationJobRestart(ctx, "visualization", &modelarts.VisualizationJobRestartArgs{
		JobId: pulumi.String("10"),
	})
	if err != nil {
		return err
	}
	desktop, err := workspace.NewJobRetry(ctx, "desktop", &workspace.JobRetryArgs{
		JobId: pulumi.String("6783cecb-0e5c-4521-a3ea-825f551c1ba9"),
	})
	if err != nil {
		return err
	}
	replication, err := drs.NewJobBatchRetry(ctx, "replication", &drs.JobBatchRetryArgs{
		Jobs: drs.JobArray{
			drs.JobArgs{JobId: pulumi.String("140b5236-88ad-43c8-811c-1268453jb101")},
			drs.JobArgs{JobId: pulumi.String("2f6c0f4e-51f4-4c7b-9a0e-6d1f4b2jb101")},
		},
		FireWhen: cloudretry.FireWhenAlways,
		Triggers: pulumi.Map{"release": pulumi.String(release)},
	})
	if err != nil {
		return err
	}
	simulation, err := ehpc.NewJobRerun(ctx, "simulation", &ehpc.JobRerunArgs{
		ClusterId: pulumi.String("ehpc-sh-3VeFyR7kQm"),
		JobIds:    pulumi.ToStringArray([]string{"1.scheduler", "2.scheduler"}),
	})
	if err != nil {
		return err
	}
	ctx.Export("pool", pool.Status)
	ctx.Export("visualization", visualization.Status)
	ctx.Export("desktop", desktop.Status)
	ctx.Export("replication", replication.Status)
	ctx.Export("replicationGeneration", replication.Generation)
	ctx.Export("simulation", simulation.Status)
	return nil
}
