package gcp

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/slipway-cd/slipway/simcloud"
)

// This file has what all resources of Compute Engine share: names, references, inserts, changes and deletions.

// rfc1035 is what names look like (discovery document, the comment of each name).
var rfc1035 = regexp.MustCompile(`^[a-z]([-a-z0-9]{0,61}[a-z0-9])?$`)

// deploymentTag is the ownership tag by which a request names the deployment that it belongs to.
const deploymentTag = "slipway:deployment"

// get returns the message at a path of the data that the call sees.
func get[T proto.Message](c *call, parts ...string) (T, error) {
	path := pathOf(c.project.id, parts...)
	c.about = path
	var none T
	r := c.data.resources[path]
	if r == nil {
		return none, notFound(path)
	}
	message, ok := r.message.(T)
	if !ok {
		return none, notFound(path)
	}
	return message, nil
}

// creation describes a resource to insert.
type creation struct {
	// collection is where it goes, such as "projects/p/regions/r/urlMaps".
	collection string
	message    named
	// kind is what the API calls it, such as "compute#urlMap".
	kind string
	// typ is what events call it; no event when empty.
	typ string
	// quota is the metric that it counts for, such as "URL_MAPS" (discovery document, Quota.metric).
	quota string
	extra extra
}

// named is a resource that has a name.
type named interface {
	proto.Message
	GetName() string
}

// vacant refuses a malformed name and one that is taken, and returns the path of what is to be made.
func (c *call) vacant(collection string, message named) (string, *apiError) {
	if !rfc1035.MatchString(message.GetName()) {
		return "", invalidValue("resource.name", message.GetName(), "Must be a match of regex '(?:[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?)'")
	}
	path := collection + "/" + message.GetName()
	c.about = path
	if described, ok := message.(interface{ GetDescription() string }); ok {
		c.deployment = tagsIn(described.GetDescription())[deploymentTag]
	}
	if region := regionOfPath(path); region != "global" && c.project.regions[region] == nil {
		return "", invalidValue("region", region, "Unknown region.")
	}
	if c.data.resources[path] != nil {
		return "", alreadyExists(path)
	}
	return path, nil
}

// insert stores a new resource, which can be read at once, and begins its operation. When a quota or a fault is in the way,
// that shows as the operation's error, and the resource is gone again with its end ("operation errors" of the discovery
// document's Operation; that the resource can be read before: assumption).
func (c *call) insert(path string, what creation) *computepb.Operation {
	r := &resource{path: path, message: what.message, created: c.now, extra: what.extra}
	if described, ok := what.message.(interface{ GetDescription() string }); ok {
		r.tags = tagsIn(described.GetDescription())
	}
	stampNew(what.message, what.kind, path, c.cloud.newID(), c.now)
	failed := c.insertProblem(what.collection, what.quota)
	c.data.resources[path] = r
	if failed != nil {
		r.doomed = true
		return c.begin(operationSpec{kind: "insert", target: path, scope: scopeOf(path), finish: func(time.Time) []*computepb.Errors {
			delete(c.project.data.resources, path)
			return failed
		}})
	}
	if what.typ != "" {
		c.resource(simcloud.ResourceCreated, what.typ, r)
	}
	return c.begin(operationSpec{kind: "insert", target: path, scope: scopeOf(path)})
}

// insertProblem says why an insert is going to fail: by a fault of the effect noCapacity, or by a quota of Options.Quotas.
func (c *call) insertProblem(collection, metric string) []*computepb.Errors {
	if c.outcome.Is(simcloud.EffectNoCapacity) {
		return stockout(c.outcome.Effect.Code, regionOfPath(collection))
	}
	limit, limited := c.cloud.options.Quotas[metric]
	if !limited || len(c.data.under(collection)) < limit {
		return nil
	}
	return quotaExceeded(metric, limit, regionOfPath(collection))
}

// quotaExceeded is the error of an operation that a quota stopped; text as recorded in hashicorp/terraform-provider-google
// issues ("Quota 'IN_USE_ADDRESSES' exceeded.  Limit: 8.0 in region us-central1.").
func quotaExceeded(metric string, limit int, region string) []*computepb.Errors {
	return []*computepb.Errors{{
		Code:    proto.String("QUOTA_EXCEEDED"),
		Message: proto.String(fmt.Sprintf("Quota '%s' exceeded.  Limit: %d.0 in region %s.", metric, limit, region)),
	}}
}

// stockout is the error of a place without machines ("Troubleshooting resource availability" of Compute Engine).
func stockout(code, place string) []*computepb.Errors {
	if code == "" {
		code = "ZONE_RESOURCE_POOL_EXHAUSTED"
	}
	return []*computepb.Errors{{
		Code: &code,
		Message: proto.String("The zone 'projects/-/zones/" + place +
			"' does not have enough resources available to fulfill the request.  Try a different zone, or try again later."),
	}}
}

// remove begins the deletion of a resource, which ends with its operation. It takes no other write from now on.
func (c *call) remove(path, typ string, then func()) (*computepb.Operation, error) {
	c.about = path
	r := c.data.resources[path]
	if r == nil {
		return nil, notFound(path)
	}
	if refusal := c.ready(path); refusal != nil {
		return nil, refusal
	}
	c.deployment = r.tags[deploymentTag]
	return c.begin(operationSpec{kind: "delete", target: path, scope: scopeOf(path), finish: func(time.Time) []*computepb.Errors {
		delete(c.project.data.resources, path)
		if then != nil {
			then()
		}
		if typ != "" {
			c.resource(simcloud.ResourceDeleted, typ, r)
		}
		return nil
	}}), nil
}

// ready refuses the use of a resource while its insert or its delete runs: 400 resourceNotReady, which
// hashicorp/terraform-provider-google retries (google/transport/error_retry_predicates.go). Which operations are in the way:
// assumption.
func (c *call) ready(path string) *apiError {
	if c.seeding || !c.project.running(path, "insert", "delete") {
		return nil
	}
	return &apiError{status: http.StatusBadRequest, reason: "resourceNotReady", message: fmt.Sprintf("The resource '%s' is not ready", path)}
}

// running tells whether an operation of one of some types works on a resource.
func (p *project) running(path string, kinds ...string) bool {
	for _, due := range p.pending {
		op := lookup[*computepb.Operation](p.data, due.path)
		if op.GetTargetLink() != selfLink(path) {
			continue
		}
		for _, kind := range kinds {
			if op.GetOperationType() == kind {
				return true
			}
		}
	}
	return false
}

// inUse is the refusal to delete what something else needs.
func inUse(noun, path, by string) *apiError {
	return &apiError{status: http.StatusBadRequest, reason: "resourceInUseByAnotherResource",
		message: fmt.Sprintf("The %s resource '%s' is already being used by '%s'", noun, path, by)}
}

// reference reads the full or partial URL of a resource in one of some collections, and refuses one that does not exist
// with 404, one of another region with 400 (assumption: the discovery document says only "URL of ...").
func (c *call) reference(field, url string, collections ...string) (string, *apiError) {
	path, ok := c.pathIn(url)
	if !ok {
		return "", invalidValue(field, url, "The URL is malformed.")
	}
	parts := strings.Split(path, "/")
	known := false
	for _, collection := range collections {
		known = known || len(parts) > 2 && parts[len(parts)-2] == collection
	}
	if !known {
		return "", invalidValue(field, url, "The URL is malformed.")
	}
	if own, other := regionOfPath(c.about), regionOfPath(path); own != "global" && other != "global" && own != other {
		return "", invalidValue(field, url, "Cross-region references are not allowed.")
	}
	if c.data.resources[path] == nil {
		return "", notFound(path)
	}
	return path, c.ready(path)
}

// pathIn makes a full or partial URL a path: "https://www.googleapis.com/compute/v1/projects/p/...", "projects/p/...", and
// "regions/r/..." or "global/..." of the caller's project.
func (c *call) pathIn(url string) (string, bool) {
	for _, host := range []string{"https://www.googleapis.com/", "https://compute.googleapis.com/", "compute/v1/"} {
		url = strings.TrimPrefix(url, host)
	}
	switch scope, _, _ := strings.Cut(url, "/"); scope {
	case "projects":
		return url, true
	case "regions", "global", "zones":
		return pathOf(c.project.id, url), true
	default:
		return "", false
	}
}

// scopeOf cuts collection and name off a path.
func scopeOf(path string) string {
	parts := strings.Split(path, "/")
	return strings.Join(parts[:len(parts)-2], "/")
}

// outputFields are those that a client cannot set.
var outputFields = []protoreflect.Name{"id", "kind", "self_link", "creation_timestamp", "region", "zone", "fingerprint"}

// stampNew fills in what the API itself gives a new resource.
func stampNew(message proto.Message, kind, path string, id uint64, now time.Time) {
	text := map[protoreflect.Name]string{
		"kind": kind, "self_link": selfLink(path), "creation_timestamp": stamp(now), "name": nameOf(path),
	}
	parts := strings.Split(path, "/")
	switch parts[2] {
	case "regions":
		text["region"] = selfLink(strings.Join(parts[:4], "/"))
	case "zones":
		text["zone"] = selfLink(strings.Join(parts[:4], "/"))
	}
	m := message.ProtoReflect()
	for _, name := range outputFields {
		unset(m, name)
	}
	for name, value := range text {
		if field := m.Descriptor().Fields().ByName(name); field != nil {
			m.Set(field, protoreflect.ValueOfString(value))
		}
	}
	if field := m.Descriptor().Fields().ByName("id"); field != nil {
		m.Set(field, protoreflect.ValueOfUint64(id))
	}
}

func unset(m protoreflect.Message, name protoreflect.Name) {
	if field := m.Descriptor().Fields().ByName(name); field != nil {
		m.Clear(field)
	}
}

// merged returns a copy of a resource with a patch applied as a JSON merge patch: "this method supports PATCH semantics and
// uses the JSON merge patch format and processing rules" (discovery document). Messages merge, lists and values replace.
// Removing a field takes an explicit null, which no client library can send: a patch only adds, an update replaces all.
func merged[T proto.Message](stored, patch T, kept ...protoreflect.Name) T {
	out, change := proto.Clone(stored).(T), proto.Clone(patch).(T)
	for _, name := range append(append([]protoreflect.Name{"name"}, outputFields...), kept...) {
		unset(change.ProtoReflect(), name)
	}
	mergeInto(out.ProtoReflect(), change.ProtoReflect())
	return out
}

func mergeInto(into, patch protoreflect.Message) {
	patch.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		switch {
		case field.IsMap():
			target := into.Mutable(field).Map()
			value.Map().Range(func(key protoreflect.MapKey, entry protoreflect.Value) bool {
				target.Set(key, entry)
				return true
			})
		case field.Message() != nil && !field.IsList():
			mergeInto(into.Mutable(field).Message(), value.Message())
		default:
			into.Set(field, value)
		}
		return true
	})
}

// replaced returns what an update makes of a resource: the new message with the fields that the API itself sets.
func replaced[T proto.Message](stored, update T, kept ...protoreflect.Name) T {
	out := proto.Clone(update).(T)
	from, to := stored.ProtoReflect(), out.ProtoReflect()
	for _, name := range append(append([]protoreflect.Name{"name"}, outputFields...), kept...) {
		field := from.Descriptor().Fields().ByName(name)
		if field == nil {
			continue
		}
		to.Clear(field)
		if from.Has(field) {
			to.Set(field, from.Get(field))
		}
	}
	return out
}

// checkFingerprint refuses a change that was not made from the present state ("an up-to-date fingerprint must be provided in
// order to update the UrlMap, otherwise the request will fail with error 412 conditionNotMet", discovery document). The
// text is the one that hashicorp/terraform-provider-google looks for (google/transport/error_retry_predicates.go).
func checkFingerprint(given *string, stored string) *apiError {
	if given != nil && *given == stored {
		return nil
	}
	return &apiError{status: http.StatusPreconditionFailed, reason: "conditionNotMet", message: "Invalid fingerprint."}
}
