// Package delivery is the domain of Slipway: its nouns, its kinds of error and
// the ports through which the rest of the program reaches the outside.
//
// It depends on the standard library alone and knows no cloud, no database, no
// workflow engine and no HTTP framework. Its subpackages decide (rollout,
// pipeline); they are pure: no I/O, no clock, no context. Doing is the
// providers' part and recording is the store's.
//
// One deployment, from the words of this package:
//
//	snapshot, err := target.Observe(ctx, cluster)        // what is
//	state, decision := rollout.Next(state, snapshot, now) // what to do now
//	receipt, err := target.Apply(ctx, *decision.Apply)   // one write
package delivery
