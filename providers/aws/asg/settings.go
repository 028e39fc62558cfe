package asg

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/slipway-cd/slipway/delivery"
)

// defaultGracePeriod is the console's and Spinnaker's usual value in seconds;
// the API's own default of 0 would kill instances while they boot.
const defaultGracePeriod = 300

// settings is the part of a deploy stage's cluster object that this kind reads.
// schema.json describes it for people.
type settings struct {
	AMIName                string              `json:"amiName"`
	ImageID                string              `json:"imageId"`
	InstanceType           string              `json:"instanceType"`
	AvailabilityZones      map[string][]string `json:"availabilityZones"`
	SubnetType             string              `json:"subnetType"`
	SecurityGroups         []string            `json:"securityGroups"`
	LoadBalancers          []string            `json:"loadBalancers"`
	ListenerPort           int32               `json:"listenerPort"`
	TargetGroups           []string            `json:"targetGroups"`
	Port                   int32               `json:"port"`
	HealthCheckPath        string              `json:"healthCheckPath"`
	HealthCheckInterval    int32               `json:"healthCheckInterval"`
	HealthCheckTimeout     int32               `json:"healthCheckTimeout"`
	HealthyThreshold       int32               `json:"healthyThreshold"`
	UnhealthyThreshold     int32               `json:"unhealthyThreshold"`
	IAMRole                string              `json:"iamRole"`
	KeyPair                string              `json:"keyPair"`
	EBSOptimized           bool                `json:"ebsOptimized"`
	RequireIMDSv2          bool                `json:"requireIMDSv2"`
	Base64UserData         string              `json:"base64UserData"`
	HealthCheckType        string              `json:"healthCheckType"`
	HealthCheckGracePeriod *int32              `json:"healthCheckGracePeriod"`
	Cooldown               *int32              `json:"cooldown"`
	TerminationPolicies    []string            `json:"terminationPolicies"`
	SuspendedProcesses     []string            `json:"suspendedProcesses"`
	Tags                   map[string]string   `json:"tags"`

	// from is the spec's: the server group whose settings hold where these are absent.
	from string
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
		s.AMIName = spec.Image
	}
	if s.AMIName == "" {
		s.AMIName = s.ImageID
	}
	if spec.LoadBalancer != "" && len(s.LoadBalancers) == 0 {
		s.LoadBalancers = []string{spec.LoadBalancer}
	}
	return s, nil
}

// balancer is the load balancer's name; empty for none.
func (s settings) balancer() string {
	if len(s.LoadBalancers) == 0 {
		return ""
	}
	return s.LoadBalancers[0]
}

// check returns what is wrong without asking AWS.
func (s settings) check(cluster delivery.Cluster) []delivery.Finding {
	var out []delivery.Finding
	refuse := func(pointer, format string, args ...any) {
		out = append(out, delivery.Finding{Pointer: pointer, Message: fmt.Sprintf(format, args...)})
	}
	if s.AMIName == "" && s.from == "" {
		refuse("/amiName", "is missing: which image shall run?")
	}
	if s.InstanceType == "" && s.from == "" {
		refuse("/instanceType", "is missing")
	}
	if _, ok := s.AvailabilityZones[cluster.Region]; !ok && (s.from == "" || len(s.AvailabilityZones) > 0) {
		refuse("/availabilityZones", "has no zones of region %s", cluster.Region)
	}
	if len(s.TargetGroups) > 0 {
		refuse("/targetGroups", "cannot be used: every server group gets a target group of its own; name the load balancer in loadBalancers")
	}
	if len(s.LoadBalancers) > 1 {
		refuse("/loadBalancers", "names %d load balancers; a cluster has one", len(s.LoadBalancers))
	}
	if len(s.SuspendedProcesses) > 0 {
		refuse("/suspendedProcesses", "cannot be used: a group with suspended processes cannot be rolled")
	}
	if !slices.Contains([]string{"", "EC2", "ELB"}, s.HealthCheckType) {
		refuse("/healthCheckType", "is %q; want EC2 or ELB", s.HealthCheckType)
	}
	if _, err := base64.StdEncoding.DecodeString(s.Base64UserData); err != nil {
		refuse("/base64UserData", "is not base64")
	}
	for _, key := range sortedKeys(s.Tags) {
		if strings.HasPrefix(key, tagPrefix) || strings.HasPrefix(strings.ToLower(key), "aws:") {
			refuse("/tags/"+delivery.PointerToken(key), "has a reserved prefix")
		}
	}
	out = append(out, s.checkNumbers()...)
	// A launch template's name has 128 characters at most.
	if name := cluster.Moniker.ServerGroup(0); len(name) > 128 {
		refuse("", "server group names such as %s have %d characters; AWS allows 128", name, len(name))
	}
	return out
}

// checkNumbers holds the numbers within what ELBv2 and Auto Scaling allow (API
// references of CreateTargetGroup and CreateAutoScalingGroup). 0 is not given.
func (s settings) checkNumbers() []delivery.Finding {
	var out []delivery.Finding
	for _, n := range []struct {
		pointer          string
		value, low, high int32
	}{
		{"/listenerPort", s.ListenerPort, 1, 65535},
		{"/port", s.Port, 1, 65535},
		{"/healthCheckInterval", s.HealthCheckInterval, 5, 300},
		{"/healthCheckTimeout", s.HealthCheckTimeout, 2, 120},
		{"/healthyThreshold", s.HealthyThreshold, 2, 10},
		{"/unhealthyThreshold", s.UnhealthyThreshold, 2, 10},
		{"/healthCheckGracePeriod", deref(s.HealthCheckGracePeriod), 0, 7200},
		{"/cooldown", deref(s.Cooldown), 0, 86400},
	} {
		if n.value != 0 && (n.value < n.low || n.value > n.high) {
			out = append(out, delivery.Finding{Pointer: n.pointer, Message: fmt.Sprintf("is %d; want %d to %d", n.value, n.low, n.high)})
		}
	}
	return out
}

func (s settings) gracePeriod() int32 {
	if s.HealthCheckGracePeriod == nil {
		return defaultGracePeriod
	}
	return *s.HealthCheckGracePeriod
}

// healthCheck is ELB behind a load balancer, so that an instance whose process
// hangs is replaced, not only one whose machine is down.
func (s settings) healthCheck() string {
	switch {
	case s.HealthCheckType != "":
		return s.HealthCheckType
	case s.balancer() != "":
		return "ELB"
	default:
		return "EC2"
	}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
