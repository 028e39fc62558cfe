package mig

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/slipway-cd/slipway/delivery"
)

var testCluster = delivery.Cluster{Provider: Provider, Account: "a", Region: "us-central1", Moniker: delivery.Moniker{App: "shop", Stack: "test"}}

func TestCheckNamesTheField(t *testing.T) {
	const good = `"image":"shop-1-1","instanceType":"e2-small"`
	for _, test := range []struct{ fields, pointer, message string }{
		{`"instanceType":"e2-small"`, "/image", "is missing"},
		{`"image":"Shop 1","instanceType":"e2-small"`, "/image", "is no image"},
		{`"image":"shop-1-1"`, "/instanceType", "is missing"},
		{`"image":"shop-1-1","instanceType":"Large"`, "/instanceType", "no machine type"},
		{good + `,"regional":false`, "/regional", "single zone"},
		{good + `,"availabilityZones":{"us-east1":[]}`, "/availabilityZones", "us-central1"},
		{good + `,"availabilityZones":{"us-central1":["us-central1-a","us-east1-b"]}`, "/availabilityZones/us-central1/1", "us-east1-b"},
		{good + `,"distributionPolicy":{"zones":["us-east1-b"]}`, "/distributionPolicy/zones/0", "us-east1-b"},
		{good + `,"tags":["web","Not A Tag"]`, "/tags/1", "Not A Tag"},
		{good + `,"labels":{"a/B":"c"}`, "/labels/a~1B", "a/B"},
		{good + `,"disks":[{},{}]`, "/disks/1/sizeGb", "is missing"},
		{good + `,"disks":[{"type":"local-ssd"}]`, "/disks/0/type", "local-ssd"},
		{good + `,"disks":[{"sizeGb":-1}]`, "/disks/0/sizeGb", "-1"},
		{good + `,"onHostMaintenance":"MOVE"`, "/onHostMaintenance", "MOVE"},
		{good + `,"preemptible":true,"automaticRestart":true`, "/automaticRestart", "preemptible"},
		{good + `,"preemptible":true,"onHostMaintenance":"MIGRATE"`, "/onHostMaintenance", "preemptible"},
		{good + `,"backendServices":{"web":["x"]}`, "/backendServices", "loadBalancers"},
		{good + `,"loadBalancers":["a","b"]`, "/loadBalancers", "2 load balancers"},
		{good + `,"loadBalancers":["A"]`, "/loadBalancers/0", `"A"`},
		{good + `,"subnet":"a b"`, "/subnet", "a b"},
		{good + `,"healthCheck":"a b"`, "/healthCheck", "a b"},
		{good + `,"autoHealingPolicy":{}`, "/autoHealingPolicy/healthCheck", "is missing"},
		{good + `,"autoHealingPolicy":{"healthCheck":"h","initialDelaySec":4000}`, "/autoHealingPolicy/initialDelaySec", "4000"},
		{good + `,"portName":"x","loadBalancingPolicy":{"namedPorts":[{"name":"http","port":80}]}`, "/portName", "named ports"},
		{good + `,"loadBalancingPolicy":{"namedPorts":[{"name":"http","port":0}]}`, "/loadBalancingPolicy/namedPorts/0/port", "is 0"},
		{good + `,"loadBalancingPolicy":{"namedPorts":[{"name":"HTTP","port":1}]}`, "/loadBalancingPolicy/namedPorts/0/name", "HTTP"},
		{good + `,"loadBalancingPolicy":{"balancingMode":"CONNECTION"}`, "/loadBalancingPolicy/balancingMode", "CONNECTION"},
		{good + `,"loadBalancingPolicy":{"balancingMode":"RATE"}`, "/loadBalancingPolicy/maxRatePerInstance", "is missing"},
		{good + `,"loadBalancingPolicy":{"maxUtilization":2}`, "/loadBalancingPolicy/maxUtilization", "is 2"},
		{good + `,"loadBalancingPolicy":{"capacityScaler":0.05}`, "/loadBalancingPolicy/capacityScaler", "0.05"},
		{good + `,"loadBalancingPolicy":{"capacityScaler":0}`, "/loadBalancingPolicy/capacityScaler", "is 0"},
		{good + `,"connectionDrainingTimeoutSec":4000`, "/connectionDrainingTimeoutSec", "4000"},
		{good + `,"autoscalingPolicy":{"mode":"OFF"}`, "/autoscalingPolicy/mode", "OFF"},
		{good + `,"autoscalingPolicy":{"cpuUtilization":{"utilizationTarget":60}}`, "/autoscalingPolicy/cpuUtilization/utilizationTarget", "60"},
		{good + `,"autoscalingPolicy":{"customMetricUtilizations":[{}]}`, "/autoscalingPolicy/customMetricUtilizations/0/metric", "is missing"},
		{good + `,"instanceType":5`, "/instanceType", "want a string"},
		{good + `,"autoscalingPolicy":{"coolDownPeriodSec":"x"}`, "/autoscalingPolicy/coolDownPeriodSec", "want a whole number"},
	} {
		s, findings := parseSettings(delivery.GroupSpec{Settings: json.RawMessage("{" + test.fields + "}")})
		if len(findings) == 0 {
			findings = s.check(testCluster)
		}
		if len(findings) != 1 || findings[0].Pointer != test.pointer || !strings.Contains(findings[0].Message, test.message) {
			t.Errorf("%s: findings %+v; want one at %s with %q", test.fields, findings, test.pointer, test.message)
		}
	}
}

func TestCheckAcceptsWhatSpinnakerWrites(t *testing.T) {
	const object = `{
		"account": "gcp-prod", "application": "shop", "stack": "test", "cloudProvider": "gce", "region": "us-central1", "regional": true,
		"availabilityZones": {"us-central1": ["us-central1-a", "us-central1-b"]}, "image": "shop-1-1", "instanceType": "custom-4-3072",
		"disks": [{"type": "pd-ssd", "sizeGb": 10}, {"type": "local-ssd"}], "network": "default", "subnet": "", "tags": ["http-server"], "labels": {"team": "a_b"},
		"instanceMetadata": {"startup-script": "x"}, "loadBalancers": ["shop"], "backendServices": {}, "serviceAccountEmail": "default",
		"authScopes": ["cloud-platform"], "preemptible": false, "automaticRestart": true, "onHostMaintenance": "MIGRATE",
		"loadBalancingPolicy": {"balancingMode": "UTILIZATION", "maxUtilization": 0.8, "capacityScaler": 1, "namedPorts": [{"name": "http", "port": 8080}]},
		"autoHealingPolicy": {"healthCheck": "alive", "initialDelaySec": 300}, "autoscalingPolicy": {"mode": "ON", "coolDownPeriodSec": 60},
		"capacity": {"min": 1, "max": 4, "desired": 2}
	}`
	s, findings := parseSettings(delivery.GroupSpec{Settings: json.RawMessage(object)})
	if findings = append(findings, s.check(testCluster)...); len(findings) != 0 {
		t.Error(findings)
	}
	if s.portName() != "http" || s.balancer() != "shop" || !slices.Equal(s.zones("us-central1"), []string{"us-central1-a", "us-central1-b"}) {
		t.Errorf("read %+v", s)
	}
}

func TestCheckRefusesNames(t *testing.T) {
	s := settings{Image: "shop-1-1", InstanceType: "e2-small"}
	for _, m := range []delivery.Moniker{{App: "Shop"}, {App: "shop", Stack: "a_b"}, {App: "shop.x"}, {App: "shop", Detail: strings.Repeat("d", 60)}, {App: "1shop"}} {
		cluster := testCluster
		cluster.Moniker = m
		if findings := s.check(cluster); len(findings) != 1 || findings[0].Pointer != "" {
			t.Errorf("%+v: %+v", m, findings)
		}
	}
	longest := testCluster
	longest.Moniker = delivery.Moniker{App: strings.Repeat("a", 58)}
	if findings := s.check(longest); len(findings) != 0 {
		t.Errorf("63 characters: %+v", findings)
	}
}

func TestParseImage(t *testing.T) {
	for text, want := range map[string]imageRef{
		"shop-1-1":               {"p", "shop-1-1", false},
		"family/shop":            {"p", "shop", true},
		"global/images/shop-1-1": {"p", "shop-1-1", false},
		"projects/debian-cloud/global/images/d-12":                                {"debian-cloud", "d-12", false},
		"projects/x/global/images/family/debian-12":                               {"x", "debian-12", true},
		"https://www.googleapis.com/compute/v1/projects/x/global/images/family/d": {"x", "d", true},
		"https://compute.googleapis.com/compute/v1/projects/x/global/images/d":    {"x", "d", false},
	} {
		if got, err := parseImage(text, "p"); err != nil || got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "shop-1.1", "Shop", "family/", "projects/p", "projects//global/images/x", "zones/z/disks/d"} {
		if got, err := parseImage(text, "p"); err == nil {
			t.Errorf("%q is taken for %+v", text, got)
		}
	}
}

func TestDescription(t *testing.T) {
	n := &creation{change: delivery.Change{
		Key: "01TEST/1/größe#create", Cluster: testCluster, Deployment: "01TEST/deploy #1 (prod)", Group: "shop-test-v001",
	}, settings: settings{LoadBalancers: []string{"web"}, AutoscalingPolicy: &autoscalingPolicy{}}}
	text := n.tags().with(tagImage, "shop-1-1").description()
	const want = `{"slipway:application":"shop","slipway:autoscaling":"ON","slipway:change":"01TEST/1/größe#create","slipway:cluster":"shop-test",` +
		`"slipway:deployment":"01TEST/deploy #1 (prod)","slipway:image":"shop-1-1","slipway:load-balancer":"web","slipway:server-group":"shop-test-v001"}`
	if text != want {
		t.Errorf("description %s\nwant %s", text, want)
	}
	back := tagsIn(text)
	if !back.owned(testCluster, "shop-test-v001") || back.owned(testCluster, "shop-test-v002") || back[tagDeployment] != string(n.change.Deployment) {
		t.Errorf("read back %v", back)
	}
	for _, foreign := range []string{"", "made by hand", `["x"]`, `{"a":1}`} {
		if tagsIn(foreign).owned(testCluster, "shop-test-v001") {
			t.Errorf("%q is taken for ours", foreign)
		}
	}
}

func TestBaseName(t *testing.T) {
	long := strings.Repeat("a", 58)
	for group, want := range map[string]string{
		"shop-test-v001": "shop-test-v001", long: long, strings.Repeat("a", 58) + "-v012": strings.Repeat("a", 53) + "-v012",
	} {
		if got := baseName(group); got != want {
			t.Errorf("%s: %s; want %s", group, got, want)
		}
	}
}
