package gcp

import (
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"

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
// that shows as the operation's error, and the resource is gone again with its end, as an instance is in
// googleapis/nodejs-compute issue 377; that it can be read before: assumption.
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

// quotaExceeded is the error of an operation that a quota stopped; text of scylladb/scylla-cluster-tests issue 3649.
func quotaExceeded(metric string, limit int, region string) []*computepb.Errors {
	return []*computepb.Errors{{
		Code:    proto.String("QUOTA_EXCEEDED"),
		Message: proto.String(fmt.Sprintf("Quota '%s' exceeded.  Limit: %d.0 in region %s.", metric, limit, region)),
	}}
}

// stockout is the error of a place without machines; text of googlefonts/fontbakery-dashboard issue 81.
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

// ready refuses the use of a resource while its insert or its delete runs: 400 resourceNotReady, as recorded in
// googleapis/google-api-python-client issue 485 and opstrace/opstrace issue 1218, and retried by
// hashicorp/terraform-provider-google (google/transport/error_retry_predicates.go). Which operations are in the way:
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

// inUse is the refusal to delete what something else needs; texts of terraform-google-modules/terraform-google-vm issue 45.
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
