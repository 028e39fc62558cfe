// Package aws simulates the control plane of AWS on the wire: STS, EC2, Auto
// Scaling, Elastic Load Balancing v2 and CloudWatch, as far as delivery tools
// use them. A [Cloud] is an http.Handler; any AWS client pointed at it works.
//
// A request travels so:
//
//	wire.go       SigV4 scope -> account, region, service; action and members -> tree
//	decode.go     tree -> typed input, strict: an unknown member is an error
//	dispatch.go   throttle, faults, lock, handler, event, fault after the effect
//	xml.go        typed output -> query XML, EC2 XML or CBOR
//
// The state is plain data (state.go), so that a stale read is the same handler
// on an older copy. Running things (instances, load balancers) belong to
// package simcloud; reconcile.go lets them follow the data as an Auto Scaling
// group does.
//
// Signatures are not verified: an access key names an account, and that is all
// the simulator needs. Behaviour cites its source beside the code; what AWS
// documents nowhere is marked "assumption".
package aws
