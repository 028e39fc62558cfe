package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

// The signals that a cluster's lock receives.
const (
	signalRequest = "request" // carries a LockRequest
	signalRelease = "release" // carries a LockHolder
)

// lockID is the workflow id of a cluster's lock.
func lockID(clusterKey string) string { return "cluster/" + clusterKey }

// LockHolder names who gives up a cluster: a workflow id.
type LockHolder struct {
	Workflow string `json:"workflow"`
}

// LockRequest names who wants a cluster, and what is to happen when somebody
// else has it.
type LockRequest struct {
	Workflow string `json:"workflow"`
	// Concurrency is rollout.Queue when empty.
	Concurrency rollout.Concurrency `json:"concurrency,omitempty"`
}

// LockNotice is what the lock has yet to tell a workflow: that it is superseded
// or, when By is empty, that the cluster is not free and it wanted not to wait.
type LockNotice struct {
	Workflow string `json:"workflow"`
	By       string `json:"by,omitempty"`
}

// LockState is all that a lock remembers. It is its input too.
type LockState struct {
	// Cluster is the cluster's key.
	Cluster string `json:"cluster"`
	// Holder is a workflow id; empty when the cluster is free.
	Holder string `json:"holder,omitempty"`
	Fence  int64  `json:"fence,omitempty"`
	// Queue is who waits, first come first.
	Queue   []string     `json:"queue,omitempty"`
	Notices []LockNotice `json:"notices,omitempty"`
}

// clusterLock is the queue of one cluster.
type clusterLock struct {
	LockState
	requests, releases workflow.ReceiveChannel
}

// ClusterLock lets one deployment at a time have a cluster, first come first
// served, and gives each a fencing token greater than all before it. A request may
// ask to be refused rather than queued, or to have all before it canceled. It ends
// when nobody holds or wants the cluster; the next request starts it again.
func ClusterLock(ctx workflow.Context, state LockState) error {
	l := &clusterLock{LockState: state,
		requests: workflow.GetSignalChannel(ctx, signalRequest),
		releases: workflow.GetSignalChannel(ctx, signalRelease)}
	for {
		l.receive()
		if err := l.notify(ctx); err != nil {
			return err
		}
		if err := l.grant(ctx); err != nil {
			return err
		}
		info := workflow.GetInfo(ctx)
		switch more := l.receive(); {
		case more || len(l.Notices) > 0: // grant receives too
			continue
		case l.Holder == "":
			return nil
		case info.GetContinueAsNewSuggested() || info.GetCurrentHistoryLength() > maxHistory:
			return workflow.NewContinueAsNewError(ctx, lockType, l.LockState)
		}
		if err := l.wait(ctx); err != nil {
			return err
		}
	}
}

// receive takes the signals that are there already. more is false when there
// was none.
func (l *clusterLock) receive() (more bool) {
	for {
		var r LockRequest
		var h LockHolder
		switch {
		case l.requests.ReceiveAsync(&r):
			l.request(r)
		case l.releases.ReceiveAsync(&h):
			l.release(h.Workflow)
		default:
			return more
		}
		more = true
	}
}

// request queues a workflow. One that holds the cluster already missed its
// grant, or asks once more: it is granted anew.
func (l *clusterLock) request(r LockRequest) {
	switch {
	case r.Workflow == l.Holder:
		l.Holder = ""
		l.Queue = slices.Insert(l.Queue, 0, r.Workflow)
	case slices.Contains(l.Queue, r.Workflow):
	case r.Concurrency == rollout.Reject && l.busy():
		l.Notices = append(l.Notices, LockNotice{Workflow: r.Workflow})
	default:
		if r.Concurrency == rollout.Supersede {
			for _, w := range l.before() {
				l.Notices = append(l.Notices, LockNotice{Workflow: w, By: r.Workflow})
			}
		}
		l.Queue = append(l.Queue, r.Workflow)
	}
}

func (l *clusterLock) busy() bool { return len(l.before()) > 0 }

// before is who comes before a new request: the holder, then those who wait.
func (l *clusterLock) before() []string {
	if l.Holder == "" {
		return l.Queue
	}
	return append([]string{l.Holder}, l.Queue...)
}

// notify tells workflows that they are superseded or refused. A refusal counts
// only while whoever has the cluster lives.
func (l *clusterLock) notify(ctx workflow.Context) error {
	for len(l.Notices) > 0 {
		n := l.Notices[0]
		l.Notices = l.Notices[1:]
		signal, arg := signalControl, any(Control{Kind: ControlCancel,
			Command: Command{By: delivery.System.Name, Reason: "superseded by " + n.By}})
		if n.By == "" {
			if err := l.dropDead(ctx); err != nil {
				return err
			}
			before := l.before()
			if len(before) == 0 {
				l.request(LockRequest{Workflow: n.Workflow})
				continue
			}
			signal, arg = signalGranted, Grant{HeldBy: before[0]}
		}
		if err := workflow.SignalExternalWorkflow(ctx, n.Workflow, "", signal, arg).Get(ctx, nil); err != nil {
			workflow.GetLogger(ctx).Info("Lock could not notify a workflow", "cluster", l.Cluster, "workflow", n.Workflow, "error", err)
		}
	}
	return nil
}

// dropDead takes the lock from a holder that has ended without releasing it.
func (l *clusterLock) dropDead(ctx workflow.Context) error {
	holder := l.Holder
	if holder == "" {
		return nil
	}
	var a *Activities
	alive := true
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, lockOptions), a.IsHolderAlive, holder).Get(ctx, &alive)
	if err == nil && !alive {
		workflow.GetLogger(ctx).Warn("Lock is taken from a workflow that has ended", "cluster", l.Cluster, "workflow", holder)
		l.release(holder)
	}
	return err
}

func (l *clusterLock) release(workflow string) {
	if workflow == l.Holder {
		l.Holder = ""
	}
	l.Queue = slices.DeleteFunc(l.Queue, func(w string) bool { return w == workflow })
}

// grant gives a free cluster to the first in the queue that still lives.
func (l *clusterLock) grant(ctx workflow.Context) error {
	var a *Activities
	actx := workflow.WithActivityOptions(ctx, lockOptions)
	for l.Holder == "" && len(l.Queue) > 0 {
		next := l.Queue[0]
		var fence int64
		if err := workflow.ExecuteActivity(actx, a.NextFence, l.Cluster, next).Get(ctx, &fence); err != nil {
			return err
		}
		// The queue may have changed meanwhile.
		if l.receive(); len(l.Queue) == 0 || l.Queue[0] != next {
			continue
		}
		l.Queue = l.Queue[1:]
		err := workflow.SignalExternalWorkflow(ctx, next, "", signalGranted, Grant{Fence: fence}).Get(ctx, nil)
		if err != nil {
			workflow.GetLogger(ctx).Info("Lock skips a workflow that has ended", "cluster", l.Cluster, "workflow", next, "error", err)
			continue
		}
		l.Holder, l.Fence = next, fence
	}
	return nil
}

// wait blocks until a signal comes in, or the holder turns out to be dead: one
// that was terminated releases nothing.
func (l *clusterLock) wait(ctx workflow.Context) error {
	check := idleHolderCheck
	if len(l.Queue) > 0 {
		check = holderCheck
	}
	tctx, stop := workflow.WithCancel(ctx)
	defer stop()
	timer := workflow.NewTimer(tctx, check)
	s := workflow.NewSelector(ctx)
	s.AddFuture(timer, func(workflow.Future) {})
	s.AddReceive(l.requests, func(c workflow.ReceiveChannel, _ bool) {
		var r LockRequest
		c.Receive(ctx, &r)
		l.request(r)
	})
	s.AddReceive(l.releases, func(c workflow.ReceiveChannel, _ bool) {
		var h LockHolder
		c.Receive(ctx, &h)
		l.release(h.Workflow)
	})
	s.Select(ctx)
	if !timer.IsReady() {
		return nil
	}
	return l.dropDead(ctx)
}
