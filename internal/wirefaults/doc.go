// Package wirefaults carries out rolling deployments through the wire while
// everything goes wrong: the SDKs speak HTTP with a simulated cloud that moves
// real traffic, and the answer to each write is lost after the write had its
// effect. AWS's SDK tries again by itself, Google's leaves that to the caller.
// Throttling, errors, slowness, stale reads, deaths of instances, failing launches,
// bad images and cancels come on top.
//
// What carries out the deployments is what ships: rollout.Next decides, and the
// registry's targets with their decorators act. The deployment workflow is
// replaced by a loop that treats errors as it does, so that a hundred deployments
// take minutes; workflows tests itself in virtual time.
//
// The target kinds take turns: Auto Scaling groups, managed instance groups, Cloud
// Run. All that differs between them is in the table of kind_test.go. Where server
// groups have no size of their own, floors and ceilings are not judged.
//
// A schedule is determined by its seed, its kind too. A failure names both; this
// runs it again, and the second line sixty schedules of one kind:
//
//	SLIPWAY_SEED=17 SLIPWAY_SCHEDULES=1 go test -count=1 -v ./internal/wirefaults
//	SLIPWAY_KIND=mig SLIPWAY_SCHEDULES=60 go test -count=1 -v ./internal/wirefaults
//
// TestEnumerated goes through deaths and cancels one by one instead of drawing them,
// on a clock that stands still but where somebody waits.
//
// The package consists of tests.
package wirefaults
