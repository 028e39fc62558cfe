package aws

import (
	"cmp"
	"maps"
	"regexp"
	"slices"
	"strconv"

	"github.com/slipway-cd/slipway/simcloud"
)

type matcher struct {
	HttpCode string
	GrpcCode refused `xml:"-"`
}

type createTargetGroupInput struct {
	Name                       string `wire:",required"`
	Protocol                   string
	ProtocolVersion            string
	Port                       *int32
	VpcId                      string
	TargetType                 string
	HealthCheckEnabled         *bool
	HealthCheckProtocol        string
	HealthCheckPort            string
	HealthCheckPath            string
	HealthCheckIntervalSeconds *int32
	HealthCheckTimeoutSeconds  *int32
	HealthyThresholdCount      *int32
	UnhealthyThresholdCount    *int32
	Matcher                    *matcher
	Tags                       []queryTag
	IpAddressType              ignored
	TargetControlPort          refused
}

type targetGroupXML struct {
	TargetGroupArn             string
	TargetGroupName            string
	Protocol                   string
	ProtocolVersion            string
	Port                       int
	VpcId                      string
	TargetType                 string
	IpAddressType              string
	HealthCheckEnabled         bool
	HealthCheckProtocol        string
	HealthCheckPort            string
	HealthCheckPath            string
	HealthCheckIntervalSeconds int
	HealthCheckTimeoutSeconds  int
	HealthyThresholdCount      int
	UnhealthyThresholdCount    int
	Matcher                    matcher
	LoadBalancerArns           members[string]
}

type targetGroupsOutput struct {
	TargetGroups members[targetGroupXML]
	NextMarker   *string
}

func (c *call) renderTargetGroup(g *targetGroup) targetGroupXML {
	return targetGroupXML{
		TargetGroupArn: g.ARN, TargetGroupName: g.Name, Protocol: g.Protocol, ProtocolVersion: g.ProtocolVersion, Port: g.Port,
		VpcId: g.VPC, TargetType: g.Type, IpAddressType: "ipv4",
		HealthCheckEnabled: g.Check.Enabled, HealthCheckProtocol: g.Check.Protocol, HealthCheckPort: g.Check.Port,
		HealthCheckPath: g.Check.Path, HealthCheckIntervalSeconds: g.Check.Interval, HealthCheckTimeoutSeconds: g.Check.Timeout,
		HealthyThresholdCount: g.Check.Healthy, UnhealthyThresholdCount: g.Check.Unhealth, Matcher: matcher{HttpCode: g.Check.Codes},
		LoadBalancerArns: listOf(c.data.balancersOf(g.ARN)),
	}
}

// targetGroupName: API reference of CreateTargetGroup (32 characters, alphanumeric and hyphens, not at the ends).
var targetGroupName = regexp.MustCompile(`^[a-zA-Z0-9]([a-zA-Z0-9-]{0,30}[a-zA-Z0-9])?$`)

// createTargetGroup is idempotent: "if you attempt to create multiple target groups with the same settings, each call
// succeeds". Tags do not count as settings: assumption.
func (c *call) createTargetGroup(in *createTargetGroupInput) (*targetGroupsOutput, error) {
	if !targetGroupName.MatchString(in.Name) {
		return nil, refuse("ValidationError", "Target group name '%s' can only contain characters that are alphanumeric characters or hyphens(-), must not begin or end with a hyphen, and cannot be longer than '32' characters", in.Name)
	}
	if in.Port == nil || in.Protocol == "" || in.VpcId == "" {
		return nil, refuse("ValidationError", "A protocol, a port and a VPC ID must be specified")
	}
	if in.Protocol != "HTTP" || in.ProtocolVersion != "" && in.ProtocolVersion != "HTTP1" {
		return nil, unsimulated(c.action, "Protocol "+in.Protocol+" "+in.ProtocolVersion)
	}
	if in.TargetType != "" && in.TargetType != "instance" {
		return nil, unsimulated(c.action, "TargetType "+in.TargetType)
	}
	if c.data.VPCs[in.VpcId] == nil {
		return nil, refuse("ValidationError", "The VPC ID '%s' is not found", in.VpcId)
	}
	check, refusal := defaultCheck().with(in.checkChange())
	if refusal != nil {
		return nil, refusal
	}
	g := &targetGroup{
		Name: in.Name, Protocol: in.Protocol, ProtocolVersion: "HTTP1", Port: int(*in.Port), VPC: in.VpcId, Type: "instance",
		Check: check, Attributes: defaultAttributes(), Tags: toTags(in.Tags),
	}
	for _, have := range c.data.TargetGroups {
		if have.Name != g.Name {
			continue
		}
		if have.Protocol == g.Protocol && have.Port == g.Port && have.VPC == g.VPC && have.Check == g.Check {
			return &targetGroupsOutput{TargetGroups: listOf([]targetGroupXML{c.renderTargetGroup(have)})}, nil
		}
		return nil, refuse("DuplicateTargetGroupName", "A target group with the same name '%s' exists, but with different settings", g.Name)
	}
	c.region.addTargetGroup(g)
	c.resource(simcloud.ResourceCreated, thing{simcloud.TypeTargetGroup, g.ARN, g.Name, g.Tags})
	return &targetGroupsOutput{TargetGroups: listOf([]targetGroupXML{c.renderTargetGroup(g)})}, nil
}

// checkChange are the members that CreateTargetGroup and ModifyTargetGroup share.
type checkChange struct {
	enabled                             *bool
	protocol, port, path                string
	interval, timeout, healthy, unhealt *int32
	matcher                             *matcher
}

func (in *createTargetGroupInput) checkChange() checkChange {
	return checkChange{
		in.HealthCheckEnabled, in.HealthCheckProtocol, in.HealthCheckPort, in.HealthCheckPath, in.HealthCheckIntervalSeconds,
		in.HealthCheckTimeoutSeconds, in.HealthyThresholdCount, in.UnhealthyThresholdCount, in.Matcher,
	}
}

// defaultCheck and defaultAttributes: API reference of CreateTargetGroup and TargetGroupAttribute.
func defaultCheck() healthCheck {
	return healthCheck{Enabled: true, Protocol: "HTTP", Port: "traffic-port", Path: "/", Codes: "200", Interval: 30, Timeout: 5, Healthy: 5, Unhealth: 2}
}

func defaultAttributes() map[string]string {
	return map[string]string{
		"deregistration_delay.timeout_seconds": "300", "slow_start.duration_seconds": "0", "stickiness.enabled": "false",
		"stickiness.type": "lb_cookie", "stickiness.lb_cookie.duration_seconds": "86400",
		"load_balancing.algorithm.type": "round_robin", "load_balancing.algorithm.anomaly_mitigation": "off",
		"load_balancing.cross_zone.enabled":                                              "use_load_balancer_configuration",
		"target_group_health.dns_failover.minimum_healthy_targets.count":                 "1",
		"target_group_health.dns_failover.minimum_healthy_targets.percentage":            "off",
		attributeMinimumHealthy:                                                          "1",
		"target_group_health.unhealthy_state_routing.minimum_healthy_targets.percentage": "off",
	}
}

const attributeMinimumHealthy = "target_group_health.unhealthy_state_routing.minimum_healthy_targets.count"

// with applies a change and checks the ranges of the API reference of CreateTargetGroup.
func (h healthCheck) with(change checkChange) (healthCheck, *apiError) {
	h.Enabled = valueOr(change.enabled, h.Enabled)
	h.Protocol = cmp.Or(change.protocol, h.Protocol)
	h.Port = cmp.Or(change.port, h.Port)
	h.Path = cmp.Or(change.path, h.Path)
	h.Interval = int(valueOr(change.interval, int32(h.Interval)))
	h.Timeout = int(valueOr(change.timeout, int32(h.Timeout)))
	h.Healthy = int(valueOr(change.healthy, int32(h.Healthy)))
	h.Unhealth = int(valueOr(change.unhealt, int32(h.Unhealth)))
	if change.matcher != nil {
		h.Codes = cmp.Or(change.matcher.HttpCode, h.Codes)
	}
	for _, check := range []struct {
		name             string
		value, low, high int
	}{
		{"interval", h.Interval, 5, 300}, {"timeout", h.Timeout, 2, 120},
		{"healthy threshold count", h.Healthy, 2, 10}, {"unhealthy threshold count", h.Unhealth, 2, 10},
	} {
		if check.value < check.low || check.value > check.high {
			return h, refuse("ValidationError", "Health check %s '%d' must be between %d and %d", check.name, check.value, check.low, check.high)
		}
	}
	if h.Timeout >= h.Interval {
		return h, refuse("ValidationError", "Health check timeout '%d' must be smaller than the interval '%d'", h.Timeout, h.Interval)
	}
	if _, err := parseCodes(h.Codes); err != nil {
		return h, refuse("ValidationError", "Health check matcher HTTP code '%s' must be within '200-499' inclusive", h.Codes)
	}
	return h, nil
}

type describeTargetGroupsInput struct {
	LoadBalancerArn string
	TargetGroupArns []string
	Names           []string
	Marker          string
	PageSize        *int32
}

func (c *call) describeTargetGroups(in *describeTargetGroupsInput) (*targetGroupsOutput, error) {
	if set := btoi(in.LoadBalancerArn != "") + btoi(len(in.TargetGroupArns) > 0) + btoi(len(in.Names) > 0); set > 1 {
		return nil, refuse("ValidationError", "Only one of a load balancer ARN, target group ARNs and target group names can be specified")
	}
	found, refusal := pick(c.data.TargetGroups, in.TargetGroupArns, targetGroupNotFound)
	if refusal == nil && len(in.Names) > 0 {
		found, refusal = byName(found, in.Names, func(g *targetGroup) string { return g.Name }, targetGroupNotFound)
	}
	if refusal != nil {
		return nil, refusal
	}
	if in.LoadBalancerArn != "" {
		if c.data.Balancers[in.LoadBalancerArn] == nil {
			return nil, refuse("LoadBalancerNotFound", "Load balancer '%s' not found", in.LoadBalancerArn)
		}
		found = slices.DeleteFunc(found, func(g *targetGroup) bool { return !slices.Contains(c.data.balancersOf(g.ARN), in.LoadBalancerArn) })
	}
	part, next, ok := page(found, func(g *targetGroup) string { return g.ARN }, in.Marker, c.size(valueOr(in.PageSize, 0)))
	if !ok {
		return nil, invalidMarker()
	}
	return &targetGroupsOutput{listOf(mapped(part, c.renderTargetGroup)), optional(next)}, nil
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

type modifyTargetGroupInput struct {
	TargetGroupArn             string `wire:",required"`
	HealthCheckEnabled         *bool
	HealthCheckProtocol        string
	HealthCheckPort            string
	HealthCheckPath            string
	HealthCheckIntervalSeconds *int32
	HealthCheckTimeoutSeconds  *int32
	HealthyThresholdCount      *int32
	UnhealthyThresholdCount    *int32
	Matcher                    *matcher
}

func (c *call) modifyTargetGroup(in *modifyTargetGroupInput) (*targetGroupsOutput, error) {
	g := c.data.TargetGroups[in.TargetGroupArn]
	if g == nil {
		return nil, targetGroupNotFound(in.TargetGroupArn)
	}
	check, refusal := g.Check.with(checkChange{
		in.HealthCheckEnabled, in.HealthCheckProtocol, in.HealthCheckPort, in.HealthCheckPath, in.HealthCheckIntervalSeconds,
		in.HealthCheckTimeoutSeconds, in.HealthyThresholdCount, in.UnhealthyThresholdCount, in.Matcher,
	})
	if refusal != nil {
		return nil, refusal
	}
	g.Check = check
	c.region.targets[g.ARN].SetConfig(c.region.targetConfig(g))
	return &targetGroupsOutput{TargetGroups: listOf([]targetGroupXML{c.renderTargetGroup(g)})}, nil
}

type targetGroupAttributesInput struct {
	TargetGroupArn string `wire:",required"`
}

func (c *call) describeTargetGroupAttributes(in *targetGroupAttributesInput) (*attributesOutput, error) {
	g := c.data.TargetGroups[in.TargetGroupArn]
	if g == nil {
		return nil, targetGroupNotFound(in.TargetGroupArn)
	}
	return &attributesOutput{listOf(g.renderAttributes())}, nil
}

func (g *targetGroup) renderAttributes() []attributeXML {
	var out []attributeXML
	for _, key := range slices.Sorted(maps.Keys(g.Attributes)) {
		out = append(out, attributeXML{key, g.Attributes[key]})
	}
	return out
}

type modifyTargetGroupAttributesInput struct {
	TargetGroupArn string         `wire:",required"`
	Attributes     []attributeXML `wire:",required"`
}

// attributeRanges are the attributes that have an effect here, with the ranges of TargetGroupAttribute.
var attributeRanges = map[string][2]int{
	"deregistration_delay.timeout_seconds": {0, 3600},
	attributeMinimumHealthy:                {1, 1000},
}

func (c *call) modifyTargetGroupAttributes(in *modifyTargetGroupAttributesInput) (*attributesOutput, error) {
	g := c.data.TargetGroups[in.TargetGroupArn]
	if g == nil {
		return nil, targetGroupNotFound(in.TargetGroupArn)
	}
	for _, a := range in.Attributes {
		have, ok := g.Attributes[a.Key]
		if !ok {
			return nil, refuse("ValidationError", "Target group attribute key '%s' is not recognized", a.Key)
		}
		limits, simulated := attributeRanges[a.Key]
		if !simulated {
			if have != a.Value {
				return nil, unsimulated(c.action, "attribute "+a.Key)
			}
			continue
		}
		if n, err := strconv.Atoi(a.Value); err != nil || n < limits[0] || n > limits[1] {
			return nil, refuse("ValidationError", "'%s' must be a number between '%d' and '%d' inclusive", a.Key, limits[0], limits[1])
		}
	}
	for _, a := range in.Attributes {
		g.Attributes[a.Key] = a.Value
	}
	c.region.targets[g.ARN].SetConfig(c.region.targetConfig(g))
	return &attributesOutput{listOf(g.renderAttributes())}, nil
}

// deleteTargetGroup succeeds for a group that does not exist: the SDK's model knows ResourceInUse as its only error.
func (c *call) deleteTargetGroup(in *targetGroupAttributesInput) (*nothing, error) {
	g := c.data.TargetGroups[in.TargetGroupArn]
	if g == nil {
		return &nothing{}, nil
	}
	if len(c.data.balancersOf(g.ARN)) > 0 {
		return nil, refuse("ResourceInUse", "Target group '%s' is currently in use by a listener or a rule", g.ARN)
	}
	delete(c.data.TargetGroups, g.ARN)
	c.region.targets[g.ARN].Close()
	delete(c.region.targets, g.ARN)
	c.resource(simcloud.ResourceDeleted, thing{simcloud.TypeTargetGroup, g.ARN, g.Name, g.Tags})
	return &nothing{}, nil
}
