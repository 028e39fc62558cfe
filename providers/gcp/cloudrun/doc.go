// Package cloudrun is the target kind "gcp/cloudrun": a Cloud Run service that
// splits requests over its revisions. The service, named as the cluster, is the
// load balancer; a revision, named as the server group, is the version.
//
// A creation is one write: the service's template with the new revision's name,
// together with a traffic entry of 0 % for it. The entry carries a tag, "v001" for
// "shop-prod-v001", which gives the revision an address of its own before it takes
// any traffic. Where no service is yet the creation makes it, and the revision
// takes all traffic at once: Cloud Run has nothing else to send it to.
//
// Traffic is always written to revisions by name. An entry for "the latest
// revision" would move with the next creation, so the first write replaces it by
// the revision that it means.
//
// A removal takes the traffic entry away, turns the service's template back to the
// revision that serves if the template still is the removed one, and deletes the
// revision.
//
// Every revision that Slipway made carries the annotations of ownership.go. Cloud
// Run has no request ids: the name of the revision, its annotations and the
// service's etag make sure that a change takes effect once. Nothing is cached
// between calls: each Apply reads, compares and writes once.
package cloudrun
