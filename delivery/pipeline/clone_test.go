package pipeline

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/slipway-cd/slipway/delivery"
	"github.com/slipway-cd/slipway/delivery/rollout"
)

var (
	prodMoniker = delivery.Moniker{App: "storefront", Stack: "prod"}
	prodCluster = delivery.Cluster{Provider: "aws", Account: "aws-sim", Region: "us-east-1", Moniker: prodMoniker}
)

func TestParseClone(t *testing.T) {
	none, _ := rollout.ParseStrategy(json.RawMessage(`{}`))
	blue, _ := rollout.ParseStrategy(json.RawMessage(`{"strategy":"redblack"}`))
	dev := prodCluster
	dev.Moniker.Stack = "dev"
	run := delivery.Cluster{Provider: "cloudrun", Account: "gcp-sim", Region: "us-central1", Moniker: delivery.Moniker{App: "storefront", Stack: "run"}}
	for _, test := range []struct {
		name, stage string
		want        DeployCluster
	}{
		{"Spinnaker's form", `{"cloudProvider":"aws","credentials":"aws-sim","region":"us-east-1","target":"current_asg_dynamic","targetCluster":"storefront-prod",
			"source":{"account":"aws-sim","region":"us-east-1","serverGroupName":"storefront-prod-v003"},"strategy":"redblack","capacity":{"min":1,"max":1,"desired":1}}`,
			DeployCluster{Cluster: prodCluster, Spec: delivery.GroupSpec{Capacity: delivery.Pinned(1)}, Source: delivery.SelectCurrent, Strategy: blue, MayBeRouted: true}},
		{"by name", `{"account":"aws-sim","source":{"region":"us-east-1","asgName":"storefront-prod-v003"},"amiName":"storefront-1.1","loadBalancers":["storefront"]}`,
			DeployCluster{Cluster: prodCluster, UseSourceCapacity: true, Strategy: none,
				Spec: delivery.GroupSpec{From: "storefront-prod-v003", Image: "storefront-1.1", LoadBalancer: "storefront"}}},
		{"into another cluster", `{"credentials":"aws-sim","availabilityZones":{"us-east-1":["us-east-1a"]},"application":"storefront","stack":"dev",
			"source":{"serverGroupName":"storefront-prod-v003"},"capacity":{"min":2,"max":2,"desired":2}}`,
			DeployCluster{Cluster: dev, Strategy: none, MayBeRouted: true, Spec: delivery.GroupSpec{From: "storefront-prod-v003", Capacity: delivery.Pinned(2)}}},
		{"a revision", `{"cloudProvider":"cloudrun","credentials":"gcp-sim","region":"us-central1","moniker":{"app":"storefront","stack":"run"},"target":"ancestor"}`,
			DeployCluster{Cluster: run, Source: delivery.SelectPrevious, UseSourceCapacity: true, Strategy: none, Spec: delivery.GroupSpec{LoadBalancer: "storefront-run"}}},
	} {
		got, err := ParseDeploy(CloneType, json.RawMessage(test.stage))
		if err != nil {
			t.Errorf("%s: %v: %v", test.name, err, delivery.FindingsOf(err))
			continue
		}
		if len(got.Clusters[0].Spec.Settings) == 0 {
			t.Errorf("%s: without settings", test.name)
		}
		got.Clusters[0].Spec.Settings = nil
		if diff := cmp.Diff([]DeployCluster{test.want}, got.Clusters); diff != "" {
			t.Errorf("%s: %s", test.name, diff)
		}
	}
}

// clone is a stage with fields on top of what every one has.
func clone(fields string) string {
	return `{"refId":"1","type":"cloneServerGroup","credentials":"aws-sim","region":"us-east-1"` + fields + `}`
}

// TestWrongClones are refused when the pipeline is saved.
func TestWrongClones(t *testing.T) {
	for _, test := range []struct{ name, stage, pointer, message string }{
		{"no account", `{"type":"cloneServerGroup","region":"r","targetCluster":"a-b","target":"current"}`, "/credentials", "is required"},
		{"no region", `{"type":"cloneServerGroup","credentials":"a","targetCluster":"a-b","target":"current"}`, "/region", "is required"},
		{"two regions", clone(`,"targetCluster":"a-b","target":"current","availabilityZones":{"us-west-2":[]}`), "/availabilityZones", "one region"},
		{"from another region", clone(`,"source":{"region":"us-west-2","asgName":"a-b-v001"}`), "/source/region", "within its account and region"},
		{"from another account", clone(`,"source":{"account":"other","asgName":"a-b-v001"}`), "/source/account", "within its account and region"},
		{"no source", clone(`,"targetCluster":"a-b"`), "/target", "is required"},
		{"an unknown target", clone(`,"targetCluster":"a-b","target":"nearest"`), "/target", "must be current"},
		{"a target elsewhere", clone(`,"application":"a","stack":"c","targetCluster":"a-b","target":"current"`), "/target", "is a server group of a-b"},
		{"another application", clone(`,"application":"x","targetCluster":"a-b","target":"current"`), "/application", "is of \"a\""},
		{"no capacity", clone(`,"application":"a","stack":"c","source":{"asgName":"a-b-v001"}`), "/capacity", "is of another cluster"},
		{"a wrong capacity", clone(`,"targetCluster":"a-b","target":"current","capacity":{"min":3,"max":2,"desired":2}`), "/capacity/min", "more than max"},
		{"two names", clone(`,"source":{"asgName":"a-b-v001","serverGroupName":"a-b-v002"}`), "/source/asgName", "but serverGroupName"},
		{"a source that is no object", clone(`,"source":"a-b-v001","targetCluster":"a-b","target":"current"`), "/source", "must be an object"},
		{"an unknown strategy", clone(`,"targetCluster":"a-b","target":"current","strategy":"reddblack"`), "/strategy", "is not a strategy"},
	} {
		_, err := Parse(json.RawMessage(`{"application":"a","name":"p","stages":[` + test.stage + `]}`))
		findings := delivery.FindingsOf(err)
		if len(findings) == 0 || findings[0].Pointer != "/stages/0"+test.pointer || !strings.Contains(findings[0].Message, test.message) {
			t.Errorf("%s: findings %+v; want %s with %q", test.name, findings, test.pointer, test.message)
		}
	}
	for _, dynamic := range []string{
		`,"targetCluster":"${parameters.c}","target":"${parameters.t}"`, `,"source":"${parameters.s}"`,
		`,"source":{"asgName":"${parameters.g}"},"capacity":"${parameters.n}","strategy":"${parameters.x}"`,
	} {
		if _, err := Parse(json.RawMessage(`{"application":"a","name":"p","stages":[` + clone(dynamic) + `]}`)); err != nil {
			t.Errorf("%s: %v: %v", dynamic, err, delivery.FindingsOf(err))
		}
	}
}

func TestChosen(t *testing.T) {
	seen := delivery.Snapshot{Cluster: prodCluster, Routing: &delivery.Routing{LoadBalancer: "storefront"}}
	for i, size := range []int{0, 3, 2} {
		seen.Groups = append(seen.Groups, delivery.ServerGroup{Name: prodMoniker.ServerGroup(i), Sequence: i, Complete: true,
			CreatedAt: time.Unix(int64(i), 0), Capacity: delivery.Capacity{Min: size, Max: size + 1, Desired: size}})
	}
	for _, test := range []struct {
		name    string
		want    DeployCluster
		from    string
		desired int
		pointer string
	}{
		{"no clone", DeployCluster{Spec: delivery.GroupSpec{Image: "x"}}, "", 0, ""},
		{"the newest", DeployCluster{Source: delivery.SelectCurrent, UseSourceCapacity: true}, "storefront-prod-v002", 2, ""},
		{"with a capacity", DeployCluster{Source: delivery.SelectPrevious, Spec: delivery.GroupSpec{Capacity: delivery.Pinned(7)}}, "storefront-prod-v001", 7, ""},
		{"by name", DeployCluster{Spec: delivery.GroupSpec{From: "storefront-prod-v001"}, UseSourceCapacity: true}, "storefront-prod-v001", 3, ""},
		{"one that is gone", DeployCluster{Spec: delivery.GroupSpec{From: "storefront-prod-v009"}, UseSourceCapacity: true}, "", 0, "/source"},
		{"the only one", DeployCluster{Source: delivery.SelectOnly}, "", 0, "/target"},
		{"one without instances", DeployCluster{Source: delivery.SelectOldest, UseSourceCapacity: true}, "", 0, "/capacity"},
	} {
		got, err := test.want.Chosen(seen)
		if test.pointer != "" {
			if findings := delivery.FindingsOf(err); len(findings) != 1 || findings[0].Pointer != test.pointer {
				t.Errorf("%s: %v %+v; want one at %s", test.name, err, findings, test.pointer)
			}
			continue
		}
		if err != nil || got.Spec.From != test.from || got.Spec.Capacity.Desired != test.desired || got.Source != "" || got.UseSourceCapacity ||
			test.from != "" && got.Spec.LoadBalancer != "storefront" {
			t.Errorf("%s: %+v, %v; want %s with %d", test.name, got, err, test.from, test.desired)
		}
	}
}
