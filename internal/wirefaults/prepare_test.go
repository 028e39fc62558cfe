package wirefaults

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// wanted is what a stage asks for. Of an operation and a rollback, want has the cluster
// and the strategy.
type wanted struct {
	want     pipeline.DeployCluster
	operate  *pipeline.OperateCluster
	rollback *pipeline.RollbackCluster
}

func parse(t *testing.T, s schedule) wanted {
	t.Helper()
	w, err := readWanted([]byte(s.stage()))
	if err != nil {
		t.Fatal(err)
	}
	return w
}

func readWanted(stage []byte) (w wanted, err error) {
	var head struct{ Type string }
	if err := json.Unmarshal(stage, &head); err != nil {
		return w, err
	}
	switch {
	case pipeline.Operates(head.Type):
		parsed, err := pipeline.ParseOperate(head.Type, stage)
		if err != nil {
			return w, err
		}
		c := parsed.Clusters[0]
		return wanted{want: pipeline.DeployCluster{Cluster: c.Cluster, Strategy: c.Strategy, Spec: delivery.GroupSpec{LoadBalancer: c.LoadBalancer()}}, operate: &c}, nil
	case pipeline.RollsBack(head.Type):
		parsed, err := pipeline.ParseRollback(head.Type, stage)
		if err != nil {
			return w, err
		}
		c := parsed.Clusters[0]
		return wanted{want: pipeline.DeployCluster{Cluster: c.Cluster, Strategy: c.Strategy, Spec: delivery.GroupSpec{LoadBalancer: c.LoadBalancer()}}, rollback: &c}, nil
	case head.Type == "":
		head.Type = pipeline.DeployType
	}
	parsed, err := pipeline.ParseDeploy(head.Type, stage)
	if err != nil {
		return w, err
	}
	return wanted{want: parsed.Clusters[0]}, nil
}

// input is what the deployment is asked to do, as the deployment's first activity
// finds it out.
func (d *driver) input(ctx context.Context) (rollout.Input, error) {
	can := d.target.Describe().Capabilities
	switch {
	case d.operate != nil:
		return d.operate.Input(can), nil
	case d.rollback != nil:
		return d.chooseRollback(ctx, can)
	}
	want, err := d.chooseSource(ctx)
	if err != nil {
		return rollout.Input{}, err
	}
	if err := d.validate(ctx, want); err != nil {
		return rollout.Input{}, err
	}
	in := want.Input(delivery.Snapshot{}, can)
	if want.Strategy.InPlace {
		return in, nil // the group is decided on at the first looks
	}
	if want.Strategy.Baseline {
		in.Baseline = want.Cluster.Moniker.ServerGroup(2)
	}
	in.Group, err = d.named(ctx)
	return in, err
}

func (d *driver) named(ctx context.Context) (string, error) {
	if d.number == nil {
		return d.want.Cluster.Moniker.ServerGroup(1), nil
	}
	return d.number(ctx)
}

func (d *driver) validate(ctx context.Context, want pipeline.DeployCluster) error {
	var findings []delivery.Finding
	err := d.retry(ctx, lookBudget, func() (err error) {
		findings, err = d.target.Validate(ctx, want.Cluster, want.Spec)
		d.note("validate: %v", err)
		return err
	})
	if err != nil {
		return err
	}
	return delivery.InvalidError("spec", findings)
}

// chooseSource finds out what a clone is to be like.
func (d *driver) chooseSource(ctx context.Context) (pipeline.DeployCluster, error) {
	if !d.want.Clones() {
		return d.want, nil
	}
	seen, err := d.target.Observe(ctx, d.want.Cluster, d.want.Spec.LoadBalancer)
	if err != nil {
		return d.want, err
	}
	return d.want.Chosen(seen)
}

// chooseRollback finds out what a rollback restores.
func (d *driver) chooseRollback(ctx context.Context, can delivery.Capabilities) (in rollout.Input, err error) {
	seen, err := d.target.Observe(ctx, d.want.Cluster, d.want.Spec.LoadBalancer)
	if err != nil {
		return in, err
	}
	records, err := d.records(ctx)
	if err != nil {
		return in, err
	}
	chosen, err := rollout.ChooseRollback(seen, records, d.rollback.Request)
	if err != nil || chosen.Redeploys == "" {
		return d.rollback.Input(can, chosen, nil), err
	}
	again := d.earlierOnes[chosen.Redeploys]
	if err := d.validate(ctx, again); err != nil {
		return in, err
	}
	group, err := d.named(ctx)
	return d.rollback.Input(can, chosen.Anew(group), &again), err
}

// settings are what the spec of a change has of a stage: of the deployment's own, or of
// the one that is deployed anew.
func (d *driver) settings() json.RawMessage {
	if op := d.state.Input.Operation; op != nil && op.Rollback != nil {
		return d.earlierOnes[op.Rollback.Redeploys].Spec.Settings
	}
	return d.want.Spec.Settings
}
