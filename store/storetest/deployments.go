package storetest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/store"
)

func cluster(region string) delivery.Cluster {
	return delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: region, Moniker: delivery.Moniker{App: "storefront", Stack: "prod"}}
}

func deployments(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	e := create(t, s, execution(1))
	d := delivery.Deployment{
		ID: delivery.NewDeploymentID(e.ID, "1", cluster("us-west-2")), Execution: e.ID, Stage: "1", Cluster: cluster("us-west-2"),
		StartTime: base(), Detail: json.RawMessage(`{"batch":1}`),
	}
	for _, row := range []struct {
		name    string
		version int64
		status  delivery.DeploymentStatus
		stored  bool
	}{
		{"first", 2, delivery.DeploymentRunning, true},
		{"older", 1, delivery.DeploymentQueued, false},
		{"repeated", 2, delivery.DeploymentRunning, false},
		{"newer", 3, delivery.DeploymentRollingBack, true},
		{"complete", 5, delivery.DeploymentRolledBack, true},
		{"out of complete", 6, delivery.DeploymentRunning, false},
		{"another complete", 7, delivery.DeploymentSucceeded, false},
		{"more detail", 8, delivery.DeploymentRolledBack, true},
	} {
		d.Version, d.Status = row.version, row.status
		stored, err := s.RecordDeployment(ctx, d, nil)
		noError(t, err)
		if stored != row.stored {
			t.Fatalf("%s: stored = %v, want %v", row.name, stored, row.stored)
		}
	}
	got, err := s.Deployment(ctx, d.ID)
	noError(t, err)
	same(t, got, d)

	east := d
	east.ID, east.Cluster = delivery.NewDeploymentID(e.ID, "1", cluster("us-east-1")), cluster("us-east-1")
	if _, err := s.RecordDeployment(ctx, east, nil); err != nil {
		t.Fatal(err)
	}
	all, err := s.Deployments(ctx, e.ID)
	noError(t, err)
	same(t, all, []delivery.Deployment{east, d})

	orphan := d
	orphan.ID, orphan.Execution = "unknown/1/a/b/c", "unknown"
	_, err = s.RecordDeployment(ctx, orphan, nil)
	kind(t, delivery.NotFound, err)
	_, err = s.Deployment(ctx, orphan.ID)
	kind(t, delivery.NotFound, err)
}

func clusterDeployments(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	at := cluster("us-east-1")
	var all []delivery.Deployment
	for i := range 4 {
		e := create(t, s, execution(i))
		d := delivery.Deployment{ID: delivery.NewDeploymentID(e.ID, "1", at), Execution: e.ID, Stage: "1", Cluster: at, Status: delivery.DeploymentQueued, Version: 1}
		_, err := s.RecordDeployment(ctx, d, nil)
		noError(t, err)
		all = append(all, d)
	}
	for _, i := range []int{2, 0, 3} { // the second one still waits
		_, err := s.NextFence(ctx, at.Key(), all[i].ID.WorkflowID())
		noError(t, err)
	}
	_, err := s.NextFence(ctx, at.Key(), "somebody else")
	noError(t, err)
	_, err = s.NextFence(ctx, cluster("us-west-2").Key(), all[1].ID.WorkflowID())
	noError(t, err)
	found, err := s.ClusterDeployments(ctx, at.Key(), 10)
	noError(t, err)
	same(t, found, []delivery.Deployment{all[3], all[0], all[2]})
	found, err = s.ClusterDeployments(ctx, at.Key(), 1)
	noError(t, err)
	same(t, found, all[3:])
}

func events(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	one, two := create(t, s, execution(1)), create(t, s, execution(2))
	event := func(key string, at time.Duration) delivery.Event {
		return delivery.Event{Key: key, At: after(at * time.Microsecond), Type: delivery.EventBatch, Data: json.RawMessage(`{"weight":25}`)}
	}
	d := delivery.Deployment{ID: delivery.NewDeploymentID(one.ID, "1", cluster("us-east-1")), Execution: one.ID,
		Cluster: cluster("us-east-1"), Status: delivery.DeploymentRunning, Version: 1}
	if _, err := s.RecordDeployment(ctx, d, []delivery.Event{event("a", 0), event("b", 1), event("a", 2)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ProjectExecution(ctx, two, []delivery.Event{event("a", 0)}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.ProjectExecution(ctx, one, []delivery.Event{event("b", 9), event("c", 3)}); err != nil {
		t.Fatal(err)
	}
	all := listEvents(t, s, one.ID, 0, 0)
	for i, want := range []delivery.Event{event("a", 0), event("b", 1), event("c", 3)} {
		want.Execution, want.ID = one.ID, all[i].ID
		same(t, all[i], want)
		if i > 0 && all[i].ID <= all[i-1].ID {
			t.Fatalf("id %d follows %d", all[i].ID, all[i-1].ID)
		}
	}
	same(t, len(all), 3)
	same(t, listEvents(t, s, one.ID, all[0].ID, 0), all[1:])
	same(t, listEvents(t, s, one.ID, all[0].ID, 1), all[1:2])
	same(t, listEvents(t, s, one.ID, all[2].ID, 0), []delivery.Event{})
	other := listEvents(t, s, two.ID, 0, 0)
	if len(other) != 1 || other[0].ID <= all[1].ID || other[0].ID >= all[2].ID {
		t.Fatalf("ids do not grow over all executions: %v between %v", other, all)
	}

	_, err := s.ProjectExecution(ctx, one, []delivery.Event{event("d", 4), {Key: "bad", Data: json.RawMessage(`{`)}})
	kind(t, delivery.Invalid, err)
	same(t, listEvents(t, s, one.ID, 0, 0), all) // all or nothing
}

func listEvents(t *testing.T, s *store.Store, id delivery.ExecutionID, after int64, limit int) []delivery.Event {
	t.Helper()
	es, err := s.Events(t.Context(), id, after, limit)
	noError(t, err)
	return es
}

func subscriptions(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	changes, cancel := s.Subscribe()
	other, cancelOther := s.Subscribe()
	defer cancelOther()
	received := func(c <-chan struct{}) bool {
		select {
		case <-c:
			return true
		default:
			return false
		}
	}
	e := create(t, s, execution(1))
	same(t, []bool{received(changes), received(other), received(changes)}, []bool{true, true, false})

	event := []delivery.Event{{Key: "a", At: base(), Type: delivery.EventStage}}
	for range 2 { // the second time it is no new event
		if _, err := s.ProjectExecution(ctx, e, event); err != nil {
			t.Fatal(err)
		}
	}
	same(t, []bool{received(changes), received(changes)}, []bool{true, false})
	cancel()
	create(t, s, execution(2))
	same(t, []bool{received(changes), received(other)}, []bool{false, true})
}
