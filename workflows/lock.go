package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"
)

// The signals that a cluster's lock receives. Both carry a LockHolder.
const (
	signalRequest = "request"
	signalRelease = "release"
)

// lockID is the workflow id of a cluster's lock.
func lockID(clusterKey string) string { return "cluster/" + clusterKey }

// LockHolder names who wants, holds or gives up a cluster: a workflow id.
type LockHolder struct {
	Workflow string `json:"workflow"`
}

// LockState is all that a lock remembers. It is its input too.
type LockState struct {
	// Cluster is the cluster's key.
	Cluster string `json:"cluster"`
	// Holder is a workflow id; empty when the cluster is free.
	Holder string `json:"holder,omitempty"`
	Fence  int64  `json:"fence,omitempty"`
	// Queue is who waits, first come first.
	Queue []string `json:"queue,omitempty"`
}

// clusterLock is the queue of one cluster.
type clusterLock struct {
	LockState
	requests, releases workflow.ReceiveChannel
}

// ClusterLock lets one deployment at a time have a cluster, first come first
// served, and gives each a fencing token greater than all before it. It ends when
// nobody holds or wants the cluster; the next request starts it again.
func ClusterLock(ctx workflow.Context, state LockState) error {
	l := &clusterLock{LockState: state,
		requests: workflow.GetSignalChannel(ctx, signalRequest),
		releases: workflow.GetSignalChannel(ctx, signalRelease)}
	for {
		l.receive()
		if err := l.grant(ctx); err != nil {
			return err
		}
		info := workflow.GetInfo(ctx)
		switch more := l.receive(); {
		case more:
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
		var h LockHolder
		switch {
		case l.requests.ReceiveAsync(&h):
			l.request(h.Workflow)
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
func (l *clusterLock) request(workflow string) {
	switch {
	case workflow == l.Holder:
		l.Holder = ""
		l.Queue = slices.Insert(l.Queue, 0, workflow)
	case !slices.Contains(l.Queue, workflow):
		l.Queue = append(l.Queue, workflow)
	}
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
	for _, channel := range []struct {
		from workflow.ReceiveChannel
		do   func(string)
	}{{l.requests, l.request}, {l.releases, l.release}} {
		s.AddReceive(channel.from, func(c workflow.ReceiveChannel, _ bool) {
			var h LockHolder
			c.Receive(ctx, &h)
			channel.do(h.Workflow)
		})
	}
	s.Select(ctx)
	if !timer.IsReady() {
		return nil
	}
	var a *Activities
	alive := true
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, lockOptions), a.IsHolderAlive, l.Holder).Get(ctx, &alive)
	if err == nil && !alive {
		workflow.GetLogger(ctx).Warn("Lock is taken from a workflow that has ended", "cluster", l.Cluster, "workflow", l.Holder)
		l.release(l.Holder)
	}
	return err
}
