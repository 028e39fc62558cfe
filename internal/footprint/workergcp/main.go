// Command workergcp is the worker role with Google Cloud alone. It is there to
// be measured, not to be used.
package main

import (
	"context"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/internal/footprint/process"
	"github.com/slipway-cd/slipway/internal/footprint/role"
	"github.com/slipway-cd/slipway/providers/gcp"
	"github.com/slipway-cd/slipway/providers/gcp/cloudrun"
	"github.com/slipway-cd/slipway/providers/gcp/mig"
	"github.com/slipway-cd/slipway/providers/gcp/monitoring"
)

// version is set by the linker.
var version = "dev"

func main() { process.Main("worker with Google Cloud", version, start) }

func start(ctx context.Context, p *process.Process) (string, error) {
	accounts, err := process.Accounts[role.Account](p)
	if err != nil {
		return "", err
	}
	var targets role.Targets
	var metrics delivery.Metrics // of the last region: one shows what a source costs
	for _, a := range accounts {
		if a.Provider != "gce" {
			continue
		}
		session, err := gcp.Open(ctx, gcp.Options{Account: a.Name, Project: a.Project, Endpoint: a.Endpoint, AccessToken: "measured"})
		if err != nil {
			return "", err
		}
		if err := targets.Add(a, map[string]role.Opener{
			mig.Provider: func(region string) (delivery.Target, error) {
				target, err := mig.New(session, region, mig.Options{})
				if err == nil {
					metrics, err = monitoring.New(ctx, session, strings.TrimPrefix(a.Endpoint, "http://"), target)
				}
				return target, err
			},
			cloudrun.Provider: func(region string) (delivery.Target, error) {
				return cloudrun.New(ctx, session, region, cloudrun.Options{})
			},
		}); err != nil {
			return "", err
		}
	}
	return "", role.Work(ctx, p, &targets, metrics)
}
