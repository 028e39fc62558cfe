package gcp

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/compute/apiv1/computepb"
	"google.golang.org/protobuf/proto"
)

// pending is an operation of Compute that runs.
type pending struct {
	path string
	at   time.Time // when it ends
	// finish carries out what happens at the end; what it returns goes into the operation's error. It may be nil.
	finish func(now time.Time) []*computepb.Errors
}

// operationSpec describes an operation to begin.
type operationSpec struct {
	// kind is the operationType, such as "insert" or "compute.instanceGroupManagers.resize".
	kind string
	// target is the path of the resource that it works on, collection the one that its own path lies in, such as
	// "projects/p/regions/r" or "projects/p/global".
	target, scope string
	// takes is how long it runs, in simulated time; a random part of Options.OperationTime when 0.
	takes  time.Duration
	finish func(now time.Time) []*computepb.Errors
	// user is who began it; empty for the caller.
	user string
	// message is its statusMessage; none when empty.
	message string
	// prefix begins its name; "operation" when empty.
	prefix string
}

// begin begins an operation in the name of the caller.
func (c *call) begin(spec operationSpec) *computepb.Operation {
	if spec.user == "" {
		spec.user = c.principal.email
	}
	if c.seeding {
		spec.takes = time.Nanosecond
	}
	op := c.project.begin(spec, c.now)
	if id := c.request.requestID(); id != "" {
		op.ClientOperationId = proto.String(id)
	}
	return op
}

// untilEnded is the time of an operation that something else than the clock ends; see [project.endOperation].
const untilEnded = 365 * 24 * time.Hour

// endOperation ends an operation that runs.
func (p *project) endOperation(path string, now time.Time) {
	for _, due := range p.pending {
		if due.path == path {
			due.at = now
		}
	}
	p.finishOperations(now)
}

// begin begins an operation. Its message is the one that is stored: it changes when the operation ends.
func (p *project) begin(spec operationSpec, now time.Time) *computepb.Operation {
	if spec.takes == 0 {
		spec.takes = p.cloud.world.Between(p.cloud.options.OperationTime/3, p.cloud.options.OperationTime)
	}
	id := p.cloud.newID()
	name := fmt.Sprintf("%s-%d-%x", cmp.Or(spec.prefix, "operation"), now.UnixMilli(), id)
	path := spec.scope + "/operations/" + name
	op := &computepb.Operation{
		Id: proto.Uint64(id), Name: proto.String(name), Kind: proto.String("compute#operation"), OperationType: proto.String(spec.kind),
		TargetLink: proto.String(selfLink(spec.target)), SelfLink: proto.String(selfLink(path)), User: proto.String(spec.user),
		Status: computepb.Operation_RUNNING.Enum(), Progress: proto.Int32(0), InsertTime: proto.String(stamp(now)), StartTime: proto.String(stamp(now)),
	}
	if spec.message != "" {
		op.StatusMessage = proto.String(spec.message)
	}
	if r := p.data.resources[spec.target]; r != nil {
		op.TargetId = proto.Uint64(idOf(r.message))
	}
	switch parts := strings.Split(spec.scope, "/"); parts[len(parts)-2] {
	case "regions":
		op.Region = proto.String(selfLink(spec.scope))
	case "zones":
		op.Zone = proto.String(selfLink(spec.scope))
	}
	p.data.resources[path] = &resource{path: path, message: op, created: now}
	p.pending = append(p.pending, &pending{path: path, at: now.Add(spec.takes), finish: spec.finish})
	return op
}

// finishOperations ends the operations that are due, in the order of their ends.
func (p *project) finishOperations(now time.Time) {
	slices.SortStableFunc(p.pending, func(a, b *pending) int { return a.at.Compare(b.at) })
	for len(p.pending) > 0 && !p.pending[0].at.After(now) {
		due := p.pending[0]
		p.pending = p.pending[1:]
		var failed []*computepb.Errors
		if due.finish != nil {
			failed = due.finish(now)
		}
		op := lookup[*computepb.Operation](p.data, due.path)
		if op == nil {
			continue
		}
		op.Status, op.Progress, op.EndTime = computepb.Operation_DONE.Enum(), proto.Int32(100), proto.String(stamp(due.at))
		if len(failed) > 0 {
			op.Error = &computepb.Error{Errors: failed}
			status := errorStatus(failed[0].GetCode())
			op.HttpErrorStatusCode, op.HttpErrorMessage = proto.Int32(int32(status)), proto.String(strings.ToUpper(http.StatusText(status)))
		}
	}
	p.forgetOperations(now)
}

// errorStatus is the HTTP status that an operation tells with its error: that of a quota as in GoogleCloudPlatform/ai-on-gke
// issue 849, that of a stockout as in scylladb/scylla-cluster-tests issue 12477; of others: assumption.
func errorStatus(code string) int {
	switch {
	case strings.HasPrefix(code, "QUOTA_EXCEEDED"):
		return http.StatusForbidden
	case strings.HasPrefix(code, "ZONE_RESOURCE_POOL_EXHAUSTED"):
		return http.StatusServiceUnavailable
	default:
		return http.StatusBadRequest
	}
}

// operationsKept is how long a finished operation stays listed: assumption, Compute Engine keeps them for 14 days at the
// least, and a simulator should not grow without end.
const operationsKept = 6 * time.Hour

func (p *project) forgetOperations(now time.Time) {
	if now.Sub(p.refreshed) < refreshEvery {
		return // often enough
	}
	forgotten := map[string]bool{}
	for _, r := range all[*computepb.Operation](p.data) {
		if now.Sub(r.created) > operationsKept && r.message.(*computepb.Operation).GetStatus() == computepb.Operation_DONE {
			delete(p.data.resources, r.path)
			forgotten[r.path] = true
		}
	}
	maps.DeleteFunc(p.data.requests, func(_ string, first replay) bool { return forgotten[first.operation] })
}

// replayed answers a request whose id was used before with its first operation, which has no second effect ("the server
// can check if original operation with the same request ID was received, and if so, will ignore the second request",
// discovery document). The same id with other parameters is refused: assumption.
func (c *call) replayed() (proto.Message, bool, error) {
	id := c.request.requestID()
	if id == "" {
		return nil, false, nil
	}
	first, used := c.project.data.requests[id]
	if !used {
		return nil, false, nil
	}
	if first.method != c.request.method.name || first.parameters != c.parameters() {
		return nil, false, invalidValue("requestId", id, "The request id was used for another request.")
	}
	if op := lookup[*computepb.Operation](c.project.data, first.operation); op != nil {
		return op, true, nil
	}
	return nil, false, nil
}

// remember notes what a request id was used for.
func (c *call) remember(output proto.Message) {
	op, ok := output.(*computepb.Operation)
	if id := c.request.requestID(); ok && id != "" {
		c.project.data.requests[id] = replay{method: c.request.method.name, parameters: c.parameters(), operation: strings.TrimPrefix(op.GetSelfLink(), selfLink(""))}
	}
}

func (c *call) parameters() string {
	text, err := proto.MarshalOptions{Deterministic: true}.Marshal(c.request.input)
	if err != nil {
		return ""
	}
	return string(text)
}

// selfLink is the URL of a path, as Compute Engine writes it.
func selfLink(path string) string { return "https://www.googleapis.com/compute/v1/" + path }

// stamp is a time in RFC 3339, as Compute Engine writes it.
func stamp(t time.Time) string { return t.Format("2006-01-02T15:04:05.000-07:00") }

// idOf is the number that a message of Compute carries as its id.
func idOf(message proto.Message) uint64 {
	if m, ok := message.(interface{ GetId() uint64 }); ok {
		return m.GetId()
	}
	return 0
}
