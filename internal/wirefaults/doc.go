// Package wirefaults carries out rolling deployments through the wire while
// everything goes wrong: the AWS SDK speaks HTTP with a simulated cloud that
// moves real traffic, and the answer to each write's first attempt is lost after
// the write had its effect. Throttling, errors, slowness, stale reads, deaths of
// instances, failing launches, bad images and cancels come on top.
//
// What carries out the deployments is what ships: rollout.Next decides, and the
// registry's targets with their decorators act. The deployment workflow is
// replaced by a loop that treats errors as it does, so that a hundred deployments
// take minutes; workflows tests itself in virtual time.
//
// A schedule is determined by its seed. A failure names it; this runs it again:
//
//	SLIPWAY_SEED=17 SLIPWAY_SCHEDULES=1 go test -count=1 -v ./internal/wirefaults
//
// The package consists of tests.
package wirefaults
