// Package workflows makes executions and deployments survive any crash: it is
// the only part of Slipway that knows the Temporal SDK.
//
// There are three workflows. An Execution runs the stages of a pipeline. Each
// cluster of a deploy stage is a Deployment, a child that outlives its parent: a
// canceled execution is over at once while its deployments still bring traffic
// and capacity back. A cluster's lock is a workflow too: a queue that hands out
// fencing tokens.
//
// A deployment is one loop:
//
//	observe and decide   activity Advance: Target.Observe, then rollout.Next
//	act                  activity Apply: Target.Apply until it is done or waits
//	look again           the next Advance reads back what came of it
//
// Decisions are made in activities, so that their result stands in the history
// before anybody acts on it and changed rollout logic never breaks a replay.
//
// The workflows hold the truth while they run; local activities write it to the
// store with a growing version after every transition. Documents stay in the
// store: histories carry ids and small states only.
//
// The parts that a process starts:
//
//	client, err := workflows.Dial(ctx, connection, store)
//	worker := workflows.NewWorker(client, workflows.Dependencies{Targets: targets, Store: store})
//	starter := workflows.NewStarter(client, store, workflows.StarterOptions{})
package workflows
