// Package gcp is the control plane of a simulated Google Cloud: Compute Engine, Cloud Run and the IAM credentials service
// over REST, and Monitoring over gRPC, on top of the kernel in package simcloud.
//
// Nothing of the wire is written by hand. Paths, verbs, bodies, field names and required fields come from the protobuf
// descriptors that ship in the client libraries (google.api.http, google.api.field_behavior); the values of Compute's enums,
// which are plain strings in the descriptors, come from its discovery document. A handler takes and returns the typed
// message:
//
//	"RegionUrlMaps.Patch": handle((*call).patchURLMap),
//	func (c *call) patchURLMap(in *computepb.PatchRegionUrlMapRequest) (*computepb.Operation, error)
//
// A [Cloud] holds projects; a project holds resources by their path ("projects/p/regions/r/urlMaps/x"). Every request runs
// under one lock. Whatever takes time is moved on by the clock: operations end, groups make and end instances, revisions
// become ready.
package gcp
