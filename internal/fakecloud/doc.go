// Package fakecloud is a cloud in memory with virtual time, for tests that run
// thousands of deployments a second. It implements delivery.Target with the
// behaviour that matters to a decision: everything is asynchronous, creations
// and deletions have pieces, weights take time to reach the data plane, calls
// fail before or after their effect, reads lag, instances die.
//
// It checks its own invariants after every event and keeps the violations; a
// test only has to ask for them. It never looks at what Slipway recorded.
package fakecloud
