package workflows

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/pipeline"
)

// TestStoppedStageIsCleanedUp: what a canceled or overdue stage began is ended before
// the workflow ends, and what ended by itself is left alone.
func TestStoppedStageIsCleanedUp(t *testing.T) {
	for _, test := range []struct {
		name     string
		cancel   bool
		err      error
		canceled bool
		failed   bool
		stops    int
	}{
		{"canceled", true, notYet(time.Second, "it runs"), true, false, 1},
		{"out of time", false, notYet(time.Second, "it runs"), false, true, 1},
		{"done", false, nil, false, false, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			var suite testsuite.WorkflowTestSuite
			suite.SetLogger(quiet())
			env := suite.NewTestWorkflowEnvironment()
			env.SetWorkerOptions(patient)
			stops := 0
			var a *Activities
			env.RegisterActivity(&Activities{})
			env.OnActivity(a.DoStage, mock.Anything, mock.Anything).Return(DoneStage{}, applicationError(test.err))
			env.OnActivity(a.StopStage, mock.Anything, mock.Anything).Return(func(_ context.Context, in StopRequest) error {
				if stops++; in.Stage != "1" || in.Attempt != 3 {
					t.Errorf("stopped %+v", in)
				}
				return nil
			})
			kind := stageKind{within: time.Minute, stop: func(*Activities, context.Context, StageToDo) error { return nil }}
			var got stageResult
			env.ExecuteWorkflow(func(ctx workflow.Context) error {
				x := &execution{Progress: Progress{Stages: []delivery.Stage{{RefID: "1", Attempt: 3}}}}
				workflow.Go(ctx, func(ctx workflow.Context) {
					_ = workflow.Sleep(ctx, 10*time.Second)
					x.canceled = test.cancel
				})
				got = x.doAs(ctx, "1", kind)
				return x.drain(ctx)
			})
			if err := env.GetWorkflowError(); err != nil {
				t.Fatal(err)
			}
			if got.canceled != test.canceled || (got.failure != nil) != test.failed || stops != test.stops {
				t.Errorf("%+v, stopped %d times", got, stops)
			}
		})
	}
}

// TestStopIsTheKinds: an activity asks the kind to stop the stage, with the stage's record.
func TestStopIsTheKinds(t *testing.T) {
	var asked []string
	kind := stageKind{stop: func(_ *Activities, _ context.Context, s StageToDo) error {
		asked = append(asked, s.Stage.RefID)
		return nil
	}}
	w := newWorld(t, `{"stages":[{"refId":"7","type":"wait","waitTime":1}]}`, calm())
	todo, err := w.activities.stageToDo(t.Context(), StageRequest{Execution: testExecution, Stage: "7"})
	if err != nil {
		t.Fatal(err)
	}
	if err := kind.halt(w.activities, t.Context(), todo); err != nil || len(asked) != 1 || asked[0] != "7" {
		t.Errorf("asked for %q, %v", asked, err)
	}
	if key := todo.Key(); key != string(testExecution)+"/7" {
		t.Errorf("key %s", key)
	}
	todo.Stage.Attempt = 2
	if key := todo.Key(); key != string(testExecution)+"/7~2" {
		t.Errorf("key of the second attempt %s", key)
	}
	if err := (stageKind{}).halt(w.activities, t.Context(), todo); err != nil {
		t.Errorf("a kind with nothing to stop: %v", err)
	}
	if _, err := w.activities.stageToDo(t.Context(), StageRequest{Execution: testExecution, Stage: "8"}); delivery.KindOf(err) != delivery.NotFound {
		t.Errorf("an unknown stage: %v", err)
	}
}

// TestFailureWithTooLargeOutputs: what a stage failed of is not replaced by the size of
// what it puts out.
func TestFailureWithTooLargeOutputs(t *testing.T) {
	large := strings.Repeat("x", maxOutputs)
	for _, test := range []struct {
		name      string
		outputs   any
		err       error
		beside    int
		kind      string
		onFailure pipeline.FailureMode
	}{
		{"canceled", large, canceledError{delivery.Errorf(delivery.Conflict, "somebody canceled it")}, 0, delivery.FailureCanceled, ""},
		{"of a branch", large, branchError{delivery.Errorf(delivery.Denied, "it does not hold")}, 0, "denied", pipeline.HaltBranch},
		{"no room beside the others", "x", delivery.Errorf(delivery.Denied, "it may not"), maxAllOutputs, "denied", ""},
		{"no JSON", func() {}, delivery.Errorf(delivery.Denied, "it may not"), 0, "denied", ""},
		{"without a failure", large, nil, 0, "invalid", ""},
	} {
		done := doneStage("type", test.outputs, test.err, test.beside)
		if done.Failure == nil || done.Failure.Kind != test.kind || done.OnFailure != test.onFailure || len(done.Outputs) > 0 {
			t.Errorf("%s: %+v, on failure %q, %d bytes", test.name, done.Failure, done.OnFailure, len(done.Outputs))
		}
		if test.err != nil && done.Failure != nil && done.Failure.Message != test.err.Error() {
			t.Errorf("%s: %q", test.name, done.Failure.Message)
		}
	}
}
