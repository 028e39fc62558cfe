package workflows

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/stretchr/testify/mock"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"
	"pgregory.net/rapid"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// holders are the workflows that want the lock of a test.
type holders struct {
	mu      sync.Mutex
	env     *testsuite.TestWorkflowEnvironment
	granted []string // "workflow:fence", in order
	// refused and superseded are who was told so, with by whom.
	refused, superseded []string
	dead                map[string]bool
	// onGrant is called for each grant, in the workflow's time.
	onGrant func(workflow string)
}

func (h *holders) isOpen(_ context.Context, workflow string) (bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return !h.dead[workflow], nil
}

func (h *holders) requestLock(context.Context, string, LockRequest) error     { return nil }
func (h *holders) StartExecution(context.Context, delivery.ExecutionID) error { return nil }
func (h *holders) Cancel(context.Context, delivery.ExecutionID, delivery.Principal, string) error {
	return nil
}

func newLock(onGrant func(h *holders, workflow string)) *holders {
	var suite testsuite.WorkflowTestSuite
	suite.SetLogger(quiet())
	h := &holders{env: suite.NewTestWorkflowEnvironment(), dead: map[string]bool{}}
	h.onGrant = func(workflow string) { onGrant(h, workflow) }
	h.env.SetWorkerOptions(patient)
	registerWorkflows(h.env)
	h.env.SetStartTime(time.Now())
	h.env.RegisterActivity(newActivities(Dependencies{Store: newMemory(1)}, h))
	h.env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, signalGranted, mock.Anything).Return(
		func(_, workflow, _, _ string, arg any) error {
			h.mu.Lock()
			dead := h.dead[workflow]
			if by := arg.(Grant).HeldBy; by != "" {
				h.refused = append(h.refused, workflow+" by "+by)
				h.mu.Unlock()
				return nil
			}
			if !dead {
				h.granted = append(h.granted, fmt.Sprintf("%s:%d", workflow, arg.(Grant).Fence))
			}
			h.mu.Unlock()
			if dead {
				return fmt.Errorf("workflow %s is not there", workflow)
			}
			h.env.RegisterDelayedCallback(func() { h.onGrant(workflow) }, 0)
			return nil
		}).Maybe()
	h.env.OnSignalExternalWorkflow(mock.Anything, mock.Anything, mock.Anything, signalControl, mock.Anything).Return(
		func(_, workflow, _, _ string, arg any) error {
			h.superseded = append(h.superseded, workflow+" "+arg.(Control).Reason)
			h.env.RegisterDelayedCallback(func() { h.env.SignalWorkflow(signalRelease, LockHolder{workflow}) }, 10*time.Second)
			return nil
		}).Maybe()
	return h
}

func (h *holders) request(workflow string, after time.Duration) {
	h.env.RegisterDelayedCallback(func() { h.env.SignalWorkflow(signalRequest, LockRequest{Workflow: workflow}) }, after)
}

func (h *holders) release(workflow string, after time.Duration) {
	h.env.RegisterDelayedCallback(func() { h.env.SignalWorkflow(signalRelease, LockHolder{workflow}) }, after)
}

func (h *holders) run(t tester) {
	t.Helper()
	h.env.ExecuteWorkflow(lockType, LockState{Cluster: "acct/r1/shop-prod"})
	if err := h.env.GetWorkflowError(); !h.env.IsWorkflowCompleted() || err != nil {
		t.Fatalf("lock did not end well: %v", err)
	}
}

func TestLockIsFirstComeFirstServed(t *testing.T) {
	h := newLock(func(h *holders, w string) { h.release(w, 10*time.Second) })
	for i, w := range []string{"a", "b", "c"} {
		h.request(w, time.Duration(i)*time.Second)
	}
	h.request("b", 5*time.Second) // asks again while it waits
	h.run(t)
	if diff := cmp.Diff([]string{"a:1", "b:2", "c:3"}, h.granted); diff != "" {
		t.Error(diff)
	}
}

func TestLockPassesOverTheDead(t *testing.T) {
	h := newLock(func(h *holders, w string) {
		if w != "a" { // a is terminated: it holds the lock and never releases it
			h.release(w, time.Second)
		}
	})
	h.request("a", 0)
	h.request("b", 2*time.Second)
	h.request("c", 3*time.Second)
	h.env.RegisterDelayedCallback(func() { h.mu.Lock(); h.dead["a"], h.dead["b"] = true, true; h.mu.Unlock() }, 30*time.Second)
	h.run(t)
	if diff := cmp.Diff([]string{"a:1", "c:3"}, h.granted); diff != "" {
		t.Error(diff)
	}
}

func TestLockGrantsAgainToWhoMissedIt(t *testing.T) {
	asked := false
	h := newLock(func(h *holders, w string) {
		if !asked { // the first grant was lost: it asks again, and has the same token
			asked = true
			h.request(w, time.Minute)
			return
		}
		h.release(w, time.Second)
	})
	h.request("a", 0)
	h.run(t)
	if diff := cmp.Diff([]string{"a:1", "a:1"}, h.granted); diff != "" {
		t.Error(diff)
	}
}

func TestLockContinuesAsNewWithItsQueue(t *testing.T) {
	h := newLock(func(*holders, string) {})
	h.env.SetContinueAsNewSuggested(true)
	for _, w := range []string{"a", "b", "c"} {
		h.request(w, 0)
	}
	h.env.ExecuteWorkflow(lockType, LockState{Cluster: "acct/r1/shop-prod"})
	var again *workflow.ContinueAsNewError
	if err := h.env.GetWorkflowError(); !errors.As(err, &again) {
		t.Fatalf("ended with %v", err)
	}
	var state LockState
	if err := converter.GetDefaultDataConverter().FromPayloads(again.Input, &state); err != nil {
		t.Fatal(err)
	}
	want := LockState{Cluster: "acct/r1/shop-prod", Holder: "a", Fence: 1, Queue: []string{"b", "c"}}
	if diff := cmp.Diff(want, state); diff != "" {
		t.Error(diff)
	}
}

// TestLockSupersedes: who supersedes comes after the holder, which is told to go,
// and in place of everybody else who waits.
func TestLockSupersedes(t *testing.T) {
	h := newLock(func(h *holders, w string) {
		if w == "c" {
			h.release(w, time.Second)
		}
	})
	h.request("a", 0)
	h.request("b", time.Second)
	for _, after := range []time.Duration{2 * time.Second, 3 * time.Second} { // it asks again while it waits
		h.env.RegisterDelayedCallback(func() { h.env.SignalWorkflow(signalRequest, LockRequest{"c", rollout.Supersede}) }, after)
	}
	h.run(t)
	if diff := cmp.Diff([]string{"a superseded by c", "b superseded by c"}, h.superseded); diff != "" {
		t.Error(diff)
	}
	if len(h.granted) == 0 || h.granted[0] != "a:1" || !strings.HasPrefix(h.granted[len(h.granted)-1], "c:") {
		t.Errorf("granted %v", h.granted)
	}
}

// TestLockRejects: who does not want to wait is refused while the cluster has a
// holder that lives, and only then.
func TestLockRejects(t *testing.T) {
	h := newLock(func(h *holders, w string) {
		if w != "a" {
			h.release(w, time.Second)
		}
	})
	reject := func(w string, after time.Duration) {
		h.env.RegisterDelayedCallback(func() { h.env.SignalWorkflow(signalRequest, LockRequest{w, rollout.Reject}) }, after)
	}
	reject("a", 0)
	reject("b", 2*time.Second)
	h.env.RegisterDelayedCallback(func() { h.mu.Lock(); h.dead["a"] = true; h.mu.Unlock() }, 10*time.Second)
	reject("c", 11*time.Second)
	h.run(t)
	if diff := cmp.Diff([]string{"b by a"}, h.refused); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{"a:1", "c:2"}, h.granted); diff != "" {
		t.Error(diff)
	}
}

// TestLockUnderRandomOrder lets workflows queue, give up and die in any order: at
// most one holds the cluster, tokens grow, and everybody who waits has one turn.
func TestLockUnderRandomOrder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		holding := ""
		h := newLock(func(h *holders, w string) {
			if holding != "" {
				rt.Errorf("%s was granted what %s holds", w, holding)
			}
			holding = w
			hold := time.Minute // the keeper, until all the others have queued
			if w != "keeper" {
				hold = time.Duration(rapid.IntRange(1, 90).Draw(rt, "hold")) * time.Second
			}
			h.env.RegisterDelayedCallback(func() {
				holding = ""
				h.env.SignalWorkflow(signalRelease, LockHolder{w})
			}, hold)
		})
		h.request("keeper", 0)
		want := []string{"keeper"}
		for i := range rapid.IntRange(1, 6).Draw(rt, "holders") {
			w := fmt.Sprint("w", i)
			h.request(w, time.Duration(i+1)*time.Second)
			switch rapid.SampledFrom([]string{"waits", "gives up", "dies", "asks twice"}).Draw(rt, "does") {
			case "waits":
				want = append(want, w)
			case "asks twice":
				h.request(w, time.Duration(i+20)*time.Second)
				want = append(want, w)
			case "gives up":
				h.release(w, time.Duration(i+20)*time.Second)
			case "dies":
				h.dead[w] = true
			}
		}
		h.run(rt)
		var got []string
		last := 0
		for _, g := range h.granted {
			name, token, _ := strings.Cut(g, ":")
			got = append(got, name)
			fence, err := strconv.Atoi(token)
			if err != nil || fence <= last {
				rt.Errorf("tokens do not grow: %v", h.granted)
			}
			last = fence
		}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Error(diff)
		}
	})
}
