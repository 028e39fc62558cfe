// Package storetest is the suite that every dialect of the store must pass.
//
//	func TestSQLite(t *testing.T) {
//		storetest.Run(t, func(t *testing.T) *store.Store { ... })
//	}
package storetest

import (
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/store"
)

// Opener returns a new, empty store that is closed when the test ends.
type Opener func(t *testing.T) *store.Store

// Run runs the whole suite.
func Run(t *testing.T, open Opener) {
	for _, test := range []struct {
		name string
		run  func(t *testing.T, open Opener)
	}{
		{"Applications", applications},
		{"PipelineLife", pipelineLife},
		{"PipelineNames", pipelineNames},
		{"PipelinesSavedSince", pipelinesSavedSince},
		{"PipelineExpectations", pipelineExpectations},
		{"PipelinesTogether", pipelinesTogether},
		{"DocumentLife", documentLife},
		{"DocumentNames", documentNames},
		{"DocumentsTogether", documentsTogether},
		{"DocumentsOfADeletedApplication", documentsOfADeletedApplication},
		{"ExecutionStarts", executionStarts},
		{"ExecutionStartsAtOnce", executionStartsAtOnce},
		{"ExecutionProjection", executionProjection},
		{"ProjectionConverges", projectionConverges},
		{"ProjectionNeverLeavesComplete", projectionNeverLeavesComplete},
		{"ExecutionLists", executionLists},
		{"ExecutionDeletion", executionDeletion},
		{"Outbox", outbox},
		{"Admission", admission},
		{"WaitingCanceled", waitingCanceled},
		{"OvertakenByRestart", overtakenByRestart},
		{"AdmissionAtOnce", admissionAtOnce},
		{"Reopening", reopening},
		{"TriggerIndex", triggerIndex},
		{"TriggerCycles", triggerCycles},
		{"Ends", ends},
		{"SaveKeys", saveKeys},
		{"Deployments", deployments},
		{"ClusterDeployments", clusterDeployments},
		{"Events", events},
		{"Subscriptions", subscriptions},
		{"Sequences", sequences},
		{"SequencesAtOnce", sequencesAtOnce},
		{"SequenceProperties", sequenceProperties},
		{"Fences", fences},
		{"Responses", responses},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, open) })
	}
}

// base is a moment that survives every time format of the store.
func base() time.Time { return time.Date(2026, 11, 23, 10, 0, 0, 123456000, time.UTC) }

func after(d time.Duration) time.Time { return base().Add(d) }

func execution(n int) delivery.Execution {
	return delivery.Execution{
		ID:   delivery.ExecutionID(fmt.Sprintf("01JD3Z8Q6V5T0H3W4M8N%06d", n)),
		Type: delivery.PipelineExecution, Application: "storefront", Name: "rolling-aws",
		PipelineConfigID: "5b8e0f52-3d8e-4a49-9d3c-0a0000000001",
		Status:           delivery.StatusNotStarted, BuildTime: after(time.Duration(n) * time.Second),
		Trigger: delivery.Trigger{Type: "manual", User: "joe@example.com", Parameters: json.RawMessage(`{"image":"storefront-1.1"}`)},
		Stages:  []delivery.Stage{{ID: "01JD3Z8Q6V5T0H3W4M8N7K2RXB", RefID: "1", Type: "deploy", Status: delivery.StatusNotStarted, RequisiteStageRefIDs: []string{}}},
		Version: 1,
	}
}

func create(t *testing.T, s *store.Store, e delivery.Execution) delivery.Execution {
	t.Helper()
	return must(s.CreateExecution(t.Context(), delivery.NewExecution{Execution: e})).created(t)
}

// outcome carries the three results of CreateExecution.
type outcome struct {
	execution delivery.Execution
	isNew     bool
	err       error
}

func must(e delivery.Execution, isNew bool, err error) outcome { return outcome{e, isNew, err} }

func (o outcome) created(t *testing.T) delivery.Execution {
	t.Helper()
	if o.err != nil || !o.isNew {
		t.Fatalf("create execution: created = %v, error = %v", o.isNew, o.err)
	}
	return o.execution
}

func (o outcome) repeated(t *testing.T) delivery.Execution {
	t.Helper()
	if o.err != nil || o.isNew {
		t.Fatalf("repeat execution: created = %v, error = %v", o.isNew, o.err)
	}
	return o.execution
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func kind(t *testing.T, want delivery.Kind, err error) {
	t.Helper()
	if err == nil || delivery.KindOf(err) != want {
		t.Fatalf("error = %v (%v), want one of kind %v", err, delivery.KindOf(err), want)
	}
}

func same[T any](t *testing.T, got, want T) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("difference (-want +got):\n%s", diff)
	}
}

// atOnce runs do n times at the same time and returns the results in order.
func atOnce[T any](n int, do func(i int) T) []T {
	out := make([]T, n)
	gate := make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-gate
			out[i] = do(i)
		})
	}
	close(gate)
	all.Wait()
	return out
}

func ids(es []delivery.Execution) []delivery.ExecutionID {
	out := []delivery.ExecutionID{}
	for _, e := range es {
		out = append(out, e.ID)
	}
	return out
}
