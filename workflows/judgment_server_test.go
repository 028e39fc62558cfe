//go:build !race

package workflows

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// TestAskedThroughContinueAsNew answers a judgment on a real server at the moment
// when the deployment's history is full, while many others go on asking for moves
// that it refuses: the answer counts, and everybody else is refused, or told to
// ask again. Nobody is left without an answer.
func TestAskedThroughContinueAsNew(t *testing.T) {
	t.Parallel()
	l := startLive(t, deployDocument("good", "lb", `"strategy":"canary","steps":[{"weight":5,"gate":{"manualJudgment":{}}}]`, 4), quick(), v000(4))
	l.until(t, "the judgment", func(_ delivery.Execution, d delivery.Deployment) bool { return d.Judgment != nil })
	by := delivery.Principal{Name: "joe"}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	full := make(chan struct{})
	var once sync.Once
	var crowd sync.WaitGroup
	var refused, again atomic.Int64
	first := l.runOf(t)
	for range 8 {
		crowd.Go(func() {
			for ctx.Err() == nil {
				err := l.client.Move(t.Context(), testDeployment, rollout.Promote, false, by, "in a hurry")
				switch kind := delivery.KindOf(err); {
				case err == nil:
					return // allowed once the judgment was given
				case kind == delivery.Conflict:
					if refused.Add(1)%50 == 0 && l.lengthOf(t) > maxHistory {
						once.Do(func() { close(full) })
					}
				case kind.Retryable():
					again.Add(1)
				case kind == delivery.NotFound:
					return // it has ended
				default:
					t.Errorf("neither refused nor to be repeated: %v", err)
					return
				}
			}
		})
	}
	<-full
	if err := l.client.Judge(t.Context(), testDeployment, delivery.JudgmentAnswer{Gate: "step/0", Status: delivery.JudgmentContinue, By: by, Reason: "good"}); err != nil {
		t.Errorf("judge: %v", err)
	}
	_, d := l.until(t, "the end", over)
	stop()
	crowd.Wait()
	if d.Status != delivery.DeploymentSucceeded {
		t.Errorf("ended %s: %v", d.Status, d.Failure)
	}
	if l.runOf(t) == first {
		t.Error("it did not continue as new")
	}
	t.Logf("%d were refused, %d told to ask again", refused.Load(), again.Load())
}

// runOf is the present or last run of the deployment's workflow.
func (l *live) runOf(t *testing.T) string {
	t.Helper()
	d, err := l.client.temporal.DescribeWorkflowExecution(t.Context(), testDeployment.WorkflowID(), "")
	if err != nil {
		t.Fatal(err)
	}
	return d.GetWorkflowExecutionInfo().GetExecution().GetRunId()
}

// lengthOf is how many events its history has.
func (l *live) lengthOf(t *testing.T) int64 {
	d, err := l.client.temporal.DescribeWorkflowExecution(t.Context(), testDeployment.WorkflowID(), "")
	if err != nil {
		t.Errorf("describe: %v", err)
		return 0
	}
	return d.GetWorkflowExecutionInfo().GetHistoryLength()
}

// TestJudgmentOnAServer answers a judgment once, on a real server. Its history is
// replayed with the others.
func TestJudgmentOnAServer(t *testing.T) {
	t.Parallel()
	l := startLive(t, deployDocument("good", "lb", `"strategy":"canary","steps":[{"weight":5,"bake":1,"gate":{"manualJudgment":{"instructions":"look"}}}]`, 2), quick(), v000(2))
	answer := delivery.JudgmentAnswer{Gate: "step/0", Status: delivery.JudgmentContinue, By: delivery.Principal{Name: "joe"}, Reason: "good"}
	unknown := delivery.NewDeploymentID(secondExecution, "1", testCluster)
	if err := l.client.Judge(t.Context(), unknown, answer); delivery.KindOf(err) != delivery.NotFound {
		t.Errorf("judgment of an unknown deployment: %v", err)
	}
	l.until(t, "the judgment", func(_ delivery.Execution, d delivery.Deployment) bool { return d.Judgment != nil })
	if err := l.client.Move(t.Context(), testDeployment, rollout.Advance, false, answer.By, ""); delivery.KindOf(err) != delivery.Conflict {
		t.Errorf("advance: %v", err)
	}
	if err := l.client.Judge(t.Context(), testDeployment, answer); err != nil {
		t.Fatal(err)
	}
	if err := l.client.Judge(t.Context(), testDeployment, answer); delivery.KindOf(err) != delivery.Conflict && delivery.KindOf(err) != delivery.NotFound {
		t.Errorf("a second answer: %v", err)
	}
	_, d := l.until(t, "the end", over)
	if d.Status != delivery.DeploymentSucceeded || d.Judgment != nil {
		t.Errorf("ended %s with judgment %+v: %v", d.Status, d.Judgment, d.Failure)
	}
	if *update {
		l.save(t, "judgment", d)
	}
}
