package aws

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/slipway-cd/slipway/simcloud"
)

// replaceKind changes the resource kind inside an ARN: a listener's ARN is that of its load balancer with another kind
// and one more id, a rule's that of its listener (service authorization reference of Elastic Load Balancing V2).
func replaceKind(arn, from, to string) string {
	return strings.Replace(arn, ":"+from, ":"+to, 1)
}

// provisioning is how long a new load balancer is not active yet: assumption (minutes on AWS).
const provisioning = 10 * time.Second

type createLoadBalancerInput struct {
	Name                         string `wire:",required"`
	Type                         string
	Scheme                       string
	Subnets                      []string
	SecurityGroups               []string
	Tags                         []queryTag
	IpAddressType                ignored
	CustomerOwnedIpv4Pool        refused
	EnablePrefixForIpv6SourceNat refused
	IpamPools                    refused
	SubnetMappings               refused
}

type stateXML struct {
	Code string
}

type zoneXML struct {
	ZoneName string
	SubnetId string
}

type balancerXML struct {
	LoadBalancerArn   string
	DNSName           string
	CreatedTime       *stamp
	LoadBalancerName  string
	Scheme            string
	VpcId             string
	State             stateXML
	Type              string
	IpAddressType     string
	AvailabilityZones members[zoneXML]
	SecurityGroups    members[string]
}

type balancersOutput struct {
	LoadBalancers members[balancerXML]
	NextMarker    *string
}

func (c *call) renderBalancer(b *balancer) balancerXML {
	x := balancerXML{
		LoadBalancerArn: b.ARN, DNSName: b.DNS, CreatedTime: stampOf(b.CreatedAt), LoadBalancerName: b.Name, Scheme: b.Scheme,
		VpcId: b.VPC, State: stateXML{"active"}, Type: "application", IpAddressType: "ipv4", SecurityGroups: listOf(b.SecurityGroups),
	}
	if c.now.Before(b.ActiveAt) {
		x.State.Code = "provisioning"
	}
	for _, id := range b.Subnets {
		if s := c.data.Subnets[id]; s != nil {
			x.AvailabilityZones.Items = append(x.AvailabilityZones.Items, zoneXML{s.Zone, s.ID})
		}
	}
	return x
}

func (c *call) createLoadBalancer(in *createLoadBalancerInput) (*balancersOutput, error) {
	if in.Type != "" && in.Type != "application" {
		return nil, unsimulated(c.action, "Type "+in.Type)
	}
	for _, b := range c.data.Balancers {
		if b.Name == in.Name {
			if slices.Equal(b.Subnets, in.Subnets) && slices.Equal(b.SecurityGroups, in.SecurityGroups) {
				return &balancersOutput{LoadBalancers: listOf([]balancerXML{c.renderBalancer(b)})}, nil
			}
			return nil, refuse("DuplicateLoadBalancerName", "A load balancer with the same name '%s' exists, but with different settings", in.Name)
		}
	}
	if len(in.Subnets) < 2 {
		return nil, refuse("ValidationError", "At least two subnets in two different Availability Zones must be specified")
	}
	b := &balancer{Name: in.Name, Scheme: cmp.Or(in.Scheme, "internet-facing"), Subnets: in.Subnets, SecurityGroups: in.SecurityGroups,
		CreatedAt: c.now, ActiveAt: c.now.Add(provisioning), Tags: toTags(in.Tags)}
	for _, id := range in.Subnets {
		s := c.data.Subnets[id]
		if s == nil {
			return nil, refuse("SubnetNotFound", "The subnet ID '%s' does not exist", id)
		}
		b.VPC = s.VPC
	}
	for _, id := range in.SecurityGroups {
		if c.data.SecurityGroups[id] == nil {
			return nil, refuse("InvalidSecurityGroup", "The security group '%s' does not exist", id)
		}
	}
	c.region.addBalancer(b)
	return &balancersOutput{LoadBalancers: listOf([]balancerXML{c.renderBalancer(b)})}, nil
}

func (r *region) addBalancer(b *balancer) {
	id := r.cloud.newID("", 16)
	b.ARN = r.arn("elasticloadbalancing", "loadbalancer/app/"+b.Name+"/"+id)
	b.DNS = strings.ToLower(b.Name) + "-" + id[:9] + "." + r.name + ".elb.amazonaws.com"
	r.data.Balancers[b.ARN] = b
	r.balancers[b.ARN] = simcloud.NewLoadBalancer(r.cloud.world, simcloud.LoadBalancerConfig{
		ID: b.ARN, Name: b.Name, Account: r.account.Name, Region: r.name,
	})
}

type describeLoadBalancersInput struct {
	LoadBalancerArns []string
	Names            []string
	Marker           string
	PageSize         *int32
}

func (c *call) describeLoadBalancers(in *describeLoadBalancersInput) (*balancersOutput, error) {
	if len(in.LoadBalancerArns) > 0 && len(in.Names) > 0 {
		return nil, refuse("ValidationError", "Load balancer names and load balancer ARNs cannot be specified at the same time")
	}
	found, refusal := pick(c.data.Balancers, in.LoadBalancerArns, func(string) *apiError {
		return refuse("LoadBalancerNotFound", "One or more load balancers not found")
	})
	if refusal != nil {
		return nil, refusal
	}
	if len(in.Names) > 0 {
		found, refusal = byName(found, in.Names, func(b *balancer) string { return b.Name }, func(missing string) *apiError {
			return refuse("LoadBalancerNotFound", "Load balancers '[%s]' not found", missing)
		})
		if refusal != nil {
			return nil, refusal
		}
	}
	part, next, ok := page(found, func(b *balancer) string { return b.ARN }, in.Marker, c.size(valueOr(in.PageSize, 0)))
	if !ok {
		return nil, invalidMarker()
	}
	return &balancersOutput{listOf(mapped(part, c.renderBalancer)), optional(next)}, nil
}

// byName keeps the values with the given names; a name that nothing has is refused.
func byName[T any](values []T, names []string, name func(T) string, missing func(string) *apiError) ([]T, *apiError) {
	for _, n := range names {
		if !slices.ContainsFunc(values, func(v T) bool { return name(v) == n }) {
			return nil, missing(n)
		}
	}
	return slices.DeleteFunc(slices.Clone(values), func(v T) bool { return !slices.Contains(names, name(v)) }), nil
}

type balancerAttributesInput struct {
	LoadBalancerArn string `wire:",required"`
}

type attributeXML struct {
	Key   string `wire:",required"`
	Value string
}

type attributesOutput struct {
	Attributes members[attributeXML]
}

func (c *call) describeLoadBalancerAttributes(in *balancerAttributesInput) (*attributesOutput, error) {
	if c.data.Balancers[in.LoadBalancerArn] == nil {
		return nil, refuse("LoadBalancerNotFound", "Load balancer '%s' not found", in.LoadBalancerArn)
	}
	return &attributesOutput{listOf([]attributeXML{
		{"deletion_protection.enabled", "false"}, {"idle_timeout.timeout_seconds", "60"}, {"routing.http2.enabled", "true"},
	})}, nil
}

type createListenerInput struct {
	LoadBalancerArn      string       `wire:",required"`
	Port                 *int32       `wire:",required"`
	Protocol             string       `wire:",required"`
	DefaultActions       []ruleAction `wire:",required"`
	Tags                 []queryTag
	AlpnPolicy           refused
	Certificates         refused
	MutualAuthentication refused
	SslPolicy            refused
}

type listenerXML struct {
	ListenerArn     string
	LoadBalancerArn string
	Port            int
	Protocol        string
	DefaultActions  members[ruleAction]
}

type listenersOutput struct {
	Listeners  members[listenerXML]
	NextMarker *string
}

func (c *call) renderListener(l *listener) listenerXML {
	x := listenerXML{ListenerArn: l.ARN, LoadBalancerArn: l.Balancer, Port: l.Port, Protocol: l.Protocol}
	if r := c.data.defaultRule(l.ARN); r != nil {
		x.DefaultActions = listOf(r.Actions)
	}
	return x
}

// defaultRule is the rule that every listener has; it holds the listener's default actions.
func (d *regionData) defaultRule(listenerARN string) *rule {
	for _, r := range d.Rules {
		if r.Listener == listenerARN && r.isDefault() {
			return r
		}
	}
	return nil
}

func (c *call) createListener(in *createListenerInput) (*listenersOutput, error) {
	b := c.data.Balancers[in.LoadBalancerArn]
	if b == nil {
		return nil, refuse("LoadBalancerNotFound", "Load balancer '%s' not found", in.LoadBalancerArn)
	}
	if in.Protocol != "HTTP" {
		return nil, unsimulated(c.action, "Protocol "+in.Protocol)
	}
	actions, refusal := c.checkActions(in.DefaultActions, b.ARN)
	if refusal != nil {
		return nil, refusal
	}
	for _, l := range c.data.Listeners {
		if l.Balancer == b.ARN && l.Port == int(*in.Port) {
			return nil, refuse("DuplicateListener", "A listener already exists on this port for this load balancer '%s'", b.ARN)
		}
	}
	l, err := c.region.addListener(b, int(*in.Port), actions, toTags(in.Tags))
	if err != nil {
		return nil, err
	}
	return &listenersOutput{Listeners: listOf([]listenerXML{c.renderListener(l)})}, nil
}

func (r *region) addListener(b *balancer, port int, actions []ruleAction, tags []tag) (*listener, error) {
	if _, err := r.balancers[b.ARN].Listen(port); err != nil {
		return nil, err
	}
	l := &listener{
		ARN: replaceKind(b.ARN, "loadbalancer/", "listener/") + "/" + r.cloud.newID("", 16), Balancer: b.ARN, Port: port,
		Protocol: "HTTP", Tags: tags,
	}
	r.data.Listeners[l.ARN] = l
	r.addRule(l, &rule{Actions: actions})
	r.applyListener(l)
	return l, nil
}

type describeListenersInput struct {
	LoadBalancerArn string
	ListenerArns    []string
	Marker          string
	PageSize        *int32
}

func (c *call) describeListeners(in *describeListenersInput) (*listenersOutput, error) {
	if in.LoadBalancerArn == "" && len(in.ListenerArns) == 0 {
		return nil, refuse("ValidationError", "You must specify either listener ARNs or a load balancer ARN")
	}
	if in.LoadBalancerArn != "" && c.data.Balancers[in.LoadBalancerArn] == nil {
		return nil, refuse("LoadBalancerNotFound", "Load balancer '%s' not found", in.LoadBalancerArn)
	}
	found, refusal := pick(c.data.Listeners, in.ListenerArns, func(string) *apiError { return listenerNotFound() })
	if refusal != nil {
		return nil, refusal
	}
	if in.LoadBalancerArn != "" {
		found = slices.DeleteFunc(found, func(l *listener) bool { return l.Balancer != in.LoadBalancerArn })
	}
	part, next, ok := page(found, func(l *listener) string { return l.ARN }, in.Marker, c.size(valueOr(in.PageSize, 0)))
	if !ok {
		return nil, invalidMarker()
	}
	return &listenersOutput{listOf(mapped(part, c.renderListener)), optional(next)}, nil
}

type modifyListenerInput struct {
	ListenerArn          string `wire:",required"`
	Port                 *int32
	Protocol             string
	DefaultActions       []ruleAction
	AlpnPolicy           refused
	Certificates         refused
	MutualAuthentication refused
	SslPolicy            refused
}

// modifyListener replaces the default actions: they are the actions of the default rule.
func (c *call) modifyListener(in *modifyListenerInput) (*listenersOutput, error) {
	l := c.data.Listeners[in.ListenerArn]
	if l == nil {
		return nil, listenerNotFound()
	}
	if in.Port != nil && int(*in.Port) != l.Port || in.Protocol != "" && in.Protocol != l.Protocol {
		return nil, unsimulated(c.action, "Port or Protocol")
	}
	if in.DefaultActions != nil {
		actions, refusal := c.checkActions(in.DefaultActions, l.Balancer)
		if refusal != nil {
			return nil, refusal
		}
		c.data.defaultRule(l.ARN).Actions = actions
		c.region.applyListener(l)
	}
	return &listenersOutput{Listeners: listOf([]listenerXML{c.renderListener(l)})}, nil
}
