// Package rollout decides how a new server group replaces the old ones. It is
// pure: the same state, snapshot and time give the same decision, nothing waits
// and nothing is called.
//
// A caller loops:
//
//	state := rollout.Start(input)
//	for {
//		seen := observe()
//		state, decision = rollout.Next(state, seen, now())
//		switch {
//		case decision.Apply != nil: apply one change, then look again
//		case decision.Gate != nil:  run the gate, then state = state.Answer(...)
//		case decision.Await != nil: look again later, at the latest at the deadline
//		case decision.Done != nil:  finished
//		}
//	}
//
// A crash needs no special path: the state is saved by the caller before it acts
// on a decision, and the next Next sees the truth.
//
// A strategy is compiled to steps (see Steps): each step grows the new group,
// waits until it is healthy, moves weight to it, waits until the weight was read
// back and has settled, and only then shrinks the old groups. Rolling, rolling
// red/black and none differ in their steps alone.
package rollout
