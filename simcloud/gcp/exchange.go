package gcp

import (
	"cmp"
	"context"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
)

// exchange is one request on its way, whatever protocol it came by.
type exchange struct {
	cloud  *Cloud
	method *method // nil when no API has it
	// path is the name of the resource as the client gave it: "projects/p/regions/r/urlMaps/x".
	path      string
	request   *request
	principal principal
	call      *call
	outcome   simcloud.Outcome
	effect    bool // the call changed something
	broken    bool // the client gets no answer
}

// authenticate finds who the bearer token belongs to.
func (e *exchange) authenticate(authorization string) *apiError {
	e.cloud.mu.Lock()
	defer e.cloud.mu.Unlock()
	token, bearer := strings.CutPrefix(authorization, "Bearer ")
	who, known := e.cloud.tokens[token]
	if !bearer || !known || !who.expires.IsZero() && time.Now().After(who.expires) {
		return &apiError{status: http.StatusUnauthorized, reason: "authError", message: "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential."}
	}
	e.principal = who
	return nil
}

// carryOut asks the faults, counts the request, runs the handler, and lets faults spoil the answer.
func (e *exchange) carryOut(ctx context.Context) (proto.Message, *apiError) {
	m := e.method
	e.outcome = e.cloud.world.Faults.Decide(simcloud.Call{
		Service: m.service, Action: m.name, Account: e.principal.project.account, Region: regionOfPath(e.path),
		Principal: e.principal.email, Write: m.write,
	})
	if refusal := e.spoilBefore(ctx); refusal != nil || e.broken {
		return nil, refusal
	}
	output, err := e.run()
	if err != nil {
		return nil, asAPIError(err)
	}
	if e.outcome.Is(simcloud.EffectErrorAfter) {
		if e.outcome.Effect.Status == 0 {
			e.broken = true
			return nil, nil
		}
		return nil, e.injected()
	}
	return output, nil
}

// spoilBefore applies the faults that act before the effect.
func (e *exchange) spoilBefore(ctx context.Context) *apiError {
	switch effect := e.outcome.Effect; effect.Kind {
	case simcloud.EffectThrottle:
		return tooFast(e.method.service, effect.Code)
	case simcloud.EffectError:
		return e.injected()
	case simcloud.EffectReset:
		e.broken = true
	case simcloud.EffectHang:
		<-ctx.Done()
		e.broken = true
	case simcloud.EffectSlow:
		// Late, but it happens, even when the client has gone.
		wait(context.WithoutCancel(ctx), effect.Duration)
	}
	return nil
}

// injected is the error that a fault names, by default an internal error.
func (e *exchange) injected() *apiError {
	code := e.outcome.Effect.Code
	out := &apiError{status: e.outcome.Effect.Status, message: "Internal error. Please try again or contact Google Support."}
	if out.status == 0 {
		out.status = http.StatusInternalServerError
	}
	switch {
	case e.method.service == serviceCompute:
		out.reason = cmp.Or(code, "backendError")
	case isCanonical(code):
		out.grpc = code
	default:
		out.errorInfo = code
	}
	return out
}

// run calls the handler under the lock.
func (e *exchange) run() (proto.Message, error) {
	e.cloud.mu.Lock()
	defer e.cloud.mu.Unlock()
	m := e.method
	h := e.cloud.handlers[m.service+"/"+m.name]
	if h == nil {
		return nil, &apiError{status: http.StatusNotImplemented, reason: "notImplemented", message: "The simulator has no " + m.name + "."}
	}
	p := e.principal.project
	if refusal := e.checkProject(p); refusal != nil {
		return nil, refusal
	}
	if !p.take(m, regionOfPath(e.path), e.cloud.world.Clock.Now()) {
		return nil, tooFast(m.service, "")
	}
	e.call = &call{cloud: e.cloud, project: p, data: p.data, principal: e.principal, request: e.request, now: e.cloud.world.Clock.Now(), about: e.path,
		outcome: e.outcome}
	p.finishOperations(e.call.now)
	output, err := e.handle(h)
	if err != nil {
		return nil, err
	}
	// What is answered is encoded without the lock, and may be a stored message.
	return proto.Clone(output), nil
}

func (e *exchange) handle(h handler) (proto.Message, error) {
	p := e.call.project
	if !e.method.write {
		if e.outcome.Is(simcloud.EffectStaleRead) {
			e.call.data = p.stale(e.call.now)
		}
		return h(e.call, e.request.input)
	}
	if e.method.service == serviceMonitoring { // touches no resource
		output, err := h(e.call, e.request.input)
		e.effect = err == nil
		return output, err
	}
	if operation, replayed, err := e.call.replayed(); replayed || err != nil {
		return operation, err
	}
	before := p.data.copy()
	output, err := h(e.call, e.request.input)
	if err != nil {
		return nil, err
	}
	if e.call.unchanged {
		return output, nil
	}
	e.call.remember(output)
	p.before, p.written, e.effect = before, e.call.now, true
	p.reconcile(e.call.now)
	return output, nil
}

// checkProject refuses calls to a project that the caller does not belong to. A service account is named without its
// project ("projects/-").
func (e *exchange) checkProject(p *project) *apiError {
	_, rest, found := strings.Cut("/"+e.path, "/projects/")
	id, _, _ := strings.Cut(rest, "/")
	switch {
	case !found || id == p.id || id == "-" && e.method.service == serviceIAM:
		return nil
	case e.method.service == serviceCompute:
		return &apiError{status: http.StatusForbidden, reason: "forbidden", message: "Required permission is missing for 'projects/" + id + "'"}
	default:
		return &apiError{status: http.StatusForbidden, errorInfo: "IAM_PERMISSION_DENIED", message: "Permission denied on resource 'projects/" + id + "' (or it may not exist)."}
	}
}

// staleFor is how long the state from before a write is what a stale read sees; later it sees a state of some seconds
// ago.
const staleFor = 30 * time.Second

func (p *project) stale(now time.Time) *data {
	if now.Sub(p.written) < staleFor {
		return p.before
	}
	return p.recent
}

// record appends the call to the event log.
func (e *exchange) record(refusal *apiError) {
	event := simcloud.Event{
		Kind: simcloud.APICall, Resource: e.path, Region: regionOfPath(e.path), Principal: e.principal.email,
		Effect: e.effect, Fault: e.outcome.Fault,
	}
	if e.principal.project != nil {
		event.Account = e.principal.project.account
	}
	if e.method != nil {
		event.Service, event.Action, event.Write = e.method.service, e.method.name, e.method.write
	}
	if e.call != nil {
		event.Resource, event.Deployment = e.call.about, e.call.deployment
	}
	if e.outcome.Is(simcloud.EffectStaleRead) {
		event.Reason = string(simcloud.EffectStaleRead)
	}
	switch {
	case refusal != nil:
		event.Error = refusal.name(event.Service)
	case e.broken:
		event.Error = "ConnectionBroken"
	}
	e.cloud.world.Log.Append(event)
}
