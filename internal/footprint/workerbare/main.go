// Command workerbare is the worker role without any cloud: what a cloud costs is
// the difference. It is there to be measured, not to be used.
package main

import (
	"context"

	"github.com/slipway-cd/slipway/internal/footprint/process"
	"github.com/slipway-cd/slipway/internal/footprint/role"
)

// version is set by the linker.
var version = "dev"

func main() { process.Main("worker without a cloud", version, start) }

func start(ctx context.Context, p *process.Process) (string, error) {
	accounts, err := process.Accounts[role.Account](p)
	if err != nil {
		return "", err
	}
	targets, err := role.Elsewhere(accounts)
	if err != nil {
		return "", err
	}
	return "", role.Work(ctx, p, targets, nil)
}
