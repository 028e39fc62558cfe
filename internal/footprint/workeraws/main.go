// Command workeraws is the worker role with AWS alone. It is there to be
// measured, not to be used.
package main

import (
	"context"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/footprint/process"
	"github.com/slipway-cd/slipway/internal/footprint/role"
	"github.com/slipway-cd/slipway/providers/aws"
	"github.com/slipway-cd/slipway/providers/aws/asg"
	"github.com/slipway-cd/slipway/providers/aws/cloudwatch"
)

// version is set by the linker.
var version = "dev"

func main() { process.Main("worker with AWS", version, start) }

func start(ctx context.Context, p *process.Process) (string, error) {
	accounts, err := process.Accounts[role.Account](p)
	if err != nil {
		return "", err
	}
	var targets role.Targets
	var metrics delivery.Metrics // of the last region: one shows what a source costs
	for _, a := range accounts {
		if a.Provider != "aws" {
			continue
		}
		session, err := aws.Open(ctx, aws.Options{Account: a.Name, AccountID: a.AccountID, Endpoint: a.Endpoint,
			AccessKeyID: "measured", SecretAccessKey: "measured"})
		if err != nil {
			return "", err
		}
		if err := targets.Add(a, map[string]role.Opener{asg.Provider: func(region string) (delivery.Target, error) {
			target := asg.New(session, region, asg.Options{})
			metrics = cloudwatch.New(session, region, target)
			return target, nil
		}}); err != nil {
			return "", err
		}
	}
	return "", role.Work(ctx, p, &targets, metrics)
}
