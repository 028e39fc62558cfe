package aws

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

// service is one AWS service: how it speaks and what it can do.
type service struct {
	name       string // signing name, the key of routing
	title      string // for people
	module     string // the SDK's package name
	version    string
	namespace  string
	protocol   protocol
	validation string // code of its validation errors
	throttle   string // code when a caller is too fast
	throttled  int    // and its HTTP status
	operations map[string]*operation
}

type serviceTable map[string]*service

// operation is one action: its input, what it does, and which limit it counts against.
type operation struct {
	name  string
	write bool
	input func() any
	run   func(c *call, input any) (any, error)
}

// op makes an operation from a typed handler. What is not named Describe, List or Get is a write.
func op[In, Out any](name string, run func(*call, *In) (*Out, error)) *operation {
	read := strings.HasPrefix(name, "Describe") || strings.HasPrefix(name, "List") || strings.HasPrefix(name, "Get")
	return &operation{
		name: name, write: !read,
		input: func() any { return new(In) },
		run: func(c *call, input any) (any, error) {
			out, err := run(c, input.(*In))
			if err != nil {
				return nil, err
			}
			return out, nil
		},
	}
}

func table(operations ...*operation) map[string]*operation {
	m := make(map[string]*operation, len(operations))
	for _, o := range operations {
		m[o.name] = o
	}
	return m
}

// call is one action being carried out, under the cloud's lock.
type call struct {
	cloud     *Cloud
	region    *region
	data      *regionData
	account   *account
	principal principal
	action    string
	now       time.Time
}

func (c *call) arn(service, resource string) string { return c.region.arn(service, resource) }

// size is the page size for a list: what the client asked for, or the default.
func (c *call) size(asked int32) int {
	if asked > 0 {
		return int(asked)
	}
	return c.cloud.options.PageSize
}

// sizeUnless returns all values when the client names them, as EC2 does.
func (c *call) sizeUnless(named []string, asked int32) int {
	if len(named) > 0 {
		return 0
	}
	return c.size(asked)
}

// thing names a resource in events.
type thing struct {
	kind, id, name string
	tags           []tag
}

// resource logs that something was created or deleted.
func (c *call) resource(kind simcloud.Kind, t thing) {
	c.region.log(simcloud.Event{Kind: kind, Type: t.kind, Resource: t.id, Name: t.name, Tags: tagMap(t.tags), Principal: c.principal.ARN})
}

// ServeHTTP answers one AWS request.
func (c *Cloud) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c.mu.Lock()
	id := c.newUUID()
	c.mu.Unlock()
	req, refusal := c.services.parse(r)
	asked := time.Now()
	e := &exchange{cloud: c, req: req, id: id}
	if refusal == nil {
		refusal = e.authenticate()
	}
	if refusal == nil {
		refusal = e.prepare()
	}
	var output any
	if refusal == nil {
		output, refusal = e.carryOut(r)
	}
	e.record(refusal)
	if !wait(r.Context(), c.options.Latency-time.Since(asked)) || e.broken {
		panic(http.ErrAbortHandler) // closes the connection without an answer
	}
	var err error
	if refusal != nil {
		err = writeError(w, req, id, refusal)
	} else {
		err = writeResponse(w, req, id, output)
	}
	if err != nil {
		c.options.Logger.Debug("answer not delivered", "action", req.action, "error", err)
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

// exchange is one request on its way.
type exchange struct {
	cloud     *Cloud
	req       *request
	id        string
	principal principal
	operation *operation
	input     any
	outcome   simcloud.Outcome
	effect    bool // the call changed something
	broken    bool // the client gets no answer
}

// authenticate finds the account of the access key. Codes: IAM user guide,
// "Common errors"; EC2 answers AuthFailure and Auto Scaling InvalidClientTokenId.
func (e *exchange) authenticate() *apiError {
	e.cloud.mu.Lock()
	defer e.cloud.mu.Unlock()
	who, ok := e.cloud.keys[e.req.keyID]
	switch {
	case !ok && e.req.protocol == ec2Query:
		return errf(http.StatusUnauthorized, "AuthFailure", "AWS was not able to validate the provided access credentials")
	case !ok && e.req.protocol == rpcCBOR:
		return errf(http.StatusForbidden, "UnrecognizedClientException", "The security token included in the request is invalid.")
	case !ok:
		return errf(http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
	case who.Token != e.req.token:
		return errf(http.StatusForbidden, "InvalidClientTokenId", "The security token included in the request is invalid.")
	case !who.Expires.IsZero() && time.Now().After(who.Expires) && e.req.protocol == ec2Query:
		return refuse("RequestExpired", "Request has expired.")
	case !who.Expires.IsZero() && time.Now().After(who.Expires):
		return errf(http.StatusForbidden, "ExpiredToken", "The security token included in the request is expired")
	}
	e.principal = who
	return nil
}

// prepare finds the action and decodes its input.
func (e *exchange) prepare() *apiError {
	svc := e.req.service
	e.operation = svc.operations[e.req.action]
	if e.operation == nil {
		return refuse("InvalidAction", "The action %s is not valid for this endpoint.", e.req.action)
	}
	e.input = e.operation.input()
	d := decoder{lists: e.req.protocol, service: svc, action: e.req.action}
	if err := d.decode(e.req.members, e.input); err != nil {
		return err
	}
	if f := reflect.ValueOf(e.input).Elem().FieldByName("DryRun"); f.IsValid() && f.Bool() {
		return errf(http.StatusPreconditionFailed, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	}
	return nil
}

// carryOut asks the faults, takes a token from the bucket, runs the handler, and lets faults spoil the answer.
func (e *exchange) carryOut(r *http.Request) (any, *apiError) {
	e.outcome = e.cloud.world.Faults.Decide(simcloud.Call{
		Service: e.req.service.title, Action: e.req.action, Account: e.principal.Account.Name, Region: e.req.region,
		Principal: e.principal.ARN, Write: e.operation.write,
	})
	if refusal := e.spoilBefore(r); refusal != nil || e.broken {
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
func (e *exchange) spoilBefore(r *http.Request) *apiError {
	switch effect := e.outcome.Effect; effect.Kind {
	case simcloud.EffectThrottle:
		return e.req.service.tooFast(effect.Code)
	case simcloud.EffectError:
		return e.injected()
	case simcloud.EffectReset:
		e.broken = true
	case simcloud.EffectHang:
		<-r.Context().Done()
		e.broken = true
	case simcloud.EffectSlow:
		// Late, but it happens, even when the client has gone.
		wait(context.WithoutCancel(r.Context()), effect.Duration)
	}
	return nil
}

func (s *service) tooFast(code string) *apiError {
	if code == "" {
		code = s.throttle
	}
	return errf(s.throttled, code, "Rate exceeded")
}

// injected is the error that a fault names, by default the service's own internal error.
func (e *exchange) injected() *apiError {
	status, code := e.outcome.Effect.Status, e.outcome.Effect.Code
	if status == 0 {
		status = http.StatusInternalServerError
	}
	if code == "" {
		switch {
		case status == http.StatusServiceUnavailable && e.req.protocol == ec2Query:
			code = "Unavailable"
		case status == http.StatusServiceUnavailable:
			code = "ServiceUnavailable"
		case e.req.protocol == ec2Query:
			code = "InternalError"
		default:
			code = "InternalFailure"
		}
	}
	return errf(status, code, "The request processing has failed because of an unknown error, exception or failure.")
}

// run calls the handler under the lock.
func (e *exchange) run() (any, error) {
	e.cloud.mu.Lock()
	defer e.cloud.mu.Unlock()
	r := e.cloud.regionOf(e.principal.Account, e.req.region)
	if !r.take(e.req.service, e.operation) {
		return nil, e.req.service.tooFast("")
	}
	c := &call{
		cloud: e.cloud, region: r, data: r.data, account: e.principal.Account, principal: e.principal,
		action: e.req.action, now: e.cloud.world.Clock.Now(),
	}
	r.observeTargets(r.data)
	if !e.operation.write {
		if e.outcome.Is(simcloud.EffectStaleRead) {
			c.data = r.stale(c.now)
		}
		return e.operation.run(c, e.input)
	}
	before := copyOf(r.data)
	output, err := e.operation.run(c, e.input)
	if err == nil {
		r.before, r.written, e.effect = before, c.now, true
		r.reconcile(c.now)
	}
	return output, err
}

// staleFor is how long the state from before a write is what a stale read sees; later it sees a state of some seconds
// ago.
const staleFor = 30 * time.Second

func (r *region) stale(now time.Time) *regionData {
	if now.Sub(r.written) < staleFor {
		return r.before
	}
	return r.recent
}

// about are the members that name what a call is about, in order of preference.
var about = []string{
	"AutoScalingGroupName", "RuleArn", "TargetGroupArn", "ListenerArn", "LoadBalancerArn", "LaunchTemplateName",
	"LaunchTemplateId", "Name", "RoleArn", "InstanceId", "ResourceId", "Tags",
}

func (r *request) about() string {
	if r.members == nil {
		return ""
	}
	for _, name := range about {
		for n := r.members.kids[name]; n != nil; {
			if n.leaf {
				return n.value
			}
			next := n.kids["member"]
			if next == nil {
				next = n.kids["1"]
			}
			if next == nil {
				next = n.kids["ResourceId"]
			}
			n = next
		}
	}
	return ""
}

// tagged returns the value of a tag among the members of a request, empty when there is none.
func (r *request) tagged(key string) string {
	if r.members == nil {
		return ""
	}
	members := map[string]string{}
	r.members.paths("", members)
	for path, value := range members {
		if prefix, ok := strings.CutSuffix(path, ".Key"); ok && value == key {
			return members[prefix+".Value"]
		}
	}
	return ""
}

// record appends the call to the event log.
func (e *exchange) record(refusal *apiError) {
	event := simcloud.Event{
		Kind: simcloud.APICall, Region: e.req.region, Action: e.req.action, Resource: e.req.about(),
		Principal: e.principal.ARN, Effect: e.effect, Fault: e.outcome.Fault,
	}
	if e.principal.Account != nil {
		event.Account = e.principal.Account.Name
	}
	if e.req.service != nil {
		event.Service = e.req.service.title
	}
	if e.outcome.Is(simcloud.EffectStaleRead) {
		event.Reason = string(simcloud.EffectStaleRead)
	}
	event.Deployment = e.req.tagged(e.cloud.options.DeploymentTag)
	event.Write = e.operation != nil && e.operation.write
	switch {
	case refusal != nil:
		event.Error = refusal.code
	case e.broken:
		event.Error = "ConnectionBroken"
	}
	e.cloud.world.Log.Append(event)
}
