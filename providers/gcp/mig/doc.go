// Package mig is the target kind "gcp/mig": a regional managed instance group
// with a backend service of its own behind a regional Application Load Balancer,
// whose URL map holds the weights.
//
// The pieces of one server group, in the order in which they are made. Each has
// the server group's name:
//
//	instance template       immutable
//	managed instance group  at its size
//	backend service         with the group as its only backend
//	autoscaler              mode OFF; only when the stage gives an autoscalingPolicy
//	entry in the URL map    at weight 0, so that the load balancer knows the
//	                        backend service and judges its health
//
// A group behind no load balancer has neither backend service nor entry. They
// are removed in the opposite order, the instance template last.
//
// Compute Engine gives most of these no labels: each piece carries its owner in
// its description (description.go). An autoscaler is a part of its group, whoever
// made it: it does nothing without.
//
// A write is a long-running operation. It begins with a request id that is the
// same for the same change and the same observed state (operations.go), and the
// change goes on when the operation has ended and the resource reads as wanted.
// Nothing is cached between calls: each Apply reads, compares and writes once.
package mig
