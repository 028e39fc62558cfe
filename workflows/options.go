package workflows

import (
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"
)

// TaskQueue is the task queue of all workflows and activities.
const TaskQueue = "slipway"

// The time limits of the workflows.
const (
	// taskTimeout is how long a workflow task may take. One takes milliseconds;
	// this is how long a workflow stands still when its worker is killed in the
	// middle of one, so it is half of Temporal's 10 s.
	taskTimeout = 5 * time.Second
	// cancelGrace is how long a canceled execution waits for its deployments to
	// end before it ends without them. An execution is to be CANCELED within 5 s.
	cancelGrace = 3 * time.Second
	// keepTime is how long a command waits for the end of the workflow task that it came
	// with: the shortest time for which there is a timer.
	keepTime = time.Millisecond
	// maxBeginning is how many stages of an execution begin side by side: a pause or a
	// cancel is in time for all others.
	maxBeginning = 5
	// maxRecords is how many times in a row an execution is recorded in one workflow task,
	// and maxRecording for how long while there is more to record. Commands arrive between
	// two tasks, and are to be answered within seconds.
	maxRecords   = 50
	maxRecording = 500 * time.Millisecond
	// lockRenewal is how often a queued deployment asks for the lock again, in
	// case the lock's workflow was terminated with its queue.
	lockRenewal = 5 * time.Minute
	// holderCheck is how often the holder of a lock is looked at while somebody
	// waits; idleHolderCheck while nobody does.
	holderCheck     = time.Minute
	idleHolderCheck = time.Hour
	// maxHistory is the number of events after which a loop continues as new.
	// Temporal suggests it at 4,096 and ends a workflow at 51,200.
	maxHistory = 3000
	// maxConflicts is how often in a row a change may be overtaken before the
	// deployment fails. Each time it decides anew.
	maxConflicts = 10
	// childTime is how long a stage waits for other executions. Releases may take a
	// week, with people to be asked; a stage's own timeout makes it shorter.
	childTime = 14 * 24 * time.Hour
	// judgmentLook is how often a deployment is looked at while people are asked: a
	// new group that falls sick meanwhile ends the question.
	judgmentLook = 5 * time.Minute
	// pausedLook is how often a paused deployment is looked at. Nothing depends
	// on it: a resume or a cancel arrives as a signal.
	pausedLook = 6 * time.Hour
	// callTime bounds one call of a target, which returns within 30 s by the
	// port's contract.
	callTime = 30 * time.Second
	// measureTime bounds the measurements that are due together. The look at the
	// cluster waits for them.
	measureTime = 10 * time.Second
	// webhookTime bounds one call of another system, redirects included.
	webhookTime = 30 * time.Second
	// webhookPause is how long a webhook stage waits at least between two looks at
	// the other system.
	webhookPause = 2 * time.Second
	// maxProgress is how many times a webhook stage records how far the other system
	// has come. Each costs about twenty events.
	maxProgress = 50
	// maxTroubles is how many failed looks in a row an Advance sits out itself
	// before it leaves the pace to Temporal's retries.
	maxTroubles = 10
	// maxAwayTime is the longest wait inside an Advance; a longer one is a
	// durable timer, which holds no worker slot.
	maxAwayTime = 20 * time.Second
)

// recordOptions are for local activities that write to our own store. They are
// repeated until the store is there again: nothing may happen unrecorded. A pause
// above taskTimeout becomes a timer, so a long outage costs few events.
var recordOptions = workflow.LocalActivityOptions{
	StartToCloseTimeout:    10 * time.Second,     // a commit takes milliseconds; SQLite may wait for another writer
	ScheduleToCloseTimeout: 365 * 24 * time.Hour, // for ever; left out it would be StartToClose
	RetryPolicy:            &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 20 * time.Second, MaximumAttempts: unbounded},
}

// beginOptions are recordOptions for the beginning of a stage, which evaluates before it
// writes.
var beginOptions = workflow.LocalActivityOptions{
	StartToCloseTimeout:    20 * time.Second, // at most 5 s for the condition, 5 for the input and 1 for the name, and a commit
	ScheduleToCloseTimeout: recordOptions.ScheduleToCloseTimeout,
	RetryPolicy:            recordOptions.RetryPolicy,
}

// prepareOptions are for the reads before a deployment touches anything. What
// does not answer within the budget fails the deployment, which costs nothing.
var prepareOptions = workflow.ActivityOptions{
	StartToCloseTimeout:    time.Minute, // a few reads of at most 30 s together
	ScheduleToCloseTimeout: 10 * time.Minute,
	RetryPolicy:            cloudRetry,
}

// doOptions are for a stage that is one activity; its kind may set another budget.
var doOptions = workflow.ActivityOptions{
	StartToCloseTimeout:    time.Minute, // one call of at most 30 s, and a few commits
	ScheduleToCloseTimeout: time.Hour,
	RetryPolicy:            cloudRetry,
}

// readOptions are for reading the URLs of a stage's expressions, up to ten.
var readOptions = workflow.ActivityOptions{
	StartToCloseTimeout:    time.Minute,
	ScheduleToCloseTimeout: 5 * time.Minute,
	RetryPolicy:            cloudRetry,
}

// webhookOptions are for the call of a webhook stage. One that may be repeated is for
// as long as a restart of the other system takes.
var webhookOptions = workflow.ActivityOptions{
	StartToCloseTimeout:    webhookTime + 5*time.Second, // the call, and two reads of our own store
	ScheduleToCloseTimeout: 10 * time.Minute,
	RetryPolicy:            cloudRetry,
	WaitForCancellation:    true, // the other system is to be told of a cancel after it was called
}

// webhookLookOptions are for waiting until the other system is done. Each attempt is
// one look; the workflow sets the deadline, of hours.
var webhookLookOptions = workflow.ActivityOptions{
	StartToCloseTimeout: webhookTime + 5*time.Second,
	RetryPolicy:         &temporal.RetryPolicy{InitialInterval: webhookPause, BackoffCoefficient: 1.5, MaximumInterval: 30 * time.Second, MaximumAttempts: unbounded},
}

// stopOptions are for ending what a stage has begun elsewhere. The execution is
// recorded as over meanwhile, so the budget may be long: it sits out an outage.
var stopOptions = workflow.ActivityOptions{
	StartToCloseTimeout:    time.Minute,
	ScheduleToCloseTimeout: 24 * time.Hour,
	RetryPolicy:            cloudRetry,
}

// advanceOptions are for looking and deciding. Nothing can be decided while the
// cloud cannot be read, a rollback neither, so the budget is long: an outage of
// a region's API or expired credentials are to be sat out.
var advanceOptions = workflow.ActivityOptions{
	StartToCloseTimeout:    7 * time.Minute, // Poll.Hold is at most 5 min, and one look at most 30 s
	ScheduleToCloseTimeout: time.Hour,
	// A worker that starts wakes every deployment, so this only counts where
	// another worker died. Each heartbeat is a write to Temporal's store.
	HeartbeatTimeout:    20 * time.Second,
	RetryPolicy:         cloudRetry,
	WaitForCancellation: false, // it only reads: a control signal need not wait for it
}

// applyOptions are for one change. The budget covers a storm of throttling;
// after it the deployment rolls back.
var applyOptions = workflow.ActivityOptions{
	StartToCloseTimeout:    applyTime + callTime,
	ScheduleToCloseTimeout: 10 * time.Minute,
	HeartbeatTimeout:       3 * time.Second, // short, since the loop stands still for as long after a kill
	RetryPolicy:            cloudRetry,
	WaitForCancellation:    true, // it writes: what follows has to wait until it stopped
}

// applyTime is how long one Apply repeats the port's Apply before it returns to
// let the workflow look again. Each of those takes at most callTime and mostly
// much less.
const applyTime = 20 * time.Second

// lockOptions are for calls to Temporal itself: starting the lock's workflow and
// looking at its holder, and for its token. They are repeated until they succeed.
var lockOptions = workflow.ActivityOptions{
	StartToCloseTimeout: 3 * time.Second, // they take milliseconds; a killed worker goes unnoticed for as long
	RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 10 * time.Second, MaximumAttempts: unbounded},
}

// scheduleOptions are for starting what the clock asks for. It is repeated until
// it is done: a fire that was acknowledged must not be lost.
var scheduleOptions = workflow.ActivityOptions{
	StartToCloseTimeout: 15 * time.Second, // a few commits of milliseconds
	RetryPolicy:         &temporal.RetryPolicy{InitialInterval: 100 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 15 * time.Second, MaximumAttempts: unbounded},
}

// gateOptions are for starting and canceling the pipeline of a gate.
var gateOptions = workflow.ActivityOptions{
	StartToCloseTimeout:    15 * time.Second,
	ScheduleToCloseTimeout: 5 * time.Minute,
	RetryPolicy:            cloudRetry,
}

// gateWaitOptions are for waiting for a gate. Each attempt is one look; the
// answer "not yet" is an error that names the time of the next attempt, which
// neither holds a slot nor adds events. The workflow sets the deadline.
var gateWaitOptions = workflow.ActivityOptions{
	StartToCloseTimeout: 15 * time.Second,
	RetryPolicy:         &temporal.RetryPolicy{InitialInterval: time.Second, BackoffCoefficient: 1.5, MaximumInterval: 15 * time.Second, MaximumAttempts: unbounded},
}

// cloudRetry is the pace at which a failing cloud call is repeated: fast at
// first, since most trouble is a lost connection, and at most every 15 s, which
// keeps an account's rate budget free. Throttled errors name their own pause.
var cloudRetry = &temporal.RetryPolicy{
	InitialInterval: 500 * time.Millisecond, BackoffCoefficient: 2, MaximumInterval: 15 * time.Second, MaximumAttempts: unbounded,
}

// unbounded leaves the end of retries to the time limits. Temporal's test
// environment takes no number for 10.
const unbounded = 1_000_000
