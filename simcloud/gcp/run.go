package gcp

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"google.golang.org/genproto/googleapis/rpc/code"

	"github.com/slipway-cd/slipway/simcloud"
)

// runPlane is Cloud Run's data plane of one project: its services' front ends and its revisions' containers.
type runPlane struct {
	project   *project
	services  map[string]*frontEnd     // by path
	revisions map[string]*liveRevision // by path
	// leaving are deleted revisions whose containers have not ended yet.
	leaving []*liveRevision
	// operations are those that run.
	operations []*runOperation
	swept      time.Time
}

func newRunPlane(p *project) *runPlane {
	return &runPlane{project: p, services: map[string]*frontEnd{}, revisions: map[string]*liveRevision{}}
}

// frontEnd is what routes the requests to a service.
type frontEnd struct {
	service  string // path
	balancer *simcloud.LoadBalancer
	url      string
	// earliest is when the change in progress may end.
	earliest time.Time
	// wanted is where the change in progress wants the traffic, nil when there is none or it is not known yet.
	wanted []*share
	// listed are the revisions that traffic has ever named, by path. They stay in the rule at weight 0 until they are deleted.
	listed map[string]bool
	// made counts the revisions that there have ever been.
	made int
	// rules are those that were set last, in a form to compare.
	rules string
	// routed tells that requests have a way.
	routed bool
}

// runHandlers is the table of Cloud Run's methods.
func runHandlers() map[string]handler {
	return map[string]handler{
		"Services.CreateService":     handle((*call).createRunService),
		"Services.GetService":        handle((*call).getRunService),
		"Services.ListServices":      handle((*call).listRunServices),
		"Services.UpdateService":     handle((*call).updateRunService),
		"Services.DeleteService":     handle((*call).deleteRunService),
		"Revisions.GetRevision":      handle((*call).getRevision),
		"Revisions.ListRevisions":    handle((*call).listRevisions),
		"Revisions.DeleteRevision":   handle((*call).deleteRevision),
		"Operations.GetOperation":    handle((*call).getRunOperation),
		"Operations.ListOperations":  handle((*call).listRunOperations),
		"Operations.WaitOperation":   handle((*call).waitRunOperation),
		"Operations.DeleteOperation": handle((*call).deleteRunOperation),
	}
}

// reconcile lets time act on the project's services: containers start and end, revisions become ready or fail, and
// changes of services come to their end.
func (p *runPlane) reconcile(now time.Time) {
	for _, path := range slices.Sorted(maps.Keys(p.revisions)) {
		p.follow(p.revisions[path], now)
	}
	for _, path := range slices.Sorted(maps.Keys(p.services)) {
		p.settle(p.services[path], now)
		p.route(p.services[path])
	}
	for _, path := range slices.Sorted(maps.Keys(p.revisions)) {
		p.scale(p.revisions[path], now)
	}
	p.endLeaving(now)
	p.endOperations(now)
	p.sweepOperations(now)
}

// failure is why a revision or the routes of a service do not work.
type failure struct {
	// code is the canonical code in the operation that fails.
	code code.Code
	// reason is that of the condition.
	reason conditionReason
	text   string
}

func runError(status int, grpc, format string, args ...any) *apiError {
	return &apiError{status: status, grpc: grpc, message: fmt.Sprintf(format, args...)}
}

func runInvalid(format string, args ...any) *apiError {
	return runError(http.StatusBadRequest, "INVALID_ARGUMENT", format, args...)
}

// runNotFound is Cloud Run's answer for what does not exist: assumption, after what gcloud shows.
func runNotFound(path string) *apiError {
	return runError(http.StatusNotFound, "NOT_FOUND", "Resource '%s' was not found", nameOf(path))
}

// runPrecondition is a refusal because of the state that something is in. The canonical code FAILED_PRECONDITION is 400
// in HTTP (google.rpc.Code).
func runPrecondition(format string, args ...any) *apiError {
	return runError(http.StatusBadRequest, "FAILED_PRECONDITION", format, args...)
}

// checkEtag refuses a change that was made for another version (google.aip.dev/154: ABORTED). No etag always passes.
func checkEtag(path, given, current string) *apiError {
	if given == "" || given == current {
		return nil
	}
	return runError(http.StatusConflict, "ABORTED", "Conflict for resource '%s': version '%s' was specified but current version is '%s'.",
		nameOf(path), given, current)
}

// newUID returns a new id in the form of a version 4 UUID.
func (c *Cloud) newUID() string {
	hex := fmt.Sprintf("%016x%016x", c.newID(), c.newID())
	return hex[:8] + "-" + hex[8:12] + "-4" + hex[13:16] + "-a" + hex[17:20] + "-" + hex[20:]
}
