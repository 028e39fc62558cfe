package gcp

import (
	"context"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/slipway-cd/slipway/simcloud"
)

// handler carries out a method under the cloud's lock.
type handler func(c *call, input proto.Message) (proto.Message, error)

// handle makes a handler from a typed one.
func handle[In, Out proto.Message](run func(*call, In) (Out, error)) handler {
	return func(c *call, input proto.Message) (proto.Message, error) {
		out, err := run(c, input.(In))
		if err != nil {
			return nil, err
		}
		return out, nil
	}
}

// newHandlers is the table of all methods that are simulated, by service and method.
func newHandlers() map[string]handler {
	out := map[string]handler{}
	for service, table := range map[string]map[string]handler{
		serviceCompute: computeHandlers(), serviceRun: runHandlers(), serviceIAM: iamHandlers(),
	} {
		for name, h := range table {
			out[service+"/"+name] = h
		}
	}
	return out
}

// call is one method being carried out.
type call struct {
	cloud     *Cloud
	project   *project
	data      *data // what a stale read sees is not the project's own
	principal principal
	request   *request
	now       time.Time
	// about is the path of what the call is about, for events.
	about string
	// deployment is the deployment that the call names, for events.
	deployment string
	// outcome is what a fault does to the call.
	outcome simcloud.Outcome
	// seeding is set while the world is made: operations end at once, and nothing waits for them.
	seeding bool
}

// resource logs that something was created, updated or deleted.
func (c *call) resource(kind simcloud.Kind, typ string, r *resource) {
	c.project.log(regionOfPath(r.path), simcloud.Event{
		Kind: kind, Type: typ, Resource: r.path, Name: nameOf(r.path), Tags: r.tags, Principal: c.principal.email,
	})
}

// exchange is one request on its way.
type exchange struct {
	cloud     *Cloud
	http      *http.Request
	route     *route
	request   *request
	principal principal
	call      *call
	outcome   simcloud.Outcome
	effect    bool // the call changed something
	broken    bool // the client gets no answer
}

// ServeHTTP answers one request of any of the APIs that speak REST.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	asked := time.Now()
	e := &exchange{cloud: c, http: r}
	output, refusal := e.answer()
	e.record(refusal)
	if !wait(r.Context(), c.options.Latency-time.Since(asked)) || e.broken {
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	if err := e.write(w, output, refusal); err != nil {
		c.options.Logger.Debug("answer not delivered", "path", r.URL.Path, "error", err)
	}
}

// wait lets real time pass, and reports false when the context ends before.
func wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func (e *exchange) write(w http.ResponseWriter, output proto.Message, refusal *apiError) error {
	if refusal != nil {
		service := serviceCompute
		if e.route != nil {
			service = e.route.method.service
		}
		return writeError(w, service, refusal)
	}
	data, err := e.request.encode(output)
	if err != nil {
		return err
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	_, err = w.Write(data)
	return err
}

func (e *exchange) answer() (proto.Message, *apiError) {
	var variables []string
	e.route, variables = e.cloud.router.find(e.http.Method, e.http.URL.EscapedPath())
	if e.route == nil {
		return nil, &apiError{status: http.StatusNotFound, reason: "notFound", message: "The requested URL " + e.http.URL.Path + " was not found on this server."}
	}
	if refusal := e.authenticate(); refusal != nil {
		return nil, refusal
	}
	var refusal *apiError
	if e.request, refusal = e.route.decode(e.http, variables); refusal != nil {
		return nil, refusal
	}
	if refusal = e.request.check(); refusal != nil {
		return nil, refusal
	}
	return e.carryOut()
}

// authenticate finds who the bearer token belongs to.
func (e *exchange) authenticate() *apiError {
	e.cloud.mu.Lock()
	defer e.cloud.mu.Unlock()
	token, bearer := strings.CutPrefix(e.http.Header.Get("Authorization"), "Bearer ")
	who, known := e.cloud.tokens[token]
	if !bearer || !known || !who.expires.IsZero() && time.Now().After(who.expires) {
		return &apiError{status: http.StatusUnauthorized, reason: "authError", message: "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential."}
	}
	e.principal = who
	return nil
}

// carryOut asks the faults, counts the request, runs the handler, and lets faults spoil the answer.
func (e *exchange) carryOut() (proto.Message, *apiError) {
	m := e.request.method
	e.outcome = e.cloud.world.Faults.Decide(simcloud.Call{
		Service: m.service, Action: m.name, Account: e.principal.project.account, Region: regionOfPath(strings.TrimPrefix(e.http.URL.Path, "/")),
		Principal: e.principal.email, Write: m.write,
	})
	if refusal := e.spoilBefore(); refusal != nil || e.broken {
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
func (e *exchange) spoilBefore() *apiError {
	switch effect := e.outcome.Effect; effect.Kind {
	case simcloud.EffectThrottle:
		return tooFast(e.request.method.service, effect.Code)
	case simcloud.EffectError:
		return e.injected()
	case simcloud.EffectReset:
		e.broken = true
	case simcloud.EffectHang:
		<-e.http.Context().Done()
		e.broken = true
	case simcloud.EffectSlow:
		// Late, but it happens, even when the client has gone.
		wait(context.WithoutCancel(e.http.Context()), effect.Duration)
	}
	return nil
}

// injected is the error that a fault names, by default an internal error.
func (e *exchange) injected() *apiError {
	out := &apiError{status: e.outcome.Effect.Status, reason: e.outcome.Effect.Code, message: "Internal error. Please try again or contact Google Support."}
	if out.status == 0 {
		out.status = http.StatusInternalServerError
	}
	if out.reason == "" && e.request.method.service == serviceCompute {
		out.reason = "backendError"
	}
	return out
}

// run calls the handler under the lock.
func (e *exchange) run() (proto.Message, error) {
	e.cloud.mu.Lock()
	defer e.cloud.mu.Unlock()
	m := e.request.method
	h := e.cloud.handlers[m.service+"/"+m.name]
	if h == nil {
		return nil, &apiError{status: http.StatusNotImplemented, reason: "notImplemented", message: "The simulator has no " + m.name + "."}
	}
	p := e.principal.project
	if refusal := e.checkProject(p); refusal != nil {
		return nil, refusal
	}
	if !p.take(m, e.cloud.world.Clock.Now()) {
		return nil, tooFast(m.service, "")
	}
	e.call = &call{cloud: e.cloud, project: p, data: p.data, principal: e.principal, request: e.request, now: e.cloud.world.Clock.Now(),
		outcome: e.outcome,
		about:   strings.TrimPrefix(strings.TrimPrefix(e.http.URL.Path, "/compute/v1/"), "/v2/")}
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
	if !e.request.method.write {
		if e.outcome.Is(simcloud.EffectStaleRead) {
			e.call.data = p.stale(e.call.now)
		}
		return h(e.call, e.request.input)
	}
	if operation, replayed, err := e.call.replayed(); replayed || err != nil {
		return operation, err
	}
	before := p.data.copy()
	output, err := h(e.call, e.request.input)
	if err != nil {
		return nil, err
	}
	e.call.remember(output)
	p.before, p.written, e.effect = before, e.call.now, true
	p.reconcile(e.call.now)
	return output, nil
}

// checkProject refuses calls to a project that the caller does not belong to.
func (e *exchange) checkProject(p *project) *apiError {
	parts := strings.Split(e.http.URL.Path, "/")
	for i, part := range parts {
		if part == "projects" && i+1 < len(parts) && parts[i+1] != p.id && parts[i+1] != "-" {
			return &apiError{status: http.StatusForbidden, reason: "forbidden", message: "Required permission for '" + pathOf(parts[i+1]) + "'"}
		}
	}
	return nil
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
		Kind: simcloud.APICall, Region: regionOfPath(strings.TrimPrefix(e.http.URL.Path, "/")), Principal: e.principal.email,
		Effect: e.effect, Fault: e.outcome.Fault,
	}
	if e.principal.project != nil {
		event.Account = e.principal.project.account
	}
	if e.route != nil {
		event.Service, event.Action, event.Write = e.route.method.service, e.route.method.name, e.route.method.write
	}
	if e.call != nil {
		event.Resource, event.Deployment = e.call.about, e.call.deployment
	}
	if e.outcome.Is(simcloud.EffectStaleRead) {
		event.Reason = string(simcloud.EffectStaleRead)
	}
	switch {
	case refusal != nil:
		event.Error = refusal.code()
	case e.broken:
		event.Error = "ConnectionBroken"
	}
	e.cloud.world.Log.Append(event)
}
