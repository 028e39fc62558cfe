// Package simcloud is the kernel of a cloud simulator with a real data plane.
//
// A [World] holds everything that exists: a scaled [Clock], an append-only event [Log], seeded [Faults], published
// [Images], a [Fleet] of instances that are real HTTP servers on loopback, and load balancers that are real reverse
// proxies with weights, health checks, draining and propagation delay. Control planes that speak a cloud's wire
// protocol live in subpackages and are built on these types; package simulator puts the halves together.
//
// Two kinds of time meet here. Everything a cloud decides by the clock (boot, health-check interval, registration and
// deregistration delay, propagation) is simulated time and passes at the scale of the [Clock]. Requests are real: they
// cross real sockets and their latency is wall-clock time.
//
// [Audit] reads the log and reports every violated delivery invariant. It is a pure function of the events, so that a
// log saved from one run can be judged again later.
//
// The package imports nothing of Slipway: it is the world that Slipway is tested against.
package simcloud
