package storetest

import (
	"testing"
	"time"

	"github.com/slipway-cd/slipway/delivery"
)

// reopening: an execution that has ended begins again once, from the version that was
// read, when nothing of it goes on; with a limit it waits like any other.
func reopening(t *testing.T, open Opener) {
	s, ctx := open(t), t.Context()
	e := create(t, s, limited(1, true))
	next := func() delivery.Execution {
		out := e
		out.Status, out.Version, out.Restarts = delivery.StatusNotStarted, e.Version+1, e.Restarts+1
		return out
	}
	again := func(want delivery.Kind) {
		t.Helper()
		event := delivery.Event{Execution: e.ID, Key: "restart", At: after(time.Hour), Type: delivery.EventExecution, Data: []byte(`{}`)}
		if err := s.ReopenExecution(ctx, next(), event); want == delivery.Internal {
			noError(t, err)
		} else {
			kind(t, want, err)
		}
	}
	again(delivery.Conflict)             // it has not ended
	late, err := s.PendingStarts(ctx, 0) // a starter that has not marked it yet
	noError(t, err)
	e.Status, e.Version, e.EndTime = delivery.StatusTerminal, 5, after(time.Minute)
	_, err = s.ProjectExecution(ctx, e, nil)
	noError(t, err)
	d := delivery.Deployment{ID: delivery.NewDeploymentID(e.ID, "1", cluster("us-east-1")), Execution: e.ID, Stage: "1", Cluster: cluster("us-east-1"),
		Status: delivery.DeploymentRollingBack, Version: 1}
	_, err = s.RecordDeployment(ctx, d, nil)
	noError(t, err)
	again(delivery.Conflict) // its deployment still rolls back
	d.Status, d.Version = delivery.DeploymentRolledBack, 2
	_, err = s.RecordDeployment(ctx, d, nil)
	noError(t, err)
	other := create(t, s, limited(2, true)) // takes the one place
	again(delivery.Internal)
	noError(t, s.MarkStarted(ctx, late[0])) // the first start, not this one
	again(delivery.Conflict)                // somebody else was first
	waits, err := s.Waits(ctx, e.ID)
	noError(t, err)
	got, err := s.Execution(ctx, e.ID)
	noError(t, err)
	if !waits || got.Status != delivery.StatusNotStarted || got.Version != 6 || got.Restarts != 1 {
		t.Errorf("waits %v: %+v", waits, got)
	}
	other.Status, other.Version = delivery.StatusSucceeded, 2
	_, err = s.ProjectExecution(ctx, other, nil)
	noError(t, err)
	markStarted(t, s, other.ID)
	same(t, pendingStarts(t, s, 0), []delivery.ExecutionID{e.ID})
}
