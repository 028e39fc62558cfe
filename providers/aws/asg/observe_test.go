package asg

import (
	"testing"

	astypes "github.com/aws/aws-sdk-go-v2/service/autoscaling/types"
	ec2types "github.com/aws/aws-sdk-go-v2/service/ec2/types"
	elbtypes "github.com/aws/aws-sdk-go-v2/service/elasticloadbalancingv2/types"
	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
)

func TestAmazonHealth(t *testing.T) {
	for _, test := range []struct {
		lifecycle astypes.LifecycleState
		health    string
		want      delivery.HealthState
	}{
		{astypes.LifecycleStateInService, "Healthy", delivery.HealthUp},
		{astypes.LifecycleStateInService, "Unhealthy", delivery.HealthDown},
		{astypes.LifecycleStateInService, "", delivery.HealthUnknown},
		{astypes.LifecycleStatePending, "Healthy", delivery.HealthStarting},
		{astypes.LifecycleStatePendingWait, "Healthy", delivery.HealthStarting},
		{astypes.LifecycleStateTerminating, "Healthy", delivery.HealthOutOfService},
		{astypes.LifecycleStateStandby, "Healthy", delivery.HealthOutOfService},
		{"SomethingNew", "Healthy", delivery.HealthOutOfService},
	} {
		got := amazonHealthOf(astypes.Instance{LifecycleState: test.lifecycle, HealthStatus: ptr(test.health)})
		if got.State != test.want || got.Source != sourceAmazon {
			t.Errorf("%s/%s: %+v; want %s", test.lifecycle, test.health, got, test.want)
		}
	}
}

func TestTargetHealth(t *testing.T) {
	want := map[elbtypes.TargetHealthStateEnum]delivery.HealthState{
		elbtypes.TargetHealthStateEnumInitial:           delivery.HealthStarting,
		elbtypes.TargetHealthStateEnumHealthy:           delivery.HealthUp,
		elbtypes.TargetHealthStateEnumUnhealthy:         delivery.HealthDown,
		elbtypes.TargetHealthStateEnumUnhealthyDraining: delivery.HealthDraining,
		elbtypes.TargetHealthStateEnumUnused:            delivery.HealthOutOfService,
		elbtypes.TargetHealthStateEnumDraining:          delivery.HealthDraining,
		elbtypes.TargetHealthStateEnumUnavailable:       delivery.HealthUnknown,
	}
	for _, state := range elbtypes.TargetHealthStateEnum("").Values() {
		if got := targetHealthOf(&elbtypes.TargetHealth{State: state}).State; got != want[state] {
			t.Errorf("%s: %q; want %q", state, got, want[state])
		}
	}
	if got := targetHealthOf(nil).State; got != delivery.HealthUnknown {
		t.Errorf("nothing known: %q", got)
	}
}

func TestWorstOfSeveralTargetGroups(t *testing.T) {
	up, down := delivery.Health{State: delivery.HealthUp}, delivery.Health{State: delivery.HealthDown}
	for _, test := range []struct {
		name string
		in   []map[string]delivery.Health
		want delivery.HealthState
	}{
		{"all up", []map[string]delivery.Health{{"i": up}, {"i": up}}, delivery.HealthUp},
		{"one down", []map[string]delivery.Health{{"i": up}, {"i": down}}, delivery.HealthDown},
		{"first down", []map[string]delivery.Health{{"i": down}, {"i": up}}, delivery.HealthDown},
		{"not registered in one", []map[string]delivery.Health{{"i": up}, {}}, delivery.HealthUnknown},
	} {
		if got := worst(test.in, "i"); got.State != test.want {
			t.Errorf("%s: %q; want %q", test.name, got.State, test.want)
		}
	}
}

// The causes are those of the user guide, "Health checks for instances in an Auto
// Scaling group" and "Troubleshoot: instance launch failures".
func TestProblemOf(t *testing.T) {
	for _, test := range []struct {
		activity astypes.Activity
		code     string
	}{
		{astypes.Activity{StatusCode: "Successful", Cause: ptr("At 2026-01-01T00:00:00Z an instance was started in response to a difference between desired and actual capacity")}, ""},
		{astypes.Activity{StatusCode: "Successful", Cause: ptr("At 2026-01-01T00:00:00Z an instance was taken out of service in response to a difference between desired and actual capacity, shrinking the capacity from 2 to 1.")}, ""},
		{astypes.Activity{StatusCode: "Successful", Cause: ptr("At 2026-01-01T00:00:00Z an instance was taken out of service in response to an ELB system health check failure.")}, "InstanceUnhealthy"},
		{astypes.Activity{StatusCode: "InProgress", Cause: ptr("At 2026-01-01T00:00:00Z an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped.")}, "InstanceUnhealthy"},
		{astypes.Activity{StatusCode: "Failed", StatusMessage: ptr("We currently do not have sufficient t3.small capacity. Launching EC2 instance failed. InsufficientInstanceCapacity")}, "InsufficientInstanceCapacity"},
		{astypes.Activity{StatusCode: "Failed", StatusMessage: ptr("The image id '[ami-1]' does not exist. Launching EC2 instance failed.")}, "Failed"},
		{astypes.Activity{StatusCode: "Cancelled", Description: ptr("Launching a new EC2 instance")}, "Cancelled"},
	} {
		code, message, ok := problemOf(test.activity)
		if code != test.code || ok != (test.code != "") || ok && message == "" {
			t.Errorf("%+v: %q %q %v; want %q", test.activity, code, message, ok, test.code)
		}
	}
}

func TestTags(t *testing.T) {
	if got, want := tagValue("01JD/1/aws/us-east-1/a-b#create (ü)"), "01JD/1/aws/us-east-1/a-b@create _ü_"; got != want {
		t.Errorf("got %q; want %q", got, want)
	}
	cluster := delivery.Cluster{Account: "a", Region: "r", Moniker: delivery.Moniker{App: "shop"}}
	name := targetGroupName(cluster, "shop-v001")
	if len(name) > 32 || name != targetGroupName(cluster, "shop-v001") || name == targetGroupName(cluster, "shop-v002") {
		t.Errorf("target group name %q", name)
	}
	if got := nameOfTargetGroup("arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/" + name + "/73e2d6bc24d8a067"); got != name {
		t.Errorf("name in the ARN: %q", got)
	}
	if got := nameOfLoadBalancer("arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/shop/50dc6c495c0c9188"); got != "shop" {
		t.Errorf("name in the ARN: %q", got)
	}
	if got := nameOfTargetGroup("nonsense"); got != "" {
		t.Errorf("name in nonsense: %q", got)
	}
}

func TestServes(t *testing.T) {
	subnet := func(tags ...string) ec2types.Subnet {
		var n ec2types.Subnet
		for i := 0; i < len(tags); i += 2 {
			n.Tags = append(n.Tags, ec2types.Tag{Key: ptr(tags[i]), Value: ptr(tags[i+1])})
		}
		return n
	}
	for _, test := range []struct {
		subnet ec2types.Subnet
		typ    string
		want   bool
	}{
		{subnet("immutable_metadata", `{"purpose":"internal (vpc0)"}`), "internal (vpc0)", true},
		{subnet("immutable_metadata", `{"purpose":"internal"}`), "external", false},
		{subnet("immutable_metadata", `broken`), "internal", false},
		{subnet("Name", "vpc0.internal.us-east-1a"), "internal (vpc0)", true},
		{subnet("Name", "vpc0.internal.us-east-1a"), "internal", true},
		{subnet("Name", "vpc0.internal.us-east-1a"), "vpc0", false},
		{subnet(), "internal", false},
	} {
		if got := serves(test.subnet, test.typ); got != test.want {
			t.Errorf("%+v for %q: %v", test.subnet.Tags, test.typ, got)
		}
	}
}

func TestParseSettings(t *testing.T) {
	for _, test := range []struct {
		name, document string
		want           []delivery.Finding
	}{
		{"wrong type", `{"securityGroups":"web"}`, []delivery.Finding{{Pointer: "/securityGroups", Message: "is a JSON string; want an array"}}},
		{"wrong type inside", `{"availabilityZones":{"us-east-1":"a"}}`, []delivery.Finding{{Pointer: "/availabilityZones", Message: "is a JSON string; want an array"}}},
		{"no object", `[]`, []delivery.Finding{{Message: "is a JSON array; want an object"}}},
		{"fraction", `{"listenerPort":80.5}`, []delivery.Finding{{Pointer: "/listenerPort", Message: "is a JSON number 80.5; want a whole number"}}},
		{"other fields", `{"moniker":{"app":"a"},"strategy":"rolling","capacity":{"min":"1"}}`, nil},
		{"nothing", ``, nil},
	} {
		_, got := parseSettings(delivery.GroupSpec{Settings: []byte(test.document)})
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
	s, _ := parseSettings(delivery.GroupSpec{Image: "img", LoadBalancer: "lb", Settings: []byte(`{"imageId":"other","instanceType":"t3.small"}`)})
	if s.AMIName != "img" || s.balancer() != "lb" || s.healthCheck() != "ELB" || s.gracePeriod() != defaultGracePeriod {
		t.Errorf("settings %+v", s)
	}
	s, _ = parseSettings(delivery.GroupSpec{Settings: []byte(`{"imageId":"other","healthCheckGracePeriod":0}`)})
	if s.AMIName != "other" || s.healthCheck() != "EC2" || s.gracePeriod() != 0 {
		t.Errorf("settings %+v", s)
	}
}

// The simulator ignores these fields of a launch template.
func TestTemplateData(t *testing.T) {
	s, findings := parseSettings(delivery.GroupSpec{Settings: []byte(`{"instanceType":"t3.small","iamRole":"base","keyPair":"k",
		"requireIMDSv2":true,"ebsOptimized":true,"base64UserData":"aGk="}`)})
	if len(findings) > 0 {
		t.Fatal(findings)
	}
	data := (&creation{settings: s}).templateData(image{id: "ami-1"}, []string{"sg-1"})
	if *data.ImageId != "ami-1" || data.InstanceType != "t3.small" || *data.IamInstanceProfile.Name != "base" || *data.KeyName != "k" ||
		data.MetadataOptions.HttpTokens != ec2types.LaunchTemplateHttpTokensStateRequired || !*data.EbsOptimized || *data.UserData != "aGk=" {
		t.Errorf("%+v", data)
	}
	plain := (&creation{settings: settings{InstanceType: "t3.small"}}).templateData(image{id: "ami-1"}, nil)
	if plain.IamInstanceProfile != nil || plain.KeyName != nil || plain.UserData != nil || plain.EbsOptimized != nil || plain.MetadataOptions != nil {
		t.Errorf("defaults %+v", plain)
	}
}
