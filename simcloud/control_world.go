package simcloud

import (
	"fmt"
	"net/http"
	"sort"
	"time"
)

// This file has the part of the control API that shows and changes what is in the world.

// faultBody is a fault on the wire: durations are strings.
type faultBody struct {
	ID     string     `json:"id,omitempty"`
	Match  Match      `json:"match"`
	Effect effectBody `json:"effect"`
	Times  int        `json:"times,omitempty"`
	Acted  int        `json:"acted,omitempty"`
}

type effectBody struct {
	Kind     EffectKind `json:"kind"`
	Code     string     `json:"code,omitempty"`
	Status   int        `json:"status,omitempty"`
	Duration span       `json:"duration,omitzero"`
	Reads    int        `json:"reads,omitempty"`
}

func (b effectBody) effect() Effect {
	return Effect{Kind: b.Kind, Code: b.Code, Status: b.Status, Duration: time.Duration(b.Duration), Reads: b.Reads}
}

func showFault(s FaultStatus) faultBody {
	e := s.Effect
	return faultBody{
		ID: s.ID, Match: s.Match, Times: s.Times, Acted: s.Acted,
		Effect: effectBody{Kind: e.Kind, Code: e.Code, Status: e.Status, Duration: span(e.Duration), Reads: e.Reads},
	}
}

func (c *control) listFaults(*http.Request) (int, any, error) {
	list := []faultBody{}
	for _, s := range c.world.Faults.List() {
		list = append(list, showFault(s))
	}
	return http.StatusOK, list, nil
}

func (c *control) addFault(r *http.Request) (int, any, error) {
	var body faultBody
	if err := bind(r, &body); err != nil {
		return 0, nil, err
	}
	fault, err := c.world.Faults.Add(Fault{ID: body.ID, Match: body.Match, Effect: body.Effect.effect(), Times: body.Times})
	if err != nil {
		return 0, nil, badRequest{err.Error()}
	}
	return http.StatusCreated, showFault(FaultStatus{Fault: fault}), nil
}

func (c *control) clearFaults(*http.Request) (int, any, error) {
	c.world.Faults.Clear()
	return http.StatusNoContent, nil, nil
}

func (c *control) removeFault(r *http.Request) (int, any, error) {
	if id := r.PathValue("id"); !c.world.Faults.Remove(id) {
		return 0, nil, notFound{fmt.Sprintf("fault %q does not exist", id)}
	}
	return http.StatusNoContent, nil, nil
}

type instanceBody struct {
	ID         string        `json:"id"`
	Account    string        `json:"account,omitempty"`
	Region     string        `json:"region,omitempty"`
	Zone       string        `json:"zone,omitempty"`
	Group      string        `json:"group,omitempty"`
	Image      string        `json:"image"`
	State      InstanceState `json:"state"`
	Reason     string        `json:"reason,omitempty"`
	Address    string        `json:"address,omitempty"`
	LaunchTime time.Time     `json:"launchTime"`
	Requests   int64         `json:"requests"`
}

func showInstance(i *Instance) instanceBody {
	l := i.Launched()
	return instanceBody{
		ID: i.ID(), Account: l.Account, Region: l.Region, Zone: l.Zone, Group: l.Group, Image: l.Image.Name, State: i.State(),
		Reason: i.Reason(), Address: i.Address(), LaunchTime: i.LaunchTime(), Requests: i.Requests(),
	}
}

// listInstances answers the machines that exist, or with ?all=true also the terminated ones.
func (c *control) listInstances(r *http.Request) (int, any, error) {
	all := r.URL.Query().Get("all") == "true"
	list := []instanceBody{}
	for _, i := range c.world.Fleet.Instances() {
		if all || i.State() != StateTerminated {
			list = append(list, showInstance(i))
		}
	}
	return http.StatusOK, list, nil
}

// withInstance answers an instance after something was done to it.
func (c *control) withInstance(r *http.Request, do func(*Instance)) (int, any, error) {
	i, ok := c.world.Fleet.Instance(r.PathValue("id"))
	if !ok {
		return 0, nil, notFound{fmt.Sprintf("instance %q does not exist", r.PathValue("id"))}
	}
	do(i)
	return http.StatusOK, showInstance(i), nil
}

func (c *control) killInstance(r *http.Request) (int, any, error) {
	return c.withInstance(r, func(i *Instance) { i.Kill("killed") })
}

func (c *control) crashInstance(r *http.Request) (int, any, error) {
	return c.withInstance(r, (*Instance).Crash)
}

func (c *control) setHealth(r *http.Request) (int, any, error) {
	var body struct {
		Healthy *bool `json:"healthy"`
	}
	if err := bind(r, &body); err != nil {
		return 0, nil, err
	}
	return c.withInstance(r, func(i *Instance) { i.SetHealthy(body.Healthy) })
}

// imageBody is an image on the wire: durations are strings.
type imageBody struct {
	ID           string  `json:"id,omitempty"`
	Name         string  `json:"name"`
	Account      string  `json:"account,omitempty"`
	Region       string  `json:"region,omitempty"`
	Version      string  `json:"version,omitempty"`
	BootDelay    span    `json:"bootDelay,omitzero"`
	BootJitter   span    `json:"bootJitter,omitzero"`
	HealthAfter  span    `json:"healthAfter,omitzero"`
	ErrorRate    float64 `json:"errorRate,omitempty"`
	Latency      span    `json:"latency,omitzero"`
	CrashAfter   span    `json:"crashAfter,omitzero"`
	NeverHealthy bool    `json:"neverHealthy,omitempty"`
}

func (b imageBody) image() Image {
	return Image{
		ID: b.ID, Name: b.Name, Account: b.Account, Region: b.Region, Version: b.Version,
		BootDelay: time.Duration(b.BootDelay), BootJitter: time.Duration(b.BootJitter),
		HealthAfter: time.Duration(b.HealthAfter), ErrorRate: b.ErrorRate, Latency: time.Duration(b.Latency),
		CrashAfter: time.Duration(b.CrashAfter), NeverHealthy: b.NeverHealthy,
	}
}

func showImage(i Image) imageBody {
	return imageBody{
		ID: i.ID, Name: i.Name, Account: i.Account, Region: i.Region, Version: i.Version, BootDelay: span(i.BootDelay),
		BootJitter: span(i.BootJitter), HealthAfter: span(i.HealthAfter), ErrorRate: i.ErrorRate, Latency: span(i.Latency),
		CrashAfter: span(i.CrashAfter), NeverHealthy: i.NeverHealthy,
	}
}

func (c *control) listImages(r *http.Request) (int, any, error) {
	list := []imageBody{}
	for _, image := range c.world.Images.List(r.URL.Query().Get("account"), r.URL.Query().Get("region")) {
		list = append(list, showImage(image))
	}
	return http.StatusOK, list, nil
}

// publishImage publishes an image where the body says. Without account and region that is every place that has images
// already, as an image copied to all regions would be.
func (c *control) publishImage(r *http.Request) (int, any, error) {
	var body imageBody
	if err := bind(r, &body); err != nil {
		return 0, nil, err
	}
	published := []imageBody{}
	for _, where := range c.places(body) {
		image := body.image()
		image.Account, image.Region = where.Account, where.Region
		done, err := c.world.Images.Publish(image)
		if err != nil {
			return 0, nil, badRequest{err.Error()}
		}
		published = append(published, showImage(done))
	}
	return http.StatusCreated, published, nil
}

// places are the accounts and regions that an image is for. An image with an ID is for one, as ids are.
func (c *control) places(body imageBody) []Image {
	seen := map[Image]bool{}
	if body.ID == "" {
		for _, image := range c.world.Images.List(body.Account, body.Region) {
			seen[Image{Account: image.Account, Region: image.Region}] = true
		}
	}
	if len(seen) == 0 {
		return []Image{{Account: body.Account, Region: body.Region}}
	}
	var places []Image
	for place := range seen {
		places = append(places, place)
	}
	sort.Slice(places, func(i, j int) bool {
		return places[i].Account+"/"+places[i].Region < places[j].Account+"/"+places[j].Region
	})
	return places
}

type auditBody struct {
	Events     int64             `json:"events"`
	Violations []Violation       `json:"violations"`
	Invariants map[string]string `json:"invariants"`
}

// audit judges the whole log by the configuration of the process; ?final=true as at the end of the world.
func (c *control) audit(r *http.Request) (int, any, error) {
	config := c.options.Audit
	config.Final = r.URL.Query().Get("final") == "true"
	return c.judge(config)
}

// auditBy judges the whole log by the configuration in the body, whose durations are strings.
func (c *control) auditBy(r *http.Request) (int, any, error) {
	own := c.options.Audit
	body := struct {
		AuditConfig
		Drain    span `json:"drain"`
		Reaction span `json:"reaction"`
	}{own, span(own.Drain), span(own.Reaction)}
	if err := bind(r, &body); err != nil {
		return 0, nil, err
	}
	config := body.AuditConfig
	config.Drain, config.Reaction = time.Duration(body.Drain), time.Duration(body.Reaction)
	return c.judge(config)
}

func (c *control) judge(config AuditConfig) (int, any, error) {
	if c.world.Log.Dropped() > 0 {
		return 0, nil, fmt.Errorf("the log has dropped its oldest %d events: it cannot be audited from the beginning", c.world.Log.Dropped())
	}
	events := c.world.Log.Events()
	violations := Audit(events, config)
	if violations == nil {
		violations = []Violation{}
	}
	return http.StatusOK, auditBody{int64(len(events)), violations, Invariants()}, nil
}

// endDeployment notes that a deployment is over, from when on it must not write.
func (c *control) endDeployment(r *http.Request) (int, any, error) {
	var body struct {
		Deployment string `json:"deployment"`
		State      string `json:"state"`
	}
	if err := bind(r, &body); err != nil {
		return 0, nil, err
	}
	if body.Deployment == "" {
		return 0, nil, badRequest{"deployment: must not be empty"}
	}
	event := c.world.Log.Append(Event{Kind: DeploymentEnded, Deployment: body.Deployment, State: body.State})
	return http.StatusCreated, event, nil
}

type loadBalancerBody struct {
	Name      string          `json:"name"`
	Account   string          `json:"account"`
	Region    string          `json:"region"`
	Listeners []ListenerState `json:"listeners"`
}

type targetGroupBody struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	Account string         `json:"account"`
	Region  string         `json:"region"`
	InUse   bool           `json:"inUse"`
	Targets []TargetHealth `json:"targets"`
}

// showState answers the data plane, and what control planes have registered.
func (c *control) showState(*http.Request) (int, any, error) {
	state := map[string]any{"clock": clockBody{c.world.Clock.Now(), c.world.Clock.Scale()}}
	balancers, groups, instances := []loadBalancerBody{}, []targetGroupBody{}, []instanceBody{}
	for _, lb := range c.world.LoadBalancers() {
		config := lb.Config()
		balancers = append(balancers, loadBalancerBody{config.Name, config.Account, config.Region, lb.Listeners()})
	}
	for _, g := range c.world.TargetGroups() {
		config := g.Config()
		groups = append(groups, targetGroupBody{g.ID(), config.Name, config.Account, config.Region, g.InUse(), g.Health()})
	}
	for _, i := range c.world.Fleet.Instances() {
		if i.State() != StateTerminated {
			instances = append(instances, showInstance(i))
		}
	}
	state["loadBalancers"], state["targetGroups"], state["instances"] = balancers, groups, instances
	for name, show := range c.world.shows() {
		state[name] = show()
	}
	return http.StatusOK, state, nil
}
