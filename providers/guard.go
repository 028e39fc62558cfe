package providers

import (
	"context"
	"fmt"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// guardedTimeout keeps observing and writing together within the 30 s of the port.
const guardedTimeout = 29 * time.Second

// Guard asks delivery.Guard before each write, with a snapshot taken for that
// question. A creation takes nothing away and is not observed for.
func Guard(target delivery.Target) delivery.Target { return &guarded{target} }

type guarded struct{ delivery.Target }

func (g *guarded) Apply(ctx context.Context, change delivery.Change) (delivery.Receipt, error) {
	if change.Kind == delivery.CreateGroup {
		return g.Target.Apply(ctx, change)
	}
	ctx, cancel := context.WithTimeout(ctx, guardedTimeout)
	defer cancel()
	seen, err := g.Observe(ctx, change.Cluster, "")
	if err != nil {
		return delivery.Receipt{}, fmt.Errorf("observe before %s: %w", change.Kind, err)
	}
	if err := delivery.Guard(seen, change); err != nil {
		return delivery.Receipt{}, err
	}
	return g.Target.Apply(ctx, change)
}
