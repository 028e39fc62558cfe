// Command worker is the worker role alone, with every cloud. It is there to be
// measured, not to be used.
package main

import (
	"context"

	"github.com/slipway-cd/slipway/internal/footprint/process"
	"github.com/slipway-cd/slipway/internal/footprint/role"
	"github.com/slipway-cd/slipway/providers"
)

// version is set by the linker.
var version = "dev"

func main() { process.Main("worker", version, start) }

func start(ctx context.Context, p *process.Process) (string, error) {
	accounts, err := process.Accounts[providers.AccountConfig](p)
	if err != nil {
		return "", err
	}
	targets, err := providers.Open(ctx, accounts)
	if err != nil {
		return "", err
	}
	return "", role.Work(ctx, p, targets, targets)
}
