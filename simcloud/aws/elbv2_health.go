package aws

import (
	"slices"
	"strconv"

	"github.com/slipway-cd/slipway/simcloud"
)

type targetDescription struct {
	Id               string `wire:",required"`
	Port             *int32
	AvailabilityZone ignored `xml:"-"`
	QuicServerId     refused `xml:"-"`
}

type targetsInput struct {
	TargetGroupArn string              `wire:",required"`
	Targets        []targetDescription `wire:",required"`
}

func (c *call) registerTargets(in *targetsInput) (*nothing, error) {
	g := c.data.TargetGroups[in.TargetGroupArn]
	if g == nil {
		return nil, targetGroupNotFound(in.TargetGroupArn)
	}
	for _, t := range in.Targets {
		i := c.data.Instances[t.Id]
		if i == nil {
			return nil, refuse("InvalidTarget", "The following targets do not exist: '%s'", t.Id)
		}
		if i.State != stateRunning {
			return nil, refuse("InvalidTarget", "The following targets are not in a running state and cannot be registered: '%s'", t.Id)
		}
		if t.Port != nil && int(*t.Port) != g.Port {
			return nil, unsimulated(c.action, "a target's own Port")
		}
	}
	for _, t := range in.Targets {
		c.region.register(g.ARN, t.Id)
	}
	return &nothing{}, nil
}

func (c *call) deregisterTargets(in *targetsInput) (*nothing, error) {
	g := c.data.TargetGroups[in.TargetGroupArn]
	if g == nil {
		return nil, targetGroupNotFound(in.TargetGroupArn)
	}
	for _, t := range in.Targets {
		if c.data.Instances[t.Id] == nil {
			return nil, refuse("InvalidTarget", "The following targets do not exist: '%s'", t.Id)
		}
	}
	for _, t := range in.Targets {
		c.region.targets[g.ARN].Deregister(t.Id)
	}
	return &nothing{}, nil
}

type describeTargetHealthInput struct {
	TargetGroupArn string `wire:",required"`
	Targets        []targetDescription
	Include        ignored
}

type targetHealthXML struct {
	State       string
	Reason      *string
	Description *string
}

type targetXML struct {
	Id   string
	Port int
}

type targetHealthDescription struct {
	Target          targetXML
	HealthCheckPort string
	TargetHealth    targetHealthXML
}

type describeTargetHealthOutput struct {
	TargetHealthDescriptions members[targetHealthDescription]
}

// reasonTexts: API reference of TargetHealth.
var reasonTexts = map[string]string{
	simcloud.ReasonNotInUse:                 "Target group is not configured to receive traffic from the load balancer",
	simcloud.ReasonNotRegistered:            "Target is not registered to the target group",
	simcloud.ReasonInvalidState:             "Target is in the stopped state",
	simcloud.ReasonRegistrationInProgress:   "Target registration is in progress",
	simcloud.ReasonInitialHealthChecking:    "Initial health checks in progress",
	simcloud.ReasonFailedHealthChecks:       "Health checks failed",
	simcloud.ReasonResponseCodeMismatch:     "Health checks failed with these codes: [503]",
	simcloud.ReasonTimeout:                  "Request timed out",
	simcloud.ReasonDeregistrationInProgress: "Target deregistration is in progress",
}

func (c *call) describeTargetHealth(in *describeTargetHealthInput) (*describeTargetHealthOutput, error) {
	g := c.data.TargetGroups[in.TargetGroupArn]
	if g == nil {
		return nil, targetGroupNotFound(in.TargetGroupArn)
	}
	known := g.Health
	if len(in.Targets) > 0 {
		known = nil
		for _, t := range in.Targets {
			if c.data.Instances[t.Id] == nil {
				return nil, refuse("InvalidTarget", "The following targets do not exist: '%s'", t.Id)
			}
			health := simcloud.TargetHealth{Instance: t.Id, State: simcloud.TargetUnused, Reason: simcloud.ReasonNotRegistered}
			if i := slices.IndexFunc(g.Health, func(h simcloud.TargetHealth) bool { return h.Instance == t.Id }); i >= 0 {
				health = g.Health[i]
			}
			known = append(known, health)
		}
	}
	return &describeTargetHealthOutput{listOf(mapped(known, func(h simcloud.TargetHealth) targetHealthDescription {
		return targetHealthDescription{
			Target: targetXML{h.Instance, g.Port}, HealthCheckPort: strconv.Itoa(g.Port),
			TargetHealth: targetHealthXML{string(h.State), optional(h.Reason), optional(reasonTexts[h.Reason])},
		}
	}))}, nil
}
