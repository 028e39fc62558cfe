package mig

import (
	"encoding/json"

	"github.com/slipway-cd/slipway/delivery"
)

// settings is the part of a deploy stage's cluster object that this kind reads.
// schema.json describes it for people.
type settings struct {
	Regional            *bool                `json:"regional"`
	AvailabilityZones   map[string][]string  `json:"availabilityZones"`
	DistributionPolicy  *distributionPolicy  `json:"distributionPolicy"`
	Image               string               `json:"image"`
	InstanceType        string               `json:"instanceType"`
	Disks               []disk               `json:"disks"`
	Network             string               `json:"network"`
	Subnet              string               `json:"subnet"`
	AssociatePublicIP   *bool                `json:"associatePublicIpAddress"`
	Tags                []string             `json:"tags"`
	Labels              map[string]string    `json:"labels"`
	InstanceMetadata    map[string]string    `json:"instanceMetadata"`
	ServiceAccountEmail string               `json:"serviceAccountEmail"`
	AuthScopes          []string             `json:"authScopes"`
	Preemptible         bool                 `json:"preemptible"`
	AutomaticRestart    *bool                `json:"automaticRestart"`
	OnHostMaintenance   string               `json:"onHostMaintenance"`
	LoadBalancers       []string             `json:"loadBalancers"`
	PathMatcher         string               `json:"pathMatcher"`
	BackendServices     json.RawMessage      `json:"backendServices"`
	HealthCheck         string               `json:"healthCheck"`
	PortName            string               `json:"portName"`
	LoadBalancingPolicy *loadBalancingPolicy `json:"loadBalancingPolicy"`
	DrainingTimeoutSec  *int32               `json:"connectionDrainingTimeoutSec"`
	AutoHealingPolicy   *autoHealingPolicy   `json:"autoHealingPolicy"`
	AutoscalingPolicy   *autoscalingPolicy   `json:"autoscalingPolicy"`

	// from is the spec's: the server group whose settings hold where these are absent.
	from string
}

type distributionPolicy struct {
	Zones []string `json:"zones"`
}

// disk is one disk of an instance; the first of them is the boot disk.
type disk struct {
	Type   string `json:"type"`
	SizeGB int64  `json:"sizeGb"`
	// SourceImage fills a disk that is not the boot disk; empty leaves it blank.
	SourceImage string `json:"sourceImage"`
}

type loadBalancingPolicy struct {
	BalancingMode      string      `json:"balancingMode"`
	MaxUtilization     *float32    `json:"maxUtilization"`
	MaxRatePerInstance *float32    `json:"maxRatePerInstance"`
	CapacityScaler     *float32    `json:"capacityScaler"`
	NamedPorts         []namedPort `json:"namedPorts"`
}

type namedPort struct {
	Name string `json:"name"`
	Port int32  `json:"port"`
}

type autoHealingPolicy struct {
	HealthCheck     string `json:"healthCheck"`
	InitialDelaySec *int32 `json:"initialDelaySec"`
}

// autoscalingPolicy has no bounds: they are the capacity's.
type autoscalingPolicy struct {
	CoolDownPeriodSec        *int32         `json:"coolDownPeriodSec"`
	CPUUtilization           *utilization   `json:"cpuUtilization"`
	LoadBalancingUtilization *utilization   `json:"loadBalancingUtilization"`
	CustomMetricUtilizations []customMetric `json:"customMetricUtilizations"`
	Mode                     string         `json:"mode"`
}

type utilization struct {
	// Target is a share, above 0 and at most 1.
	Target float64 `json:"utilizationTarget"`
}

type customMetric struct {
	Metric     string  `json:"metric"`
	Target     float64 `json:"utilizationTarget"`
	TargetType string  `json:"utilizationTargetType"`
}

// The modes of an autoscaler (API reference of autoscalers).
const (
	modeOn       = "ON"
	modeOff      = "OFF"
	modeScaleOut = "ONLY_SCALE_OUT"
)

// mode is the mode of the autoscaler while the group is not pinned.
func (p *autoscalingPolicy) mode() string {
	if p == nil || p.Mode == "" {
		return modeOn
	}
	return p.Mode
}

// parseSettings reads the cluster object of a spec. What the spec says itself
// (image, load balancer) wins. A value of the wrong type is a finding.
func parseSettings(spec delivery.GroupSpec) (settings, []delivery.Finding) {
	s := settings{from: spec.From}
	if len(spec.Settings) > 0 {
		if err := json.Unmarshal(spec.Settings, &s); err != nil {
			return s, []delivery.Finding{delivery.JSONFinding(err)}
		}
	}
	if spec.Image != "" {
		s.Image = spec.Image
	}
	if spec.LoadBalancer != "" && len(s.LoadBalancers) == 0 {
		s.LoadBalancers = []string{spec.LoadBalancer}
	}
	return s, nil
}

// balancer is the URL map's name; empty for none.
func (s settings) balancer() string {
	if len(s.LoadBalancers) == 0 {
		return ""
	}
	return s.LoadBalancers[0]
}

// atZones is the pointer of what zones returns.
func (s settings) atZones(region string) string {
	if s.DistributionPolicy != nil && len(s.DistributionPolicy.Zones) > 0 {
		return "/distributionPolicy/zones"
	}
	return "/availabilityZones/" + delivery.PointerToken(region)
}

// zones are those of the region; none means that Compute Engine chooses.
func (s settings) zones(region string) []string {
	if s.DistributionPolicy != nil && len(s.DistributionPolicy.Zones) > 0 {
		return s.DistributionPolicy.Zones
	}
	return s.AvailabilityZones[region]
}

// ports are the named ports; none when the stage gives none.
func (s settings) ports() []namedPort {
	if s.LoadBalancingPolicy == nil {
		return nil
	}
	return s.LoadBalancingPolicy.NamedPorts
}

// portName is the port that the backend service sends requests to: the stage's,
// else the first of its named ports; empty when the stage gives none.
func (s settings) portName() string {
	if ports := s.ports(); s.PortName == "" && len(ports) > 0 {
		return ports[0].Name
	}
	return s.PortName
}
